//! What became of each item of a bulk job.

use events::{JobEvent, Recorded, job::ItemResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::{Column, FoldError, ReadModel};

/// Items that jobs have handled.
#[derive(Debug)]
pub struct JobItems;

/// A handled item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobItemRow {
    pub job_item_id: Uuid,
    pub organization_id: Uuid,
    pub job_id: Uuid,
    /// The invoice's id.
    pub item: Uuid,
    /// In the order in which the items were handled.
    pub ordinal: i64,
    /// `Done` or `Refused`.
    pub state: String,
    /// The refusal in words.
    pub refusal: Option<String>,
}

impl ReadModel for JobItems {
    type Row = JobItemRow;
    const NAME: &'static str = "job_item";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("job_item_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("job_id", "uuid not null"),
        ("item", "uuid not null"),
        ("ordinal", "bigint not null"),
        ("state", "text not null"),
        ("refusal", "text"),
    ];
    const INDEXES: &'static [&'static str] = &["(job_id, ordinal)"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        if event.event_type != "JobProgressed" {
            return Ok(vec![]);
        }
        Ok(match event.event::<JobEvent>()? {
            Some(JobEvent::JobProgressed { results, .. }) => {
                results.iter().map(|result| key_of(event.stream_id, result.item)).collect()
            }
            _ => vec![],
        })
    }

    fn fold(row: Option<JobItemRow>, key: Uuid, event: &Recorded) -> Result<Option<JobItemRow>, FoldError> {
        // Only this key's result is decoded: a chunk is folded once for each of its items.
        let body = event.payload.get("JobProgressed");
        let results = body.and_then(|body| body.get("results")).and_then(Value::as_array);
        let done = body.and_then(|body| body.get("done")).and_then(Value::as_i64);
        let (Some(results), Some(done)) = (results, done) else { return Ok(row) };
        let first = done.saturating_sub(i64::try_from(results.len()).unwrap_or(i64::MAX));
        for (index, result) in results.iter().enumerate() {
            let ItemResult { item, refusal } = ItemResult::deserialize(result)?;
            if key_of(event.stream_id, item) == key {
                return Ok(Some(JobItemRow {
                    job_item_id: key,
                    organization_id: event.organization.0,
                    job_id: event.stream_id,
                    item,
                    ordinal: first + i64::try_from(index).unwrap_or(i64::MAX) + 1,
                    state: if refusal.is_some() { "Refused" } else { "Done" }.to_owned(),
                    refusal,
                }));
            }
        }
        Ok(row)
    }
}

fn key_of(job: Uuid, item: Uuid) -> Uuid {
    Uuid::new_v5(&job, item.as_bytes())
}
