//! What arrives: everything, once, in order, apart by organization.

use kurrent_double::Double;
use mirror::{organization_prefix, stream_name};
use serde_json::Value;
use uuid::Uuid;

use crate::world::{Working, World};

#[tokio::test]
async fn every_event_arrives_once_in_order_with_what_is_known_about_it() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, invoice, unit) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    world.append(organization, "invoice", invoice, 1, &["one", "two"]).await;
    world.append(organization, "unit", unit, 1, &["three"]).await;
    world.append(organization, "invoice", invoice, 3, &["four"]).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    // What comes later arrives too.
    world.append(organization, "access-token", unit, 1, &["five"]).await;
    world.caught_up("kurrentdb").await;
    working.stop().await;
    world.assert_mirrored(&double).await;

    let all = double.all();
    let (stream, event) = &all[3];
    assert_eq!(*stream, stream_name(organization, "invoice", &invoice.to_string()));
    assert_eq!((&*event.kind["type"], &*event.kind["content-type"]), ("NoteWritten", "application/json"));
    let metadata: Value = serde_json::from_slice(&event.metadata).expect("metadata is JSON");
    assert_eq!(metadata["position"], 4);
    assert_eq!(metadata["version"], 3);
    assert_eq!(metadata["organization"], organization.to_string());
    assert_eq!(metadata["$correlationId"], Uuid::from_u128(0xc0).to_string());
    assert_eq!(metadata["$causationId"], "invoice/cause/1");
    assert!(!String::from_utf8_lossy(&event.metadata).contains("global"), "positions of all organizations stay inside");
    assert!(all[4].0.contains(".access_token-"));
}

#[tokio::test]
async fn organizations_stay_apart_even_with_the_same_ids() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (one, other, id) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    for version in 1..=3 {
        world.append(one, "invoice", id, version, &["ours"]).await;
        world.append(other, "invoice", id, version, &["theirs"]).await;
    }
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    working.stop().await;
    world.assert_mirrored(&double).await;
    for (organization, text) in [(one, "ours"), (other, "theirs")] {
        let streams = double.streams();
        let of: Vec<_> =
            streams.iter().filter(|(name, _)| name.starts_with(&organization_prefix(organization))).collect();
        assert_eq!(of.len(), 1);
        assert!(of[0].1.iter().all(|event| String::from_utf8_lossy(&event.data).contains(text)));
    }
}

#[tokio::test]
async fn consecutive_events_of_a_stream_travel_together() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let texts: Vec<String> = (0..450).map(|number| format!("note {number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    world.append(Uuid::now_v7(), "invoice", Uuid::now_v7(), 1, &texts).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    working.stop().await;
    world.assert_mirrored(&double).await;
    assert_eq!(double.appends(), 3, "450 events in batches of 200");
}

/// The server takes a megabyte at once.
#[tokio::test]
async fn large_events_travel_in_several_appends() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let text = "x".repeat(300_000);
    world.append(Uuid::now_v7(), "invoice", Uuid::now_v7(), 1, &[text.as_str(); 5]).await;
    let working = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    working.stop().await;
    world.assert_mirrored(&double).await;
    assert_eq!(double.appends(), 5);
}

#[tokio::test]
async fn two_mirrors_take_turns() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, id) = (Uuid::now_v7(), Uuid::now_v7());
    world.append(organization, "invoice", id, 1, &["one"]).await;
    let first = Working::start(world.mirror("kurrentdb", &double));
    world.caught_up("kurrentdb").await;
    let second = Working::start(world.mirror("kurrentdb", &double));
    world.append(organization, "invoice", id, 2, &["two"]).await;
    world.caught_up("kurrentdb").await;
    first.stop().await;
    world.append(organization, "invoice", id, 3, &["three"]).await;
    world.caught_up("kurrentdb").await;
    second.stop().await;
    world.assert_mirrored(&double).await;
    assert_eq!(double.appends(), 3, "nothing was sent by both");
}

#[tokio::test]
async fn two_mirrors_that_both_work_do_no_harm() {
    let (world, double) = (World::new().await, Double::start().expect("a double"));
    let (organization, ids) = (Uuid::now_v7(), [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()]);
    for version in 1..=20 {
        for id in ids {
            world.append(organization, "invoice", id, version, &["a note"]).await;
        }
    }
    // Under different names both lead.
    let both = ["here", "there"].map(|name| Working::start(world.mirror(name, &double)));
    world.caught_up("here").await;
    world.caught_up("there").await;
    for working in both {
        working.stop().await;
    }
    assert!(double.appends() > 60, "both sent");
    let log = world.log().await;
    assert_eq!(double.all().len(), log.len());
    assert!(double.streams().values().all(|events| events.len() == 20));
}
