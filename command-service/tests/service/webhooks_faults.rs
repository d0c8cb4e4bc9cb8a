//! Webhooks out when something fails inside: one event's row, the feed, a lease, whoever sends.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::webhook::Situation;
use event_store::transaction;

use crate::{
    proofs::dies_at,
    receiver::Receiver,
    webhooks::{by_aggregate, first_times, labels},
    webhooks_trouble::{of, run, until},
    world::World,
};

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
    let taken: BTreeSet<String> = labels(&receiver.taken()).into_iter().collect();
    assert_eq!((receiver.taken().len(), taken), (3, ["0", "1", "2"].map(String::from).into()), "nothing is left out");
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
    assert_eq!(receiver.got().len(), 1, "whoever loses a deadlock posts again");
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
