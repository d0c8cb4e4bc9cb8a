//! Under which residents a telephone number ever stood, by its keyed hash: where a replay for a number begins.

use chrono::{DateTime, Utc};
use events::{Recorded, SmsConsentEvent};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    query::{QueryError, Visibility, all, and, select, within_resident},
};

/// Numbers and their residents.
#[derive(Debug)]
pub struct SmsNumbers;

/// A number that once stood, or was meant to stand, for a resident. The number itself is not kept here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmsNumberRow {
    pub sms_number_id: Uuid,
    pub organization_id: Uuid,
    /// Null once the evidence of consent is not kept any more.
    pub number_key: Option<Uuid>,
    pub resident_id: Uuid,
    pub first_at: DateTime<Utc>,
}

impl ReadModel for SmsNumbers {
    type Row = SmsNumberRow;
    const NAME: &'static str = "sms_number";
    const VERSION: u32 = 2;
    const COLUMNS: &'static [Column] = &[
        ("sms_number_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("number_key", "uuid"),
        ("resident_id", "uuid not null"),
        ("first_at", "timestamptz not null"),
    ];
    const INDEXES: &'static [&'static str] = &["(number_key)", "(resident_id)"];
    const EVIDENCE: Option<(&'static str, &'static [&'static str])> = Some(("resident_id", &["number_key"]));

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(named(event)?.map(|(_, number)| key(event.stream_id, number)).into_iter().collect())
    }

    fn fold(row: Option<SmsNumberRow>, key: Uuid, event: &Recorded) -> Result<Option<SmsNumberRow>, FoldError> {
        if row.is_some() {
            return Ok(row);
        }
        Ok(named(event)?.map(|(resident_id, number_key)| SmsNumberRow {
            sms_number_id: key,
            organization_id: event.organization.0,
            number_key: Some(number_key),
            resident_id,
            first_at: event.recorded_at,
        }))
    }
}

fn key(consent: Uuid, number: Uuid) -> Uuid {
    Uuid::new_v5(&consent, number.as_bytes())
}

/// The resident and the number that an event names.
fn named(event: &Recorded) -> Result<Option<(Uuid, Uuid)>, FoldError> {
    Ok(match event.event::<SmsConsentEvent>()? {
        Some(
            SmsConsentEvent::ConsentRequested { resident_id, number_key, .. }
            | SmsConsentEvent::ConsentGranted { resident_id, number_key, .. }
            | SmsConsentEvent::ConsentRevoked { resident_id, number_key, .. }
            | SmsConsentEvent::ConsentRestored { resident_id, number_key, .. }
            | SmsConsentEvent::ConsentInvalidated { resident_id, number_key, .. }
            | SmsConsentEvent::InboundReceived { resident_id, number_key, .. }
            | SmsConsentEvent::OptInRefused { resident_id, number_key, .. },
        ) => Some((resident_id.0, number_key.0)),
        Some(
            SmsConsentEvent::DisclosureShown { .. }
            | SmsConsentEvent::CodeIssued { .. }
            | SmsConsentEvent::CodeRejected { .. }
            | SmsConsentEvent::SendsPaused { .. }
            | SmsConsentEvent::HeldTextDecided { .. }
            | SmsConsentEvent::TextAuthorized { .. },
        )
        | None => None,
    })
}

/// The residents for whom a number ever stood.
pub async fn residents(
    connection: &mut PgConnection,
    visibility: Visibility,
    number_key: Uuid,
) -> Result<Vec<SmsNumberRow>, QueryError> {
    let mut query = select("select known.* from read.sms_number known where true");
    within_resident(&mut query, "known.resident_id", visibility);
    and(&mut query, "known.number_key = ", Some(number_key));
    query.push(" order by known.first_at, known.resident_id");
    all(connection, query).await
}
