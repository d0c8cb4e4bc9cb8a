//! Kept methods: replaced, forgotten at Stripe, renewed by the card network, lost, revoked.

use domain::autopay::Status;
use events::{
    autopay::PauseReason,
    payment::PaymentMethodKind::{BankDebit, Card},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::{PASSING, stripe::Manner},
    household::autopay_id,
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::{PROPERTY, World},
};

#[tokio::test]
async fn a_replaced_method_serves_until_the_new_one_is_confirmed_and_is_then_forgotten() {
    let (world, old) = World::with_autopay().await;
    let setup = world.set_up("UpdateAutopayMethod", Card).await;
    assert_eq!(world.autopay().await.method().map(|method| &method.payment_method), Some(&old));
    assert!(!world.stripe.is_detached(&old));
    for trouble in PASSING {
        world.stripe.script.next("detach_payment_method", trouble);
    }
    let new = world.completed(setup, Card).await;
    world.settle_at_last().await;
    world.settle_at_last().await;
    assert_eq!(world.autopay().await.method().map(|method| &method.payment_method), Some(&new));
    assert!(world.stripe.is_detached(&old) && !world.stripe.is_detached(&new));
    let invoice = world.due_in(0).await;
    world.settle_at_last().await;
    assert_eq!(world.stripe.charged(world.newest(invoice).await.0), [new]);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_cancelled_method_is_forgotten_once_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    let prepare = async || {
        world.enabled(Card).await;
        world.resident_does("CancelAutopay", json!({})).await;
        world.react().await;
        autopay_id().0
    };
    survives_death_at_every_point(&world, prepare, async |_| {
        assert_eq!(world.autopay().await.status(), Status::Cancelled);
        let open = "select count(*) from engine.outbox where name = 'DetachMethod' and state <> 'done'";
        assert_eq!(world.count(open).await, 0);
    })
    .await;
    let detached = i64::try_from(world.stripe.counts()[5]).expect("few");
    let cancelled = "select count(*) from log.events where event_type = 'AutopayCancelled'";
    assert_eq!(detached, world.count(cancelled).await);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_method_is_not_forgotten_while_a_charge_with_it_is_on_its_way() {
    for update in [true, false] {
        let world = World::in_dollars().await;
        let old = world.enabled(BankDebit).await;
        world.stripe.next_charge(Manner::Processes);
        let invoice = world.due_in(0).await;
        let (payment, intent) = world.newest(invoice).await;
        if update {
            world.completed(world.set_up("UpdateAutopayMethod", BankDebit).await, BankDebit).await;
        } else {
            world.resident_does("CancelAutopay", json!({})).await;
        }
        world.settle_at_last().await;
        assert!(!world.stripe.is_detached(&old), "the bank is still at work");
        world.stripe.pay(&intent);
        world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
        world.settle_at_last().await;
        assert!(world.stripe.is_detached(&old));
        world.is_charged_once(invoice).await;
        repeats_change_nothing(&world).await;
    }
}

#[tokio::test]
async fn a_new_number_of_the_same_card_is_taken_over() {
    let (world, method) = World::with_autopay().await;
    world.stripe.change_method(&method, |method| {
        let card = method.card.as_mut().expect("a card");
        (card.last4, card.exp_year) = ("1881".to_owned(), 2033);
    });
    for _ in 0..2 {
        world
            .notice_of("payment_method.automatically_updated", json!({ "object": "payment_method", "id": method }))
            .await;
    }
    world.settle().await;
    let autopay = world.autopay().await;
    let card = autopay.method().and_then(|method| method.card.clone()).expect("a card");
    assert_eq!((card.last4.as_str(), card.exp_year), ("1881", 2033));
    assert_eq!(world.has("AutopayMethodRefreshed").await, 1);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_method_that_was_removed_at_stripe_pauses_autopay_until_there_is_a_new_one() {
    let (world, method) = World::with_autopay().await;
    let customer = world.autopay().await.method().expect("a method").customer.clone();
    let detached = json!({ "object": "payment_method", "id": method, "customer": customer });
    // A stale notice: Stripe still has it.
    world.notice_of("payment_method.detached", detached.clone()).await;
    world.settle().await;
    assert_eq!(world.autopay().await.status(), Status::Active);
    world.stripe.change_method(&method, |method| method.customer = None);
    for _ in 0..2 {
        world.notice_of("payment_method.detached", detached.clone()).await;
    }
    world.settle().await;
    assert_eq!(world.told(autopay_id().0, "AutopayPaused").await["reason"], "MethodDetached");
    world.is_told_of_the_pause(&PauseReason::MethodDetached);
    let invoice = world.due_in(0).await;
    world.settle_at_last().await;
    world.is_not_charged(invoice).await;
    world.completed(world.set_up("ReactivateAutopay", Card).await, Card).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    assert_eq!(world.has("AutopayPaused").await, 1);
    world.is_told_of_the_pause(&PauseReason::MethodDetached);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn our_own_forgetting_of_a_method_pauses_nothing() {
    let (world, old) = World::with_autopay().await;
    let customer = world.autopay().await.method().expect("a method").customer.clone();
    world.completed(world.set_up("UpdateAutopayMethod", Card).await, Card).await;
    world.settle_at_last().await;
    assert!(world.stripe.is_detached(&old));
    let detached = json!({ "object": "payment_method", "id": old, "customer": customer });
    world.notice_of("payment_method.detached", detached).await;
    world.settle().await;
    assert_eq!((world.autopay().await.status(), world.has("AutopayPaused").await), (Status::Active, 0));
}

#[tokio::test]
async fn a_revoked_mandate_pauses_autopay_for_a_new_method() {
    let world = World::in_dollars().await;
    world.enabled(BankDebit).await;
    let mandate = world.autopay().await.method().and_then(|method| method.mandate.clone()).expect("a mandate");
    let updated = json!({ "object": "mandate", "id": mandate, "status": "inactive" });
    world.notice_of("mandate.updated", updated.clone()).await;
    world.settle().await;
    assert_eq!(world.autopay().await.status(), Status::Active, "stripe says that it is active");
    world.stripe.revoke(&mandate);
    for _ in 0..2 {
        world.notice_of("mandate.updated", updated.clone()).await;
    }
    world.settle().await;
    let autopay = world.autopay().await;
    assert!(autopay.pause().is_some_and(|pause| pause.new_method_required));
    assert_eq!(world.has("AutopayPaused").await, 1);
    world.is_told_of_the_pause(&PauseReason::MandateRevoked);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_customer_that_was_deleted_at_stripe_pauses_the_charge_with_a_letter_and_does_not_block_a_new_method() {
    let (world, _) = World::with_autopay().await;
    let customer = world.autopay().await.method().expect("a method").customer.clone();
    world.stripe.delete_customer(&customer);
    let invoice = world.due_in(0).await;
    for _ in 0..3 {
        world.settle_at_last().await;
    }
    world.is_not_charged(invoice).await;
    assert_eq!(world.payments(invoice).await.len(), 1, "not again and again");
    assert_eq!(world.told(autopay_id().0, "AutopayPaused").await["reason"], "MethodDetached");
    world.is_told_of_the_pause(&PauseReason::MethodDetached);
    for trouble in [PASSING[0], PASSING[2]] {
        world.stripe.script.next("create_setup_intent", trouble);
    }
    let new = world.completed(world.set_up_at_last("ReactivateAutopay", Card).await, Card).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    assert_eq!(world.stripe.charged(world.newest(invoice).await.0), [new]);
    let now = world.autopay().await.method().expect("a method").customer.clone();
    assert_ne!(now, customer);
    // The next set-up is of the same customer.
    world.completed(world.set_up("UpdateAutopayMethod", Card).await, Card).await;
    assert_eq!(world.autopay().await.method().map(|method| method.customer.clone()), Some(now));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_deleted_customer_is_replaced_once_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    let prepare = async || {
        let method = world.enabled(Card).await;
        let customer = world.autopay().await.method().expect("a method").customer.clone();
        world.resident_does("CancelAutopay", json!({})).await;
        world.settle_at_last().await;
        assert!(world.stripe.is_detached(&method));
        world.stripe.delete_customer(&customer);
        let setup = Uuid::now_v7();
        world.resident_does("EnableAutopay", json!({ "setup_id": setup, "kind": "Card" })).await;
        world.react().await;
        setup
    };
    survives_death_at_every_point(&world, prepare, async |setup| {
        let intents = world.stripe.setups(setup);
        assert_eq!(intents.len(), 1);
        assert_eq!(world.stripe.customers(), 1, "the deleted ones were replaced by one each");
        world.completed((setup, intents[0].id.clone()), Card).await;
        world.resident_does("CancelAutopay", json!({})).await;
        world.settle_at_last().await;
    })
    .await;
}

#[tokio::test]
async fn nobody_is_told_of_a_pause_that_has_ended() {
    for composed in [false, true] {
        let (world, method) = World::with_autopay().await;
        world.stripe.change_method(&method, |method| method.customer = None);
        world.notice_of("payment_method.detached", json!({ "object": "payment_method", "id": method })).await;
        world.worker().claim(0).await.expect("webhooks");
        if composed {
            world.react().await;
            world.worker().drain().await.expect("work");
        }
        world.resident_does("CancelAutopay", json!({})).await;
        world.settle_at_last().await;
        assert_eq!((world.has("AutopayPaused").await, world.letters_of("autopay-paused")), (1, 0));
        repeats_change_nothing(&world).await;
    }
}

#[tokio::test]
async fn when_the_property_takes_its_money_elsewhere_the_resident_is_asked_for_a_new_method_and_the_invoice_waits() {
    let (world, old) = World::with_autopay().await;
    let invoice = world.due_in(2).await;
    let other = Uuid::now_v7();
    let connect = json!({ "stripe_account_id": other });
    world.manage("ConnectStripeAccount", world.body("ConnectStripeAccount", connect)).await;
    world.settle().await;
    world.manage("AssignStripeAccount", json!({ "property_id": PROPERTY, "stripe_account_id": other })).await;
    world.live_until(world.due(invoice).await).await;
    assert_eq!(world.told(autopay_id().0, "AutopayPaused").await["reason"], "AccountChanged");
    world.is_told_of_the_pause(&PauseReason::AccountChanged);
    world.is_not_charged(invoice).await;
    let new = world.completed(world.set_up("ReactivateAutopay", Card).await, Card).await;
    // The notice of these tests is of the old account: it is found by looking.
    world.advance(chrono::TimeDelta::minutes(2)).await;
    world.settle_at_last().await;
    assert_eq!(world.stripe.charged(world.newest(invoice).await.0), [new]);
    world.is_charged_once(invoice).await;
    assert!(world.stripe.is_detached(&old), "forgotten in the old account");
    world.is_told_of_the_pause(&PauseReason::AccountChanged);
    repeats_change_nothing(&world).await;
}
