//! Payments, online and by hand, one row per attempt.

use chrono::{DateTime, NaiveDate, Utc};
use events::{
    InvoiceEvent, Money, PaymentEvent, Recorded, RefundId,
    invoice::{OfflineMethod, PaymentSource, ReversalReason},
    payment::{CancelReason, CardSummary},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::{Column, FoldError, ReadModel};

pub(crate) use queries::of_invoice;
pub use queries::{Filter, PaymentView, SortBy, detail, list};

#[path = "payment_queries.rs"]
mod queries;

/// Payments as they stand.
#[derive(Debug)]
pub struct Payments;

/// A refund of an online payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundItem {
    pub refund_id: Uuid,
    /// `Pending`, `Unknown`, `Succeeded` or `Failed`.
    pub status: String,
    /// What the resident gets back.
    pub amount: i64,
    /// What left the invoice.
    pub reversed: i64,
    pub code: Option<String>,
    pub note: Option<String>,
    pub requested_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// A payment. Amounts are minor units.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRow {
    /// The payment's id; of one by hand, derived from its invoice too, because managers choose those ids.
    pub row_id: Uuid,
    pub payment_id: Uuid,
    pub organization_id: Uuid,
    pub invoice_id: Uuid,
    /// Null for payments by hand: the invoice knows it.
    pub property_id: Option<Uuid>,
    pub resident_id: Uuid,
    /// `Online` or `Offline`.
    pub kind: String,
    /// `Quoted`, `Pending`, `ActionRequired`, `Processing`, `Declined`, `Unknown`, `Succeeded`, `Canceled`, `Quarantined`.
    pub phase: String,
    /// What people see: `Pending`, `Succeeded`, `Failed` or `Refunded`.
    pub status: String,
    /// What the invoice is credited with.
    pub amount: i64,
    pub fee: i64,
    /// What was or will be charged.
    pub total: i64,
    /// What the resident got back.
    pub refunded: i64,
    /// What left the invoice again.
    pub reversed: i64,
    pub currency: String,
    /// `Visa ****4242`, `Card`, `Cash`, `Check` or `Other`.
    pub method: String,
    pub card_brand: Option<String>,
    pub card_last4: Option<String>,
    /// A check's number or the like.
    pub reference: Option<String>,
    pub received_on: Option<NaiveDate>,
    pub failure_code: Option<String>,
    pub decline_code: Option<String>,
    /// Why it ended without money, or why it was taken back.
    pub cancellation: Option<Value>,
    /// Stripe's `pi_…`.
    pub intent: Option<String>,
    pub stripe_account_id: Option<Uuid>,
    /// For Stripe's form; only while the payment can be completed, and only for its resident.
    pub client_secret: Option<String>,
    /// Somebody has to look: an outcome is unknown, or Stripe reported something else than was asked.
    pub unresolved: bool,
    pub quoted_at: Option<DateTime<Utc>>,
    /// When somebody set out to pay, or when a payment by hand was recorded. Null: merely quoted.
    pub requested_at: Option<DateTime<Utc>>,
    pub succeeded_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub refunds: Vec<RefundItem>,
    /// The payment stream's version; zero for payments by hand.
    pub version: i64,
}

