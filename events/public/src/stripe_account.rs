//! What is told of a connected Stripe account: its state and its payouts.

use chrono::{DateTime, NaiveDate, Utc};
use events::{PropertyId, StripeAccountEvent, stripe_account as stored};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{Tell, values::Money};

/// The account's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum AccountStatus {
    OnboardingStarted,
    PendingVerification,
    Active,
    /// Stripe wants something before money moves again.
    Restricted,
    /// Stripe closed it, or access was withdrawn.
    Disabled,
}

/// Where a payout to the bank stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum PayoutStatus {
    Pending,
    InTransit,
    Paid,
    Canceled,
    /// The bank refused it: the money is back in the account's balance.
    Failed,
}

public! {
    /// The life of a connected Stripe account. An account may serve several properties: it belongs to the organization.
    pub enum StripeAccountFact {
        /// What Stripe says of the account changed.
        StatusChanged = "stripe_account.status_changed" v 1 from "StripeAccountStatusChanged" when "Whenever Stripe says so." {
            stripe_account_id: Uuid,
            status: AccountStatus,
        },
        /// The account is not used any more.
        Disconnected = "stripe_account.disconnected" v 1 from "StripeAccountDisconnected"
            when "When the organization withdraws, or access was withdrawn at Stripe." {
            stripe_account_id: Uuid,
            /// It was done at Stripe.
            at_provider: bool,
        },
        /// What Stripe says of a payout to the bank.
        PayoutRecorded = "stripe_account.payout_recorded" v 1 from "PayoutRecorded" when "For each state of each payout." {
            stripe_account_id: Uuid,
            /// Stripe's `po_…`.
            payout: String,
            amount: Money,
            status: PayoutStatus,
            arrives_on: NaiveDate,
        },
        /// The books were compared with Stripe's.
        Reconciled = "stripe_account.reconciled" v 1 from "AccountReconciled" when "Each night." {
            stripe_account_id: Uuid,
            from: DateTime<Utc>,
            until: DateTime<Utc>,
            /// Balance transactions that were compared.
            compared: u32,
            /// How many differ; zero is as it should be.
            differences: usize,
        },
    }
}

impl Tell for StripeAccountFact {
    type Event = StripeAccountEvent;

    fn tell(stripe_account_id: Uuid, event: StripeAccountEvent) -> Option<Self> {
        Some(match event {
            StripeAccountEvent::StripeAccountStatusChanged { status } => {
                let status = match status {
                    stored::StripeAccountStatus::OnboardingStarted => AccountStatus::OnboardingStarted,
                    stored::StripeAccountStatus::PendingVerification => AccountStatus::PendingVerification,
                    stored::StripeAccountStatus::Active => AccountStatus::Active,
                    stored::StripeAccountStatus::Restricted => AccountStatus::Restricted,
                    stored::StripeAccountStatus::Disabled => AccountStatus::Disabled,
                };
                Self::StatusChanged { stripe_account_id, status }
            }
            StripeAccountEvent::StripeAccountDisconnected { at_provider } => {
                Self::Disconnected { stripe_account_id, at_provider }
            }
            StripeAccountEvent::PayoutRecorded { payout, amount, status, arrives_on, failure: _ } => {
                let status = match status {
                    stored::PayoutStatus::Pending => PayoutStatus::Pending,
                    stored::PayoutStatus::InTransit => PayoutStatus::InTransit,
                    stored::PayoutStatus::Paid => PayoutStatus::Paid,
                    stored::PayoutStatus::Canceled => PayoutStatus::Canceled,
                    stored::PayoutStatus::Failed => PayoutStatus::Failed,
                };
                Self::PayoutRecorded { stripe_account_id, payout, amount: amount.into(), status, arrives_on }
            }
            StripeAccountEvent::AccountReconciled { from, until, compared, differences } => {
                Self::Reconciled { stripe_account_id, from, until, compared, differences: differences.len() }
            }
            // The way to a connection; its outcome is a status.
            StripeAccountEvent::StripeConnectionRequested { .. }
            | StripeAccountEvent::StripeAccountCreated { .. }
            | StripeAccountEvent::StripeConnectionFailed { .. }
            | StripeAccountEvent::StripeReconnectionRequested {} => return None,
        })
    }

    fn property(_: &StripeAccountEvent) -> Option<PropertyId> {
        None
    }
}
