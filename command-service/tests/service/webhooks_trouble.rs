//! Webhooks out while something changes under them: replays, new addresses, faults inside, other senders, other organizations.

use std::time::Duration;

use chrono::TimeDelta;
use command_service::{Ask, Courier, Fault, courier::rows, courier::secrets};
use domain::webhook::{RegisterWebhook, RotateWebhookSecret, Situation};
use event_store::transaction;
use events::{Language, OrganizationId, SecretId, WebhookId, webhook::DisabledBecause};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use uuid::Uuid;

use crate::{
    proofs::dies_at,
    receiver::{Got, Receiver},
    webhooks::{NOTICE, ROUNDS, by_aggregate, first_times, labels, value},
    world::{UNIT, World},
};

/// For what must happen and may take its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A courier at work, until it is dropped.
struct Running {
    task: JoinHandle<()>,
    _stop: watch::Sender<bool>,
    _head: watch::Sender<i64>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn run(courier: Courier) -> Running {
    let (_stop, told) = watch::channel(false);
    let (_head, head) = watch::channel(0);
    Running { task: tokio::spawn(async move { courier.run(told, head).await }), _stop, _head }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

impl World {
    async fn relabel_another(&self, unit: Uuid, label: &str) {
        self.manage("RelabelUnit", json!({ "unit_id": unit, "label": label })).await;
        self.settle().await;
    }

    async fn change(&self, webhook: WebhookId, mut fields: serde_json::Value) {
        fields["webhook_id"] = json!(webhook);
        self.manage("ChangeWebhook", fields).await;
    }

    /// Whoever was sending has died long ago.
    async fn forget_leases(&self) {
        self.sql("update engine.webhook_endpoints set lease_until = '-infinity'").await;
    }
}

fn of(label: &str) -> impl Fn(&Got) -> bool + Send + 'static + use<> {
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
    assert_eq!(labels(&receiver.got()), ["N0", "wanted"]);
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

#[tokio::test]
async fn a_fault_with_one_event_leaves_what_else_was_posted_alone() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let other = world.add_units(1).await[0];
    world.deliver().await;
    receiver.forget();
    receiver.hold(|_| true);
    world.relabel("bad").await;
    world.relabel_another(other, "good").await;
    let _running = run(world.courier());
    until("both are under way", async || receiver.held().len() == 2).await;
    let bad = receiver.held().into_iter().find(of("bad")).expect("it was posted").position();
    // A sequence counts also what is rolled back.
    world
        .sql(&format!(
            "create sequence public.faults; grant usage on sequence public.faults to public;
             create function public.refuse() returns trigger language plpgsql as $$ begin
                 if new.position = {bad} then perform nextval('public.faults'); raise exception 'no'; end if;
                 return new;
             end $$;
             create trigger refuse before insert on engine.webhook_attempts for each row execute function public.refuse()"
        ))
        .await;
    receiver.hold(of("good"));
    until("it cannot be written", async || {
        world.count("select last_value from public.faults where is_called").await > 0
    })
    .await;
    receiver.hold(|_| false);
    until("the other is written", async || world.waiting().await == 1).await;
    world.sql("drop trigger refuse on engine.webhook_attempts").await;
    until("both are written", async || world.waiting().await == 0).await;
    assert_eq!(receiver.got().iter().filter(|got| of("good")(got)).count(), 1, "it was posted once");
}

#[tokio::test]
async fn what_cannot_be_told_holds_up_neither_what_is_before_nor_what_waits() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let units = world.add_units(3).await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.answer(|got| if of("0")(got) { (500, "") } else { (200, "") });
    for (number, unit) in units.iter().enumerate() {
        world.relabel_another(*unit, &number.to_string()).await;
    }
    let damage = |from: &str, to: &str| {
        format!(
            "set session_replication_role = replica;
             update log.events set payload = replace(payload::text, '\"{from}\"', '\"{to}\"')::jsonb
             where event_type = 'UnitRelabelled' and aggregate_id = '{}'",
            units[1]
        )
    };
    world.sql(&damage("label", "lable")).await;
    world.deliver().await;
    assert_eq!(labels(&receiver.got()), ["0"], "what is before");
    receiver.answer(|_| (200, ""));
    world.advance(TimeDelta::seconds(6)).await;
    world.forget_leases().await;
    world.deliver().await;
    assert_eq!(labels(&receiver.taken()), ["0"], "what waits");
    world.sql(&damage("lable", "label")).await;
    world.forget_leases().await;
    world.deliver().await;
    assert_eq!(labels(&receiver.taken()), ["0", "1", "2"], "nothing is left out");
    // One that was taken in already holds up its own aggregate only.
    receiver.answer(|_| (500, ""));
    for unit in &units[..2] {
        world.relabel_another(*unit, "again").await;
    }
    world.deliver().await;
    world.sql(&damage("label", "lable")).await;
    receiver.answer(|_| (200, ""));
    receiver.forget();
    world.advance(TimeDelta::seconds(6)).await;
    world.deliver().await;
    assert_eq!((labels(&receiver.taken()).len(), world.waiting().await), (1, 1));
    world.sql(&damage("lable", "label")).await;
    world.advance(TimeDelta::minutes(6)).await;
    world.deliver().await;
    assert_eq!((labels(&receiver.taken()).len(), world.waiting().await), (2, 0));
}

