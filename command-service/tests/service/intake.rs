//! Received webhooks: hints that are stored, understood later, and merged in any order.

use command_service::intake;
use domain::{Payment, StripeAccount, payment::Phase};
use futures_util::future::join_all;
use processes::ports::IntentStatus;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Duration, timeout},
};
use uuid::Uuid;

use crate::{
    fakes::Trouble,
    proofs::repeats_change_nothing,
    texting::NUMBER,
    world::{ACCOUNT, World},
};

async fn note(world: &World, id: &str) -> (String, Option<String>) {
    sqlx::query_as("select state, note from engine.webhooks where external_id = $1")
        .bind(id)
        .fetch_one(world.pool())
        .await
        .expect("the webhook")
}

#[tokio::test]
async fn the_same_webhook_ten_times_at_once_is_one_posting_and_one_receipt() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    world.stripe.pay(&intent);
    let event = json!({
        "id": "evt_same", "type": "payment_intent.succeeded", "account": world.account().await,
        "data": { "object": { "object": "payment_intent", "id": intent } }
    });
    let raw = event.to_string();
    let stored = join_all((0..10).map(|_| intake::store(&world.effects, "stripe", "evt_same", raw.as_bytes()))).await;
    assert_eq!(stored.into_iter().filter(|stored| matches!(stored, Ok(true))).count(), 1);
    // And ten that differ only by their ids, understood by two workers.
    for _ in 0..10 {
        world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
    }
    let (one, other) = (world.worker(), world.worker());
    let (first, second) = futures_util::join!(one.drain(), other.drain());
    first.and(second).expect("work");
    world.settle_at_last().await;
    assert_eq!(world.times(payment, "PaymentSucceeded").await, 1);
    let invoice = world.state::<Payment>(payment).await.quote.expect("a quote").invoice.0;
    assert_eq!(world.times(invoice, "PaymentApplied").await, 1);
    assert_eq!(world.mail.times(world.message(payment).await), 1);
    assert_eq!(world.count("select count(*) from engine.webhooks where state <> 'done'").await, 0);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn late_and_stale_webhooks_undo_nothing() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    world.stripe.pay(&intent);
    for kind in ["payment_intent.succeeded", "payment_intent.processing", "payment_intent.payment_failed"] {
        world.notice(kind, &intent, Some(payment)).await;
        world.settle().await;
        assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Succeeded, "{kind}");
    }
    // Not even when the provider itself were to tell an older story.
    world.stripe.change(&intent, |intent| intent.status = IntentStatus::Processing);
    world.notice("payment_intent.processing", &intent, Some(payment)).await;
    world.settle().await;
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Succeeded);
    assert_eq!(world.times(payment, "PaymentSucceeded").await, 1);
}

#[tokio::test]
async fn a_webhook_before_the_answer_is_bound_and_the_answer_changes_nothing() {
    let world = World::new().await;
    world.community().await;
    let invoice = world.invoice().await;
    let payment = world.payment(invoice).await;
    world.stripe.script.next("create_payment_intent", Trouble::LostAfter);
    world.settle().await;
    let intent = world.stripe.intents(payment)[0].id.clone();
    world.stripe.pay(&intent);
    world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
    world.settle().await;
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Succeeded);
    world.settle_at_last().await;
    assert_eq!(world.times(invoice, "PaymentApplied").await, 1);
    assert_eq!(world.stripe.intents(payment).len(), 1);
    // A charge names only the PaymentIntent, and is known by it though our own answer never came.
    world
        .store_notice(&json!({
            "id": "evt_charge", "type": "charge.updated", "account": world.account().await,
            "data": { "object": { "object": "charge", "id": "ch_1", "payment_intent": intent } }
        }))
        .await;
    world.settle().await;
    assert_eq!(note(&world, "evt_charge").await, ("done".to_owned(), None));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn our_metadata_from_another_account_is_ignored() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    world.stripe.pay(&intent);
    let other = Uuid::now_v7();
    let connect = world.body("ConnectStripeAccount", json!({ "stripe_account_id": other }));
    world.manage("ConnectStripeAccount", connect).await;
    world.settle().await;
    let account: StripeAccount = world.state(other).await;
    let known_elsewhere = account.external().expect("an account").to_owned();
    for (number, account) in [Some("acct_stranger"), Some(known_elsewhere.as_str()), None].into_iter().enumerate() {
        for intent in [intent.as_str(), "pi_forged"] {
            let id = format!("evt_{number}_{intent}");
            world
                .store_notice(&json!({
                    "id": id, "type": "payment_intent.succeeded", "account": account,
                    "data": { "object": {
                        "object": "payment_intent", "id": intent, "metadata": { "propty_payment": payment }
                    } }
                }))
                .await;
            world.settle().await;
            assert_eq!(note(&world, &id).await.0, "ignored", "{id}");
        }
    }
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Submitted);
    assert_eq!(world.times(payment, "PaymentSucceeded").await, 0);
}

