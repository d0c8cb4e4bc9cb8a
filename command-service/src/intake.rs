//! Webhooks: verified and stored raw before they are acknowledged, understood later, merged as hints.

mod autopay;
mod money;
mod resend;
mod stripe;
mod twilio;

use std::{panic::AssertUnwindSafe, time::Duration};

use chrono::{DateTime, Utc};
use domain::Actor;
use event_store::{Keyring, erasure, keyring::KeyError};
use events::{OrganizationId, Role};
use futures_util::FutureExt;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::{
    Ask, Fault,
    effects::{Effects, backoff},
    quarantine,
};

/// Stores a verified webhook; `false` when it was stored before.
pub async fn store(effects: &Effects, provider: &str, external_id: &str, raw: &[u8]) -> Result<bool, Fault> {
    let sealed = effects.engine.store().keyring().seal_raw(provider, raw)?;
    let added = sqlx::query(
        "insert into engine.webhooks (provider, external_id, body) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(provider)
    .bind(external_id)
    .bind(sealed)
    .execute(effects.engine.store().pool())
    .await?;
    Ok(added.rows_affected() == 1)
}

enum Verdict {
    Done,
    /// And nothing of it is to be kept: it came from somebody who was erased.
    Forgotten,
    Ignored(&'static str),
    Again(String),
}

/// Webhooks that are understood apart from others: a batch ends with its slowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// What people write, and what became of texts. Nobody is asked anything for it, and a STOP must not wait for whoever is.
    Texts,
    /// Everything else. Much of it is looked up at its provider, which may take its time.
    Others,
}

impl Intake {
    pub const ALL: [Self; 2] = [Self::Texts, Self::Others];

    const fn whose(self) -> &'static str {
        match self {
            Self::Texts => "provider = 'twilio'",
            Self::Others => "provider <> 'twilio'",
        }
    }
}

/// Understands up to a batch of received webhooks, oldest first; returns how many there were.
pub async fn process(effects: &Effects, intake: Intake) -> Result<usize, sqlx::Error> {
    let pool = effects.engine.store().pool();
    // The lease is the retry time itself: whoever takes a row pushes it ahead. It is short, because a killed worker's rows
    // wait for it, and understanding a webhook twice is harmless.
    // After a failover nothing is understood until a person has looked: what a notice is about may be in the part that was lost.
    let rows = sqlx::query(&format!(
        "update engine.webhooks set attempts = attempts + 1, retry_at = now() + interval '20 seconds'
         where (provider, external_id) in (
             select provider, external_id from engine.webhooks
             where state = 'received' and retry_at <= now() and {} and {}
             order by received_at limit 24 for update skip locked
         )
         returning provider, external_id, body, attempts, received_at",
        intake.whose(),
        quarantine::allows()
    ))
    .fetch_all(pool)
    .await?;
    let count = rows.len();
    let work = rows.into_iter().map(|row| async move {
        let provider: String = row.try_get("provider")?;
        let external_id: String = row.try_get("external_id")?;
        let attempts: i32 = row.try_get("attempts")?;
        let body: &[u8] = row.try_get("body")?;
        let arrived = effects.engine.clock().at(row.try_get("received_at")?);
        // A panic concerns this webhook only: its neighbours are understood, and the worker goes on.
        let verdict = AssertUnwindSafe(understand(effects, &provider, body, arrived)).catch_unwind().await;
        let verdict = verdict.unwrap_or_else(|_| Ok(Verdict::Again("understanding it panicked".to_owned())));
        let forget = matches!(verdict, Ok(Verdict::Forgotten));
        let (state, note, after) = match verdict {
            Ok(Verdict::Done | Verdict::Forgotten) => ("done", None, Duration::ZERO),
            Ok(Verdict::Ignored(why)) => ("ignored", Some(why.to_owned()), Duration::ZERO),
            Ok(Verdict::Again(why)) => ("received", Some(why), backoff(attempts)),
            Err(fault) if fault.is_final() => ("ignored", Some(fault.to_string()), Duration::ZERO),
            Err(fault) => ("received", Some(fault.to_string()), backoff(attempts)),
        };
        // A day of trying is enough; polling has converged meanwhile, and the row stays for a person.
        let state = if state == "received" && attempts > 300 { "failed" } else { state };
        Ok::<_, sqlx::Error>(Understood { provider, external_id, state, note, after, forget })
    });
    let mut understood = Vec::with_capacity(count);
    for one in futures_util::future::join_all(work).await {
        understood.push(one?);
    }
    if finish(pool, &understood).await.is_err() {
        // One that cannot be written must not hold up the others.
        for one in &understood {
            finish(pool, std::slice::from_ref(one)).await?;
        }
    }
    Ok(count)
}

