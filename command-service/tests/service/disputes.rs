//! Money that goes back or on: disputes opened, won and lost; payouts to the bank.

use chrono::{TimeDelta, Utc};
use domain::{Invoice, Payment, StripeAccount};
use events::stripe_account::PayoutStatus as Known;
use processes::ports::{DisputeStatus, PayoutSnapshot, PayoutStatus};
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::Trouble,
    household::autopay_id,
    proofs::repeats_change_nothing,
    world::{ACCOUNT, World},
};

async fn told(world: &World, dispute: &str, intent: &str, status: DisputeStatus) {
    world.stripe.dispute_payment(dispute, intent, "fraudulent", status);
    // Twice, and once with the answer lost at first.
    world.stripe.script.next("dispute", Trouble::LostBefore);
    for _ in 0..2 {
        let object = json!({ "object": "dispute", "id": dispute, "payment_intent": intent });
        world.notice_of("charge.dispute.updated", object).await;
    }
    world.settle_at_last().await;
}

async fn paid(world: &World) -> (Uuid, Uuid, String) {
    let payment = world.paid().await;
    let state: Payment = world.state(payment).await;
    (payment, state.quote.expect("a quote").invoice.0, state.intent.expect("an intent"))
}

#[tokio::test]
async fn a_dispute_takes_the_money_from_the_invoice_and_a_won_one_brings_it_back() {
    let world = World::new().await;
    world.community().await;
    let (payment, invoice, intent) = paid(&world).await;
    told(&world, "du_1", &intent, DisputeStatus::Inquiry).await;
    assert_eq!(world.balance(invoice).await, 0, "no money has moved");
    told(&world, "du_1", &intent, DisputeStatus::NeedsResponse).await;
    told(&world, "du_1", &intent, DisputeStatus::UnderReview).await;
    assert_eq!((world.balance(invoice).await, world.times(payment, "PaymentDisputed").await), (10_000, 1));
    told(&world, "du_1", &intent, DisputeStatus::Won).await;
    assert_eq!((world.balance(invoice).await, world.times(invoice, "PaymentReinstated").await), (0, 1));
    // A stale word of the dispute changes nothing any more.
    told(&world, "du_1", &intent, DisputeStatus::NeedsResponse).await;
    assert_eq!((world.balance(invoice).await, world.times(payment, "PaymentDisputeClosed").await), (0, 1));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_lost_dispute_leaves_the_invoice_open() {
    let world = World::new().await;
    world.community().await;
    let (payment, invoice, intent) = paid(&world).await;
    told(&world, "du_1", &intent, DisputeStatus::Lost).await;
    assert_eq!(world.balance(invoice).await, 10_000);
    let events = ["PaymentDisputed", "PaymentDisputeClosed"];
    for event in events {
        assert_eq!(world.times(payment, event).await, 1, "{event}");
    }
    assert!(world.state::<Invoice>(invoice).await.claim.is_none());
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_disputed_charge_by_autopay_opens_the_invoice_and_is_not_charged_again() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(0).await;
    world.settle_at_last().await;
    let (_, intent) = world.newest(invoice).await;
    told(&world, "du_1", &intent, DisputeStatus::NeedsResponse).await;
    world.live_until(world.now() + TimeDelta::days(3)).await;
    assert_eq!((world.balance(invoice).await, world.charges(invoice).await), (10_000, (1, 1)));
    assert_eq!(world.times(autopay_id().0, "ChargeFailed").await, 0, "a card that is disputed has not come back");
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_dispute_that_is_about_another_payment_or_account_is_ignored() {
    let world = World::new().await;
    world.community().await;
    let (payment, _, intent) = paid(&world).await;
    let (_, other) = world.submitted().await;
    world.stripe.dispute_payment("du_1", &other, "fraudulent", DisputeStatus::Lost);
    world
        .notice_of("charge.dispute.created", json!({ "object": "dispute", "id": "du_1", "payment_intent": intent }))
        .await;
    world.settle().await;
    assert_eq!(world.times(payment, "PaymentDisputed").await, 0);
}

#[tokio::test]
async fn a_payout_is_recorded_from_its_webhooks_and_never_goes_back() {
    let world = World::new().await;
    world.community().await;
    let account = world.account().await;
    let tell = async |status, failure: Option<&str>| {
        let snapshot = PayoutSnapshot {
            id: "po_1".to_owned(),
            amount: 9_680,
            currency: "CAD".to_owned(),
            status,
            arrival: Utc::now(),
            failure: failure.map(str::to_owned),
            automatic: true,
            created: Utc::now(),
        };
        world.stripe.pay_out(&account, snapshot);
        for _ in 0..2 {
            world.notice_of("payout.updated", json!({ "object": "payout", "id": "po_1", "status": "paid" })).await;
        }
        world.settle_at_last().await;
        world.state::<StripeAccount>(ACCOUNT).await.payout("po_1")
    };
    assert_eq!(tell(PayoutStatus::InTransit, None).await, Some(Known::InTransit));
    assert_eq!(tell(PayoutStatus::Paid, None).await, Some(Known::Paid));
    assert_eq!(tell(PayoutStatus::Pending, None).await, Some(Known::Paid));
    assert_eq!(tell(PayoutStatus::Failed, Some("account_closed")).await, Some(Known::Failed));
    assert_eq!(world.told(ACCOUNT, "PayoutRecorded").await["failure"], "account_closed");
    assert_eq!(world.times(ACCOUNT, "PayoutRecorded").await, 3);
    world.notice_of("payout.paid", json!({ "object": "payout", "id": "po_unknown", "status": "paid" })).await;
    world.settle().await;
    assert_eq!(world.times(ACCOUNT, "PayoutRecorded").await, 3);
    repeats_change_nothing(&world).await;
}
