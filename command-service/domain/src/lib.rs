//! Aggregates: commands, refusals, states, decisions. Pure: no database, clock, randomness or HTTP.

#[macro_use]
mod macros;

pub mod access_token;
pub mod autopay;
pub mod context;
pub mod credit;
mod day;
pub mod decide;
pub mod disclosure;
pub mod email;
pub mod fees;
pub mod inbound_text;
pub mod invoice;
pub mod job;
pub mod keywords;
pub mod organization;
pub mod payment;
pub mod property;
pub mod quiet_hours;
pub mod refund;
pub mod registry;
pub mod resident;
pub mod segments;
pub mod sign_in;
pub mod sms_consent;
pub mod stripe_account;
pub mod suppression;
pub mod text_message;
pub mod unit;
pub mod webhook;

#[cfg(test)]
mod testing;

pub use access_token::AccessToken;
pub use autopay::Autopay;
pub use context::{Actor, Blind, Channel, Context, Facts, Need, Scope};
pub use credit::Credit;
pub use decide::{Aggregate, Command, Decision, Hosted, Kind, Refuse};
pub use disclosure::Disclosure;
pub use email::EmailMessage;
pub use inbound_text::InboundText;
pub use invoice::Invoice;
pub use job::Job;
pub use organization::Organization;
pub use payment::Payment;
pub use property::Property;
pub use registry::{Visitor, visit_commands};
pub use resident::Resident;
pub use sign_in::SignIn;
pub use sms_consent::SmsConsent;
pub use stripe_account::StripeAccount;
pub use suppression::Suppression;
pub use text_message::TextMessage;
pub use unit::Unit;
pub use webhook::Webhook;
