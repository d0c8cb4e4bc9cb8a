//! What a webhook's own events ask of its rows; each can be repeated.

use chrono::{DateTime, Utc};
use domain::{Webhook, webhook::Situation};
use event_store::transaction;
use events::{OrganizationId, Purpose, WebhookId};
use sqlx::PgPool;
use uuid::Uuid;

use super::super::secrets;
use crate::{Engine, Fault};

/// Brings the courier's rows to what the webhook's own stream says; repeating it changes nothing.
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
    let known: Option<i64> = sqlx::query_scalar(
        "select version from engine.webhook_endpoints
         where organization_id = $1 and webhook_id = $2 and version < $3 for update",
    )
    .bind(organization.0)
    .bind(webhook.0)
    .bind(state.version)
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(known) = known {
        let anew = state.since > known;
        sqlx::query(
            "update engine.webhook_endpoints set enabled = $3, version = $4,
                 failing_since = case when $5 then null else failing_since end,
                 next_due_at = case when $5 then least(next_due_at, $6) else next_due_at end
             where organization_id = $1 and webhook_id = $2",
        )
        .bind(organization.0)
        .bind(webhook.0)
        .bind(enabled)
        .bind(state.version)
        .bind(anew)
        .bind(engine.clock().now())
        .execute(&mut *transaction)
        .await?;
        if anew {
            // It points elsewhere or was enabled: what waits has all its attempts again.
            sqlx::query(
                "update engine.webhook_deliveries
                 set attempts = 0, first_tried_at = null, last_tried_at = null, generation = default, due_at = $3
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
             update engine.webhook_endpoints set position = least(position, $4 - 1), replayed = $3, is_full = false
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
        "with asked as (
             update engine.webhook_endpoints set next_due_at = least(next_due_at, $5)
             where organization_id = $1 and webhook_id = $2
                 and not exists (select from engine.webhook_attempts sent
                                 where sent.organization_id = $1 and sent.webhook_id = $2 and sent.position = -$3)
             returning organization_id, webhook_id
         )
         insert into engine.webhook_deliveries (organization_id, webhook_id, position, stream, stream_id, due_at)
         select organization_id, webhook_id, -$3, 'webhook', $4, $5 from asked
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
