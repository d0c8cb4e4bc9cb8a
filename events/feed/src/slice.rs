//! A slice of the log: some positions after another, of which what is public and wanted is told, and up to where it is complete.
//!
//! The database's part and the telling are apart, so that a reader of the past fetches what follows while this is told.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use event_store::tenant;
use events::OrganizationId;
use public_events::{Belongs, Envelope, Selection, Writer, belongs};
use serde::Deserialize;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    ReadError, Reader, Wanted,
    shown::{Home, Openings, Shown, stream},
};

/// Events in a slice at most.
pub const MOST: i64 = 1000;
/// Positions that are looked at for a slice; what is wanted may be rare.
const WINDOW: i64 = 20_000;

/// Some events and how far they reach.
#[derive(Debug)]
pub struct Slice {
    pub shown: Vec<Arc<Shown>>,
    /// Nothing that is wanted is missing up to here.
    pub complete: i64,
    /// The organization's last position.
    pub head: i64,
    pub incarnation: i32,
}

/// A slice as it was read: to be told.
pub struct Fetched {
    organization: OrganizationId,
    rows: Vec<PgRow>,
    /// The properties of the streams among them that began before.
    openings: HashMap<(&'static str, Uuid), Option<Uuid>>,
    moves: Moves,
    /// As of a slice.
    pub complete: i64,
    pub head: i64,
    pub incarnation: i32,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("complete", &self.complete).finish_non_exhaustive()
    }
}

/// The part of an event's metadata that is told.
#[derive(Deserialize)]
struct Trace<'a> {
    correlation: Uuid,
    #[serde(default, borrow)]
    causation: Option<std::borrow::Cow<'a, str>>,
}

/// A resident's move into a property: the event's number in the resident's stream, and where.
type Moves = HashMap<Uuid, Vec<(i64, Uuid)>>;

impl Reader {
    /// The last position and the incarnation of an organization's log.
    pub async fn head(&self, wanted: &Wanted) -> Result<(i64, i32), sqlx::Error> {
        let mut transaction = tenant::begin(&self.pool, wanted.organization).await?;
        let found = head(&mut transaction).await?;
        transaction.commit().await?;
        Ok(found)
    }

    /// What follows a position, at most up to another and at most so many events.
    pub async fn read(&self, wanted: &Wanted, after: i64, until: i64, most: i64) -> Result<Slice, ReadError> {
        let fetched = self.fetch(wanted, after, until, most).await?;
        let (teller, wanted) = (self.teller.clone(), wanted.clone());
        // Where it holds up nobody.
        match tokio::task::spawn_blocking(move || teller.slice(&wanted, &fetched)).await {
            Ok(slice) => slice,
            Err(error) => Err(unreadable(error)),
        }
    }

    /// The same, not told yet.
    pub async fn fetch(&self, wanted: &Wanted, after: i64, until: i64, most: i64) -> Result<Fetched, ReadError> {
        let organization = wanted.organization;
        let mut transaction = tenant::begin_planned_once(&self.pool, organization).await?;
        let (head, incarnation) = head(&mut transaction).await?;
        if after > head {
            return Err(ReadError::Beyond { head, incarnation });
        }
        let until = until.min(head);
        let one = wanted.aggregate.is_some_and(|aggregate| aggregate.id.is_some());
        // A single stream is found by its own index, however far its events lie apart.
        let end = if one { until } else { until.min(after.saturating_add(WINDOW)) };
        let (mut complete, mut rows) = (after, Vec::new());
        let (mut openings, mut moves) = (HashMap::new(), Moves::new());
        if end > after {
            rows = fetch_rows(&mut transaction, wanted, (after, end), most).await?;
            let full = i64::try_from(rows.len()).is_ok_and(|count| count >= most);
            let last = rows.last().map(|row| row.try_get::<i64, _>(column::POSITION)).transpose()?;
            complete = if full { last.unwrap_or(end) } else { end };
            let mut lacking = self.teller.lacking(organization, &rows)?;
            if !lacking.streams.is_empty() {
                let found = openings_of(organization, &lacking.streams, &mut transaction).await?;
                self.teller.remember(organization, found.iter().map(|(place, property)| (*place, *property)));
                lacking.openings.extend(found);
            }
            openings = lacking.openings;
            if !lacking.residents.is_empty() {
                moves = moves_of(&lacking.residents, &mut transaction).await?;
            }
        }
        transaction.commit().await?;
        Ok(Fetched { organization, rows, openings, moves, complete, head, incarnation })
    }
}

async fn head(connection: &mut PgConnection) -> Result<(i64, i32), sqlx::Error> {
    sqlx::query_as(
        "select coalesce((select position from log.heads), 0), (select incarnation from engine.installation)",
    )
    .fetch_one(connection)
    .await
}

/// Where a row has what, in the order of the query.
mod column {
    pub const POSITION: usize = 0;
    pub const LEAF: usize = 1;
    pub const STREAM: usize = 2;
    pub const STREAM_ID: usize = 3;
    pub const VERSION: usize = 4;
    pub const EVENT_TYPE: usize = 5;
    pub const EVENT_VERSION: usize = 6;
    pub const RECORDED_AT: usize = 7;
    pub const PAYLOAD: usize = 8;
    pub const METADATA: usize = 9;
}

