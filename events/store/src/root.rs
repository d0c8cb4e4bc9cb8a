//! The installation's root: keys of digests, links and raw notices are derived from it, and outlive every master key.

use ring::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use sqlx::PgPool;

use crate::{key_service::KeyService, keyring::KeyError, seal::SealError};

pub(crate) const NAME: &str = "root";

/// Derives keys.
pub struct Root {
    secret: hkdf::Prk,
    /// Seals what belongs to no organization yet.
    raw: LessSafeKey,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Root(…)")
    }
}

impl Root {
    /// Reads it, or makes it: at random, or of the key that digests were derived from before.
    pub async fn open(pool: &PgPool, masters: &dyn KeyService, current: &str, fresh: bool) -> Result<Self, KeyError> {
        const STORED: &str = "select wrapped, master_key_id from vault.secrets where name = $1";
        let stored: Option<(Vec<u8>, String)> = sqlx::query_as(STORED).bind(NAME).fetch_optional(pool).await?;
        let (wrapped, key) = if let Some(stored) = stored {
            stored
        } else {
            let former = if fresh { None } else { masters.former_root(current) };
            let root = match former {
                Some(root) => root,
                None => random()?,
            };
            let wrapped = masters.wrap(current, NAME, &root).await?;
            // Another process may be first, whose root is then the root.
            sqlx::query(
                "insert into vault.secrets (name, wrapped, master_key_id) values ($1, $2, $3) on conflict do nothing",
            )
            .bind(NAME)
            .bind(wrapped)
            .bind(current)
            .execute(pool)
            .await?;
            sqlx::query_as(STORED).bind(NAME).fetch_one(pool).await?
        };
        Self::of(&masters.unwrap(&key, NAME, &wrapped).await?)
    }

    fn of(bytes: &[u8]) -> Result<Self, KeyError> {
        let secret = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, bytes);
        let raw = secret.expand(&[b"raw"], &AES_256_GCM).map(UnboundKey::from).map_err(|_| SealError)?;
        Ok(Self { secret, raw: LessSafeKey::new(raw) })
    }

    pub const fn raw(&self) -> &LessSafeKey {
        &self.raw
    }

    /// A MAC key for one use, derived so that uses cannot be confused.
    pub fn mac_key(&self, usage: &str) -> hmac::Key {
        match self.secret.expand(&[usage.as_bytes()], hmac::HMAC_SHA256) {
            Ok(okm) => hmac::Key::from(okm),
            // HKDF refuses only outputs over 255 blocks; this is one.
            Err(ring::error::Unspecified) => unreachable!("one block is within HKDF's limit"),
        }
    }
}

fn random() -> Result<[u8; 32], SealError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SealError)?;
    Ok(bytes)
}
