//! Personal fields at rest, and after erasure.

use event_store::{Keyring, MasterKey, Subscription, keyring::KeyError};
use events::{OrganizationId, Purpose};
use serde_json::Value;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    note::{NoteEvent, add, read, signed, written},
    world::{World, context, master_key, organization},
};

const NAME: &str = "Ifeoma Okafor";

async fn texts(world: &World) -> Vec<String> {
    sqlx::query_scalar("select payload::text || metadata::text from log.events order by recorded_at, sequence")
        .fetch_all(&mut world.superuser().await)
        .await
        .expect("texts")
}

fn name(found: &str) -> Vec<Option<String>> {
    vec![Some(found.to_owned())]
}

#[tokio::test]
async fn personal_fields_are_stored_sealed_and_read_clear() {
    let world = World::new().await;
    let context = context(organization());
    let id = Uuid::now_v7();
    add(&world.store, &context, id, vec![signed(Uuid::now_v7(), Purpose::Contact, NAME)]).await.expect("an event");
    let stored = texts(&world).await;
    assert!(stored[0].contains("$sealed") && !stored[0].contains("$clear") && !stored[0].contains("Okafor"));
    assert_eq!(read(&world.store, &context, id).await.expect("a note").signatures, name(NAME));
    // Another process has nothing in its cache.
    assert_eq!(read(&world.neighbour().await.store, &context, id).await.expect("a note").signatures, name(NAME));
}

#[tokio::test]
async fn the_clients_address_is_sealed_under_its_stream() {
    let world = World::new().await;
    let mut context = context(organization());
    context.metadata.client_address = Some("192.0.2.77".into());
    let id = Uuid::now_v7();
    add(&world.store, &context, id, vec![written("a")]).await.expect("an event");
    assert!(!texts(&world).await[0].contains("192.0.2.77"));
    world.drain().await;
    let page = Subscription::new("reader", world.store.clone()).page(0, 1).await.expect("a page");
    let sealed = page.events[0].metadata.client_address.clone().expect("an address");
    let mut value: Value = serde_json::from_str(&sealed).expect("a sealed field");
    let organization = context.metadata.organization;
    world.store.keyring().open_all(&mut [(organization, &mut value)]).await.expect("an answer");
    assert_eq!(value.pointer("/$clear/value"), Some(&Value::from("192.0.2.77")));
    assert_eq!(value.pointer("/$clear/subject"), Some(&Value::from(id.to_string())));
}

#[tokio::test]
async fn what_one_organization_sealed_another_cannot_open() {
    let world = World::new().await;
    let (ours, theirs) = (context(organization()), context(organization()));
    let (subject, id, copy) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    add(&world.store, &theirs, id, vec![signed(subject, Purpose::Contact, NAME)]).await.expect("an event");
    // Our organization has a key for the same subject and purpose.
    add(&world.store, &ours, Uuid::now_v7(), vec![signed(subject, Purpose::Contact, NAME)]).await.expect("an event");
    sqlx::query(
        "insert into log.events select $1, aggregate_type, $2, $1::text || '/' || $2, sequence, event_type, event_version, payload, $3::json,
             recorded_at from log.events where aggregate_id = $4",
    )
    .bind(ours.metadata.organization.0)
    .bind(copy.to_string())
    .bind(serde_json::to_string(&ours.metadata).expect("metadata"))
    .bind(id.to_string())
    .execute(world.pool())
    .await
    .expect("a copied row");
    assert_eq!(read(&world.store, &ours, copy).await.expect("a note").signatures, [None]);
    assert_eq!(read(&world.store, &theirs, id).await.expect("a note").signatures, name(NAME));
}

