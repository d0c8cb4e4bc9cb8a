//! Declined charges: tried again once a day while that can help, told at once, and the others wait in line.

use chrono::TimeDelta;
use domain::autopay::Status;
use events::payment::PaymentMethodKind::Card;
use processes::ports::IntentStatus;
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::{
        Trouble,
        stripe::{HARD, Manner, SOFT},
    },
    household::{CHARGED, FAILED, autopay_id},
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::World,
};

const DAY: TimeDelta = TimeDelta::days(1);

/// A due invoice whose charge was declined.
async fn declined(world: &World, manner: Manner) -> Uuid {
    world.stripe.next_charge(manner);
    let invoice = world.due_in(0).await;
    world.settle_at_last().await;
    assert_eq!(world.autopay().await.status(), Status::Paused);
    invoice
}

/// Every PaymentIntent of a charge that was declined is canceled, and nothing holds the invoice.
async fn is_open_again(world: &World, invoice: Uuid, attempts: usize) {
    let payments = world.payments(invoice).await;
    assert_eq!(payments.len(), attempts);
    for payment in payments {
        let intents = world.stripe.intents(payment);
        assert_eq!(intents.iter().map(|intent| intent.status).collect::<Vec<_>>(), [IntentStatus::Canceled]);
    }
    let state: domain::Invoice = world.state(invoice).await;
    assert!(state.claim.is_none());
    assert_eq!((world.balance(invoice).await, world.letters(FAILED, invoice)), (10_000, attempts));
}

