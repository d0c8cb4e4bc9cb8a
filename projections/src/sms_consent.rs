//! Each resident's consent to be texted as it stands, for managers and for the resident's own portal.

use chrono::{DateTime, Utc};
use events::{
    Event, Recorded, SmsConsentEvent,
    disclosure::ShownDisclosure,
    sms_consent::{Evidence, InvalidationCause, RevocationCause},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    text::word,
};

pub use queries::{ConsentView, Filter, list, of_resident, residents_of};

#[path = "sms_consent_queries.rs"]
mod queries;

/// Consents by resident.
#[derive(Debug)]
pub struct SmsConsents;

/// A resident's consent. Numbers are emptied on erasure; the evidence stays sealed in the log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmsConsentRow {
    pub consent_id: Uuid,
    pub organization_id: Uuid,
    pub resident_id: Uuid,
    /// `None`, `Pending`, `Granted`, `Revoked` or `Invalidated`.
    pub status: String,
    pub number: Option<String>,
    pub number_key: Option<Uuid>,
    pub granted_at: Option<DateTime<Utc>>,
    /// When a word brought it back.
    pub restored_at: Option<DateTime<Utc>>,
    /// How it was granted: `Portal`, or `SmsKeyword` where a word brought it back.
    pub source: Option<String>,
    pub disclosure_version: Option<String>,
    pub disclosure_sha256: Option<String>,
    pub zone: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
    /// `Portal`, `SmsKeyword`, `Provider` or `Manual`; null for what ended without anybody's wish.
    pub end_source: Option<String>,
    /// `Keyword`, `NumberChanged`, …
    pub end_cause: Option<String>,
    /// The number that waits for its code.
    pub pending_number: Option<String>,
    pub pending_key: Option<Uuid>,
    /// Until when the code is good.
    pub pending_until: Option<DateTime<Utc>>,
    /// What the resident was shown last.
    pub shown: Option<ShownDisclosure>,
    /// Texts that a person has to read: nothing goes out meanwhile.
    pub held: Vec<Uuid>,
    /// How often somebody tried to opt the resident in who may not.
    pub refused: i64,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl std::fmt::Debug for SmsConsentRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmsConsentRow").field("consent_id", &self.consent_id).finish_non_exhaustive()
    }
}

