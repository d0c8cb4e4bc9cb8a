//! Bank debits: days on their way, refused by the bank, returned after they had succeeded; and cards that are disputed.

use chrono::{NaiveDate, TimeDelta};
use serde_json::{Value, json};

use crate::world::{Options, World, card_of};

async fn tomorrow(world: &World) -> NaiveDate {
    world.now().await.date_naive() + TimeDelta::days(1)
}

#[tokio::test]
async fn a_bank_debit_is_on_its_way_for_days_without_reminders_and_then_settles() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let ana = world.first.resident("Ana").clone();
    let client = world.enroll(&ana, "pm_usBankAccount_success").await;
    let card = client.get(&card_of(&ana)).await;
    assert_eq!(card["enrollment"]["method"], "Bank ****6789", "{card}");
    let invoice = world.publish_due(&ana, 30_000, tomorrow(&world).await).await;
    world.pass_days(2).await;
    let path = format!("/v1/payments?invoice_id={invoice}");
    world.first.manager.until_list(&path, |list| list.len() == 1 && list[0]["phase"] == "Processing").await;
    world.pass_days(2).await;
    world.settle().await;
    assert_eq!(world.charged(invoice).await, (0, 0), "on its way");
    assert_eq!(world.letters_about(invoice, "payment-reminder").await, 0, "no reminder while it is on its way");
    // Nobody can pay it a second time meanwhile.
    let quote = json!({ "payment_id": uuid::Uuid::now_v7(), "invoice_id": invoice });
    client.refused("QuotePayment", &quote, 409).await;
    world.pass_days(4).await;
    world.first.until_status(invoice, "Paid").await;
    world.settle().await;
    assert_eq!(world.charged(invoice).await, (1, 30_000));
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_debit_that_the_bank_refuses_is_presented_again_at_most_twice() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let carol = world.first.resident("Carol").clone();
    world.enroll(&carol, "pm_usBankAccount_insufficientFunds").await;
    let invoice = world.publish_due(&carol, 30_000, tomorrow(&world).await).await;
    let path = format!("/v1/messages?invoice_id={invoice}&kind=autopay-failed");
    world.pass_days(2).await;
    for told in 1..=3 {
        // Days until the bank's answer, more of them over a weekend, and the day after which it may be presented again.
        for _ in 0..10 {
            if world.letters_about(invoice, "autopay-failed").await >= told {
                break;
            }
            world.pass_days(1).await;
            world.settle().await;
        }
        world.first.manager.until_list(&path, |list| list.len() == told).await;
    }
    for _ in 0..6 {
        world.pass_days(1).await;
        world.settle().await;
    }
    assert_eq!(world.letters_about(invoice, "autopay-failed").await, 3, "presented three times in all");
    let client = world.sign_in(&carol).await;
    let card = client.until(&card_of(&carol), |card| card["status"] == "Paused").await;
    assert_eq!(card["enrollment"]["new_method_required"], true, "{card}");
    assert_eq!(world.charged(invoice).await, (0, 0));
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_debit_returned_after_success_reopens_the_invoice_and_ends_the_mandate() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let dmitri = world.first.resident("Dmitri").clone();
    world.enroll(&dmitri, "pm_usBankAccount_dispute").await;
    let invoice = world.publish_due(&dmitri, 30_000, tomorrow(&world).await).await;
    world.pass_days(2).await;
    world.settle().await;
    world.pass_days(6).await;
    world.first.until_status(invoice, "Paid").await;
    world.settle().await;
    world.pass_days(10).await;
    let reopened = world
        .first
        .manager
        .until(&format!("/v1/invoices/{invoice}"), |shown| shown["balance"]["amount"] == 30_000)
        .await;
    assert_ne!(reopened["status"], "Paid", "{reopened}");
    let client = world.sign_in(&dmitri).await;
    let card = client.until(&card_of(&dmitri), |card| card["status"] == "Paused").await;
    assert_eq!(card["enrollment"]["new_method_required"], true, "{card}");
    world.first.until_message(invoice, "autopay-failed", "Delivered").await;
    // Nothing is charged with that method any more.
    world.pass_days(5).await;
    world.settle().await;
    let attempts = "select count(*) from log.events where event_type = 'ChargeAuthorized'";
    assert_eq!(world.count(attempts).await, 1);
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_disputed_card_payment_leaves_the_invoice_and_comes_back_when_it_is_won() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let henry = world.first.resident("Henry").clone();
    let client = world.sign_in(&henry).await;
    for (status, balance) in [("won", 0), ("lost", 21_000)] {
        let invoice = world.first.publish(&henry, 21_000, false).await;
        let paid = world.pay(&client, invoice, None).await;
        world.sandbox.act(&format!("/stripe/payment_intents/{}/dispute", paid.intent), &json!({})).await;
        let path = format!("/v1/invoices/{invoice}");
        let open = world.first.manager.until(&path, |shown| shown["balance"]["amount"] == 21_000).await;
        assert_eq!(open["status"], "Open", "{open}");
        let disputes = world.sandbox.objects("stripe/disputes").await;
        let dispute = disputes.iter().find(|dispute| dispute["payment_intent"] == json!(paid.intent));
        let id = dispute.and_then(|dispute| dispute["id"].as_str()).unwrap_or_default();
        world.sandbox.act(&format!("/stripe/disputes/{id}"), &json!({ "status": status })).await;
        world.first.manager.until(&path, |shown| shown["balance"]["amount"] == balance).await;
        world.settle().await;
        let history: Value = world.first.manager.get(&path).await["history"].clone();
        assert!(history.to_string().contains("PaymentDisputed"), "{history}");
    }
    world.assert_invariants().await;
}
