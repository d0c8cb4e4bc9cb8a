//! What is told of autopay: on, off, paused, and how its charges went. Nothing by which a method could be known.

use chrono::{DateTime, NaiveDate, Utc};
use events::{AutopayEvent, PropertyId, autopay as stored};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Tell,
    values::{Means, Money},
};

/// Why autopay does not charge at the moment, without the bank's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum PauseReason {
    /// The bank declined; it may be different tomorrow.
    Declined,
    /// The bank declined as often as may be tried.
    RetriesUsedUp,
    /// The method cannot be charged any more.
    DeclinedForGood,
    /// The bank wants the resident to confirm in person.
    AuthenticationRequired,
    /// A bank debit came back after it had succeeded.
    Returned,
    /// The bank account's owner withdrew the mandate.
    MandateRevoked,
    /// The method was removed at the provider.
    MethodDetached,
    /// The property takes its payments in another account now, where the method is not known.
    AccountChanged,
}

/// Why autopay charges again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum ResumeReason {
    RetrySucceeded,
    /// The invoice whose charge had failed was settled another way.
    InvoiceSettled,
    /// The resident asked for it.
    Reactivated,
    NewMethod,
}

public! {
    /// The life of an enrollment.
    pub enum AutopayFact {
        /// A method was confirmed: it is charged from now on.
        Activated = "autopay.activated" v 1 from "AutopayActivated"
            when "When autopay is enabled, and whenever another method takes over." {
            autopay_id: Uuid,
            means: Means,
        },
        /// An invoice is due and above the resident's cap: the resident is asked.
        ChargeHeld = "autopay.charge_held" v 1 from "ChargeHeld" when "At the hour of the charge." {
            autopay_id: Uuid,
            invoice_id: Uuid,
            due_on: NaiveDate,
            amount: Money,
            cap: Money,
        },
        /// A charge was declined, or a bank debit failed or came back.
        ChargeFailed = "autopay.charge_failed" v 1 from "ChargeFailed" when "For each attempt." {
            autopay_id: Uuid,
            payment_id: Uuid,
            invoice_id: Uuid,
            amount: Money,
            reason: PauseReason,
            /// When the next attempt is made, if one is.
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_at: Option<DateTime<Utc>>,
            retries_left: u32,
        },
        /// Nothing is charged until it is resumed.
        Paused = "autopay.paused" v 1 from "AutopayPaused" when "After a failure that needs time or the resident." {
            autopay_id: Uuid,
            reason: PauseReason,
            /// Only another method can end the pause.
            new_method_required: bool,
        },
        /// Charges go on.
        Resumed = "autopay.resumed" v 1 from "AutopayResumed" when "At the end of a pause." {
            autopay_id: Uuid,
            because: ResumeReason,
        },
        /// The resident ended it, or their leaving did. What is in flight goes on; nothing new is charged.
        Cancelled = "autopay.cancelled" v 1 from "AutopayCancelled" when "When the resident ends it, moves out, is deactivated or erased." { autopay_id: Uuid },
    }
}

impl From<stored::PauseReason> for PauseReason {
    fn from(reason: stored::PauseReason) -> Self {
        match reason {
            stored::PauseReason::Declined { code: _ } => Self::Declined,
            stored::PauseReason::RetriesUsedUp { code: _ } => Self::RetriesUsedUp,
            stored::PauseReason::DeclinedForGood { code: _ } => Self::DeclinedForGood,
            stored::PauseReason::AuthenticationRequired => Self::AuthenticationRequired,
            stored::PauseReason::Returned { code: _ } => Self::Returned,
            stored::PauseReason::MandateRevoked => Self::MandateRevoked,
            stored::PauseReason::MethodDetached => Self::MethodDetached,
            stored::PauseReason::AccountChanged => Self::AccountChanged,
        }
    }
}

impl From<stored::ResumeReason> for ResumeReason {
    fn from(reason: stored::ResumeReason) -> Self {
        match reason {
            stored::ResumeReason::RetrySucceeded => Self::RetrySucceeded,
            stored::ResumeReason::InvoiceSettled => Self::InvoiceSettled,
            stored::ResumeReason::Reactivated => Self::Reactivated,
            stored::ResumeReason::NewMethod => Self::NewMethod,
        }
    }
}

impl Tell for AutopayFact {
    type Event = AutopayEvent;

    fn tell(autopay_id: Uuid, event: AutopayEvent) -> Option<Self> {
        Some(match event {
            AutopayEvent::AutopayActivated { setup_id: _, method, replaces: _ } => {
                Self::Activated { autopay_id, means: method.kind.into() }
            }
            AutopayEvent::ChargeHeld { invoice_id, due_on, amount, cap } => Self::ChargeHeld {
                autopay_id,
                invoice_id: invoice_id.0,
                due_on,
                amount: amount.into(),
                cap: cap.into(),
            },
            AutopayEvent::ChargeFailed { payment_id, invoice_id, due_on: _, amount, reason, retry, retries_left } => {
                Self::ChargeFailed {
                    autopay_id,
                    payment_id: payment_id.0,
                    invoice_id: invoice_id.0,
                    amount: amount.into(),
                    reason: reason.into(),
                    retry_at: retry.map(|retry| retry.at),
                    retries_left,
                }
            }
            AutopayEvent::AutopayPaused { reason, new_method_required } => {
                Self::Paused { autopay_id, reason: reason.into(), new_method_required }
            }
            AutopayEvent::AutopayResumed { because, waiting: _ } => {
                Self::Resumed { autopay_id, because: because.into() }
            }
            AutopayEvent::AutopayCancelled { payment_method: _, because: _ } => Self::Cancelled { autopay_id },
            // The way to a method, the resident's own limits, and what the payments tell anyway.
            AutopayEvent::AutopaySetupRequested { .. }
            | AutopayEvent::AutopaySetupSubmitted { .. }
            | AutopayEvent::AutopaySetupActionRequired { .. }
            | AutopayEvent::AutopaySetupFailed { .. }
            | AutopayEvent::AutopayMethodRefreshed { .. }
            | AutopayEvent::AutopayCapChanged { .. }
            | AutopayEvent::ChargeApproved { .. }
            | AutopayEvent::ChargeDeferred { .. }
            | AutopayEvent::ChargeAuthorized { .. }
            | AutopayEvent::ChargeSucceeded { .. }
            | AutopayEvent::ChargeWithdrawn { .. } => return None,
        })
    }

    fn property(event: &AutopayEvent) -> Option<PropertyId> {
        match event {
            AutopayEvent::AutopaySetupRequested { property_id, .. } => Some(*property_id),
            _ => None,
        }
    }
}
