//! Adapters for the world outside: one module per provider, each speaking real HTTP or SMTP to a configurable address.
//!
//! HTTPS needs a rustls provider for the whole process, which only a binary may choose. Install it first thing in `main`,
//! or building a client panics inside reqwest: `let _ = rustls::crypto::ring::default_provider().install_default();`.

mod http;
pub mod outbound;
pub mod resend;
mod secret;
mod signature;
pub mod smtp;
pub mod stripe;
pub mod twilio;

pub use outbound::WebhookSender;
pub use resend::{ResendMail, ResendSettings};
pub use secret::Secret;
pub use signature::SignatureProblem;
pub use smtp::{SmtpMail, SmtpSettings};
pub use stripe::{StripeGateway, StripeSettings};
pub use twilio::{TwilioSettings, TwilioTexts};

/// Why an adapter cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("the address {0:?} is not usable: {1}")]
    Address(String, &'static str),
    /// Empty, or with characters that no header can carry.
    #[error("the {0} is not usable")]
    Credential(&'static str),
    #[error("the HTTP client could not be built")]
    Http(#[source] reqwest::Error),
    #[error("the TLS parameters could not be built")]
    Tls(#[source] lettre::transport::smtp::Error),
}
