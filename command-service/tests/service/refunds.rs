//! Refunds at Stripe: the money goes back once, whatever fails on the way.

use domain::{Payment, refund::RefundPhase};
use processes::ports::RefundStatus;
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::{PASSING, Trouble},
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::World,
};

/// A refund of a part of a payment, whose submission is the only thing to do.
async fn requested(world: &World, payment: Uuid) -> Uuid {
    let refund = Uuid::now_v7();
    let amount = json!({ "amount": 100, "currency": "CAD" });
    world.manage("RefundPayment", json!({ "payment_id": payment, "refund_id": refund, "amount": amount })).await;
    world.react().await;
    refund
}

/// A quarter of an hour after the call.
async fn later(world: &World) {
    world
        .sql("update engine.outbox set first_called_at = now() - interval '16 minutes' where name = 'SubmitRefund'")
        .await;
}

async fn phase(world: &World, payment: Uuid, refund: Uuid) -> RefundPhase {
    let state: Payment = world.state(payment).await;
    state.refunds.iter().find(|known| known.id.0 == refund).expect("the refund").phase
}

async fn booked(world: &World, payment: Uuid) -> usize {
    let state: Payment = world.state(payment).await;
    world.times(state.quote.expect("a quote").invoice.0, "PaymentReversed").await
}

