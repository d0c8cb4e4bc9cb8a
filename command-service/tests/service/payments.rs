//! Payments at Stripe: one PaymentIntent, one booking, one receipt, whatever fails on the way.

use chrono::TimeDelta;
use command_service::outbox;
use domain::{Invoice, Payment, payment::Phase};
use processes::ports::IntentStatus;
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::{PASSING, Trouble},
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::World,
};

/// A payment whose submission is the only thing to do.
async fn to_be_submitted(world: &World) -> Uuid {
    let invoice = world.invoice().await;
    let payment = world.payment(invoice).await;
    world.react().await;
    world.worker().drain().await.expect("a reservation");
    world.react().await;
    payment
}

/// Stripe holds one PaymentIntent of it, and it can be paid and booked once.
async fn is_at_stripe_once(world: &World, payment: Uuid) {
    let intents = world.stripe.intents(payment);
    assert_eq!(intents.len(), 1);
    let state: Payment = world.state(payment).await;
    assert_eq!((state.phase, state.intent), (Phase::Submitted, Some(intents[0].id.clone())));
    assert_eq!(world.row("SubmitPayment", payment).await.1, "done");
}

#[tokio::test]
async fn a_payment_is_submitted_once_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    survives_death_at_every_point(
        &world,
        async || to_be_submitted(&world).await,
        async |payment| is_at_stripe_once(&world, payment).await,
    )
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_payment_is_submitted_once_however_the_call_fails() {
    let world = World::new().await;
    world.community().await;
    for trouble in PASSING {
        let payment = to_be_submitted(&world).await;
        world.stripe.script.next("create_payment_intent", trouble);
        world.stripe.script.next("create_payment_intent", Trouble::LostAfter);
        world.settle().await;
        world.settle_at_last().await;
        is_at_stripe_once(&world, payment).await;
        assert_eq!(world.times(payment, "PaymentOutcomeUnknown").await, 1, "{trouble:?}");
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_booking_is_made_once_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    let prepare = async || {
        let (payment, intent) = world.submitted().await;
        world.stripe.pay(&intent);
        world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
        payment
    };
    survives_death_at_every_point(&world, prepare, async |payment| {
        assert_eq!(world.times(payment, "PaymentSucceeded").await, 1);
        let state: Payment = world.state(payment).await;
        let invoice = state.quote.expect("a quote").invoice.0;
        assert_eq!(world.times(invoice, "PaymentApplied").await, 1);
        assert_eq!(world.mail.times(world.message(payment).await), 1, "one receipt");
    })
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_refused_payment_gives_the_invoice_back() {
    let world = World::new().await;
    world.community().await;
    let invoice = world.invoice().await;
    world.stripe.script.next("create_payment_intent", Trouble::Refused("account_invalid"));
    let payment = world.payment(invoice).await;
    world.settle().await;
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Canceled);
    assert!(world.state::<Invoice>(invoice).await.claim.is_none());
    assert!(world.stripe.intents(payment).is_empty());
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn another_body_under_the_key_is_left_to_a_person() {
    let world = World::new().await;
    world.community().await;
    let payment = to_be_submitted(&world).await;
    world.stripe.script.next("create_payment_intent", Trouble::Refused("idempotency_error"));
    world.settle_at_last().await;
    let (key, state) = world.row("SubmitPayment", payment).await;
    assert_eq!(state, "unresolved");
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Submitting);
    assert!(world.retry(&key).await);
    world.settle().await;
    is_at_stripe_once(&world, payment).await;
}

#[tokio::test]
async fn after_the_keys_time_a_lost_payment_is_looked_up_and_never_created_again() {
    let world = World::new().await;
    world.community().await;
    for (trouble, phase) in [(Trouble::LostAfter, Phase::Submitted), (Trouble::LostBefore, Phase::Canceled)] {
        let payment = to_be_submitted(&world).await;
        world.stripe.script.next("create_payment_intent", trouble);
        world.settle().await;
        world.stripe.forget_keys();
        world.sql("update engine.outbox set first_called_at = now() - interval '25 hours' where calling").await;
        world.settle_at_last().await;
        let made = usize::from(trouble == Trouble::LostAfter);
        assert_eq!((world.stripe.intents(payment).len(), world.state::<Payment>(payment).await.phase), (made, phase));
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn lost_webhooks_are_made_up_for_by_looking_for_days() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    world.advance(TimeDelta::minutes(2)).await;
    for _ in 0..60 {
        world.hurry().await;
        world.worker().drain().await.expect("a look");
    }
    // A look that went well is no failed attempt: one failure after many of them leaves nobody with it.
    world.stripe.script.next("payment_intent", Trouble::PanicBefore);
    world.settle_at_last().await;
    assert_eq!(world.row("WatchPayment", payment).await.1, "ready");
    world.stripe.pay(&intent);
    world.settle_at_last().await;
    assert_eq!(world.times(payment, "PaymentSucceeded").await, 1);
    assert_eq!(world.row("WatchPayment", payment).await.1, "done");
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_payment_that_is_not_completed_in_time_is_canceled() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    world.advance(TimeDelta::minutes(95)).await;
    world.settle_at_last().await;
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Canceled);
    assert_eq!(world.stripe.intents(payment)[0].status, IntentStatus::Canceled);
    assert_eq!(world.row("CancelPayment", payment).await.1, "done");
    assert!(intent.starts_with("pi_"));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_cancellation_after_a_refused_one_reaches_stripe() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    // The resident has just confirmed, so Stripe refuses; then the bank declines.
    world.stripe.change(&intent, |intent| intent.status = IntentStatus::Processing);
    world.manage("CancelPayment", json!({ "payment_id": payment })).await;
    world.settle().await;
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Processing);
    world.stripe.decline(&intent);
    world.settle_at_last().await;
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Canceled);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_cancellation_that_comes_after_the_money_records_the_money() {
    let world = World::new().await;
    world.community().await;
    for trouble in [None, Some(Trouble::LostBefore), Some(Trouble::PanicAfter)] {
        let (payment, intent) = world.submitted().await;
        world.stripe.pay(&intent);
        if let Some(trouble) = trouble {
            world.stripe.script.next("cancel_payment_intent", trouble);
        }
        world.manage("CancelPayment", json!({ "payment_id": payment })).await;
        world.settle_at_last().await;
        assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Succeeded, "{trouble:?}");
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_cancellation_is_done_once_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    let prepare = async || {
        let (payment, _) = world.submitted().await;
        world.manage("CancelPayment", json!({ "payment_id": payment })).await;
        world.react().await;
        payment
    };
    survives_death_at_every_point(&world, prepare, async |payment| {
        assert_eq!(world.times(payment, "PaymentCanceled").await, 1);
        assert_eq!(world.stripe.intents(payment)[0].status, IntentStatus::Canceled);
    })
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_amount_that_differs_is_quarantined_and_not_booked() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    world.stripe.pay(&intent);
    world.stripe.change(&intent, |intent| intent.amount_received -= 1);
    world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
    world.settle().await;
    let state: Payment = world.state(payment).await;
    assert_eq!(state.phase, Phase::Quarantined);
    assert_eq!(world.times(state.quote.expect("a quote").invoice.0, "PaymentApplied").await, 0);
}