#[tokio::test]
async fn a_soft_decline_is_tried_again_after_a_day_and_a_success_ends_the_pause() {
    let (world, _) = World::with_autopay().await;
    let invoice = declined(&world, SOFT).await;
    is_open_again(&world, invoice, 1).await;
    let at = world.autopay().await.next_retry().expect("a retry").1.at;
    assert!((at - world.now() - DAY).abs() < TimeDelta::minutes(5));
    world.live_until(at - TimeDelta::seconds(90)).await;
    is_open_again(&world, invoice, 1).await;
    world.live_until(at).await;
    world.is_charged_once(invoice).await;
    assert_eq!(world.charges(invoice).await, (2, 1));
    assert_eq!(world.autopay().await.status(), Status::Active);
    assert_eq!(
        world.enrollment().await,
        [
            "AutopayActivated",
            "ChargeAuthorized",
            "ChargeFailed",
            "AutopayPaused",
            "ChargeAuthorized",
            "ChargeSucceeded",
            "AutopayResumed"
        ]
    );
    assert_eq!((world.letters(FAILED, invoice), world.letters(CHARGED, invoice)), (1, 1));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn after_three_retries_autopay_asks_for_a_new_method() {
    let (world, _) = World::with_autopay().await;
    let invoice = declined(&world, SOFT).await;
    for attempt in 2..=4 {
        is_open_again(&world, invoice, attempt - 1).await;
        world.stripe.next_charge(SOFT);
        let at = world.autopay().await.next_retry().expect("a retry").1.at;
        world.live_until(at).await;
    }
    is_open_again(&world, invoice, 4).await;
    let autopay = world.autopay().await;
    assert!(autopay.pause().is_some_and(|pause| pause.new_method_required));
    assert_eq!(autopay.next_retry(), None);
    assert_eq!(
        world.told(autopay_id().0, "AutopayPaused").await["reason"],
        json!({ "RetriesUsedUp": { "code": "insufficient_funds" } })
    );
    world.live_until(world.now() + DAY * 5).await;
    is_open_again(&world, invoice, 4).await;
    // The new card is charged at once.
    world.completed(world.set_up("ReactivateAutopay", Card).await, Card).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_hard_decline_is_not_tried_again() {
    let (world, old) = World::with_autopay().await;
    let invoice = declined(&world, HARD).await;
    world.live_until(world.now() + DAY * 5).await;
    is_open_again(&world, invoice, 1).await;
    assert!(world.autopay().await.pause().is_some_and(|pause| pause.new_method_required));
    let reactivate = json!({ "property_id": crate::world::PROPERTY, "resident_id": crate::world::RESIDENT });
    assert!(world.execute(world.resident(), "ReactivateAutopay", reactivate).await.is_err());
    let new = world.completed(world.set_up("UpdateAutopayMethod", Card).await, Card).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    assert_eq!(world.stripe.charged(world.newest(invoice).await.0), [new]);
    assert!(world.stripe.is_detached(&old));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_bank_that_wants_to_see_the_resident_is_not_asked_again_until_they_came() {
    let (world, _) = World::with_autopay().await;
    let invoice = declined(&world, Manner::NeedsAuthentication).await;
    world.live_until(world.now() + DAY * 5).await;
    is_open_again(&world, invoice, 1).await;
    assert_eq!(world.told(autopay_id().0, "AutopayPaused").await["reason"], "AuthenticationRequired");
    // The resident says that the same card may be charged again.
    world.resident_does("ReactivateAutopay", json!({})).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_decline_is_told_and_undone_once_wherever_the_worker_dies() {
    let (world, _) = World::with_autopay().await;
    let prepare = async || {
        world.stripe.next_charge(SOFT);
        let invoice = world.published_due(world.today(), 10_000).await;
        world.react().await;
        for _ in 0..3 {
            world.worker().drain().await.expect("work");
            world.react().await;
        }
        let (payment, _) = world.newest(invoice).await;
        assert_eq!(world.times(payment, "PaymentDeclined").await, 1);
        invoice
    };
    survives_death_at_every_point(&world, prepare, async |invoice| {
        is_open_again(&world, invoice, 1).await;
        world.paid_by_hand(invoice, 10_000).await;
        world.settle_at_last().await;
        assert_eq!(world.autopay().await.status(), Status::Active, "paid otherwise");
    })
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_retry_is_made_once_wherever_the_worker_dies() {
    let (world, _) = World::with_autopay().await;
    let prepare = async || {
        let invoice = declined(&world, SOFT).await;
        world.reach(world.autopay().await.next_retry().expect("a retry").1.at).await;
        invoice
    };
    survives_death_at_every_point(&world, prepare, async |invoice| {
        world.is_charged_once(invoice).await;
        assert_eq!(world.charges(invoice).await, (2, 1));
        assert_eq!(world.autopay().await.status(), Status::Active);
    })
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_decline_behind_a_lost_answer_is_one_decline() {
    let (world, _) = World::with_autopay().await;
    for trouble in [Trouble::LostAfter, Trouble::PanicAfter, Trouble::Retry] {
        world.stripe.script.next("create_payment_intent", trouble);
        let invoice = declined(&world, SOFT).await;
        is_open_again(&world, invoice, 1).await;
        world.paid_by_hand(invoice, 10_000).await;
        world.settle_at_last().await;
    }
    assert_eq!(world.has("ChargeFailed").await, 3);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn other_invoices_wait_and_are_charged_in_the_order_of_their_due_days() {
    let (world, _) = World::with_autopay().await;
    let failed = declined(&world, Manner::NeedsAuthentication).await;
    // Published in another order than they fall due.
    let later = world.due_in(4).await;
    let sooner = world.due_in(2).await;
    world.live_until(world.due(later).await + DAY).await;
    world.is_not_charged(later).await;
    world.is_not_charged(sooner).await;
    assert_eq!(world.has("ChargeDeferred").await, 2);
    world.resident_does("ReactivateAutopay", json!({})).await;
    let waiting = world.told(autopay_id().0, "AutopayResumed").await["waiting"].clone();
    assert_eq!(waiting, json!([failed, sooner, later]));
    // One after the other: were one of them declined, the rest would wait.
    world.settle_at_last().await;
    for (invoice, next) in [(failed, Some(sooner)), (sooner, Some(later)), (later, None)] {
        world.is_charged_once(invoice).await;
        if let Some(next) = next {
            assert_eq!(world.charges(next).await, (0, 0));
        }
        world.live_until(world.now() + TimeDelta::seconds(5)).await;
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_retry_that_succeeds_lets_the_others_follow() {
    let (world, _) = World::with_autopay().await;
    let failed = declined(&world, SOFT).await;
    let other = world.published_due(world.today(), 10_000).await;
    world.settle_at_last().await;
    world.is_not_charged(other).await;
    world.live_until(world.autopay().await.next_retry().expect("a retry").1.at).await;
    world.is_charged_once(failed).await;
    world.is_charged_once(other).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_invoice_that_is_settled_otherwise_ends_its_pause_and_its_retries() {
    for how in ["paid", "voided"] {
        let (world, _) = World::with_autopay().await;
        let failed = declined(&world, SOFT).await;
        let at = world.autopay().await.next_retry().expect("a retry").1.at;
        let other = world.published_due(world.today(), 10_000).await;
        world.settle_at_last().await;
        if how == "paid" {
            world.paid_by_hand(failed, 10_000).await;
        } else {
            world.manage("VoidInvoice", json!({ "invoice_id": failed, "reason": "Billed twice" })).await;
        }
        world.settle_at_last().await;
        assert_eq!(world.autopay().await.status(), Status::Active);
        world.is_charged_once(other).await;
        world.live_until(at).await;
        assert_eq!(world.charges(failed).await, (1, 0));
        repeats_change_nothing(&world).await;
    }
}

#[tokio::test]
async fn a_cancel_ends_the_retries() {
    let (world, _) = World::with_autopay().await;
    let invoice = declined(&world, SOFT).await;
    let at = world.autopay().await.next_retry().expect("a retry").1.at;
    world.resident_does("CancelAutopay", json!({})).await;
    world.live_until(at).await;
    is_open_again(&world, invoice, 1).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_retry_waits_for_an_account_that_takes_no_money() {
    let (world, _) = World::with_autopay().await;
    let invoice = declined(&world, SOFT).await;
    let at = world.autopay().await.next_retry().expect("a retry").1.at;
    let account = json!({ "stripe_account_id": crate::world::ACCOUNT });
    world.manage("DisconnectStripeAccount", account.clone()).await;
    world.live_until(at + DAY).await;
    is_open_again(&world, invoice, 1).await;
    world.manage("ReconnectStripeAccount", account).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_retry_whose_payment_came_to_nothing_is_made_all_the_same() {
    for reactivated in [false, true] {
        let (world, _) = World::with_autopay().await;
        let invoice = declined(&world, SOFT).await;
        let at = world.autopay().await.next_retry().expect("a retry").1.at;
        world.stripe.script.next("create_payment_intent", Trouble::Refused("lock_timeout"));
        world.reach(at).await;
        // Begun, claimed, authorized, refused by Stripe; the timer has yet to look again.
        for _ in 0..3 {
            world.worker().drain().await.expect("work");
            world.react().await;
        }
        assert_eq!(world.payments(invoice).await.len(), 2);
        if reactivated {
            world.resident_does("ReactivateAutopay", json!({})).await;
        }
        for _ in 0..4 {
            world.settle_at_last().await;
        }
        world.is_charged_once(invoice).await;
        assert_eq!(world.autopay().await.status(), Status::Active);
        assert_eq!((world.has("ChargeFailed").await, world.waiting_tasks("RetryCharge", invoice).await), (1, 0));
        repeats_change_nothing(&world).await;
    }
}
