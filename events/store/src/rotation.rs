//! Rotation of the master key: every wrapped key is wrapped anew, in steps that each may be the last before a crash.
//!
//! First the installation is told which key wraps from now on; from then on nothing new is wrapped by the former one. Then row after
//! row is unwrapped by the key whose id stands beside it, and wrapped by the new one. Processes accept both until it is done.

use sqlx::{PgPool, Postgres, Row, Transaction};
use uuid::Uuid;

use crate::{Keyring, keyring::KeyError, root, signing};

/// Rows of one transaction.
const TOGETHER: i64 = 500;

/// What a rotation has wrapped anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrapped {
    pub data_keys: u64,
    pub signing_keys: u64,
    pub secrets: u64,
    pub webhooks: u64,
}

/// How many keys a master key wraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapping {
    pub master_key: String,
    /// Whether it wraps what is new.
    pub current: bool,
    pub keys: i64,
}

/// Keeps other rotations out for as long as it is held; refused when one is under way.
pub async fn exclusively(pool: &PgPool) -> Result<Transaction<'static, Postgres>, KeyError> {
    let mut transaction = crate::transaction::begin(pool).await?;
    let alone: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtext('propty keys'))")
        .fetch_one(&mut *transaction)
        .await?;
    if alone { Ok(transaction) } else { Err(KeyError::Rotating) }
}

/// Has the keys of this database wrapped by another master key, which must be at hand beside the present one. Goes on where an
/// interrupted one stopped.
pub async fn rotate(keyring: &Keyring, pool: &PgPool, to: &str) -> Result<Rewrapped, KeyError> {
    keyring.refresh().await?;
    let mut done = Rewrapped::default();
    let (current, from) = stage(pool).await?;
    if from.is_some() {
        // One that was begun before, perhaps to another key.
        done = rewrap(keyring, pool, &current).await?;
    }
    if to != current {
        begin(keyring, pool, &current, to).await?;
        done = rewrap(keyring, pool, to).await?;
    }
    Ok(done)
}

/// Says which key wraps from now on.
pub async fn begin(keyring: &Keyring, pool: &PgPool, from: &str, to: &str) -> Result<(), KeyError> {
    // Before anything depends on it.
    let probe = keyring.masters().wrap(to, "probe", &[0; 32]).await?;
    keyring.masters().unwrap(to, "probe", &probe).await?;
    let mut transaction = crate::transaction::begin(pool).await?;
    // Whoever is just storing a key under the former one ends first; who comes later sees the new one.
    sqlx::query("lock table vault.data_keys in share row exclusive mode").execute(&mut *transaction).await?;
    let former: Vec<String> = sqlx::query_scalar("select former_master_keys from engine.installation for update")
        .fetch_one(&mut *transaction)
        .await?;
    if former.iter().any(|former| former == to) {
        return Err(KeyError::Retired(to.to_owned()));
    }
    let begun = sqlx::query(
        "update engine.installation set master_key_id = $2, rewrapping_from = $1,
             former_master_keys = array_append(former_master_keys, $1)
         where master_key_id = $1 and rewrapping_from is null",
    )
    .bind(from)
    .bind(to)
    .execute(&mut *transaction)
    .await?;
    if begun.rows_affected() != 1 {
        return Err(KeyError::Rotating);
    }
    transaction.commit().await?;
    keyring.refresh().await
}

/// Wraps everything anew that another key than this wraps, and notes the end.
pub async fn rewrap(keyring: &Keyring, pool: &PgPool, to: &str) -> Result<Rewrapped, KeyError> {
    let mut done = Rewrapped::default();
    loop {
        // What is wrapped by a key that nobody was told of is lost with it.
        if stage(pool).await?.0 != to {
            return Err(KeyError::Rotating);
        }
        let before = done;
        let mut after = Uuid::nil();
        while let Some((last, count)) = rewrap_some(keyring, pool, to, after).await? {
            after = last;
            done.data_keys += count;
        }
        done.signing_keys += rewrap_signing(keyring, pool, to).await?;
        done.secrets += rewrap_secrets(keyring, pool, to).await?;
        done.webhooks += reseal_webhooks(keyring, pool).await?;
        // A round that found nothing: whatever was stored meanwhile is wrapped by the new key.
        if done == before {
            break;
        }
    }
    sqlx::query("update engine.installation set rewrapping_from = null where master_key_id = $1")
        .bind(to)
        .execute(pool)
        .await?;
    Ok(done)
}

/// The next rows after a key's id: the last one's id, and how many were wrapped anew. `None` when there are no more.
pub async fn rewrap_some(
    keyring: &Keyring,
    pool: &PgPool,
    to: &str,
    after: Uuid,
) -> Result<Option<(Uuid, u64)>, KeyError> {
    let rows = sqlx::query(
        "select key_id, wrapped, master_key_id from vault.data_keys
         where wrapped is not null and master_key_id <> $1 and key_id > $2 order by key_id limit $3",
    )
    .bind(to)
    .bind(after)
    .bind(TOGETHER)
    .fetch_all(pool)
    .await?;
    let mut last = None;
    let (mut ids, mut anew) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        let id: Uuid = row.try_get("key_id")?;
        let (by, wrapped): (&str, &[u8]) = (row.try_get("master_key_id")?, row.try_get("wrapped")?);
        anew.push(change(keyring, (by, to), &id.to_string(), wrapped).await?);
        ids.push(id);
        last = Some(id);
    }
    let Some(last) = last else { return Ok(None) };
    // What was destroyed meanwhile stays destroyed.
    let changed = sqlx::query(
        "update vault.data_keys known set wrapped = anew.wrapped, master_key_id = $1
         from unnest($2::uuid[], $3::bytea[]) as anew (key_id, wrapped)
         where known.key_id = anew.key_id and known.wrapped is not null and known.master_key_id <> $1",
    )
    .bind(to)
    .bind(ids)
    .bind(anew)
    .execute(pool)
    .await?;
    Ok(Some((last, changed.rows_affected())))
}

