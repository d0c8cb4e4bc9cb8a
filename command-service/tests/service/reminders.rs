//! Reminders and announcements: at nine where the property is, one per due day, and only where they help.

use chrono::{DateTime, Days, TimeDelta, Utc};
use domain::{Invoice, autopay::Status};
use events::payment::PaymentMethodKind::Card;
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::stripe::HARD,
    household::{CHARGED, zone},
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::{ACCOUNT, PROPERTY, World},
};

const REMINDER: &str = "payment-reminder";
const NOTICE: &str = "autopay-notice";

/// Nine o'clock so many days after the due day, or before it.
async fn nine(world: &World, invoice: Uuid, days: i64) -> DateTime<Utc> {
    let due_on = world.state::<Invoice>(invoice).await.content.expect("contents").due_on;
    zone().at_hour(due_on + TimeDelta::days(days), 9)
}

/// Nothing before, one letter then, and not a second one.
async fn comes_at(world: &World, kind: &str, invoice: Uuid, moment: DateTime<Utc>) {
    let before = world.letters(kind, invoice);
    world.live_until(moment - TimeDelta::seconds(90)).await;
    assert_eq!(world.letters(kind, invoice), before);
    world.live_until(moment).await;
    assert_eq!(world.letters(kind, invoice), before + 1);
    world.live_until(moment + TimeDelta::hours(2)).await;
    assert_eq!(world.letters(kind, invoice), before + 1);
}

async fn world() -> World {
    let world = World::new().await;
    world.community().await;
    world
}

