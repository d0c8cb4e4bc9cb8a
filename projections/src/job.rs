//! Bulk jobs and how far they are.

use chrono::{DateTime, Utc};
use events::{JobEvent, Recorded, job::JobWork};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Column, FoldError, ReadModel};

pub use queries::{Filter, detail, items, list};

#[path = "job_queries.rs"]
mod queries;

/// Jobs as they stand.
#[derive(Debug)]
pub struct Jobs;

/// A bulk job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow {
    pub job_id: Uuid,
    pub organization_id: Uuid,
    pub property_id: Uuid,
    /// `DraftInvoices` or `PublishInvoices`.
    pub kind: String,
    pub total: i64,
    /// Items that were handled, refused ones included.
    pub done: i64,
    pub refused: i64,
    /// `Running` or `Completed`.
    pub state: String,
    pub started_at: DateTime<Utc>,
    pub completed_at: Option<DateTime<Utc>>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl ReadModel for Jobs {
    type Row = JobRow;
    const NAME: &'static str = "job";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("job_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("property_id", "uuid not null"),
        ("kind", "text not null"),
        ("total", "bigint not null"),
        ("done", "bigint not null"),
        ("refused", "bigint not null"),
        ("state", "text not null"),
        ("started_at", "timestamptz not null"),
        ("completed_at", "timestamptz"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] = &["(organization_id, started_at, job_id)"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "job" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<JobRow>, key: Uuid, event: &Recorded) -> Result<Option<JobRow>, FoldError> {
        let Some(change) = event.event::<JobEvent>()? else { return Ok(row) };
        let known = || row.clone().ok_or(FoldError::Unexpected("a job went on before it was started"));
        let mut row = match change {
            JobEvent::JobStarted { property_id, work } => JobRow {
                job_id: key,
                organization_id: event.organization.0,
                property_id: property_id.0,
                kind: match work {
                    JobWork::DraftInvoices { .. } => "DraftInvoices",
                    JobWork::PublishInvoices { .. } => "PublishInvoices",
                }
                .to_owned(),
                total: i64::try_from(work.len()).unwrap_or(i64::MAX),
                done: 0,
                refused: 0,
                state: "Running".to_owned(),
                started_at: event.recorded_at,
                completed_at: None,
                version: 0,
            },
            JobEvent::JobProgressed { results, done, total } => {
                let refused = results.iter().filter(|result| result.refusal.is_some()).count();
                let mut row = known()?;
                row.refused += i64::try_from(refused).unwrap_or(i64::MAX);
                row.done = done.into();
                row.total = total.into();
                row
            }
            JobEvent::JobCompleted { succeeded, refused } => JobRow {
                done: i64::from(succeeded) + i64::from(refused),
                refused: refused.into(),
                state: "Completed".to_owned(),
                completed_at: Some(event.recorded_at),
                ..known()?
            },
        };
        row.version = event.version;
        Ok(Some(row))
    }
}
