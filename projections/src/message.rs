//! E-mails and what became of them.

use chrono::{DateTime, Utc};
use events::{EmailMessageEvent, Recorded, email::EmailContent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    text::word,
};

pub(crate) use queries::of_invoice;
pub use queries::{Filter, MessageDetail, detail, list};

#[path = "message_queries.rs"]
mod queries;

/// The e-mail log.
#[derive(Debug)]
pub struct Messages;

/// An e-mail. Its address is not kept here.
#[expect(clippy::struct_excessive_bools, reason = "hints that come and go independently of each other")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    pub message_id: Uuid,
    pub organization_id: Uuid,
    pub resident_id: Uuid,
    pub property_id: Option<Uuid>,
    pub invoice_id: Option<Uuid>,
    pub payment_id: Option<Uuid>,
    /// `invoice-published`, `payment-received` or `sign-in-link`.
    pub kind: String,
    /// ISO 639-1.
    pub language: String,
    /// English, because the resident's language had no template.
    pub fallback: bool,
    /// `Queued`, `Suppressed`, `Sending`, `Unresolved`, `Sent`, `Delivered`, `Bounced`, `Complained` or `Failed`.
    pub status: String,
    pub suppression: Option<String>,
    /// `Permanent`, `Transient` or `Undetermined`.
    pub bounce_kind: Option<String>,
    /// Why it bounced, in the words of a server; emptied on erasure, since it may name the mailbox.
    pub bounce_reason: Option<String>,
    pub failure_reason: Option<String>,
    /// `resend` or `smtp`.
    pub provider: Option<String>,
    pub provider_id: Option<String>,
    pub requested_at: DateTime<Utc>,
    pub suppressed_at: Option<DateTime<Utc>>,
    pub submitted_at: Option<DateTime<Utc>>,
    pub accepted_at: Option<DateTime<Utc>>,
    pub delayed_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub bounced_at: Option<DateTime<Utc>>,
    pub complained_at: Option<DateTime<Utc>>,
    pub opened_at: Option<DateTime<Utc>>,
    pub clicked_at: Option<DateTime<Utc>>,
    pub failed_at: Option<DateTime<Utc>>,
    pub delayed: bool,
    pub opened: bool,
    pub clicked: bool,
    /// The event that caused it, as `stream/id/version`.
    pub cause: String,
    pub resend_of: Option<Uuid>,
    /// The message that was sent in its stead.
    pub resent_as: Option<Uuid>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl ReadModel for Messages {
    type Row = MessageRow;
    const NAME: &'static str = "message";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("message_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("resident_id", "uuid not null"),
        ("property_id", "uuid"),
        ("invoice_id", "uuid"),
        ("payment_id", "uuid"),
        ("kind", "text not null"),
        ("language", "text not null"),
        ("fallback", "boolean not null"),
        ("status", "text not null"),
        ("suppression", "text"),
        ("bounce_kind", "text"),
        ("bounce_reason", "text"),
        ("failure_reason", "text"),
        ("provider", "text"),
        ("provider_id", "text"),
        ("requested_at", "timestamptz not null"),
        ("suppressed_at", "timestamptz"),
        ("submitted_at", "timestamptz"),
        ("accepted_at", "timestamptz"),
        ("delayed_at", "timestamptz"),
        ("delivered_at", "timestamptz"),
        ("bounced_at", "timestamptz"),
        ("complained_at", "timestamptz"),
        ("opened_at", "timestamptz"),
        ("clicked_at", "timestamptz"),
        ("failed_at", "timestamptz"),
        ("delayed", "boolean not null"),
        ("opened", "boolean not null"),
        ("clicked", "boolean not null"),
        ("cause", "text not null"),
        ("resend_of", "uuid"),
        ("resent_as", "uuid"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] = &[
        "(invoice_id, requested_at)",
        "(resident_id, requested_at)",
        "(organization_id, requested_at, message_id)",
        "(organization_id) where status = 'Unresolved'",
    ];
    const PERSONAL: Option<(&'static str, &'static [&'static str])> =
        Some(("resident_id", &["bounce_reason", "failure_reason"]));

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "email" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<MessageRow>, key: Uuid, event: &Recorded) -> Result<Option<MessageRow>, FoldError> {
        let Some(change) = event.event::<EmailMessageEvent>()? else { return Ok(row) };
        let mut row = match change {
            EmailMessageEvent::EmailRequested {
                resident_id,
                property_id,
                content,
                language,
                fallback,
                cause,
                resend_of,
                template: _,
            } => MessageRow {
                message_id: key,
                organization_id: event.organization.0,
                resident_id: resident_id.0,
                property_id: property_id.map(|id| id.0),
                invoice_id: content.invoice_id().map(|id| id.0),
                payment_id: match &content {
                    EmailContent::PaymentReceived { payment_id, .. }
                    | EmailContent::AutopayCharged { payment_id, .. } => Some(payment_id.0),
                    EmailContent::InvoicePublished { .. }
                    | EmailContent::PaymentReminder { .. }
                    | EmailContent::AutopayNotice { .. }
                    | EmailContent::AutopayHeld { .. }
                    | EmailContent::AutopayFailed { .. }
                    | EmailContent::AutopayPaused { .. }
                    | EmailContent::SignInLink { .. } => None,
                },
                kind: content.kind().to_owned(),
                language: language.code().to_owned(),
                fallback,
                status: "Queued".to_owned(),
                suppression: None,
                bounce_kind: None,
                bounce_reason: None,
                failure_reason: None,
                provider: None,
                provider_id: None,
                requested_at: event.recorded_at,
                suppressed_at: None,
                submitted_at: None,
                accepted_at: None,
                delayed_at: None,
                delivered_at: None,
                bounced_at: None,
                complained_at: None,
                opened_at: None,
                clicked_at: None,
                failed_at: None,
                delayed: false,
                opened: false,
                clicked: false,
                cause,
                resend_of: resend_of.map(|id| id.0),
                resent_as: None,
                version: 0,
            },
            later => {
                let mut row = row.ok_or(FoldError::Unexpected("an e-mail's event without its request"))?;
                row.change(later, event.recorded_at)?;
                row
            }
        };
        row.version = event.version;
        Ok(Some(row))
    }
}

/// How far a status is, in the order of the domain: reports arrive late and twice.
fn rank(status: &str) -> usize {
    const ORDER: [&str; 9] =
        ["Queued", "Suppressed", "Sending", "Unresolved", "Failed", "Sent", "Delivered", "Bounced", "Complained"];
    ORDER.iter().position(|known| *known == status).unwrap_or_default()
}

impl MessageRow {
    /// Goes forward, never back.
    fn reach(&mut self, status: &str) {
        if rank(status) > rank(&self.status) {
            status.clone_into(&mut self.status);
        }
    }

    fn change(&mut self, change: EmailMessageEvent, at: DateTime<Utc>) -> Result<(), FoldError> {
        match change {
            EmailMessageEvent::EmailRequested { .. } => return Err(FoldError::Unexpected("requested twice")),
            EmailMessageEvent::EmailSuppressed { reason } => {
                "Suppressed".clone_into(&mut self.status);
                self.suppression = Some(word(&reason)?);
                self.suppressed_at = Some(at);
            }
            EmailMessageEvent::EmailSubmitting { provider, .. } => {
                "Sending".clone_into(&mut self.status);
                self.provider = Some(provider);
                self.submitted_at.get_or_insert(at);
            }
            EmailMessageEvent::EmailAccepted { provider_id } => {
                self.reach("Sent");
                self.provider_id = provider_id.or(self.provider_id.take());
                self.accepted_at.get_or_insert(at);
            }
            EmailMessageEvent::EmailDelayed {} => {
                self.delayed = true;
                self.delayed_at.get_or_insert(at);
            }
            EmailMessageEvent::EmailDelivered {} => {
                self.reach("Delivered");
                self.delivered_at.get_or_insert(at);
            }
            EmailMessageEvent::EmailBounced { kind, reason, address: _ } => {
                self.reach("Bounced");
                self.bounce_kind = Some(word(&kind)?);
                self.bounce_reason = Some(reason);
                self.bounced_at.get_or_insert(at);
            }
            EmailMessageEvent::EmailComplained { .. } => {
                self.reach("Complained");
                self.complained_at.get_or_insert(at);
            }
            EmailMessageEvent::EmailOpened {} => {
                self.opened = true;
                self.opened_at.get_or_insert(at);
            }
            EmailMessageEvent::EmailClicked {} => {
                self.clicked = true;
                self.clicked_at.get_or_insert(at);
            }
            EmailMessageEvent::EmailFailed { reason } => {
                self.reach("Failed");
                self.failure_reason = Some(reason);
                self.failed_at.get_or_insert(at);
            }
            EmailMessageEvent::EmailOutcomeUnknown { .. } => self.reach("Unresolved"),
            EmailMessageEvent::EmailResendRequested { as_message } => self.resent_as = Some(as_message.0),
        }
        Ok(())
    }
}
