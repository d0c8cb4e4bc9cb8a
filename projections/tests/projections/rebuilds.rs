//! What a rebuild must leave as it was.

use std::time::Duration;

use events::{EmailMessageEvent, ResidentEvent, SmsConsentEvent, TextMessageEvent};
use projections::{Freshness, generation, position, rebuild::rebuild, status};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    story::{Story, start},
    world::{World, find},
};

async fn rebuild_all(world: &World) {
    for model in projections::models() {
        rebuild(&world.store, model.as_ref(), &mut |_| {}).await.expect("a rebuild");
    }
}

#[tokio::test]
async fn a_rebuild_equals_what_the_projector_made_byte_for_byte() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    world.drain().await;
    story.goes_on(&mut world).await;
    // Event by event, so that every row is written and read back many times.
    world.order().await;
    let subscription = event_store::Subscription::new("read", world.store.clone());
    world.projector.step(&subscription).await.expect("a step");
    world.drain().await;
    let live = world.dumps().await;
    for (model, rows) in &live {
        assert!(rows.len() > 2, "{model} has no rows");
    }
    rebuild_all(&world).await;
    assert_eq!(world.dumps().await, live);
    assert!(
        status::status(world.pool()).await.expect("an answer").iter().all(|model| {
            model.generation == Some(2) && model.lag == 0 && !model.outdated && model.stalled.is_empty()
        })
    );
}

#[tokio::test]
async fn erasure_empties_live_rows_and_a_rebuild_agrees() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let bill = story.publishes(&mut world, 0, 22_500, "2026-01-31").await;
    let mail = story.writes(&mut world, 0, bill).await;
    story.bounces(&mut world, 0, mail).await;
    story.opens_form(&mut world, 0, bill, 22_500, 0).await;
    let autopay = story.enrolls(&mut world, 0).await;
    story.charges(&mut world, 0, autopay, bill, 22_500).await;
    world.drain().await;
    let before = world.dumps().await;
    let shows = |dumps: &[(&str, String)], text: &str| dumps.iter().any(|(_, rows)| rows.contains(text));
    for personal in ["Zoë", "zoe", "resident0@example.com", "resident@example.com", "pi_secret", "seti_secret", "pm_1"]
    {
        assert!(shows(&before, personal), "{personal} is not there to begin with");
    }
    story.erases(&mut world, 0).await;
    world.drain().await;
    let live = world.dumps().await;
    for personal in
        ["Zoë", "zoe", "lvarez", "resident0@example.com", "resident@example.com", "pi_secret", "seti_secret", "pm_1"]
    {
        assert!(!shows(&live, personal), "{personal} is still there");
    }
    assert!(shows(&live, "Okafor"), "the neighbour stays");
    rebuild_all(&world).await;
    assert_eq!(world.dumps().await, live);
}

/// What an erased resident's rows still have.
async fn left(world: &World, story: &Story, evidence_gone: bool) -> Vec<String> {
    let resident = story.residents[0];
    let found = projections::leftovers::of(world.pool(), story.organization.0, resident, evidence_gone).await;
    found.expect("an answer").into_iter().map(|left| format!("{} {}", left.place, left.what)).collect()
}

#[tokio::test]
async fn what_comes_after_an_erasure_is_emptied_as_well_wherever_a_page_ends() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let (resident, own) = (story.residents[0], story.organization);
    let bill = story.publishes(&mut world, 0, 22_500, "2026-01-31").await;
    let (bounced, failed) = (story.writes(&mut world, 0, bill).await, story.writes(&mut world, 0, bill).await);
    let text = story.texts(&mut world, 0, bill).await;
    story.pays_by_hand(&mut world, 0, bill, (500, 22_000), "2026-01-05", start()).await;
    let payment = story.opens_form(&mut world, 0, bill, 22_000, 0).await;
    world.drain().await;
    story.erases(&mut world, 0).await;
    world.drain().await;
    assert_eq!(left(&world, &story, false).await, Vec::<String>::new());

    // A charge that was under way ends, an e-mail comes back, another is given up, and so is a text; the last two in one page.
    story.succeeds(&mut world, 0, bill, payment, (22_000, 0)).await;
    world.drain().await;
    story.bounces(&mut world, 0, bounced).await;
    world.drain().await;
    let given_up = json!({ "EmailFailed": { "reason": "no mailbox resident@example.com" } });
    story.tell::<EmailMessageEvent>(&mut world, failed, start(), given_up).await;
    let given_up = json!({ "TextFailed": { "code": null, "reason": "ResidentErased before it was handed over" } });
    story.tell::<TextMessageEvent>(&mut world, text, start(), given_up).await;
    world.drain().await;
    assert_eq!(left(&world, &story, false).await, Vec::<String>::new());
    let paid = world.row("payment", payment).await.expect("a payment");
    assert_eq!((&paid["phase"], &paid["method"]), (&json!("Succeeded"), &json!("Card")), "what is no person's stays");
    let live = world.dumps().await;
    rebuild_all(&world).await;
    assert_eq!(world.dumps().await, live);

    // With the evidence go the hashes of the number, those of a late word as well.
    let key = Uuid::new_v5(&own.0, b"+13125550143").to_string();
    let shows = |dumps: &[(&str, String)]| dumps.iter().filter(|(_, rows)| rows.contains(&key)).count();
    assert!(shows(&live) > 1, "the evidence is kept");
    let ended = json!({ "ResidentErased": { "purposes": ["consent"], "retained": [] } });
    story.tell::<ResidentEvent>(&mut world, resident, start(), ended).await;
    world.drain().await;
    let late = json!({ "InboundReceived": {
        "resident_id": resident, "inbound_id": Uuid::now_v7(), "number": { "$erased": true }, "number_key": key,
        "body": { "$erased": true }, "reading": "Stop", "provider_id": "SM9", "answered_by_provider": false,
        "received_at": start(),
    } });
    story.tell::<SmsConsentEvent>(&mut world, Uuid::new_v5(&resident, b"sms-consent"), start(), late).await;
    world.drain().await;
    assert_eq!(left(&world, &story, true).await, Vec::<String>::new());
    let live = world.dumps().await;
    assert_eq!(shows(&live), 0, "a number's hash outlives its evidence");
    rebuild_all(&world).await;
    assert_eq!(world.dumps().await, live);
    assert_eq!(world.stalled().await, []);
}

