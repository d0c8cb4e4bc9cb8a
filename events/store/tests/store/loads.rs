//! Streams that are read together: each caller gets its own, whole and fresh.

use cqrs_es::EventStore;
use event_store::store::LoadError;
use events::Purpose;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    note::{Note, add, cause, read, read_in_company, signed, written},
    world::{World, context, organization},
};

#[tokio::test]
async fn each_caller_gets_its_own_stream_in_order() {
    let world = World::new().await;
    let owner = organization();
    let other = organization();
    let mut expected = Vec::new();
    for number in 0..40 {
        let id = Uuid::now_v7();
        let lines: Vec<String> = (0..number * 3).map(|line| format!("{number} {line} \u{0} \"ü\"")).collect();
        if !lines.is_empty() {
            add(&world.store, &context(owner), id, lines.iter().map(written).collect()).await.expect("events");
        }
        // The same id elsewhere is another stream.
        add(&world.store, &context(other), id, vec![written("theirs")]).await.expect("an event");
        expected.push((id, lines));
    }
    let mut readers = JoinSet::new();
    for (id, lines) in expected.iter().chain(&expected) {
        let (store, id, lines) = (world.store.clone(), *id, lines.clone());
        readers.spawn(async move {
            assert_eq!(read(&store, &context(owner), id).await.expect("a note").lines, lines);
            assert_eq!(read(&store, &context(other), id).await.expect("a note").lines, ["theirs"]);
        });
    }
    assert_eq!(readers.join_all().await.len(), 80);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_written_reads_it_at_once() {
    let world = World::new().await;
    let mut callers = JoinSet::new();
    for _ in 0..64 {
        let (store, context, id) = (world.store.clone(), context(organization()), Uuid::now_v7());
        callers.spawn(async move {
            for version in 1..=10 {
                add(&store, &context, id, vec![written(version.to_string())]).await.expect("an event");
                assert_eq!(read(&store, &context, id).await.expect("a note").lines.len(), version);
            }
        });
    }
    assert_eq!(callers.join_all().await.len(), 64);
}

#[tokio::test]
async fn what_cannot_be_read_fails_its_caller_alone() {
    let world = World::new().await;
    let context = context(organization());
    let id = Uuid::now_v7();
    add(&world.store, &context, id, vec![written("a")]).await.expect("an event");
    let mut readers = JoinSet::new();
    for number in 0..30 {
        let (store, context) = (world.store.clone(), context.clone());
        readers.spawn(async move {
            if number % 10 == 5 {
                let refused = EventStore::<Note>::load_aggregate(&store.scoped(&context), "\u{0}").await;
                assert!(matches!(cause::<LoadError, _>(refused), LoadError::Read(_)));
            } else {
                assert_eq!(read(&store, &context, id).await.expect("a note").lines, ["a"]);
            }
        });
    }
    assert_eq!(readers.join_all().await.len(), 30);
}

#[tokio::test]
async fn a_reader_that_goes_away_harms_nobody() {
    let world = World::new().await;
    let context = context(organization());
    let id = Uuid::now_v7();
    add(&world.store, &context, id, vec![written("a")]).await.expect("an event");
    for _ in 0..10 {
        let mut readers = Vec::new();
        for number in 0..20 {
            let (store, context) = (world.store.clone(), context.clone());
            let reader = tokio::spawn(async move { read(&store, &context, id).await.map(|note| note.lines.len()) });
            readers.push((number, reader));
        }
        tokio::task::yield_now().await;
        for (number, reader) in &readers {
            if number % 3 == 0 {
                reader.abort();
            }
        }
        for (number, reader) in readers {
            if number % 3 != 0 {
                assert_eq!(reader.await.expect("no panic").expect("a note"), 1);
            }
        }
    }
}

#[tokio::test]
async fn personal_fields_are_opened_in_company_as_they_are_alone() {
    let world = World::new().await;
    let context = context(organization());
    let (id, subject) = (Uuid::now_v7(), Uuid::now_v7());
    let events = vec![written("plain"), signed(subject, Purpose::Contact, "Okafor"), written("$sealed")];
    add(&world.store, &context, id, events).await.expect("events");
    let alone = read(&world.store, &context, id).await.expect("a note");
    assert_eq!(alone.signatures, [Some("Okafor".to_owned())]);
    assert!(read_in_company(&world.store, &context, id).await.iter().all(|note| *note == alone));
    world.store.keyring().destroy(context.metadata.organization, subject, &[Purpose::Contact]).await.expect("erasure");
    assert!(
        read_in_company(&world.store, &context, id)
            .await
            .iter()
            .all(|note| note.signatures == [None] && note.lines == alone.lines)
    );
}
