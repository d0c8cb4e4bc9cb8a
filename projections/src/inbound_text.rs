//! Texts from residents' telephones, and which of them somebody has to read.

use chrono::{DateTime, Utc};
use events::{Recorded, SmsConsentEvent};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    query::{Page, Paging, QueryError, Sort, Visibility, and, lives_in, page, select, within_resident},
    text::word,
};

/// Inbound texts.
#[derive(Debug)]
pub struct InboundTexts;

/// A text that came from a resident's number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundTextRow {
    pub inbound_id: Uuid,
    pub organization_id: Uuid,
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub body: Option<String>,
    /// `Stop`, `Help`, `Start`, `MayMeanStop` or `Other`.
    pub reading: String,
    /// `Read`, `Held` until a person has decided, or `Decided`.
    pub status: String,
    /// What the person decided.
    pub stop: Option<bool>,
    pub note: Option<String>,
    pub answered_by_provider: bool,
    /// What is answered.
    pub reply: Option<String>,
    pub received_at: DateTime<Utc>,
    pub decided_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for InboundTextRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboundTextRow").field("inbound_id", &self.inbound_id).finish_non_exhaustive()
    }
}

impl ReadModel for InboundTexts {
    type Row = InboundTextRow;
    const NAME: &'static str = "inbound_text";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("inbound_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("resident_id", "uuid not null"),
        ("body", "text"),
        ("reading", "text not null"),
        ("status", "text not null"),
        ("stop", "boolean"),
        ("note", "text"),
        ("answered_by_provider", "boolean not null"),
        ("reply", "text"),
        ("received_at", "timestamptz not null"),
        ("decided_at", "timestamptz"),
    ];
    const INDEXES: &'static [&'static str] = &[
        "(organization_id, received_at, inbound_id)",
        "(resident_id, received_at)",
        "(organization_id) where status = 'Held'",
    ];
    const PERSONAL: Option<(&'static str, &'static [&'static str])> = Some(("resident_id", &["body", "note"]));

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        if !matches!(&*event.event_type, "InboundReceived" | "SendsPaused" | "HeldTextDecided") {
            return Ok(vec![]);
        }
        Ok(match event.event::<SmsConsentEvent>()? {
            Some(
                SmsConsentEvent::InboundReceived { inbound_id, .. }
                | SmsConsentEvent::SendsPaused { inbound_id }
                | SmsConsentEvent::HeldTextDecided { inbound_id, .. },
            ) => vec![inbound_id.0],
            _ => vec![],
        })
    }

    fn fold(row: Option<InboundTextRow>, key: Uuid, event: &Recorded) -> Result<Option<InboundTextRow>, FoldError> {
        let known = || row.clone().ok_or(FoldError::Unexpected("held before it was received"));
        Ok(Some(match event.event::<SmsConsentEvent>()? {
            Some(SmsConsentEvent::InboundReceived {
                resident_id,
                body,
                reading,
                answered_by_provider,
                reply,
                received_at,
                ..
            }) => InboundTextRow {
                inbound_id: key,
                organization_id: event.organization.0,
                resident_id: resident_id.0,
                body: body.into_value(),
                reading: word(&reading)?,
                status: "Read".to_owned(),
                stop: None,
                note: None,
                answered_by_provider,
                reply: reply.map(|reply| word(&reply)).transpose()?,
                received_at,
                decided_at: None,
            },
            Some(SmsConsentEvent::SendsPaused { .. }) => InboundTextRow { status: "Held".to_owned(), ..known()? },
            Some(SmsConsentEvent::HeldTextDecided { stop, note, .. }) => InboundTextRow {
                status: "Decided".to_owned(),
                stop: Some(stop),
                note: Some(note.into()),
                decided_at: Some(event.recorded_at),
                ..known()?
            },
            _ => return Ok(row),
        }))
    }
}

/// Which texts are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    /// As in [`InboundTextRow::status`].
    pub status: Option<String>,
    /// As in [`InboundTextRow::reading`].
    pub reading: Option<String>,
    pub property: Option<Uuid>,
    pub resident: Option<Uuid>,
}

/// A page of texts, latest first.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<InboundTextRow>, QueryError> {
    let mut query = select("select inbound.* from read.inbound_text inbound where true");
    within_resident(&mut query, "inbound.resident_id", filter.visibility);
    if let Some(property) = filter.property {
        lives_in(&mut query, "inbound.resident_id", "property_id", property);
    }
    and(&mut query, "inbound.status = ", filter.status.clone());
    and(&mut query, "inbound.reading = ", filter.reading.clone());
    and(&mut query, "inbound.resident_id = ", filter.resident);
    page(connection, query, &Sort::instant("received_at", "inbound_id").descending(), paging).await
}
