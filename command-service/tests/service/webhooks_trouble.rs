//! Webhooks out while something changes under them: outages, replays, other addresses, other wishes.

use std::time::Duration;

use chrono::TimeDelta;
use command_service::Courier;
use domain::webhook::Situation;
use event_store::transaction;
use events::{WebhookId, webhook::DisabledBecause};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};
use uuid::Uuid;

use crate::{
    receiver::{Got, Receiver},
    webhooks::{ROUNDS, labels},
    world::{UNIT, World},
};

/// For what must happen and may take its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A courier at work, until it is dropped.
pub struct Running {
    task: JoinHandle<()>,
    _stop: watch::Sender<bool>,
    _head: watch::Sender<i64>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn run(courier: Courier) -> Running {
    let ((stop, told), (follows, head)) = (watch::channel(false), watch::channel(0));
    Running { task: tokio::spawn(async move { courier.run(told, head).await }), _stop: stop, _head: follows }
}

pub async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

impl World {
    pub async fn relabel_another(&self, unit: Uuid, label: &str) {
        self.manage("RelabelUnit", json!({ "unit_id": unit, "label": label })).await;
        self.settle().await;
    }

    pub async fn change(&self, webhook: WebhookId, mut fields: serde_json::Value) {
        fields["webhook_id"] = json!(webhook);
        self.manage("ChangeWebhook", fields).await;
    }

    /// Whoever was sending has died long ago.
    pub async fn forget_leases(&self) {
        self.sql("update engine.webhook_endpoints set lease_until = '-infinity'").await;
    }
}

pub fn of(label: &str) -> impl Fn(&Got) -> bool + Send + 'static + use<> {
    let label = label.to_owned();
    move |got| got.event["data"]["label"] == label.as_str()
}

#[tokio::test]
async fn an_arrival_from_before_an_outage_makes_it_no_event_s_own_fault() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let other = world.add_units(1).await[0];
    world.deliver().await;
    // It goes down: one is refused, one that was under way is taken, and then nothing is.
    receiver.answer(|got| if of("A")(got) { (503, "") } else { (200, "") });
    world.relabel("A").await;
    world.deliver().await;
    world.advance(TimeDelta::seconds(1)).await;
    world.relabel_another(other, "B").await;
    world.deliver().await;
    assert_eq!(labels(&receiver.taken()).last().map(String::as_str), Some("B"));
    receiver.answer(|_| (503, ""));
    for seconds in &ROUNDS[1..] {
        world.advance(TimeDelta::seconds(*seconds)).await;
        world.deliver().await;
    }
    let situation = world.situation(webhook).await;
    assert!(matches!(situation, Situation::Disabled(DisabledBecause::LongFailure { .. })), "{situation:?}");
    world.settle().await;
    receiver.answer(|_| (200, ""));
    world.about("EnableWebhook", webhook).await;
    world.deliver().await;
    assert_eq!(labels(&receiver.taken()).last().map(String::as_str), Some("A"), "nothing is lost");
}

#[tokio::test]
async fn a_replay_while_an_event_is_under_way_sends_all_of_it_again_and_in_order() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    world.relabel("1").await;
    world.deliver().await;
    let from = receiver.got()[0].position();
    receiver.forget();
    receiver.hold(of("2"));
    world.relabel("2").await;
    world.relabel("3").await;
    let _running = run(world.courier());
    until("it is under way", async || receiver.held().len() == 1).await;
    world.manage("ReplayWebhook", json!({ "webhook_id": webhook, "from": from })).await;
    world.settle().await;
    until("it is taken in again", async || world.waiting().await == 3).await;
    receiver.hold(|_| false);
    until("everything arrives", async || world.waiting().await == 0).await;
    assert_eq!(labels(&receiver.got()), ["2", "1", "2", "3"]);
}

#[tokio::test]
async fn what_the_former_address_answers_disables_nothing() {
    let (world, former, receiver) = (World::new().await, Receiver::start().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&former.url, &["unit.*"], false, None).await;
    former.hold(|_| true);
    former.answer(|_| (410, "gone"));
    world.relabel("1").await;
    let _running = run(world.courier());
    until("it is under way", async || former.held().len() == 1).await;
    world.change(webhook, json!({ "url": receiver.url })).await;
    world.settle().await;
    former.hold(|_| false);
    until("it arrives where it is sent now", async || world.waiting().await == 0).await;
    assert_eq!(labels(&receiver.got()), ["1"]);
    assert_eq!(world.situation(webhook).await, Situation::Enabled);
    assert_eq!(world.outcomes().await.first(), Some(&("failed".to_owned(), Some(410), 1)));
    assert_eq!(world.outcomes().await.last(), Some(&("delivered".to_owned(), Some(200), 1)));
}

