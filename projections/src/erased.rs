//! What an erasure empties in the rows of read models: at its event, and of whatever comes to a row later.

use std::collections::HashMap;

use events::{Purpose, Recorded, ResidentEvent};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    apply::{ApplyError, Changed, Key},
    generation::Generation,
    model::{FoldError, ReadModel},
};

pub(crate) fn erased_resident(event: &Recorded) -> Option<Key> {
    (event.event_type == "ResidentErased" && event.stream == <ResidentEvent as events::Event>::STREAM)
        .then_some((event.organization.0, event.stream_id))
}

/// Whether the evidence of consent goes with this erasure.
pub(crate) fn ends_evidence(event: &Recorded) -> bool {
    let purposes = event.payload.pointer("/ResidentErased/purposes").and_then(Value::as_array);
    purposes.is_some_and(|purposes| purposes.iter().any(|purpose| purpose == Purpose::Consent.name()))
}

/// Whether an erasure empties anything of the model.
pub(crate) const fn forgets<M: ReadModel>() -> bool {
    M::PERSONAL.is_some() || M::EVIDENCE.is_some()
}

pub(crate) async fn empty(
    connection: &mut PgConnection,
    generation: &Generation,
    resident: &str,
    columns: &[&str],
    (organization, erased): Key,
) -> Result<(), ApplyError> {
    let set: Vec<String> = columns.iter().map(|column| format!("{column} = null")).collect();
    sqlx::query(&format!(
        "update {} set {} where organization_id = $1 and {resident} = $2",
        generation.table(),
        set.join(", ")
    ))
    .bind(organization)
    .bind(erased)
    .execute(connection)
    .await?;
    Ok(())
}

/// Residents who were erased, and whether the evidence of their consent is gone as well.
pub(crate) type Erased = HashMap<Key, bool>;

/// The row without what an erased resident's row must not have.
pub(crate) fn forgotten<M: ReadModel>(
    row: Option<M::Row>,
    organization: Uuid,
    erased: &Erased,
) -> Result<Option<M::Row>, FoldError> {
    let Some(row) = row else { return Ok(None) };
    if erased.is_empty() {
        return Ok(Some(row));
    }
    let mut stored = serde_json::to_value(&row)?;
    let mut emptied = false;
    for (which, needs_evidence_gone) in [(M::PERSONAL, false), (M::EVIDENCE, true)] {
        let Some((resident, columns)) = which else { continue };
        let gone = resident_of(&stored, resident).and_then(|resident| erased.get(&(organization, resident)));
        if !gone.is_some_and(|evidence_gone| *evidence_gone || !needs_evidence_gone) {
            continue;
        }
        for column in columns {
            if let Some(value) = stored.get_mut(*column).filter(|value| !value.is_null()) {
                *value = Value::Null;
                emptied = true;
            }
        }
    }
    Ok(Some(if emptied { serde_json::from_value(stored)? } else { row }))
}

fn resident_of(row: &Value, column: &str) -> Option<Uuid> {
    row.get(column)?.as_str()?.parse().ok()
}

/// The residents of these rows who were erased before a position.
pub(crate) async fn erased_before<M: ReadModel>(
    connection: &mut PgConnection,
    position: i64,
    changed: &Changed<M>,
) -> Result<Erased, ApplyError> {
    let mut organizations: Vec<Uuid> = changed.keys().map(|(organization, _)| *organization).collect();
    organizations.sort_unstable();
    organizations.dedup();
    // Nearly always this one look is all, and nobody's rows have to be asked whose they are.
    let any: bool = sqlx::query_scalar(
        "select exists (select from log.entries
             where event_type = 'ResidentErased' and organization_id = any($1) and global_position < $2)",
    )
    .bind(&organizations)
    .bind(position)
    .fetch_one(&mut *connection)
    .await?;
    if !any {
        return Ok(HashMap::new());
    }
    let mut residents: Vec<(Uuid, String)> = Vec::new();
    for ((organization, _), row) in changed {
        let Some(row) = row else { continue };
        let stored = serde_json::to_value(row).map_err(FoldError::from)?;
        for (resident, _) in [M::PERSONAL, M::EVIDENCE].into_iter().flatten() {
            residents.extend(resident_of(&stored, resident).map(|resident| (*organization, resident.to_string())));
        }
    }
    residents.sort_unstable();
    residents.dedup();
    let (organizations, ids): (Vec<Uuid>, Vec<String>) = residents.into_iter().unzip();
    let rows: Vec<(Uuid, String, bool)> = sqlx::query_as(
        "select entry.organization_id, entry.aggregate_id,
                bool_or(exists (
                    select from log.events stored
                    where stored.aggregate_type = entry.aggregate_type and stored.sequence = entry.sequence
                        and stored.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
                        and (stored.payload #> '{ResidentErased,purposes}')::jsonb @> '\"consent\"'))
         from unnest($1::uuid[], $2::text[]) as wanted (organization_id, id)
         join log.entries entry on entry.organization_id = wanted.organization_id and entry.aggregate_id = wanted.id
         where entry.event_type = 'ResidentErased' and entry.aggregate_type = 'resident' and entry.global_position < $3
         group by 1, 2",
    )
    .bind(organizations)
    .bind(ids)
    .bind(position)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(organization, resident, evidence)| Some(((organization, resident.parse().ok()?), evidence)))
        .collect())
}
