//! An invoice: drafted, published, and the money on it.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AutopayId, CreditId, Money, PaymentId, PropertyId, RefundId, ResidentId, TimeZone, UnitId,
    text::{Line, Paragraphs, Title},
};

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvoiceLine {
    pub description: Title,
    /// May be negative (a discount) as long as the total is positive.
    pub amount: Money,
}

/// How money came in by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OfflineMethod {
    Cash,
    Check,
    Other,
}

/// Where applied money came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PaymentSource {
    /// A payment through Stripe that the resident made.
    Online,
    /// A payment through Stripe that autopay made.
    Autopay { autopay_id: AutopayId },
    /// Cash, a check, or a transfer that a manager recorded.
    Offline {
        method: OfflineMethod,
        /// The check's number or the like.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<Line<100>>,
        received_on: NaiveDate,
    },
}

/// Why applied money left the invoice again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReversalReason {
    /// An online payment was refunded through Stripe.
    Refund { refund_id: RefundId },
    /// The payer's bank took the money back until the dispute is decided.
    Dispute { dispute: String },
    /// A bank debit came back.
    Return { dispute: String, code: String },
    /// A manager took back what had been recorded by hand (a bounced check, a slip).
    OfflineCorrection { note: Line<200> },
}

/// Why a claim on an invoice ended without money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReleaseReason {
    Canceled,
    Expired,
    /// The provider refused the attempt for good.
    Failed,
}

events! {
    /// The life of an invoice. Open, Overdue and Paid are not events: they follow from these facts and the date.
    pub enum InvoiceEvent of "invoice" {
        /// An invoice was written, not yet shown to the resident.
        InvoiceDrafted = 1 {
            property_id: PropertyId,
            unit_id: UnitId,
            resident_id: ResidentId,
            title: Title,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            description: Option<Paragraphs>,
            lines: Vec<InvoiceLine>,
            total: Money,
            /// The last day to pay, in `time_zone`.
            due_on: NaiveDate,
            time_zone: TimeZone,
        },
        /// A new version of the invoice's text, lines or due date.
        InvoiceEdited = 1 {
            title: Title,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            description: Option<Paragraphs>,
            lines: Vec<InvoiceLine>,
            total: Money,
            due_on: NaiveDate,
        },
        /// A draft was thrown away.
        InvoiceDiscarded = 1 {},
        /// The invoice became payable.
        InvoicePublished = 1 {
            resident_id: ResidentId,
            /// The resident is to be told by e-mail.
            notify: bool,
        },
        /// A published invoice without money on it was withdrawn.
        InvoiceVoided = 1 { reason: Title },
        /// An online payment claimed the invoice; no other may until it is applied or released.
        PaymentReserved = 1 { payment_id: PaymentId, amount: Money },
        /// The claim ended without money.
        PaymentReleased = 1 { payment_id: PaymentId, reason: ReleaseReason },
        /// Money reached the invoice.
        PaymentApplied = 1 { payment_id: PaymentId, resident_id: ResidentId, amount: Money, balance: Money, source: PaymentSource },
        /// Applied money left the invoice again, wholly or in part.
        PaymentReversed = 1 { payment_id: PaymentId, amount: Money, balance: Money, reason: ReversalReason },
        /// A refund came back: what it had taken from the invoice is on it again.
        RefundUndone = 1 { payment_id: PaymentId, refund_id: RefundId, amount: Money, balance: Money },
        /// A dispute was won: its money is back.
        PaymentReinstated = 1 { payment_id: PaymentId, amount: Money, balance: Money, dispute: String },
        /// More came in than was due; the rest became the resident's credit.
        OverpaymentCredited = 1 {
            /// Counts the overpayments of this invoice from 1: by it a repeat is known.
            number: u32,
            credit_id: CreditId,
            resident_id: ResidentId,
            property_id: PropertyId,
            payment_id: PaymentId,
            amount: Money,
            balance: Money,
        },
        /// Credit reached the invoice.
        CreditApplied = 1 {
            credit_id: CreditId,
            /// The number of what was spent of the credit.
            number: u32,
            resident_id: ResidentId,
            amount: Money,
            balance: Money,
        },
        /// What is left is not expected any more.
        InvoiceWrittenOff = 1 { amount: Money, reason: Title },
        /// Money came in after all.
        WriteOffUndone = 1 {},
    }
}
