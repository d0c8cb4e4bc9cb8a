//! Folding a page of events into a table: load the rows it touches, fold in memory, write once.

use std::{collections::HashMap, marker::PhantomData};

use events::Recorded;
use futures_util::future::BoxFuture;
use sqlx::{Executor, PgConnection, Row};
use uuid::Uuid;

use crate::{
    erased::{Erased, empty, ends_evidence, erased_before, erased_resident, forgets, forgotten},
    generation::{Generation, Shape},
    model::{Column, FoldError, ReadModel},
};

/// Why a page could not be applied as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Fold(#[from] FoldError),
    #[error("the events could not be read")]
    Read(#[from] event_store::AppendError),
}

impl ApplyError {
    /// Whether something on the page is to blame, and not the connection.
    pub(crate) fn is_of_the_page(&self) -> bool {
        match self {
            Self::Database(error) => error.as_database_error().is_some(),
            Self::Fold(_) => true,
            Self::Read(_) => false,
        }
    }
}

/// Carries a model's row type behind [`Shape`].
pub struct Typed<M>(PhantomData<fn() -> M>);

impl<M> std::fmt::Debug for Typed<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::any::type_name::<M>())
    }
}

impl<M: ReadModel> Typed<M> {
    pub fn boxed() -> Box<dyn Shape> {
        Box::new(Self(PhantomData))
    }
}

impl<M: ReadModel> Shape for Typed<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn version(&self) -> u32 {
        M::VERSION
    }

    fn columns(&self) -> &'static [Column] {
        M::COLUMNS
    }

    fn indexes(&self) -> &'static [&'static str] {
        M::INDEXES
    }

    fn personal(&self) -> Option<(&'static str, &'static [&'static str])> {
        M::PERSONAL
    }

    fn evidence(&self) -> Option<(&'static str, &'static [&'static str])> {
        M::EVIDENCE
    }

    fn concerns(&self, event: &Recorded) -> bool {
        (forgets::<M>() && erased_resident(event).is_some()) || !matches!(M::keys(event), Ok(keys) if keys.is_empty())
    }

    fn keys(&self, event: &Recorded) -> Vec<Uuid> {
        M::keys(event).unwrap_or_else(|_| vec![event.stream_id])
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        generation: &'a Generation,
        events: &'a [Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            // An erasure changes rows by resident instead of by key, so it splits the page.
            for part in events.split_inclusive(|event| forgets::<M>() && erased_resident(event).is_some()) {
                fold_part::<M>(connection, generation, part).await?;
                let Some((last, erased)) = part.last().and_then(|last| Some((last, erased_resident(last)?))) else {
                    continue;
                };
                if let Some((resident, columns)) = M::PERSONAL {
                    empty(connection, generation, resident, columns, erased).await?;
                }
                if let Some((resident, columns)) = M::EVIDENCE
                    && ends_evidence(last)
                {
                    empty(connection, generation, resident, columns, erased).await?;
                }
            }
            Ok(())
        })
    }
}

/// A row's place: ids are chosen by clients, so a key means something within its organization only.
pub(crate) type Key = (Uuid, Uuid);

async fn fold_part<M: ReadModel>(
    connection: &mut PgConnection,
    generation: &Generation,
    events: &[Recorded],
) -> Result<(), ApplyError> {
    let mut stalled = stalled(connection, generation).await?;
    let mut touched = Vec::with_capacity(events.len());
    let mut keys: Vec<Key> = Vec::with_capacity(events.len());
    for event in events {
        let organization = event.organization.0;
        match M::keys(event) {
            Ok(found) => {
                keys.extend(found.iter().map(|key| (organization, *key)));
                touched.push((event, found));
            }
            // Which rows hang on it cannot be told, so its stream's id stands for the key.
            Err(error) => {
                stall(connection, generation, event.stream_id, event, &error).await?;
                stalled.insert((organization, event.stream_id), event.global_position);
            }
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    keys.sort_unstable();
    keys.dedup();
    let mut rows = load::<M>(connection, generation, &keys).await?;
    let waiting = stalled.clone();
    let mut changed = fold_rows::<M>(connection, generation, &touched, rows, &mut stalled, &HashMap::new()).await?;
    // Whose rows they are, only the rows tell. Hardly ever is it somebody who was erased before; then all is folded once more.
    let erased = match events.first() {
        Some(first) if forgets::<M>() => erased_before::<M>(connection, first.global_position, &changed).await?,
        _ => HashMap::new(),
    };
    if !erased.is_empty() {
        rows = load::<M>(connection, generation, &keys).await?;
        stalled = waiting;
        changed = fold_rows::<M>(connection, generation, &touched, rows, &mut stalled, &erased).await?;
    }
    write::<M>(connection, generation, changed).await
}

/// The rows after these events. What comes late to a row of somebody who was erased is emptied at once, event by event, so that
/// it makes no difference where a page ends.
async fn fold_rows<M: ReadModel>(
    connection: &mut PgConnection,
    generation: &Generation,
    touched: &[(&Recorded, Vec<Uuid>)],
    mut rows: HashMap<Key, M::Row>,
    stalled: &mut HashMap<Key, i64>,
    erased: &Erased,
) -> Result<Changed<M>, ApplyError> {
    let mut changed: Changed<M> = HashMap::with_capacity(touched.len());
    for (event, found) in touched {
        let organization = event.organization.0;
        let waits = |key: &Key| stalled.get(key).is_some_and(|since| *since < event.global_position);
        if waits(&(organization, event.stream_id)) {
            continue;
        }
        for key in found {
            let place = (organization, *key);
            if stalled.contains_key(&place) {
                continue;
            }
            let row = changed.remove(&place).unwrap_or_else(|| rows.remove(&place));
            match M::fold(row.clone(), *key, event).and_then(|row| forgotten::<M>(row, organization, erased)) {
                Ok(row) => {
                    changed.insert(place, row);
                }
                Err(error) => {
                    stall(connection, generation, *key, event, &error).await?;
                    stalled.insert(place, event.global_position);
                    if row.is_some() {
                        changed.insert(place, row);
                    }
                }
            }
        }
    }
    Ok(changed)
}

/// Rows to be written, and those to be deleted.
pub(crate) type Changed<M> = HashMap<Key, Option<<M as ReadModel>::Row>>;

async fn load<M: ReadModel>(
    connection: &mut PgConnection,
    generation: &Generation,
    keys: &[Key],
) -> Result<HashMap<Key, M::Row>, ApplyError> {
    let key = key_column::<M>();
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) = keys.iter().copied().unzip();
    let rows = sqlx::query(&format!(
        "select stored.organization_id, stored.{key} as key, row_to_json(stored)::text as row
         from unnest($1::uuid[], $2::uuid[]) as wanted (organization_id, id)
         join {} stored on stored.organization_id = wanted.organization_id and stored.{key} = wanted.id",
        generation.table()
    ))
    .bind(organizations)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let text: &str = row.try_get("row")?;
            let place = (row.try_get("organization_id")?, row.try_get("key")?);
            Ok((place, serde_json::from_str(text).map_err(FoldError::from)?))
        })
        .collect()
}

