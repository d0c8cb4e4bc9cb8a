//! Commands that share a commit: nobody suffers from a neighbour.

use std::{collections::HashMap, time::Duration};

use cqrs_es::{AggregateError, EventStore};
use event_store::{AppendError, CommandContext, StreamContext};
use sqlx::{Executor, PgConnection};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use uuid::Uuid;

use crate::{
    note::{Failure, Note, add, cause, read, written},
    sequencer::verify,
    world::{World, context, keyed, organization},
};

const PATIENCE: Duration = Duration::from_secs(20);
const WAITING: &str = "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";

type Stored = Result<usize, Failure>;

/// Lets nobody store anything until it is opened.
struct Gate(PgConnection);

impl Gate {
    /// With both writers waiting before it, so that whatever comes now comes together.
    async fn close(world: &World) -> (Self, Vec<JoinHandle<Stored>>) {
        let mut connection = world.superuser().await;
        connection.execute("begin; lock table log.pending").await.expect("a lock");
        let mut first = Vec::new();
        for waiting in 1..=2 {
            first.push(commit(world, &context(organization()), Uuid::now_v7(), 0, &["first"]));
            while world.count(&format!("select count(*) {WAITING}")).await < waiting {
                tokio::task::yield_now().await;
            }
        }
        (Self(connection), first)
    }

    async fn open(mut self) {
        // Everybody who was spawned has asked.
        tokio::task::yield_now().await;
        self.0.execute("commit").await.expect("a commit");
    }
}

/// Adds to a note that is believed to have this version.
fn commit(world: &World, context: &CommandContext, id: Uuid, version: i64, lines: &[&str]) -> JoinHandle<Stored> {
    let (store, context) = (world.store.clone(), context.clone());
    let events: Vec<_> = lines.iter().map(|line| written(*line)).collect();
    tokio::spawn(async move {
        let believed = StreamContext { id, version, aggregate: Note::default() };
        let stored = store.scoped(&context).commit(events, believed, HashMap::new()).await?;
        Ok(stored.len())
    })
}

async fn answer(asked: JoinHandle<Stored>) -> Stored {
    timeout(PATIENCE, asked).await.expect("an answer").expect("no panic")
}

async fn all_stored(asked: Vec<JoinHandle<Stored>>) {
    for asked in asked {
        answer(asked).await.expect("an event");
    }
}

/// How many commits there have been.
async fn commits(world: &World) -> i64 {
    world.count("select count(distinct xmin::text) from log.events").await
}

#[tokio::test]
async fn commands_that_come_while_others_are_stored_share_a_commit() {
    let world = World::new().await;
    let (gate, first) = Gate::close(&world).await;
    let others = (0..40).map(|_| commit(&world, &context(organization()), Uuid::now_v7(), 0, &["a", "b"])).collect();
    gate.open().await;
    all_stored(first).await;
    all_stored(others).await;
    assert_eq!(commits(&world).await, 3);
    world.drain().await;
    assert_eq!(verify(&world).await, 82);
}

#[tokio::test]
async fn whoever_loses_in_a_batch_is_told_and_the_others_are_stored() {
    let world = World::new().await;
    let owner = organization();
    let (moved_on, used) = (Uuid::now_v7(), keyed(owner, "used", 1));
    add(&world.store, &context(owner), moved_on, vec![written("first"), written("second")]).await.expect("events");
    add(&world.store, &used, Uuid::now_v7(), vec![written("first")]).await.expect("an event");

    let (gate, first) = Gate::close(&world).await;
    let mut others = Vec::new();
    for number in 0..15 {
        let key = format!("unused {number}");
        others.push(commit(&world, &keyed(owner, &key, 1), Uuid::now_v7(), 0, &["good"]));
    }
    let late = commit(&world, &keyed(owner, "late", 1), moved_on, 1, &["late", "later"]);
    let repeated = commit(&world, &used, Uuid::now_v7(), 0, &["again"]);
    // Both: whoever repeats a request is owed its answer.
    let both = commit(&world, &keyed(owner, "used", 2), Uuid::now_v7(), 0, &["again"]);
    for _ in 0..15 {
        others.push(commit(&world, &context(organization()), Uuid::now_v7(), 0, &["good"]));
    }
    gate.open().await;
    assert!(matches!(answer(late).await, Err(AggregateError::AggregateConflict)));
    assert!(matches!(cause::<AppendError, _>(answer(repeated).await), AppendError::KeyTaken));
    assert!(matches!(cause::<AppendError, _>(answer(both).await), AppendError::KeyTaken));
    all_stored(first).await;
    all_stored(others).await;
    assert_eq!(world.count("select count(*) from log.events").await, 3 + 2 + 30);
    assert_eq!(world.count("select count(*) from log.idempotency where key = 'late'").await, 0);
    // Two before, two at the gate, and the thirty in no more than two.
    assert!(commits(&world).await <= 6);
    world.drain().await;
    assert_eq!(verify(&world).await, 35);
}

