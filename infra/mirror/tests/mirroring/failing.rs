//! The server fails before and after it stored, falls silent, is cut off, goes away; the mirror dies in between.

use std::time::Duration;

use kurrent_double::{Double, Fault};
use uuid::Uuid;

use crate::world::{Working, World, until};

/// Thirty events in nine streams of three organizations, mixed.
async fn some_events(world: &World) {
    let organizations = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    for round in 0..10 {
        for (index, organization) in organizations.into_iter().enumerate() {
            let version = i64::from(round / 3) + 1;
            let id = ids[(usize::try_from(round).expect("a number") + index) % 3];
            // Each stream has its turn every third round.
            world.append(organization, "invoice", id, version, &[&format!("note {round}")]).await;
        }
    }
}

#[tokio::test]
async fn whatever_fails_before_or_after_storing_everything_arrives_once() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    some_events(&world).await;
    double.fail([
        Fault::After,
        Fault::Before,
        Fault::Late(Duration::from_millis(50)),
        Fault::CutAfter,
        Fault::After,
        Fault::CutBefore,
        Fault::After,
    ]);
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    working.stop().await;
    assert_eq!(double.outstanding_faults(), 0);
    world.assert_mirrored(&double).await;
}

#[tokio::test]
async fn a_mirror_that_dies_before_it_has_noted_what_arrived_repeats_it_without_harm() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, id) = (Uuid::now_v7(), Uuid::now_v7());
    world.append(organization, "invoice", id, 1, &["one", "two"]).await;
    double.fail([Fault::SilentAfter]);
    let working = Working::start(world.mirror("kurrentdb", &double));
    until("both are stored", async || double.all().len() == 2).await;
    working.kill(&world).await;
    assert_eq!(world.standing("kurrentdb").await.map(|standing| standing.lag), Some(2), "not acknowledged, not noted");
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    working.stop().await;
    world.assert_mirrored(&double).await;
}

#[tokio::test]
async fn what_arrived_in_part_is_completed() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, id) = (Uuid::now_v7(), Uuid::now_v7());
    world.append(organization, "invoice", id, 1, &["one", "two"]).await;
    double.fail([Fault::SilentAfter]);
    let working = Working::start(world.mirror("kurrentdb", &double));
    until("both are stored", async || double.all().len() == 2).await;
    working.kill(&world).await;
    // Now three events go together, of which the server has two: it refuses them as a whole.
    world.append(organization, "invoice", id, 3, &["three"]).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    working.stop().await;
    world.assert_mirrored(&double).await;
}

#[tokio::test]
async fn while_the_server_is_away_the_lag_grows_and_afterwards_it_is_made_up_for() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, id) = (Uuid::now_v7(), Uuid::now_v7());
    world.append(organization, "invoice", id, 1, &["one"]).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    double.down();
    world.append(organization, "invoice", id, 2, &["two", "three"]).await;
    let standing = world.standing("kurrentdb").await.expect("a standing");
    assert_eq!((standing.lag, standing.stopped), (2, None));
    double.up();
    world.caught_up("kurrentdb").await;
    // And away again, for good: who is told to stop stops.
    double.down();
    world.append(organization, "invoice", id, 4, &["four"]).await;
    working.stop().await;
    assert_eq!(world.standing("kurrentdb").await.map(|standing| standing.lag), Some(1));
}

#[tokio::test]
async fn a_server_that_is_not_there_at_the_start_is_waited_for() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    double.down();
    world.append(Uuid::now_v7(), "invoice", Uuid::now_v7(), 1, &["one"]).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    until("the mirror has begun", async || world.standing("kurrentdb").await.is_some_and(|standing| standing.lag == 1))
        .await;
    double.up();
    world.caught_up("kurrentdb").await;
    working.stop().await;
    world.assert_mirrored(&double).await;
}
