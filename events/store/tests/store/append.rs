//! Appending and loading through `cqrs-es`.

use std::collections::{BTreeSet, HashMap};

use cqrs_es::{AggregateError, EventStore};
use event_store::transaction;
use ring::digest::{SHA256, digest};
use sqlx::Row;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    note::{Note, add, read, written},
    world::{World, context, organization},
};

#[tokio::test]
async fn what_is_appended_is_loaded_in_order() {
    let world = World::new().await;
    let context = context(organization());
    let id = Uuid::now_v7();
    let lines: Vec<String> = (0..40).map(|line| format!("line {line} \u{0} \"ü\" 𝄞")).collect();
    let stored = add(&world.store, &context, id, lines[..30].iter().map(written).collect()).await.expect("events");
    assert_eq!(stored.iter().map(|event| event.sequence).collect::<Vec<_>>(), (1..=30).collect::<Vec<_>>());
    add(&world.store, &context, id, lines[30..].iter().map(written).collect()).await.expect("events");

    let scoped = world.store.scoped(&context);
    let loaded = EventStore::<Note>::load_aggregate(&scoped, &id.to_string()).await.expect("a note");
    assert_eq!((loaded.id, loaded.version), (id, 40));
    assert_eq!(loaded.aggregate.lines, lines);
    let events = EventStore::<Note>::load_events(&scoped, &id.to_string()).await.expect("events");
    assert_eq!(events.last().map(|event| event.sequence), Some(40));
    assert_eq!(events[0].metadata["organization"], context.metadata.organization.to_string());
    assert_eq!(events[0].metadata["actor"], "token:writer");
}

#[tokio::test]
async fn an_unknown_stream_is_empty_and_an_id_must_be_one() {
    let world = World::new().await;
    let context = context(organization());
    assert_eq!(read(&world.store, &context, Uuid::now_v7()).await.expect("a note"), Note::default());
    let scoped = world.store.scoped(&context);
    assert!(EventStore::<Note>::load_aggregate(&scoped, "nothing").await.is_err());
}

#[tokio::test]
async fn whoever_decided_on_an_old_version_conflicts_and_stores_nothing() {
    let world = World::new().await;
    let context = context(organization());
    let id = Uuid::now_v7();
    let scoped = world.store.scoped(&context);
    let late = EventStore::<Note>::load_aggregate(&scoped, &id.to_string()).await.expect("a note");
    add(&world.store, &context, id, vec![written("first")]).await.expect("an event");
    let result = scoped.commit(vec![written("late"), written("later")], late, HashMap::new()).await;
    assert!(matches!(result, Err(AggregateError::AggregateConflict)));
    assert_eq!(read(&world.store, &context, id).await.expect("a note").lines, ["first"]);
    assert_eq!(world.count("select count(*) from log.pending").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_concurrent_appends_one_wins_each_version() {
    let world = World::new().await;
    let context = context(organization());
    let id = Uuid::now_v7();
    let mut writers = JoinSet::new();
    for writer in 0..64 {
        let (store, context) = (world.store.clone(), context.clone());
        writers.spawn(async move {
            let mut lost = 0;
            loop {
                match add(&store, &context, id, vec![written(writer.to_string())]).await {
                    Ok(stored) => return (stored[0].sequence, lost),
                    Err(AggregateError::AggregateConflict) => lost += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    let results = writers.join_all().await;
    let won: BTreeSet<usize> = results.iter().map(|(version, _)| *version).collect();
    assert_eq!(won, (1..=64).collect());
    assert!(results.iter().any(|(_, lost)| *lost > 0), "nobody met anybody");
    let lines: BTreeSet<String> = read(&world.store, &context, id).await.expect("a note").lines.into_iter().collect();
    assert_eq!(lines, (0..64).map(|writer| writer.to_string()).collect());
}

#[tokio::test]
async fn a_transaction_whose_begin_was_cancelled_swallows_nothing() {
    let world = World::new().await;
    for _ in 0..20 {
        // Polled once: its answer is not awaited.
        drop(tokio::time::timeout(std::time::Duration::ZERO, transaction::begin(world.pool())).await);
        sqlx::query("update engine.clock set offset_seconds = offset_seconds + 1")
            .execute(world.pool())
            .await
            .expect("a moved clock");
    }
    assert_eq!(world.count("select offset_seconds from engine.clock").await, 20);
}

#[tokio::test]
async fn the_same_id_in_another_organization_is_another_stream() {
    let world = World::new().await;
    let (ours, theirs) = (context(organization()), context(organization()));
    let id = Uuid::now_v7();
    add(&world.store, &theirs, id, vec![written("theirs")]).await.expect("an event");
    let events = async |context| {
        let scoped = world.store.scoped(context);
        EventStore::<Note>::load_events(&scoped, &id.to_string()).await.expect("a stream").len()
    };
    assert_eq!(events(&ours).await, 0);
    add(&world.store, &ours, id, vec![written("ours")]).await.expect("an event");
    add(&world.store, &ours, id, vec![written("more")]).await.expect("an event");
    assert_eq!((events(&ours).await, events(&theirs).await), (2, 1));
}

#[tokio::test]
async fn the_leaf_follows_from_the_stored_texts() {
    let world = World::new().await;
    let context = context(organization());
    let id = Uuid::now_v7();
    add(&world.store, &context, id, vec![written("a"), written("\u{7} b")]).await.expect("events");
    world.drain().await;
    let rows = sqlx::query(
        "select entry.leaf, stored.payload::text as payload, stored.metadata::text as metadata, stored.sequence
         from log.entries entry join log.events stored using (aggregate_type, aggregate_id, sequence)
         order by entry.position",
    )
    .fetch_all(&mut world.superuser().await)
    .await
    .expect("rows");
    assert_eq!(rows[1].get::<&str, _>("payload"), r#"{"Written":{"text":"\u0007 b"}}"#);
    for row in &rows {
        // Written out again on purpose, from docs rather than from the program.
        let text = format!(
            "\0propty-leaf-v1\n{}\nnote/{id}\n{}\nWritten v2\n2023-11-14T22:13:20.123456Z\n{}\n{}\n",
            context.metadata.organization,
            row.get::<i64, _>("sequence"),
            sha256(row.get("payload")),
            sha256(row.get("metadata")),
        );
        assert_eq!(hex(row.get("leaf")), sha256(&text));
    }
}

fn sha256(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
