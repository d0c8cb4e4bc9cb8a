//! The providers as configured: adapters, webhook secrets, and how we present ourselves.

use std::sync::Arc;

use integrations::Secret;
use processes::ports::{Mail, Stripe};

/// Everything that effects and webhooks need of the outside.
#[derive(Debug, Clone)]
pub struct Providers {
    pub stripe: Arc<dyn Stripe>,
    pub mail: Arc<dyn Mail>,
    /// Two during a rotation.
    pub stripe_webhook_secrets: Vec<Secret>,
    pub resend_webhook_secrets: Vec<Secret>,
    /// Where people reach us, without a trailing slash.
    pub public_url: String,
    /// The address that e-mails come from.
    pub mail_from: String,
}
