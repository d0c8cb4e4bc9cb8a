//! Idempotency keys: an accepted command's answer, given again when the same key comes again.

use serde_json::Value;
use sqlx::{PgPool, Row};

use events::{Metadata, OrganizationId};

/// A caller's key and the body that it stands for; scoped to (organization, actor, command).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub key: String,
    /// Of the command's body, by [`crate::Keyring::mac`]: whoever reads it must not be able to try bodies.
    pub body: [u8; 32],
    /// Kept for good instead of 30 days: the key of an effect or of a process's command.
    pub permanent: bool,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// The same key with the same body was accepted before: this was the answer.
    Answer(Value),
    /// The same key came with another body.
    OtherBody,
}

/// Looks a key up.
pub async fn find(pool: &PgPool, metadata: &Metadata, key: &IdempotencyKey) -> Result<Option<Stored>, sqlx::Error> {
    let row = sqlx::query(
        "select body, answer from log.idempotency
         where organization_id = $1 and actor = $2 and command = $3 and key = $4",
    )
    .bind(metadata.organization.0)
    .bind(&metadata.actor)
    .bind(&metadata.command)
    .bind(&key.key)
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let body: &[u8] = row.try_get("body")?;
    // Emptied by migration 16, as it was a hash without a key.
    Ok(Some(if body.is_empty() || body == key.body {
        Stored::Answer(row.try_get("answer")?)
    } else {
        Stored::OtherBody
    }))
}

/// Stores the answer of a command that changed nothing; a command with events stores it with them.
pub async fn store(
    pool: &PgPool,
    organization: OrganizationId,
    metadata: &Metadata,
    key: &IdempotencyKey,
    answer: &Value,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into log.idempotency (organization_id, actor, command, key, body, answer, permanent)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
    )
    .bind(organization.0)
    .bind(&metadata.actor)
    .bind(&metadata.command)
    .bind(&key.key)
    .bind(key.body.as_slice())
    .bind(answer)
    .bind(key.permanent)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Forgets keys of callers after 30 days.
pub async fn forget_old(pool: &PgPool) -> Result<u64, sqlx::Error> {
    sqlx::query("delete from log.idempotency where not permanent and created_at < now() - interval '30 days'")
        .execute(pool)
        .await
        .map(|done| done.rows_affected())
}