#[tokio::test]
async fn whoever_conflicts_and_repeats_a_key_is_owed_the_answer() {
    let world = World::new().await;
    let used = keyed(organization(), "used", 1);
    let id = Uuid::now_v7();
    add(&world.store, &used, id, vec![written("first")]).await.expect("an event");
    let (gate, first) = Gate::close(&world).await;
    let repeated = commit(&world, &used, id, 0, &["first"]);
    let other = commit(&world, &context(organization()), Uuid::now_v7(), 0, &["good"]);
    gate.open().await;
    assert!(matches!(cause::<AppendError, _>(answer(repeated).await), AppendError::KeyTaken));
    all_stored(vec![other]).await;
    all_stored(first).await;
}

#[tokio::test]
async fn what_the_database_refuses_fails_its_caller_alone() {
    let world = World::new().await;
    let owner = organization();
    let (gate, first) = Gate::close(&world).await;
    let mut others = Vec::new();
    let mut refused = Vec::new();
    for number in 0..20 {
        others.push(commit(
            &world,
            &keyed(owner, &number.to_string(), 1),
            Uuid::now_v7(),
            0,
            &["\u{0} is text to json"],
        ));
        if number % 8 == 0 {
            // PostgreSQL's text has no character zero, and its indexes no keys of many kilobytes.
            let long: String = (0..400).map(|_| Uuid::new_v4().to_string()).collect();
            let poison = if number == 0 { long } else { format!("{number} \u{0}") };
            refused.push(commit(&world, &keyed(owner, &poison, 1), Uuid::now_v7(), 0, &["poisoned"]));
        }
    }
    gate.open().await;
    for asked in refused {
        let error = cause::<AppendError, _>(answer(asked).await);
        assert!(matches!(error, AppendError::Database(sqlx::Error::Database(_))), "{error:?}");
    }
    all_stored(first).await;
    all_stored(others).await;
    world.drain().await;
    assert_eq!(verify(&world).await, 22);
    assert_eq!(world.count("select count(*) from log.idempotency").await, 20);
}

#[tokio::test]
async fn of_two_commands_on_one_version_the_later_conflicts_and_the_next_version_waits_its_turn() {
    let world = World::new().await;
    let context = context(organization());
    let id = Uuid::now_v7();
    let (gate, first) = Gate::close(&world).await;
    let one = commit(&world, &context, id, 0, &["one", "two"]);
    let same = commit(&world, &context, id, 0, &["same"]);
    let within = commit(&world, &context, id, 1, &["within"]);
    let next = commit(&world, &context, id, 2, &["three"]);
    let neighbour = commit(&world, &context, Uuid::now_v7(), 0, &["good"]);
    gate.open().await;
    assert_eq!(answer(one).await.expect("events"), 2);
    assert!(matches!(answer(same).await, Err(AggregateError::AggregateConflict)));
    assert!(matches!(answer(within).await, Err(AggregateError::AggregateConflict)));
    assert_eq!(answer(next).await.expect("an event"), 1);
    all_stored(vec![neighbour]).await;
    all_stored(first).await;
    assert_eq!(read(&world.store, &context, id).await.expect("a note").lines, ["one", "two", "three"]);
    world.drain().await;
    assert_eq!(verify(&world).await, 6);
}

#[tokio::test]
async fn one_key_in_the_queue_twice_is_stored_once() {
    let world = World::new().await;
    let context = keyed(organization(), "k", 1);
    let (gate, first) = Gate::close(&world).await;
    let asked: Vec<_> = (0..5).map(|_| commit(&world, &context, Uuid::now_v7(), 0, &["once"])).collect();
    gate.open().await;
    let mut stored = 0;
    for asked in asked {
        match answer(asked).await {
            Ok(count) => stored += count,
            lost => assert!(matches!(cause::<AppendError, _>(lost), AppendError::KeyTaken)),
        }
    }
    assert_eq!(stored, 1);
    all_stored(first).await;
    assert!(world.store.answered(&context).await.expect("an answer").is_some());
}

