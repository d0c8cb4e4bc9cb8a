//! Webhooks out, against a receiver on a real socket: signed, in order, at least once, until it is hopeless.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{TimeDelta, Utc};
use command_service::{
    Courier, Fault,
    courier::{WINDOW, rows, secrets},
    quarantine,
};
use domain::{
    Webhook,
    webhook::{RegisterWebhook, RotateWebhookSecret, Situation},
};
use event_feed::{Reader, Wanted};
use events::{Language, Role, SecretId, WebhookId, webhook::DisabledBecause};
use integrations::{
    Secret, WebhookSender,
    outbound::{Lookup, Targets},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    proofs::dies_at,
    receiver::{Got, Receiver},
    world::{PROPERTY, UNIT, World},
};

pub const NOTICE: &str = "ops@example.com";
/// Past all pauses between attempts, the longest with its jitter.
pub const ROUNDS: [i64; 10] = [0, 6, 331, 1981, 7921, 19_801, 39_601, 55_441, 79_201, 95_041];

pub fn value<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(Value::from(text)).expect("a value")
}

impl World {
    pub fn reader(&self) -> Reader {
        Reader::new(self.database.query.clone(), "https://propty.example.org")
    }

    pub fn courier(&self) -> Courier {
        Courier::new(self.effects.clone(), self.reader())
    }

    /// A webhook and the secret that is shown once.
    pub async fn webhook(&self, url: &str, types: &[&str], property: bool, from: Option<i64>) -> (WebhookId, Secret) {
        let webhook_id = WebhookId(Uuid::now_v7());
        let (secret_id, secret) = secrets::make(self.store(), self.organization, webhook_id).await.expect("a secret");
        let command = RegisterWebhook {
            webhook_id,
            url: value(url),
            description: None,
            types: types.iter().map(|name| value(name)).collect(),
            property_id: property.then_some(PROPERTY),
            notice_email: value(NOTICE),
            language: Language::Fr,
            secret_id,
            from,
        };
        self.effects.engine.execute(command, &self.manager()).await.expect("a webhook");
        self.settle().await;
        (webhook_id, secret)
    }

    pub async fn about(&self, name: &str, webhook: WebhookId) {
        self.manage(name, json!({ "webhook_id": webhook })).await;
        self.settle().await;
    }

    /// Relabels the unit of the examples, and lets the log know.
    pub async fn relabel(&self, label: &str) {
        self.manage("RelabelUnit", json!({ "unit_id": UNIT, "label": label })).await;
        self.settle().await;
    }

    pub async fn add_units(&self, count: usize) -> Vec<Uuid> {
        let mut units = Vec::new();
        for number in 0..count {
            let unit = Uuid::now_v7();
            let body = json!({ "unit_id": unit, "property_id": PROPERTY, "label": format!("N{number}") });
            self.manage("AddUnit", body).await;
            units.push(unit);
        }
        self.settle().await;
        units
    }

    pub async fn deliver(&self) -> usize {
        self.courier().drain().await.expect("deliveries")
    }

    pub async fn waiting(&self) -> i64 {
        self.count("select count(*) from engine.webhook_deliveries").await
    }

    pub async fn outcomes(&self) -> Vec<(String, Option<i32>, i32)> {
        sqlx::query_as("select outcome, status, attempt from engine.webhook_attempts order by attempt_id")
            .fetch_all(self.pool())
            .await
            .expect("attempts")
    }

    pub async fn situation(&self, webhook: WebhookId) -> Situation {
        self.state::<Webhook>(webhook.0).await.situation
    }

    /// What a reader of the feed sees, byte by byte.
    async fn feed(&self) -> Vec<Vec<u8>> {
        let slice = self.reader().read(&Wanted::all(self.organization), 0, i64::MAX, 1000).await.expect("a slice");
        slice.shown.iter().map(|shown| shown.line.clone()).collect()
    }
}

pub fn labels(got: &[Got]) -> Vec<String> {
    got.iter().filter_map(|got| got.event["data"]["label"].as_str().map(ToOwned::to_owned)).collect()
}

/// Of every aggregate, in which order its events arrived.
pub fn by_aggregate(got: &[Got]) -> BTreeMap<String, Vec<i64>> {
    let mut found = BTreeMap::<String, Vec<i64>>::new();
    for one in got {
        found.entry(one.subject().to_owned()).or_default().push(one.position());
    }
    found
}

