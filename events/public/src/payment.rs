//! What is told of an online payment: how it went and what it moved. Nothing by which a card or bank account could be known.

use chrono::{DateTime, Utc};
use events::{PaymentEvent, PropertyId, payment as stored};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Tell,
    values::{Means, Money},
};

/// Why an attempt ended without money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum CancelReason {
    /// The resident or a manager gave it up.
    Requested,
    /// It was not paid in time.
    Expired,
    /// The invoice could not be claimed.
    NotReserved,
    /// The provider refused the request.
    Rejected,
    /// It was canceled at the provider, or a person found there that nothing was charged.
    AtProvider,
    /// The bank declined, and no other try is made with it.
    Declined,
    /// Autopay was cancelled, paused or changed before the charge.
    NotAuthorized,
}

public! {
    /// The life of one online payment.
    pub enum PaymentFact {
        /// The resident, or autopay, went on to pay at the quoted price.
        Requested = "payment.requested" v 1 from "PaymentRequested" when "Once per attempt that got beyond its price." {
            payment_id: Uuid,
            invoice_id: Uuid,
            /// What the invoice is to be credited with; a fee may come on top.
            amount: Money,
            /// Set when it is autopay that pays.
            #[serde(skip_serializing_if = "Option::is_none")]
            autopay_id: Option<Uuid>,
        },
        /// The bank declined. Why is between the bank, the resident and the manager.
        Declined = "payment.declined" v 1 from "PaymentDeclined" when "For each card or account that was declined." {
            payment_id: Uuid,
            /// Set when it is autopay that pays.
            #[serde(skip_serializing_if = "Option::is_none")]
            autopay_id: Option<Uuid>,
        },
        /// The money is on its way and can still fail.
        Processing = "payment.processing" v 1 from "PaymentProcessing" when "For bank debits, which take days." { payment_id: Uuid },
        /// The provider has the money.
        Succeeded = "payment.succeeded" v 1 from "PaymentSucceeded" when "At most once per payment." {
            payment_id: Uuid,
            invoice_id: Uuid,
            /// What the invoice is credited with.
            amount: Money,
            /// Absent when the provider did not say.
            #[serde(skip_serializing_if = "Option::is_none")]
            means: Option<Means>,
            /// Set when autopay paid.
            #[serde(skip_serializing_if = "Option::is_none")]
            autopay_id: Option<Uuid>,
        },
        /// What the provider kept, and when the rest is available.
        Settled = "payment.settled" v 1 from "PaymentSettled" when "Soon after it succeeded." {
            payment_id: Uuid,
            property_id: Uuid,
            stripe_account_id: Uuid,
            /// What was charged.
            gross: Money,
            /// What the provider kept.
            fee: Money,
            net: Money,
            #[serde(skip_serializing_if = "Option::is_none")]
            available_at: Option<DateTime<Utc>>,
        },
        /// The payer's bank took the money back, for now or, when `returned`, for good.
        Disputed = "payment.disputed" v 1 from "PaymentDisputed" when "When a dispute is opened, or a bank debit comes back." {
            payment_id: Uuid,
            invoice_id: Uuid,
            property_id: Uuid,
            stripe_account_id: Uuid,
            /// What was taken from the account.
            amount: Money,
            /// What leaves the invoice.
            reversed: Money,
            /// A bank debit that came back: nothing can be contested.
            returned: bool,
        },
        /// The dispute was decided.
        DisputeClosed = "payment.dispute_closed" v 1 from "PaymentDisputeClosed" when "At the end of a dispute." {
            payment_id: Uuid,
            invoice_id: Uuid,
            won: bool,
            amount: Money,
            /// What comes back to the invoice when it was won.
            reversed: Money,
        },
        /// The attempt ended without money.
        Canceled = "payment.canceled" v 1 from "PaymentCanceled" when "At most once, instead of succeeding." {
            payment_id: Uuid,
            invoice_id: Uuid,
            reason: CancelReason,
            /// Set when it was autopay's.
            #[serde(skip_serializing_if = "Option::is_none")]
            autopay_id: Option<Uuid>,
        },
        /// A manager asked for money to go back, or somebody gave it back in the provider's dashboard.
        RefundRequested = "payment.refund_requested" v 1 from "RefundRequested" when "For each refund." {
            payment_id: Uuid,
            refund_id: Uuid,
            /// What the resident gets back.
            amount: Money,
        },
        /// The money went back.
        Refunded = "payment.refunded" v 1 from "RefundSucceeded" when "At most once for each refund." {
            payment_id: Uuid,
            refund_id: Uuid,
            invoice_id: Uuid,
            /// What the resident gets back.
            amount: Money,
            /// What leaves the invoice.
            reversed: Money,
        },
        /// The provider did not give the money back. Should it turn out later that it did, `payment.refunded` follows.
        RefundFailed = "payment.refund_failed" v 1 from "RefundFailed" when "At most once for each refund." {
            payment_id: Uuid,
            refund_id: Uuid,
            amount: Money,
        },
        /// The payer's bank would not take a refund: its money is at the provider again.
        RefundReturned = "payment.refund_returned" v 1 from "RefundReturned" when "At most once, after a refund." {
            payment_id: Uuid,
            refund_id: Uuid,
            invoice_id: Uuid,
            /// What came back.
            amount: Money,
            /// What of it is on the invoice again.
            reversed: Money,
        },
    }
}

