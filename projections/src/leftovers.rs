//! Rows of read models that still hold something personal of an erased resident.

use event_store::erasure::Leftover;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{generation::Generation, model::models};

/// Columns that are not empty, in every generation of every read model: personal ones, and where the evidence of consent had to go
/// those that served it.
pub async fn of(
    pool: &PgPool,
    organization: Uuid,
    resident: Uuid,
    evidence_gone: bool,
) -> Result<Vec<Leftover>, sqlx::Error> {
    let generations: Vec<(String, i32)> =
        sqlx::query_as("select name, generation from engine.read_models order by name, generation")
            .fetch_all(pool)
            .await?;
    let mut found = Vec::new();
    let models = models();
    let checked = models.iter().flat_map(|model| {
        let evidence = model.evidence().filter(|_| evidence_gone);
        [model.personal(), evidence].into_iter().flatten().map(move |columns| (model, columns))
    });
    for (model, (owner, columns)) in checked {
        for (_, number) in generations.iter().filter(|(name, _)| name == model.name()) {
            let table = Generation { model: model.name(), number: *number }.table();
            let left: Vec<String> =
                columns.iter().map(|column| format!("case when {column} is not null then '{column}' end")).collect();
            let key = model.columns().first().map_or("organization_id", |(name, _)| name);
            let rows: Vec<(String, String)> = sqlx::query_as(&format!(
                "select {key}::text, concat_ws(', ', {}) from {table}
                 where organization_id = $1 and {owner} = $2 and coalesce({}) is not null",
                left.join(", "),
                left.join(", "),
            ))
            .bind(organization)
            .bind(resident)
            .fetch_all(pool)
            .await?;
            found.extend(rows.into_iter().map(|(row, columns)| Leftover {
                place: format!("{table} {row}"),
                what: format!("not empty: {columns}"),
            }));
        }
    }
    Ok(found)
}
