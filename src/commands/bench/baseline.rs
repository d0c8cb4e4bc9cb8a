//! What Propty is compared with: plain postgres-es as shipped, and the cheapest durable insert there is.

use std::sync::Arc;

use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use serde::{Deserialize, Serialize};
use sqlx::{
    Executor, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use super::driver::{drive, rate};
use crate::failure::Failure;

pub const POSTGRES_ES: &str = "postgres-es";
pub const SINGLE_INSERTS: &str = "single inserts";
pub const LOAD_AND_INSERT: &str = "one select and one insert";
/// What `postgres_es::default_postgress_pool` opens.
const POSTGRES_ES_POOL: u32 = 10;
const INSERT_POOL: u32 = 20;

/// The tables as the crate's `db/init.sql` makes them, and two for the inserts.
const TABLES: &str = "
    create schema bench;
    create table bench.events (
        aggregate_type text not null,
        aggregate_id text not null,
        sequence bigint check (sequence >= 0) not null,
        event_type text not null,
        event_version text not null,
        payload json not null,
        metadata json not null,
        primary key (aggregate_type, aggregate_id, sequence)
    );
    create table bench.inserted (aggregate_id uuid, sequence bigint, payload json not null,
                                 primary key (aggregate_id, sequence));
    create table bench.queue (id bigint generated always as identity primary key, aggregate_id uuid not null)";

/// The baselines, ready to be measured.
pub struct Baselines {
    /// As the database's owner, for what row-level security would slow down.
    pub pool: PgPool,
    plain: PgPool,
    cqrs: Arc<PostgresCqrs<Door>>,
}

impl Baselines {
    /// On the server of `engine`, with tables and connections of their own.
    pub async fn open(engine: &PgPool) -> Result<Self, Failure> {
        let options = engine.connect_options().as_ref().clone().options([("search_path", "bench")]);
        let pool = connect(options.clone(), INSERT_POOL).await?;
        pool.execute(TABLES).await?;
        let plain = connect(options, POSTGRES_ES_POOL).await?;
        Ok(Self { cqrs: Arc::new(postgres_cqrs(plain.clone(), Vec::new(), ())), pool, plain })
    }

    pub async fn close(&self) {
        self.pool.close().await;
        self.plain.close().await;
    }

    /// Load and append through postgres-es, on aggregates with so many events each.
    pub async fn postgres_es(
        &self,
        callers: usize,
        count: usize,
        history: i64,
        repeats: usize,
    ) -> Result<f64, Failure> {
        let ids: Vec<String> = (0..count).map(|_| Uuid::now_v7().to_string()).collect();
        sqlx::query(
            "insert into events
             select 'door', id, sequence, 'Relabelled', '1.0', '{\"Relabelled\":{\"label\":\"A 0\"}}', '{}'
             from unnest($1::text[]) id, generate_series(1, $2) sequence",
        )
        .bind(&ids)
        .bind(history)
        .execute(&self.pool)
        .await?;
        let jobs = repeated(&ids, repeats);
        let (done, work) = (jobs.len(), vec![self.cqrs.clone(); callers]);
        let (elapsed, _) = drive(work, jobs, |cqrs, (id, round)| async move {
            cqrs.execute(&id, Relabel(format!("B {round}")))
                .await
                .map_err(|error| Failure::Told(format!("postgres-es: {error}")))?;
            Ok(cqrs)
        })
        .await?;
        Ok(rate(done, elapsed))
    }

    /// One event and one queue row in one statement: the naive limit.
    pub async fn single_inserts(&self, callers: usize, count: usize) -> Result<f64, Failure> {
        let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
        let (elapsed, _) = drive(vec![self.pool.clone(); callers], ids, |pool, id| async move {
            insert(&pool, id, 1).await?;
            Ok(pool)
        })
        .await?;
        Ok(rate(count, elapsed))
    }

    /// The same after a look at the event before it: the least that a command can be.
    pub async fn load_and_insert(&self, callers: usize, count: usize) -> Result<f64, Failure> {
        let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
        sqlx::query(
            "insert into inserted select id, 1, '{\"Relabelled\":{\"label\":\"A 0\"}}' from unnest($1::uuid[]) id",
        )
        .bind(&ids)
        .execute(&self.pool)
        .await?;
        let (elapsed, _) = drive(vec![self.pool.clone(); callers], ids, |pool, id| async move {
            let found: Vec<(i64, serde_json::Value)> =
                sqlx::query_as("select sequence, payload from inserted where aggregate_id = $1 order by sequence")
                    .bind(id)
                    .fetch_all(&pool)
                    .await?;
            insert(&pool, id, i64::try_from(found.len()).unwrap_or_default() + 1).await?;
            Ok(pool)
        })
        .await?;
        Ok(rate(count, elapsed))
    }
}

async fn insert(pool: &PgPool, id: Uuid, sequence: i64) -> Result<(), Failure> {
    sqlx::query(
        "with inserted as (
             insert into inserted values ($1, $2, '{\"Relabelled\":{\"label\":\"A 0\"}}')
         )
         insert into queue (aggregate_id) values ($1)",
    )
    .bind(id)
    .bind(sequence)
    .execute(pool)
    .await?;
    Ok(())
}

/// Each thing so many times, in rounds, so that no two callers meet at one.
pub fn repeated<T: Clone>(things: &[T], rounds: usize) -> Vec<(T, usize)> {
    (0..rounds).flat_map(|round| things.iter().map(move |thing| (thing.clone(), round))).collect()
}

async fn connect(options: PgConnectOptions, size: u32) -> Result<PgPool, Failure> {
    let pool = PgPoolOptions::new().max_connections(size).min_connections(size).test_before_acquire(false);
    Ok(pool.connect_with(options).await?)
}

/// The smallest aggregate that decides anything.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Door {
    label: String,
}

/// The aggregate's command.
#[derive(Debug)]
pub struct Relabel(String);

/// The aggregate's event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DoorEvent {
    Relabelled { label: String },
}

impl DomainEvent for DoorEvent {
    fn event_type(&self) -> String {
        "Relabelled".to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

/// The label is on the door already.
#[derive(Debug, thiserror::Error)]
#[error("the label is on the door already")]
pub struct SameLabel;

impl Aggregate for Door {
    const TYPE: &'static str = "door";
    type Command = Relabel;
    type Event = DoorEvent;
    type Error = SameLabel;
    type Services = ();

    async fn handle(&mut self, command: Relabel, (): &(), sink: &EventSink<Self>) -> Result<(), SameLabel> {
        if self.label == command.0 {
            return Err(SameLabel);
        }
        sink.write(DoorEvent::Relabelled { label: command.0 }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: DoorEvent) {
        let DoorEvent::Relabelled { label } = event;
        self.label = label;
    }
}
