//! Reading the log in pages, and where a reader stands.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use event_store::{Subscription, transaction};
use events::Purpose;
use uuid::Uuid;

use crate::{
    note::{NoteEvent, add, signed, written},
    world::{World, context, organization},
};

async fn filled(count: usize) -> World {
    let world = World::new().await;
    let contexts = [context(organization()), context(organization())];
    for line in 0..count {
        let events = vec![written(line.to_string())];
        add(&world.store, &contexts[line % 2], Uuid::now_v7(), events).await.expect("an event");
    }
    world.drain().await;
    world
}

#[tokio::test]
async fn pages_follow_each_other_in_order() {
    let world = filled(7).await;
    let subscription = Subscription::new("reader", world.store.clone());
    let (mut after, mut lines, mut sizes) = (0, Vec::new(), Vec::new());
    loop {
        let page = subscription.page(after, 3).await.expect("a page");
        if page.events.is_empty() {
            assert_eq!(page.end, after);
            break;
        }
        sizes.push(page.events.len());
        for event in &page.events {
            after += 1;
            assert_eq!(event.global_position, after);
            assert_eq!(event.position, (after + 1) / 2);
            assert_eq!((event.stream.as_str(), event.version, event.event_type.as_str()), ("note", 1, "Written"));
            assert_eq!(event.organization, event.metadata.organization);
            assert_eq!(event.recorded_at.timestamp_micros(), 1_700_000_000_123_456);
            lines.extend(event.event::<NoteEvent>().expect("an event"));
        }
        assert_eq!(page.end, after);
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(lines, (0..7).map(|line| written(line.to_string())).collect::<Vec<_>>());
}

#[tokio::test]
async fn personal_fields_of_several_organizations_are_opened_in_one_page() {
    let world = World::new().await;
    let subject = Uuid::now_v7();
    let names = ["Amara", "Bela", "Chidi"];
    for name in names {
        let events = vec![signed(subject, Purpose::Contact, name)];
        add(&world.store, &context(organization()), Uuid::now_v7(), events).await.expect("an event");
    }
    world.drain().await;
    let reader = Subscription::new("reader", world.neighbour().await.store.clone());
    let events = reader.page(0, 10).await.expect("a page").events;
    let found: Vec<_> = events.iter().map(|event| event.event::<NoteEvent>().expect("an event")).collect();
    assert_eq!(found, names.map(|name| Some(signed(subject, Purpose::Contact, name))));
}

#[tokio::test]
async fn the_checkpoint_moves_with_the_readers_transaction() {
    let world = filled(3).await;
    let subscription = Subscription::new("reader", world.store.clone());
    assert_eq!(subscription.begin(0).await.expect("a start"), 0);
    for (commits, expected) in [(false, 0), (true, 3)] {
        let mut transaction = transaction::begin(world.pool()).await.expect("a transaction");
        assert_eq!(subscription.lock(&mut transaction).await.expect("an answer"), Some(0));
        subscription.advance(&mut transaction, 3).await.expect("an advance");
        if commits {
            transaction.commit().await.expect("a commit");
        } else {
            transaction.rollback().await.expect("a rollback");
        }
        assert_eq!(subscription.begin(0).await.expect("a start"), expected);
    }
}

#[tokio::test]
async fn the_start_is_written_once() {
    let world = filled(2).await;
    let subscription = Subscription::new("late", world.store.clone());
    let mut connection = world.pool().acquire().await.expect("a connection");
    assert_eq!(subscription.lock(&mut connection).await.expect("an answer"), None);
    assert_eq!(subscription.begin(2).await.expect("a start"), 2);
    assert_eq!(subscription.begin(9).await.expect("a start"), 2);
    let other = Subscription::new("other", world.store.clone());
    assert_eq!(other.begin(1).await.expect("a start"), 1);
}

#[tokio::test]
async fn a_second_runner_waits_for_the_first() {
    let world = filled(1).await;
    let subscription = Arc::new(Subscription::new("reader", world.store.clone()));
    subscription.begin(0).await.expect("a start");
    let mut first = transaction::begin(world.pool()).await.expect("a transaction");
    subscription.lock(&mut first).await.expect("a checkpoint");
    let second = tokio::spawn({
        let (subscription, pool) = (subscription.clone(), world.pool().clone());
        async move {
            let mut transaction = transaction::begin(&pool).await.expect("a transaction");
            subscription.lock(&mut transaction).await.expect("a checkpoint")
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!second.is_finished());
    subscription.advance(&mut first, 1).await.expect("an advance");
    first.commit().await.expect("a commit");
    assert_eq!(second.await.expect("a result"), Some(1));
}

#[tokio::test]
async fn a_waiting_reader_wakes_when_the_log_grows() {
    let world = filled(1).await;
    let mut subscription = Subscription::new("reader", world.store.clone());
    let since = Instant::now();
    subscription.wait_beyond(1, Duration::from_millis(40)).await;
    assert!(since.elapsed() >= Duration::from_millis(40));

    let waiting = tokio::spawn(async move {
        subscription.wait_beyond(1, Duration::from_secs(20)).await;
        subscription.page(1, 10).await.expect("a page").events.len()
    });
    add(&world.store, &context(organization()), Uuid::now_v7(), vec![written("a")]).await.expect("an event");
    world.drain().await;
    assert_eq!(waiting.await.expect("a result"), 1);
    assert!(since.elapsed() < Duration::from_secs(10));
}
