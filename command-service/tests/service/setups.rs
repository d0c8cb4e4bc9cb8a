//! Set-ups of a method: begun once at Stripe, active only once Stripe says so, whatever fails on the way.

use chrono::TimeDelta;
use domain::autopay::{Stage, Status};
use events::payment::PaymentMethodKind::{BankDebit, Card};
use processes::ports::SetupState;
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::{PASSING, Trouble},
    household::autopay_id,
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::World,
};

/// A set-up whose beginning is the only thing to do.
async fn requested(world: &World) -> Uuid {
    let setup = Uuid::now_v7();
    world.resident_does("EnableAutopay", json!({ "setup_id": setup })).await;
    world.react().await;
    setup
}

async fn is_begun_once(world: &World, setup: Uuid) {
    let intents = world.stripe.setups(setup);
    assert_eq!(intents.len(), 1);
    let autopay = world.autopay().await;
    let pending = autopay.pending_setup().expect("a set-up");
    assert_eq!((pending.id.0, pending.intent.as_ref()), (setup, Some(&intents[0].id)));
    assert_eq!(world.stripe.counts()[3], 1, "one customer");
}

#[tokio::test]
async fn a_set_up_that_stripe_confirms_makes_autopay_active() {
    let world = World::new().await;
    world.community().await;
    let (setup, intent) = world.set_up("EnableAutopay", Card).await;
    assert_eq!(world.autopay().await.status(), Status::SetupPending);
    is_begun_once(&world, setup).await;
    let method = world.completed((setup, intent), Card).await;
    let autopay = world.autopay().await;
    assert_eq!(autopay.status(), Status::Active);
    let known = autopay.method().expect("a method");
    assert_eq!((&known.payment_method, known.card.as_ref().map(|card| card.last4.as_str())), (&method, Some("4242")));
    assert_eq!(
        world.history(autopay_id().0).await,
        ["AutopaySetupRequested", "AutopaySetupSubmitted", "AutopayActivated"]
    );
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_set_up_is_begun_once_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    survives_death_at_every_point(
        &world,
        async || requested(&world).await,
        async |setup| is_begun_once(&world, setup).await,
    )
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_set_up_is_begun_once_however_the_calls_fail() {
    for call in ["create_customer", "create_setup_intent"] {
        for trouble in PASSING {
            let world = World::new().await;
            world.community().await;
            let setup = requested(&world).await;
            world.stripe.script.next(call, trouble);
            world.stripe.script.next(call, Trouble::LostAfter);
            world.settle_at_last().await;
            is_begun_once(&world, setup).await;
            repeats_change_nothing(&world).await;
        }
    }
}

#[tokio::test]
async fn a_webhook_before_the_answer_activates_and_the_answer_changes_nothing() {
    let world = World::new().await;
    world.community().await;
    world.stripe.script.next("create_setup_intent", Trouble::LostAfter);
    let (setup, intent) = world.set_up("EnableAutopay", Card).await;
    assert_eq!(world.autopay().await.setup().and_then(|setup| setup.intent.clone()), None);
    world.completed((setup, intent), Card).await;
    assert_eq!(world.autopay().await.status(), Status::Active);
    world.settle_at_last().await;
    assert_eq!((world.stripe.setups(setup).len(), world.has("AutopayActivated").await), (1, 1));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn lost_webhooks_of_a_set_up_are_made_up_for_by_looking() {
    let world = World::new().await;
    world.community().await;
    let (_, intent) = world.set_up("EnableAutopay", Card).await;
    world.advance(TimeDelta::minutes(2)).await;
    world.settle_at_last().await;
    assert_eq!(world.autopay().await.status(), Status::SetupPending);
    world.stripe.complete_setup(&intent, Card);
    for trouble in [Trouble::LostBefore, Trouble::PanicAfter] {
        world.stripe.script.next("setup_intent", trouble);
    }
    world.settle_at_last().await;
    assert_eq!(world.autopay().await.status(), Status::Active);
    let open = "select count(*) from engine.outbox where name = 'WatchSetup' and state <> 'done'";
    assert_eq!(world.count(open).await, 0);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_refused_card_can_be_followed_by_another_and_a_cancelled_set_up_has_failed() {
    let world = World::new().await;
    world.community().await;
    let (setup, intent) = world.set_up("EnableAutopay", Card).await;
    world.stripe.refuse_setup(&intent, "card_declined");
    world.setup_notice("setup_intent.setup_failed", &intent, setup).await;
    world.settle().await;
    assert_eq!(world.autopay().await.status(), Status::SetupPending);
    world.stripe.change_setup(&intent, |setup| setup.state = SetupState::Canceled);
    world.setup_notice("setup_intent.canceled", &intent, setup).await;
    world.settle().await;
    assert_eq!(world.autopay().await.setup().expect("a set-up").stage, Stage::Failed);
    assert_eq!(world.has("AutopaySetupFailed").await, 1);
    // The next one goes well.
    world.enabled(Card).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_set_up_that_stripe_refuses_has_failed() {
    let world = World::new().await;
    world.community().await;
    for call in ["create_customer", "create_setup_intent"] {
        world.stripe.script.next(call, Trouble::Refused("account_invalid"));
        let setup = requested(&world).await;
        world.settle().await;
        assert!(world.stripe.setups(setup).is_empty());
        assert_eq!(world.told(autopay_id().0, "AutopaySetupFailed").await["code"], "account_invalid");
    }
    assert_eq!(world.has("AutopaySetupFailed").await, 2);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn small_deposits_are_awaited_for_days_and_then_confirmed_or_not() {
    for confirmed in [true, false] {
        let world = World::in_dollars().await;
        let (setup, intent) = world.set_up("EnableAutopay", BankDebit).await;
        world.stripe.change_setup(&intent, |setup| setup.state = SetupState::MicrodepositsPending);
        world.setup_notice("setup_intent.requires_action", &intent, setup).await;
        world.settle().await;
        let stage = world.autopay().await.setup().expect("a set-up").stage;
        assert_eq!(stage, Stage::ActionRequired { microdeposits: true });
        world.advance(TimeDelta::days(2)).await;
        world.settle_at_last().await;
        assert_eq!(world.autopay().await.status(), Status::SetupPending);
        if confirmed {
            world.stripe.complete_setup(&intent, BankDebit);
        } else {
            world.stripe.refuse_setup(&intent, "payment_method_microdeposit_failed");
        }
        world.setup_notice("setup_intent.updated", &intent, setup).await;
        world.settle_at_last().await;
        let expected = if confirmed { (Status::Active, Stage::Succeeded) } else { (Status::None, Stage::Failed) };
        let autopay = world.autopay().await;
        assert_eq!((autopay.status(), autopay.setup().expect("a set-up").stage), expected);
        if confirmed {
            let method = autopay.method().expect("a method");
            assert_eq!(method.bank.as_ref().map(|bank| bank.last4.as_str()), Some("6789"));
            assert!(method.mandate.is_some());
        }
        repeats_change_nothing(&world).await;
    }
}

#[tokio::test]
async fn our_metadata_on_another_accounts_set_up_is_ignored() {
    let world = World::new().await;
    world.community().await;
    let other = Uuid::now_v7();
    let connect = world.body("ConnectStripeAccount", json!({ "stripe_account_id": other }));
    world.manage("ConnectStripeAccount", connect).await;
    world.settle().await;
    let account: domain::StripeAccount = world.state(other).await;
    let setup = requested(&world).await;
    let metadata = json!({ "propty_setup": setup, "propty_enrollment": autopay_id() });
    world
        .store_notice(&json!({
            "id": "evt_foreign", "type": "setup_intent.succeeded", "account": account.external(),
            "data": { "object": { "object": "setup_intent", "id": "seti_foreign", "metadata": metadata } }
        }))
        .await;
    command_service::intake::process(&world.effects, command_service::intake::Intake::Others)
        .await
        .expect("an understood webhook");
    let ignored = "select count(*) from engine.webhooks where external_id = 'evt_foreign' and state = 'ignored'";
    assert_eq!(world.count(ignored).await, 1);
    assert_eq!(world.has("AutopaySetupSubmitted").await, 0);
    // Nor once the set-up is known.
    world.settle().await;
    is_begun_once(&world, setup).await;
    world
        .store_notice(&json!({
            "id": "evt_late", "type": "setup_intent.succeeded", "account": account.external(),
            "data": { "object": { "object": "setup_intent", "id": "seti_foreign", "metadata": metadata } }
        }))
        .await;
    world.settle().await;
    assert_eq!(world.autopay().await.status(), Status::SetupPending);
}

#[tokio::test]
async fn a_second_set_up_overtakes_the_first_whose_completion_counts_for_nothing() {
    let world = World::new().await;
    world.community().await;
    let first = world.set_up("EnableAutopay", Card).await;
    let second = world.set_up("EnableAutopay", Card).await;
    world.completed(first, Card).await;
    assert_eq!(world.autopay().await.status(), Status::SetupPending);
    let method = world.completed(second, Card).await;
    assert_eq!(world.autopay().await.method().map(|method| method.payment_method.clone()), Some(method));
    repeats_change_nothing(&world).await;
}
