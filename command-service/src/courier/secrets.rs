//! The secrets that sign: made here, shown once, kept sealed, and in no event.

use event_store::{AppendError, Store};
use events::{OrganizationId, SecretId, WebhookId};
use integrations::{Secret, outbound::new_secret};
use sqlx::PgPool;
use uuid::Uuid;

use crate::Fault;

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
    .execute(store.pool())
    .await?;
    Ok((id, secret))
}

/// All that were ever made for a webhook; which of them sign is the webhook's own business.
pub async fn load(
    store: &Store,
    organization: OrganizationId,
    webhook: WebhookId,
) -> Result<Vec<(SecretId, Secret)>, Fault> {
    let rows: Vec<(Uuid, Vec<u8>)> = sqlx::query_as(
        "select secret_id, wrapped from vault.webhook_secrets where organization_id = $1 and webhook_id = $2
         order by created_at desc limit 20",
    )
    .bind(organization.0)
    .bind(webhook.0)
    .fetch_all(store.pool())
    .await?;
    let mut secrets = Vec::with_capacity(rows.len());
    for (id, wrapped) in rows {
        let id = SecretId(id);
        let text = store.keyring().open_raw(&usage(organization, webhook, id), &wrapped).await?;
        secrets.push((id, Secret::new(String::from_utf8_lossy(&text))));
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
pub async fn forget_one(pool: &PgPool, id: SecretId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from vault.webhook_secrets where secret_id = $1").bind(id.0).execute(pool).await.map(|_| ())
}