/// What is left when repetitions are dropped, as receivers drop them.
pub fn first_times(positions: &[i64]) -> Vec<i64> {
    let mut seen = Vec::new();
    for position in positions {
        if !seen.contains(position) {
            seen.push(*position);
        }
    }
    seen
}

#[tokio::test]
async fn what_follows_the_registration_arrives_signed_as_the_feed_shows_it() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (_, secret) = world.webhook(&receiver.url, &[], false, None).await;
    assert_eq!(world.deliver().await, 0, "what was before is not sent");
    for label in ["1A", "2B", "3C"] {
        world.relabel(label).await;
    }
    assert_eq!(world.deliver().await, 3);
    let got = receiver.got();
    assert_eq!(labels(&got), ["1A", "2B", "3C"]);
    let feed = world.feed().await;
    for one in &got {
        assert!(one.is_signed_by(secret.expose()), "{one:?}");
        assert!(!one.is_signed_by("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        assert!(feed.contains(&one.raw), "the feed shows the same bytes");
        assert_eq!(one.content_type, "application/cloudevents+json");
        let age = Utc::now().timestamp() - one.timestamp.parse::<i64>().expect("a time");
        assert!((0..60).contains(&age), "by the machine's clock");
    }
    assert_eq!(world.deliver().await, 0, "once");
    assert_eq!(world.waiting().await, 0);
    assert_eq!(world.outcomes().await, vec![("delivered".to_owned(), Some(200), 1); 3]);
    let secret = secret.expose();
    for table in ["log.events", "engine.webhook_attempts", "engine.outbox"] {
        let kept = world.count(&format!("select count(*) from {table} one where one::text like '%{secret}%'")).await;
        assert_eq!(kept, 0, "the secret is in {table}");
    }
    // Bytes are shown in hexadecimal, so they are looked through themselves.
    let bytes = format!("position(convert_to('{secret}', 'UTF8') in wrapped)");
    let kept = world.count(&format!("select count(*) from vault.webhook_secrets where {bytes} > 0")).await;
    assert_eq!(
        (kept, world.count("select count(*) from vault.webhook_secrets").await),
        (0, 1),
        "it is kept sealed only"
    );
}

#[tokio::test]
async fn only_wanted_types_and_from_the_position_that_was_named() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.added", "property.*"], false, Some(1)).await;
    world.relabel("9Z").await;
    world.deliver().await;
    let kinds: Vec<String> = receiver.got().iter().map(|got| got.kind().to_owned()).collect();
    assert!(kinds.contains(&"org.propty.unit.added.v1".to_owned()), "{kinds:?}");
    assert!(
        kinds.iter().all(|kind| kind == "org.propty.unit.added.v1" || kind.starts_with("org.propty.property.")),
        "{kinds:?}"
    );
    let at: i64 = world.count("select max(position) from log.entries").await;
    assert_eq!(
        world.count("select max(position) from engine.webhook_endpoints").await,
        at,
        "it has passed the rest by"
    );
}

#[tokio::test]
async fn a_propertys_webhook_sees_its_propertys_events_only() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let elsewhere = Uuid::now_v7();
    world.manage("AddProperty", world.body("AddProperty", json!({ "property_id": elsewhere, "name": "Other" }))).await;
    let foreign = Uuid::now_v7();
    world.webhook(&receiver.url, &[], true, Some(1)).await;
    world.manage("AddUnit", json!({ "unit_id": foreign, "property_id": elsewhere, "label": "X" })).await;
    world.relabel("7G").await;
    world.deliver().await;
    let got = receiver.got();
    assert!(labels(&got).contains(&"7G".to_owned()), "{got:?}");
    for one in &got {
        assert_eq!(one.event["property"], json!(PROPERTY), "{one:?}");
    }
    assert!(!got.iter().any(|one| one.subject().contains(&foreign.to_string())));
}

