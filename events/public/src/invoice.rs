//! What is told of an invoice: its money and its days. Its words stay behind, for people type names into them.

use chrono::NaiveDate;
use events::{InvoiceEvent, PropertyId, invoice as stored};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{Tell, values::Money};

/// Where applied money came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum SourceKind {
    /// A payment that the resident made online.
    Online,
    /// A payment that autopay made.
    Autopay,
    Cash,
    Check,
    /// Recorded by hand, and neither cash nor a check.
    Other,
}

/// Where applied money came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Source {
    pub kind: SourceKind,
    /// Set when autopay made the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autopay_id: Option<Uuid>,
    /// Set when it was recorded by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_on: Option<NaiveDate>,
}

/// Why applied money left the invoice again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum ReversalReason {
    Refund,
    /// The payer's bank took the money back until the dispute is decided.
    Dispute,
    /// A bank debit came back.
    Return,
    /// A manager took back what had been recorded by hand.
    OfflineCorrection,
}

public! {
    /// The life of an invoice. Open, overdue and paid are no events: they follow from these facts and the date.
    pub enum InvoiceFact {
        /// An invoice was written, not yet shown to the resident.
        Drafted = "invoice.drafted" v 1 from "InvoiceDrafted" when "Once per invoice, by hand or by a bulk job." {
            invoice_id: Uuid,
            property_id: Uuid,
            unit_id: Uuid,
            resident_id: Uuid,
            total: Money,
            /// The amount of each line.
            lines: Vec<Money>,
            /// The last day to pay, in `time_zone`.
            due_on: NaiveDate,
            /// IANA name of the property's zone.
            time_zone: String,
        },
        /// A draft has other lines, another due date or other words.
        Edited = "invoice.edited" v 1 from "InvoiceEdited" when "Before it is published, as often as it is edited." {
            invoice_id: Uuid,
            total: Money,
            /// The amount of each line.
            lines: Vec<Money>,
            due_on: NaiveDate,
        },
        /// A draft was thrown away.
        Discarded = "invoice.discarded" v 1 from "InvoiceDiscarded" when "At most once, instead of being published." {
            invoice_id: Uuid,
        },
        /// The invoice became payable.
        Published = "invoice.published" v 1 from "InvoicePublished" when "At most once per invoice." {
            invoice_id: Uuid,
            resident_id: Uuid,
        },
        /// A published invoice without money on it was withdrawn.
        Voided = "invoice.voided" v 1 from "InvoiceVoided" when "At most once per invoice." { invoice_id: Uuid },
        /// Money reached the invoice.
        PaymentApplied = "invoice.payment_applied" v 1 from "PaymentApplied"
            when "For each payment that succeeded or was recorded by hand." {
            invoice_id: Uuid,
            payment_id: Uuid,
            resident_id: Uuid,
            amount: Money,
            /// What is still due.
            balance: Money,
            source: Source,
        },
        /// Applied money left the invoice again, wholly or in part.
        PaymentReversed = "invoice.payment_reversed" v 1 from "PaymentReversed"
            when "For a refund, a dispute, a returned bank debit, or a correction by hand." {
            invoice_id: Uuid,
            payment_id: Uuid,
            amount: Money,
            /// What is still due.
            balance: Money,
            reason: ReversalReason,
            /// Set for refunds.
            #[serde(skip_serializing_if = "Option::is_none")]
            refund_id: Option<Uuid>,
        },
        /// A dispute was won: its money is back on the invoice.
        PaymentReinstated = "invoice.payment_reinstated" v 1 from "PaymentReinstated" when "After a dispute that was won." {
            invoice_id: Uuid,
            payment_id: Uuid,
            amount: Money,
            /// What is still due.
            balance: Money,
        },
        /// A refund came back from the payer's bank: its money is on the invoice again.
        RefundUndone = "invoice.refund_undone" v 1 from "RefundUndone" when "When a refund that had succeeded comes back." {
            invoice_id: Uuid,
            payment_id: Uuid,
            refund_id: Uuid,
            amount: Money,
            /// What is still due.
            balance: Money,
        },
        /// More came in than was due; the rest became the resident's credit.
        OverpaymentCredited = "invoice.overpayment_credited" v 1 from "OverpaymentCredited"
            when "For each payment beyond what is due." {
            invoice_id: Uuid,
            credit_id: Uuid,
            resident_id: Uuid,
            property_id: Uuid,
            payment_id: Uuid,
            amount: Money,
            /// What is still due.
            balance: Money,
        },
        /// Credit reached the invoice.
        CreditApplied = "invoice.credit_applied" v 1 from "CreditApplied"
            when "When the resident had credit as the invoice was published, or got some while it was open." {
            invoice_id: Uuid,
            credit_id: Uuid,
            resident_id: Uuid,
            amount: Money,
            /// What is still due.
            balance: Money,
        },
        /// What is left is not expected any more.
        WrittenOff = "invoice.written_off" v 1 from "InvoiceWrittenOff" when "By a manager's decision." {
            invoice_id: Uuid,
            amount: Money,
        },
        /// Money came in after all: the write-off does not hold any more.
        WriteOffUndone = "invoice.write_off_undone" v 1 from "WriteOffUndone" when "When a written-off invoice gets money." {
            invoice_id: Uuid,
        },
    }
}

