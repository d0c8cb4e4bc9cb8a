//! What happened: event types, value objects and the recorded envelope. No I/O.

#[macro_use]
mod macros;

pub mod access_token;
pub mod address;
pub mod audit_read;
pub mod autopay;
pub mod credit;
pub mod currency;
mod decline;
pub mod disclosure;
pub mod email;
pub mod ids;
pub mod inbound_text;
pub mod invoice;
pub mod job;
pub mod language;
pub mod metadata;
pub mod money;
pub mod organization;
pub mod payment;
pub mod phone;
pub mod property;
pub mod recorded;
pub mod resident;
pub mod role;
pub mod schema;
pub mod sealed;
pub mod sign_in;
pub mod sms_consent;
pub mod stripe_account;
pub mod suppression;
pub mod text;
pub mod text_message;
pub mod unit;
pub mod upcast;
pub mod webhook;
pub mod zone;

pub use access_token::AccessTokenEvent;
pub use address::EmailAddress;
pub use audit_read::AuditReadEvent;
pub use autopay::AutopayEvent;
pub use credit::CreditEvent;
pub use currency::Currency;
pub use disclosure::DisclosureEvent;
pub use email::EmailMessageEvent;
pub use ids::{
    AutopayId, CreditId, GrantId, InboundId, InvoiceId, JobId, MessageId, NumberKey, OrganizationId, PaymentId,
    PropertyId, RefundId, ResidentId, SecretId, SetupId, ShownId, SignInId, StripeAccountId, SuppressionId, TextId,
    TokenId, UnitId, WebhookId,
};
pub use inbound_text::InboundTextEvent;
pub use invoice::InvoiceEvent;
pub use job::JobEvent;
pub use language::Language;
pub use metadata::Metadata;
pub use money::Money;
pub use organization::OrganizationEvent;
pub use payment::PaymentEvent;
pub use phone::Phone;
pub use property::PropertyEvent;
pub use recorded::{Decode, Event, Recorded};
pub use resident::ResidentEvent;
pub use role::Role;
pub use sealed::{Purpose, Sealed};
pub use sign_in::SignInEvent;
pub use sms_consent::SmsConsentEvent;
pub use stripe_account::StripeAccountEvent;
pub use suppression::SuppressionEvent;
pub use text_message::TextMessageEvent;
pub use unit::UnitEvent;
pub use webhook::WebhookEvent;
pub use zone::TimeZone;
