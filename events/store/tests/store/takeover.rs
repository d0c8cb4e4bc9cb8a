//! Leaders that die, hang or come late.

use std::time::{Duration, Instant};

use event_store::lease::{Lease, TERM};
use sqlx::Executor;
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use crate::{
    note::{add, written},
    sequencer::verify,
    world::{World, context, organization},
};

async fn lease(world: &World) -> Option<Lease> {
    Lease::acquire(world.pool(), "sequencer", Uuid::now_v7()).await.expect("an answer")
}

async fn append(world: &World, count: usize) {
    let context = context(organization());
    for _ in 0..count {
        add(&world.store, &context, Uuid::now_v7(), vec![written("a"), written("b")]).await.expect("events");
    }
}

/// A connection whose lock stops a leader in the middle of its transaction.
async fn stop_at_the_head(world: &World) -> sqlx::PgConnection {
    let mut connection = world.superuser().await;
    connection.execute("begin; select from log.head for update").await.expect("a lock");
    connection
}

/// Until somebody waits for a lock on this relation.
async fn until_waiting(world: &World) {
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while world.count(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_fenced_out_leader_writes_nothing() {
    let world = World::new().await;
    let old = lease(&world).await.expect("a lease");
    append(&world, 1).await;
    world.expire_leases().await;
    let new = lease(&world).await.expect("a lease");
    let sequencer = world.sequencer();
    assert_eq!(sequencer.step(&old).await.expect("a step"), None);
    assert_eq!(world.count("select global_position from log.head").await, 0);
    assert_eq!(world.count("select count(*) from log.pending").await, 2);
    assert_eq!(sequencer.step(&new).await.expect("a step"), Some(2));
    assert_eq!(verify(&world).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_cannot_be_stolen_or_renewed_between_guard_and_commit_but_nobody_deadlocks() {
    let world = World::new().await;
    let holder = Uuid::now_v7();
    let old = Lease::acquire(world.pool(), "sequencer", holder).await.expect("an answer").expect("a lease");
    append(&world, 1).await;
    let mut lock = stop_at_the_head(&world).await;
    world.expire_leases().await;
    let sequencer = world.sequencer();
    let step = tokio::spawn(async move { sequencer.step(&old).await });
    until_waiting(&world).await;
    let pool = world.pool().clone();
    let renewal = tokio::spawn(async move { Lease::acquire(&pool, "sequencer", holder).await });
    let pool = world.pool().clone();
    let theft = tokio::spawn(async move { Lease::acquire(&pool, "sequencer", Uuid::now_v7()).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waited = !theft.is_finished() && !renewal.is_finished();
    lock.execute("commit").await.expect("a commit");
    assert!(waited);
    let step = timeout(TERM, step).await.expect("no deadlock").expect("a result");
    assert_eq!(step.expect("a step"), Some(2));
    let renewal = renewal.await.expect("a result").expect("an answer");
    let theft = theft.await.expect("a result").expect("an answer");
    assert!(renewal.is_some() != theft.is_some());
    assert_eq!(verify(&world).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_the_leader_dies_in_the_middle() {
    let world = World::new().await;
    append(&world, 3).await;
    let mut lock = stop_at_the_head(&world).await;
    let (_stop, stopped) = watch::channel(false);
    let sequencer = world.sequencer();
    let leader = tokio::spawn({
        let stopped = stopped.clone();
        async move { sequencer.run(stopped).await }
    });
    until_waiting(&world).await;
    leader.abort();
    assert!(leader.await.is_err());
    let died = Instant::now();
    lock.execute("commit").await.expect("a commit");

    let standby = world.neighbour().await;
    let sequencer = standby.sequencer();
    let standby_leads = tokio::spawn(async move { sequencer.run(stopped).await });
    append(&world, 2).await;
    let mut head = standby.positions.head();
    timeout(TERM * 2, head.wait_for(|head| *head == 10)).await.expect("a takeover").expect("a head");
    assert!(died.elapsed() < TERM * 2);
    standby_leads.abort();
    assert_eq!(verify(&world).await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_aborted_at_any_moment_leave_a_whole_log() {
    let world = World::new().await;
    let writers = tokio::spawn({
        let (store, context) = (world.store.clone(), context(organization()));
        async move {
            for _ in 0..60 {
                add(&store, &context, Uuid::now_v7(), vec![written("a"), written("b")]).await.expect("events");
            }
        }
    });
    let (_stop, stopped) = watch::channel(false);
    for moment in 0..20 {
        let (sequencer, stopped) = (world.sequencer(), stopped.clone());
        let leader = tokio::spawn(async move { sequencer.run(stopped).await });
        tokio::time::sleep(Duration::from_millis(3 + moment)).await;
        leader.abort();
        world.expire_leases().await;
    }
    writers.await.expect("written events");
    world.expire_leases().await;
    world.drain().await;
    assert_eq!(verify(&world).await, 120);
}

#[tokio::test]
async fn a_stopped_leader_hands_over_at_once() {
    let world = World::new().await;
    append(&world, 1).await;
    let (stop, stopped) = watch::channel(false);
    let sequencer = world.sequencer();
    let leader = tokio::spawn(async move { sequencer.run(stopped).await });
    let mut head = world.positions.head();
    timeout(TERM, head.wait_for(|head| *head == 2)).await.expect("a leader").expect("a head");
    assert!(lease(&world).await.is_none());
    stop.send_replace(true);
    timeout(TERM, leader).await.expect("an end").expect("a result");
    assert!(lease(&world).await.is_some());
}

#[tokio::test]
async fn a_leader_whose_owner_is_gone_stops() {
    let world = World::new().await;
    let (stop, stopped) = watch::channel(false);
    let sequencer = world.sequencer();
    let leader = tokio::spawn(async move { sequencer.run(stopped).await });
    drop(stop);
    timeout(TERM, leader).await.expect("an end").expect("a result");
    assert!(lease(&world).await.is_some());
}
