//! What an erasure has to leave: no key, and nothing readable in any table. Checked here without trusting whoever did it.

use std::{collections::BTreeSet, sync::Arc};

use chrono::NaiveDate;
use events::{OrganizationId, Purpose, ResidentEvent, resident::Retained};
use serde_json::Value;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::{AppendError, Store, Subscription};

/// Events that are opened at once.
const PAGE: i64 = 1000;
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

/// Texts to be looked for, in lower case, and as binary columns show them. `Debug` does not show them.
#[derive(Clone, Default)]
pub struct Needles {
    texts: Vec<String>,
    shown: Vec<String>,
}

impl std::fmt::Debug for Needles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Needles").field("texts", &self.texts.len()).finish_non_exhaustive()
    }
}

impl Needles {
    /// Blank lines are none.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let texts: Vec<String> =
            texts.into_iter().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty()).collect();
        let hex = |text: &String| {
            use std::fmt::Write;
            text.bytes().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
        };
        let shown = texts.iter().cloned().chain(texts.iter().map(hex)).collect();
        Self { texts, shown }
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    fn are_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.texts.iter().any(|needle| text.contains(needle.as_str()))
    }
}

/// The streams that a resident wrote to themselves: the addresses that they came from are sealed under these.
pub async fn own_streams(
    pool: &PgPool,
    organization: OrganizationId,
    resident: Uuid,
) -> Result<Vec<Uuid>, sqlx::Error> {
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
             and metadata ->> 'actor' in (select 'session:' || aggregate_id from own)",
    )
    .bind(organization.0)
    .bind(resident.to_string())
    .fetch_all(pool)
    .await?;
    let consent = Uuid::new_v5(&resident, b"sms-consent");
    let mut streams: Vec<Uuid> = found.iter().filter_map(|id| id.parse().ok()).chain([consent]).collect();
    streams.sort_unstable();
    streams.dedup();
    Ok(streams)
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
                format!("the key of the addresses on the resident's own stream {stream} is still there"),
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

/// Looks for texts in every row of every table, as it is stored.
pub async fn search(pool: &PgPool, needles: &Needles) -> Result<Vec<Leftover>, sqlx::Error> {
    // The queue of the sequencer and its partitions belong to tables that are looked at.
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', space.nspname, known.relname) from pg_class known
         join pg_namespace space on space.oid = known.relnamespace
         where known.relkind in ('r', 'p') and not known.relispartition
             and (space.nspname in ('log', 'engine', 'vault') or space.nspname like 'rm\\_%')
             and has_table_privilege(known.oid, 'select') order by 1",
    )
    .fetch_all(pool)
    .await?;
    let mut found = Vec::new();
    for table in tables {
        let rows: Vec<(String, Value)> = sqlx::query_as(&format!(
            "select one.tableoid::regclass || ' ' || one.ctid, row_to_json(one) from {table} one
             where exists (select from unnest($1::text[]) needle where strpos(lower(one::text), needle) > 0)"
        ))
        .bind(&needles.shown)
        .fetch_all(pool)
        .await?;
        for (place, row) in rows {
            let has = |value: &Value| {
                let text = value.to_string().to_lowercase();
                needles.shown.iter().any(|needle| text.contains(needle.as_str()))
            };
            let columns: Vec<&str> = row
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, value)| has(value))
                .map(|(name, _)| &**name)
                .collect();
            found.push(left(place, format!("one of the texts stands in {}", columns.join(", "))));
        }
    }
    Ok(found)
}

/// Looks for texts in what the keys that are left still open: other people's fields, unknown senders' texts, raw notices.
pub async fn search_sealed(
    store: &Arc<Store>,
    erasure: &Erasure,
    needles: &Needles,
    progress: &mut (dyn FnMut(i64) + Send),
) -> Result<Vec<Leftover>, AppendError> {
    let mut found = Vec::new();
    let reader = Subscription::new("erasure", store.clone());
    let mut after = 0;
    loop {
        let page = reader.page(after, PAGE).await?;
        if page.end == after {
            break;
        }
        after = page.end;
        progress(after);
        for event in &page.events {
            if event.organization == erasure.organization || event.organization == INSTALLATION {
                let mut readable = Vec::new();
                opened(&event.payload, erasure, &mut readable);
                if readable.iter().any(|text| needles.are_in(text)) {
                    let place = format!("log.events {}, sealed", event.reference());
                    found.push(left(place, "one of the texts can be opened with a key that is still there"));
                }
            }
        }
    }
    let webhooks: Vec<(String, String, Vec<u8>)> =
        sqlx::query_as("select provider, external_id, body from engine.webhooks where body <> ''")
            .fetch_all(store.pool())
            .await?;
    for (provider, id, body) in webhooks {
        let raw = store.keyring().open_raw(&provider, &body).await?;
        if needles.are_in(&String::from_utf8_lossy(&raw)) || needles.are_in(&form_text(&raw)) {
            found.push(left(format!("engine.webhooks {provider} {id}, sealed"), "one of the texts can be opened"));
        }
    }
    Ok(found)
}

/// A form's text with the two signs decoded that addresses and numbers have.
fn form_text(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).replace("%40", "@").replace("%2B", "+")
}

/// What is opened, but for what the resident's own evidence is kept for.
fn opened(value: &Value, erasure: &Erasure, texts: &mut Vec<String>) {
    match value {
        Value::Object(map) => match map.get("$clear") {
            Some(clear) => {
                let is = |name: &str, wanted: &str| clear.get(name).and_then(Value::as_str) == Some(wanted);
                let own = is("subject", &erasure.resident.to_string());
                let held = erasure.retained.iter().any(|kept| is("purpose", kept.purpose.name()));
                if !(own && held) {
                    texts.push(clear.to_string());
                }
            }
            None => map.values().for_each(|inner| opened(inner, erasure, texts)),
        },
        Value::Array(list) => list.iter().for_each(|inner| opened(inner, erasure, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
