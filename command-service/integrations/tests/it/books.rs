//! Stripe's books against the sandbox: balance transactions, payouts, disputes, and differences that were planted.

use chrono::{TimeDelta, Utc};
use events::payment::PaymentMethodKind;
use processes::ports::{
    BalanceItem, BalanceRange, DisputeStatus, IntentStatus, Outcome, PayoutStatus, RefundRequest, Stripe, StripeBooks,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    autopay::off_session,
    contract::{World, done},
};

async fn all(world: &World, range: &BalanceRange) -> Vec<BalanceItem> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = done(world.stripe.balance_transactions(&world.account, range, cursor.as_deref()).await);
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return items;
        }
    }
}

fn always() -> BalanceRange {
    BalanceRange::Created { from: Utc::now() - TimeDelta::days(1), to: Utc::now() + TimeDelta::days(400) }
}

#[tokio::test]
async fn charges_refunds_and_payouts_add_up() {
    let world = World::start().await;
    let (customer, kept) = world.keep(PaymentMethodKind::Card, "pm_card_visa").await;
    let with = off_session(&customer, &kept);
    let paid = done(world.charge("invoice:0", &with).await);
    for number in 1..120 {
        done(world.charge(&format!("invoice:{number}"), &with).await);
    }
    let refund = RefundRequest {
        account: world.account.clone(),
        intent: paid.id,
        amount: 500,
        idempotency_key: "refund:1".to_owned(),
        refund: Uuid::from_u128(4),
    };
    done(world.stripe.create_refund(&refund).await);
    let items = all(&world, &always()).await;
    assert_eq!(items.len(), 121);
    assert!(items.iter().all(|item| item.net == item.amount - item.fee && item.currency == "USD"));
    let mut ids: Vec<_> = items.iter().map(|item| item.id.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 121, "no page repeats another");
    let past = BalanceRange::Created { from: Utc::now() - TimeDelta::days(9), to: Utc::now() - TimeDelta::days(8) };
    assert_eq!(all(&world, &past).await, []);

    let board = world.sandbox.switchboard();
    board.advance(3 * 86_400).expect("the clock moves");
    let id =
        board.pay_out_available(&world.account, "usd").expect("money")["id"].as_str().unwrap_or_default().to_owned();
    let payout = done(world.stripe.payout(&world.account, &id).await);
    assert_eq!((payout.amount, payout.status, payout.automatic), (120 * 9_680 - 500, PayoutStatus::InTransit, true));
    let with = all(&world, &BalanceRange::Payout(id.clone())).await;
    assert_eq!((with.len(), with.iter().map(|item| item.net).sum::<i64>()), (122, 0));
    assert!(with.iter().all(|item| item.payout.as_ref() == Some(&id)));
    board.settle_payout(&id, "failed", "account_closed").expect("a payout");
    let (from, to) = (Utc::now(), Utc::now() + TimeDelta::days(9));
    let listed = done(world.stripe.payouts(&world.account, from, to, None).await);
    assert_eq!((listed.items.len(), listed.next), (1, None));
    let failed = &listed.items[0];
    assert_eq!((failed.status, failed.failure.as_deref()), (PayoutStatus::Failed, Some("account_closed")));
}

#[tokio::test]
async fn disputes_and_late_returns_are_read_again() {
    let world = World::start().await;
    let board = world.sandbox.switchboard();
    let (customer, kept) = world.keep(PaymentMethodKind::Card, "pm_card_visa").await;
    let paid = done(world.charge("invoice:1", &off_session(&customer, &kept)).await);
    let opened = board.dispute(&paid.id, &json!({"reason": "product_not_received"})).expect("a dispute");
    let id = opened["id"].as_str().unwrap_or_default();
    let dispute = done(world.stripe.dispute(&world.account, id).await);
    assert_eq!((dispute.status, dispute.amount, dispute.intent), (DisputeStatus::NeedsResponse, 10_000, Some(paid.id)));
    assert_eq!(dispute.movements.iter().map(|moved| moved.net).sum::<i64>(), -11_500);
    board.settle_dispute(id, "won").expect("a dispute");
    let won = done(world.stripe.dispute(&world.account, id).await);
    assert_eq!((won.status, won.movements.len()), (DisputeStatus::Won, 2));

    let (customer, kept) = world.keep(PaymentMethodKind::BankDebit, "pm_usBankAccount_returnedInsufficientFunds").await;
    let debit = done(world.charge("invoice:2", &off_session(&customer, &kept)).await);
    board.advance(4 * 86_400).expect("the clock moves");
    let settled = done(world.stripe.payment_intent(&world.account, &debit.id).await);
    assert_eq!(settled.status, IntentStatus::Succeeded);
    let booked = settled.booked.expect("booked");
    assert_eq!((booked.kind.as_str(), booked.fee), ("payment", 80));
    board.advance(2 * 86_400).expect("the clock moves");
    let disputes = board.objects("disputes").unwrap_or_default();
    let id = disputes[1]["object"]["id"].as_str().unwrap_or_default();
    let returned = done(world.stripe.dispute(&world.account, id).await);
    assert_eq!((returned.status, returned.reason.as_str()), (DisputeStatus::Lost, "insufficient_funds"));
    assert!(matches!(world.stripe.dispute(&world.account, "du_gone").await, Outcome::Refused(_)));
}

#[tokio::test]
async fn planted_differences_are_seen() {
    let world = World::start().await;
    let (customer, kept) = world.keep(PaymentMethodKind::Card, "pm_card_visa").await;
    done(world.charge("invoice:1", &off_session(&customer, &kept)).await);
    let board = world.sandbox.switchboard();
    let stray = json!({"amount": -777, "type": "stripe_fee"});
    board.plant_balance_transaction(&world.account, &stray).expect("an account");
    let honest = all(&world, &always()).await;
    assert_eq!(honest.iter().map(|item| item.kind.as_str()).collect::<Vec<_>>(), ["stripe_fee", "charge"]);
    board.falsify_balance_transaction(&honest[1].id, &json!({"amount": 9_000})).expect("a transaction");
    assert_eq!(all(&world, &always()).await[1].net, 9_000 - 320);
    board.hide_balance_transaction(&honest[0].id).expect("a transaction");
    assert_eq!(all(&world, &always()).await.len(), 1);
}
