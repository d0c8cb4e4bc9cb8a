//! The nightly comparison with Stripe's books: nothing to say when they agree, and every planted difference found.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use events::stripe_account::{Difference, DifferenceKind};
use processes::ports::{BalanceItem, PayoutSnapshot, PayoutStatus};
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::Trouble,
    proofs::repeats_change_nothing,
    world::{ACCOUNT, World},
};

/// Tomorrow, some minutes after three at night (UTC).
fn night(now: DateTime<Utc>) -> DateTime<Utc> {
    (now.date_naive().and_time(NaiveTime::MIN).and_utc()) + TimeDelta::days(1) + TimeDelta::minutes(185)
}

/// The next night's comparison, and the differences that it found.
async fn compared(world: &World) -> Vec<Difference> {
    let before = world.times(ACCOUNT, "AccountReconciled").await;
    world.live_until(night(world.now())).await;
    assert_eq!(world.times(ACCOUNT, "AccountReconciled").await, before + 1);
    let differences = world.told(ACCOUNT, "AccountReconciled").await["differences"].clone();
    serde_json::from_value(differences).expect("differences")
}

fn kinds(differences: &[Difference]) -> Vec<(DifferenceKind, &str)> {
    differences.iter().map(|difference| (difference.kind, difference.reference.as_str())).collect()
}

fn item(world: &World, id: &str, amount: i64) -> BalanceItem {
    BalanceItem {
        id: id.to_owned(),
        kind: "charge".to_owned(),
        amount,
        fee: 0,
        net: amount,
        currency: "CAD".to_owned(),
        source: None,
        payout: None,
        created: world.now(),
        available_on: world.now(),
    }
}

/// A payment, and Stripe's id of its movement.
async fn paid(world: &World) -> (Uuid, String) {
    let payment = world.paid().await;
    (payment, format!("txn_{}", world.stripe.intents(payment)[0].id))
}

async fn world() -> World {
    let world = World::new().await;
    world.community().await;
    // What the first comparison covers is over.
    world.live_until(night(world.now())).await;
    world
}

