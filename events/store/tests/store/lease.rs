//! Leases: one holder, handed over.

use std::time::{Duration, Instant};

use event_store::lease::{Lease, TERM};
use uuid::Uuid;

use crate::world::World;

#[tokio::test]
async fn a_second_holder_waits_for_the_term() {
    let world = World::new().await;
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    let since = Instant::now();
    let held = Lease::acquire(world.pool(), "work", first).await.expect("an answer").expect("a lease");
    assert!(Lease::acquire(world.pool(), "work", second).await.expect("an answer").is_none());
    assert!(Lease::acquire(world.pool(), "other work", second).await.expect("an answer").is_some());
    while Lease::acquire(world.pool(), "work", second).await.expect("an answer").is_none() {
        assert!(since.elapsed() < TERM * 2);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(since.elapsed() >= TERM);
    let mut connection = world.pool().acquire().await.expect("a connection");
    assert!(!held.guard(&mut connection).await.expect("an answer"));
    assert!(Lease::acquire(world.pool(), "work", first).await.expect("an answer").is_none());
}

#[tokio::test]
async fn a_released_lease_is_free_at_once_and_only_its_holder_can_release_it() {
    let world = World::new().await;
    let acquire = async || Lease::acquire(world.pool(), "work", Uuid::now_v7()).await.expect("an answer");
    let old = acquire().await.expect("a lease");
    old.release(world.pool()).await.expect("a release");
    let new = acquire().await.expect("a free lease");
    old.release(world.pool()).await.expect("no release");
    assert!(acquire().await.is_none());
    let mut connection = world.pool().acquire().await.expect("a connection");
    assert!(new.guard(&mut connection).await.expect("an answer"));
    assert!(!old.guard(&mut connection).await.expect("an answer"));
}

#[tokio::test]
async fn renewing_keeps_the_fence() {
    let world = World::new().await;
    let holder = Uuid::now_v7();
    let lease = Lease::acquire(world.pool(), "work", holder).await.expect("an answer").expect("a lease");
    let renewed = Lease::acquire(world.pool(), "work", holder).await.expect("an answer").expect("a lease");
    let mut connection = world.pool().acquire().await.expect("a connection");
    assert!(lease.guard(&mut connection).await.expect("an answer"));
    assert!(renewed.guard(&mut connection).await.expect("an answer"));
}