async fn rewrap_signing(keyring: &Keyring, pool: &PgPool, to: &str) -> Result<u64, KeyError> {
    let rows: Vec<(Uuid, Vec<u8>, String)> =
        sqlx::query_as("select key_id, wrapped, master_key_id from vault.signing_keys where master_key_id <> $1")
            .bind(to)
            .fetch_all(pool)
            .await?;
    let mut count = 0;
    for (id, wrapped, by) in rows {
        let anew = change(keyring, (&by, to), &signing::usage(id), &wrapped).await?;
        count += sqlx::query(
            "update vault.signing_keys set wrapped = $2, master_key_id = $3 where key_id = $1 and master_key_id = $4",
        )
        .bind(id)
        .bind(anew)
        .bind(to)
        .bind(by)
        .execute(pool)
        .await?
        .rows_affected();
    }
    Ok(count)
}

async fn rewrap_secrets(keyring: &Keyring, pool: &PgPool, to: &str) -> Result<u64, KeyError> {
    let rows: Vec<(Vec<u8>, String)> =
        sqlx::query_as("select wrapped, master_key_id from vault.secrets where name = $1 and master_key_id <> $2")
            .bind(root::NAME)
            .bind(to)
            .fetch_all(pool)
            .await?;
    let mut count = 0;
    for (wrapped, by) in rows {
        let anew = change(keyring, (&by, to), root::NAME, &wrapped).await?;
        count += sqlx::query(
            "update vault.secrets set wrapped = $2, master_key_id = $3 where name = $1 and master_key_id = $4",
        )
        .bind(root::NAME)
        .bind(anew)
        .bind(to)
        .bind(by)
        .execute(pool)
        .await?
        .rows_affected();
    }
    Ok(count)
}

/// Notices from before there was a root are sealed by a master key itself.
async fn reseal_webhooks(keyring: &Keyring, pool: &PgPool) -> Result<u64, KeyError> {
    let (mut provider, mut external) = (String::new(), String::new());
    let mut count = 0;
    loop {
        let rows: Vec<(String, String, Vec<u8>)> = sqlx::query_as(
            "select provider, external_id, body from engine.webhooks
             where body <> '' and (provider, external_id) > ($1, $2) order by provider, external_id limit $3",
        )
        .bind(&provider)
        .bind(&external)
        .bind(TOGETHER)
        .fetch_all(pool)
        .await?;
        let Some(last) = rows.last() else { return Ok(count) };
        (provider, external) = (last.0.clone(), last.1.clone());
        for (provider, id, body) in rows {
            if keyring.open_by_root(&provider, &body).is_some() {
                continue;
            }
            let raw = keyring.open_raw(&provider, &body).await?;
            count += sqlx::query(
                "update engine.webhooks set body = $3 where provider = $1 and external_id = $2 and body = $4",
            )
            .bind(&provider)
            .bind(&id)
            .bind(keyring.seal_raw(&provider, &raw)?)
            .bind(&body)
            .execute(pool)
            .await?
            .rows_affected();
        }
    }
}

async fn change(
    keyring: &Keyring,
    (from, to): (&str, &str),
    context: &str,
    wrapped: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let plain = keyring.masters().unwrap(from, context, wrapped).await?;
    Ok(keyring.masters().wrap(to, context, &plain).await?)
}

/// The key that wraps what is new, and the one that something may still be wrapped by.
pub async fn stage(pool: &PgPool) -> Result<(String, Option<String>), sqlx::Error> {
    sqlx::query_as("select coalesce(master_key_id, ''), rewrapping_from from engine.installation").fetch_one(pool).await
}

/// How many keys each master key wraps.
pub async fn standing(pool: &PgPool) -> Result<Vec<Wrapping>, sqlx::Error> {
    let rows: Vec<(String, i64, bool)> = sqlx::query_as(
        "select known.id, count(wrapped.id), known.id = installation.master_key_id
         from engine.installation installation
         cross join lateral (
             select installation.master_key_id as id where installation.master_key_id is not null
             union select installation.rewrapping_from where installation.rewrapping_from is not null
             union select master_key_id from vault.data_keys where wrapped is not null
             union select master_key_id from vault.signing_keys
             union select master_key_id from vault.secrets
         ) known
         left join (
             select master_key_id as id from vault.data_keys where wrapped is not null
             union all select master_key_id from vault.signing_keys
             union all select master_key_id from vault.secrets
         ) wrapped on wrapped.id = known.id
         group by known.id, installation.master_key_id order by known.id",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(master_key, keys, current)| Wrapping { master_key, current, keys }).collect())
}
