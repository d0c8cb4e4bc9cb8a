//! The keys that sign checkpoints: made at first need, wrapped by the master key, replaced by rotation.

use chrono::{DateTime, Utc};
use events::OrganizationId;
use ring::rand::{SecureRandom, SystemRandom};
use sqlx::{PgConnection, PgPool, Row};
use transparency::{KeyPair, Vkey, checkpoint};
use uuid::Uuid;

use crate::{Keyring, key_service::KeyServiceError, keyring::KeyError, seal::SealError};

/// A key's public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub id: Uuid,
    pub public: [u8; 32],
    pub created_at: DateTime<Utc>,
    pub retired_at: Option<DateTime<Utc>>,
}

impl PublicKey {
    /// As it signs for a log.
    pub fn vkey(&self, origin: &str) -> Vkey {
        Vkey { name: origin.to_owned(), public: self.public }
    }
}

/// All keys there ever were, oldest first.
pub async fn public_keys(connection: &mut PgConnection) -> Result<Vec<PublicKey>, sqlx::Error> {
    let rows = sqlx::query("select * from log.signing_keys order by created_at, key_id").fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let public: &[u8] = row.try_get("public_key")?;
            Ok(PublicKey {
                id: row.try_get("key_id")?,
                public: public.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
                created_at: row.try_get("created_at")?,
                retired_at: row.try_get("retired_at")?,
            })
        })
        .collect()
}

/// The name of an organization's log.
pub async fn origin(connection: &mut PgConnection, organization: OrganizationId) -> Result<String, sqlx::Error> {
    let installation: Uuid = sqlx::query_scalar("select id from engine.installation").fetch_one(connection).await?;
    Ok(checkpoint::origin(installation, organization.0))
}

/// The key that signs now; made if there is none.
pub async fn current(pool: &PgPool, keyring: &Keyring) -> Result<Uuid, KeyError> {
    const CURRENT: &str = "select key_id from vault.signing_keys where retired_at is null";
    if let Some(id) = sqlx::query_scalar(CURRENT).fetch_optional(pool).await? {
        return Ok(id);
    }
    if !insert(pool, keyring).await? {
        keyring.refresh().await?;
        insert(pool, keyring).await?;
    }
    Ok(sqlx::query_scalar(CURRENT).fetch_one(pool).await?)
}

/// Retires the key that signs now and makes another. Each log's next checkpoint is signed by both.
pub async fn rotate(pool: &PgPool, keyring: &Keyring) -> Result<Uuid, KeyError> {
    let mut transaction = crate::transaction::begin(pool).await?;
    sqlx::query("update vault.signing_keys set retired_at = now() where retired_at is null")
        .execute(&mut *transaction)
        .await?;
    if !insert(&mut *transaction, keyring).await? {
        // The master key was replaced meanwhile.
        keyring.refresh().await?;
        insert(&mut *transaction, keyring).await?;
    }
    transaction.commit().await?;
    current(pool, keyring).await
}

/// A key with its private half. Its public half must be the one that is stored.
pub async fn open(pool: &PgPool, keyring: &Keyring, id: Uuid) -> Result<KeyPair, KeyError> {
    let (public, wrapped, by): (Vec<u8>, Vec<u8>, String) =
        sqlx::query_as("select public_key, wrapped, master_key_id from vault.signing_keys where key_id = $1")
            .bind(id)
            .fetch_one(pool)
            .await?;
    let seed = keyring.masters().unwrap(&by, &usage(id), &wrapped).await.map_err(|error| match error {
        KeyServiceError::NotWrapped(_) => KeyError::SigningKey(id),
        other => other.into(),
    })?;
    let pair = KeyPair::from_seed(&seed).ok_or(KeyError::SigningKey(id))?;
    if pair.public() == *public { Ok(pair) } else { Err(KeyError::SigningKey(id)) }
}

/// Whether a key was stored. Another process may be first, whose key is then the key.
async fn insert(executor: impl sqlx::PgExecutor<'_>, keyring: &Keyring) -> Result<bool, KeyError> {
    let id = Uuid::now_v7();
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| SealError)?;
    let pair = KeyPair::from_seed(&seed).ok_or(SealError)?;
    let (by, wrapped) = keyring.wrap(&usage(id), &seed).await?;
    let stored = sqlx::query(
        "insert into vault.signing_keys (key_id, public_key, wrapped, master_key_id) select $1, $2, $3, $4
         where $4 = (select master_key_id from engine.installation) on conflict do nothing",
    )
    .bind(id)
    .bind(pair.public().as_slice())
    .bind(wrapped)
    .bind(by)
    .execute(executor)
    .await?;
    Ok(stored.rows_affected() > 0)
}

pub(crate) fn usage(id: Uuid) -> String {
    format!("signing-key/{id}")
}