#[tokio::test]
async fn a_failing_event_holds_up_its_own_aggregate_and_no_other() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let other = world.add_units(1).await[0];
    let bad = format!("unit/{UNIT}");
    let subject = bad.clone();
    receiver.answer(move |got| if got.subject() == subject { (500, "not now") } else { (204, "") });
    for label in ["1", "2", "3"] {
        world.relabel(label).await;
        world.manage("RelabelUnit", json!({ "unit_id": other, "label": format!("o{label}") })).await;
        world.settle().await;
    }
    world.deliver().await;
    assert_eq!(labels(&receiver.taken()), ["N0", "o1", "o2", "o3"]);
    let failed: Vec<Got> = receiver.got().into_iter().filter(|got| got.subject() == bad).collect();
    assert_eq!(labels(&failed), ["1"], "the next ones wait behind it");
    world.deliver().await;
    assert_eq!(receiver.got().len(), 5, "and it waits for its time");
    world.advance(TimeDelta::seconds(6)).await;
    world.deliver().await;
    receiver.answer(|_| (200, ""));
    world.advance(TimeDelta::seconds(331)).await;
    world.deliver().await;
    let all: Vec<Got> = receiver.got().into_iter().filter(|got| got.subject() == bad).collect();
    assert_eq!(labels(&all), ["1", "1", "1", "2", "3"]);
    assert!(all[..3].iter().all(|one| one.id == all[0].id), "the same id at every attempt");
    assert_ne!(all[2].id, all[3].id);
    assert_eq!(world.waiting().await, 0);
    let kept: Option<String> =
        sqlx::query_scalar("select excerpt from engine.webhook_attempts where status = 500 limit 1")
            .fetch_one(world.pool())
            .await
            .expect("an attempt");
    assert_eq!(kept.as_deref(), Some("not now"));
}

#[tokio::test]
async fn no_redirect_is_followed_and_of_a_long_answer_only_the_beginning_is_kept() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let long: &'static str = Box::leak("x\0".repeat(100_000).into_boxed_str());
    receiver.answer(move |_| (302, "http://127.0.0.1:1/elsewhere"));
    world.relabel("1").await;
    world.deliver().await;
    receiver.answer(move |_| (200, long));
    world.advance(TimeDelta::seconds(6)).await;
    world.deliver().await;
    assert_eq!(receiver.got().iter().map(|got| got.status).collect::<Vec<_>>(), [302, 200]);
    let outcomes = world.outcomes().await;
    assert_eq!(outcomes, [("failed".to_owned(), Some(302), 1), ("delivered".to_owned(), Some(200), 2)]);
    assert_eq!(world.count("select max(length(excerpt))::bigint from engine.webhook_attempts").await, 1024);
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_it_at_once_and_somebody_is_told_once() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.answer(|_| (410, "gone"));
    world.relabel("1").await;
    world.deliver().await;
    assert_eq!(world.situation(webhook).await, Situation::Disabled(DisabledBecause::Gone));
    world.settle_at_last().await;
    let letters = || world.mail.sent().into_iter().filter(|mail| mail.to == NOTICE).collect::<Vec<_>>();
    assert_eq!(letters().len(), 1);
    assert!(letters()[0].subject.contains("désactivé"), "{}", letters()[0].subject);
    assert_eq!(letters()[0].kind, "webhook-disabled");
    world.relabel("2").await;
    world.advance(TimeDelta::days(1)).await;
    assert_eq!(world.deliver().await, 0, "nothing is sent any more");
    // Enabled again, it goes on where it stood.
    receiver.answer(|_| (200, ""));
    receiver.forget();
    world.about("EnableWebhook", webhook).await;
    world.deliver().await;
    assert_eq!(labels(&receiver.got()), ["1", "2"]);
    assert_eq!(letters().len(), 1);
}

#[tokio::test]
async fn after_three_days_without_any_arrival_it_is_disabled_and_enabling_goes_on_from_there() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.answer(|_| (503, ""));
    world.relabel("1").await;
    let begun = world.effects.engine.clock().now();
    for (round, seconds) in ROUNDS.into_iter().enumerate() {
        assert_eq!(world.situation(webhook).await, Situation::Enabled, "before attempt {}", round + 1);
        world.advance(TimeDelta::seconds(seconds)).await;
        assert_eq!(world.deliver().await, 1, "attempt {}", round + 1);
    }
    assert_eq!(receiver.got().len(), 10);
    let Situation::Disabled(DisabledBecause::LongFailure { since }) = world.situation(webhook).await else {
        panic!("it is not disabled: {:?}", world.situation(webhook).await);
    };
    assert!(since >= begun && since < begun + TimeDelta::minutes(1), "{since} and not {begun}");
    assert!(world.effects.engine.clock().now() - since > TimeDelta::days(3));
    world.settle_at_last().await;
    let mails: Vec<_> = world.mail.sent().into_iter().filter(|mail| mail.to == NOTICE).collect();
    assert_eq!(mails.len(), 1);
    world.relabel("2").await;
    receiver.answer(|_| (200, ""));
    receiver.forget();
    assert_eq!(world.deliver().await, 0);
    world.about("EnableWebhook", webhook).await;
    world.deliver().await;
    assert_eq!(labels(&receiver.got()), ["1", "2"]);
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test]
async fn an_event_that_alone_is_never_taken_is_abandoned_and_its_aggregate_goes_on() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let other = world.add_units(1).await[0];
    receiver.answer(|got| if got.event["data"]["label"] == "bad" { (400, "no") } else { (200, "") });
    world.relabel("bad").await;
    world.relabel("good").await;
    for (round, seconds) in ROUNDS.into_iter().enumerate() {
        world.advance(TimeDelta::seconds(seconds)).await;
        // Others arrive all the time.
        world.manage("RelabelUnit", json!({ "unit_id": other, "label": format!("o{round}") })).await;
        world.settle().await;
        world.deliver().await;
    }
    assert_eq!(world.situation(webhook).await, Situation::Enabled);
    world.deliver().await;
    assert!(labels(&receiver.taken()).contains(&"good".to_owned()));
    assert_eq!(world.waiting().await, 0);
    assert!(world.outcomes().await.contains(&("abandoned".to_owned(), Some(400), 10)));
}

