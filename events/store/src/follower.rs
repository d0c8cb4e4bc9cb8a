//! A follower outside this database: it reads the log as it lies there, sealed, and its place is moved once it has acknowledged.

use chrono::{DateTime, Utc};
use events::Metadata;
use sqlx::{PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::lease::Lease;

/// An event as it is stored: nothing opened, nothing upcast.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub global_position: i64,
    pub organization: Uuid,
    /// The organization's own dense position, from 1.
    pub position: i64,
    pub stream: String,
    pub stream_id: String,
    /// The event's number in its stream, from 1.
    pub version: i64,
    pub event_type: String,
    pub event_version: String,
    pub recorded_at: DateTime<Utc>,
    /// The very text that is hashed.
    pub payload: String,
    pub metadata: Metadata,
    /// The event's leaf: it commits to everything above but the positions.
    pub leaf: Vec<u8>,
}

/// A follower by its name; its place is a row of `engine.mirrors`.
#[derive(Debug, Clone)]
pub struct Follower {
    name: String,
    pool: PgPool,
}

/// Why a follower cannot go on from its place.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error("a query failed")]
    Query(#[from] sqlx::Error),
    #[error("the log was restored: the follower is of incarnation {known}, the log of {now}")]
    Incarnation { known: i32, now: i32 },
    #[error("the log was restored, and nobody has accepted that yet")]
    Quarantined,
    #[error("the log ends at {head}, but the follower is at {position}: it was restored")]
    Beyond { position: i64, head: i64 },
}

/// How a follower stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub name: String,
    /// How many events it has not acknowledged.
    pub lag: i64,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
    /// Why it stopped for good.
    pub stopped: Option<String>,
}

impl Follower {
    pub fn new(name: impl Into<String>, pool: PgPool) -> Self {
        Self { name: name.into(), pool }
    }

    /// Where to go on: the place, or the beginning of the log when there is none yet.
    pub async fn begin(&self) -> Result<i64, FollowError> {
        let (position, known, now, quarantined, head): (i64, i32, i32, bool, i64) = sqlx::query_as(
            "with here as (
                 insert into engine.mirrors as known (name, global_position, incarnation)
                 select $1, 0, incarnation from engine.installation
                 on conflict (name) do update set global_position = known.global_position
                 returning global_position, incarnation
             )
             select here.global_position, here.incarnation, installation.incarnation,
                    installation.quarantined_since is not null, head.global_position
             from here cross join engine.installation cross join log.head",
        )
        .bind(&self.name)
        .fetch_one(&self.pool)
        .await?;
        if quarantined {
            return Err(FollowError::Quarantined);
        }
        if known != now {
            return Err(FollowError::Incarnation { known, now });
        }
        if position > head {
            return Err(FollowError::Beyond { position, head });
        }
        Ok(position)
    }

    /// Up to `limit` events after a global position; none of a history that waits for a person's word, or that is not the one
    /// that was followed so far.
    pub async fn page(&self, after: i64, limit: i64) -> Result<Vec<StoredEvent>, sqlx::Error> {
        // Row by row, by the index: see `Subscription::page`.
        let rows = sqlx::query(
            "select entry.global_position, entry.position, entry.organization_id, entry.aggregate_type, entry.aggregate_id,
                    entry.sequence, entry.leaf, stored.event_type, stored.event_version, stored.recorded_at,
                    stored.payload::text as payload, stored.metadata
             from log.entries entry
             cross join lateral (
                 select * from log.events event
                 where event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
                     and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
                 limit 1
             ) stored
             where entry.global_position > $1 and entry.global_position <= $1 + $2
                 and not exists (select from engine.installation where quarantined_since is not null)
                 and not exists (select from engine.installation here join engine.mirrors known on known.name = $3
                                 where known.incarnation <> here.incarnation)
             order by entry.global_position",
        )
        .bind(after)
        .bind(limit)
        .bind(&self.name)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(stored).collect()
    }

    /// Moves the place from where it was found. `false` when the lease was lost, another moved it, or the log was restored.
    pub async fn advance(&self, lease: &Lease, from: i64, to: i64) -> Result<bool, sqlx::Error> {
        let (lease, holder, fence) = lease.parts();
        let moved = sqlx::query(
            "update engine.mirrors known set global_position = $3, updated_at = now(), stopped = null
             from engine.leases held, engine.installation here
             where known.name = $1 and known.global_position = $2 and known.incarnation = here.incarnation
                 and held.name = $4 and held.holder = $5 and held.fence = $6",
        )
        .bind(&self.name)
        .bind(from)
        .bind(to)
        .bind(lease)
        .bind(holder)
        .bind(fence)
        .execute(&self.pool)
        .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// Writes down why it stopped for good.
    pub async fn stopped(&self, reason: &str) -> Result<(), sqlx::Error> {
        sqlx::query("update engine.mirrors set stopped = $2 where name = $1")
            .bind(&self.name)
            .bind(reason)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }
}

/// How all followers stand.
pub async fn standings(pool: &PgPool) -> Result<Vec<Standing>, sqlx::Error> {
    let rows: Vec<(String, i64, DateTime<Utc>, Option<String>)> = sqlx::query_as(
        "select known.name, greatest(head.global_position - known.global_position, 0), known.updated_at, known.stopped
         from engine.mirrors known cross join log.head order by known.name",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(name, lag, updated_at, stopped)| Standing { name, lag, updated_at, stopped }).collect())
}

fn stored(row: &PgRow) -> Result<StoredEvent, sqlx::Error> {
    let metadata: sqlx::types::Json<Metadata> = row.try_get("metadata")?;
    Ok(StoredEvent {
        global_position: row.try_get("global_position")?,
        organization: row.try_get("organization_id")?,
        position: row.try_get("position")?,
        stream: row.try_get("aggregate_type")?,
        stream_id: row.try_get("aggregate_id")?,
        version: row.try_get("sequence")?,
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        recorded_at: row.try_get("recorded_at")?,
        payload: row.try_get("payload")?,
        metadata: metadata.0,
        leaf: row.try_get("leaf")?,
    })
}
