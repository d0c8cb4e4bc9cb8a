//! An event that cannot be handled holds up its own key, and nothing else.

use events::{InvoiceEvent, text};
use projections::{rebuild::rebuild, status};
use serde_json::json;

use crate::{
    story::{Story, start},
    world::{World, find},
};

#[tokio::test]
async fn a_poisoned_event_stalls_its_key_and_later_events_of_the_key_wait() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let own = story.organization;
    let poisoned = story.publishes(&mut world, 0, 5_000, "2026-01-31").await;
    let sound = story.publishes(&mut world, 1, 6_000, "2026-01-31").await;
    let broken = json!({ "InvoiceEdited": { "title": 7 } });
    world.add_raw(own, "invoice", poisoned, start(), "InvoiceEdited", broken).await;
    let void = || InvoiceEvent::InvoiceVoided { reason: text::Title::parse("an error").expect("a reason") };
    world.add(own, poisoned, start(), void()).await;
    world.add(own, sound, start(), void()).await;
    world.drain().await;
    // Later pages wait as well.
    world.add(own, poisoned, start(), void()).await;
    world.drain().await;
    assert_eq!(world.row("invoice", sound).await.expect("a row")["phase"], "Void");
    let waiting = world.row("invoice", poisoned).await.expect("a row");
    assert_eq!((&waiting["phase"], &waiting["version"]), (&json!("Published"), &json!(2)));
    // In the ledger too, which keeps something of each stream under a key of its own.
    let kept = uuid::Uuid::new_v5(&poisoned, b"ledger/invoice").to_string();
    let held_up = [("invoice".to_owned(), poisoned.to_string()), ("ledger".to_owned(), kept)];
    assert_eq!(world.stalled().await, held_up);
    let states = status::status(world.pool()).await.expect("an answer");
    let invoices = states.iter().find(|model| model.name == "invoice").expect("the model");
    assert_eq!((invoices.stalled.len(), invoices.lag), (1, 0));
    // A rebuild by the same code comes to the same end.
    let live = world.dumps().await;
    for name in ["invoice", "ledger"] {
        rebuild(&world.store, find(name).as_ref(), &mut |_| {}).await.expect("a rebuild");
    }
    assert_eq!(world.dumps().await, live);
    assert_eq!(world.stalled().await, held_up);
}

#[tokio::test]
async fn an_event_whose_row_cannot_be_told_holds_up_its_stream() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let broken = json!({ "ResidentMovedIn": { "unit_id": "nowhere" } });
    let zoe = story.residents[0];
    world.add_raw(story.organization, "resident", zoe, start(), "ResidentMovedIn", broken).await;
    story.moves_in(&mut world, zoe, story.units[2]).await;
    story.moves_in(&mut world, story.residents[1], story.units[2]).await;
    world.drain().await;
    let stay = |resident: uuid::Uuid| uuid::Uuid::new_v5(&resident, story.units[2].as_bytes());
    assert_eq!(world.row("residency", stay(zoe)).await, None);
    assert!(world.row("residency", stay(story.residents[1])).await.is_some());
}

#[tokio::test]
async fn a_row_that_the_database_refuses_stalls_its_key_alone() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let bill = story.drafts(&mut world, 0, 5_000, "2026-01-31").await;
    let job = story.runs_job(&mut world, &[bill]).await;
    let item = uuid::Uuid::now_v7();
    // PostgreSQL's text holds no NUL.
    let refused = json!({ "JobProgressed": {
        "results": [{ "item": item, "refusal": "a\u{0}b" }], "done": 2, "total": 2,
    } });
    world.add_raw(story.organization, "job", job, start(), "JobProgressed", refused).await;
    story.publishes(&mut world, 1, 6_000, "2026-01-31").await;
    world.drain().await;
    let key = uuid::Uuid::new_v5(&job, item.as_bytes());
    assert_eq!(world.stalled().await, [("job_item".to_owned(), key.to_string())]);
    assert_eq!(world.row("job", job).await.expect("a row")["done"], 2);
}