impl From<stored::CancelReason> for CancelReason {
    fn from(reason: stored::CancelReason) -> Self {
        match reason {
            stored::CancelReason::Requested => Self::Requested,
            stored::CancelReason::Expired => Self::Expired,
            stored::CancelReason::NotReserved { why: _ } => Self::NotReserved,
            stored::CancelReason::Rejected { code: _ } => Self::Rejected,
            // By a person's word on what is there at the provider.
            stored::CancelReason::AtProvider | stored::CancelReason::Resolved => Self::AtProvider,
            stored::CancelReason::Declined { code: _ } => Self::Declined,
            stored::CancelReason::NotAuthorized { why: _ } => Self::NotAuthorized,
        }
    }
}

impl Tell for PaymentFact {
    type Event = PaymentEvent;

    fn tell(payment_id: Uuid, event: PaymentEvent) -> Option<Self> {
        Some(match event {
            PaymentEvent::PaymentRequested { invoice_id, amount, autopay_id } => Self::Requested {
                payment_id,
                invoice_id: invoice_id.0,
                amount: amount.into(),
                autopay_id: autopay_id.map(|id| id.0),
            },
            PaymentEvent::PaymentDeclined { code: _, decline_code: _, advice: _, charge: _, autopay_id } => {
                Self::Declined { payment_id, autopay_id: autopay_id.map(|id| id.0) }
            }
            PaymentEvent::PaymentProcessing { bank: _ } => Self::Processing { payment_id },
            PaymentEvent::PaymentSucceeded { invoice_id, amount, charge: _, card, bank, autopay_id } => {
                let means = match (card, bank) {
                    (Some(_), _) => Some(Means::Card),
                    (None, Some(_)) => Some(Means::BankDebit),
                    (None, None) => None,
                };
                Self::Succeeded {
                    payment_id,
                    invoice_id: invoice_id.0,
                    amount: amount.into(),
                    means,
                    autopay_id: autopay_id.map(|id| id.0),
                }
            }
            PaymentEvent::PaymentSettled {
                property_id,
                stripe_account_id,
                balance_transaction: _,
                gross,
                fee,
                net,
                available_at,
            } => Self::Settled {
                payment_id,
                property_id: property_id.0,
                stripe_account_id: stripe_account_id.0,
                gross: gross.into(),
                fee: fee.into(),
                net: net.into(),
                available_at,
            },
            PaymentEvent::PaymentDisputed {
                dispute: _,
                invoice_id,
                property_id,
                stripe_account_id,
                amount,
                reversed,
                reason: _,
                returned,
                autopay_id: _,
            } => Self::Disputed {
                payment_id,
                invoice_id: invoice_id.0,
                property_id: property_id.0,
                stripe_account_id: stripe_account_id.0,
                amount: amount.into(),
                reversed: reversed.into(),
                returned,
            },
            PaymentEvent::PaymentDisputeClosed { dispute: _, invoice_id, won, amount, reversed } => {
                Self::DisputeClosed {
                    payment_id,
                    invoice_id: invoice_id.0,
                    won,
                    amount: amount.into(),
                    reversed: reversed.into(),
                }
            }
            PaymentEvent::PaymentCanceled { invoice_id, reason, reserved: _, autopay_id } => Self::Canceled {
                payment_id,
                invoice_id: invoice_id.0,
                reason: reason.into(),
                autopay_id: autopay_id.map(|id| id.0),
            },
            PaymentEvent::RefundRequested { refund_id, amount, note: _ } => {
                Self::RefundRequested { payment_id, refund_id: refund_id.0, amount: amount.into() }
            }
            PaymentEvent::RefundSucceeded { refund_id, invoice_id, amount, reversed, refund: _ } => Self::Refunded {
                payment_id,
                refund_id: refund_id.0,
                invoice_id: invoice_id.0,
                amount: amount.into(),
                reversed: reversed.into(),
            },
            PaymentEvent::RefundFailed { refund_id, amount, code: _, refund: _ } => {
                Self::RefundFailed { payment_id, refund_id: refund_id.0, amount: amount.into() }
            }
            PaymentEvent::RefundReturned { refund_id, invoice_id, amount, reversed, code: _ } => Self::RefundReturned {
                payment_id,
                refund_id: refund_id.0,
                invoice_id: invoice_id.0,
                amount: amount.into(),
                reversed: reversed.into(),
            },
            // What passes between Propty, the provider and the payer's screen, and what a person is still looking at.
            PaymentEvent::PaymentPreviewRequested { .. }
            | PaymentEvent::PaymentPreviewFailed { .. }
            | PaymentEvent::PaymentQuoted { .. }
            | PaymentEvent::PaymentSubmitting { .. }
            | PaymentEvent::PaymentSubmitted { .. }
            | PaymentEvent::PaymentCancellationRequested { .. }
            | PaymentEvent::PaymentOutcomeUnknown { .. }
            | PaymentEvent::PaymentActionRequired {}
            | PaymentEvent::PaymentQuarantined { .. }
            | PaymentEvent::PaymentResolved { .. }
            | PaymentEvent::RefundSubmitting { .. }
            | PaymentEvent::RefundOutcomeUnknown { .. } => return None,
        })
    }

    fn property(event: &PaymentEvent) -> Option<PropertyId> {
        match event {
            PaymentEvent::PaymentPreviewRequested { property_id, .. }
            | PaymentEvent::PaymentQuoted { property_id, .. } => Some(*property_id),
            _ => None,
        }
    }
}
