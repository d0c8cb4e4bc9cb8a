//! The order: dense, gap-free, and true to each stream.

use std::collections::BTreeMap;

use event_store::transaction;
use sqlx::{Row, postgres::PgListener};
use tokio::{sync::watch, task::JoinSet};
use uuid::Uuid;

use crate::{
    note::{add, written},
    world::{World, context, organization},
};

/// Whether the log is what it promises to be; returns how many entries it has.
pub async fn verify(world: &World) -> i64 {
    let mut connection = world.superuser().await;
    let rows = sqlx::query("select * from log.entries order by global_position")
        .fetch_all(&mut connection)
        .await
        .expect("entries");
    let mut organizations: BTreeMap<Uuid, i64> = BTreeMap::new();
    let mut streams: BTreeMap<String, i64> = BTreeMap::new();
    for (index, row) in (1..).zip(&rows) {
        assert_eq!(row.get::<i64, _>("global_position"), index);
        let position = organizations.entry(row.get("organization_id")).or_default();
        *position += 1;
        assert_eq!(row.get::<i64, _>("position"), *position);
        let version = streams.entry(row.get("aggregate_id")).or_default();
        *version += 1;
        assert_eq!(row.get::<i64, _>("sequence"), *version);
    }
    let heads: Vec<(Uuid, i64)> = sqlx::query_as("select organization_id, position from log.heads order by 1")
        .fetch_all(&mut connection)
        .await
        .expect("heads");
    assert_eq!(heads, organizations.into_iter().collect::<Vec<_>>());
    let count = i64::try_from(rows.len()).expect("a number");
    assert_eq!(world.count("select global_position from log.head").await, count);
    assert_eq!(world.count("select count(*) from log.events").await, count);
    assert_eq!(world.count("select count(*) from log.pending").await, 0);
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_and_two_sequencers_make_one_dense_order() {
    let worlds = {
        let world = World::new().await;
        let neighbour = world.neighbour().await;
        [world, neighbour]
    };
    let (stop, stopped) = watch::channel(false);
    let mut sequencers = JoinSet::new();
    for world in &worlds {
        let (sequencer, stopped) = (world.sequencer(), stopped.clone());
        sequencers.spawn(async move { sequencer.run(stopped).await });
    }
    let organizations: Vec<_> = (0..5).map(|_| organization()).collect();
    let mut writers = JoinSet::new();
    for writer in 0..32 {
        let store = worlds[writer % 2].store.clone();
        let context = context(organizations[writer % organizations.len()]);
        // Some streams have two writers, which meet.
        let id = Uuid::new_v5(&context.metadata.organization.0, &[u8::try_from(writer % 20).expect("a byte")]);
        writers.spawn(async move {
            let mut stored = 0;
            while stored < 12 {
                let events: Vec<_> = (0..=stored % 3).map(|line| written(line.to_string())).collect();
                let count = events.len();
                if add(&store, &context, id, events).await.is_ok() {
                    stored += count;
                }
            }
            stored
        });
    }
    let stored: usize = writers.join_all().await.iter().sum();
    stop.send_replace(true);
    sequencers.join_all().await;
    worlds[1].drain().await;
    assert_eq!(verify(&worlds[0]).await, i64::try_from(stored).expect("a number"));
}

#[tokio::test]
async fn a_batch_is_bounded_and_the_next_goes_on() {
    let world = World::new().await;
    let context = context(organization());
    for _ in 0..3 {
        let events = (0..900).map(|line| written(line.to_string())).collect();
        add(&world.store, &context, Uuid::now_v7(), events).await.expect("events");
    }
    world.drain().await;
    assert_eq!(verify(&world).await, 2700);
    assert_eq!(*world.positions.head().borrow(), 2700);
}

#[tokio::test]
async fn an_open_transaction_holds_nobody_up() {
    let world = World::new().await;
    let context = context(organization());
    let mut slow = transaction::begin(world.pool()).await.expect("a transaction");
    sqlx::query(
        "insert into log.pending (organization_id, aggregate_type, aggregate_id, sequence) values ($1, 'note', $2, 1)",
    )
    .bind(context.metadata.organization.0)
    .bind(Uuid::now_v7().to_string())
    .execute(&mut *slow)
    .await
    .expect("a row");
    add(&world.store, &context, Uuid::now_v7(), vec![written("quick")]).await.expect("an event");
    world.drain().await;
    assert_eq!(world.count("select global_position from log.head").await, 1);
    slow.rollback().await.expect("a rollback");
    assert_eq!(verify(&world).await, 1);
}

#[tokio::test]
async fn a_batch_of_several_organizations_is_announced_once() {
    let world = World::new().await;
    let mut listener = PgListener::connect_with(world.pool()).await.expect("a listener");
    listener.listen("propty_log").await.expect("a channel");
    for events in 1..=3 {
        let events = (0..events).map(|line| written(line.to_string())).collect();
        add(&world.store, &context(organization()), Uuid::now_v7(), events).await.expect("events");
    }
    world.drain().await;
    assert_eq!(verify(&world).await, 6);
    let notice = listener.recv().await.expect("a notice");
    assert_eq!(notice.payload(), "6");
    // The next one is of the next batch.
    add(&world.store, &context(organization()), Uuid::now_v7(), vec![written("a")]).await.expect("an event");
    world.drain().await;
    assert_eq!(listener.recv().await.expect("a notice").payload(), "7");
}