#[tokio::test]
async fn what_was_answered_before_it_was_enabled_again_disables_nothing() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.hold(|_| true);
    let mut answers = vec![(200, ""), (410, "gone")];
    receiver.answer(move |_| answers.pop().unwrap_or((200, "")));
    world.relabel("1").await;
    let _running = run(world.courier());
    until("it is under way", async || receiver.held().len() == 1).await;
    world.about("DisableWebhook", webhook).await;
    world.about("EnableWebhook", webhook).await;
    receiver.hold(|_| false);
    until("it arrives", async || world.waiting().await == 0).await;
    assert_eq!(receiver.got().iter().map(|got| got.status).collect::<Vec<_>>(), [410, 200]);
    assert_eq!(world.situation(webhook).await, Situation::Enabled);
}

#[tokio::test]
async fn a_corrected_address_is_tried_at_once_and_with_all_attempts() {
    let (world, former, receiver) = (World::new().await, Receiver::start().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&former.url, &["unit.*"], false, None).await;
    former.answer(|_| (404, ""));
    world.relabel("1").await;
    for seconds in &ROUNDS[..4] {
        world.advance(TimeDelta::seconds(*seconds)).await;
        assert_eq!(world.deliver().await, 1);
    }
    world.change(webhook, json!({ "description": "Accounting" })).await;
    world.settle().await;
    assert_eq!(world.deliver().await, 0, "it waits for its time");
    world.change(webhook, json!({ "url": receiver.url })).await;
    world.settle().await;
    assert_eq!(world.deliver().await, 1);
    assert_eq!(labels(&receiver.got()), ["1"]);
    assert_eq!(world.outcomes().await.last(), Some(&("delivered".to_owned(), Some(200), 1)));
}

/// Stops whoever sends where it has loaded the webhook and looks for what is due; meanwhile something changes.
async fn while_it_looks(world: &World, change: impl AsyncFnOnce()) -> usize {
    let mut lock = transaction::begin(world.pool()).await.expect("a transaction");
    sqlx::query("lock table engine.webhook_deliveries in access exclusive mode")
        .execute(&mut *lock)
        .await
        .expect("a lock");
    let courier = world.courier();
    let looking = tokio::spawn(async move { courier.drain().await.expect("deliveries") });
    let blocked =
        "select count(*) from pg_locks where not granted and relation = 'engine.webhook_deliveries'::regclass";
    until("it looks", async || world.count(blocked).await > 0).await;
    change().await;
    lock.commit().await.expect("an end");
    looking.await.expect("an end")
}

#[tokio::test]
async fn a_change_counts_for_everything_that_follows_its_answer() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.added"], false, None).await;
    world.add_units(1).await;
    while_it_looks(&world, async || {
        world.change(webhook, json!({ "types": ["unit.added", "unit.relabelled"] })).await;
        world.manage("RelabelUnit", json!({ "unit_id": UNIT, "label": "wanted" })).await;
        world.sequence().await;
    })
    .await;
    assert!(labels(&receiver.got()).contains(&"wanted".to_owned()), "{:?}", receiver.got());
}

#[tokio::test]
async fn what_is_wanted_again_is_not_dropped_by_an_older_word() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.answer(|_| (500, ""));
    world.relabel("1").await;
    world.deliver().await;
    world.change(webhook, json!({ "types": ["unit.added"] })).await;
    world.advance(TimeDelta::seconds(6)).await;
    receiver.answer(|_| (200, ""));
    while_it_looks(&world, async || world.change(webhook, json!({ "types": ["unit.*"] })).await).await;
    assert_eq!(labels(&receiver.taken()), ["1"]);
    // And what is not wanted any more is dropped.
    receiver.answer(|_| (500, ""));
    world.relabel("2").await;
    world.deliver().await;
    world.change(webhook, json!({ "types": ["unit.added"] })).await;
    world.advance(TimeDelta::seconds(6)).await;
    world.deliver().await;
    assert_eq!((receiver.got().len(), world.waiting().await), (3, 0));
}