#[tokio::test]
async fn writing_an_attempt_and_following_the_webhook_wait_for_each_other_in_one_order() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.hold(|_| true);
    world.relabel("1").await;
    let _running = run(world.courier());
    until("it is under way", async || receiver.held().len() == 1).await;
    // As whoever follows it does: first the webhook's row, then those of what waits.
    let mut following = transaction::begin(world.pool()).await.expect("a transaction");
    let webhook = "select from engine.webhook_endpoints for update";
    sqlx::query(webhook).execute(&mut *following).await.expect("the webhook");
    receiver.hold(|_| false);
    let blocked =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
                       and query like '%engine.webhook_endpoints%' and query not like '%unnest%'";
    until("it is to be written", async || world.count(blocked).await > 0).await;
    let waiting = "update engine.webhook_deliveries set due_at = due_at";
    sqlx::query(waiting).execute(&mut *following).await.expect("no deadlock");
    following.commit().await.expect("an end");
    until("it is written", async || world.waiting().await == 0).await;
    assert_eq!(world.outcomes().await, [("delivered".to_owned(), Some(200), 1)]);
}

#[tokio::test]
async fn a_worker_whose_lease_lapses_does_not_send_a_webhook_twice_at_once() {
    let (world, receiver, other) = (World::new().await, Receiver::start().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.hold(|_| true);
    world.relabel("1").await;
    let _running = run(world.courier());
    until("it is under way", async || receiver.held().len() == 1).await;
    world.forget_leases().await;
    // It is seen to claim after that.
    world.webhook(&other.url, &["unit.*"], false, Some(1)).await;
    until("it claims", async || !labels(&other.taken()).is_empty()).await;
    receiver.hold(|_| false);
    until("everything is written", async || world.waiting().await == 0).await;
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test]
async fn a_late_word_of_a_removed_webhook_leaves_no_row_behind() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    world.sql("create table public.late as select * from engine.webhook_endpoints").await;
    world.relabel("1").await;
    world.about("RemoveWebhook", webhook).await;
    world.sql("insert into engine.webhook_endpoints select * from public.late").await;
    assert_eq!(world.deliver().await, 0);
    assert_eq!(world.count("select count(*) from engine.webhook_endpoints").await, 0);
    assert!(receiver.got().is_empty());
}

