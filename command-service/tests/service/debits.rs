//! Bank debits by autopay: under way for days, then paid, failed, or back after they were paid.

use chrono::TimeDelta;
use domain::{Payment, autopay::Status, payment::Phase};
use events::payment::PaymentMethodKind::BankDebit;
use processes::ports::{Decline, DisputeStatus, IntentStatus};
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::stripe::Manner,
    household::{CHARGED, FAILED, autopay_id},
    proofs::repeats_change_nothing,
    world::World,
};

const DAY: TimeDelta = TimeDelta::days(1);

/// A debit that is under way: its invoice, payment and PaymentIntent.
async fn under_way() -> (World, Uuid, Uuid, String) {
    let world = World::in_dollars().await;
    world.enabled(BankDebit).await;
    world.stripe.next_charge(Manner::Processes);
    let invoice = world.due_in(0).await;
    world.settle_at_last().await;
    let (payment, intent) = world.newest(invoice).await;
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Processing);
    (world, invoice, payment, intent)
}

async fn fails(world: &World, payment: Uuid, intent: &str, code: &str) {
    world.stripe.change(intent, |intent| {
        intent.status = IntentStatus::RequiresPaymentMethod;
        intent.charge = Some(format!("py_{}", intent.id));
        intent.decline = Some(Decline { code: code.to_owned(), decline_code: None, advice: None });
    });
    world.notice("payment_intent.payment_failed", intent, Some(payment)).await;
    world.settle_at_last().await;
}

async fn succeeds(world: &World, payment: Uuid, intent: &str) {
    world.stripe.pay(intent);
    world.notice("payment_intent.succeeded", intent, Some(payment)).await;
    world.settle_at_last().await;
}

async fn comes_back(world: &World, intent: &str, reason: &str) {
    let dispute = format!("du_{}", Uuid::now_v7().simple());
    world.stripe.dispute_payment(&dispute, intent, reason, DisputeStatus::Lost);
    for kind in ["charge.dispute.created", "charge.dispute.closed"] {
        world.notice_of(kind, json!({ "object": "dispute", "id": dispute, "payment_intent": intent })).await;
    }
    world.settle_at_last().await;
}

