//! Folding a page of events into the ledger: load what is kept of its streams, enter in memory, write once.

use chrono::{DateTime, NaiveDate, Utc};
use events::Recorded;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{
    accounts::Entry,
    books::{Books, State, keys},
};
use crate::{
    apply::{ApplyError, Key, stall, stalled},
    generation::{Generation, Shape},
    model::{Column, FoldError},
};

/// The ledger. Not a [`ReadModel`](crate::ReadModel): an event adds entries beside changing what is kept of its stream.
#[derive(Debug, Clone, Copy)]
pub struct Ledger;

const COLUMNS: &[Column] = &[
    ("row_id", "uuid not null"),
    ("organization_id", "uuid not null"),
    ("stream", "text not null"),
    ("stream_id", "uuid not null"),
    ("version", "bigint not null"),
    ("position", "bigint not null"),
    ("at", "timestamptz not null"),
    ("kind", "text"),
    ("day", "date"),
    ("place", "text collate \"C\""),
    ("property_id", "uuid"),
    ("unit_id", "uuid"),
    ("resident_id", "uuid"),
    ("invoice_id", "uuid"),
    ("payment_id", "uuid"),
    ("stripe_account_id", "uuid"),
    ("accounts", "text[] not null"),
    ("amounts", "bigint[] not null"),
    ("currencies", "text[] not null"),
    ("state", "json"),
];
const INDEXES: &[&str] = &[
    "(organization_id, place) where place is not null",
    "(organization_id, property_id, place) where place is not null",
    "(resident_id, place) where place is not null",
    "(invoice_id) where place is not null",
];

/// An entry, or what is kept of a stream; then `state` is there and the columns of entries are null.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct LedgerRow {
    row_id: Uuid,
    organization_id: Uuid,
    stream: String,
    stream_id: Uuid,
    version: i64,
    position: i64,
    at: DateTime<Utc>,
    kind: Option<String>,
    day: Option<NaiveDate>,
    /// Sorts entries by day, then as they happened.
    place: Option<String>,
    property_id: Option<Uuid>,
    unit_id: Option<Uuid>,
    resident_id: Option<Uuid>,
    invoice_id: Option<Uuid>,
    payment_id: Option<Uuid>,
    stripe_account_id: Option<Uuid>,
    accounts: Vec<String>,
    /// Minor units; debits are positive.
    amounts: Vec<i64>,
    currencies: Vec<String>,
    state: Option<State>,
}

impl LedgerRow {
    fn of(event: &Recorded, row_id: Uuid) -> Self {
        Self {
            row_id,
            organization_id: event.organization.0,
            stream: event.stream.clone(),
            stream_id: event.stream_id,
            version: event.version,
            position: event.position,
            at: event.recorded_at,
            kind: None,
            day: None,
            place: None,
            property_id: None,
            unit_id: None,
            resident_id: None,
            invoice_id: None,
            payment_id: None,
            stripe_account_id: None,
            accounts: vec![],
            amounts: vec![],
            currencies: vec![],
            state: None,
        }
    }

    fn entry(event: &Recorded, part: usize, entry: Entry) -> Self {
        let key =
            Uuid::new_v5(&event.stream_id, format!("ledger/{}/{}/{part}", event.stream, event.version).as_bytes());
        let mut row = Self::of(event, key);
        row.place = Some(format!("{}/{:012}/{part}", entry.day, event.position));
        row.kind = Some(entry.kind);
        row.day = Some(entry.day);
        let about = entry.about;
        row.property_id = about.property;
        row.unit_id = about.unit;
        row.resident_id = about.resident;
        row.invoice_id = about.invoice;
        row.payment_id = about.payment;
        row.stripe_account_id = about.stripe_account;
        for posting in entry.postings {
            row.accounts.push(posting.account);
            row.amounts.push(posting.amount);
            row.currencies.push(posting.currency.code().to_owned());
        }
        row
    }
}