#[tokio::test]
async fn one_organization_s_silent_receivers_hold_up_no_other_organization() {
    let (mut world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", silent.local_addr().expect("an address"));
    let _running = run(Courier::with_places(world.effects.clone(), world.reader(), 4));
    for _ in 0..6 {
        world.webhook(&url, &["unit.*"], false, Some(1)).await;
    }
    world.add_units(10).await;
    until("one is sent", async || {
        world.count("select count(*) from engine.webhook_endpoints where holder is not null").await > 0
    })
    .await;
    world.organization = OrganizationId(Uuid::now_v7());
    let register = world.body("RegisterOrganization", json!({}));
    world.execute(Ask::operator(world.organization), "RegisterOrganization", register).await.expect("an organization");
    world.webhook(&receiver.url, &[], false, Some(1)).await;
    let property = world.body("AddProperty", json!({ "property_id": Uuid::now_v7() }));
    world.execute(Ask::operator(world.organization), "AddProperty", property).await.expect("a property");
    world.settle().await;
    until("it arrives", async || !receiver.taken().is_empty()).await;
    let answered = world.count("select count(*) from engine.webhook_attempts where outcome <> 'delivered'").await;
    assert_eq!(answered, 0, "before any of the silent ones was given up");
}

#[tokio::test]
async fn an_organization_has_twenty_webhooks_at_most_however_many_are_asked_for_at_once() {
    let world = World::new().await;
    world.community().await;
    let make = async || {
        let webhook_id = WebhookId(Uuid::now_v7());
        let made = secrets::make_first(world.store(), world.organization, webhook_id).await.expect("an answer");
        made.map(|(secret_id, _)| (webhook_id, secret_id))
    };
    let made = futures_util::future::join_all((0..24).map(|_| make())).await;
    let made: Vec<(WebhookId, SecretId)> = made.into_iter().flatten().collect();
    assert_eq!(made.len(), 20);
    assert!(make().await.is_none());
    for (webhook_id, secret_id) in &made[..19] {
        let command = registration(*webhook_id, *secret_id);
        secrets::name(&world.effects.engine, command, &world.manager(), *secret_id).await.expect("a webhook");
    }
    // One was never registered.
    world.sql("update vault.webhook_secrets set created_at = created_at - interval '1 hour'").await;
    assert!(make().await.is_some());
    assert!(make().await.is_none());
    let foreign = OrganizationId(Uuid::now_v7());
    let elsewhere = secrets::make_first(world.store(), foreign, WebhookId(Uuid::now_v7())).await.expect("an answer");
    assert!(elsewhere.is_some(), "another organization's do not count");
}

fn registration(webhook_id: WebhookId, secret_id: SecretId) -> RegisterWebhook {
    RegisterWebhook {
        webhook_id,
        url: value("https://hooks.example.com/propty"),
        description: None,
        types: vec![],
        property_id: None,
        notice_email: value(NOTICE),
        language: Language::En,
        secret_id,
        from: None,
    }
}

#[tokio::test]
async fn a_secret_is_forgotten_when_its_command_is_refused_and_kept_when_the_answer_is_lost() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook_id, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let rotate = async |overlap_hours| {
        let (secret_id, _) = secrets::make(world.store(), world.organization, webhook_id).await.expect("a secret");
        let command = RotateWebhookSecret { webhook_id, secret_id, overlap_hours };
        let answer = secrets::name(&world.effects.engine, command, &world.manager(), secret_id).await;
        let kept =
            world.count(&format!("select count(*) from vault.webhook_secrets where secret_id = '{secret_id}'")).await;
        (answer.map(|_| ()), kept)
    };
    let (refused, kept) = rotate(Some(500)).await;
    assert!(matches!(refused, Err(Fault::Refused { .. })), "{refused:?}");
    assert_eq!(kept, 0);
    world
        .sql(
            "create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
             create trigger refuse before insert on log.events for each row execute function public.refuse()",
        )
        .await;
    let (lost, kept) = rotate(None).await;
    assert!(lost.is_err_and(|fault| !fault.is_final()));
    assert_eq!(kept, 1, "an event may name it");
    world.sql("drop trigger refuse on log.events").await;
    assert_eq!((rotate(None).await.1, world.count("select count(*) from vault.webhook_secrets").await), (1, 3));
}

