//! The courier's rows: how far each webhook is, what waits, what was tried.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::{Webhook, webhook::Situation};
use event_feed::Shown;
use event_store::transaction;
use events::{OrganizationId, Purpose, WebhookId};
use integrations::outbound::Posted;
use sqlx::{PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use super::{WINDOW, secrets};
use crate::{Engine, Fault, quarantine};

/// How long a webhook is left to a worker that says nothing.
pub const LEASE: Duration = Duration::from_secs(8);
/// After something failed inside, a webhook is left alone for a moment.
const BREATH: Duration = Duration::from_secs(2);
/// How long attempts are remembered, in days of the business clock.
const KEPT_DAYS: i64 = 30;

/// A webhook that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub organization: OrganizationId,
    pub webhook: WebhookId,
}

impl Endpoint {
    pub const fn key(&self) -> (Uuid, Uuid) {
        (self.organization.0, self.webhook.0)
    }
}

/// An event that waits.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub position: i64,
    pub stream_id: Uuid,
    pub attempts: i32,
    pub first_tried_at: Option<DateTime<Utc>>,
}

impl Delivery {
    pub const fn is_test(&self) -> bool {
        self.position < 0
    }
}

/// What is written down of an attempt.
#[derive(Debug)]
pub struct Attempt<'a> {
    pub id: Uuid,
    pub message_id: &'a str,
    pub kind: &'a str,
    pub number: i32,
    /// Business clock.
    pub at: DateTime<Utc>,
    pub posted: Posted,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Delivered,
    /// It is tried again.
    Again {
        due_at: DateTime<Utc>,
    },
    /// It waits for whoever enables the webhook again.
    Gone {
        due_at: DateTime<Utc>,
    },
    /// A test that did not arrive.
    Failed,
    /// It is tried no more.
    Abandoned,
}

impl Next {
    const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Again { .. } | Self::Failed => "failed",
            Self::Gone { .. } => "gone",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Claims webhooks for which there is something to do.
pub async fn claim(pool: &PgPool, holder: Uuid, now: DateTime<Utc>, limit: i64) -> Result<Vec<Endpoint>, sqlx::Error> {
    if limit <= 0 {
        return Ok(Vec::new());
    }
    let claim = format!(
        "with ready as (
             select endpoint.organization_id, endpoint.webhook_id from engine.webhook_endpoints endpoint
             where {} and (endpoint.lease_until is null or endpoint.lease_until < now())
                 and (
                     (endpoint.enabled
                         and endpoint.position < (select head.position from log.heads head
                                                  where head.organization_id = endpoint.organization_id)
                         and (select count(*) from engine.webhook_deliveries waiting
                              where waiting.organization_id = endpoint.organization_id
                                  and waiting.webhook_id = endpoint.webhook_id and waiting.position > 0) < $4)
                     or exists (
                         select from engine.webhook_deliveries waiting
                         where waiting.organization_id = endpoint.organization_id
                             and waiting.webhook_id = endpoint.webhook_id and waiting.due_at <= $3
                             and (endpoint.enabled or waiting.position < 0)
                             and not exists (
                                 select from engine.webhook_deliveries before
                                 where before.organization_id = waiting.organization_id
                                     and before.webhook_id = waiting.webhook_id
                                     and before.stream_id = waiting.stream_id and before.position < waiting.position)))
             order by endpoint.lease_until nulls first limit $5 for update of endpoint skip locked
         )
         update engine.webhook_endpoints endpoint set holder = $1, lease_until = now() + $2
         from ready where endpoint.organization_id = ready.organization_id and endpoint.webhook_id = ready.webhook_id
         returning endpoint.organization_id, endpoint.webhook_id",
        quarantine::allows()
    );
    let rows: Vec<(Uuid, Uuid)> =
        sqlx::query_as(&claim).bind(holder).bind(LEASE).bind(now).bind(WINDOW).bind(limit).fetch_all(pool).await?;
    let endpoint =
        |(organization, webhook)| Endpoint { organization: OrganizationId(organization), webhook: WebhookId(webhook) };
    Ok(rows.into_iter().map(endpoint).collect())
}

/// Keeps claims; returns those that still hold.
pub async fn renew(pool: &PgPool, holder: Uuid, keys: &[(Uuid, Uuid)]) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let (organizations, webhooks): (Vec<Uuid>, Vec<Uuid>) = keys.iter().copied().unzip();
    sqlx::query_as(
        "update engine.webhook_endpoints endpoint set lease_until = now() + $2
         from unnest($3::uuid[], $4::uuid[]) as kept (organization_id, webhook_id)
         where endpoint.organization_id = kept.organization_id and endpoint.webhook_id = kept.webhook_id
             and endpoint.holder = $1
         returning endpoint.organization_id, endpoint.webhook_id",
    )
    .bind(holder)
    .bind(LEASE)
    .bind(organizations)
    .bind(webhooks)
    .fetch_all(pool)
    .await
}

