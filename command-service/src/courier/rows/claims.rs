//! Who sends a webhook: one worker at a time, by a lease that it renews.

use std::time::Duration;

use chrono::{DateTime, Utc};
use event_store::transaction;
use events::{OrganizationId, WebhookId};
use sqlx::PgPool;
use uuid::Uuid;

use super::{super::WINDOW, Endpoint};
use crate::quarantine;

/// How long a webhook is left to a worker that says nothing.
pub const LEASE: Duration = Duration::from_secs(8);
/// After something failed inside, a webhook is left alone for a moment.
const BREATH: Duration = Duration::from_secs(2);

/// For how many webhooks there is room.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub places: i64,
    /// Of one organization at once, whoever sends them: its silent receivers hold up no other organization.
    pub share: i64,
}

/// Claims webhooks for which there is something to do, those first that rested longest; none of those that are `busy` here.
pub async fn claim(
    pool: &PgPool,
    room: Room,
    now: DateTime<Utc>,
    busy: &[(Uuid, Uuid)],
) -> Result<Vec<Endpoint>, sqlx::Error> {
    if room.places <= 0 {
        return Ok(Vec::new());
    }
    let claim = format!(
        "with held as (
             select organization_id, count(*) as count from engine.webhook_endpoints
             where holder is not null and lease_until >= now() group by organization_id
         ), ready as (
             select endpoint.organization_id, endpoint.webhook_id, coalesce(held.count, 0) + row_number() over (
                 partition by endpoint.organization_id order by endpoint.lease_until nulls first, endpoint.webhook_id) as place
             from engine.webhook_endpoints endpoint
             left join held on held.organization_id = endpoint.organization_id
             left join log.heads head on head.organization_id = endpoint.organization_id
             where {} and (endpoint.lease_until is null or endpoint.lease_until < now())
                 and (endpoint.next_due_at <= $3
                     or (endpoint.enabled and not endpoint.is_full and endpoint.position < head.position))
                 and not exists (
                     select from unnest($6::uuid[], $7::uuid[]) as busy (organization_id, webhook_id)
                     where busy.organization_id = endpoint.organization_id and busy.webhook_id = endpoint.webhook_id)
         ), chosen as (
             select endpoint.organization_id, endpoint.webhook_id from engine.webhook_endpoints endpoint
             join ready on ready.organization_id = endpoint.organization_id and ready.webhook_id = endpoint.webhook_id
             where ready.place <= $5 and (endpoint.lease_until is null or endpoint.lease_until < now())
             order by ready.place, endpoint.lease_until nulls first limit $4
             for update of endpoint skip locked
         )
         update engine.webhook_endpoints endpoint set holder = $1, lease_until = now() + $2
         from chosen where endpoint.organization_id = chosen.organization_id and endpoint.webhook_id = chosen.webhook_id
         returning endpoint.organization_id, endpoint.webhook_id",
        quarantine::allows()
    );
    let holder = Uuid::now_v7();
    let (organizations, webhooks): (Vec<Uuid>, Vec<Uuid>) = busy.iter().copied().unzip();
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(&claim)
        .bind(holder)
        .bind(LEASE)
        .bind(now)
        .bind(room.places)
        .bind(room.share)
        .bind(organizations)
        .bind(webhooks)
        .fetch_all(pool)
        .await?;
    let endpoint = |(organization, webhook)| Endpoint {
        organization: OrganizationId(organization),
        webhook: WebhookId(webhook),
        claim: holder,
    };
    Ok(rows.into_iter().map(endpoint).collect())
}

/// Keeps claims; returns those that still hold.
pub async fn renew(pool: &PgPool, claims: &[Endpoint]) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    sqlx::query_as(
        "update engine.webhook_endpoints endpoint set lease_until = now() + $1
         from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as kept (organization_id, webhook_id, holder)
         where endpoint.organization_id = kept.organization_id and endpoint.webhook_id = kept.webhook_id
             and endpoint.holder = kept.holder
         returning endpoint.organization_id, endpoint.webhook_id",
    )
    .bind(LEASE)
    .bind(claims.iter().map(|claim| claim.organization.0).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.webhook.0).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.claim).collect::<Vec<_>>())
    .fetch_all(pool)
    .await
}

/// Lets go of a webhook, and notes when there is something to do again; after something failed, for nobody to take at once.
pub async fn release(pool: &PgPool, endpoint: &Endpoint, pause: bool) -> Result<(), sqlx::Error> {
    let mut transaction = transaction::begin(pool).await?;
    // What is made due from now on waits for this row, and is not overlooked below.
    let enabled: Option<bool> = sqlx::query_scalar(
        "select enabled from engine.webhook_endpoints
         where organization_id = $1 and webhook_id = $2 and holder = $3 for update",
    )
    .bind(endpoint.organization.0)
    .bind(endpoint.webhook.0)
    .bind(endpoint.claim)
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(enabled) = enabled {
        sqlx::query(
            "update engine.webhook_endpoints set holder = null, lease_until = now() + $3,
                 next_due_at = coalesce((
                     select min(waiting.due_at) from engine.webhook_deliveries waiting
                     where waiting.organization_id = $1 and waiting.webhook_id = $2 and ($4 or waiting.position < 0)
                         and not exists (
                             select from engine.webhook_deliveries before
                             where before.organization_id = $1 and before.webhook_id = $2
                                 and before.stream_id = waiting.stream_id and before.position < waiting.position)), 'infinity'),
                 is_full = (select count(*) from engine.webhook_deliveries waiting
                            where waiting.organization_id = $1 and waiting.webhook_id = $2 and waiting.position > 0) >= $5
             where organization_id = $1 and webhook_id = $2",
        )
        .bind(endpoint.organization.0)
        .bind(endpoint.webhook.0)
        .bind(if pause { BREATH } else { Duration::ZERO })
        .bind(enabled)
        .bind(WINDOW)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}
