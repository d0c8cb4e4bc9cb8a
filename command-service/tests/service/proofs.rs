//! The two proofs that every effect passes: each step repeated, and the worker killed at each point.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

use futures_util::{future::join_all, join};
use uuid::Uuid;

use crate::world::World;

type Event = (String, String, i64, String);

async fn everything(world: &World) -> (Vec<Event>, [usize; 6], usize, usize) {
    let events = sqlx::query_as(
        "select aggregate_type, aggregate_id, sequence, event_type from log.events
         order by aggregate_type, aggregate_id, sequence",
    )
    .fetch_all(world.pool())
    .await
    .expect("events");
    (events, world.stripe.counts(), world.mail.sent().len(), world.texts.sent().len())
}

/// Does every row of the outbox again: alone, once more, and by two workers at the same time.
pub async fn repeats_change_nothing(world: &World) {
    let before = everything(world).await;
    // As if the outcome had never been written; what a person or the clock has to decide stays.
    let undone =
        "update engine.outbox set state = 'ready', due_at = '-infinity', retry_at = '-infinity', holder = null,
                  lease_until = null where state in ('done', 'refused')";
    for _ in 0..2 {
        world.sql(undone).await;
        world.worker().drain().await.expect("work");
        assert_eq!(everything(world).await, before, "after a repetition");
    }
    world.sql(undone).await;
    let (one, other) = (world.worker(), world.worker());
    let first = one.claim(10_000).await.expect("claims");
    world.sql("update engine.outbox set lease_until = '-infinity' where holder is not null").await;
    let second = other.claim(10_000).await.expect("claims");
    assert_eq!(first.len(), second.len());
    assert!(!first.is_empty());
    for (first, second) in first.chunks(8).zip(second.chunks(8)) {
        join!(
            join_all(first.iter().map(|task| one.carry_out(task))),
            join_all(second.iter().map(|task| other.carry_out(task))),
        );
    }
    assert_eq!(everything(world).await, before, "after two workers at once");
    // Nor does anything follow from it.
    world.settle().await;
    assert_eq!(everything(world).await, before, "in the end");
}

/// Drops a future when it has been waiting for the nth time; whether it ended before.
pub async fn dies_at<F: Future>(future: F, nth: usize) -> bool {
    let mut future = pin!(future);
    let mut waits = 0;
    std::future::poll_fn(move |context: &mut Context<'_>| match future.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => {
            waits += 1;
            if waits < nth { Poll::Pending } else { Poll::Ready(false) }
        }
    })
    .await
}

/// Kills the worker at every point where it waits for anything, each time with a new subject; another one goes on.
/// Whoever prepares leaves the subject's row as the only thing to do.
pub async fn survives_death_at_every_point(world: &World, prepare: impl AsyncFn() -> Uuid, check: impl AsyncFn(Uuid)) {
    for nth in 1..500 {
        let subject = prepare().await;
        let ended = dies_at(world.worker().drain(), nth).await;
        world.settle_at_last().await;
        check(subject).await;
        if ended {
            assert!(nth > 4, "there were points to die at");
            return;
        }
    }
    panic!("the worker never came to an end");
}
