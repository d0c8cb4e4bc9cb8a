//! Generations: each filling of a read model lives in a schema of its own; a view says which one is live.

use event_store::keyring::sha256;
use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::{Executor, PgConnection, PgPool, Row};
use uuid::Uuid;

use events::Recorded;

use crate::{apply::ApplyError, model::Column};

/// A read model by its shape, with its fold behind it.
pub trait Shape: Send + Sync + std::fmt::Debug {
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    fn columns(&self) -> &'static [Column];
    fn indexes(&self) -> &'static [&'static str];
    fn personal(&self) -> Option<(&'static str, &'static [&'static str])>;
    fn evidence(&self) -> Option<(&'static str, &'static [&'static str])>;

    /// The rows that hang on the event, or its stream's id when that cannot be told.
    fn keys(&self, event: &Recorded) -> Vec<Uuid>;

    /// Folds a page into the generation's table, within the caller's transaction.
    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        generation: &'a Generation,
        events: &'a [Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>>;

    /// Whether any row of this model hangs on the event.
    fn concerns(&self, event: &Recorded) -> bool;
}

/// One filling of a read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    pub model: &'static str,
    pub number: i32,
}

impl Generation {
    /// The schema that holds the generation's table.
    pub fn schema(&self) -> String {
        format!("rm_{}_g{}", self.model, self.number)
    }

    /// The table, qualified.
    pub fn table(&self) -> String {
        format!("{}.{}", self.schema(), self.model)
    }

    /// The name under which the generation's checkpoint is kept.
    pub fn subscriber(&self) -> String {
        format!("read/{}/g{}", self.model, self.number)
    }
}

/// Changes with the tables or the fold.
pub fn fingerprint(shape: &dyn Shape) -> String {
    let forgotten = (shape.personal(), shape.evidence());
    let text = format!("{:?}", (shape.columns(), shape.indexes(), forgotten, shape.version()));
    sha256(text.as_bytes())[..12].iter().fold(String::new(), |mut hex, byte| {
        use std::fmt::Write;
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The live generation and its fingerprint, if there is one.
pub async fn live(pool: &PgPool, model: &'static str) -> Result<Option<(Generation, String)>, sqlx::Error> {
    let row = sqlx::query("select generation, shape from engine.read_models where name = $1 and state = 'live'")
        .bind(model)
        .fetch_optional(pool)
        .await?;
    row.map(|row| Ok((Generation { model, number: row.try_get("generation")? }, row.try_get("shape")?))).transpose()
}

/// Makes an empty generation with its table, policies and checkpoint at the beginning of the log.
pub async fn create(pool: &PgPool, shape: &dyn Shape) -> Result<Generation, sqlx::Error> {
    let mut transaction = event_store::transaction::begin(pool).await?;
    // One at a time: numbers must not collide.
    sqlx::query("select pg_advisory_xact_lock(hashtext('propty read models'))").execute(&mut *transaction).await?;
    let number: i32 = sqlx::query_scalar(
        "insert into engine.read_models (name, generation, shape, state)
         select $1, coalesce(max(generation), 0) + 1, $2, 'filling' from engine.read_models where name = $1
         returning generation",
    )
    .bind(shape.name())
    .bind(fingerprint(shape))
    .fetch_one(&mut *transaction)
    .await?;
    let generation = Generation { model: shape.name(), number };
    let (schema, table) = (generation.schema(), generation.table());
    let columns: Vec<String> = shape.columns().iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    // The organization's own row has no other key.
    let identity = match shape.columns().first() {
        Some((name, _)) if *name != "organization_id" => format!("organization_id, {name}"),
        _ => "organization_id".to_owned(),
    };
    transaction
        .execute(&*format!(
            "drop schema if exists {schema} cascade;
             create schema {schema};
             create table {table} ({columns}, primary key ({identity}));
             alter table {table} enable row level security, force row level security;
             create policy engine on {table} to propty_engine using (true) with check (true);
             create policy tenant on {table} for select to propty_query
                 using (organization_id = nullif(current_setting('propty.organization', true), '')::uuid);
             grant usage on schema {schema} to propty_query;
             grant select on {table} to propty_query",
            columns = columns.join(", "),
        ))
        .await?;
    for index in shape.indexes() {
        transaction.execute(&*format!("create index on {table} {index}")).await?;
    }
    sqlx::query(
        "insert into engine.checkpoints (subscriber, global_position, incarnation)
         select $1, 0, incarnation from engine.installation
         on conflict (subscriber) do update set global_position = 0",
    )
    .bind(generation.subscriber())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(generation)
}

/// Puts a generation behind the model's view and drops the one that was there, in one transaction. When a newer
/// generation took its place meanwhile, that one stays and `false` is returned.
///
/// `catch_up` brings the generation as far as it is told, on connections of its own: the live one stands still meanwhile, so no
/// reader ever sees less than before.
pub async fn swap<F>(
    pool: &PgPool,
    generation: &Generation,
    catch_up: impl FnOnce(i64) -> F,
) -> Result<bool, ApplyError>
where
    F: Future<Output = Result<(), ApplyError>>,
{
    let mut transaction = event_store::transaction::begin(pool).await?;
    sqlx::query("select pg_advisory_xact_lock(hashtext('propty read models'))").execute(&mut *transaction).await?;
    let live: Option<i64> = sqlx::query_scalar(
        "select known.global_position from engine.checkpoints known
         where known.subscriber = (
             select 'read/' || name || '/g' || generation from engine.read_models where name = $1 and state = 'live')
         for update",
    )
    .bind(generation.model)
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(live) = live {
        catch_up(live).await?;
    }
    let old: Vec<i32> =
        sqlx::query_scalar("delete from engine.read_models where name = $1 and generation < $2 returning generation")
            .bind(generation.model)
            .bind(generation.number)
            .fetch_all(&mut *transaction)
            .await?;
    let found = sqlx::query("update engine.read_models set state = 'live' where name = $1 and generation = $2")
        .bind(generation.model)
        .bind(generation.number)
        .execute(&mut *transaction)
        .await?;
    if found.rows_affected() == 0 {
        return Ok(false);
    }
    let name = generation.model;
    let dropped: Vec<Generation> = old.into_iter().map(|number| Generation { model: name, number }).collect();
    // Whoever folds holds the checkpoint first and the table second; the other way round would be a deadlock.
    sqlx::query("delete from engine.checkpoints where subscriber = any($1)")
        .bind(dropped.iter().map(Generation::subscriber).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
    transaction
        .execute(&*format!(
            "drop view if exists read.{name};
             create view read.{name} with (security_invoker = true) as select * from {table};
             grant select on read.{name} to propty_query",
            table = generation.table(),
        ))
        .await?;
    for generation in &dropped {
        transaction.execute(&*format!("drop schema if exists {} cascade", generation.schema())).await?;
        sqlx::query("delete from engine.stalled where read_model = $1 and generation = $2")
            .bind(name)
            .bind(generation.number)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// A generation's rows in the order of their keys, as text: what two rebuilds must agree on.
pub async fn dump(pool: &PgPool, shape: &dyn Shape, generation: &Generation) -> Result<Vec<Value>, sqlx::Error> {
    let key = shape.columns().first().map_or("id", |(name, _)| name);
    sqlx::query_scalar(&format!(
        "select row_to_json(row) from {} row order by organization_id, {key}",
        generation.table()
    ))
    .fetch_all(pool)
    .await
}
