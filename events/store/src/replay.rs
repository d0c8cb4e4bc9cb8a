//! Some streams' events up to a position, opened, in the order of the log: what an auditor's replay is made of.

use events::{OrganizationId, Recorded};
use uuid::Uuid;

use crate::{AppendError, Store, Subscription};

/// The events of these streams at positions up to `until`, at most `limit` of them, oldest first.
pub async fn of_streams(
    store: &Store,
    organization: OrganizationId,
    streams: &[(&str, Uuid)],
    until: i64,
    limit: i64,
) -> Result<Vec<Recorded>, AppendError> {
    let (types, ids): (Vec<&str>, Vec<String>) = streams.iter().map(|(stream, id)| (*stream, id.to_string())).unzip();
    // Stream by stream and event by event, by their indexes: see `Subscription::page`.
    let rows = sqlx::query(
        "select entry.global_position, entry.position, entry.organization_id, entry.aggregate_type, entry.aggregate_id,
                entry.sequence, stored.event_type, stored.event_version, stored.recorded_at, stored.payload,
                stored.metadata
         from unnest($2::text[], $3::text[]) as wanted (stream, id)
         cross join lateral (
             select * from log.entries known
             where known.aggregate_type = wanted.stream and known.aggregate_id = wanted.id
                 and known.organization_id = $1 and known.position <= $4
             order by known.sequence limit $5
         ) entry
         cross join lateral (
             select * from log.events event
             where event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
                 and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
             limit 1
         ) stored
         order by entry.position limit $5",
    )
    .bind(organization.0)
    .bind(types)
    .bind(ids)
    .bind(until)
    .bind(limit)
    .fetch_all(store.pool())
    .await?;
    Subscription::read(store, &rows).await
}
