//! Money that reached or left an invoice, by the day on which it counts.

use chrono::{DateTime, NaiveDate, Utc};
use events::{InvoiceEvent, Recorded, invoice::PaymentSource};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Column, FoldError, ReadModel};

/// Movements of money on invoices.
#[derive(Debug)]
pub struct Movements;

/// Money applied to an invoice, or taken off it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovementRow {
    pub movement_id: Uuid,
    pub organization_id: Uuid,
    pub invoice_id: Uuid,
    pub payment_id: Uuid,
    /// `Applied`, `Reversed` or `Reinstated`. Credit that reaches an invoice is no movement: its money counted when it came in.
    pub kind: String,
    /// Minor units; negative when money left.
    pub amount: i64,
    pub currency: String,
    pub at: DateTime<Utc>,
    /// The day on which a manager received it; otherwise the local day of `at` counts.
    pub received_on: Option<NaiveDate>,
}

impl ReadModel for Movements {
    type Row = MovementRow;
    const NAME: &'static str = "movement";
    const VERSION: u32 = 3;
    const COLUMNS: &'static [Column] = &[
        ("movement_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("invoice_id", "uuid not null"),
        ("payment_id", "uuid not null"),
        ("kind", "text not null"),
        ("amount", "bigint not null"),
        ("currency", "text not null"),
        ("at", "timestamptz not null"),
        ("received_on", "date"),
    ];
    const INDEXES: &'static [&'static str] =
        &["(invoice_id)", "(organization_id, at)", "(organization_id, received_on) where received_on is not null"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        let moves = event.stream == "invoice"
            && matches!(
                &*event.event_type,
                "PaymentApplied" | "PaymentReversed" | "PaymentReinstated" | "RefundUndone"
            );
        Ok(if moves { vec![Uuid::new_v5(&event.stream_id, &event.version.to_be_bytes())] } else { vec![] })
    }

    fn fold(row: Option<MovementRow>, key: Uuid, event: &Recorded) -> Result<Option<MovementRow>, FoldError> {
        let (kind, payment_id, amount, sign, received_on) = match event.event::<InvoiceEvent>()? {
            Some(InvoiceEvent::PaymentApplied { payment_id, amount, source, .. }) => {
                let received_on = match source {
                    PaymentSource::Online | PaymentSource::Autopay { .. } => None,
                    PaymentSource::Offline { received_on, .. } => Some(received_on),
                };
                ("Applied", payment_id, amount, 1, received_on)
            }
            Some(InvoiceEvent::PaymentReversed { payment_id, amount, .. }) => {
                ("Reversed", payment_id, amount, -1, None)
            }
            Some(
                InvoiceEvent::PaymentReinstated { payment_id, amount, .. }
                | InvoiceEvent::RefundUndone { payment_id, amount, .. },
            ) => ("Reinstated", payment_id, amount, 1, None),
            _ => return Ok(row),
        };
        Ok(Some(MovementRow {
            movement_id: key,
            organization_id: event.organization.0,
            invoice_id: event.stream_id,
            payment_id: payment_id.0,
            kind: kind.to_owned(),
            amount: sign * amount.amount(),
            currency: amount.currency().code().to_owned(),
            at: event.recorded_at,
            received_on,
        }))
    }
}
