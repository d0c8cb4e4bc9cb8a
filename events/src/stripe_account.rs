//! A connected Stripe account, owned by an organization and assigned to its properties.

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Money, text::Name};

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

/// Where a payout to the bank stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum PayoutStatus {
    Pending,
    InTransit,
    Paid,
    Canceled,
    /// The bank refused it: the money is back in the account's balance.
    Failed,
}

/// What a reconciliation found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    pub kind: DifferenceKind,
    /// Stripe's id of what differs.
    pub reference: String,
    /// What the books say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booked: Option<Money>,
    /// What Stripe says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Money>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DifferenceKind {
    /// Stripe has it, the books do not.
    NotBooked,
    /// The books have it, Stripe does not.
    NotAtStripe,
    Amount,
    Fee,
    /// A payout is not the sum of its transactions.
    Payout,
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
        /// What Stripe says of a payout to the bank.
        PayoutRecorded = 1 {
            /// Stripe's `po_…`.
            payout: String,
            amount: Money,
            status: PayoutStatus,
            arrives_on: NaiveDate,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            failure: Option<String>,
        },
        /// The books were compared with Stripe's balance transactions.
        AccountReconciled = 1 {
            from: DateTime<Utc>,
            until: DateTime<Utc>,
            compared: u32,
            differences: Vec<Difference>,
        },
    }
}