/// Lets go of a webhook; after something failed, for nobody to take at once.
pub async fn release(pool: &PgPool, holder: Uuid, endpoint: &Endpoint, pause: bool) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update engine.webhook_endpoints set holder = null, lease_until = now() + $4
         where organization_id = $1 and webhook_id = $2 and holder = $3",
    )
    .bind(endpoint.organization.0)
    .bind(endpoint.webhook.0)
    .bind(holder)
    .bind(if pause { BREATH } else { Duration::ZERO })
    .execute(pool)
    .await
    .map(|_| ())
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
    holder: Uuid,
    endpoint: &Endpoint,
    position: i64,
    complete: i64,
    shown: &[Arc<Shown>],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let take_in = format!(
        "with moved as (
             update engine.webhook_endpoints set position = $5
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
        .bind(holder)
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
        "select position, stream_id, attempts, first_tried_at from engine.webhook_deliveries waiting
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
        attempts: row.try_get("attempts")?,
        first_tried_at: row.try_get("first_tried_at")?,
    })
}

/// Since when everything fails, if nothing arrived since this event was first tried.
pub async fn failing_since(
    pool: &PgPool,
    endpoint: &Endpoint,
    delivery: &Delivery,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let first = delivery.first_tried_at.unwrap_or(now);
    let since: Option<Option<DateTime<Utc>>> = sqlx::query_scalar(
        "select failing_since from engine.webhook_endpoints
         where organization_id = $1 and webhook_id = $2 and (last_success_at is null or last_success_at < $3)",
    )
    .bind(endpoint.organization.0)
    .bind(endpoint.webhook.0)
    .bind(first)
    .fetch_optional(pool)
    .await?;
    Ok(since.map(|since| since.unwrap_or(first)))
}

/// What is not wanted any more waits no longer.
pub async fn drop_delivery(pool: &PgPool, endpoint: &Endpoint, delivery: &Delivery) -> Result<(), sqlx::Error> {
    sqlx::query(
        "delete from engine.webhook_deliveries where organization_id = $1 and webhook_id = $2 and position = $3",
    )
    .bind(endpoint.organization.0)
    .bind(endpoint.webhook.0)
    .bind(delivery.position)
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
        "update engine.webhook_deliveries set due_at = $4
         where organization_id = $1 and webhook_id = $2 and position = $3",
    )
    .bind(endpoint.organization.0)
    .bind(endpoint.webhook.0)
    .bind(delivery.position)
    .bind(due_at)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Writes an attempt and what follows from it, in one step.
