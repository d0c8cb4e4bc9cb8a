//! What an erasure has to leave: no key, and nothing readable in any table. Checked here without trusting whoever did it.

pub mod list;
mod search;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use events::{OrganizationId, Purpose, ResidentEvent, resident::Retained};
use serde_json::Value;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::AppendError;

pub use search::{Needles, readable, search, search_sealed};

/// Where what belongs to no organization is kept.
const INSTALLATION: OrganizationId = OrganizationId(Uuid::nil());
/// Fields of a resident's own streams that must never be text in the clear.
const PERSONAL: [&str; 7] = ["name", "email", "phone", "number", "body", "address", "user_agent"];

/// An erased resident, as the log tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    pub organization: OrganizationId,
    pub resident: Uuid,
    /// What must be unreadable.
    pub gone: BTreeSet<Purpose>,
    pub retained: Vec<Retained>,
}

/// Something readable that should not be there. Never says what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    pub place: String,
    pub what: String,
}

fn left(place: impl Into<String>, what: impl Into<String>) -> Leftover {
    Leftover { place: place.into(), what: what.into() }
}

/// The streams under whose ids the resident's evidence is sealed beside what is sealed under their own: those that they wrote to
/// themselves, for the addresses that they came from, and the readings of the audit trail by one of their numbers, made before
/// the last word of the erasure.
pub async fn own_streams(
    pool: &PgPool,
    organization: OrganizationId,
    resident: Uuid,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let consent = Uuid::new_v5(&resident, b"sms-consent");
    let found: Vec<String> = sqlx::query_scalar(
        "with own as (
             select distinct aggregate_id from log.events
             where organization_id = $1 and aggregate_type = 'sign-in'
                 and coalesce(payload -> 'SignInLinkRequested', payload -> 'SessionOpened') ->> 'resident_id' = $2
         )
         select aggregate_id from own
         union
         select aggregate_id from log.events
         where organization_id = $1 and aggregate_type in ('payment', 'autopay', 'sms-consent')
             and metadata ->> 'actor' in (select 'session:' || aggregate_id from own)
         union
         select aggregate_id from log.events
         where organization_id = $1 and aggregate_type = 'audit-read'
             and payload #>> '{AuditTrailRead,subject,Number,number_key}' in (
                 select payload -> event_type ->> 'number_key' from log.events
                 where aggregate_type = 'sms-consent' and stream_key = $3)
             and recorded_at <= (
                 select max(recorded_at) from log.events
                 where aggregate_type = 'resident' and stream_key = $4 and event_type = 'ResidentErased')",
    )
    .bind(organization.0)
    .bind(resident.to_string())
    .bind(format!("{organization}/{consent}"))
    .bind(format!("{organization}/{resident}"))
    .fetch_all(pool)
    .await?;
    let mut streams: Vec<Uuid> = found.iter().filter_map(|id| id.parse().ok()).chain([consent]).collect();
    streams.sort_unstable();
    streams.dedup();
    Ok(streams)
}

