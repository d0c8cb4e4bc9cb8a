//! A slice of the log: some positions after another, of which what is public and wanted is told, and up to where it is complete.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError},
};

use chrono::{DateTime, Utc};
use event_store::tenant;
use public_events::{Belongs, Envelope, Told, belongs};
use serde::Deserialize;
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    ReadError, Reader, Wanted,
    shown::{Home, Shown, stream},
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

/// A row with what its JSON says.
struct Read {
    position: i64,
    leaf: Vec<u8>,
    stream: &'static str,
    stream_id: Uuid,
    version: i64,
    time: DateTime<Utc>,
    trace: Trace,
    told: Told,
}

/// The part of an event's metadata that is told.
#[derive(Deserialize)]
struct Trace {
    correlation: Uuid,
    #[serde(default)]
    causation: Option<String>,
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
        let mut transaction = tenant::begin(&self.pool, wanted.organization).await?;
        let (head, incarnation) = head(&mut transaction).await?;
        if after > head {
            return Err(ReadError::Beyond { head, incarnation });
        }
        let until = until.min(head);
        let one = wanted.aggregate.is_some_and(|aggregate| aggregate.id.is_some());
        // A single stream is found by its own index, however far its events lie apart.
        let end = if one { until } else { until.min(after.saturating_add(WINDOW)) };
        if end <= after {
            return Ok(Slice { shown: Vec::new(), complete: after.min(head), head, incarnation });
        }
        let rows = rows(&mut transaction, wanted, (after, end), most).await?;
        let full = i64::try_from(rows.len()).is_ok_and(|count| count >= most);
        let last = rows.last().map(|row| row.try_get::<i64, _>("position")).transpose()?;
        let complete = if full { last.unwrap_or(end) } else { end };
        let read = decode(rows).await?;
        let openings = self.openings_of(wanted, &read, &mut transaction).await?;
        let moves = moves(&read, &mut transaction).await?;
        transaction.commit().await?;
        let mut shown = Vec::with_capacity(read.len());
        for one in &read {
            if let Some(event) = self.show(wanted, one, &openings, &moves)?
                && wanted.takes(&event)
            {
                shown.push(Arc::new(event));
            }
        }
        Ok(Slice { shown, complete, head, incarnation })
    }
}

async fn head(connection: &mut PgConnection) -> Result<(i64, i32), sqlx::Error> {
    sqlx::query_as(
        "select coalesce((select position from log.heads), 0), (select incarnation from engine.installation)",
    )
    .fetch_one(connection)
    .await
}

async fn rows(
    connection: &mut PgConnection,
    wanted: &Wanted,
    (after, end): (i64, i64),
    most: i64,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let aggregate = match wanted.aggregate {
        None => "",
        Some(aggregate) if aggregate.id.is_none() => "and entry.aggregate_type = $6",
        Some(_) => "and entry.aggregate_type = $6 and entry.aggregate_id = $7",
    };
    // Event by event, by the index: see `Subscription::page`.
    let sql = format!(
        "select entry.position, entry.leaf, entry.aggregate_type, entry.aggregate_id, entry.sequence, stored.event_type,
                stored.event_version, stored.recorded_at, stored.payload::text as payload, stored.metadata::text as metadata
         from (select * from log.entries entry
               where entry.organization_id = $1 and entry.position > $2 and entry.position <= $3
                   and entry.event_type = any($4) {aggregate}
               order by entry.position limit $5) entry
         cross join lateral (
             select * from log.events event
             where event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
                 and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
             limit 1
         ) stored
         order by entry.position",
    );
    let mut query =
        sqlx::query(&sql).bind(wanted.organization.0).bind(after).bind(end).bind(wanted.types.stored()).bind(most);
    if let Some(aggregate) = wanted.aggregate {
        query = query.bind(aggregate.stream);
        if let Some(id) = aggregate.id {
            query = query.bind(id.to_string());
        }
    }
    query.fetch_all(connection).await
}

/// Reads the rows' JSON where it holds up nobody.
async fn decode(rows: Vec<PgRow>) -> Result<Vec<Read>, ReadError> {
    let work = move || rows.iter().filter_map(|row| decoded(row).transpose()).collect::<Result<Vec<_>, _>>();
    match tokio::task::spawn_blocking(work).await {
        Ok(read) => read,
        Err(error) => Err(unreadable(error)),
    }
}

