//! Payments, online and by hand, one row per attempt.

use chrono::{DateTime, NaiveDate, Utc};
use events::{
    InvoiceEvent, Money, PaymentEvent, Recorded,
    invoice::{OfflineMethod, PaymentSource},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    text::{bank_label, card_label},
};

pub(crate) use queries::of_invoice;
pub use queries::{Filter, PaymentView, SortBy, detail, list, told};

#[path = "payment_fold.rs"]
mod fold;
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
    /// `Previewing`, `PreviewFailed`, `Quoted`, `Pending`, `ActionRequired`, `Processing`, `Declined`, `Unknown`, `Succeeded`, `Canceled`, `Quarantined`.
    pub phase: String,
    /// What people see: `Pending`, `Succeeded`, `Failed` or `Refunded`. Money that the payer's bank took back whole is
    /// `Pending` while the dispute is open and `Failed` once it is lost or a bank debit came back.
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
    /// `Card`, `Bank`, `Cash`, `Check` or `Other`; see [`Self::method_label`].
    pub method: String,
    /// `Card` or `BankDebit`; null for payments by hand.
    pub method_kind: Option<String>,
    /// `credit`, `debit`, `prepaid` or `unknown`; null as long as it is not known.
    pub funding: Option<String>,
    /// Why less than the price list's fee is charged on top.
    pub waiver: Option<Value>,
    /// Set when it is autopay that charges.
    pub autopay_id: Option<Uuid>,
    pub card_brand: Option<String>,
    pub card_last4: Option<String>,
    pub bank_name: Option<String>,
    pub bank_last4: Option<String>,
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
    /// What Stripe kept and paid, in the account's currency; the managers' business.
    pub settled_currency: Option<String>,
    /// What Stripe kept.
    pub processor_fee: Option<i64>,
    pub settled_net: Option<i64>,
    pub available_at: Option<DateTime<Utc>>,
    /// Stripe's `txn_…`.
    pub balance_transaction: Option<String>,
    /// Stripe's `dp_…` or `du_…`, of the last dispute or return.
    pub dispute: Option<String>,
    /// `Open`, `Won`, `Lost` or `Returned`.
    pub dispute_status: Option<String>,
    /// Stripe's word.
    pub dispute_reason: Option<String>,
    /// What was taken from the account.
    pub disputed: i64,
    /// What left the invoice because of it, and has not come back.
    pub dispute_reversed: i64,
    pub disputed_at: Option<DateTime<Utc>>,
    pub dispute_closed_at: Option<DateTime<Utc>>,
    /// The payment stream's version; zero for payments by hand.
    pub version: i64,
}

impl PaymentRow {
    /// `Visa ****4242`, `Bank ****6789`, or the bare method where no more is known, or any more.
    pub fn method_label(&self) -> String {
        match (&self.card_brand, &self.card_last4, &self.bank_last4) {
            (Some(brand), Some(last4), _) => card_label(brand, last4),
            (.., Some(last4)) => bank_label(last4),
            _ => self.method.clone(),
        }
    }
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
    const VERSION: u32 = 3;
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
        ("method_kind", "text"),
        ("funding", "text"),
        ("waiver", "json"),
        ("autopay_id", "uuid"),
        ("card_brand", "text"),
        ("card_last4", "text"),
        ("bank_name", "text"),
        ("bank_last4", "text"),
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
        ("settled_currency", "text"),
        ("processor_fee", "bigint"),
        ("settled_net", "bigint"),
        ("available_at", "timestamptz"),
        ("balance_transaction", "text"),
        ("dispute", "text"),
        ("dispute_status", "text"),
        ("dispute_reason", "text"),
        ("disputed", "bigint not null"),
        ("dispute_reversed", "bigint not null"),
        ("disputed_at", "timestamptz"),
        ("dispute_closed_at", "timestamptz"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] = &[
        "(invoice_id)",
        "(resident_id, requested_at)",
        "(organization_id, requested_at, payment_id)",
        "(organization_id) where unresolved",
        "(autopay_id) where autopay_id is not null",
    ];
    const PERSONAL: Option<(&'static str, &'static [&'static str])> =
        Some(("resident_id", &["card_brand", "card_last4", "bank_name", "bank_last4", "reference", "client_secret"]));

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
                (None, PaymentEvent::PaymentQuoted { .. } | PaymentEvent::PaymentPreviewRequested { .. }) => {
                    PaymentRow::new(key, event)
                }
                // Shown a card first, then told what it costs.
                (Some(row), PaymentEvent::PaymentQuoted { .. }) if row.phase == "Previewing" => row,
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
