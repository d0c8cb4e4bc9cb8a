//! Naming the positions of what differs, once something does.

use events::OrganizationId;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{AuditError, Finding, MOST, Report, Strange};
use crate::checkpoints::size;

/// Finds the positions of stored events that are not what was logged, and of logged events that are gone.
pub async fn explain(connection: &mut PgConnection, strange: Strange, report: &mut Report) -> Result<(), AuditError> {
    let Strange { events, bereft } = strange;
    let mut explained = 0;
    for (stream, stream_id, organization, version) in events {
        let position: Option<i64> = sqlx::query_scalar(
            "select position from log.entries
             where aggregate_type = $1 and aggregate_id = $2 and sequence = $3 and organization_id = $4",
        )
        .bind(&stream)
        .bind(&stream_id)
        .bind(version)
        .bind(organization)
        .fetch_optional(&mut *connection)
        .await?;
        let event = format!("{stream}/{stream_id}/{version}");
        let what = match position {
            Some(_) => {
                explained += 1;
                format!("the stored event {event} is not what was logged")
            }
            None => format!("the stored event {event} was never logged, nor does it wait to be"),
        };
        found(report, organization, position, what);
    }
    if bereft <= explained {
        return Ok(());
    }
    let rows = sqlx::query(
        "select entry.organization_id, entry.position, entry.aggregate_type, entry.aggregate_id, entry.sequence
         from log.entries entry
         where not exists (
             select from log.events event
             where event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
                 and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id)
         limit $1",
    )
    .bind(i64::try_from(MOST).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    for row in &rows {
        let (stream, id): (&str, &str) = (row.try_get("aggregate_type")?, row.try_get("aggregate_id")?);
        let event = format!("{stream}/{id}/{}", row.try_get::<i64, _>("sequence")?);
        let (organization, position) = (row.try_get("organization_id")?, row.try_get("position")?);
        found(report, organization, Some(position), format!("the event {event} was logged and is gone"));
    }
    if rows.is_empty() && explained == 0 {
        let what = format!("{bereft} positions have no event that hashes to their leaf");
        report.findings.push(Finding { organization: None, position: None, what });
    }
    Ok(())
}

fn found(report: &mut Report, organization: Uuid, position: Option<i64>, what: String) {
    let organization = Some(OrganizationId(organization));
    report.findings.push(Finding { organization, position: position.map(size), what });
}