impl Shape for Ledger {
    fn name(&self) -> &'static str {
        "ledger"
    }

    /// Raised when what is entered changes.
    fn version(&self) -> u32 {
        1
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn indexes(&self) -> &'static [&'static str] {
        INDEXES
    }

    fn personal(&self) -> Option<(&'static str, &'static [&'static str])> {
        None
    }

    fn evidence(&self) -> Option<(&'static str, &'static [&'static str])> {
        None
    }

    fn concerns(&self, event: &Recorded) -> bool {
        !matches!(keys(event), Ok(keys) if keys.is_empty())
    }

    fn keys(&self, event: &Recorded) -> Vec<Uuid> {
        // What an event only looks at does not wait for it.
        keys(event).map_or_else(|_| vec![event.stream_id], |keys| keys.into_iter().take(1).collect())
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        generation: &'a Generation,
        events: &'a [Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(fold(connection, generation, events))
    }
}

async fn fold(connection: &mut PgConnection, generation: &Generation, events: &[Recorded]) -> Result<(), ApplyError> {
    let mut stalled = stalled(connection, generation).await?;
    let mut page = Vec::with_capacity(events.len());
    let mut wanted: Vec<Key> = Vec::with_capacity(events.len());
    for event in events {
        let organization = event.organization.0;
        match keys(event) {
            Ok(found) => {
                wanted.extend(found.iter().map(|key| (organization, *key)));
                page.push((event, found));
            }
            Err(error) => {
                stall(connection, generation, event.stream_id, event, &error).await?;
                stalled.insert((organization, event.stream_id), event.global_position);
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut books = load(connection, generation, &wanted).await?;
    let mut rows = Vec::new();
    let mut last = std::collections::HashMap::new();
    for (event, keys) in page {
        let Some(first) = keys.first() else { continue };
        let place = (event.organization.0, *first);
        if stalled.contains_key(&place) || stalled.contains_key(&(event.organization.0, event.stream_id)) {
            continue;
        }
        match books.post(event, &keys) {
            Ok(entries) => {
                rows.extend(entries.into_iter().enumerate().map(|(part, entry)| LedgerRow::entry(event, part, entry)));
                last.insert(place, event);
            }
            Err(error) => {
                stall(connection, generation, *first, event, &error).await?;
                stalled.insert(place, event.global_position);
            }
        }
    }
    for place in &books.touched {
        if let (Some(event), Some(state)) = (last.get(place), books.state(*place)) {
            rows.push(LedgerRow { state: Some(state.clone()), ..LedgerRow::of(event, place.1) });
        }
    }
    write(connection, generation, &rows).await
}

async fn load(connection: &mut PgConnection, generation: &Generation, keys: &[Key]) -> Result<Books, ApplyError> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) = keys.iter().copied().unzip();
    let rows = sqlx::query(&format!(
        "select stored.organization_id, stored.row_id, stored.state::text as state
         from unnest($1::uuid[], $2::uuid[]) as wanted (organization_id, id)
         join {} stored on stored.organization_id = wanted.organization_id and stored.row_id = wanted.id
         where stored.state is not null",
        generation.table()
    ))
    .bind(organizations)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let mut books = Books::default();
    for row in &rows {
        let state = serde_json::from_str(row.try_get("state")?).map_err(FoldError::from)?;
        books.know((row.try_get("organization_id")?, row.try_get("row_id")?), state);
    }
    Ok(books)
}

async fn write(connection: &mut PgConnection, generation: &Generation, rows: &[LedgerRow]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let table = generation.table();
    // What is entered never changes; what is kept of a stream does.
    sqlx::query(&format!(
        "insert into {table} select * from json_populate_recordset(null::{table}, $1::json)
         on conflict (organization_id, row_id) do update
         set version = excluded.version, position = excluded.position, at = excluded.at, state = excluded.state"
    ))
    .bind(serde_json::to_string(rows).map_err(FoldError::from)?)
    .execute(connection)
    .await?;
    Ok(())
}
