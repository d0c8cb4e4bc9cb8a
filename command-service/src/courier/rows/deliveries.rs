//! What waits of a webhook: taken from the feed in its order, due when the one before it is gone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use event_feed::Shown;
use sqlx::{PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use super::{super::WINDOW, Endpoint};
use crate::quarantine;

/// An event that waits.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub position: i64,
    pub stream_id: Uuid,
    /// What becomes of this attempt says nothing about the same event in another generation.
    pub generation: Uuid,
    pub attempts: i32,
    pub first_tried_at: Option<DateTime<Utc>>,
    pub last_tried_at: Option<DateTime<Utc>>,
}

impl Delivery {
    pub const fn is_test(&self) -> bool {
        self.position < 0
    }
}

/// How far a webhook is, and how many of its events wait.
pub async fn standing(pool: &PgPool, endpoint: &Endpoint) -> Result<(i64, i64), sqlx::Error> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "select position, (select count(*) from engine.webhook_deliveries waiting
                           where waiting.organization_id = $1 and waiting.webhook_id = $2 and waiting.position > 0)
         from engine.webhook_endpoints where organization_id = $1 and webhook_id = $2",
    )
    .bind(endpoint.organization.0)
    .bind(endpoint.webhook.0)
    .fetch_optional(pool)
    .await?;
    // Removed meanwhile: there is no room.
    Ok(found.unwrap_or((0, WINDOW)))
}

/// Has events wait and moves on, in one step; nothing if the webhook was taken over or set back meanwhile.
pub async fn take_in(
    pool: &PgPool,
    endpoint: &Endpoint,
    position: i64,
    complete: i64,
    shown: &[Arc<Shown>],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let take_in = format!(
        "with moved as (
             update engine.webhook_endpoints set position = $5, next_due_at = least(next_due_at, $9)
             where {} and organization_id = $1 and webhook_id = $2 and holder = $3 and position = $4 and enabled
             returning organization_id, webhook_id
         )
         insert into engine.webhook_deliveries (organization_id, webhook_id, position, stream, stream_id, due_at)
         select moved.organization_id, moved.webhook_id, event.position, event.stream, event.stream_id, $9
         from moved cross join unnest($6::bigint[], $7::text[], $8::uuid[]) as event (position, stream, stream_id)
         on conflict do nothing",
        quarantine::allows()
    );
    sqlx::query(&take_in)
        .bind(endpoint.organization.0)
        .bind(endpoint.webhook.0)
        .bind(endpoint.claim)
        .bind(position)
        .bind(complete)
        .bind(shown.iter().map(|one| one.position).collect::<Vec<_>>())
        .bind(shown.iter().map(|one| one.stream).collect::<Vec<_>>())
        .bind(shown.iter().map(|one| one.stream_id).collect::<Vec<_>>())
        .bind(now)
        .execute(pool)
        .await
        .map(|_| ())
}

/// What is due of a webhook: of each aggregate only the first that waits, and none of those that are busy.
pub async fn due(
    pool: &PgPool,
    endpoint: &Endpoint,
    enabled: bool,
    now: DateTime<Utc>,
    busy: &[Uuid],
    limit: usize,
) -> Result<Vec<Delivery>, sqlx::Error> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let due = format!(
        "select position, stream_id, generation, attempts, first_tried_at, last_tried_at
         from engine.webhook_deliveries waiting
         where {} and organization_id = $1 and webhook_id = $2 and due_at <= $4 and (position < 0 or $3)
             and stream_id <> all($5)
             and not exists (
                 select from engine.webhook_deliveries before
                 where before.organization_id = $1 and before.webhook_id = $2
                     and before.stream_id = waiting.stream_id and before.position < waiting.position)
         order by position limit $6",
        quarantine::allows()
    );
    let rows = sqlx::query(&due)
        .bind(endpoint.organization.0)
        .bind(endpoint.webhook.0)
        .bind(enabled)
        .bind(now)
        .bind(busy)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    rows.iter().map(delivery).collect()
}

fn delivery(row: &PgRow) -> Result<Delivery, sqlx::Error> {
    Ok(Delivery {
        position: row.try_get("position")?,
        stream_id: row.try_get("stream_id")?,
        generation: row.try_get("generation")?,
        attempts: row.try_get("attempts")?,
        first_tried_at: row.try_get("first_tried_at")?,
        last_tried_at: row.try_get("last_tried_at")?,
    })
}

/// What is not wanted any more waits no longer.
pub async fn drop_delivery(pool: &PgPool, endpoint: &Endpoint, delivery: &Delivery) -> Result<(), sqlx::Error> {
    sqlx::query(
        "delete from engine.webhook_deliveries
         where organization_id = $1 and webhook_id = $2 and position = $3 and generation = $4",
    )
    .bind(endpoint.organization.0)
    .bind(endpoint.webhook.0)
    .bind(delivery.position)
    .bind(delivery.generation)
    .execute(pool)
    .await
    .map(|_| ())
}

/// It could not be tried yet.
pub async fn postpone(
    pool: &PgPool,
    endpoint: &Endpoint,
    delivery: &Delivery,
    due_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update engine.webhook_deliveries set due_at = $5
         where organization_id = $1 and webhook_id = $2 and position = $3 and generation = $4",
    )
    .bind(endpoint.organization.0)
    .bind(endpoint.webhook.0)
    .bind(delivery.position)
    .bind(delivery.generation)
    .bind(due_at)
    .execute(pool)
    .await
    .map(|_| ())
}
