//! Looking for texts that only an erased person's data has: in every row as it is stored, and in whatever a key still opens.

use std::{collections::BTreeSet, sync::Arc};

use events::{OrganizationId, Purpose};
use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::{Erasure, INSTALLATION, Leftover, left, own_streams};
use crate::{AppendError, Store, Subscription};

/// Events that are opened at once.
const PAGE: i64 = 1000;

/// Texts to be looked for, in lower case. `Debug` does not show them.
#[derive(Clone, Default)]
pub struct Needles {
    texts: Vec<String>,
}

impl std::fmt::Debug for Needles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Needles").field("texts", &self.texts.len()).finish_non_exhaustive()
    }
}

impl Needles {
    /// Blank lines are none.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let texts = texts.into_iter().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty()).collect();
        Self { texts }
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    fn are_in(&self, texts: &[String]) -> bool {
        texts.iter().any(|text| self.texts.iter().any(|needle| text.contains(needle.as_str())))
    }
}

/// What some bytes of a provider say, in lower case: as they came, and as they are meant where they are a form or JSON.
pub fn readable(raw: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(raw);
    let mut texts = vec![text.to_lowercase()];
    // Some are kept with two lines before them: where they were sent to, and as what.
    let body = text.splitn(3, '\n').nth(2).unwrap_or_default();
    match serde_json::from_str(&text).or_else(|_| serde_json::from_str(body)) {
        Ok(value) => told(&value, &mut texts),
        Err(_) => texts.extend(text.split(['&', '\n']).map(|field| form_decoded(field).to_lowercase())),
    }
    texts
}