#[tokio::test]
async fn both_secrets_sign_for_a_day_after_a_rotation() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook_id, first) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let (secret_id, second) = secrets::make(world.store(), world.organization, webhook_id).await.expect("a secret");
    world.relabel("1").await;
    world.deliver().await;
    let rotate = RotateWebhookSecret { webhook_id, secret_id, overlap_hours: None };
    world.effects.engine.execute(rotate, &world.manager()).await.expect("a rotation");
    world.relabel("2").await;
    world.deliver().await;
    world.advance(TimeDelta::hours(25)).await;
    world.relabel("3").await;
    world.deliver().await;
    let signed: Vec<(bool, bool, usize)> = receiver
        .got()
        .iter()
        .map(|got| {
            let count = got.signatures.split(' ').count();
            (got.is_signed_by(first.expose()), got.is_signed_by(second.expose()), count)
        })
        .collect();
    assert_eq!(signed, [(true, false, 1), (true, true, 2), (false, true, 1)]);
}

#[tokio::test]
async fn a_replay_sends_again_under_the_same_ids_and_in_order() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    for label in ["1", "2", "3"] {
        world.relabel(label).await;
    }
    world.deliver().await;
    let before = receiver.got();
    receiver.forget();
    let from = before[1].position();
    world.manage("ReplayWebhook", json!({ "webhook_id": webhook, "from": from })).await;
    world.settle().await;
    world.deliver().await;
    let ids = |got: &[Got]| got.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&receiver.got()), ids(&before[1..]));
    receiver.forget();
    // From before the registration: what was never sent to it, and what was.
    world.manage("ReplayWebhook", json!({ "webhook_id": webhook, "from": 1 })).await;
    world.settle().await;
    world.deliver().await;
    let again = receiver.got();
    assert_eq!(
        again[again.len() - 3..].iter().map(|one| &one.id).collect::<Vec<_>>(),
        before.iter().map(|one| &one.id).collect::<Vec<_>>()
    );
    assert!(again.iter().any(|one| one.kind() == "org.propty.unit.added.v1"));
    for positions in by_aggregate(&again).values() {
        assert!(positions.is_sorted(), "{positions:?}");
    }
    assert_eq!(world.deliver().await, 0);
}

#[tokio::test]
async fn a_test_event_arrives_also_where_it_is_disabled_and_is_in_no_log() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, secret) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    world.about("DisableWebhook", webhook).await;
    world.relabel("1").await;
    world.about("SendTestWebhook", webhook).await;
    world.deliver().await;
    let got = receiver.got();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(got[0].kind(), "org.propty.webhook.test.v1");
    assert!(got[0].is_signed_by(secret.expose()));
    assert_eq!(got[0].event["data"], json!({ "webhook_id": webhook }));
    assert!(got[0].event["position"].is_null());
    // One attempt, whatever becomes of it, and it disables nothing.
    world.about("EnableWebhook", webhook).await;
    world.deliver().await;
    receiver.answer(|_| (410, ""));
    world.about("SendTestWebhook", webhook).await;
    world.deliver().await;
    world.advance(TimeDelta::hours(1)).await;
    assert_eq!(world.deliver().await, 0);
    assert_eq!(world.situation(webhook).await, Situation::Enabled);
    let tests = world.count("select count(*) from engine.webhook_attempts where position < 0").await;
    assert_eq!(tests, 2);
}