/// Texts that came from numbers that nobody was known to have.
pub async fn unknown_senders(pool: &PgPool) -> Result<Vec<Uuid>, sqlx::Error> {
    let found: Vec<String> = sqlx::query_scalar(
        "select distinct aggregate_id from log.events where organization_id = $1 and aggregate_type = 'inbound-text'",
    )
    .bind(INSTALLATION.0)
    .fetch_all(pool)
    .await?;
    Ok(found.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Which of these residents were erased, as of now: whatever position somebody reads at.
pub async fn erased_among(
    pool: &PgPool,
    organization: OrganizationId,
    residents: &[Uuid],
) -> Result<BTreeSet<Uuid>, sqlx::Error> {
    let keys: Vec<String> = residents.iter().map(|id| format!("{organization}/{id}")).collect();
    let found: Vec<String> = sqlx::query_scalar(
        "select distinct aggregate_id from log.events
         where aggregate_type = 'resident' and stream_key = any($1) and event_type = 'ResidentErased'",
    )
    .bind(keys)
    .fetch_all(pool)
    .await?;
    Ok(found.iter().filter_map(|id| id.parse().ok()).collect())
}

/// The erased residents, or one.
pub async fn erased(
    pool: &PgPool,
    organization: Option<OrganizationId>,
    resident: Option<Uuid>,
) -> Result<Vec<Erasure>, AppendError> {
    let rows = sqlx::query(
        "select organization_id, aggregate_id, payload from log.events
         where aggregate_type = 'resident' and event_type = 'ResidentErased'
             and ($1::uuid is null or organization_id = $1) and ($2::text is null or aggregate_id = $2)
         order by organization_id, aggregate_id, sequence",
    )
    .bind(organization.map(|organization| organization.0))
    .bind(resident.map(|resident| resident.to_string()))
    .fetch_all(pool)
    .await?;
    let mut found: Vec<Erasure> = Vec::new();
    for row in rows {
        let organization = OrganizationId(row.try_get("organization_id")?);
        let id: &str = row.try_get("aggregate_id")?;
        let resident: Uuid = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let event: ResidentEvent = serde_json::from_value(row.try_get("payload")?)?;
        let ResidentEvent::ResidentErased { purposes, retained } = event else { continue };
        match found.last_mut().filter(|last| (last.organization, last.resident) == (organization, resident)) {
            Some(last) => {
                last.gone.extend(purposes);
                last.retained = retained;
            }
            None => found.push(Erasure { organization, resident, gone: purposes.into_iter().collect(), retained }),
        }
    }
    Ok(found)
}

/// Keys that should be destroyed, or whose retention has ended.
pub async fn keys(pool: &PgPool, erasure: &Erasure, today: NaiveDate) -> Result<Vec<Leftover>, sqlx::Error> {
    let mut found = Vec::new();
    let known: Vec<(String, bool)> = sqlx::query_as(
        "select purpose, wrapped is not null from vault.data_keys where organization_id = $1 and subject = $2",
    )
    .bind(erasure.organization.0)
    .bind(erasure.resident)
    .fetch_all(pool)
    .await?;
    for purpose in &erasure.gone {
        let name = purpose.name();
        match known.iter().find(|(known, _)| known == name) {
            Some((_, false)) => {}
            Some((_, true)) => found.push(left("vault.data_keys", format!("the key for {name} is still there"))),
            None => found.push(left("vault.data_keys", format!("no mark keeps a new key for {name} from being made"))),
        }
    }
    for kept in erasure.retained.iter().filter(|kept| kept.until <= today) {
        let name = kept.purpose.name();
        found.push(left("vault.data_keys", format!("the retention of {name} ended on {}", kept.until)));
    }
    if erasure.gone.contains(&Purpose::Consent) {
        let streams = own_streams(pool, erasure.organization, erasure.resident).await?;
        let open: Vec<Uuid> = sqlx::query_scalar(
            "select subject from vault.data_keys
             where organization_id = $1 and subject = any($2) and purpose = 'consent' and wrapped is not null",
        )
        .bind(erasure.organization.0)
        .bind(streams)
        .fetch_all(pool)
        .await?;
        found.extend(open.iter().map(|stream| {
            left(
                "vault.data_keys",
                format!("the key of an address or a number of the resident on the stream {stream} is still there"),
            )
        }));
    }
    Ok(found)
}

/// Personal fields of the resident's own streams that are stored in the clear.
pub async fn log(pool: &PgPool, erasure: &Erasure) -> Result<Vec<Leftover>, sqlx::Error> {
    let consent = Uuid::new_v5(&erasure.resident, b"sms-consent");
    let keys = [erasure.resident, consent].map(|id| format!("{}/{id}", erasure.organization));
    let rows: Vec<(String, String, i64, Value)> = sqlx::query_as(
        "select aggregate_type, aggregate_id, sequence, payload from log.events
         where aggregate_type in ('resident', 'sms-consent') and stream_key = any($1) order by 1, 2, 3",
    )
    .bind(&keys[..])
    .fetch_all(pool)
    .await?;
    Ok(rows
        .iter()
        .filter(|(.., payload)| in_the_clear(payload))
        .map(|(stream, id, version, _)| {
            left(format!("log.events {stream}/{id}/{version}"), "a personal field is not sealed")
        })
        .collect())
}

fn in_the_clear(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(name, inner)| {
            name == "$clear"
                || (PERSONAL.contains(&name.as_str()) && inner.is_string())
                || (name != "disclosure" && in_the_clear(inner))
        }),
        Value::Array(list) => list.iter().any(in_the_clear),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