/// A form's field with its escapes undone.
fn form_decoded(field: &str) -> String {
    let bytes = field.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%').and_then(byte_of);
        out.push(escaped.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The byte that two hexadecimal digits write.
fn byte_of(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

/// Whatever a value says, in lower case: each text, the texts of each object together, as names are kept in parts, and the bytes of
/// binary columns.
fn told(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            texts.push(text.to_lowercase());
            if let Some(digits) = text.strip_prefix("\\x") {
                let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte_of).collect();
                texts.extend(bytes.map(|bytes| String::from_utf8_lossy(&bytes).to_lowercase()));
            }
        }
        Value::Object(map) => {
            let parts: Vec<&str> = map.values().filter_map(Value::as_str).collect();
            if parts.len() > 1 {
                texts.push(parts.join(" ").to_lowercase());
            }
            for (name, inner) in map {
                texts.push(name.to_lowercase());
                told(inner, texts);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| told(inner, texts)),
        Value::Number(number) => texts.push(number.to_string()),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Looks for texts in every row of every table, as it is stored. Compared here and not by the database, which knows the upper case
/// of no letter beyond ASCII.
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
        let query =
            format!("select one.tableoid::regclass || ' ' || one.ctid, row_to_json(one)::text from {table} one");
        let mut rows = sqlx::query_as::<_, (String, String)>(&query).fetch(pool);
        while let Some((place, row)) = rows.try_next().await? {
            let Ok(Value::Object(columns)) = serde_json::from_str(&row) else {
                if needles.are_in(&[row.to_lowercase()]) {
                    found.push(left(place, "one of the texts stands in it"));
                }
                continue;
            };
            let has = |value: &Value| {
                let mut texts = Vec::new();
                told(value, &mut texts);
                needles.are_in(&texts)
            };
            let named: Vec<&str> =
                columns.iter().filter(|(_, value)| has(value)).map(|(name, _)| name.as_str()).collect();
            if !named.is_empty() {
                found.push(left(place, format!("one of the texts stands in {}", named.join(", "))));
            } else if has(&Value::Object(columns)) {
                found.push(left(place, "one of the texts stands in several columns together"));
            }
        }
    }
    Ok(found)
}

/// Looks for texts in what the keys that are left still open: other people's fields, the addresses that commands came from, unknown
/// senders' texts, raw notices. What of one erasure is `erased` and kept by law for now is passed over; all without one.
pub async fn search_sealed(
    store: &Arc<Store>,
    erasures: &[Erasure],
    needles: &Needles,
    progress: &mut (dyn FnMut(i64) + Send),
) -> Result<Vec<Leftover>, AppendError> {
    let mut held = BTreeSet::new();
    for erasure in erasures {
        held.extend(held_of(store.pool(), erasure).await?);
    }
    let organizations: BTreeSet<Uuid> = erasures.iter().map(|erasure| erasure.organization.0).collect();
    let is_looked_at = |organization: OrganizationId| {
        organizations.is_empty() || organization == INSTALLATION || organizations.contains(&organization.0)
    };
    let mut found = Vec::new();
    let reader = Subscription::new("erasure", store.clone());
    let mut after = 0;
    loop {
        let page = reader.page(after, PAGE).await?;
        if page.end == after {
            break;
        }
        let addresses = addresses(store, after, page.end).await?;
        after = page.end;
        progress(after);
        for event in page.events.iter().filter(|event| is_looked_at(event.organization)) {
            let mut texts = Vec::new();
            opened(event.organization, &event.payload, &held, &mut texts);
            if let Some(address) = addresses.iter().find(|(position, _)| *position == event.global_position) {
                opened(event.organization, &address.1, &held, &mut texts);
            }
            if needles.are_in(&texts) {
                let place = format!("log.events {}, sealed", event.reference());
                found.push(left(place, "one of the texts can be opened with a key that is still there"));
            }
        }
    }
    let webhooks: Vec<(String, String, Vec<u8>)> =
        sqlx::query_as("select provider, external_id, body from engine.webhooks where body <> ''")
            .fetch_all(store.pool())
            .await?;
    for (provider, id, body) in webhooks {
        let place = || format!("engine.webhooks {provider} {id}, sealed");
        match store.keyring().open_raw(&provider, &body).await {
            Ok(raw) if needles.are_in(&readable(&raw)) => found.push(left(place(), "one of the texts can be opened")),
            Ok(_) => {}
            Err(_) => found.push(left(place(), "it cannot be opened here, so that nobody can say what it has")),
        }
    }
    Ok(found)
}

/// Organization, subject and purpose of what is kept by law for now.
type Held = BTreeSet<(Uuid, String, &'static str)>;

async fn held_of(pool: &PgPool, erasure: &Erasure) -> Result<Held, sqlx::Error> {
    let mut held = Held::new();
    for kept in &erasure.retained {
        let mut subjects = vec![erasure.resident];
        if kept.purpose == Purpose::Consent {
            subjects.extend(own_streams(pool, erasure.organization, erasure.resident).await?);
        }
        let of = |subject: Uuid| (erasure.organization.0, subject.to_string(), kept.purpose.name());
        held.extend(subjects.into_iter().map(of));
    }
    Ok(held)
}

/// The addresses from which the events of some positions came, opened.
async fn addresses(store: &Store, after: i64, until: i64) -> Result<Vec<(i64, Value)>, AppendError> {
    let rows = sqlx::query(
        "select entry.global_position, entry.organization_id, stored.metadata ->> 'client_address' as address
         from log.entries entry
         cross join lateral (
             select * from log.events event
             where event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
                 and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
             limit 1
         ) stored
         where entry.global_position > $1 and entry.global_position <= $2
             and stored.metadata ->> 'client_address' is not null",
    )
    .bind(after)
    .bind(until)
    .fetch_all(store.pool())
    .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let address: &str = row.try_get("address")?;
        let organization = OrganizationId(row.try_get("organization_id")?);
        let place: i64 = row.try_get("global_position")?;
        // Sealed since there are addresses at all; whatever else stands there, the search of the rows sees.
        if let Ok(value) = serde_json::from_str::<Value>(address) {
            found.push((place, organization, value));
        }
    }
    let mut sealed: Vec<_> = found.iter_mut().map(|(_, organization, value)| (*organization, value)).collect();
    store.keyring().open_all(&mut sealed).await?;
    Ok(found.into_iter().map(|(place, _, value)| (place, value)).collect())
}

/// What is opened, but for what is held.
fn opened(organization: OrganizationId, value: &Value, held: &Held, texts: &mut Vec<String>) {
    match value {
        Value::Object(map) => match map.get("$clear") {
            Some(clear) => {
                let word = |name: &str| clear.get(name).and_then(Value::as_str).unwrap_or_default();
                let is_held = held.iter().any(|(owner, subject, purpose)| {
                    *owner == organization.0 && subject == word("subject") && *purpose == word("purpose")
                });
                if !is_held {
                    told(clear.get("value").unwrap_or(&Value::Null), texts);
                }
            }
            None => map.values().for_each(|inner| opened(organization, inner, held, texts)),
        },
        Value::Array(list) => list.iter().for_each(|inner| opened(organization, inner, held, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(needle: &str, raw: &str) -> bool {
        Needles::new([needle]).are_in(&readable(raw.as_bytes()))
    }

    #[test]
    fn notices_are_read_as_they_are_meant() {
        for (needle, raw) in [
            ("\u{c9}lodie", "From=%2B12125550147&ProfileName=%C3%89lodie+Doe"),
            ("\u{e9}lodie doe", "From=%2B12125550147&ProfileName=%C3%89LODIE+Doe"),
            ("+12125550147", "From=%2B12125550147&Body=x"),
            ("\u{c9}lodie", r#"{"to":["\u00c9lodie <e@example.com>"]}"#),
            ("\u{c9}lodie", "/webhooks/twilio\napplication/json\n{\"Body\":\"\\u00e9lodie\"}"),
            ("jane doe", r#"{"name":{"first":"Jane","last":"Doe"}}"#),
            ("100%", "Body=100%25+sure"),
        ] {
            assert!(finds(needle, raw), "{needle} is not found in {raw}");
        }
        assert!(!finds("jane doe", "From=Jane&To=Doe%2") && !finds("\u{e9}", "Body=%C3"), "found what is not there");
    }

    #[test]
    fn bytes_and_capital_letters_beyond_ascii_are_compared_as_letters() {
        let mut texts = Vec::new();
        told(&serde_json::json!({ "body": "\\x4a616e65", "note": "\u{c9}LODIE" }), &mut texts);
        assert!(Needles::new(["jane"]).are_in(&texts) && Needles::new(["\u{e9}lodie"]).are_in(&texts));
    }
}