fn decoded(row: &PgRow) -> Result<Option<Read>, ReadError> {
    let Some(stream) = stream(row.try_get("aggregate_type")?) else { return Ok(None) };
    let id: &str = row.try_get("aggregate_id")?;
    let stream_id: Uuid = id.parse().map_err(unreadable)?;
    let trace = serde_json::from_str(row.try_get("metadata")?).map_err(unreadable)?;
    let (event_type, version) = (row.try_get("event_type")?, row.try_get("event_version")?);
    let told =
        public_events::tell(stream, stream_id, event_type, version, row.try_get("payload")?).map_err(unreadable)?;
    Ok(Some(Read {
        position: row.try_get("position")?,
        leaf: row.try_get("leaf")?,
        stream,
        stream_id,
        version: row.try_get("sequence")?,
        time: row.try_get("recorded_at")?,
        trace,
        told,
    }))
}

impl Reader {
    /// The properties of the streams whose first events name them.
    async fn openings_of(
        &self,
        wanted: &Wanted,
        read: &[Read],
        connection: &mut PgConnection,
    ) -> Result<HashMap<(&'static str, Uuid), Option<Uuid>>, ReadError> {
        let mut found = HashMap::new();
        let mut missing = HashSet::new();
        {
            let mut known = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
            for one in read.iter().filter(|one| belongs(one.stream) == Belongs::Opening) {
                let place = (one.stream, one.stream_id);
                if one.version == 1 {
                    known.remember(wanted.organization, one.stream, one.stream_id, one.told.property);
                    found.insert(place, one.told.property);
                } else if let Some(Home(property)) = known.of(wanted.organization, one.stream, one.stream_id) {
                    found.insert(place, property);
                } else if !found.contains_key(&place) {
                    missing.insert(place);
                }
            }
        }
        missing.retain(|place| !found.contains_key(place));
        if missing.is_empty() {
            return Ok(found);
        }
        let (streams, ids): (Vec<&str>, Vec<String>) =
            missing.iter().map(|(stream, id)| (*stream, id.to_string())).unzip();
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
        .bind(wanted.organization.0.to_string())
        .bind(streams)
        .bind(ids)
        .fetch_all(connection)
        .await?;
        let mut known = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, id, property) in rows {
            if let (Some(stream), Ok(id)) = (stream(&name), id.parse()) {
                let property = property.and_then(|property| property.parse().ok());
                known.remember(wanted.organization, stream, id, property);
                found.insert((stream, id), property);
            }
        }
        Ok(found)
    }

    fn show(
        &self,
        wanted: &Wanted,
        read: &Read,
        openings: &HashMap<(&'static str, Uuid), Option<Uuid>>,
        moves: &Moves,
    ) -> Result<Option<Shown>, ReadError> {
        let Some(event) = &read.told.event else { return Ok(None) };
        let (mut property, mut homes) = (None, Vec::new());
        match belongs(read.stream) {
            Belongs::Itself => property = Some(read.stream_id),
            Belongs::Opening => property = openings.get(&(read.stream, read.stream_id)).copied().flatten(),
            Belongs::Residency => {
                property = read.told.property;
                // Where somebody lives now is nothing for those who manage a former home.
                let moves = moves.get(&read.stream_id).filter(|_| property.is_none());
                let moves = moves.map(Vec::as_slice).unwrap_or_default();
                homes.extend(
                    moves.iter().filter(|(version, _)| *version <= read.version).map(|(_, property)| *property),
                );
            }
            Belongs::Organization => {}
        }
        let envelope = Envelope {
            organization: wanted.organization.0,
            position: read.position,
            leaf: &read.leaf,
            stream: read.stream,
            stream_id: read.stream_id,
            version: read.version,
            time: read.time,
            property,
            correlation: read.trace.correlation,
            causation: read.trace.causation.as_deref(),
        };
        let mut line = Vec::with_capacity(800);
        self.writer.write(&envelope, event, &mut line).map_err(unreadable)?;
        line.shrink_to_fit();
        let (stream, stream_id) = (read.stream, read.stream_id);
        let (position, declared) = (read.position, event.declared());
        let mut leaf = [0; 8];
        leaf.iter_mut().zip(&read.leaf).for_each(|(known, byte)| *known = *byte);
        Ok(Some(Shown { position, leaf, declared, stream, stream_id, property, homes, line }))
    }
}

/// Where the residents among these events had moved in.
async fn moves(read: &[Read], connection: &mut PgConnection) -> Result<Moves, sqlx::Error> {
    let residents: HashSet<Uuid> =
        read.iter().filter(|one| belongs(one.stream) == Belongs::Residency).map(|one| one.stream_id).collect();
    let mut moves = Moves::new();
    if residents.is_empty() {
        return Ok(moves);
    }
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
