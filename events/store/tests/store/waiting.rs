//! Learning where an event ended up, in this process and in another.

use std::time::{Duration, Instant};

use event_store::positions::{Positions, lookup};
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use crate::{
    note::{add, written},
    world::{World, context, organization},
};

const PATIENCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_writer_learns_its_position_from_the_sequencer_of_its_process() {
    let world = World::new().await;
    let owner = organization();
    let (_stop, stopped) = watch::channel(false);
    let sequencer = world.sequencer();
    let leader = tokio::spawn(async move { sequencer.run(stopped).await });
    let context = context(owner);
    for expected in 1..=5 {
        let id = Uuid::now_v7();
        let waiter = world.positions.expect((owner, id, 1));
        add(&world.store, &context, id, vec![written("a")]).await.expect("an event");
        let position =
            world.positions.wait(world.pool(), "note", (owner, id, 1), waiter, PATIENCE).await.expect("an answer");
        assert_eq!(position, Some(expected));
    }
    leader.abort();
}

#[tokio::test]
async fn a_writer_learns_its_position_from_the_sequencer_of_another_process() {
    let world = World::new().await;
    let owner = organization();
    let neighbour = world.neighbour().await;
    let (_stop, stopped) = watch::channel(false);
    let sequencer = neighbour.sequencer();
    let leader = tokio::spawn(async move { sequencer.run(stopped).await });
    let id = Uuid::now_v7();
    let waiter = world.positions.expect((owner, id, 2));
    let events = vec![written("a"), written("b")];
    add(&world.store, &context(owner), id, events).await.expect("events");
    let position =
        world.positions.wait(world.pool(), "note", (owner, id, 2), waiter, PATIENCE).await.expect("an answer");
    assert_eq!(position, Some(2));
    leader.abort();
}

#[tokio::test]
async fn without_a_sequencer_patience_ends() {
    let world = World::new().await;
    let owner = organization();
    let id = Uuid::now_v7();
    add(&world.store, &context(owner), id, vec![written("a")]).await.expect("an event");
    let since = Instant::now();
    let waiter = world.positions.expect((owner, id, 1));
    let patience = Duration::from_millis(60);
    let position =
        world.positions.wait(world.pool(), "note", (owner, id, 1), waiter, patience).await.expect("an answer");
    assert_eq!(position, None);
    assert!(since.elapsed() >= patience && since.elapsed() < PATIENCE);
    assert_eq!(lookup(world.pool(), "note", (owner, id, 1)).await.expect("an answer"), None);
}

#[tokio::test]
async fn all_who_wait_for_one_place_are_answered() {
    let world = World::new().await;
    let owner = organization();
    let id = Uuid::now_v7();
    let waiters = [(); 3].map(|()| world.positions.expect((owner, id, 1)));
    add(&world.store, &context(owner), id, vec![written("a")]).await.expect("an event");
    world.drain().await;
    for waiter in waiters {
        let position =
            world.positions.wait(world.pool(), "note", (owner, id, 1), waiter, PATIENCE).await.expect("an answer");
        assert_eq!(position, Some(1));
    }
}

#[tokio::test]
async fn streams_of_two_types_with_one_id_are_not_confused() {
    let world = World::new().await;
    let owner = organization();
    let id = Uuid::now_v7();
    let waiter = world.positions.expect((owner, id, 1));
    add(&world.store, &context(owner), id, vec![written("a")]).await.expect("an event");
    world.drain().await;
    let patience = Duration::from_millis(60);
    let position =
        world.positions.wait(world.pool(), "letter", (owner, id, 1), waiter, patience).await.expect("an answer");
    assert_eq!(position, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_is_notified_of_growth() {
    let world = World::new().await;
    let owner = organization();
    let neighbour = world.neighbour().await;
    let follower = tokio::spawn({
        let (positions, pool): (Positions, _) = (neighbour.positions.clone(), neighbour.pool().clone());
        async move { positions.follow(&pool).await }
    });
    let mut head = neighbour.positions.head();
    let context = context(owner);
    let mut quickest = PATIENCE;
    // The first may be found by looking, when the follower begins.
    for expected in 1..=4 {
        add(&world.store, &context, Uuid::now_v7(), vec![written("a")]).await.expect("an event");
        world.drain().await;
        let since = Instant::now();
        timeout(PATIENCE, head.wait_for(|head| *head == expected)).await.expect("growth").expect("a head");
        if expected > 1 {
            quickest = quickest.min(since.elapsed());
        }
    }
    // Looking would have taken the rest of a second, each time.
    assert!(quickest < Duration::from_millis(400), "{quickest:?}");

    // The listening connection is lost: growth is noticed all the same.
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and query like 'LISTEN%'",
    )
    .execute(&mut world.superuser().await)
    .await
    .expect("an end");
    add(&world.store, &context, Uuid::now_v7(), vec![written("a")]).await.expect("an event");
    world.drain().await;
    timeout(PATIENCE * 2, head.wait_for(|head| *head == 5)).await.expect("growth").expect("a head");
    follower.abort();
}