async fn understand(effects: &Effects, provider: &str, body: &[u8], arrived: DateTime<Utc>) -> Result<Verdict, Fault> {
    let raw = effects.engine.store().keyring().open_raw(provider, body).await?;
    match provider {
        "stripe" => Box::pin(stripe::understand(effects, &raw)).await,
        "resend" => resend::understand(effects, &raw).await,
        "twilio" => twilio::understand(effects, &raw, arrived).await,
        _ => Ok(Verdict::Ignored("unknown provider")),
    }
}

/// What became of a webhook.
struct Understood {
    provider: String,
    external_id: String,
    state: &'static str,
    note: Option<String>,
    after: Duration,
    /// Its body is emptied.
    forget: bool,
}

/// Empties what was understood, or given up, a week ago: a webhook's body may name people.
pub async fn forget_old(pool: &PgPool) -> Result<u64, sqlx::Error> {
    sqlx::query(
        "update engine.webhooks set body = '' where state <> 'received' and body <> ''
             and received_at < now() - interval '7 days'",
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected())
}

/// Empties what was understood or given up and has one of these texts in it: a resident was erased. What nothing opens any more is
/// passed over, as nobody can read it.
pub async fn forget(pool: &PgPool, keyring: &Keyring, texts: &[String]) -> Result<(), Fault> {
    if texts.is_empty() {
        return Ok(());
    }
    let rows: Vec<(String, String, Vec<u8>)> = sqlx::query_as(
        "select provider, external_id, body from engine.webhooks where state <> 'received' and body <> ''",
    )
    .fetch_all(pool)
    .await?;
    let (mut providers, mut ids) = (Vec::new(), Vec::new());
    for (provider, id, body) in rows {
        let raw = match keyring.open_raw(&provider, &body).await {
            Ok(raw) => raw,
            Err(KeyError::Database(error)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, provider, id, "a notice cannot be opened, so it is not looked through for an erasure");
                continue;
            }
        };
        let readable = erasure::readable(&raw);
        if texts.iter().any(|wanted| readable.iter().any(|text| text.contains(wanted.as_str()))) {
            providers.push(provider);
            ids.push(id);
        }
    }
    sqlx::query(
        "update engine.webhooks set body = '' where (provider, external_id) in (select * from unnest($1::text[], $2::text[]))",
    )
    .bind(providers)
    .bind(ids)
    .execute(pool)
    .await?;
    Ok(())
}

async fn finish(pool: &PgPool, understood: &[Understood]) -> Result<(), sqlx::Error> {
    if understood.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update engine.webhooks known set state = news.state, note = news.note,
             retry_at = now() + make_interval(secs => news.after),
             body = case when news.forget then '' else known.body end
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::bool[])
             as news (provider, external_id, state, note, after, forget)
         where known.provider = news.provider and known.external_id = news.external_id",
    )
    .bind(understood.iter().map(|one| one.provider.as_str()).collect::<Vec<_>>())
    .bind(understood.iter().map(|one| one.external_id.as_str()).collect::<Vec<_>>())
    .bind(understood.iter().map(|one| one.state).collect::<Vec<_>>())
    .bind(understood.iter().map(|one| one.note.as_deref()).collect::<Vec<_>>())
    .bind(understood.iter().map(|one| one.after.as_secs_f64()).collect::<Vec<_>>())
    .bind(understood.iter().map(|one| one.forget).collect::<Vec<_>>())
    .execute(pool)
    .await
    .map(|_| ())
}

/// Which stream a provider's object belongs to.
async fn owner(pool: &PgPool, external: &str, stream: &str) -> Result<Option<(OrganizationId, Uuid)>, sqlx::Error> {
    let row: Option<(Uuid, Uuid)> = sqlx::query_as(
        "select organization_id, aggregate_id from engine.provider_objects
         where provider = 'stripe' and external_id = $1 and aggregate_type = $2",
    )
    .bind(external)
    .bind(stream)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(organization, id)| (OrganizationId(organization), id)))
}

fn ask(organization: OrganizationId, provider: &str, event: &str) -> Ask {
    let correlation = Uuid::new_v5(&organization.0, format!("{provider}/{event}").as_bytes());
    Ask {
        actor: Actor::of(Role::Provider),
        ..Ask::internal(organization, Role::Provider, format!("provider:{provider}"), correlation)
    }
    .because(format!("{provider}/{event}"))
}
