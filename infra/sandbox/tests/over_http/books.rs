//! Time and money: debits that settle by themselves, returns, disputes, payouts, and Stripe's books about them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{TimeDelta, Utc};
use sandbox::{BusinessClock, SandboxConfig};
use serde_json::{Value, json};

use crate::world::{Failure, Tested, World, start, start_with};

const DAY: i64 = 24 * 60 * 60;

async fn status(world: &World, intent: &str) -> Result<String, Failure> {
    let read = world.get(&format!("/payment_intents/{intent}")).await?;
    Ok(read.body["status"].as_str().unwrap_or_default().to_owned())
}

async fn advance(world: &World, days: i64) -> Tested {
    let moved = world.switch("/clock", &json!({"advance_seconds": days * DAY})).await?;
    if moved.status == 200 { Ok(()) } else { Err(moved.body.to_string().into()) }
}

async fn booked(world: &World, query: &str) -> Result<Vec<Value>, Failure> {
    let list = world.get_as("acct_oak", &format!("/balance_transactions?limit=100{query}")).await?;
    Ok(list.body["data"].as_array().cloned().unwrap_or_default())
}

async fn pay(world: &World, method: &str) -> Result<String, Failure> {
    world.board.finish_onboarding("acct_oak")?;
    let form = [("amount", "10000"), ("currency", "usd"), ("confirm", "true"), ("payment_method", method)];
    Ok(world.post_as("acct_oak", "/payment_intents", &form).await?.id().to_owned())
}

fn nets(items: &[Value]) -> i64 {
    items.iter().filter_map(|item| item["net"].as_i64()).sum()
}

#[tokio::test]
async fn debits_settle_or_fail_when_their_days_have_passed() -> Tested {
    let world = start().await?;
    let good = world.pay("10000", "pm_usBankAccount_success").await?;
    let empty = world.pay("10000", "pm_usBankAccount_insufficientFunds").await?;
    let closed = world.pay("10000", "pm_usBankAccount_accountClosed").await?;
    let stays = world.pay("10000", "pm_usBankAccount_processing").await?;
    advance(&world, 3).await?;
    assert_eq!(status(&world, good.id()).await?, "processing");
    advance(&world, 1).await?;
    assert_eq!(status(&world, good.id()).await?, "succeeded");
    assert_eq!(status(&world, stays.id()).await?, "processing");
    for (intent, code, network) in [(&empty, "insufficient_funds", "R01"), (&closed, "account_closed", "R02")] {
        let read = world.get(&format!("/payment_intents/{}?expand[]=latest_charge", intent.id())).await?;
        assert_eq!(read.body["status"], "requires_payment_method");
        assert_eq!(read.body["latest_charge"]["failure_code"], code);
        assert_eq!(read.body["latest_charge"]["outcome"]["network_decline_code"], network);
    }
    let path = format!("/stripe/payment_intents/{}/settle", stays.id());
    let failed = world.switch(&path, &json!({"failure_code": "R29"})).await?;
    assert_eq!(failed.body["last_payment_error"]["code"], "debit_not_authorized");
    Ok(())
}

#[tokio::test]
async fn the_clock_can_be_anothers() -> Tested {
    let days = Arc::new(AtomicI64::new(0));
    let read = days.clone();
    let clock = BusinessClock::new(move || Utc::now() + TimeDelta::days(read.load(Ordering::SeqCst)));
    let world = start_with(SandboxConfig { clock, ach_days: 2, ..SandboxConfig::default() }).await?;
    let debit = world.pay("10000", "pm_usBankAccount_success").await?;
    days.store(2, Ordering::SeqCst);
    assert_eq!(status(&world, debit.id()).await?, "succeeded");
    let paid = world.pay("10000", "pm_card_visa").await?;
    let ahead = paid.body["created"].as_i64().unwrap_or(0) - Utc::now().timestamp();
    assert!((2 * DAY - 60..=2 * DAY).contains(&ahead), "{ahead}");
    Ok(())
}

