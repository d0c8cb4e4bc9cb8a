//! The secrets that sign: made here, shown once, kept sealed, and in no event.

use domain::Command;
use event_store::{AppendError, Store, transaction};
use events::{OrganizationId, SecretId, WebhookId};
use integrations::{Secret, outbound::new_secret};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{Answer, Ask, Engine, Fault};

/// Webhooks that an organization may have.
pub const MOST_WEBHOOKS: i64 = 20;

fn usage(organization: OrganizationId, webhook: WebhookId, id: SecretId) -> String {
    // A wrapped secret that was moved to another row does not open.
    format!("webhook-secret/{organization}/{webhook}/{id}")
}

/// Makes a secret and keeps it. It signs nothing until an event names it.
pub async fn make(
    store: &Store,
    organization: OrganizationId,
    webhook: WebhookId,
) -> Result<(SecretId, Secret), Fault> {
    let mut transaction = transaction::begin(store.pool()).await?;
    let made = keep(&mut transaction, store, organization, webhook).await?;
    transaction.commit().await?;
    Ok(made)
}

/// Makes the first secret of a webhook that is to be registered, unless the organization has as many as it may.
pub async fn make_first(
    store: &Store,
    organization: OrganizationId,
    webhook: WebhookId,
) -> Result<Option<(SecretId, Secret)>, Fault> {
    let mut transaction = transaction::begin(store.pool()).await?;
    // One after the other, so that each counts what the others made.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('webhooks of ' || $1::text, 0))")
        .bind(organization.0)
        .execute(&mut *transaction)
        .await?;
    // What was made a moment ago is being registered; what never was counts no longer.
    let count: i64 = sqlx::query_scalar(
        "select count(distinct secret.webhook_id) from vault.webhook_secrets secret
         where secret.organization_id = $1
             and (secret.created_at > now() - interval '1 minute' or exists (
                 select from log.events event
                 where event.aggregate_type = 'webhook' and event.sequence = 1
                     and event.stream_key = $1::text || '/' || secret.webhook_id::text))",
    )
    .bind(organization.0)
    .fetch_one(&mut *transaction)
    .await?;
    if count >= MOST_WEBHOOKS {
        return Ok(None);
    }
    let made = keep(&mut transaction, store, organization, webhook).await?;
    transaction.commit().await?;
    Ok(Some(made))
}

async fn keep(
    connection: &mut PgConnection,
    store: &Store,
    organization: OrganizationId,
    webhook: WebhookId,
) -> Result<(SecretId, Secret), Fault> {
    let id = SecretId(Uuid::now_v7());
    let secret = new_secret().ok_or_else(|| {
        Fault::Store(AppendError::Database(sqlx::Error::Configuration("there is no randomness".into())))
    })?;
    let wrapped = store.keyring().seal_raw(&usage(organization, webhook, id), secret.expose().as_bytes())?;
    sqlx::query(
        "insert into vault.webhook_secrets (secret_id, organization_id, webhook_id, wrapped)
         values ($1, $2, $3, $4)",
    )
    .bind(id.0)
    .bind(organization.0)
    .bind(webhook.0)
    .bind(wrapped)
    .execute(connection)
    .await?;
    Ok((id, secret))
}

/// Has a command name a secret that was just made; one that is refused for good is forgotten. After a lost answer an event may name
/// it all the same, and the webhook would have none that signs.
pub async fn name<C: Command>(engine: &Engine, command: C, ask: &Ask, id: SecretId) -> Result<Answer, Fault> {
    let named = engine.execute(command, ask).await;
    if named.as_ref().is_err_and(Fault::is_final)
        && let Err(error) = forget_one(engine.store().pool(), id).await
    {
        tracing::warn!(%error, "a secret that nothing names could not be forgotten");
    }
    named
}

/// Those that a webhook names, which is to say signs with, the latest first.
pub async fn load(
    store: &Store,
    organization: OrganizationId,
    webhook: WebhookId,
    named: &[SecretId],
) -> Result<Vec<(SecretId, Secret)>, Fault> {
    let rows: Vec<(Uuid, Vec<u8>)> = sqlx::query_as(
        "select secret_id, wrapped from vault.webhook_secrets
         where organization_id = $1 and webhook_id = $2 and secret_id = any($3)
         order by array_position($3, secret_id)",
    )
    .bind(organization.0)
    .bind(webhook.0)
    .bind(named.iter().map(|id| id.0).collect::<Vec<_>>())
    .fetch_all(store.pool())
    .await?;
    let mut secrets = Vec::with_capacity(rows.len());
    for (id, wrapped) in rows {
        let id = SecretId(id);
        match store.keyring().open_raw(&usage(organization, webhook, id), &wrapped).await {
            Ok(text) => secrets.push((id, Secret::new(String::from_utf8_lossy(&text)))),
            // A former one holds up nothing.
            Err(error) if named.first() != Some(&id) => {
                tracing::error!(webhook.id = %webhook, %error, "a former secret of a webhook cannot be opened");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(secrets)
}

/// Forgets all of a webhook's.
pub async fn forget(pool: &PgPool, organization: OrganizationId, webhook: WebhookId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from vault.webhook_secrets where organization_id = $1 and webhook_id = $2")
        .bind(organization.0)
        .bind(webhook.0)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Forgets one that no event names.
async fn forget_one(pool: &PgPool, id: SecretId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from vault.webhook_secrets where secret_id = $1").bind(id.0).execute(pool).await.map(|_| ())
}
