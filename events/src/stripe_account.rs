//! A connected Stripe account, owned by an organization and assigned to its properties.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Name;

/// The state behind the badge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StripeAccountStatus {
    /// Created at Stripe; the owner has forms to fill.
    OnboardingStarted,
    /// All is handed in; Stripe is checking.
    PendingVerification,
    Active,
    /// Stripe wants something before money moves again.
    Restricted,
    /// Stripe closed it, or access was withdrawn.
    Disabled,
}

events! {
    /// The life of a connected Stripe account.
    pub enum StripeAccountEvent of "stripe-account" {
        /// The organization asked to connect an account.
        StripeConnectionRequested = 1 { name: Name, country: String },
        /// Stripe opened the account; `account` is Stripe's `acct_…`.
        StripeAccountCreated = 1 { account: String },
        /// Stripe refused to open it.
        StripeConnectionFailed = 1 { code: String },
        /// What Stripe says of the account changed.
        StripeAccountStatusChanged = 1 { status: StripeAccountStatus },
        /// The organization withdrew, or Stripe reported that access was withdrawn.
        StripeAccountDisconnected = 1 { at_provider: bool },
        /// The organization asked for the same account again.
        StripeReconnectionRequested = 1 {},
    }
}