fn amounts(lines: Vec<stored::InvoiceLine>) -> Vec<Money> {
    lines.into_iter().map(|line| line.amount.into()).collect()
}

impl From<stored::PaymentSource> for Source {
    fn from(source: stored::PaymentSource) -> Self {
        match source {
            stored::PaymentSource::Online => Self { kind: SourceKind::Online, autopay_id: None, received_on: None },
            stored::PaymentSource::Autopay { autopay_id } => {
                Self { kind: SourceKind::Autopay, autopay_id: Some(autopay_id.0), received_on: None }
            }
            stored::PaymentSource::Offline { method, reference: _, received_on } => {
                let kind = match method {
                    stored::OfflineMethod::Cash => SourceKind::Cash,
                    stored::OfflineMethod::Check => SourceKind::Check,
                    stored::OfflineMethod::Other => SourceKind::Other,
                };
                Self { kind, autopay_id: None, received_on: Some(received_on) }
            }
        }
    }
}

impl Tell for InvoiceFact {
    type Event = InvoiceEvent;

    fn tell(invoice_id: Uuid, event: InvoiceEvent) -> Option<Self> {
        Some(match event {
            InvoiceEvent::InvoiceDrafted {
                property_id,
                unit_id,
                resident_id,
                title: _,
                description: _,
                lines,
                total,
                due_on,
                time_zone,
            } => Self::Drafted {
                invoice_id,
                property_id: property_id.0,
                unit_id: unit_id.0,
                resident_id: resident_id.0,
                total: total.into(),
                lines: amounts(lines),
                due_on,
                time_zone: time_zone.name().to_owned(),
            },
            InvoiceEvent::InvoiceEdited { title: _, description: _, lines, total, due_on } => {
                Self::Edited { invoice_id, total: total.into(), lines: amounts(lines), due_on }
            }
            InvoiceEvent::InvoiceDiscarded {} => Self::Discarded { invoice_id },
            InvoiceEvent::InvoicePublished { resident_id, notify: _ } => {
                Self::Published { invoice_id, resident_id: resident_id.0 }
            }
            InvoiceEvent::InvoiceVoided { reason: _ } => Self::Voided { invoice_id },
            // Claims of payments that are under way.
            InvoiceEvent::PaymentReserved { .. } | InvoiceEvent::PaymentReleased { .. } => return None,
            InvoiceEvent::PaymentApplied { payment_id, resident_id, amount, balance, source } => Self::PaymentApplied {
                invoice_id,
                payment_id: payment_id.0,
                resident_id: resident_id.0,
                amount: amount.into(),
                balance: balance.into(),
                source: source.into(),
            },
            InvoiceEvent::PaymentReversed { payment_id, amount, balance, reason } => {
                let (reason, refund_id) = match reason {
                    stored::ReversalReason::Refund { refund_id } => (ReversalReason::Refund, Some(refund_id.0)),
                    stored::ReversalReason::Dispute { dispute: _ } => (ReversalReason::Dispute, None),
                    stored::ReversalReason::Return { dispute: _, code: _ } => (ReversalReason::Return, None),
                    stored::ReversalReason::OfflineCorrection { note: _ } => (ReversalReason::OfflineCorrection, None),
                };
                Self::PaymentReversed {
                    invoice_id,
                    payment_id: payment_id.0,
                    amount: amount.into(),
                    balance: balance.into(),
                    reason,
                    refund_id,
                }
            }
            InvoiceEvent::PaymentReinstated { payment_id, amount, balance, dispute: _ } => Self::PaymentReinstated {
                invoice_id,
                payment_id: payment_id.0,
                amount: amount.into(),
                balance: balance.into(),
            },
            InvoiceEvent::RefundUndone { payment_id, refund_id, amount, balance } => Self::RefundUndone {
                invoice_id,
                payment_id: payment_id.0,
                refund_id: refund_id.0,
                amount: amount.into(),
                balance: balance.into(),
            },
            InvoiceEvent::OverpaymentCredited {
                number: _,
                credit_id,
                resident_id,
                property_id,
                payment_id,
                amount,
                balance,
            } => Self::OverpaymentCredited {
                invoice_id,
                credit_id: credit_id.0,
                resident_id: resident_id.0,
                property_id: property_id.0,
                payment_id: payment_id.0,
                amount: amount.into(),
                balance: balance.into(),
            },
            InvoiceEvent::CreditApplied { credit_id, number: _, resident_id, amount, balance } => Self::CreditApplied {
                invoice_id,
                credit_id: credit_id.0,
                resident_id: resident_id.0,
                amount: amount.into(),
                balance: balance.into(),
            },
            InvoiceEvent::InvoiceWrittenOff { amount, reason: _ } => {
                Self::WrittenOff { invoice_id, amount: amount.into() }
            }
            InvoiceEvent::WriteOffUndone {} => Self::WriteOffUndone { invoice_id },
        })
    }

    fn property(event: &InvoiceEvent) -> Option<PropertyId> {
        match event {
            InvoiceEvent::InvoiceDrafted { property_id, .. } => Some(*property_id),
            _ => None,
        }
    }
}