#[tokio::test]
async fn what_is_removed_is_sent_to_no_more_and_its_secrets_are_forgotten() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    world.relabel("1").await;
    world.about("RemoveWebhook", webhook).await;
    assert_eq!(world.deliver().await, 0);
    for table in ["engine.webhook_endpoints", "engine.webhook_deliveries", "vault.webhook_secrets"] {
        assert_eq!(world.count(&format!("select count(*) from {table}")).await, 0, "{table}");
    }
    let again = world.execute(world.manager(), "EnableWebhook", json!({ "webhook_id": webhook })).await;
    assert!(matches!(again, Err(Fault::Refused { .. })), "{again:?}");
}

#[tokio::test]
async fn past_the_window_nothing_more_is_taken_from_the_feed() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.answer(|_| (500, ""));
    world.relabel("0").await;
    world.deliver().await;
    // As if so many of other aggregates had been waiting for hours.
    world
        .sql(&format!(
            "insert into engine.webhook_deliveries
             select organization_id, webhook_id, position + 1000000 + number, 'unit', gen_random_uuid(), 1, now(), 'infinity'
             from engine.webhook_endpoints, generate_series(1, {WINDOW} - 1) number"
        ))
        .await;
    let before = world.count("select position from engine.webhook_endpoints").await;
    world.relabel("1").await;
    world.deliver().await;
    assert_eq!(world.count("select position from engine.webhook_endpoints").await, before, "the cursor waits");
    receiver.answer(|_| (200, ""));
    world.sql("delete from engine.webhook_deliveries where position > 1000000").await;
    world.advance(TimeDelta::seconds(6)).await;
    world.deliver().await;
    assert_eq!(labels(&receiver.taken()), ["0", "1"]);
}

#[tokio::test]
async fn dying_at_any_point_loses_nothing_and_keeps_every_aggregates_order() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let units = world.add_units(3).await;
    let mut expected = 0;
    for nth in 1..200 {
        for unit in &units {
            world.manage("RelabelUnit", json!({ "unit_id": unit, "label": format!("{nth}") })).await;
            expected += 1;
        }
        world.settle().await;
        let ended = dies_at(world.courier().drain(), nth).await;
        // Whoever died holds nothing any more.
        world.sql("update engine.webhook_endpoints set lease_until = '-infinity'").await;
        if ended {
            assert!(nth > 4, "there were points to die at");
            break;
        }
        if nth % 3 == 0 {
            world.deliver().await;
        }
    }
    world.deliver().await;
    let got = receiver.got();
    let mut arrived = 0;
    for (subject, positions) in by_aggregate(&got) {
        let first = first_times(&positions);
        assert!(first.is_sorted(), "{subject}: {positions:?}");
        arrived += first.len();
    }
    assert_eq!(arrived, expected + units.len(), "each at least once");
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test]
async fn two_couriers_at_once_send_everything_once() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    world.add_units(12).await;
    let (one, other) = (world.courier(), world.courier());
    let (first, second) = tokio::join!(one.drain(), other.drain());
    assert_eq!(first.expect("deliveries") + second.expect("deliveries"), 12);
    assert_eq!(receiver.got().len(), 12);
}

#[tokio::test]
async fn a_slow_receiver_slows_no_other() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    // It accepts connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", silent.local_addr().expect("an address"));
    world.webhook(&url, &["unit.*"], false, None).await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    world.add_units(10).await;
    let courier = Arc::new(world.courier());
    let (stop, told) = tokio::sync::watch::channel(false);
    let (_head, head) = tokio::sync::watch::channel(0);
    let running = tokio::spawn({
        let courier = courier.clone();
        async move { courier.run(told, head).await }
    });
    let arrived = async {
        while receiver.got().len() < 10 {
            tokio::task::yield_now().await;
        }
    };
    // Well before the silent one's time is over.
    tokio::time::timeout(std::time::Duration::from_secs(12), arrived).await.expect("all of them");
    running.abort();
    drop(stop);
}

#[tokio::test]
async fn a_repeated_effect_changes_nothing() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    world.relabel("1").await;
    world.about("SendTestWebhook", webhook).await;
    world.manage("ReplayWebhook", json!({ "webhook_id": webhook, "from": 1 })).await;
    world.settle().await;
    world.deliver().await;
    let before = receiver.got().len();
    crate::proofs::repeats_change_nothing(&world).await;
    assert_eq!(world.deliver().await, 0);
    assert_eq!(receiver.got().len(), before);
}

