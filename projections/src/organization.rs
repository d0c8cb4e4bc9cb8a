//! Organizations by name.

use chrono::{DateTime, Utc};
use events::{OrganizationEvent, Recorded};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    query::{QueryError, first, select},
};

/// Organizations as they stand.
#[derive(Debug)]
pub struct Organizations;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationRow {
    pub organization_id: Uuid,
    pub name: String,
    pub registered_at: DateTime<Utc>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl ReadModel for Organizations {
    type Row = OrganizationRow;
    const NAME: &'static str = "organization";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("organization_id", "uuid not null"),
        ("name", "text not null"),
        ("registered_at", "timestamptz not null"),
        ("version", "bigint not null"),
    ];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "organization" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<OrganizationRow>, key: Uuid, event: &Recorded) -> Result<Option<OrganizationRow>, FoldError> {
        let Some(change) = event.event::<OrganizationEvent>()? else { return Ok(row) };
        let mut row = match change {
            OrganizationEvent::OrganizationRegistered { name } => OrganizationRow {
                organization_id: key,
                name: name.into(),
                registered_at: event.recorded_at,
                version: 0,
            },
            OrganizationEvent::OrganizationRenamed { name } => {
                let row = row.ok_or(FoldError::Unexpected("renamed before it was registered"))?;
                OrganizationRow { name: name.into(), ..row }
            }
            OrganizationEvent::TaskResumed { .. } | OrganizationEvent::TaskDropped { .. } => {
                row.ok_or(FoldError::Unexpected("work of an organization that is not registered"))?
            }
        };
        row.version = event.version;
        Ok(Some(row))
    }
}

/// The transaction's organization.
pub async fn find(connection: &mut PgConnection) -> Result<Option<OrganizationRow>, QueryError> {
    first(connection, select("select * from read.organization")).await
}