#[tokio::test]
async fn only_the_secrets_that_a_webhook_names_are_opened_and_a_damaged_former_one_stops_nothing() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook_id, first) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    for _ in 0..25 {
        secrets::make(world.store(), world.organization, webhook_id).await.expect("a secret that nothing names");
    }
    world.relabel("1").await;
    world.deliver().await;
    let (secret_id, second) = secrets::make(world.store(), world.organization, webhook_id).await.expect("a secret");
    let rotate = RotateWebhookSecret { webhook_id, secret_id, overlap_hours: None };
    world.effects.engine.execute(rotate, &world.manager()).await.expect("a rotation");
    world.sql(&format!("update vault.webhook_secrets set wrapped = '\\x00' where secret_id <> '{secret_id}'")).await;
    world.relabel("2").await;
    world.deliver().await;
    let got = receiver.got();
    let signed: Vec<_> =
        got.iter().map(|got| (got.is_signed_by(first.expose()), got.is_signed_by(second.expose()))).collect();
    assert_eq!(signed, [(true, false), (false, true)]);
}

#[tokio::test]
async fn a_receiver_may_ask_for_hours_of_patience() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.answer(|_| (429, "7200"));
    world.relabel("1").await;
    world.deliver().await;
    let pause = "select extract(epoch from next_at - at)::bigint from engine.webhook_attempts";
    assert_eq!(world.count(pause).await, 7200);
}

#[tokio::test]
async fn a_webhook_that_only_waits_is_left_alone_until_something_is_due() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.answer(|_| (500, ""));
    world.relabel("1").await;
    world.relabel("2").await;
    world.deliver().await;
    let claims = async || {
        let room = rows::Room { places: 9, share: 9 };
        let now = world.effects.engine.clock().now();
        let claimed = rows::claim(world.pool(), room, now, &[]).await.expect("claims");
        for endpoint in &claimed {
            rows::release(world.pool(), endpoint, false).await.expect("a release");
        }
        claimed.len()
    };
    let next = "select count(*) from engine.webhook_endpoints endpoint join engine.webhook_deliveries waiting using (webhook_id)
                where endpoint.next_due_at = waiting.due_at and waiting.attempts = 1";
    assert_eq!((claims().await, world.count(next).await), (0, 1));
    world.advance(TimeDelta::seconds(6)).await;
    assert_eq!(claims().await, 1);
    world.about("DisableWebhook", webhook).await;
    claims().await;
    assert_eq!(claims().await, 0, "disabled, nothing of it is due");
    world.about("SendTestWebhook", webhook).await;
    assert_eq!((claims().await, world.deliver().await), (1, 1));
    assert_eq!(claims().await, 0);
    world.about("EnableWebhook", webhook).await;
    assert_eq!(claims().await, 1);
}

/// Dies where an attempt waits for anything, each time with a new event, which is `answered` so while it dies.
async fn attempts_survive_death(answered: u16) {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let mut expected = 0;
    loop {
        expected += 1;
        assert!(expected < 300, "an attempt never came to an end");
        world.relabel(&expected.to_string()).await;
        receiver.answer(move |_| (answered, ""));
        let courier = world.courier();
        let ended = dies_at(courier.step(), expected).await;
        world.forget_leases().await;
        receiver.answer(|_| (200, ""));
        world.settle().await;
        world.about("EnableWebhook", webhook).await;
        if expected % 3 == 0 || ended {
            world.deliver().await;
        }
        if ended {
            break;
        }
    }
    assert!(expected > 8, "there were points to die at");
    let taken = receiver.taken();
    for (subject, positions) in by_aggregate(&taken) {
        let first = first_times(&positions);
        assert!(first.is_sorted(), "{subject}: {positions:?}");
        assert_eq!(first.len(), expected, "each at least once");
    }
    assert_eq!(world.waiting().await, 0);
    assert_eq!(world.situation(webhook).await, Situation::Enabled);
}

#[tokio::test]
async fn an_attempt_that_dies_anywhere_loses_nothing() {
    attempts_survive_death(200).await;
}

#[tokio::test]
async fn an_attempt_that_dies_while_its_receiver_is_gone_loses_nothing() {
    attempts_survive_death(410).await;
}