#[tokio::test]
async fn after_a_rebuild_of_the_courier_s_rows_only_the_stream_counts() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    world.relabel("1").await;
    world.deliver().await;
    world.about("DisableWebhook", webhook).await;
    world.relabel("2").await;
    world.sql("delete from engine.webhook_endpoints").await;
    let follow = async || rows::follow(&world.effects.engine, world.organization, webhook).await.expect("a row");
    follow().await;
    assert_eq!(world.deliver().await, 0, "it is disabled as before");
    // A word that is older than what the row knows is no news.
    world.sql("update engine.webhook_endpoints set version = version + 1, enabled = true").await;
    follow().await;
    assert_eq!(world.count("select count(*) from engine.webhook_endpoints where enabled").await, 1);
    world.sql("update engine.webhook_endpoints set version = 0").await;
    follow().await;
    assert_eq!(world.count("select count(*) from engine.webhook_endpoints where enabled").await, 0);
    world.about("EnableWebhook", webhook).await;
    world.deliver().await;
    assert_eq!(labels(&receiver.got()), ["1", "1", "2"], "from the registration on, rather twice than never");
    assert_eq!(receiver.got()[0].id, receiver.got()[1].id);
}

#[tokio::test]
async fn a_name_that_means_a_private_address_is_not_connected_to() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let port: u16 = receiver.url.split([':', '/']).nth(4).and_then(|port| port.parse().ok()).expect("a port");
    let private: Lookup = Arc::new(move |_| Box::pin(async move { Ok(vec![([127, 0, 0, 1], port).into()]) }));
    let mut effects = world.effects.clone();
    effects.providers.webhooks = WebhookSender::looking_up(Targets::Public, private.clone()).expect("a client");
    world.webhook(&format!("https://hooks.example.com:{port}/hook"), &["unit.*"], false, None).await;
    // Registered while anything went.
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    world.relabel("1").await;
    let courier = Courier::new(effects.clone(), world.reader());
    courier.drain().await.expect("attempts");
    let errors: Vec<String> = sqlx::query_scalar("select error from engine.webhook_attempts order by error")
        .fetch_all(world.pool())
        .await
        .expect("attempts");
    assert_eq!(errors.len(), 2);
    assert!(errors.iter().any(|error| error.contains("not one of the public internet")), "{errors:?}");
    assert!(errors.iter().any(|error| error.contains("https only")), "{errors:?}");
    assert!(receiver.got().is_empty());
    // The same name where anything goes: it is the lookup that was asked.
    effects.providers.webhooks = WebhookSender::looking_up(Targets::Any, private).expect("a client");
    world.webhook("http://hooks.example.com/hook", &["unit.*"], false, None).await;
    world.relabel("2").await;
    Courier::new(effects, world.reader()).drain().await.expect("attempts");
    assert!(labels(&receiver.got()).contains(&"2".to_owned()));
}

#[tokio::test]
async fn a_restored_history_sends_nothing_until_it_is_accepted() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    world.relabel("1").await;
    quarantine::begin(world.pool()).await.expect("a quarantine");
    world.advance(TimeDelta::hours(1)).await;
    assert_eq!(world.deliver().await, 0);
    assert!(receiver.got().is_empty());
    quarantine::accept(world.pool()).await.expect("an answer").expect("something to accept");
    assert_eq!(world.deliver().await, 1);
    assert_eq!(labels(&receiver.got()), ["1"]);
}

#[tokio::test]
async fn nobody_can_make_another_organizations_webhook_do_anything() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let stranger = command_service::Ask { organization: events::OrganizationId(Uuid::now_v7()), ..world.manager() };
    for name in ["EnableWebhook", "DisableWebhook", "SendTestWebhook", "RemoveWebhook", "ChangeWebhook"] {
        let answer = world.execute(stranger.clone(), name, json!({ "webhook_id": webhook })).await;
        assert!(matches!(answer, Err(Fault::Missing | Fault::Refused { kind: domain::Kind::Missing, .. })), "{name}");
    }
    let rotate =
        RotateWebhookSecret { webhook_id: webhook, secret_id: SecretId(Uuid::now_v7()), overlap_hours: Some(0) };
    assert!(world.effects.engine.execute(rotate, &stranger).await.is_err());
    for role in [Role::Integrator, Role::PropertyAdmin, Role::ComplianceAuditor] {
        let answer =
            world.execute(world.ask(domain::Actor::of(role)), "RemoveWebhook", json!({ "webhook_id": webhook })).await;
        assert!(matches!(answer, Err(Fault::Role { .. })), "{role:?}");
    }
    assert_eq!(world.situation(webhook).await, Situation::Enabled);
}