#[tokio::test]
async fn money_goes_back_once_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    let payment = world.paid().await;
    survives_death_at_every_point(
        &world,
        async || requested(&world, payment).await,
        async |refund| {
            assert_eq!(world.stripe.refunds(refund), 1);
            assert_eq!(phase(&world, payment, refund).await, RefundPhase::Succeeded);
        },
    )
    .await;
    assert_eq!(booked(&world, payment).await, world.times(payment, "RefundSucceeded").await);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn money_goes_back_once_however_the_call_fails() {
    let world = World::new().await;
    world.community().await;
    let payment = world.paid().await;
    for trouble in PASSING {
        let refund = requested(&world, payment).await;
        world.stripe.script.next("create_refund", trouble);
        world.stripe.script.next("create_refund", Trouble::LostBefore);
        world.settle_at_last().await;
        assert_eq!(world.stripe.refunds(refund), 1, "{trouble:?}");
        assert_eq!(phase(&world, payment, refund).await, RefundPhase::Succeeded, "{trouble:?}");
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_is_checked_before_it_is_believed() {
    let world = World::new().await;
    world.community().await;
    let payment = world.paid().await;
    for (trouble, made) in [(Trouble::LostAfter, 1), (Trouble::PanicAfter, 1), (Trouble::LostBefore, 0)] {
        let refund = requested(&world, payment).await;
        world.stripe.script.next("create_refund", trouble);
        world.settle().await;
        for _ in 0..20 {
            world.stripe.script.next("create_refund", Trouble::Refused("account_invalid"));
        }
        world.settle_at_last().await;
        if made == 0 {
            // It may still be at work for a while.
            assert_eq!(phase(&world, payment, refund).await, RefundPhase::Unknown);
            later(&world).await;
            world.settle_at_last().await;
        }
        world.stripe.script.forget();
        assert_eq!(world.stripe.refunds(refund), made);
        let expected = if made == 1 { RefundPhase::Succeeded } else { RefundPhase::Failed };
        assert_eq!(phase(&world, payment, refund).await, expected, "{trouble:?}");
    }
    let refund = requested(&world, payment).await;
    world.stripe.script.next("create_refund", Trouble::LostAfter);
    world.stripe.script.next("create_refund", Trouble::Refused("account_invalid"));
    world.stripe.script.next("find_refund", Trouble::Refused("account_invalid"));
    world.settle_at_last().await;
    assert_eq!(phase(&world, payment, refund).await, RefundPhase::Unknown);
    let (key, state) = world.row("SubmitRefund", refund).await;
    assert_eq!(state, "unresolved");
    assert!(world.retry(&key).await);
    world.settle().await;
    assert_eq!(phase(&world, payment, refund).await, RefundPhase::Succeeded);
    assert_eq!(world.stripe.refunds(refund), 1);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_refused_refund_can_be_asked_for_again() {
    let world = World::new().await;
    world.community().await;
    let payment = world.paid().await;
    world.stripe.script.next("create_refund", Trouble::Refused("insufficient_funds"));
    let refund = requested(&world, payment).await;
    world.settle().await;
    assert_eq!(phase(&world, payment, refund).await, RefundPhase::Failed);
    let again = requested(&world, payment).await;
    world.settle().await;
    assert_eq!(phase(&world, payment, again).await, RefundPhase::Succeeded);
    assert_eq!((world.stripe.refunds(refund), world.stripe.refunds(again)), (0, 1));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn after_the_keys_time_a_lost_refund_is_looked_up_and_never_made_again() {
    let world = World::new().await;
    world.community().await;
    let payment = world.paid().await;
    for (trouble, made) in [(Trouble::LostAfter, 1), (Trouble::LostBefore, 0)] {
        let refund = requested(&world, payment).await;
        world.stripe.script.next("create_refund", trouble);
        world.settle().await;
        world.stripe.forget_keys();
        world.sql("update engine.outbox set first_called_at = now() - interval '25 hours' where calling").await;
        world.settle_at_last().await;
        assert_eq!(world.stripe.refunds(refund), made);
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_pending_refund_is_looked_at_until_it_ends() {
    let world = World::new().await;
    world.community().await;
    let payment = world.paid().await;
    let refund = requested(&world, payment).await;
    world.stripe.script.next("create_refund", Trouble::LostAfter);
    world.settle().await;
    world.stripe.change_refunds(RefundStatus::Pending);
    for _ in 0..60 {
        world.hurry().await;
        world.worker().drain().await.expect("a look");
    }
    assert_eq!(world.row("SubmitRefund", refund).await.1, "ready");
    world.stripe.change_refunds(RefundStatus::Succeeded);
    world.settle_at_last().await;
    assert_eq!(phase(&world, payment, refund).await, RefundPhase::Succeeded);
    assert_eq!(world.stripe.refunds(refund), 1);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_pending_refund_that_cannot_be_shown_is_still_pending() {
    let world = World::new().await;
    world.community().await;
    let payment = world.paid().await;
    let refund = requested(&world, payment).await;
    world.stripe.script.next("create_refund", Trouble::LostAfter);
    world.settle().await;
    world.stripe.change_refunds(RefundStatus::Pending);
    world.hurry().await;
    world.worker().drain().await.expect("a look that finds it pending");
    world.stripe.script.next("refund", Trouble::Refused("account_invalid"));
    world.hurry().await;
    world.worker().drain().await.expect("a look that is refused");
    assert_ne!(phase(&world, payment, refund).await, RefundPhase::Failed);
    world.stripe.change_refunds(RefundStatus::Succeeded);
    world.settle_at_last().await;
    assert_eq!(phase(&world, payment, refund).await, RefundPhase::Succeeded);
    assert_eq!(world.stripe.refunds(refund), 1);
}

#[tokio::test]
async fn a_refund_that_came_back_after_it_had_succeeded_is_booked_back_once() {
    let world = World::new().await;
    world.community().await;
    let payment = world.paid().await;
    let refund = requested(&world, payment).await;
    world.settle().await;
    let state: Payment = world.state(payment).await;
    let invoice = state.quote.expect("a quote").invoice.0;
    assert_eq!(world.balance(invoice).await, 100);
    let object = json!({
        "object": "refund", "id": world.stripe.refund_of(refund), "payment_intent": state.intent,
        "metadata": { "propty_refund": refund }
    });
    // A late word of the success first.
    world.notice_of("refund.updated", object.clone()).await;
    world.settle().await;
    assert_eq!(phase(&world, payment, refund).await, RefundPhase::Succeeded);
    world.stripe.change_refunds(RefundStatus::Failed);
    for _ in 0..3 {
        world.notice_of("refund.failed", object.clone()).await;
    }
    world.settle().await;
    assert_eq!(phase(&world, payment, refund).await, RefundPhase::Failed);
    assert_eq!((world.balance(invoice).await, world.times(invoice, "RefundUndone").await), (0, 1));
    assert_eq!(world.times(payment, "RefundReturned").await, 1);
    world.stripe.change_refunds(RefundStatus::Succeeded);
    let again = requested(&world, payment).await;
    world.settle().await;
    assert_eq!((phase(&world, payment, again).await, world.balance(invoice).await), (RefundPhase::Succeeded, 100));
}

#[tokio::test]
async fn what_was_given_back_in_stripes_dashboard_is_booked_once_and_not_given_again() {
    let world = World::new().await;
    world.community().await;
    for kind in ["charge.refunded", "refund.created"] {
        let payment = world.paid().await;
        let state: Payment = world.state(payment).await;
        let (invoice, intent) = (state.quote.expect("a quote").invoice.0, state.intent.expect("an intent"));
        // Ours is under way at the same time, and is not taken for another.
        let ours = requested(&world, payment).await;
        world.stripe.script.next("create_refund", Trouble::LostAfter);
        world.worker().drain().await.expect("a call without an answer");
        let refund = world.stripe.refund_in_the_dashboard(&intent, 6_000);
        let object = if kind == "refund.created" {
            json!({ "object": "refund", "id": refund, "payment_intent": intent, "metadata": {} })
        } else {
            json!({ "object": "charge", "id": "ch_1", "payment_intent": intent })
        };
        for _ in 0..3 {
            world.notice_of(kind, object.clone()).await;
        }
        world.settle_at_last().await;
        let state: Payment = world.state(payment).await;
        assert_eq!(state.refunds.len(), 2, "{kind}");
        assert_eq!(phase(&world, payment, ours).await, RefundPhase::Succeeded);
        assert_eq!((world.balance(invoice).await, world.times(invoice, "PaymentReversed").await), (6_100, 2), "{kind}");
        assert_eq!(world.stripe.refunds(ours), 1);
        let again = json!({
            "payment_id": payment, "refund_id": Uuid::now_v7(), "amount": { "amount": 5_000, "currency": "CAD" }
        });
        assert!(world.execute(world.manager(), "RefundPayment", again).await.is_err(), "only what is left");
        assert_eq!(state.refunds.iter().filter(|known| known.amount.amount() == 6_000).count(), 1);
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_refund_that_stripe_does_not_show_at_once_is_waited_for_and_counts_when_it_shows_up_later() {
    let world = World::new().await;
    world.community().await;
    let payment = world.paid().await;
    let intent = world.state::<Payment>(payment).await.intent.expect("an intent");
    let refund = requested(&world, payment).await;
    for _ in 0..12 {
        world.stripe.script.next("create_refund", Trouble::Failing);
    }
    for _ in 0..6 {
        world.hurry().await;
        world.settle().await;
    }
    assert_eq!(phase(&world, payment, refund).await, RefundPhase::Unknown, "one list without it proves nothing");
    later(&world).await;
    world.settle_at_last().await;
    assert_eq!(phase(&world, payment, refund).await, RefundPhase::Failed);
    // It was made all the same.
    let external = world.stripe.refund_in_the_dashboard(&intent, 100);
    world.stripe.name_refund(&external, refund);
    let object = json!({
        "object": "refund", "id": external, "payment_intent": intent, "metadata": { "propty_refund": refund }
    });
    for _ in 0..2 {
        world.notice_of("refund.updated", object.clone()).await;
    }
    world.settle_at_last().await;
    assert_eq!(phase(&world, payment, refund).await, RefundPhase::Succeeded);
    assert_eq!((booked(&world, payment).await, world.stripe.refunds(refund)), (1, 1));
    repeats_change_nothing(&world).await;
}
