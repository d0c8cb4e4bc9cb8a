//! Keys of callers: stored with the events or not at all.

use std::collections::HashMap;

use cqrs_es::EventStore;
use event_store::{AppendError, Appended, Stored, idempotency::forget_old};
use serde_json::Value;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    note::{Note, add, cause, written},
    world::{World, keyed, organization},
};

#[tokio::test]
async fn the_answer_is_stored_with_the_events_and_given_again() {
    let world = World::new().await;
    let organization = organization();
    let context = keyed(organization, "k", 1);
    let id = Uuid::now_v7();
    assert_eq!(world.store.answered(&context).await.expect("an answer"), None);
    add(&world.store, &context, id, vec![written("a"), written("b")]).await.expect("events");

    let Some(Stored::Answer(answer)) = world.store.answered(&context).await.expect("an answer") else {
        panic!("no answer");
    };
    let names = vec!["Written".to_owned(), "Written".to_owned()];
    let expected = Appended { stream: "note".into(), stream_id: id, version: 2, events: names };
    assert_eq!(serde_json::from_value::<Appended>(answer).expect("an answer"), expected);
    let other_body = keyed(organization, "k", 2);
    assert_eq!(world.store.answered(&other_body).await.expect("an answer"), Some(Stored::OtherBody));
    let mut other_actor = keyed(organization, "k", 1);
    other_actor.metadata.actor = "token:somebody".into();
    assert_eq!(world.store.answered(&other_actor).await.expect("an answer"), None);
    let other_organization = keyed(crate::world::organization(), "k", 1);
    assert_eq!(world.store.answered(&other_organization).await.expect("an answer"), None);
}

#[tokio::test]
async fn events_whose_key_is_taken_leave_nothing() {
    let world = World::new().await;
    let context = keyed(organization(), "k", 1);
    add(&world.store, &context, Uuid::now_v7(), vec![written("first")]).await.expect("an event");
    let result = add(&world.store, &context, Uuid::now_v7(), vec![written("second"), written("third")]).await;
    assert!(matches!(cause::<AppendError, _>(result), AppendError::KeyTaken));
    assert_eq!(world.count("select count(*) from log.events").await, 1);
    assert_eq!(world.count("select count(*) from log.pending").await, 1);
}

#[tokio::test]
async fn a_key_whose_events_conflict_is_not_kept() {
    let world = World::new().await;
    let context = keyed(organization(), "k", 1);
    let id = Uuid::now_v7();
    let scoped = world.store.scoped(&context);
    let late = EventStore::<Note>::load_aggregate(&scoped, &id.to_string()).await.expect("a note");
    let plain = crate::world::context(context.metadata.organization);
    add(&world.store, &plain, id, vec![written("first")]).await.expect("an event");
    assert!(scoped.commit(vec![written("late")], late, HashMap::new()).await.is_err());
    assert_eq!(world.store.answered(&context).await.expect("an answer"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_requests_with_one_key_one_is_stored() {
    let world = World::new().await;
    let context = keyed(organization(), "k", 1);
    let mut requests = JoinSet::new();
    for _ in 0..24 {
        let (store, context) = (world.store.clone(), context.clone());
        requests.spawn(async move { add(&store, &context, Uuid::now_v7(), vec![written("once")]).await });
    }
    let (stored, lost): (Vec<_>, Vec<_>) = requests.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(stored.len(), 1);
    for result in lost {
        assert!(matches!(cause::<AppendError, _>(result), AppendError::KeyTaken));
    }
    assert_eq!(world.count("select count(*) from log.events").await, 1);
}

#[tokio::test]
async fn an_answer_without_events_is_remembered_once() {
    let world = World::new().await;
    let context = keyed(organization(), "k", 1);
    let answer = |version| Appended { stream: "note".into(), stream_id: Uuid::nil(), version, events: vec![] };
    world.store.remember(&context, &answer(4)).await.expect("a record");
    world.store.remember(&context, &answer(5)).await.expect("no record");
    let stored = world.store.answered(&context).await.expect("an answer");
    assert!(matches!(stored, Some(Stored::Answer(Value::Object(answer))) if answer["version"] == 4));
}

#[tokio::test]
async fn keys_of_callers_are_forgotten_after_thirty_days_and_those_of_effects_never() {
    let world = World::new().await;
    let organization = organization();
    let mut permanent = keyed(organization, "effect", 1);
    permanent.idempotency.as_mut().expect("a key").permanent = true;
    let contexts = [keyed(organization, "old", 1), permanent, keyed(organization, "new", 1)];
    for (context, days) in contexts.iter().zip([31, 400, 29]) {
        add(&world.store, context, Uuid::now_v7(), vec![written("a")]).await.expect("an event");
        sqlx::query("update log.idempotency set created_at = now() - make_interval(days => $1) where key = $2")
            .bind(days)
            .bind(&context.idempotency.as_ref().expect("a key").key)
            .execute(&mut world.superuser().await)
            .await
            .expect("an older key");
    }
    assert_eq!(forget_old(world.pool()).await.expect("a number"), 1);
    assert_eq!(world.store.answered(&contexts[0]).await.expect("an answer"), None);
    assert!(world.store.answered(&contexts[1]).await.expect("an answer").is_some());
    assert!(world.store.answered(&contexts[2]).await.expect("an answer").is_some());
}