#[tokio::test]
async fn a_caller_that_goes_away_harms_nobody() {
    let world = World::new().await;
    let owner = organization();
    let (gate, mut first) = Gate::close(&world).await;
    let ids: Vec<Uuid> = (0..30).map(|_| Uuid::now_v7()).collect();
    let mut kept = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let asked = commit(&world, &context(owner), *id, 0, &["a"]);
        if index % 2 == 0 {
            tokio::task::yield_now().await;
            asked.abort();
        } else {
            kept.push(asked);
        }
    }
    // One is on its way to the database already.
    let gone = first.remove(0);
    gone.abort();
    assert!(gone.await.is_err());
    gate.open().await;
    all_stored(kept).await;
    all_stored(first).await;
    // Their streams are as free as any.
    for id in ids {
        timeout(PATIENCE, add(&world.store, &context(owner), id, vec![written("b")]))
            .await
            .expect("an answer")
            .expect("an event");
    }
    // The one that was on its way was stored, those that waited were not.
    world.drain().await;
    assert_eq!(verify(&world).await, 2 + 15 + 30);
}

#[tokio::test]
async fn a_lost_connection_is_told_and_never_tried_again_blindly() {
    let world = World::new().await;
    let (gate, first) = Gate::close(&world).await;
    let together: Vec<_> =
        (0..10).map(|_| commit(&world, &context(organization()), Uuid::now_v7(), 0, &["together"])).collect();
    let terminate = format!("select count(*) from (select pg_terminate_backend(pid) {WAITING}) ended");
    assert_eq!(world.count(&terminate).await, 2);
    // The ten are next, and meet the same fate together.
    while world.count(&format!("select count(*) {WAITING}")).await != 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.count(&terminate).await, 1);
    for asked in first.into_iter().chain(together) {
        let error = cause::<AppendError, _>(answer(asked).await);
        assert!(matches!(error, AppendError::Database(_)), "{error:?}");
    }
    let later = (0..10).map(|_| commit(&world, &context(organization()), Uuid::now_v7(), 0, &["later"])).collect();
    gate.open().await;
    all_stored(later).await;
    world.drain().await;
    assert_eq!(verify(&world).await, 10);
}

#[tokio::test]
async fn everybody_is_answered_when_the_database_is_closed() {
    let world = World::new().await;
    let (gate, first) = Gate::close(&world).await;
    let waiting: Vec<_> =
        (0..200).map(|_| commit(&world, &context(organization()), Uuid::now_v7(), 0, &["a"])).collect();
    tokio::task::yield_now().await;
    let database = world.database.clone();
    let closing = tokio::spawn(async move { database.close().await });
    tokio::task::yield_now().await;
    gate.open().await;
    let mut stored = 0;
    for asked in first.into_iter().chain(waiting) {
        match answer(asked).await {
            Ok(count) => stored += count,
            refused => assert!(matches!(cause::<AppendError, _>(refused), AppendError::Database(_))),
        }
    }
    timeout(PATIENCE, closing).await.expect("an end").expect("no panic");
    let late = commit(&world, &context(organization()), Uuid::now_v7(), 0, &["late"]);
    assert!(answer(late).await.is_err());
    let stored = i64::try_from(stored).expect("a number");
    assert_eq!(world.count("select count(*) from log.events").await, stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_writers_on_a_few_streams_leave_every_stream_in_order() {
    let world = World::new().await;
    let owner = organization();
    let streams: Vec<Uuid> = (0..8).map(|_| Uuid::now_v7()).collect();
    let mut writers = JoinSet::new();
    for writer in 0..64 {
        let (store, id) = (world.store.clone(), streams[writer % streams.len()]);
        writers.spawn(async move {
            for command in 0..3 {
                let context = keyed(owner, &format!("{writer} {command}"), 1);
                let lines = vec![written(format!("{writer} {command} a")), written(format!("{writer} {command} b"))];
                while let Err(error) = add(&store, &context, id, lines.clone()).await {
                    assert!(matches!(error, AggregateError::AggregateConflict), "{error}");
                }
            }
        });
    }
    timeout(PATIENCE * 3, writers.join_all()).await.expect("an end");
    world.drain().await;
    assert_eq!(verify(&world).await, 64 * 3 * 2);
    for id in streams {
        let lines = read(&world.store, &context(owner), id).await.expect("a note").lines;
        assert_eq!(lines.len(), 8 * 3 * 2);
        for pair in lines.chunks(2) {
            assert_eq!(pair[0].replace(" a", " b"), pair[1]);
        }
    }
}
