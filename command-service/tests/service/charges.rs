//! Charges by autopay: at the due moment and not before, once, whatever fails on the way and whoever dies.

use chrono::{Days, NaiveDate, TimeDelta};
use domain::{Invoice, Payment, payment::Phase};
use futures_util::{future::join_all, join};
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::{PASSING, Trouble},
    household::zone,
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::World,
};

/// A due invoice whose timers are the only thing to do.
async fn to_be_charged(world: &World) -> Uuid {
    let invoice = world.published_due(world.today(), 10_000).await;
    world.react().await;
    invoice
}

/// A due invoice whose claim stands for a charge that has not been submitted.
async fn to_be_submitted(world: &World) -> Uuid {
    let invoice = to_be_charged(world).await;
    for _ in 0..2 {
        world.worker().drain().await.expect("work");
        world.react().await;
    }
    let claim = world.state::<Invoice>(invoice).await.claim.expect("a claim").0;
    assert_eq!(world.state::<Payment>(claim.0).await.phase, Phase::Requested);
    invoice
}

/// One PaymentIntent, too, and one word of everybody.
async fn is_charged_at_the_first_try(world: &World, invoice: Uuid) {
    world.is_charged_once(invoice).await;
    assert_eq!(world.charges(invoice).await, (1, 1));
    let payment = world.newest(invoice).await.0;
    for event in ["PaymentRequested", "PaymentSubmitting", "PaymentSucceeded", "PaymentSettled"] {
        assert_eq!(world.times(payment, event).await, 1, "{event}");
    }
    for event in ["ChargeAuthorized", "ChargeSucceeded"] {
        let query = format!(
            "select count(*) from log.events where event_type = '{event}' and payload::text like '%{invoice}%'"
        );
        assert_eq!(world.count(&query).await, 1, "{event}");
    }
}

#[tokio::test]
async fn an_invoice_is_charged_when_its_due_day_begins_and_not_before() {
    let (world, method) = World::with_autopay().await;
    let invoice = world.due_in(10).await;
    let moment = world.due(invoice).await;
    world.live_until(moment - TimeDelta::seconds(90)).await;
    assert_eq!(world.waiting_tasks("ChargeWhenDue", invoice).await, 1);
    world.is_not_charged(invoice).await;
    world.live_until(moment).await;
    is_charged_at_the_first_try(&world, invoice).await;
    assert_eq!(world.stripe.charged(world.newest(invoice).await.0), [method]);
    assert_eq!(world.enrollment().await, ["AutopayActivated", "ChargeAuthorized", "ChargeSucceeded"]);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn the_property_says_at_which_hour_it_is_charged() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(10).await;
    world.bill(json!({ "charge_hour": 17, "remind_overdue": true })).await;
    let moment = world.due(invoice).await;
    world.live_until(moment).await;
    world.is_not_charged(invoice).await;
    let due_on = world.state::<Invoice>(invoice).await.content.expect("contents").due_on;
    let hour = zone().at_hour(due_on, 17);
    world.live_until(hour - TimeDelta::seconds(90)).await;
    world.is_not_charged(invoice).await;
    world.live_until(hour).await;
    is_charged_at_the_first_try(&world, invoice).await;
}

/// The next day whose clocks skip, or repeat, an hour.
fn day_of_change(from: NaiveDate, skips: bool) -> NaiveDate {
    let zone = zone();
    let mut days = (1..400).map(|days| from + Days::new(days));
    let changes = |day: &NaiveDate| {
        let hours = (zone.at_hour(*day, 6) - zone.at_hour(*day, 0)).num_hours();
        if skips { hours < 6 } else { hours > 6 }
    };
    days.find(changes).expect("clocks change twice a year")
}

#[tokio::test]
async fn an_hour_that_the_clocks_skip_or_repeat_still_comes_once() {
    let (world, _) = World::with_autopay().await;
    // 2:00 is skipped in spring: the next hour stands in for it. 1:00 comes twice in autumn: the first counts.
    for (skips, hour) in [(true, 2), (false, 1)] {
        world.bill(json!({ "charge_hour": hour, "remind_overdue": false })).await;
        let day = day_of_change(world.today(), skips);
        let invoice = world.published_due(day, 10_000).await;
        world.settle().await;
        let hours = if skips { 2 } else { 1 };
        let moment = zone().at_hour(day, 0) + TimeDelta::hours(hours);
        world.live_until(moment - TimeDelta::seconds(90)).await;
        world.is_not_charged(invoice).await;
        world.live_until(moment).await;
        is_charged_at_the_first_try(&world, invoice).await;
        world.live_until(moment + TimeDelta::hours(1)).await;
        is_charged_at_the_first_try(&world, invoice).await;
    }
}