/// The types that are told at all, as PostgreSQL reads them: a constant is looked up by hash, a parameter compared one by one.
static EVERYTHING: LazyLock<String> =
    LazyLock::new(|| format!("'{{{}}}'::text[]", Selection::default().stored().join(",")));

async fn fetch_rows(
    connection: &mut PgConnection,
    wanted: &Wanted,
    (after, end): (i64, i64),
    most: i64,
) -> Result<Vec<PgRow>, sqlx::Error> {
    // Event by event, by the index: see `Subscription::page`.
    let mut query = QueryBuilder::<Postgres>::new(
        "select entry.position, entry.leaf, entry.aggregate_type, entry.aggregate_id, entry.sequence, stored.event_type,
                stored.event_version, stored.recorded_at, stored.payload, stored.metadata
         from (select * from log.entries entry where entry.organization_id = ",
    );
    query.push_bind(wanted.organization.0);
    query.push(" and entry.position > ").push_bind(after).push(" and entry.position <= ").push_bind(end);
    query.push(" and entry.event_type = any(");
    if wanted.types.is_everything() {
        query.push(EVERYTHING.as_str());
    } else {
        query.push_bind(wanted.types.stored());
    }
    query.push(")");
    if let Some(aggregate) = wanted.aggregate {
        query.push(" and entry.aggregate_type = ").push_bind(aggregate.stream);
        if let Some(id) = aggregate.id {
            query.push(" and entry.aggregate_id = ").push_bind(id.to_string());
        }
    }
    query.push(" order by entry.position limit ").push_bind(most).push(
        ") entry
         cross join lateral (
             select * from log.events event
             where event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
                 and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
             limit 1
         ) stored
         order by entry.position",
    );
    query.build().fetch_all(connection).await
}

/// What rows do not say themselves.
#[derive(Default)]
struct Lacking {
    openings: HashMap<(&'static str, Uuid), Option<Uuid>>,
    streams: HashSet<(&'static str, Uuid)>,
    residents: HashSet<Uuid>,
}

/// Tells what was fetched; remembers what does not change.
#[derive(Debug)]
pub struct Teller {
    writer: Writer,
    openings: Mutex<Openings>,
}

impl Teller {
    pub(crate) fn new(public_url: &str) -> Self {
        Self { writer: Writer::new(public_url), openings: Mutex::default() }
    }

    fn remember(
        &self,
        organization: OrganizationId,
        openings: impl IntoIterator<Item = ((&'static str, Uuid), Option<Uuid>)>,
    ) {
        let mut known = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        for ((stream, id), property) in openings {
            known.remember(organization, stream, id, property);
        }
    }

    /// What is known of streams that began before, and what has to be looked up.
    fn lacking(&self, organization: OrganizationId, rows: &[PgRow]) -> Result<Lacking, ReadError> {
        let mut lacking = Lacking::default();
        let mut begun = HashSet::new();
        let known = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let Some(stream) = stream(row.try_get(column::STREAM)?) else { continue };
            let belongs = belongs(stream);
            if !matches!(belongs, Belongs::Opening | Belongs::Residency) {
                continue;
            }
            let id: Uuid = row.try_get::<&str, _>(column::STREAM_ID)?.parse().map_err(unreadable)?;
            let place = (stream, id);
            if belongs == Belongs::Residency {
                lacking.residents.insert(id);
            } else if row.try_get::<i64, _>(column::VERSION)? == 1 {
                begun.insert(place);
            } else if let Some(Home(property)) = known.of(organization, stream, id) {
                lacking.openings.insert(place, property);
            } else if !begun.contains(&place) {
                lacking.streams.insert(place);
            }
        }
        drop(known);
        Ok(lacking)
    }

    /// What is wanted of it, event by event.
    pub fn slice(&self, wanted: &Wanted, fetched: &Fetched) -> Result<Slice, ReadError> {
        let mut shown = Vec::with_capacity(fetched.rows.len());
        self.each(wanted, fetched, &mut Vec::with_capacity(1000), |one, line| {
            shown.push(Arc::new(Shown { line: line.as_slice().to_vec(), ..one }));
            line.clear();
        })?;
        let Fetched { complete, head, incarnation, .. } = *fetched;
        Ok(Slice { shown, complete, head, incarnation })
    }

    /// What is wanted of it, a line each.
    pub fn lines(&self, wanted: &Wanted, fetched: &Fetched) -> Result<Vec<u8>, ReadError> {
        let mut lines = Vec::with_capacity(fetched.rows.len() * 800);
        self.each(wanted, fetched, &mut lines, |_, lines| lines.push(b'\n'))?;
        Ok(lines)
    }

    /// Writes what is wanted, and says of each event when it was written.
    fn each(
        &self,
        wanted: &Wanted,
        fetched: &Fetched,
        out: &mut Vec<u8>,
        mut written: impl FnMut(Shown, &mut Vec<u8>),
    ) -> Result<(), ReadError> {
        let mut begun: HashMap<(&'static str, Uuid), Option<Uuid>> = HashMap::new();
        for row in &fetched.rows {
            let Some(stream) = stream(row.try_get(column::STREAM)?) else { continue };
            let stream_id: Uuid = row.try_get::<&str, _>(column::STREAM_ID)?.parse().map_err(unreadable)?;
            let version: i64 = row.try_get(column::VERSION)?;
            let told = public_events::tell(
                stream,
                stream_id,
                row.try_get(column::EVENT_TYPE)?,
                row.try_get(column::EVENT_VERSION)?,
                json(row, column::PAYLOAD)?,
            )
            .map_err(unreadable)?;
            let (mut property, mut homes) = (None, Vec::new());
            match belongs(stream) {
                Belongs::Itself => property = Some(stream_id),
                Belongs::Opening if version == 1 => {
                    property = told.property;
                    begun.insert((stream, stream_id), property);
                }
                Belongs::Opening => {
                    let place = (stream, stream_id);
                    property = begun.get(&place).or_else(|| fetched.openings.get(&place)).copied().flatten();
                }
                Belongs::Residency => {
                    property = told.property;
                    // Where somebody lives now is nothing for those who manage a former home.
                    let moves = fetched.moves.get(&stream_id).filter(|_| property.is_none());
                    let moves = moves.map(Vec::as_slice).unwrap_or_default();
                    homes.extend(moves.iter().filter(|(at, _)| *at <= version).map(|(_, property)| *property));
                }
                Belongs::Organization => {}
            }
            let Some(event) = &told.event else { continue };
            let leaf: &[u8] = row.try_get(column::LEAF)?;
            let mut beginning = [0; 8];
            beginning.iter_mut().zip(leaf).for_each(|(known, byte)| *known = *byte);
            let (position, declared) = (row.try_get(column::POSITION)?, event.declared());
            let shown =
                Shown { position, leaf: beginning, declared, stream, stream_id, property, homes, line: Vec::new() };
            if !wanted.takes(&shown) {
                continue;
            }
            let trace: Trace<'_> = serde_json::from_str(json(row, column::METADATA)?).map_err(unreadable)?;
            let time: DateTime<Utc> = row.try_get(column::RECORDED_AT)?;
            let envelope = Envelope {
                organization: fetched.organization.0,
                position,
                leaf,
                stream,
                stream_id,
                version,
                time,
                property,
                correlation: trace.correlation,
                causation: trace.causation.as_deref(),
            };
            self.writer.write(&envelope, event, out).map_err(unreadable)?;
            written(shown, out);
        }
        self.remember(fetched.organization, begun);
        Ok(())
    }
}

/// The text of a column of type `json`, which is sent as it was stored.
fn json(row: &PgRow, column: usize) -> Result<&str, sqlx::Error> {
    row.try_get_unchecked(column)
}

/// The properties of streams whose first events name them.
async fn openings_of(
    organization: OrganizationId,
    wanted: &HashSet<(&'static str, Uuid)>,
    connection: &mut PgConnection,
) -> Result<Vec<((&'static str, Uuid), Option<Uuid>)>, ReadError> {
    let (streams, ids): (Vec<&str>, Vec<String>) = wanted.iter().map(|(stream, id)| (*stream, id.to_string())).unzip();
    let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "select wanted.stream, wanted.id, opening.payload -> opening.event_type ->> 'property_id'
         from unnest($2::text[], $3::text[]) as wanted (stream, id)
         cross join lateral (
             select * from log.events event
             where event.aggregate_type = wanted.stream and event.sequence = 1
                 and event.stream_key = $1 || '/' || wanted.id
             limit 1
         ) opening",
    )
    .bind(organization.0.to_string())
    .bind(streams)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let found = rows.into_iter().filter_map(|(name, id, property)| {
        let property = property.and_then(|property| property.parse().ok());
        Some(((stream(&name)?, id.parse().ok()?), property))
    });
    Ok(found.collect())
}

/// Where the residents among these events had moved in.
async fn moves_of(residents: &HashSet<Uuid>, connection: &mut PgConnection) -> Result<Moves, sqlx::Error> {
    let mut moves = Moves::new();
    let rows: Vec<(String, i64, Option<String>)> = sqlx::query_as(
        "select moved.aggregate_id, moved.sequence, moved.payload #>> '{ResidentMovedIn,property_id}'
         from unnest($1::text[]) as wanted (id)
         cross join lateral (
             select * from log.events event
             where event.aggregate_type = 'resident' and event.event_type = 'ResidentMovedIn'
                 and event.stream_key = (select current_setting('propty.organization')) || '/' || wanted.id
         ) moved",
    )
    .bind(residents.iter().map(Uuid::to_string).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    for (resident, version, property) in rows {
        if let (Ok(resident), Some(Ok(property))) = (resident.parse(), property.map(|property| property.parse())) {
            moves.entry(resident).or_default().push((version, property));
        }
    }
    Ok(moves)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> ReadError {
    ReadError::Unreadable(Box::new(error))
}