#[tokio::test]
async fn the_projector_works_on_while_a_model_is_rebuilt() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    world.order().await;
    let (stop, stopped) = watch::channel(false);
    let working = projections::Projector::new(world.store.clone());
    let worker = tokio::spawn(async move { working.run(stopped).await });
    let log = world.store.clone();
    let rebuilding = tokio::spawn(async move {
        for _ in 0..5 {
            for name in ["invoice", "stream_event", "payment"] {
                rebuild(&log, find(name).as_ref(), &mut |_| {}).await.expect("a rebuild");
            }
        }
    });
    for _ in 0..10 {
        story.goes_on(&mut world).await;
        world.order().await;
    }
    rebuilding.await.expect("rebuilds");
    let head = {
        let mut tenant = world.tenant(story.organization).await;
        position::freshness(story.organization, &mut tenant).await.expect("an answer").head
    };
    let patience = Duration::from_secs(20);
    let reached =
        position::wait_for(&world.database.query, story.organization, head, patience).await.expect("an answer");
    assert_eq!(reached, Freshness { as_of: head, head, incarnation: 1 });
    let none = position::wait_for(&world.database.query, story.organization, head + 1, Duration::ZERO).await;
    assert_eq!(none.expect("an answer").as_of, head);
    stop.send(true).expect("a listening worker");
    worker.await.expect("a worker");
    let live = world.dumps().await;
    rebuild_all(&world).await;
    assert_eq!(world.dumps().await, live);
    assert_eq!(world.stalled().await, []);
}

#[tokio::test]
async fn of_two_rebuilds_the_newer_one_stays() {
    use projections::generation::{create, live, swap};
    let world = World::new().await;
    let model = find("unit");
    let older = create(world.pool(), model.as_ref()).await.expect("a generation");
    let newer = create(world.pool(), model.as_ref()).await.expect("a generation");
    assert!(swap(world.pool(), &newer, async |_| Ok(())).await.expect("an answer"));
    assert!(!swap(world.pool(), &older, async |_| Ok(())).await.expect("an answer"));
    assert_eq!(live(world.pool(), "unit").await.expect("an answer").map(|(live, _)| live), Some(newer));
}

/// Otherwise a reader would see less than a moment before.
#[tokio::test]
async fn the_live_generation_stands_still_until_its_successor_is_as_far() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    world.drain().await;
    let shape = find("invoice");
    let next = generation::create(world.pool(), shape.as_ref()).await.expect("a generation");
    let (live, _) = generation::live(world.pool(), "invoice").await.expect("an answer").expect("a live generation");
    let place = "select global_position from engine.checkpoints where subscriber = $1";
    let reached: i64 =
        sqlx::query_scalar(place).bind(live.subscriber()).fetch_one(world.pool()).await.expect("a position");
    story.publishes(&mut world, 0, 22_500, "2026-01-31").await;
    world.order().await;
    let subscription = event_store::Subscription::new("read", world.store.clone());
    let swapped = generation::swap(world.pool(), &next, async |wanted| {
        assert_eq!(wanted, reached, "what readers have seen");
        let step = world.projector.step(&subscription);
        assert!(tokio::time::timeout(Duration::from_millis(300), step).await.is_err(), "the live one went on");
        Ok(())
    });
    assert!(swapped.await.expect("a swap"));
}

/// Otherwise a reader would be told of news that its transaction does not see.
#[tokio::test]
async fn what_others_found_out_later_says_nothing_about_an_older_transaction() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    world.drain().await;
    let watermark = position::Watermark::remembering();
    let reached = watermark.reached();
    let mut older = world.tenant(story.organization).await;
    let seen = watermark.freshness(story.organization, reached, &mut older).await.expect("an answer");
    assert_eq!(seen.as_of, seen.head);

    story.goes_on(&mut world).await;
    world.order().await;
    let behind = watermark.reached();
    let mut lagging = world.tenant(story.organization).await;
    let lag = watermark.freshness(story.organization, behind, &mut lagging).await.expect("an answer");
    assert!(lag.as_of == seen.as_of && lag.head > lag.as_of, "{lag:?} after {seen:?}");

    world.drain().await;
    let mut newer = world.tenant(story.organization).await;
    let fresh = watermark.freshness(story.organization, watermark.reached(), &mut newer).await.expect("an answer");
    assert_eq!(fresh.as_of, lag.head);
    assert!(watermark.reached() != behind, "nothing was learned");
    // What is recent is not so for long, and on a busy machine it may be over before somebody asks.
    loop {
        assert_eq!(watermark.freshness(story.organization, behind, &mut lagging).await.expect("an answer"), lag);
        if let Some(told) = watermark.recent(story.organization) {
            assert_eq!(told, fresh, "nobody is told less than the one before");
            break;
        }
        let again = watermark.freshness(story.organization, watermark.reached(), &mut newer).await;
        assert_eq!(again.expect("an answer"), fresh);
    }
    // The next one need not look again, and is told the same.
    let mut next = world.tenant(story.organization).await;
    assert_eq!(
        watermark.freshness(story.organization, watermark.reached(), &mut next).await.expect("an answer"),
        fresh
    );
}