#[tokio::test]
async fn of_two_payments_at_once_one_claims_the_invoice_and_the_other_is_given_up() {
    let world = World::new().await;
    world.community().await;
    let invoice = world.invoice().await;
    let (first, second) = (world.payment(invoice).await, world.payment(invoice).await);
    world.settle().await;
    let claim = world.state::<Invoice>(invoice).await.claim.expect("a claim").0.0;
    let other = if claim == first { second } else { first };
    assert_eq!(world.state::<Payment>(claim).await.phase, Phase::Submitted);
    assert_eq!(world.state::<Payment>(other).await.phase, Phase::Canceled);
    assert!(world.stripe.intents(other).is_empty());
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_reservation_repeated_after_its_payment_was_given_up_does_not_hold_the_invoice() {
    let world = World::new().await;
    world.community().await;
    let invoice = world.invoice().await;
    let (first, second) = (world.payment(invoice).await, world.payment(invoice).await);
    world.settle().await;
    let claim = world.state::<Invoice>(invoice).await.claim.expect("a claim").0.0;
    let other = if claim == first { second } else { first };
    // The worker died after the other was given up; by the time its row is done again, the invoice is free.
    world.manage("CancelPayment", json!({ "payment_id": claim })).await;
    world.settle().await;
    assert!(world.state::<Invoice>(invoice).await.claim.is_none());
    world
        .sql(&format!(
            "update engine.outbox set state = 'ready', retry_at = '-infinity'
             where name = 'ReservePayment' and body::text like '%{other}%'"
        ))
        .await;
    world.settle().await;
    assert_eq!(world.state::<Payment>(other).await.phase, Phase::Canceled);
    assert!(world.state::<Invoice>(invoice).await.claim.is_none(), "nobody would ever give it back");
    assert!(world.stripe.intents(other).is_empty());
}

#[tokio::test]
async fn a_quarantined_payment_is_resolved_by_a_person_and_its_invoice_goes_on() {
    let world = World::new().await;
    world.community().await;
    for (outcome, balance) in [("NotCharged", 10_000), ("Charged", 0)] {
        let (payment, intent) = world.submitted().await;
        world.stripe.pay(&intent);
        world.stripe.change(&intent, |intent| intent.amount_received -= 1);
        world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
        world.settle().await;
        let invoice = world.state::<Payment>(payment).await.quote.expect("a quote").invoice.0;
        assert!(world.state::<Invoice>(invoice).await.claim.is_some());
        let resolve = json!({ "payment_id": payment, "outcome": outcome, "reason": "Seen in the dashboard" });
        assert!(world.execute(world.resident(), "ResolvePayment", resolve.clone()).await.is_err());
        for _ in 0..2 {
            world.manage("ResolvePayment", resolve.clone()).await;
            world.settle_at_last().await;
        }
        // Stripe's word comes again, and is no news.
        world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
        world.settle_at_last().await;
        assert!(world.state::<Invoice>(invoice).await.claim.is_none(), "{outcome}");
        assert_eq!((world.balance(invoice).await, world.times(payment, "PaymentResolved").await), (balance, 1));
        assert_eq!(world.times(payment, "PaymentQuarantined").await, 1);
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_submission_is_not_dropped_before_a_person_has_said_what_became_of_it() {
    let world = World::new().await;
    world.community().await;
    let payment = to_be_submitted(&world).await;
    world.stripe.script.next("create_payment_intent", Trouble::LostAfter);
    world.settle().await;
    world.sql("update engine.outbox set state = 'unresolved' where name = 'SubmitPayment' and state = 'ready'").await;
    let (key, state) = world.row("SubmitPayment", payment).await;
    assert_eq!(state, "unresolved");
    let engine = &world.effects.engine;
    let refused = outbox::drop_for_good(engine, &key).await.expect_err("a refusal");
    assert!(refused.to_string().contains("ResolvePayment"), "{refused}");
    assert_eq!(world.row("SubmitPayment", payment).await.1, "unresolved");
    // The resident's cancellation waits for the submission; the word ends both.
    world.execute(world.resident(), "CancelPayment", json!({ "payment_id": payment })).await.expect("a cancellation");
    let intent = world.stripe.intents(payment)[0].id.clone();
    world.stripe.pay(&intent);
    let resolve = json!({ "payment_id": payment, "outcome": "Charged", "intent": intent, "reason": "Seen at Stripe" });
    world.manage("ResolvePayment", resolve).await;
    world.advance(TimeDelta::minutes(2)).await;
    world.settle_at_last().await;
    let paid: Payment = world.state(payment).await;
    assert_eq!((paid.phase, paid.intent), (Phase::Succeeded, Some(intent.clone())));
    assert_eq!(world.balance(paid.quote.expect("a quote").invoice.0).await, 0);
    assert_eq!(world.row("CancelPayment", payment).await.1, "done");
    assert!(outbox::drop_for_good(engine, &key).await.expect("an answer"));
    // What happens to it at Stripe finds its way.
    let owned = format!("select count(*) from engine.provider_objects where external_id = '{intent}'");
    assert_eq!(world.count(&owned).await, 1);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn what_stripe_kept_in_another_currency_is_left_to_a_person_after_a_week() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    world.stripe.pay(&intent);
    world.stripe.change(&intent, |intent| {
        if let Some(booked) = &mut intent.booked {
            "eur".clone_into(&mut booked.currency);
        }
    });
    world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
    world.settle().await;
    world.advance(TimeDelta::minutes(2)).await;
    world.settle_at_last().await;
    assert_eq!(world.row("ReadSettlement", payment).await.1, "ready");
    world
        .sql("update engine.outbox set first_called_at = now() - interval '8 days' where name = 'ReadSettlement'")
        .await;
    world.settle_at_last().await;
    assert_eq!(world.row("ReadSettlement", payment).await.1, "unresolved");
    assert_eq!(world.times(payment, "PaymentSettled").await, 0);
}
