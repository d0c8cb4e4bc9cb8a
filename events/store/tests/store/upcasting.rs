//! Rows of an earlier shape.

use std::sync::Arc;

use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use event_store::{Store, Subscription};
use events::{Purpose, Sealed};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    note::{NoteEvent, add, read, read_in_company, written},
    world::{World, context, organization},
};

/// `Scribbled` 1 with `body` became `Written` 1 with the same, and that `Written` 2 with `text`.
struct Renamed;
struct Reshaped;

impl EventUpcaster for Renamed {
    fn can_upcast(&self, event_type: &str, _: &str) -> bool {
        event_type == "Scribbled"
    }

    fn upcast(&self, mut event: SerializedEvent) -> SerializedEvent {
        event.event_type = "Written".into();
        event.payload = json!({ "Written": event.payload["Scribbled"] });
        event
    }
}

impl EventUpcaster for Reshaped {
    fn can_upcast(&self, event_type: &str, event_version: &str) -> bool {
        (event_type, event_version) == ("Written", "1")
    }

    fn upcast(&self, mut event: SerializedEvent) -> SerializedEvent {
        // Sealed fields are open by now.
        let text = event.payload.pointer("/Written/body/$clear/value").cloned().unwrap_or("erased".into());
        event.event_version = "2".into();
        event.payload = json!({ "Written": { "text": text } });
        event
    }
}

#[tokio::test]
async fn an_old_row_reads_as_todays_event() {
    let mut world = World::new().await;
    let store = Store::new(world.pool().clone(), world.store.keyring().clone(), world.positions.clone());
    world.store = Arc::new(store.with_upcasters(vec![Box::new(Renamed), Box::new(Reshaped)]));
    let context = context(organization());
    let (id, subject) = (Uuid::now_v7(), Uuid::now_v7());
    let body = serde_json::to_value(Sealed::new(subject, Purpose::Message, "old".to_owned())).expect("a value");
    let mut payload = json!({ "Scribbled": { "body": body } });
    world.store.keyring().seal(context.metadata.organization, &mut payload).await.expect("a sealed value");
    sqlx::query(
        "with old as (insert into log.events values ($1, 'note', $2, $1::text || '/' || $2, 1, 'Scribbled', '1', $3::json, $4::json, now()))
         insert into log.pending (organization_id, aggregate_type, aggregate_id, sequence) values ($1, 'note', $2, 1)",
    )
    .bind(context.metadata.organization.0)
    .bind(id.to_string())
    .bind(payload.to_string())
    .bind(serde_json::to_string(&context.metadata).expect("metadata"))
    .execute(world.pool())
    .await
    .expect("an old row");
    add(&world.store, &context, id, vec![written("new")]).await.expect("an event");
    world.drain().await;

    assert_eq!(read(&world.store, &context, id).await.expect("a note").lines, ["old", "new"]);
    for note in read_in_company(&world.store, &context, id).await {
        assert_eq!(note.lines, ["old", "new"]);
    }
    let subscription = Subscription::new("reader", world.store.clone());
    let events = subscription.page(0, 10).await.expect("a page").events;
    assert_eq!(events[0].event_type, "Written");
    assert_eq!(events[0].event::<NoteEvent>().expect("an event"), Some(written("old")));
    assert_eq!(events[1].event::<NoteEvent>().expect("an event"), Some(written("new")));

    let purposes = [Purpose::Message];
    world.store.keyring().destroy(context.metadata.organization, subject, &purposes).await.expect("an erasure");
    assert_eq!(read(&world.store, &context, id).await.expect("a note").lines, ["erased", "new"]);
    let page = subscription.page(0, 10).await.expect("a page");
    assert_eq!(page.events[0].payload.pointer("/Written/text"), Some(&Value::from("erased")));
}