pub async fn record(
    pool: &PgPool,
    endpoint: &Endpoint,
    delivery: &Delivery,
    attempt: &Attempt<'_>,
    next: &Next,
) -> Result<(), sqlx::Error> {
    let (organization, webhook) = endpoint.key();
    let mut transaction = transaction::begin(pool).await?;
    let next_at = match next {
        Next::Again { due_at } => Some(*due_at),
        Next::Delivered | Next::Gone { .. } | Next::Failed | Next::Abandoned => None,
    };
    let posted = &attempt.posted;
    sqlx::query(
        "insert into engine.webhook_attempts (attempt_id, organization_id, webhook_id, message_id, position, event_type,
             attempt, at, outcome, status, duration_ms, error, excerpt, next_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(attempt.id)
    .bind(organization)
    .bind(webhook)
    .bind(attempt.message_id)
    .bind(delivery.position)
    .bind(attempt.kind)
    .bind(attempt.number)
    .bind(attempt.at)
    .bind(next.word())
    .bind(posted.status.map(i32::from))
    .bind(i32::try_from(posted.took.as_millis()).unwrap_or(i32::MAX))
    .bind(posted.error.as_deref())
    .bind(posted.excerpt.as_deref())
    .bind(next_at)
    .execute(&mut *transaction)
    .await?;
    match next {
        Next::Again { due_at } | Next::Gone { due_at } => {
            sqlx::query(
                "update engine.webhook_deliveries
                 set attempts = $4, first_tried_at = coalesce(first_tried_at, $5), due_at = $6
                 where organization_id = $1 and webhook_id = $2 and position = $3",
            )
            .bind(organization)
            .bind(webhook)
            .bind(delivery.position)
            .bind(attempt.number)
            .bind(attempt.at)
            .bind(due_at)
            .execute(&mut *transaction)
            .await?;
        }
        Next::Delivered | Next::Failed | Next::Abandoned => {
            sqlx::query(
                "delete from engine.webhook_deliveries where organization_id = $1 and webhook_id = $2 and position = $3",
            )
            .bind(organization)
            .bind(webhook)
            .bind(delivery.position)
            .execute(&mut *transaction)
            .await?;
        }
    }
    if !delivery.is_test() {
        let arrived = *next == Next::Delivered;
        sqlx::query(
            "update engine.webhook_endpoints
             set last_success_at = case when $3 then $4 else last_success_at end,
                 failing_since = case when $3 then null else coalesce(failing_since, $4) end
             where organization_id = $1 and webhook_id = $2",
        )
        .bind(organization)
        .bind(webhook)
        .bind(arrived)
        .bind(attempt.at)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

/// Brings the courier's row to what the webhook's own stream says; repeating it changes nothing.
pub async fn follow(engine: &Engine, organization: OrganizationId, webhook: WebhookId) -> Result<(), Fault> {
    let pool = engine.store().pool();
    let state: Webhook = engine.state(organization, webhook.0).await?;
    let enabled = match state.situation {
        Situation::Missing => return Ok(()),
        Situation::Removed => return remove(engine, organization, webhook).await,
        Situation::Enabled => true,
        Situation::Disabled(_) => false,
    };
    let from = state.target.as_ref().and_then(|target| target.from);
    let mut transaction = transaction::begin(pool).await?;
    // What follows the registration, or less far on; never further, which would leave something out.
    sqlx::query(
        "insert into engine.webhook_endpoints (organization_id, webhook_id, enabled, version, position)
         select $1, $2, $3, 0, least(entry.position, $4) from log.entries entry
         where entry.organization_id = $1 and entry.aggregate_type = 'webhook' and entry.aggregate_id = $5
             and entry.sequence = 1
         on conflict do nothing",
    )
    .bind(organization.0)
    .bind(webhook.0)
    .bind(enabled)
    .bind(from.map(|from| from - 1))
    .bind(webhook.to_string())
    .execute(&mut *transaction)
    .await?;
    let was: Option<bool> = sqlx::query_scalar(
        "select enabled from engine.webhook_endpoints
         where organization_id = $1 and webhook_id = $2 and version < $3 for update",
    )
    .bind(organization.0)
    .bind(webhook.0)
    .bind(state.version)
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(was) = was {
        sqlx::query(
            "update engine.webhook_endpoints set enabled = $3, version = $4,
                 failing_since = case when $5 then null else failing_since end
             where organization_id = $1 and webhook_id = $2",
        )
        .bind(organization.0)
        .bind(webhook.0)
        .bind(enabled)
        .bind(state.version)
        .bind(enabled && !was)
        .execute(&mut *transaction)
        .await?;
        if enabled && !was {
            // What waits has all its attempts again.
            sqlx::query(
                "update engine.webhook_deliveries set attempts = 0, first_tried_at = null, due_at = $3
                 where organization_id = $1 and webhook_id = $2 and position > 0",
            )
            .bind(organization.0)
            .bind(webhook.0)
            .bind(engine.clock().now())
            .execute(&mut *transaction)
            .await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

async fn remove(engine: &Engine, organization: OrganizationId, webhook: WebhookId) -> Result<(), Fault> {
    let pool = engine.store().pool();
    for table in ["webhook_endpoints", "webhook_deliveries"] {
        sqlx::query(&format!("delete from engine.{table} where organization_id = $1 and webhook_id = $2"))
            .bind(organization.0)
            .bind(webhook.0)
            .execute(pool)
            .await?;
    }
    secrets::forget(pool, organization, webhook).await?;
    // Whom to tell is nobody's business any more.
    engine.store().keyring().destroy(organization, webhook.0, &[Purpose::Contact]).await?;
    Ok(())
}

/// Sets a webhook back; the wish is known by its version in the webhook's stream, and counts once.
pub async fn replay(
    pool: &PgPool,
    organization: OrganizationId,
    webhook: WebhookId,
    version: i64,
    from: i64,
) -> Result<(), sqlx::Error> {
    // What waits from there on is taken from the feed again, so that it comes in its order.
    sqlx::query(
        "with back as (
             update engine.webhook_endpoints set position = least(position, $4 - 1), replayed = $3
             where organization_id = $1 and webhook_id = $2 and replayed <> $3
             returning organization_id, webhook_id
         )
         delete from engine.webhook_deliveries waiting using back
         where waiting.organization_id = back.organization_id and waiting.webhook_id = back.webhook_id
             and waiting.position >= greatest($4, 1)",
    )
    .bind(organization.0)
    .bind(webhook.0)
    .bind(version)
    .bind(from)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Has a test wait, unless it was sent; the wish is known by its version in the webhook's stream.
pub async fn test(
    pool: &PgPool,
    organization: OrganizationId,
    webhook: WebhookId,
    version: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into engine.webhook_deliveries (organization_id, webhook_id, position, stream, stream_id, due_at)
         select $1, $2, -$3, 'webhook', $4, $5
         from engine.webhook_endpoints where organization_id = $1 and webhook_id = $2
             and not exists (select from engine.webhook_attempts sent
                             where sent.organization_id = $1 and sent.webhook_id = $2 and sent.position = -$3)
         on conflict do nothing",
    )
    .bind(organization.0)
    .bind(webhook.0)
    .bind(version)
    // Of its own, so that it waits behind nothing.
    .bind(Uuid::new_v5(&webhook.0, &version.to_be_bytes()))
    .bind(now)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Forgets old attempts.
pub async fn forget_old(pool: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query("delete from engine.webhook_attempts where at < $1")
        .bind(now - chrono::TimeDelta::days(KEPT_DAYS))
        .execute(pool)
        .await
        .map(|_| ())
}