#[tokio::test]
async fn a_debit_is_under_way_for_days_without_a_reminder_and_then_paid() {
    let (world, invoice, payment, intent) = under_way().await;
    for _ in 0..5 {
        world.live_until(world.now() + DAY).await;
        assert_eq!(world.charges(invoice).await, (1, 0));
        assert_eq!(world.letters("payment-reminder", invoice), 0);
        assert_eq!(world.letters(CHARGED, invoice), 0);
    }
    succeeds(&world, payment, &intent).await;
    world.is_charged_once(invoice).await;
    world.live_until(world.now() + DAY * 2).await;
    assert_eq!(world.letters("payment-reminder", invoice), 0);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_uncovered_debit_is_presented_again_at_most_twice() {
    let (world, invoice, mut payment, mut intent) = under_way().await;
    for presented in 1..=3 {
        world.live_until(world.now() + DAY * 3).await;
        fails(&world, payment, &intent, "insufficient_funds").await;
        assert_eq!(world.letters(FAILED, invoice), presented);
        let retry = world.autopay().await.next_retry();
        if presented == 3 {
            assert_eq!(retry, None, "as often as the bank network allows");
            break;
        }
        world.stripe.next_charge(Manner::Processes);
        world.live_until(retry.expect("a retry").1.at).await;
        let next = world.newest(invoice).await;
        assert_ne!(next.0, payment);
        (payment, intent) = next;
    }
    assert!(world.autopay().await.pause().is_some_and(|pause| pause.new_method_required));
    world.live_until(world.now() + DAY * 10).await;
    assert_eq!(world.charges(invoice).await, (3, 0));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_debit_from_a_closed_account_is_not_presented_again() {
    let (world, invoice, payment, intent) = under_way().await;
    fails(&world, payment, &intent, "account_closed").await;
    let autopay = world.autopay().await;
    assert!(autopay.pause().is_some_and(|pause| pause.new_method_required));
    assert_eq!((autopay.next_retry(), world.letters(FAILED, invoice)), (None, 1));
    world.live_until(world.now() + DAY * 10).await;
    assert_eq!(world.charges(invoice).await, (1, 0));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_paid_debit_that_comes_back_opens_the_invoice_and_pauses_autopay() {
    let (world, invoice, payment, intent) = under_way().await;
    succeeds(&world, payment, &intent).await;
    world.is_charged_once(invoice).await;
    let total = world.stripe.intents(payment)[0].amount;
    assert!(total >= 10_000);
    comes_back(&world, &intent, "debit_not_authorized").await;
    assert_eq!(world.balance(invoice).await, 10_000);
    for (stream, event) in [
        (payment, "PaymentDisputed"),
        (payment, "PaymentDisputeClosed"),
        (invoice, "PaymentReversed"),
        (autopay_id().0, "ChargeFailed"),
        (autopay_id().0, "AutopayPaused"),
    ] {
        assert_eq!(world.times(stream, event).await, 1, "{event}");
    }
    let reason = world.told(autopay_id().0, "AutopayPaused").await["reason"].clone();
    assert_eq!(reason, json!({ "Returned": { "code": "debit_not_authorized" } }));
    assert!(world.autopay().await.pause().is_some_and(|pause| pause.new_method_required));
    assert_eq!(world.letters(FAILED, invoice), 1);
    world.live_until(world.now() + DAY * 10).await;
    assert_eq!(world.charges(invoice).await, (1, 1), "nobody tries by themselves");
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_return_after_a_cancel_opens_the_invoice_and_pauses_nothing() {
    let (world, invoice, payment, intent) = under_way().await;
    succeeds(&world, payment, &intent).await;
    world.resident_does("CancelAutopay", json!({})).await;
    comes_back(&world, &intent, "insufficient_funds").await;
    assert_eq!((world.balance(invoice).await, world.autopay().await.status()), (10_000, Status::Cancelled));
    assert_eq!(world.has("AutopayPaused").await, 0);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_cancel_while_the_bank_is_at_work_lets_the_debit_end() {
    let (world, invoice, payment, intent) = under_way().await;
    world.resident_does("CancelAutopay", json!({})).await;
    world.live_until(world.now() + DAY).await;
    succeeds(&world, payment, &intent).await;
    world.is_charged_once(invoice).await;
    assert_eq!(world.autopay().await.status(), Status::Cancelled);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn lost_webhooks_of_a_debit_are_made_up_for_by_looking() {
    let (world, invoice, _, intent) = under_way().await;
    world.live_until(world.now() + DAY * 4).await;
    world.stripe.pay(&intent);
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn nobody_cancels_a_payment_of_autopay_by_hand() {
    let (world, invoice, payment, intent) = under_way().await;
    for ask in [world.manager(), world.resident()] {
        let refused = world.execute(ask, "CancelPayment", json!({ "payment_id": payment })).await;
        let told = refused.expect_err("a refusal").to_string();
        assert!(told.contains("autopay"), "{told}");
    }
    succeeds(&world, payment, &intent).await;
    world.is_charged_once(invoice).await;
    // Nor one that a bank has yet to be asked about.
    let invoice = world.published_due(world.today(), 10_000).await;
    world.react().await;
    world.worker().drain().await.expect("work");
    let payment = world.payments(invoice).await[0];
    assert!(world.execute(world.manager(), "CancelPayment", json!({ "payment_id": payment })).await.is_err());
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
}

#[tokio::test]
async fn a_debit_is_watched_through_a_disconnection_until_its_end_is_seen() {
    let (world, invoice, _, intent) = under_way().await;
    world.manage("DisconnectStripeAccount", json!({ "stripe_account_id": crate::world::ACCOUNT })).await;
    for _ in 0..8 {
        world.stripe.script.next("payment_intent", crate::fakes::Trouble::Refused("account_unavailable"));
    }
    world.live_until(world.now() + DAY).await;
    assert_eq!(world.waiting_tasks("WatchPayment", payment_of(&world, invoice).await).await, 1, "still watched");
    assert_eq!(world.count("select count(*) from engine.outbox where state = 'unresolved'").await, 0);
    // The bank pays, nobody tells, and in the end the account is there again.
    world.stripe.pay(&intent);
    world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": crate::world::ACCOUNT })).await;
    for _ in 0..3 {
        world.settle_at_last().await;
    }
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}

async fn payment_of(world: &World, invoice: Uuid) -> Uuid {
    world.newest(invoice).await.0
}

#[tokio::test]
async fn the_account_that_is_debited_is_known_while_the_bank_is_at_work() {
    let (world, _, payment, _) = under_way().await;
    assert_eq!(world.told(payment, "PaymentProcessing").await["bank"]["last4"], "6789");
}
