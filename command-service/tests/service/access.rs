//! Charges while Stripe refuses access: held, not begun again and again; what is refused for good is seen and can go on.

use chrono::TimeDelta;
use domain::autopay::Status;
use serde_json::json;

use crate::{
    fakes::Trouble,
    proofs::repeats_change_nothing,
    world::{ACCOUNT, World},
};

const LOST: Trouble = Trouble::Refused("account_unavailable");
const KEY: Trouble = Trouble::Refused("platform_key_refused");

#[tokio::test]
async fn a_charge_that_finds_the_account_taken_away_is_held_and_made_after_the_reconnect() {
    let (world, _) = World::with_autopay().await;
    world.stripe.script.next("create_payment_intent", LOST);
    world.stripe.script.next("account", LOST);
    let invoice = world.due_in(0).await;
    for _ in 0..30 {
        world.settle_at_last().await;
    }
    assert_eq!(world.payments(invoice).await.len(), 1, "one attempt found out, no other was begun");
    assert_eq!(world.times(ACCOUNT, "StripeAccountDisconnected").await, 1, "as everybody can see");
    world.is_not_charged(invoice).await;
    assert_eq!((world.autopay().await.status(), world.has("ChargeFailed").await), (Status::Active, 0));
    assert!(world.state::<domain::Invoice>(invoice).await.claim.is_none(), "it can be paid by hand");
    world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_account_that_is_still_out_of_reach_after_a_reconnect_reads_as_disconnected_again() {
    let (world, _) = World::with_autopay().await;
    world.manage("DisconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    for times in 2..4 {
        world.stripe.script.next("account", LOST);
        world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
        world.settle_at_last().await;
        assert_eq!(world.times(ACCOUNT, "StripeAccountDisconnected").await, times);
    }
    world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.settle_at_last().await;
    let invoice = world.due_in(0).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
}

#[tokio::test]
async fn while_our_own_key_is_refused_charges_wait_and_no_account_is_taken_for_disconnected() {
    let (world, _) = World::with_autopay().await;
    for _ in 0..30 {
        world.stripe.script.next("create_payment_intent", KEY);
        world.stripe.script.next("account", KEY);
    }
    let invoice = world.due_in(0).await;
    for _ in 0..30 {
        world.hurry().await;
        world.settle().await;
    }
    assert_eq!(world.payments(invoice).await.len(), 1);
    assert_eq!(world.times(ACCOUNT, "StripeAccountDisconnected").await, 0);
    for _ in 0..10 {
        world.settle_at_last().await;
    }
    world.is_charged_once(invoice).await;
    assert_eq!((world.payments(invoice).await.len(), world.has("ChargeFailed").await), (1, 0));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_access_that_is_lost_while_an_answer_is_missing_leaves_the_claim_until_it_can_be_seen() {
    let (world, _) = World::with_autopay().await;
    world.stripe.script.next("create_payment_intent", Trouble::LostAfter);
    world.stripe.script.next("account", LOST);
    for _ in 0..6 {
        world.stripe.script.next("create_payment_intent", LOST);
        world.stripe.script.next("find_payment_intent", LOST);
    }
    let invoice = world.due_in(0).await;
    world.settle_at_last().await;
    assert!(world.state::<domain::Invoice>(invoice).await.claim.is_some(), "it may have been charged");
    assert_eq!(world.times(ACCOUNT, "StripeAccountDisconnected").await, 1);
    world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    for _ in 0..3 {
        world.settle_at_last().await;
    }
    world.is_charged_once(invoice).await;
    assert_eq!(world.charges(invoice).await, (1, 1));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_unanswered_call_that_nobody_can_look_at_is_told_and_left_to_a_person_after_a_day() {
    let (world, _) = World::with_autopay().await;
    // The process was killed during the call: there is not even a note that the answer was lost.
    world.stripe.script.next("create_payment_intent", Trouble::PanicAfter);
    for _ in 0..20 {
        world.stripe.script.next("create_payment_intent", LOST);
        world.stripe.script.next("find_payment_intent", LOST);
        world.stripe.script.next("account", LOST);
    }
    let invoice = world.due_in(0).await;
    world.settle_at_last().await;
    let payment = world.newest(invoice).await.0;
    assert_eq!(world.told(payment, "PaymentOutcomeUnknown").await["cause"], "Interrupted");
    assert_eq!(world.row("SubmitPayment", payment).await.1, "ready");
    world
        .sql("update engine.outbox set first_called_at = now() - interval '25 hours' where name = 'SubmitPayment'")
        .await;
    world.settle_at_last().await;
    let (key, state) = world.row("SubmitPayment", payment).await;
    assert_eq!((state.as_str(), world.times(payment, "PaymentOutcomeUnknown").await), ("unresolved", 1));
    assert!(world.state::<domain::Invoice>(invoice).await.claim.is_some());
    // Once it can be seen, it is found.
    world.stripe.script.forget();
    world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    assert!(world.retry(&key).await);
    for _ in 0..3 {
        world.settle_at_last().await;
    }
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_charge_that_is_refused_again_and_again_is_left_to_a_person_and_goes_on_at_their_word() {
    let (world, _) = World::with_autopay().await;
    for _ in 0..25 {
        world.stripe.script.next("create_payment_intent", Trouble::Refused("amount_too_small"));
    }
    let invoice = world.due_in(0).await;
    for _ in 0..25 {
        world.settle_at_last().await;
    }
    assert_eq!(world.payments(invoice).await.len(), 20);
    let (key, state) = world.row("ChargeWhenDue", invoice).await;
    assert_eq!(state, "unresolved");
    world.advance(TimeDelta::days(3)).await;
    world.settle_at_last().await;
    assert_eq!(world.payments(invoice).await.len(), 20, "nothing goes on by itself");
    // What was wrong is still wrong for five more, and then is not.
    assert!(world.retry(&key).await);
    for _ in 0..10 {
        world.settle_at_last().await;
    }
    assert_eq!(world.payments(invoice).await.len(), 26);
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}
