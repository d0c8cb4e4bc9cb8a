//! Another billing policy moves the timers that are set already: of charges, reminders and announcements.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::{household::zone, proofs::repeats_change_nothing, world::World};

const REMINDER: &str = "payment-reminder";
const NOTICE: &str = "autopay-notice";

async fn at(world: &World, invoice: Uuid, days: i64, hour: u8) -> DateTime<Utc> {
    let state: domain::Invoice = world.state(invoice).await;
    let day = state.content.expect("contents").due_on + chrono::TimeDelta::days(days);
    zone().at_hour(day, hour)
}

fn charging_at(hour: u8) -> serde_json::Value {
    json!({ "charge_hour": hour, "reminder_days": null, "remind_overdue": false, "autopay_notice_days": null })
}

#[tokio::test]
async fn an_earlier_hour_charges_at_that_hour_and_not_again_at_the_old_one() {
    let (world, _) = World::with_autopay().await;
    world.bill(charging_at(12)).await;
    let invoice = world.due_in(3).await;
    world.bill(charging_at(6)).await;
    world.live_until(at(&world, invoice, 0, 6).await - chrono::TimeDelta::seconds(5)).await;
    world.is_not_charged(invoice).await;
    world.live_until(at(&world, invoice, 0, 6).await).await;
    world.is_charged_once(invoice).await;
    world.live_until(at(&world, invoice, 0, 13).await).await;
    world.is_charged_once(invoice).await;
    assert_eq!(world.payments(invoice).await.len(), 1);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_later_hour_charges_then_and_not_before() {
    let (world, _) = World::with_autopay().await;
    world.bill(charging_at(6)).await;
    let invoice = world.due_in(3).await;
    world.bill(charging_at(12)).await;
    world.live_until(at(&world, invoice, 0, 11).await).await;
    world.is_not_charged(invoice).await;
    world.live_until(at(&world, invoice, 0, 12).await).await;
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_hour_that_has_passed_already_charges_now_and_once_however_often_it_is_changed() {
    let (world, _) = World::with_autopay().await;
    world.bill(charging_at(20)).await;
    let invoice = world.due_in(3).await;
    world.live_until(at(&world, invoice, 0, 10).await).await;
    world.is_not_charged(invoice).await;
    for hour in [9, 8, 20, 7] {
        world.bill(charging_at(hour)).await;
    }
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    world.live_until(at(&world, invoice, 1, 0).await).await;
    world.is_charged_once(invoice).await;
    assert_eq!(world.payments(invoice).await.len(), 1);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_policy_that_changes_while_a_timer_is_being_looked_at_is_not_overlooked() {
    let (world, _) = World::with_autopay().await;
    world.bill(charging_at(12)).await;
    let invoice = world.due_in(1).await;
    // The timer is woken and claimed; what it finds is the old hour; before that is written the policy changes.
    world.bill(charging_at(13)).await;
    world.sql("update engine.outbox set due_at = '-infinity' where name = 'ChargeWhenDue' and state = 'ready'").await;
    let worker = world.worker();
    let held = worker.claim(100).await.expect("claims");
    let task = held.iter().find(|task| task.name == "ChargeWhenDue").expect("the timer");
    let found = command_service::outbox::Done::At { when: at(&world, invoice, 0, 13).await, why: "not due yet" };
    world.bill(charging_at(2)).await;
    command_service::outbox::finish(world.pool(), task, &found).await.expect("an outcome");
    world.live_until(at(&world, invoice, 0, 2).await).await;
    world.is_charged_once(invoice).await;
}

#[tokio::test]
async fn more_days_remind_and_announce_earlier_at_once_where_that_has_passed_and_never_twice() {
    let (world, _) = World::with_autopay().await;
    let days = |reminder: Option<u8>, notice: Option<u8>| json!({ "charge_hour": 0, "reminder_days": reminder, "remind_overdue": false, "autopay_notice_days": notice });
    world.bill(days(Some(2), Some(2))).await;
    let announced = world.due_in(20).await;
    world.bill(days(Some(2), Some(10))).await;
    world.live_until(at(&world, announced, -10, 9).await).await;
    assert_eq!(world.letters(NOTICE, announced), 1, "at the new day");
    world.resident_does("CancelAutopay", json!({})).await;
    let reminded = world.due_in(9).await;
    world.live_until(at(&world, reminded, -6, 9).await).await;
    assert_eq!(world.letters(REMINDER, reminded), 0);
    // It would have been yesterday.
    world.bill(days(Some(7), Some(10))).await;
    world.settle_at_last().await;
    assert_eq!(world.letters(REMINDER, reminded), 1, "at once");
    world.bill(days(Some(2), Some(2))).await;
    world.live_until(at(&world, reminded, 0, 9).await).await;
    assert_eq!((world.letters(REMINDER, reminded), world.letters(NOTICE, announced)), (1, 1));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn what_was_switched_off_is_done_when_it_is_switched_on_in_time() {
    let (world, _) = World::with_autopay().await;
    world.bill(charging_at(0)).await;
    let invoice = world.due_in(9).await;
    let billing = json!({ "charge_hour": 0, "reminder_days": 4, "remind_overdue": true, "autopay_notice_days": 3 });
    world.bill(billing).await;
    world.live_until(at(&world, invoice, -3, 9).await).await;
    assert_eq!((world.letters(REMINDER, invoice), world.letters(NOTICE, invoice)), (0, 1), "autopay takes it");
    world.live_until(at(&world, invoice, 0, 0).await).await;
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}