#[tokio::test]
async fn a_reminder_comes_three_days_before_and_once_when_it_is_overdue() {
    let world = world().await;
    let invoice = world.due_in(10).await;
    comes_at(&world, REMINDER, invoice, nine(&world, invoice, -3).await).await;
    comes_at(&world, REMINDER, invoice, nine(&world, invoice, 1).await).await;
    world.live_until(nine(&world, invoice, 20).await).await;
    assert_eq!(world.letters(REMINDER, invoice), 2);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_reminder_goes_out_once_wherever_the_worker_dies() {
    let world = world().await;
    let prepare = async || {
        let invoice = world.due_in(10).await;
        world.reach(nine(&world, invoice, -3).await).await;
        invoice
    };
    survives_death_at_every_point(&world, prepare, async |invoice| {
        assert_eq!(world.letters(REMINDER, invoice), 1);
        world.paid_by_hand(invoice, 10_000).await;
        world.settle_at_last().await;
    })
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn what_is_paid_or_void_is_not_reminded_of() {
    let world = world().await;
    let (paid, void) = (world.due_in(10).await, world.due_in(10).await);
    world.reach(nine(&world, paid, -3).await - TimeDelta::seconds(2)).await;
    world.paid_by_hand(paid, 10_000).await;
    world.manage("VoidInvoice", json!({ "invoice_id": void, "reason": "Billed twice" })).await;
    world.live_until(nine(&world, paid, 2).await).await;
    assert_eq!((world.letters(REMINDER, paid), world.letters(REMINDER, void)), (0, 0));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn what_is_published_too_late_for_a_reminder_gets_none() {
    let world = world().await;
    let invoice = world.due_in(1).await;
    world.live_until(nine(&world, invoice, 0).await).await;
    assert_eq!(world.letters(REMINDER, invoice), 0);
    comes_at(&world, REMINDER, invoice, nine(&world, invoice, 1).await).await;
}

#[tokio::test]
async fn nobody_is_reminded_while_a_payment_is_on_its_way() {
    let world = world().await;
    let invoice = world.due_in(10).await;
    world.reach(nine(&world, invoice, -3).await - TimeDelta::minutes(5)).await;
    let payment = world.payment(invoice).await;
    world.settle().await;
    world.live_until(nine(&world, invoice, -3).await).await;
    assert_eq!(world.letters(REMINDER, invoice), 0);
    let intent = world.stripe.intents(payment)[0].id.clone();
    world.stripe.change(&intent, |intent| intent.status = processes::ports::IntentStatus::Processing);
    world.notice("payment_intent.processing", &intent, Some(payment)).await;
    world.live_until(nine(&world, invoice, 3).await).await;
    assert_eq!(world.letters(REMINDER, invoice), 0, "the bank is at work");
    // It fails: now there is something to be reminded of.
    world.stripe.change(&intent, |intent| intent.status = processes::ports::IntentStatus::Canceled);
    world.notice("payment_intent.canceled", &intent, Some(payment)).await;
    world.settle_at_last().await;
    world.live_until(nine(&world, invoice, 5).await).await;
    assert_eq!(world.letters(REMINDER, invoice), 1);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn autopay_announces_what_it_takes_and_nobody_is_reminded_of_it() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(10).await;
    world.live_until(nine(&world, invoice, -3).await).await;
    assert_eq!(world.letters(REMINDER, invoice), 0);
    comes_at(&world, NOTICE, invoice, nine(&world, invoice, -2).await).await;
    world.live_until(nine(&world, invoice, 3).await).await;
    world.is_charged_once(invoice).await;
    assert_eq!((world.letters(REMINDER, invoice), world.letters(NOTICE, invoice)), (0, 1));
    assert_eq!(world.letters(CHARGED, invoice), 1);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn whoever_has_no_autopay_or_a_paused_one_is_reminded_and_told_of_no_charge() {
    let (world, _) = World::with_autopay().await;
    world.stripe.next_charge(HARD);
    let failed = world.due_in(0).await;
    world.settle_at_last().await;
    assert_eq!(world.autopay().await.status(), Status::Paused);
    let invoice = world.due_in(10).await;
    comes_at(&world, REMINDER, invoice, nine(&world, invoice, -3).await).await;
    world.live_until(nine(&world, invoice, 2).await).await;
    assert_eq!((world.letters(REMINDER, invoice), world.letters(NOTICE, invoice)), (2, 0));
    assert_eq!(world.letters(REMINDER, failed), 1, "overdue");
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn above_the_cap_a_reminder_comes_and_no_announcement() {
    let (world, _) = World::with_autopay().await;
    world.resident_does("SetAutopayCap", json!({ "cap": world.money(5_000) })).await;
    let invoice = world.due_in(10).await;
    comes_at(&world, REMINDER, invoice, nine(&world, invoice, -3).await).await;
    world.live_until(nine(&world, invoice, -1).await).await;
    assert_eq!(world.letters(NOTICE, invoice), 0);
}

#[tokio::test]
async fn what_was_due_before_autopay_was_on_is_reminded_of() {
    let world = world().await;
    let invoice = world.due_in(10).await;
    world.live_until(world.due(invoice).await).await;
    world.enabled(Card).await;
    world.live_until(nine(&world, invoice, 1).await).await;
    world.is_not_charged(invoice).await;
    assert_eq!(world.letters(REMINDER, invoice), 1);
}

#[tokio::test]
async fn what_autopay_takes_as_soon_as_the_account_can_is_not_reminded_of() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(5).await;
    world.manage("DisconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.live_until(nine(&world, invoice, 3).await).await;
    assert_eq!(world.letters(REMINDER, invoice), 0);
    world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.live_until(nine(&world, invoice, 5).await).await;
    world.is_charged_once(invoice).await;
    assert_eq!(world.letters(REMINDER, invoice), 0);
}

#[tokio::test]
async fn a_month_that_passes_at_once_reminds_nobody_of_what_autopay_takes() {
    let (world, _) = World::with_autopay().await;
    let invoices = [world.due_in(5).await, world.due_in(10).await, world.due_in(15).await];
    world.live_until(world.now() + TimeDelta::days(30)).await;
    for invoice in invoices {
        world.is_charged_once(invoice).await;
        assert_eq!((world.letters(REMINDER, invoice), world.letters(NOTICE, invoice)), (0, 0));
    }
}

#[tokio::test]
async fn the_property_says_when_and_whether_to_remind() {
    let world = world().await;
    world.bill(json!({ "charge_hour": 6, "reminder_days": 7, "remind_overdue": false })).await;
    let invoice = world.due_in(10).await;
    comes_at(&world, REMINDER, invoice, nine(&world, invoice, -7).await).await;
    world.live_until(nine(&world, invoice, 3).await).await;
    assert_eq!(world.letters(REMINDER, invoice), 1);
    world.bill(json!({ "charge_hour": 6, "remind_overdue": true })).await;
    let invoice = world.due_in(10).await;
    world.live_until(nine(&world, invoice, 0).await).await;
    assert_eq!(world.letters(REMINDER, invoice), 0);
    comes_at(&world, REMINDER, invoice, nine(&world, invoice, 1).await).await;
}

#[tokio::test]
async fn a_kind_that_is_switched_off_is_not_sent() {
    let (world, _) = World::with_autopay().await;
    for kind in [NOTICE, CHARGED] {
        world.manage("SwitchEmailKind", json!({ "property_id": PROPERTY, "kind": kind, "on": false })).await;
    }
    let invoice = world.due_in(5).await;
    world.live_until(world.due(invoice).await).await;
    assert_eq!(world.balance(invoice).await, 0);
    assert_eq!((world.letters(NOTICE, invoice), world.letters(CHARGED, invoice)), (0, 0));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn each_due_day_is_reminded_of_once_however_often_the_invoice_was_edited() {
    let world = world().await;
    let first = world.today();
    let invoice = world.due_in(10).await;
    for amount in [11_000, 12_000] {
        world.edit(invoice, first + Days::new(10), amount).await;
    }
    comes_at(&world, REMINDER, invoice, nine(&world, invoice, -3).await).await;
    // Another amount after the letter is no reason for a second one; another day is.
    world.edit(invoice, first + Days::new(10), 13_000).await;
    world.settle_at_last().await;
    assert_eq!(world.letters(REMINDER, invoice), 1);
    world.edit(invoice, first + Days::new(20), 13_000).await;
    comes_at(&world, REMINDER, invoice, nine(&world, invoice, -3).await).await;
    comes_at(&world, REMINDER, invoice, nine(&world, invoice, 1).await).await;
    assert_eq!(world.letters(REMINDER, invoice), 3);
    repeats_change_nothing(&world).await;
}