#[tokio::test]
async fn books_that_agree_are_said_to() {
    let world = world().await;
    for _ in 0..3 {
        paid(&world).await;
    }
    assert_eq!(compared(&world).await, []);
    assert_eq!(world.told(ACCOUNT, "AccountReconciled").await["compared"], 3);
    assert_eq!(compared(&world).await, []);
    assert_eq!(world.told(ACCOUNT, "AccountReconciled").await["compared"], 0);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn every_planted_difference_is_found() {
    let world = world().await;
    let account = world.account().await;
    let mut movements = Vec::new();
    for _ in 0..4 {
        movements.push(paid(&world).await.1);
    }
    let [missing, amount, fee, _] = movements.as_slice() else { panic!("four") };
    world.stripe.unbook(missing);
    world.stripe.change_movement(amount, |item| item.amount += 1);
    world.stripe.change_movement(fee, |item| item.fee += 1);
    world.stripe.book(&account, item(&world, "txn_unknown", 5_000));
    let differences = compared(&world).await;
    let mut found = kinds(&differences);
    found.sort_by_key(|(_, reference)| (*reference).to_owned());
    // What Stripe moved is named by what it came from.
    let source = |movement: &str| movement.replace("txn_", "ch_");
    let (amount, fee) = (source(amount), source(fee));
    let mut expected = vec![
        (DifferenceKind::NotAtStripe, missing.as_str()),
        (DifferenceKind::Amount, amount.as_str()),
        (DifferenceKind::Fee, fee.as_str()),
        (DifferenceKind::NotBooked, "txn_unknown"),
    ];
    expected.sort_by_key(|(_, reference)| (*reference).to_owned());
    assert_eq!(found, expected);
    assert_eq!(compared(&world).await, [], "each is told once");
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_payout_that_is_not_the_sum_of_its_transactions_is_found() {
    let world = world().await;
    let account = world.account().await;
    for (payout, off) in [("po_good", 0), ("po_bad", 7)] {
        let (_, movement) = paid(&world).await;
        let mut sum = 0;
        world.stripe.change_movement(&movement, |item| {
            item.payout = Some(payout.to_owned());
            sum = item.net;
        });
        let amount = sum - off;
        let own = BalanceItem {
            kind: "payout".to_owned(),
            source: Some(payout.to_owned()),
            payout: Some(payout.to_owned()),
            ..item(&world, &format!("txn_{payout}"), -amount)
        };
        world.stripe.book(&account, own);
        let snapshot = PayoutSnapshot {
            id: payout.to_owned(),
            amount,
            currency: "CAD".to_owned(),
            status: PayoutStatus::Paid,
            arrival: world.now(),
            failure: None,
            automatic: true,
            created: world.now(),
        };
        world.stripe.pay_out(&account, snapshot);
        world.notice_of("payout.paid", json!({ "object": "payout", "id": payout, "status": "paid" })).await;
        world.settle().await;
    }
    let differences = compared(&world).await;
    assert_eq!(kinds(&differences), [(DifferenceKind::Payout, "po_bad")]);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_payout_that_arrives_days_after_it_left_is_no_difference() {
    let world = world().await;
    let account = world.account().await;
    let own = BalanceItem {
        kind: "payout".to_owned(),
        source: Some("po_slow".to_owned()),
        payout: Some("po_slow".to_owned()),
        ..item(&world, "txn_po_slow", -9_000)
    };
    world.stripe.book(&account, own);
    let mut snapshot = PayoutSnapshot {
        id: "po_slow".to_owned(),
        amount: 9_000,
        currency: "CAD".to_owned(),
        status: PayoutStatus::InTransit,
        arrival: world.now(),
        failure: None,
        automatic: true,
        created: world.now(),
    };
    let tell = async |snapshot: &PayoutSnapshot| {
        world.stripe.pay_out(&account, snapshot.clone());
        world.notice_of("payout.updated", json!({ "object": "payout", "id": "po_slow", "status": "paid" })).await;
        world.settle().await;
    };
    tell(&snapshot).await;
    assert_eq!(compared(&world).await, []);
    for _ in 0..4 {
        assert_eq!(compared(&world).await, []);
    }
    snapshot.status = PayoutStatus::Paid;
    tell(&snapshot).await;
    assert_eq!(compared(&world).await, []);
}

#[tokio::test]
async fn a_debit_that_was_on_the_balance_for_days_before_it_was_booked_is_no_difference_of_the_books() {
    let world = world().await;
    let (_, movement) = paid(&world).await;
    world.stripe.change_movement(&movement, |item| item.created -= TimeDelta::days(5));
    assert_eq!(compared(&world).await, []);
}

#[tokio::test]
async fn refunds_and_disputes_are_compared_too() {
    let world = world().await;
    let account = world.account().await;
    let (payment, _) = paid(&world).await;
    let refund = Uuid::now_v7();
    let amount = world.money(1_000);
    world.manage("RefundPayment", json!({ "payment_id": payment, "refund_id": refund, "amount": amount })).await;
    world.settle_at_last().await;
    let external = world.told(payment, "RefundSucceeded").await["refund"].as_str().expect("an id").to_owned();
    let mut taken = BalanceItem { kind: "refund".to_owned(), ..item(&world, "txn_refund", -1_000) };
    taken.source = Some(external);
    world.stripe.book(&account, taken);
    let (disputed, _) = paid(&world).await;
    let intent = world.stripe.intents(disputed)[0].id.clone();
    world.stripe.dispute_payment("du_1", &intent, "fraudulent", processes::ports::DisputeStatus::NeedsResponse);
    world
        .notice_of("charge.dispute.created", json!({ "object": "dispute", "id": "du_1", "payment_intent": intent }))
        .await;
    world.settle().await;
    let differences = compared(&world).await;
    assert_eq!(kinds(&differences), [(DifferenceKind::NotAtStripe, "du_1")], "what the dispute moved is not there");
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_comparison_that_is_interrupted_is_made_again_and_told_once() {
    let world = world().await;
    paid(&world).await;
    for trouble in [Trouble::LostBefore, Trouble::PanicBefore] {
        world.stripe.script.next("balance_transactions", trouble);
    }
    world.stripe.script.next("payouts", Trouble::LostAfter);
    assert_eq!(compared(&world).await, []);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_account_is_compared_after_it_was_disconnected_too() {
    let world = world().await;
    paid(&world).await;
    world.manage("DisconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.settle().await;
    assert_eq!(compared(&world).await, []);
    assert_eq!(world.told(ACCOUNT, "AccountReconciled").await["compared"], 1);
}
