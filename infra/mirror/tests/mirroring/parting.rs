//! When the log and the other database have parted, the mirror stops loudly and writes nothing more there.

use std::collections::HashMap;

use kurrent_double::{Double, Event};
use mirror::{Divergence, MirrorError, stream_name};
use sqlx::Executor;
use uuid::Uuid;

use crate::world::{Working, World};

fn foreign() -> Event {
    Event {
        id: Uuid::now_v7(),
        kind: HashMap::from([("type".into(), "Foreign".into()), ("content-type".into(), "application/json".into())]),
        metadata: Vec::new(),
        data: b"{}".to_vec(),
    }
}

#[tokio::test]
async fn somebody_elses_event_in_a_stream_stops_it_loudly() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, id) = (Uuid::now_v7(), Uuid::now_v7());
    let stream = stream_name(organization, "invoice", &id.to_string());
    world.append(organization, "invoice", id, 1, &["one"]).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    let written = foreign();
    double.write(&stream, written.clone());
    world.append(organization, "invoice", id, 2, &["two"]).await;
    let error = working.end().await;
    let MirrorError::Diverged(Divergence::Foreign { stream: named, revision, found, .. }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!((named, *revision, *found), (&stream, 1, written.id));
    let standing = world.standing("kurrentdb").await.expect("a standing");
    assert_eq!(standing.lag, 1, "what was not mirrored counts");
    assert!(standing.stopped.is_some_and(|reason| reason.contains(&stream)));
    assert_eq!(double.streams()[&stream].len(), 2);
    // Nor does another start pass over it.
    assert!(matches!(Working::start(world.mirror("kurrentdb", &double)).end().await, MirrorError::Diverged(_)));
    // Once the foreign event is gone, it goes on.
    double.truncate(&stream, 1);
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    working.stop().await;
    assert_eq!(world.standing("kurrentdb").await.and_then(|standing| standing.stopped), None);
    world.assert_mirrored(&double).await;
}

#[tokio::test]
async fn events_that_vanished_over_there_stop_it_loudly() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, id) = (Uuid::now_v7(), Uuid::now_v7());
    let stream = stream_name(organization, "invoice", &id.to_string());
    world.append(organization, "invoice", id, 1, &["one", "two"]).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    double.truncate(&stream, 1);
    world.append(organization, "invoice", id, 3, &["three"]).await;
    let error = working.end().await;
    assert!(matches!(error, MirrorError::Diverged(Divergence::Missing { revision: 2, .. })), "{error:?}");
    assert_eq!(double.streams()[&stream].len(), 1, "no gap is written over");
}

#[tokio::test]
async fn another_history_under_the_same_names_stops_it_loudly() {
    let double = Double::start().expect("a double");
    let (organization, id) = (Uuid::now_v7(), Uuid::now_v7());
    let world = World::new().await;
    world.append(organization, "invoice", id, 1, &["as it was"]).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    working.stop().await;
    // The same organization, stream and version, but something else was said.
    let restored = World::new().await;
    restored.append(organization, "invoice", id, 1, &["as it is told now"]).await;
    let error = Working::start(restored.mirror("kurrentdb", &double)).end().await;
    assert!(matches!(error, MirrorError::Diverged(Divergence::Foreign { revision: 0, .. })), "{error:?}");
}

#[tokio::test]
async fn nothing_is_mirrored_of_a_restored_log_that_nobody_has_accepted() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, id) = (Uuid::now_v7(), Uuid::now_v7());
    world.append(organization, "invoice", id, 1, &["one"]).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    let mut superuser = world.superuser().await;
    superuser.execute("update engine.installation set quarantined_since = now()").await.expect("a quarantine");
    world.append(organization, "invoice", id, 2, &["two"]).await;
    // Another mirror finds it so at its start; it waits, and ends when told.
    working.stop().await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    superuser
        .execute("update engine.installation set quarantined_since = null, incarnation = incarnation + 1")
        .await
        .expect("an acceptance");
    assert!(matches!(working.end().await, MirrorError::Restored(_)));
    assert_eq!(double.all().len(), 1, "what was written in the meantime was not sent");
}

#[tokio::test]
async fn a_restored_log_is_not_mirrored_on() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, id) = (Uuid::now_v7(), Uuid::now_v7());
    world.append(organization, "invoice", id, 1, &["one", "two"]).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    let mut superuser = world.superuser().await;
    // A restore was accepted while it worked.
    superuser.execute("update engine.installation set incarnation = incarnation + 1").await.expect("a new incarnation");
    world.append(organization, "invoice", id, 3, &["three"]).await;
    let error = working.end().await;
    assert_eq!(double.all().len(), 2, "what the new history says was not sent");
    assert!(matches!(error, MirrorError::Restored(_)), "{error:?}");
    assert!(error.explain().contains("incarnation 1, the log of 2"), "{}", error.explain());
    // A log that is shorter than what was acknowledged.
    superuser
        .execute("update engine.mirrors set incarnation = 2, global_position = 1000")
        .await
        .expect("a place beyond the end");
    let error = Working::start(world.mirror("kurrentdb", &double)).end().await;
    assert!(error.explain().contains("ends at 3"), "{}", error.explain());
}