#[tokio::test]
async fn a_debit_that_comes_back_is_a_lost_dispute_and_ends_its_mandate() -> Tested {
    let world = start().await?;
    let customer = world.post("/customers", &[]).await?;
    let form = [("customer", customer.id()), ("confirm", "true"), ("payment_method", "pm_usBankAccount_dispute")];
    let kept = world.post("/setup_intents", &form).await?;
    let method = kept.body["payment_method"].as_str().unwrap_or_default();
    let form = [
        ("amount", "10000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("off_session", "true"),
        ("customer", customer.id()),
        ("payment_method", method),
    ];
    let debit = world.post("/payment_intents", &form).await?;
    advance(&world, 4).await?;
    assert_eq!(status(&world, debit.id()).await?, "succeeded");
    advance(&world, 2).await?;
    assert_eq!(status(&world, debit.id()).await?, "succeeded");
    let disputes = world.get(&format!("/disputes?payment_intent={}", debit.id())).await?;
    let dispute = &disputes.body["data"][0];
    assert_eq!((&dispute["reason"], &dispute["status"]), (&json!("debit_not_authorized"), &json!("lost")));
    assert_eq!(dispute["balance_transactions"][0]["net"], -11_500);
    let mandate = world.get(&format!("/mandates/{}", kept.body["mandate"].as_str().unwrap_or_default())).await?;
    assert_eq!(mandate.body["status"], "inactive");
    world.flush().await?;
    for kind in ["charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed", "mandate.updated"]
    {
        assert_eq!(world.inbox.count(kind), 1, "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn a_dispute_is_won_or_lost_and_moves_money_accordingly() -> Tested {
    let world = start().await?;
    let intent = pay(&world, "pm_card_visa").await?;
    let before = nets(&booked(&world, "").await?);
    let wish = json!({"reason": "fraudulent"});
    let opened = world.switch(&format!("/stripe/payment_intents/{intent}/dispute"), &wish).await?;
    assert_eq!(opened.body["status"], "needs_response");
    assert_eq!(nets(&booked(&world, "").await?), before - 11_500);
    let path = format!("/stripe/disputes/{}", opened.id());
    assert_eq!(world.switch(&path, &json!({"status": "comet"})).await?.status, 409);
    let refund = world.post_as("acct_oak", "/refunds", &[("payment_intent", intent.as_str())]).await?;
    assert_eq!((refund.status, &refund.body["error"]["code"]), (400, &json!("charge_disputed")));
    world.switch(&path, &json!({"status": "won"})).await?;
    assert_eq!(nets(&booked(&world, "").await?), before - 1_500);
    assert_eq!(world.switch(&path, &json!({"status": "lost"})).await?.status, 409);
    let second = pay(&world, "pm_card_createDispute").await?;
    let listed = world.get_as("acct_oak", &format!("/disputes?payment_intent={second}")).await?;
    let id = listed.body["data"][0]["id"].as_str().unwrap_or_default();
    world.switch(&format!("/stripe/disputes/{id}"), &json!({"status": "lost"})).await?;
    let third = pay(&world, "pm_card_visa").await?;
    let inquiry = world.board.dispute(&third, &json!({"inquiry": true}))?;
    assert_eq!(inquiry["balance_transactions"], json!([]));
    world.flush().await?;
    assert_eq!(world.inbox.count("charge.dispute.funds_reinstated"), 1);
    assert_eq!(world.inbox.count("charge.dispute.closed"), 2);
    Ok(())
}

#[tokio::test]
async fn a_payout_takes_what_is_available_and_a_failed_one_gives_it_back() -> Tested {
    let world = start().await?;
    let intent = pay(&world, "pm_card_visa").await?;
    let early = world.switch("/stripe/payouts", &json!({"account": "acct_oak"})).await?;
    assert_eq!(early.status, 409, "nothing is available yet");
    advance(&world, 2).await?;
    let form = [("payment_intent", intent.as_str()), ("amount", "1000")];
    world.post_as("acct_oak", "/refunds", &form).await?;
    let payout = world.switch("/stripe/payouts", &json!({"account": "acct_oak"})).await?;
    assert_eq!(payout.body["amount"], 10_000 - 320 - 1_000);
    let with = booked(&world, &format!("&payout={}", payout.id())).await?;
    assert_eq!((with.len(), nets(&with)), (3, 0));
    let failed = world.switch(&format!("/stripe/payouts/{}", payout.id()), &json!({"status": "failed"})).await?;
    assert_eq!(failed.body["failure_code"], "account_closed");
    let again = world.board.pay_out_available("acct_oak", "usd")?;
    assert_eq!(again["amount"], payout.body["amount"]);
    advance(&world, 2).await?;
    let read = world.get_as("acct_oak", &format!("/payouts/{}", again["id"].as_str().unwrap_or_default())).await?;
    assert_eq!((&read.body["status"], &read.body["reconciliation_status"]), (&json!("paid"), &json!("completed")));
    let balance = world.get_as("acct_oak", "/balance").await?;
    assert_eq!(balance.body["available"][0]["amount"], 0);
    world.flush().await?;
    assert_eq!((world.inbox.count("payout.failed"), world.inbox.count("payout.paid")), (1, 1));
    assert_eq!(world.inbox.count("payout.reconciliation_completed"), 1);
    Ok(())
}

#[tokio::test]
async fn differences_can_be_planted_in_the_books() -> Tested {
    let world = start().await?;
    pay(&world, "pm_card_visa").await?;
    let honest = booked(&world, "").await?;
    let id = honest[0]["id"].as_str().unwrap_or_default().to_owned();
    let stray = json!({"account": "acct_oak", "amount": -777, "type": "stripe_fee"});
    let stray = world.switch("/stripe/balance_transactions", &stray).await?;
    assert_eq!((&stray.body["type"], &stray.body["net"]), (&json!("stripe_fee"), &json!(-777)));
    let wrong = world.switch(&format!("/stripe/balance_transactions/{id}"), &json!({"fee": 1})).await?;
    assert_eq!(wrong.body["net"], 9_999);
    let gone = world.http.delete(world.url(&format!("/switchboard/stripe/balance_transactions/{id}")));
    world.send(gone).await?;
    assert_eq!(booked(&world, "").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn more_requests_than_the_limit_are_turned_away() -> Tested {
    let world = start().await?;
    world.switch("/stripe/rate_limit", &json!({"per_second": 3})).await?;
    let answers = futures_util::future::join_all((0..20).map(|_| world.get("/events"))).await;
    let mut refused = 0;
    for answer in answers {
        let answer = answer?;
        if answer.status == 429 {
            refused += 1;
            assert_eq!(answer.header("stripe-rate-limited-reason"), Some("global-rate"));
        }
    }
    assert!(refused >= 11, "{refused} of 20 at 3 a second");
    assert_eq!(world.look("/stripe/rate_limit").await?.body["refused"], refused);
    world.send(world.http.delete(world.url("/switchboard/stripe/rate_limit"))).await?;
    assert_eq!(world.get("/events").await?.status, 200);
    Ok(())
}
