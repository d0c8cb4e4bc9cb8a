//! Reading the log in order, with a checkpoint that commits together with what the subscriber writes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use cqrs_es::persist::SerializedEvent;
use events::{Metadata, OrganizationId, Recorded};
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow, types::Json};
use tokio::{sync::watch, time::timeout};

use crate::{Store, append::AppendError};

/// A subscriber by its name.
#[derive(Debug, Clone)]
pub struct Subscription {
    name: String,
    store: Arc<Store>,
    head: watch::Receiver<i64>,
}

/// Consecutive events, and the position that handling them reaches.
#[derive(Debug)]
pub struct Page {
    pub events: Vec<Recorded>,
    /// The global position after this page.
    pub end: i64,
}

impl Subscription {
    pub fn new(name: impl Into<String>, store: Arc<Store>) -> Self {
        let head = store.positions().head();
        Self { name: name.into(), store, head }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn pool(&self) -> &PgPool {
        self.store.pool()
    }

    /// Where to go on: the checkpoint, or `start` when there is none yet, which is then written.
    pub async fn begin(&self, start: i64) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(
            "insert into engine.checkpoints as known (subscriber, global_position, incarnation)
             select $1, $2, incarnation from engine.installation
             on conflict (subscriber) do update set global_position = known.global_position
             returning global_position",
        )
        .bind(&self.name)
        .bind(start)
        .fetch_one(self.store.pool())
        .await
    }

    /// Locks the checkpoint for the transaction and returns it, so that two runners cannot both handle a page.
    pub async fn lock(&self, connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("select global_position from engine.checkpoints where subscriber = $1 for update")
            .bind(&self.name)
            .fetch_optional(connection)
            .await
    }

    /// Moves the checkpoint in the subscriber's transaction.
    pub async fn advance(&self, connection: &mut PgConnection, to: i64) -> Result<(), sqlx::Error> {
        sqlx::query("update engine.checkpoints set global_position = $2, updated_at = now() where subscriber = $1")
            .bind(&self.name)
            .bind(to)
            .execute(connection)
            .await
            .map(|_| ())
    }

    /// As [`Self::lock`], for several that go on together: their checkpoints by name.
    pub async fn lock_all(names: &[&str], connection: &mut PgConnection) -> Result<HashMap<String, i64>, sqlx::Error> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select subscriber, global_position from engine.checkpoints where subscriber = any($1)
             order by subscriber for update",
        )
        .bind(names)
        .fetch_all(connection)
        .await?;
        Ok(rows.into_iter().collect())
    }

    /// Moves several checkpoints that are locked; who is further stays there.
    pub async fn advance_all(names: &[&str], connection: &mut PgConnection, to: i64) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update engine.checkpoints set global_position = $2, updated_at = now()
             where subscriber = any($1) and global_position < $2",
        )
        .bind(names)
        .bind(to)
        .execute(connection)
        .await
        .map(|_| ())
    }

    /// Up to `limit` events after a position.
    pub async fn page(&self, after: i64, limit: i64) -> Result<Page, AppendError> {
        // The planner takes the key's columns for independent, expects next to nothing of a plain join, and reads all events
        // there are for every page. The `limit` leaves it one way: event by event, by the index.
        let rows = sqlx::query(
            "select entry.global_position, entry.position, entry.organization_id, entry.aggregate_type, entry.aggregate_id,
                    entry.sequence, stored.event_type, stored.event_version, stored.recorded_at, stored.payload,
                    stored.metadata
             from log.entries entry
             cross join lateral (
                 select * from log.events event
                 where event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
                     and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
                 limit 1
             ) stored
             where entry.global_position > $1 and entry.global_position <= $1 + $2
             order by entry.global_position",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(self.store.statements())
        .await?;
        let events = Self::read(&self.store, &rows).await?;
        let end = events.last().map_or(after, |event| event.global_position);
        Ok(Page { events, end })
    }

    /// Opens and upcasts rows of the log.
    pub(crate) async fn read(store: &Store, rows: &[PgRow]) -> Result<Vec<Recorded>, AppendError> {
        let mut events = rows.iter().map(Self::recorded).collect::<Result<Vec<_>, _>>()?;
        let mut sealed: Vec<_> = events.iter_mut().map(|event| (event.organization, &mut event.payload)).collect();
        store.keyring().open_all(&mut sealed).await?;
        for (event, row) in events.iter_mut().zip(rows) {
            Self::upcast(store, event, row)?;
        }
        Ok(events)
    }

    fn recorded(row: &PgRow) -> Result<Recorded, AppendError> {
        let id: &str = row.try_get("aggregate_id")?;
        let Json(metadata) = row.try_get::<Json<Metadata>, _>("metadata")?;
        Ok(Recorded {
            global_position: row.try_get("global_position")?,
            organization: OrganizationId(row.try_get("organization_id")?),
            position: row.try_get("position")?,
            stream: row.try_get("aggregate_type")?,
            stream_id: id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            version: row.try_get("sequence")?,
            event_type: row.try_get("event_type")?,
            recorded_at: row.try_get::<DateTime<Utc>, _>("recorded_at")?,
            metadata,
            payload: row.try_get("payload")?,
        })
    }

    fn upcast(store: &Store, event: &mut Recorded, row: &PgRow) -> Result<(), AppendError> {
        let stored = SerializedEvent {
            aggregate_id: String::new(),
            sequence: 0,
            aggregate_type: event.stream.clone(),
            event_type: std::mem::take(&mut event.event_type),
            event_version: row.try_get("event_version")?,
            payload: event.payload.take(),
            metadata: Value::Null,
        };
        let current = store.upcast(stored);
        event.event_type = current.event_type;
        event.payload = current.payload;
        Ok(())
    }

    /// Waits until the log has grown beyond a position, at most `patience`.
    pub async fn wait_beyond(&mut self, position: i64, patience: Duration) {
        let _ = timeout(patience, self.head.wait_for(|head| *head > position)).await;
    }
}
