//! Texts and what became of them: when, under which consent, or why not.

use chrono::{DateTime, Utc};
use events::{Event, Recorded, TextMessageEvent, text_message::Grounds};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    text::word,
};

pub use queries::{Filter, TextDetail, detail, list, sent, streams};

#[path = "text_message_queries.rs"]
mod queries;

/// The log of texts.
#[derive(Debug)]
pub struct TextMessages;

/// A text. Neither its wording nor its number is kept here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextRow {
    pub text_id: Uuid,
    pub organization_id: Uuid,
    pub resident_id: Uuid,
    pub property_id: Option<Uuid>,
    pub invoice_id: Option<Uuid>,
    /// `invoice-published`, `consent-code`, …
    pub kind: String,
    /// `Programme`, `Code` or `Reply`.
    pub class: String,
    /// ISO 639-1.
    pub language: String,
    pub fallback: bool,
    /// `Queued`, `Deferred`, `Suppressed`, `Sending`, `Unresolved`, `Accepted`, `Sent`, `Failed`, `Undelivered` or `Delivered`.
    pub status: String,
    /// Why it was not sent, or why it waits.
    pub reason: Option<String>,
    pub deferred_until: Option<DateTime<Utc>>,
    /// The event of the consent that allowed it or stood against it, as `stream/id/version`.
    pub consent: Option<String>,
    /// The event that gave leave to send it.
    pub authority: Option<String>,
    /// The version of the rules about hours.
    pub policy: Option<String>,
    pub zone: Option<String>,
    /// The recipient's time when that was decided, with its offset.
    pub local_time: Option<String>,
    pub number_key: Option<Uuid>,
    /// `Gsm7` or `Ucs2`.
    pub encoding: Option<String>,
    pub segments: Option<i64>,
    pub provider: Option<String>,
    pub provider_id: Option<String>,
    /// The provider's.
    pub error_code: Option<i64>,
    pub failure_reason: Option<String>,
    pub requested_at: DateTime<Utc>,
    pub suppressed_at: Option<DateTime<Utc>>,
    pub submitted_at: Option<DateTime<Utc>>,
    pub accepted_at: Option<DateTime<Utc>>,
    pub sent_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub failed_at: Option<DateTime<Utc>>,
    /// The event that caused it, as `stream/id/version`.
    pub cause: String,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl ReadModel for TextMessages {
    type Row = TextRow;
    const NAME: &'static str = "text_message";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("text_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("resident_id", "uuid not null"),
        ("property_id", "uuid"),
        ("invoice_id", "uuid"),
        ("kind", "text not null"),
        ("class", "text not null"),
        ("language", "text not null"),
        ("fallback", "boolean not null"),
        ("status", "text not null"),
        ("reason", "text"),
        ("deferred_until", "timestamptz"),
        ("consent", "text"),
        ("authority", "text"),
        ("policy", "text"),
        ("zone", "text"),
        ("local_time", "text"),
        ("number_key", "uuid"),
        ("encoding", "text"),
        ("segments", "bigint"),
        ("provider", "text"),
        ("provider_id", "text"),
        ("error_code", "bigint"),
        ("failure_reason", "text"),
        ("requested_at", "timestamptz not null"),
        ("suppressed_at", "timestamptz"),
        ("submitted_at", "timestamptz"),
        ("accepted_at", "timestamptz"),
        ("sent_at", "timestamptz"),
        ("delivered_at", "timestamptz"),
        ("failed_at", "timestamptz"),
        ("cause", "text not null"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] = &[
        "(resident_id, requested_at)",
        "(organization_id, requested_at, text_id)",
        "(number_key) where number_key is not null",
        "(property_id, submitted_at) where submitted_at is not null",
        "(invoice_id) where invoice_id is not null",
        "(organization_id) where status = 'Unresolved'",
    ];
    const PERSONAL: Option<(&'static str, &'static [&'static str])> = Some(("resident_id", &["failure_reason"]));
    const EVIDENCE: Option<(&'static str, &'static [&'static str])> = Some(("resident_id", &["number_key"]));

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == TextMessageEvent::STREAM { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<TextRow>, key: Uuid, event: &Recorded) -> Result<Option<TextRow>, FoldError> {
        let Some(change) = event.event::<TextMessageEvent>()? else { return Ok(row) };
        let mut row = match change {
            TextMessageEvent::TextRequested {
                resident_id,
                property_id,
                content,
                language,
                fallback,
                template: _,
                cause,
            } => TextRow {
                text_id: key,
                organization_id: event.organization.0,
                resident_id: resident_id.0,
                property_id: property_id.map(|id| id.0),
                invoice_id: content.invoice_id().map(|id| id.0),
                kind: content.kind().to_owned(),
                class: word(&content.class())?,
                language: language.code().to_owned(),
                fallback,
                status: "Queued".to_owned(),
                reason: None,
                deferred_until: None,
                consent: None,
                authority: None,
                policy: None,
                zone: None,
                local_time: None,
                number_key: None,
                encoding: None,
                segments: None,
                provider: None,
                provider_id: None,
                error_code: None,
                failure_reason: None,
                requested_at: event.recorded_at,
                suppressed_at: None,
                submitted_at: None,
                accepted_at: None,
                sent_at: None,
                delivered_at: None,
                failed_at: None,
                cause,
                version: 0,
            },
            later => {
                let mut row = row.ok_or(FoldError::Unexpected("a text's event without its request"))?;
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
    const ORDER: [&str; 10] = [
        "Queued",
        "Deferred",
        "Suppressed",
        "Sending",
        "Unresolved",
        "Accepted",
        "Sent",
        "Failed",
        "Undelivered",
        "Delivered",
    ];
    ORDER.iter().position(|known| *known == status).unwrap_or_default()
}

impl TextRow {
    /// Goes forward, never back.
    fn reach(&mut self, status: &str) {
        if rank(status) > rank(&self.status) {
            status.clone_into(&mut self.status);
        }
    }

    fn rest_on(&mut self, grounds: Grounds) {
        self.consent = grounds.consent;
        self.policy = grounds.policy;
        self.zone = grounds.zone.map(|zone| zone.name().to_owned());
        self.local_time = grounds.local_time.map(|time| time.to_rfc3339());
    }

    fn change(&mut self, change: TextMessageEvent, at: DateTime<Utc>) -> Result<(), FoldError> {
        match change {
            TextMessageEvent::TextRequested { .. } => return Err(FoldError::Unexpected("requested twice")),
            TextMessageEvent::TextSuppressed { reason, grounds } => {
                self.reach("Suppressed");
                self.reason = Some(word(&reason)?);
                self.deferred_until = None;
                self.suppressed_at = Some(at);
                self.rest_on(grounds);
            }
            TextMessageEvent::TextDeferred { until, reason, grounds } => {
                self.reach("Deferred");
                self.reason = Some(word(&reason)?);
                self.deferred_until = Some(until);
                self.rest_on(grounds);
            }
            TextMessageEvent::TextSending {
                number: _,
                number_key,
                body: _,
                authority,
                grounds,
                encoding,
                segments,
                reference: _,
                provider,
            } => {
                self.reach("Sending");
                self.reason = None;
                self.deferred_until = None;
                self.number_key = Some(number_key.0);
                self.authority = Some(authority);
                self.encoding = Some(word(&encoding)?);
                self.segments = Some(i64::from(segments));
                self.provider = Some(provider);
                self.submitted_at = Some(at);
                self.rest_on(grounds);
            }
            TextMessageEvent::TextAccepted { provider_id } => {
                self.reach("Accepted");
                self.provider_id = Some(provider_id);
                self.accepted_at.get_or_insert(at);
            }
            TextMessageEvent::TextSent {} => {
                self.reach("Sent");
                self.sent_at.get_or_insert(at);
            }
            TextMessageEvent::TextDelivered {} => {
                self.reach("Delivered");
                self.delivered_at.get_or_insert(at);
            }
            TextMessageEvent::TextUndelivered { code } => {
                self.reach("Undelivered");
                self.error_code = code.map(i64::from);
                self.failed_at.get_or_insert(at);
            }
            TextMessageEvent::TextFailed { code, reason } => {
                self.reach("Failed");
                self.error_code = code.map(i64::from);
                self.failure_reason = Some(reason);
                self.failed_at.get_or_insert(at);
            }
            TextMessageEvent::TextOutcomeUnknown { .. } => self.reach("Unresolved"),
            TextMessageEvent::TextOutcomeDecided { sent, note: _ } => {
                self.reach(if sent { "Sent" } else { "Failed" });
                if sent {
                    self.sent_at.get_or_insert(at)
                } else {
                    self.failed_at.get_or_insert(at)
                };
            }
        }
        Ok(())
    }
}