#[tokio::test]
async fn after_erasure_nothing_opens_and_nothing_new_is_kept() {
    let world = World::new().await;
    let context = context(organization());
    let organization = context.metadata.organization;
    let (erased, kept, id) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let events = vec![
        signed(erased, Purpose::Contact, NAME),
        signed(erased, Purpose::Finance, "finance"),
        signed(kept, Purpose::Contact, "kept"),
    ];
    add(&world.store, &context, id, events).await.expect("events");
    assert_eq!(read(&world.store, &context, id).await.expect("a note").signatures.len(), 3);
    world.drain().await;

    let purposes = [Purpose::Contact, Purpose::Message];
    for _ in 0..2 {
        world.store.keyring().destroy(organization, erased, &purposes).await.expect("an erasure");
    }
    let left = [None, Some("finance".to_owned()), Some("kept".to_owned())];
    let neighbour = world.neighbour().await;
    for world in [&world, &neighbour] {
        assert_eq!(read(&world.store, &context, id).await.expect("a note").signatures, left);
        let page = Subscription::new("reader", world.store.clone()).page(0, 1).await.expect("a page");
        let event = page.events[0].event::<NoteEvent>().expect("an event");
        assert_eq!(event, Some(NoteEvent::Signed { by: events::Sealed::Erased }));
    }
    assert_eq!(world.count("select count(*) from vault.data_keys where wrapped is null").await, 2);

    // Contact had a key; for messages none was ever made.
    let late = Uuid::now_v7();
    let events = vec![signed(erased, Purpose::Contact, NAME), signed(erased, Purpose::Message, NAME)];
    add(&neighbour.store, &context, late, events).await.expect("events");
    let stored: Vec<String> = sqlx::query_scalar("select payload::text from log.events where aggregate_id = $1")
        .bind(late.to_string())
        .fetch_all(&mut world.superuser().await)
        .await
        .expect("texts");
    assert_eq!(stored, [r#"{"Signed":{"by":{"$erased":true}}}"#; 2]);
}

#[tokio::test]
async fn erasure_in_one_organization_leaves_the_same_subject_in_another() {
    let world = World::new().await;
    let (ours, theirs) = (context(organization()), context(organization()));
    let (subject, id) = (Uuid::now_v7(), Uuid::now_v7());
    add(&world.store, &theirs, id, vec![signed(subject, Purpose::Contact, NAME)]).await.expect("an event");
    let keyring = world.store.keyring();
    keyring.destroy(ours.metadata.organization, subject, &Purpose::ALL).await.expect("an erasure");
    assert_eq!(read(&world.store, &theirs, id).await.expect("a note").signatures, name(NAME));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_first_uses_agree_on_one_key() {
    let world = World::new().await;
    let neighbour = world.neighbour().await;
    let (context, subject) = (context(organization()), Uuid::now_v7());
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let store = if writer % 2 == 0 { world.store.clone() } else { neighbour.store.clone() };
        let context = context.clone();
        writers.spawn(async move {
            let id = Uuid::now_v7();
            add(&store, &context, id, vec![signed(subject, Purpose::Contact, NAME)]).await.expect("an event");
            id
        });
    }
    let fresh = world.neighbour().await;
    for id in writers.join_all().await {
        assert_eq!(read(&fresh.store, &context, id).await.expect("a note").signatures, name(NAME));
    }
    assert_eq!(world.count("select count(*) from vault.data_keys").await, 1);
}

#[tokio::test]
async fn another_master_key_is_refused_at_the_start() {
    let world = World::new().await;
    assert!(Keyring::open(world.pool().clone(), master_key(1)).await.is_ok());
    let other: MasterKey = master_key(2);
    let (ours, theirs) = (other.id().to_owned(), master_key(1).id().to_owned());
    match Keyring::open(world.pool().clone(), other).await {
        Err(KeyError::WrongMasterKey { ours: found, theirs: expected }) => {
            assert_eq!((found, expected), (ours, theirs));
        }
        found => panic!("{found:?}"),
    }
}

#[tokio::test]
async fn digests_are_equal_within_an_organization_only() {
    let world = World::new().await;
    let keyring = world.store.keyring();
    let (one, two) = (organization(), OrganizationId(Uuid::now_v7()));
    assert_eq!(keyring.digest(one, "a@example.com"), keyring.digest(one, "a@example.com"));
    assert_ne!(keyring.digest(one, "a@example.com"), keyring.digest(two, "a@example.com"));
    assert_ne!(keyring.digest(one, "a@example.com"), keyring.digest(one, "b@example.com"));
    let sealed = keyring.seal_raw("webhook", b"body").expect("sealed bytes");
    assert_eq!(keyring.open_raw("webhook", &sealed).await.expect("a body"), b"body");
    assert!(keyring.open_raw("other", &sealed).await.is_err());
    assert!(keyring.open_raw("webhook", &sealed[..5]).await.is_err());
}