impl ReadModel for SmsConsents {
    type Row = SmsConsentRow;
    const NAME: &'static str = "sms_consent";
    const VERSION: u32 = 2;
    const COLUMNS: &'static [Column] = &[
        ("consent_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("resident_id", "uuid not null"),
        ("status", "text not null"),
        ("number", "text"),
        ("number_key", "uuid"),
        ("granted_at", "timestamptz"),
        ("restored_at", "timestamptz"),
        ("source", "text"),
        ("disclosure_version", "text"),
        ("disclosure_sha256", "text"),
        ("zone", "text"),
        ("ended_at", "timestamptz"),
        ("end_source", "text"),
        ("end_cause", "text"),
        ("pending_number", "text"),
        ("pending_key", "uuid"),
        ("pending_until", "timestamptz"),
        ("shown", "json"),
        ("held", "json not null"),
        ("refused", "bigint not null"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] = &["(resident_id)", "(organization_id, status)"];
    const PERSONAL: Option<(&'static str, &'static [&'static str])> =
        Some(("resident_id", &["number", "pending_number"]));
    const EVIDENCE: Option<(&'static str, &'static [&'static str])> =
        Some(("resident_id", &["number_key", "pending_key"]));

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == SmsConsentEvent::STREAM { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<SmsConsentRow>, key: Uuid, event: &Recorded) -> Result<Option<SmsConsentRow>, FoldError> {
        let Some(change) = event.event::<SmsConsentEvent>()? else { return Ok(row) };
        let mut row = match row {
            Some(row) => row,
            None => first(key, event, &change)?,
        };
        row.change(change, event.recorded_at)?;
        row.version = event.version;
        Ok(Some(row))
    }
}

/// The events that a stream can begin with name the resident.
fn first(key: Uuid, event: &Recorded, change: &SmsConsentEvent) -> Result<SmsConsentRow, FoldError> {
    let (SmsConsentEvent::DisclosureShown { resident_id, .. }
    | SmsConsentEvent::ConsentRequested { resident_id, .. }
    | SmsConsentEvent::CodeIssued { resident_id, .. }
    | SmsConsentEvent::ConsentGranted { resident_id, .. }
    | SmsConsentEvent::ConsentRevoked { resident_id, .. }
    | SmsConsentEvent::ConsentRestored { resident_id, .. }
    | SmsConsentEvent::ConsentInvalidated { resident_id, .. }
    | SmsConsentEvent::InboundReceived { resident_id, .. }
    | SmsConsentEvent::OptInRefused { resident_id, .. }) = change
    else {
        return Err(FoldError::Unexpected("a consent that begins with a later event"));
    };
    Ok(SmsConsentRow {
        consent_id: key,
        organization_id: event.organization.0,
        resident_id: resident_id.0,
        status: "None".to_owned(),
        number: None,
        number_key: None,
        granted_at: None,
        restored_at: None,
        source: None,
        disclosure_version: None,
        disclosure_sha256: None,
        zone: None,
        ended_at: None,
        end_source: None,
        end_cause: None,
        pending_number: None,
        pending_key: None,
        pending_until: None,
        shown: None,
        held: vec![],
        refused: 0,
        version: 0,
    })
}

impl SmsConsentRow {
    fn is_granted(&self) -> bool {
        self.status == "Granted"
    }

    fn change(&mut self, change: SmsConsentEvent, at: DateTime<Utc>) -> Result<(), FoldError> {
        match change {
            SmsConsentEvent::DisclosureShown { disclosure, .. } => self.shown = Some(disclosure),
            SmsConsentEvent::ConsentRequested { number, number_key, evidence, .. } => {
                self.pending_number = number.into_value().map(Into::into);
                self.pending_key = Some(number_key.0);
                self.zone = Some(evidence.zone.name().to_owned());
                if !self.is_granted() {
                    "Pending".clone_into(&mut self.status);
                }
            }
            SmsConsentEvent::CodeIssued { expires_at, .. } => self.pending_until = Some(expires_at),
            SmsConsentEvent::ConsentGranted { number, number_key, disclosure, source, evidence, .. } => {
                self.number = number.into_value().map(Into::into);
                self.stand(number_key.0, &disclosure, word(&source)?, &evidence);
                self.granted_at = Some(at);
                self.restored_at = None;
                self.forget_pending();
            }
            SmsConsentEvent::ConsentRestored { number, number_key, disclosure, source, evidence, .. } => {
                self.number = number.into_value().map(Into::into);
                self.stand(number_key.0, &disclosure, word(&source)?, &evidence);
                self.restored_at = Some(at);
            }
            SmsConsentEvent::ConsentRevoked { number_key, cause, source, .. } => {
                let cause = match cause {
                    RevocationCause::Portal {} => "Portal",
                    RevocationCause::Keyword { .. } => "Keyword",
                    RevocationCause::FreeText { .. } => "FreeText",
                    RevocationCause::Verbal { .. } => "Verbal",
                    RevocationCause::Provider { .. } => "Provider",
                };
                let source = Some(word(&source)?);
                self.end(number_key.0, "Revoked", cause, source, at);
            }
            SmsConsentEvent::ConsentInvalidated { number_key, cause, .. } => {
                if matches!(cause, InvalidationCause::Erased {}) {
                    // A word may have come between the erasure and this, and have brought the number back here.
                    self.number = None;
                    self.pending_number = None;
                }
                let cause = match cause {
                    InvalidationCause::NumberChanged {} => "NumberChanged",
                    InvalidationCause::Reassigned { .. } => "Reassigned",
                    InvalidationCause::Undeliverable { .. } => "Undeliverable",
                    InvalidationCause::MovedOut {} => "MovedOut",
                    InvalidationCause::Deactivated {} => "Deactivated",
                    InvalidationCause::Erased {} => "Erased",
                };
                self.end(number_key.0, "Invalidated", cause, None, at);
            }
            SmsConsentEvent::SendsPaused { inbound_id } => self.held.push(inbound_id.0),
            SmsConsentEvent::HeldTextDecided { inbound_id, .. } => self.held.retain(|held| *held != inbound_id.0),
            SmsConsentEvent::OptInRefused { .. } => self.refused += 1,
            SmsConsentEvent::CodeRejected { .. }
            | SmsConsentEvent::InboundReceived { .. }
            | SmsConsentEvent::TextAuthorized { .. } => {}
        }
        Ok(())
    }

    fn stand(&mut self, number_key: Uuid, disclosure: &ShownDisclosure, source: String, evidence: &Evidence) {
        "Granted".clone_into(&mut self.status);
        self.number_key = Some(number_key);
        self.source = Some(source);
        self.disclosure_version = Some(disclosure.version.clone());
        self.disclosure_sha256 = Some(disclosure.sha256.clone());
        self.zone = Some(evidence.zone.name().to_owned());
        self.ended_at = None;
        self.end_source = None;
        self.end_cause = None;
    }

    fn end(&mut self, number_key: Uuid, status: &str, cause: &str, source: Option<String>, at: DateTime<Utc>) {
        if self.pending_key == Some(number_key) {
            self.forget_pending();
        }
        // What ended for a number that was not the one in use leaves that one as it stands.
        if self.is_granted() && self.number_key.is_some_and(|standing| standing != number_key) {
            return;
        }
        status.clone_into(&mut self.status);
        self.ended_at = Some(at);
        self.end_source = source;
        self.end_cause = Some(cause.to_owned());
    }

    fn forget_pending(&mut self) {
        self.pending_number = None;
        self.pending_key = None;
        self.pending_until = None;
    }
}