impl std::fmt::Debug for PaymentRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentRow")
            .field("payment_id", &self.payment_id)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl ReadModel for Payments {
    type Row = PaymentRow;
    const NAME: &'static str = "payment";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("row_id", "uuid not null"),
        ("payment_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("invoice_id", "uuid not null"),
        ("property_id", "uuid"),
        ("resident_id", "uuid not null"),
        ("kind", "text not null"),
        ("phase", "text not null"),
        ("status", "text not null"),
        ("amount", "bigint not null"),
        ("fee", "bigint not null"),
        ("total", "bigint not null"),
        ("refunded", "bigint not null"),
        ("reversed", "bigint not null"),
        ("currency", "text not null"),
        ("method", "text not null"),
        ("card_brand", "text"),
        ("card_last4", "text"),
        ("reference", "text"),
        ("received_on", "date"),
        ("failure_code", "text"),
        ("decline_code", "text"),
        ("cancellation", "json"),
        ("intent", "text"),
        ("stripe_account_id", "uuid"),
        ("client_secret", "text"),
        ("unresolved", "boolean not null"),
        ("quoted_at", "timestamptz"),
        ("requested_at", "timestamptz"),
        ("succeeded_at", "timestamptz"),
        ("ended_at", "timestamptz"),
        ("expires_at", "timestamptz"),
        ("refunds", "json not null"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] = &[
        "(invoice_id)",
        "(resident_id, requested_at)",
        "(organization_id, requested_at, payment_id)",
        "(organization_id) where unresolved",
    ];
    const PERSONAL: Option<(&'static str, &'static [&'static str])> = Some(("resident_id", &["client_secret"]));

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        if event.stream == "payment" {
            return Ok(vec![event.stream_id]);
        }
        // Only payments by hand live in the invoice's stream alone.
        let by_hand = event.stream == "invoice"
            && match &*event.event_type {
                "PaymentApplied" => event.payload.pointer("/PaymentApplied/source/Offline").is_some(),
                "PaymentReversed" => event.payload.pointer("/PaymentReversed/reason/OfflineCorrection").is_some(),
                _ => false,
            };
        if !by_hand {
            return Ok(vec![]);
        }
        Ok(match event.event::<InvoiceEvent>()? {
            Some(
                InvoiceEvent::PaymentApplied { payment_id, .. } | InvoiceEvent::PaymentReversed { payment_id, .. },
            ) => vec![Uuid::new_v5(&event.stream_id, payment_id.0.as_bytes())],
            _ => vec![],
        })
    }

    fn fold(row: Option<PaymentRow>, key: Uuid, event: &Recorded) -> Result<Option<PaymentRow>, FoldError> {
        let mut row = if let Some(change) = event.event::<PaymentEvent>()? {
            let mut row = match (row, &change) {
                (None, PaymentEvent::PaymentQuoted { .. }) => PaymentRow::new(key, event),
                (Some(_), PaymentEvent::PaymentQuoted { .. }) => return Err(FoldError::Unexpected("quoted twice")),
                (row, _) => row.ok_or(FoldError::Unexpected("a payment's event without its quote"))?,
            };
            row.change(change, event)?;
            row.version = event.version;
            row
        } else {
            match event.event::<InvoiceEvent>()? {
                Some(InvoiceEvent::PaymentApplied { payment_id, resident_id, amount, source, .. }) => {
                    PaymentRow { payment_id: payment_id.0, ..by_hand(key, event, resident_id.0, amount, source)? }
                }
                Some(InvoiceEvent::PaymentReversed { amount, reason, .. }) => {
                    let mut row = row.ok_or(FoldError::Unexpected("taken back before it was recorded"))?;
                    row.take_back(amount, reason, event);
                    row
                }
                _ => return Ok(row),
            }
        };
        row.settle();
        Ok(Some(row))
    }
}

fn by_hand(
    key: Uuid,
    event: &Recorded,
    resident: Uuid,
    amount: Money,
    source: PaymentSource,
) -> Result<PaymentRow, FoldError> {
    let PaymentSource::Offline { method, reference, received_on } = source else {
        return Err(FoldError::Unexpected("an online payment in the place of one by hand"));
    };
    Ok(PaymentRow {
        invoice_id: event.stream_id,
        resident_id: resident,
        kind: "Offline".to_owned(),
        phase: "Succeeded".to_owned(),
        amount: amount.amount(),
        total: amount.amount(),
        currency: amount.currency().code().to_owned(),
        method: match method {
            OfflineMethod::Cash => "Cash",
            OfflineMethod::Check => "Check",
            OfflineMethod::Other => "Other",
        }
        .to_owned(),
        reference: reference.map(Into::into),
        received_on: Some(received_on),
        requested_at: Some(event.recorded_at),
        succeeded_at: Some(event.recorded_at),
        ..PaymentRow::new(key, event)
    })
}

impl PaymentRow {
    fn new(key: Uuid, event: &Recorded) -> Self {
        Self {
            row_id: key,
            payment_id: key,
            organization_id: event.organization.0,
            invoice_id: Uuid::nil(),
            property_id: None,
            resident_id: Uuid::nil(),
            kind: "Online".to_owned(),
            phase: "Quoted".to_owned(),
            status: "Pending".to_owned(),
            amount: 0,
            fee: 0,
            total: 0,
            refunded: 0,
            reversed: 0,
            currency: String::new(),
            method: "Card".to_owned(),
            card_brand: None,
            card_last4: None,
            reference: None,
            received_on: None,
            failure_code: None,
            decline_code: None,
            cancellation: None,
            intent: None,
            stripe_account_id: None,
            client_secret: None,
            unresolved: false,
            quoted_at: None,
            requested_at: None,
            succeeded_at: None,
            ended_at: None,
            expires_at: None,
            refunds: vec![],
            version: 0,
        }
    }

    fn ended(&self) -> bool {
        matches!(&*self.phase, "Succeeded" | "Canceled" | "Quarantined")
    }

    /// Goes on to another phase unless the money is already where it will be.
    fn go(&mut self, phase: &str) {
        if !self.ended() {
            phase.clone_into(&mut self.phase);
        }
    }

    fn change(&mut self, change: PaymentEvent, event: &Recorded) -> Result<(), FoldError> {
        match change {
            PaymentEvent::PaymentQuoted {
                invoice_id,
                property_id,
                resident_id,
                stripe_account_id,
                amount,
                fee,
                total,
                expires_at,
                ..
            } => {
                self.invoice_id = invoice_id.0;
                self.property_id = Some(property_id.0);
                self.resident_id = resident_id.0;
                self.stripe_account_id = Some(stripe_account_id.0);
                self.amount = amount.amount();
                self.fee = fee.amount();
                self.total = total.amount();
                amount.currency().code().clone_into(&mut self.currency);
                self.quoted_at = Some(event.recorded_at);
                self.expires_at = Some(expires_at);
            }
            PaymentEvent::PaymentRequested { .. } => {
                self.go("Pending");
                self.requested_at = Some(event.recorded_at);
            }
            PaymentEvent::PaymentSubmitting { .. } => self.go("Pending"),
            PaymentEvent::PaymentSubmitted { intent, client_secret } => {
                self.go("Pending");
                self.intent = Some(intent);
                self.client_secret = client_secret.into_value();
            }
            PaymentEvent::PaymentCancellationRequested { reason } => {
                self.cancellation = Some(serde_json::to_value(reason)?);
            }
            PaymentEvent::PaymentOutcomeUnknown { .. } => self.go("Unknown"),
            PaymentEvent::PaymentActionRequired {} => self.go("ActionRequired"),
            PaymentEvent::PaymentDeclined { code, decline_code, .. } => {
                self.go("Declined");
                self.failure_code = Some(code);
                self.decline_code = decline_code;
            }
            PaymentEvent::PaymentProcessing {} => self.go("Processing"),
            PaymentEvent::PaymentSucceeded { card, .. } => {
                "Succeeded".clone_into(&mut self.phase);
                self.succeeded_at = Some(event.recorded_at);
                self.failure_code = None;
                self.decline_code = None;
                self.cancellation = None;
                if let Some(card) = card {
                    self.paid_with(card);
                }
            }
            PaymentEvent::PaymentCanceled { reason, .. } => {
                self.go("Canceled");
                self.ended_at = Some(event.recorded_at);
                if let CancelReason::Rejected { code } = &reason {
                    self.failure_code = Some(code.clone());
                }
                self.cancellation = Some(serde_json::to_value(reason)?);
            }
            PaymentEvent::PaymentQuarantined { .. } => {
                "Quarantined".clone_into(&mut self.phase);
                self.ended_at = Some(event.recorded_at);
            }
            PaymentEvent::RefundRequested { refund_id, amount, note } => self.refunds.push(RefundItem {
                refund_id: refund_id.0,
                status: "Pending".to_owned(),
                amount: amount.amount(),
                reversed: 0,
                code: None,
                note: note.map(Into::into),
                requested_at: event.recorded_at,
                settled_at: None,
            }),
            PaymentEvent::RefundSubmitting { refund_id, .. } => {
                "Pending".clone_into(&mut self.refund(refund_id)?.status);
            }
            PaymentEvent::RefundOutcomeUnknown { refund_id, .. } => {
                "Unknown".clone_into(&mut self.refund(refund_id)?.status);
            }
            PaymentEvent::RefundSucceeded { refund_id, amount, reversed, .. } => {
                let refund = self.refund(refund_id)?;
                "Succeeded".clone_into(&mut refund.status);
                refund.amount = amount.amount();
                refund.reversed = reversed.amount();
                refund.settled_at = Some(event.recorded_at);
                self.refunded += amount.amount();
                self.reversed += reversed.amount();
            }
            PaymentEvent::RefundFailed { refund_id, code, .. } => {
                let refund = self.refund(refund_id)?;
                "Failed".clone_into(&mut refund.status);
                refund.code = Some(code);
                refund.settled_at = Some(event.recorded_at);
            }
        }
        Ok(())
    }

    fn refund(&mut self, id: RefundId) -> Result<&mut RefundItem, FoldError> {
        self.refunds
            .iter_mut()
            .find(|refund| refund.refund_id == id.0)
            .ok_or(FoldError::Unexpected("a refund that nobody asked for"))
    }

    fn paid_with(&mut self, card: CardSummary) {
        let mut letters = card.brand.chars();
        let brand = letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters).collect::<String>();
        self.method = format!("{} ****{}", brand.replace('_', " "), card.last4);
        self.card_brand = Some(card.brand);
        self.card_last4 = Some(card.last4);
    }

    fn take_back(&mut self, amount: Money, reason: ReversalReason, event: &Recorded) {
        self.reversed += amount.amount();
        if self.reversed >= self.amount {
            self.ended_at = Some(event.recorded_at);
        }
        if let ReversalReason::OfflineCorrection { note } = reason {
            self.cancellation = Some(serde_json::json!({ "OfflineCorrection": { "note": note.as_str() } }));
        }
    }

    /// What follows from the rest.
    fn settle(&mut self) {
        if self.ended() {
            self.client_secret = None;
        }
        let unknown_refund = self.refunds.iter().any(|refund| refund.status == "Unknown");
        self.unresolved = unknown_refund || matches!(&*self.phase, "Unknown" | "Quarantined");
        let status = match &*self.phase {
            "Succeeded" if self.refunded > 0 && self.refunded >= self.total => "Refunded",
            // Recorded by hand and taken back whole: there was no money, or not this much.
            "Succeeded" if self.kind == "Offline" && self.reversed >= self.amount => "Failed",
            "Succeeded" => "Succeeded",
            "Declined" | "Canceled" => "Failed",
            _ => "Pending",
        };
        status.clone_into(&mut self.status);
    }
}