#[tokio::test]
async fn what_is_due_already_when_it_is_published_is_charged_at_once() {
    let (world, _) = World::with_autopay().await;
    let invoice = to_be_charged(&world).await;
    world.settle_at_last().await;
    is_charged_at_the_first_try(&world, invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_invoice_is_charged_at_its_new_due_day_when_that_was_edited() {
    let (world, _) = World::with_autopay().await;
    for (before, after) in [(5, 9), (9, 5)] {
        let first = world.today();
        let invoice = world.due_in(before).await;
        let old = world.due(invoice).await;
        world.edit(invoice, first + Days::new(after), 10_000).await;
        let new = world.due(invoice).await;
        if old < new {
            world.live_until(old).await;
        }
        world.live_until(new - TimeDelta::seconds(90)).await;
        world.is_not_charged(invoice).await;
        world.live_until(new).await;
        assert_eq!(world.charges(invoice).await, (1, 1));
        world.live_until(old.max(new) + TimeDelta::hours(1)).await;
        is_charged_at_the_first_try_of_one(&world, invoice).await;
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn two_timers_of_one_invoice_charge_it_once() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(3).await;
    for amount in [10_500, 11_000, 10_000] {
        world.edit(invoice, world.in_days(3), amount).await;
    }
    assert_eq!(world.waiting_tasks("ChargeWhenDue", invoice).await, 4);
    world.reach(world.due(invoice).await).await;
    // All four see the invoice free, at the same time.
    world.worker().drain().await.expect("work");
    assert_eq!(world.payments(invoice).await.len(), 4);
    world.settle_at_last().await;
    is_charged_at_the_first_try_of_one(&world, invoice).await;
    repeats_change_nothing(&world).await;
}

/// Other payments may have been begun, and were given up before anything was asked of Stripe.
async fn is_charged_at_the_first_try_of_one(world: &World, invoice: Uuid) {
    world.is_charged_once(invoice).await;
    assert_eq!(world.charges(invoice).await, (1, 1));
    for payment in world.payments(invoice).await {
        let phase = world.state::<Payment>(payment).await.phase;
        assert!(matches!(phase, Phase::Succeeded | Phase::Canceled), "{phase:?}");
    }
}

#[tokio::test]
async fn two_workers_with_the_same_tasks_charge_once() {
    let (world, _) = World::with_autopay().await;
    let invoice = to_be_charged(&world).await;
    // Each step is done by two workers at the same time, one of which has lost its claim without knowing.
    for _ in 0..8 {
        let (one, other) = (world.worker(), world.worker());
        let first = one.claim(100).await.expect("claims");
        world.sql("update engine.outbox set lease_until = '-infinity' where holder is not null").await;
        let second = other.claim(100).await.expect("claims");
        join!(
            join_all(first.iter().map(|task| one.carry_out(task))),
            join_all(second.iter().map(|task| other.carry_out(task))),
        );
        world.hurry().await;
        world.react().await;
    }
    world.settle_at_last().await;
    is_charged_at_the_first_try(&world, invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_due_invoice_is_charged_once_wherever_the_worker_dies() {
    let (world, _) = World::with_autopay().await;
    survives_death_at_every_point(
        &world,
        async || to_be_charged(&world).await,
        async |invoice| is_charged_at_the_first_try(&world, invoice).await,
    )
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_charge_is_submitted_once_wherever_the_worker_dies() {
    let (world, _) = World::with_autopay().await;
    survives_death_at_every_point(
        &world,
        async || to_be_submitted(&world).await,
        async |invoice| is_charged_at_the_first_try(&world, invoice).await,
    )
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_charge_is_booked_once_wherever_the_worker_dies() {
    let (world, _) = World::with_autopay().await;
    let prepare = async || {
        let invoice = to_be_submitted(&world).await;
        world.worker().drain().await.expect("work");
        world.react().await;
        invoice
    };
    survives_death_at_every_point(&world, prepare, async |invoice| is_charged_at_the_first_try(&world, invoice).await)
        .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_charge_is_made_once_however_the_call_fails() {
    let (world, _) = World::with_autopay().await;
    for trouble in PASSING {
        let invoice = to_be_submitted(&world).await;
        world.stripe.script.next("create_payment_intent", trouble);
        world.stripe.script.next("create_payment_intent", Trouble::LostAfter);
        world.settle().await;
        world.settle_at_last().await;
        is_charged_at_the_first_try(&world, invoice).await;
    }
    assert_eq!(world.has("ChargeFailed").await, 0, "no fault on the way is a decline");
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn after_the_keys_time_a_lost_charge_is_looked_up_and_never_made_again() {
    let (world, _) = World::with_autopay().await;
    for trouble in [Trouble::LostAfter, Trouble::LostBefore] {
        let invoice = to_be_submitted(&world).await;
        world.stripe.script.next("create_payment_intent", trouble);
        world.settle().await;
        world.stripe.forget_keys();
        world.sql("update engine.outbox set first_called_at = now() - interval '25 hours' where calling").await;
        world.settle_at_last().await;
        world.settle_at_last().await;
        // What never came to be is begun anew, under another payment.
        is_charged_at_the_first_try_of_one(&world, invoice).await;
        assert_eq!(world.payments(invoice).await.len(), if trouble == Trouble::LostAfter { 1 } else { 2 });
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn that_stripe_does_not_show_a_charge_proves_nothing_for_a_quarter_of_an_hour() {
    let (world, _) = World::with_autopay().await;
    let invoice = to_be_submitted(&world).await;
    world.stripe.script.next("create_payment_intent", Trouble::LostBefore);
    for _ in 0..12 {
        world.stripe.script.next("create_payment_intent", Trouble::Refused("lock_timeout"));
    }
    for _ in 0..2 {
        world.settle_at_last().await;
    }
    let payment = world.payments(invoice).await[0];
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Submitting, "it may still be at work there");
    assert!(world.state::<Invoice>(invoice).await.claim.is_some());
    assert_eq!(world.payments(invoice).await.len(), 1);
    let called = "update engine.outbox set first_called_at = now() - interval '14 minutes' where calling";
    world.sql(called).await;
    world.settle_at_last().await;
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Submitting);
    world.sql(&called.replace("14", "16")).await;
    for _ in 0..5 {
        world.settle_at_last().await;
    }
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Canceled);
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}
