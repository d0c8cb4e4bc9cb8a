//! What was tried of a webhook, and what follows from it for what waits.

use chrono::{DateTime, Utc};
use event_store::transaction;
use integrations::outbound::Posted;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Delivery, Endpoint};

/// How long attempts are remembered, in days of the business clock.
const KEPT_DAYS: i64 = 30;

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
    /// It was posted to where nothing is sent any more: it is tried again as if for the first time.
    Anew {
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
            Self::Again { .. } | Self::Anew { .. } | Self::Failed => "failed",
            Self::Gone { .. } => "gone",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Since when everything fails, if nothing arrived since this event was tried before. Only what is refused while others arrive is
/// refused alone: an arrival long ago, or one that was under way when a receiver went down, says nothing of it now.
pub async fn failing_since(
    pool: &PgPool,
    endpoint: &Endpoint,
    delivery: &Delivery,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let (first, last) = (delivery.first_tried_at.unwrap_or(now), delivery.last_tried_at.unwrap_or(now));
    let since: Option<Option<DateTime<Utc>>> = sqlx::query_scalar(
        "select failing_since from engine.webhook_endpoints
         where organization_id = $1 and webhook_id = $2 and (last_success_at is null or last_success_at < $3)",
    )
    .bind(endpoint.organization.0)
    .bind(endpoint.webhook.0)
    .bind(last)
    .fetch_optional(pool)
    .await?;
    Ok(since.map(|since| since.unwrap_or(first)))
}

/// Writes an attempt and what follows from it, in one step; nothing of a webhook that was removed meanwhile.
pub async fn record(
    pool: &PgPool,
    endpoint: &Endpoint,
    delivery: &Delivery,
    attempt: &Attempt<'_>,
    next: &Next,
) -> Result<(), sqlx::Error> {
    let (organization, webhook) = endpoint.key();
    let mut transaction = transaction::begin(pool).await?;
    let known =
        sqlx::query("select from engine.webhook_endpoints where organization_id = $1 and webhook_id = $2 for update")
            .bind(organization)
            .bind(webhook)
            .fetch_optional(&mut *transaction)
            .await?;
    if known.is_none() {
        return Ok(());
    }
    let next_at = match next {
        Next::Again { due_at } | Next::Anew { due_at } => Some(*due_at),
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
    let concerned = match next {
        Next::Again { due_at } | Next::Gone { due_at } => {
            sqlx::query(
                "update engine.webhook_deliveries
                 set attempts = $5, first_tried_at = coalesce(first_tried_at, $6), last_tried_at = $6, due_at = $7
                 where organization_id = $1 and webhook_id = $2 and position = $3 and generation = $4",
            )
            .bind(organization)
            .bind(webhook)
            .bind(delivery.position)
            .bind(delivery.generation)
            .bind(attempt.number)
            .bind(attempt.at)
            .bind(due_at)
            .execute(&mut *transaction)
            .await?
        }
        Next::Anew { due_at } => {
            sqlx::query(
                "update engine.webhook_deliveries
                 set attempts = 0, first_tried_at = null, last_tried_at = null, generation = default, due_at = $5
                 where organization_id = $1 and webhook_id = $2 and position = $3 and generation = $4",
            )
            .bind(organization)
            .bind(webhook)
            .bind(delivery.position)
            .bind(delivery.generation)
            .bind(due_at)
            .execute(&mut *transaction)
            .await?
        }
        Next::Delivered | Next::Failed | Next::Abandoned => {
            sqlx::query(
                "delete from engine.webhook_deliveries
                 where organization_id = $1 and webhook_id = $2 and position = $3 and generation = $4",
            )
            .bind(organization)
            .bind(webhook)
            .bind(delivery.position)
            .bind(delivery.generation)
            .execute(&mut *transaction)
            .await?
        }
    };
    let arrived = *next == Next::Delivered;
    // A failure of before says nothing of how it is now.
    let counts = concerned.rows_affected() > 0 && !matches!(next, Next::Anew { .. });
    if !delivery.is_test() && (arrived || counts) {
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

/// Forgets old attempts.
pub async fn forget_old(pool: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query("delete from engine.webhook_attempts where at < $1")
        .bind(now - chrono::TimeDelta::days(KEPT_DAYS))
        .execute(pool)
        .await
        .map(|_| ())
}
