//! E-mail addresses that are not written to any more.

use chrono::{DateTime, Utc};
use events::{Recorded, SuppressionEvent};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    query::{Page, Paging, QueryError, Sort, Visibility, and, page, select, within_resident},
    text::word,
};

/// The suppression list.
#[derive(Debug)]
pub struct Suppressions;

/// An entry of the suppression list.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressionRow {
    pub suppression_id: Uuid,
    pub organization_id: Uuid,
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub address: Option<String>,
    pub message_id: Uuid,
    /// `HardBounce` or `Complaint`.
    pub cause: String,
    pub suppressed_at: DateTime<Utc>,
    pub lifted_at: Option<DateTime<Utc>>,
    /// Why it was lifted.
    pub note: Option<String>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl std::fmt::Debug for SuppressionRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SuppressionRow").field("suppression_id", &self.suppression_id).finish_non_exhaustive()
    }
}

impl ReadModel for Suppressions {
    type Row = SuppressionRow;
    const NAME: &'static str = "suppression";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("suppression_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("resident_id", "uuid not null"),
        ("address", "text"),
        ("message_id", "uuid not null"),
        ("cause", "text not null"),
        ("suppressed_at", "timestamptz not null"),
        ("lifted_at", "timestamptz"),
        ("note", "text"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] =
        &["(organization_id, suppressed_at, suppression_id)", "(resident_id, suppressed_at)"];
    const PERSONAL: Option<(&'static str, &'static [&'static str])> = Some(("resident_id", &["address", "note"]));

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "suppression" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<SuppressionRow>, key: Uuid, event: &Recorded) -> Result<Option<SuppressionRow>, FoldError> {
        let Some(change) = event.event::<SuppressionEvent>()? else { return Ok(row) };
        Ok(Some(match change {
            SuppressionEvent::AddressSuppressed { address, resident_id, message_id, cause } => SuppressionRow {
                suppression_id: key,
                organization_id: event.organization.0,
                resident_id: resident_id.0,
                address: address.into_value().map(Into::into),
                message_id: message_id.0,
                cause: word(&cause)?,
                suppressed_at: event.recorded_at,
                lifted_at: None,
                note: None,
                version: event.version,
            },
            SuppressionEvent::SuppressionLifted { note } => {
                let row = row.ok_or(FoldError::Unexpected("lifted before it was suppressed"))?;
                let (lifted_at, note) = (Some(event.recorded_at), Some(note.into()));
                SuppressionRow { lifted_at, note, version: event.version, ..row }
            }
        }))
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    /// Only those that stand, or only those that were lifted.
    pub lifted: Option<bool>,
    pub resident: Option<Uuid>,
}

/// A page of the suppression list, latest first.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<SuppressionRow>, QueryError> {
    let mut query = select("select * from read.suppression entry where true");
    within_resident(&mut query, "entry.resident_id", filter.visibility);
    and(&mut query, "entry.resident_id = ", filter.resident);
    if let Some(lifted) = filter.lifted {
        query.push(if lifted { " and entry.lifted_at is not null" } else { " and entry.lifted_at is null" });
    }
    page(connection, query, &Sort::instant("suppressed_at", "suppression_id").descending(), paging).await
}
