//! Invoices with their balance: the list that managers and residents look at.

use chrono::{DateTime, NaiveDate, Utc};
use events::{InvoiceEvent, Money, Recorded};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::{Column, FoldError, ReadModel};

pub use queries::{Filter, InvoiceDetail, InvoiceView, SortBy, detail, list};

#[path = "invoice_queries.rs"]
mod queries;

/// Invoices as they stand.
#[derive(Debug)]
pub struct Invoices;

/// An invoice as it stands. Overdue is not a column: it follows from `due_on` and the day of the question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvoiceRow {
    pub invoice_id: Uuid,
    pub organization_id: Uuid,
    pub property_id: Uuid,
    pub unit_id: Uuid,
    pub resident_id: Uuid,
    pub title: String,
    pub description: Option<String>,
    pub lines: Value,
    pub currency: String,
    /// Minor units, as all amounts.
    pub total: i64,
    pub paid: i64,
    pub balance: i64,
    pub due_on: NaiveDate,
    pub time_zone: String,
    /// `Draft`, `Discarded`, `Published` or `Void`; what was written off is `Void` with `written_off_at`.
    pub phase: String,
    /// The payment that has claimed the invoice.
    pub pending_payment_id: Option<Uuid>,
    pub drafted_at: DateTime<Utc>,
    pub published_at: Option<DateTime<Utc>>,
    pub settled_at: Option<DateTime<Utc>>,
    pub void_reason: Option<String>,
    /// How much of `paid` came from the resident's credit.
    pub credited: i64,
    /// What is left is not expected any more. The invoice counts as void until money comes in after all.
    pub written_off_at: Option<DateTime<Utc>>,
    pub written_off: Option<i64>,
    pub write_off_reason: Option<String>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl ReadModel for Invoices {
    type Row = InvoiceRow;
    const NAME: &'static str = "invoice";
    const VERSION: u32 = 2;
    const COLUMNS: &'static [Column] = &[
        ("invoice_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("property_id", "uuid not null"),
        ("unit_id", "uuid not null"),
        ("resident_id", "uuid not null"),
        ("title", "text not null"),
        ("description", "text"),
        ("lines", "json not null"),
        ("currency", "text not null"),
        ("total", "bigint not null"),
        ("paid", "bigint not null"),
        ("balance", "bigint not null"),
        ("due_on", "date not null"),
        ("time_zone", "text not null"),
        ("phase", "text not null"),
        ("pending_payment_id", "uuid"),
        ("drafted_at", "timestamptz not null"),
        ("published_at", "timestamptz"),
        ("settled_at", "timestamptz"),
        ("void_reason", "text"),
        ("credited", "bigint not null"),
        ("written_off_at", "timestamptz"),
        ("written_off", "bigint"),
        ("write_off_reason", "text"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] = &[
        "(organization_id, due_on, invoice_id)",
        "(organization_id, property_id, due_on, invoice_id)",
        "(resident_id, due_on)",
        "(unit_id, due_on)",
    ];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "invoice" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<InvoiceRow>, key: Uuid, event: &Recorded) -> Result<Option<InvoiceRow>, FoldError> {
        let Some(change) = event.event::<InvoiceEvent>()? else { return Ok(row) };
        let mut row = match change {
            InvoiceEvent::InvoiceDrafted {
                property_id,
                unit_id,
                resident_id,
                title,
                description,
                lines,
                total,
                due_on,
                time_zone,
            } => InvoiceRow {
                invoice_id: key,
                organization_id: event.organization.0,
                property_id: property_id.0,
                unit_id: unit_id.0,
                resident_id: resident_id.0,
                title: title.into(),
                description: description.map(Into::into),
                lines: serde_json::to_value(lines)?,
                currency: total.currency().code().to_owned(),
                total: total.amount(),
                paid: 0,
                balance: total.amount(),
                due_on,
                time_zone: time_zone.name().to_owned(),
                phase: "Draft".to_owned(),
                pending_payment_id: None,
                drafted_at: event.recorded_at,
                published_at: None,
                settled_at: None,
                void_reason: None,
                credited: 0,
                written_off_at: None,
                written_off: None,
                write_off_reason: None,
                version: 0,
            },
            later => {
                let mut row = row.ok_or(FoldError::Unexpected("an invoice's event without its draft"))?;
                row.change(later, event)?;
                row
            }
        };
        row.version = event.version;
        Ok(Some(row))
    }
}

impl InvoiceRow {
    fn change(&mut self, change: InvoiceEvent, event: &Recorded) -> Result<(), FoldError> {
        match change {
            InvoiceEvent::InvoiceDrafted { .. } => return Err(FoldError::Unexpected("drafted twice")),
            InvoiceEvent::InvoiceEdited { title, description, lines, total, due_on } => {
                self.title = title.into();
                self.description = description.map(Into::into);
                self.lines = serde_json::to_value(lines)?;
                self.total = total.amount();
                self.due_on = due_on;
                self.settle(total.amount() - self.paid, event);
            }
            InvoiceEvent::InvoiceDiscarded {} => "Discarded".clone_into(&mut self.phase),
            InvoiceEvent::InvoicePublished { .. } => {
                "Published".clone_into(&mut self.phase);
                self.published_at = Some(event.recorded_at);
            }
            InvoiceEvent::InvoiceVoided { reason } => {
                "Void".clone_into(&mut self.phase);
                self.void_reason = Some(reason.into());
            }
            InvoiceEvent::PaymentReserved { payment_id, .. } => self.pending_payment_id = Some(payment_id.0),
            InvoiceEvent::PaymentReleased { payment_id, .. } => self.unclaim(payment_id.0),
            InvoiceEvent::PaymentApplied { payment_id, balance, .. } => {
                self.unclaim(payment_id.0);
                self.rebalance(balance, event);
            }
            InvoiceEvent::PaymentReversed { balance, .. }
            | InvoiceEvent::PaymentReinstated { balance, .. }
            | InvoiceEvent::RefundUndone { balance, .. }
            | InvoiceEvent::OverpaymentCredited { balance, .. } => self.rebalance(balance, event),
            InvoiceEvent::CreditApplied { amount, balance, .. } => {
                self.credited += amount.amount();
                self.rebalance(balance, event);
            }
            InvoiceEvent::InvoiceWrittenOff { amount, reason } => {
                "Void".clone_into(&mut self.phase);
                self.written_off_at = Some(event.recorded_at);
                self.written_off = Some(amount.amount());
                self.write_off_reason = Some(reason.into());
            }
            InvoiceEvent::WriteOffUndone {} => {
                "Published".clone_into(&mut self.phase);
                self.written_off_at = None;
                self.written_off = None;
                self.write_off_reason = None;
            }
        }
        Ok(())
    }

    fn unclaim(&mut self, payment: Uuid) {
        self.pending_payment_id = self.pending_payment_id.filter(|holder| *holder != payment);
    }

    fn rebalance(&mut self, balance: Money, event: &Recorded) {
        self.paid = self.total - balance.amount();
        self.settle(balance.amount(), event);
    }

    fn settle(&mut self, balance: i64, event: &Recorded) {
        self.balance = balance;
        self.settled_at = (balance <= 0).then(|| self.settled_at.unwrap_or(event.recorded_at));
    }
}