async fn write<M: ReadModel>(
    connection: &mut PgConnection,
    generation: &Generation,
    changed: Changed<M>,
) -> Result<(), ApplyError> {
    let table = generation.table();
    let key = key_column::<M>();
    let mut gone: Vec<Key> = Vec::new();
    let mut kept = Vec::with_capacity(changed.len());
    // In the order of the keys, which is that of the index.
    let mut changed: Vec<_> = changed.into_iter().collect();
    changed.sort_unstable_by_key(|(place, _)| *place);
    for (place, row) in changed {
        match row {
            Some(row) => kept.push(row),
            None => gone.push(place),
        }
    }
    if !gone.is_empty() {
        let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) = gone.into_iter().unzip();
        sqlx::query(&format!(
            "delete from {table} stored using unnest($1::uuid[], $2::uuid[]) as gone (organization_id, id)
             where stored.organization_id = gone.organization_id and stored.{key} = gone.id"
        ))
        .bind(organizations)
        .bind(ids)
        .execute(&mut *connection)
        .await?;
    }
    if !kept.is_empty() {
        let set: Vec<String> = M::COLUMNS
            .iter()
            .skip(1)
            .filter(|(name, _)| *name != "organization_id")
            .map(|(name, _)| format!("{name} = excluded.{name}"))
            .collect();
        sqlx::query(&format!(
            "insert into {table} select * from json_populate_recordset(null::{table}, $1::json)
             on conflict (organization_id, {key}) do update set {}",
            set.join(", ")
        ))
        .bind(serde_json::to_string(&kept).map_err(FoldError::from)?)
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// The keys that wait, with the positions of what they wait behind. Hardly ever any.
pub(crate) async fn stalled(
    connection: &mut PgConnection,
    generation: &Generation,
) -> Result<HashMap<Key, i64>, sqlx::Error> {
    let found: Vec<(Uuid, String, i64)> = sqlx::query_as(
        "select organization_id, key, global_position from engine.stalled where read_model = $1 and generation = $2",
    )
    .bind(generation.model)
    .bind(generation.number)
    .fetch_all(connection)
    .await?;
    Ok(found
        .into_iter()
        .filter_map(|(organization, key, position)| Some(((organization, key.parse().ok()?), position)))
        .collect())
}

pub(crate) async fn stall(
    connection: &mut PgConnection,
    generation: &Generation,
    key: Uuid,
    event: &Recorded,
    error: &FoldError,
) -> Result<(), sqlx::Error> {
    tracing::error!(
        read_model = generation.model, %key, position = event.global_position, event = event.event_type, %error,
        "a read model cannot handle an event; its key waits"
    );
    sqlx::query(
        "insert into engine.stalled (read_model, generation, key, organization_id, global_position, reason)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
    )
    .bind(generation.model)
    .bind(generation.number)
    .bind(key.to_string())
    .bind(event.organization.0)
    .bind(event.global_position)
    .bind(error.to_string())
    .execute(connection)
    .await
    .map(|_| ())
}

/// Applies a page that failed as a whole event by event; whatever the database refuses stalls its keys.
pub async fn apply_one_by_one(
    connection: &mut PgConnection,
    shape: &dyn Shape,
    generation: &Generation,
    events: &[Recorded],
) -> Result<(), ApplyError> {
    for event in events {
        connection.execute("savepoint one_event").await?;
        match shape.apply(connection, generation, std::slice::from_ref(event)).await {
            Ok(()) => {
                connection.execute("release savepoint one_event").await?;
            }
            Err(ApplyError::Database(error)) if error.as_database_error().is_none() => return Err(error.into()),
            Err(error) => {
                connection.execute("rollback to savepoint one_event").await?;
                tracing::error!(%error, read_model = generation.model, "the database refused a row");
                let unexpected = FoldError::Unexpected("the database refused the row");
                for key in shape.keys(event) {
                    stall(connection, generation, key, event, &unexpected).await?;
                }
            }
        }
    }
    Ok(())
}

fn key_column<M: ReadModel>() -> &'static str {
    M::COLUMNS.first().map_or("id", |(name, _)| name)
}
