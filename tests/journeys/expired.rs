//! What is not completed in time: quotes run out, open payments are canceled at Stripe, and money that came first counts.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Client, Options, World};

/// A little more than a quote holds.
const QUOTE: i64 = 31 * 60;
/// A little more than a quote holds and a resident may take to complete a payment.
const PATIENCE: i64 = 91 * 60;

async fn until_ended(client: &Client, payment: Uuid) -> Value {
    let path = format!("/v1/payments/{payment}");
    client.until(&path, |payment| payment["phase"] == "Canceled" || payment["phase"] == "Succeeded").await
}

#[tokio::test]
async fn a_quote_runs_out_and_a_new_one_is_asked_for_under_a_new_id() {
    let world = World::start(Options::default()).await;
    let carol = world.first.resident("Carol").clone();
    let client = world.sign_in(&carol).await;
    let invoice = world.first.publish(&carol, 30_000, false).await;
    client.until(&format!("/v1/invoices/{invoice}"), |invoice| invoice["status"] == "Open").await;
    let quote = |id: Uuid| json!({ "payment_id": id, "invoice_id": invoice });
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    client.command("QuotePayment", &quote(first)).await;
    world.pass_time(QUOTE).await;
    let refused = client.refused("StartPayment", &json!({ "payment_id": first }), 409).await;
    assert!(refused.text.contains("the quote has expired; ask for a new one under a new id"), "{}", refused.text);
    assert!(world.sandbox.intents(first).await.is_empty(), "nothing was asked of Stripe");

    client.command("QuotePayment", &quote(second)).await;
    client.command("StartPayment", &json!({ "payment_id": second })).await;
    let started = world.until_submitted(&client, second).await;
    world.confirm(&started, "pm_card_visa").await;
    world.first.until_status(invoice, "Paid").await;
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_payment_that_nobody_completes_is_canceled_at_stripe_and_gives_the_invoice_back() {
    let world = World::start(Options::default()).await;
    let dmitri = world.first.resident("Dmitri").clone();
    let client = world.sign_in(&dmitri).await;
    let invoice = world.first.publish(&dmitri, 30_000, false).await;
    let left = world.start_payment(&client, invoice, None).await;
    world.confirm(&left, "pm_card_chargeDeclined").await;
    let path = format!("/v1/invoices/{invoice}");
    client.until(&path, |invoice| invoice["pending_payment_id"] == json!(left.id)).await;

    world.pass_time(PATIENCE).await;
    let ended = until_ended(&client, left.id).await;
    assert_eq!((&ended["phase"], &ended["client_secret"]), (&json!("Canceled"), &Value::Null), "{ended}");
    assert!(ended.to_string().contains("Expired"), "{ended}");
    client.until(&path, |invoice| invoice["pending_payment_id"].is_null() && invoice["status"] == "Open").await;
    let intents = world.sandbox.intents(left.id).await;
    assert_eq!((intents.len(), &intents[0]["status"]), (1, &json!("canceled")), "{intents:?}");

    // The form that was left open in a browser takes no money any more.
    let late = world.confirm(&left, "pm_card_visa").await;
    assert!(late["error"].is_object(), "{late}");
    world.pay(&client, invoice, None).await;
    world.first.until_status(invoice, "Paid").await;
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_payment_completed_while_it_is_being_canceled_is_booked() {
    let world = World::start(Options::default()).await;
    let ines = world.first.resident("Ines").clone();
    let client = world.sign_in(&ines).await;
    let invoice = world.first.publish(&ines, 30_000, true).await;
    let payment = world.start_payment(&client, invoice, None).await;
    // The cancel is on its way, and slow; the resident's card is faster.
    let fault = world.request_fault("stripe", "/cancel", json!({ "kind": "slow", "ms": 2_500 })).await;
    world.pass_time(PATIENCE).await;
    while world.sandbox.struck(fault).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let confirmed = world.confirm(&payment, "pm_card_visa").await;
    assert_eq!(confirmed["status"], "succeeded", "{confirmed}");
    world.first.until_payment(payment.id, "Succeeded").await;
    let paid = world.first.until_status(invoice, "Paid").await;
    assert_eq!(paid["pending_payment_id"], Value::Null);
    world.first.until_message(invoice, "payment-received", "Delivered").await;
    world.assert_invariants().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_and_confirm_at_the_same_moment_end_in_one_of_two_ways() {
    let world = World::start(Options::default()).await;
    let liam = world.first.resident("Liam").clone();
    let client = world.sign_in(&liam).await;
    let mut outcomes = Vec::new();
    for round in 0..7_u64 {
        let invoice = world.first.publish(&liam, 20_000, false).await;
        let payment = world.start_payment(&client, invoice, None).await;
        let body = json!({ "payment_id": payment.id });
        // Refused when the money was booked before: that is one of the two ways.
        let cancel = client.ask("CancelPayment", &body);
        let confirm = async {
            tokio::time::sleep(Duration::from_millis(round * 70)).await;
            world.confirm(&payment, "pm_card_visa").await
        };
        let (_, confirmed) = tokio::join!(cancel, confirm);
        let ended = until_ended(&client, payment.id).await;
        let charged = confirmed["status"] == "succeeded";
        assert_eq!(ended["phase"], if charged { "Succeeded" } else { "Canceled" }, "{confirmed} {ended}");
        let wanted = if charged { "Paid" } else { "Open" };
        let shown = world.first.until_status(invoice, wanted).await;
        client.until(&format!("/v1/invoices/{invoice}"), |invoice| invoice["pending_payment_id"].is_null()).await;
        outcomes.push(shown["status"].clone());
    }
    // Without a pause the card is first, and nearly half a second is enough to cancel.
    println!("{outcomes:?}");
    assert!(outcomes.contains(&json!("Paid")) && outcomes.contains(&json!("Open")), "{outcomes:?}");
    world.assert_invariants().await;
}