#[tokio::test]
async fn what_is_not_understood_is_kept_and_hurts_nobody() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    for (id, raw) in [
        ("evt_type", r#"{"id":"evt_type","type":"comet.sighted","data":{"object":{"object":"comet","id":"co_1"}}}"#),
        ("evt_field", r#"{"id":"evt_field","type":"payment_intent.succeeded"}"#),
        ("evt_text", "not JSON at all"),
        ("evt_bytes", "\u{0}\u{1}"),
    ] {
        intake::store(&world.effects, "stripe", id, raw.as_bytes()).await.expect("a stored webhook");
    }
    world.stripe.pay(&intent);
    world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
    world.settle().await;
    for id in ["evt_type", "evt_field", "evt_text", "evt_bytes"] {
        let (state, note) = note(&world, id).await;
        assert_eq!(state, "ignored", "{id}");
        assert!(note.is_some());
    }
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Succeeded);
}

#[tokio::test]
async fn a_webhook_is_understood_later_when_stripe_does_not_answer() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    world.stripe.pay(&intent);
    world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
    world.stripe.script.next("payment_intent", Trouble::LostBefore);
    world.stripe.script.next("payment_intent", Trouble::Retry);
    world.settle().await;
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Submitted);
    world.settle_at_last().await;
    assert_eq!(world.state::<Payment>(payment).await.phase, Phase::Succeeded);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_provider_that_takes_its_time() {
    let world = World::texting().await;
    let (payment, intent) = world.submitted().await;
    world.stripe.script.next("payment_intent", Trouble::Hangs);
    world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
    let (end, told) = watch::channel(false);
    let worker = world.worker();
    let running = tokio::spawn(async move { worker.run(told).await });
    let patience = Duration::from_secs(30);
    let begun = async {
        // Each look lets the others go on.
        while !world.stripe.script.is_used_up() {
            world.consent().await;
        }
    };
    timeout(patience, begun).await.expect("somebody asks stripe");
    world.hears(NUMBER, "STOP", None).await;
    let ended = async { while world.consent().await.standing().is_some() {} };
    timeout(patience, ended).await.expect("the word is understood while stripe thinks");
    let waiting = "select count(*) from engine.webhooks where state = 'received' and provider = 'stripe'";
    assert_eq!(world.count(waiting).await, 1);
    end.send(true).expect("a worker");
    running.await.expect("an orderly end");
}

#[tokio::test]
async fn bodies_are_sealed() {
    let world = World::new().await;
    world.community().await;
    let (payment, intent) = world.submitted().await;
    world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
    let readable = "select count(*) from engine.webhooks where position('payment_intent'::bytea in body) > 0";
    assert_eq!(world.count(readable).await, 0);
    assert_eq!(world.count("select count(*) from engine.webhooks").await, 1);
}

#[tokio::test]
async fn withdrawn_access_disconnects_our_account_and_no_other() {
    let world = World::new().await;
    world.community().await;
    let gone = |id: &str, account: &str| {
        json!({
            "id": id, "type": "account.application.deauthorized", "account": account,
            "data": { "object": { "object": "application", "id": "ca_1" } }
        })
    };
    world.store_notice(&gone("evt_1", "acct_stranger")).await;
    world.settle().await;
    assert!(world.state::<StripeAccount>(ACCOUNT).await.takes_payments());
    let account = world.account().await;
    for id in ["evt_2", "evt_3"] {
        world.store_notice(&gone(id, &account)).await;
    }
    world.settle_at_last().await;
    assert!(world.state::<StripeAccount>(ACCOUNT).await.is_disconnected());
    assert_eq!(world.times(ACCOUNT, "StripeAccountDisconnected").await, 1);
}

#[tokio::test]
async fn a_panic_over_one_webhook_neither_ends_the_worker_nor_holds_up_the_others() {
    let world = World::new().await;
    world.community().await;
    let (first, its_intent) = world.submitted().await;
    let (second, other_intent) = world.submitted().await;
    for (payment, intent) in [(first, &its_intent), (second, &other_intent)] {
        world.stripe.pay(intent);
        world.notice("payment_intent.succeeded", intent, Some(payment)).await;
    }
    world.stripe.script.next("payment_intent", Trouble::PanicBefore);
    world.worker().claim(0).await.expect("both were looked at");
    let understood = "select count(*) from engine.webhooks where state = 'done'";
    assert_eq!(world.count(understood).await, 1);
    let (again, note): (i64, Option<String>) =
        sqlx::query_as("select count(*) over (), note from engine.webhooks where state = 'received'")
            .fetch_one(world.pool())
            .await
            .expect("the other");
    assert_eq!((again, note.as_deref()), (1, Some("understanding it panicked")));
    world.settle_at_last().await;
    assert_eq!(world.count(understood).await, 2);
    for payment in [first, second] {
        assert_eq!(world.times(payment, "PaymentSucceeded").await, 1);
    }
}
