//! Who sends a webhook: one worker at a time, by a lease that it renews.

use std::time::Duration;

use chrono::{DateTime, Utc};
use events::{OrganizationId, WebhookId};
use sqlx::PgPool;
use uuid::Uuid;

use super::{super::WINDOW, Endpoint};
use crate::quarantine;

/// How long a webhook is left to a worker that says nothing.
pub const LEASE: Duration = Duration::from_secs(8);
/// After something failed inside, a webhook is left alone for a moment.
const BREATH: Duration = Duration::from_secs(2);

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
