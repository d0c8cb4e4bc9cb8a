//! Autopay by card: set up once, charged when due, tried again, paused, gone on, cancelled; whatever else happens meanwhile.

use chrono::{NaiveDate, TimeDelta};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Client, Options, Resident, World, card_of};

async fn today(world: &World) -> NaiveDate {
    // West of Greenwich it may still be yesterday there; a day more makes no difference to anybody.
    world.now().await.date_naive() + TimeDelta::days(1)
}

async fn card(client: &Client, resident: &Resident, status: &str) -> Value {
    client.until(&card_of(resident), |card| card["status"] == status).await
}

fn own(resident: &Resident) -> Value {
    json!({ "property_id": resident.property, "resident_id": resident.id })
}

async fn until_charged(world: &World, invoice: Uuid) -> Value {
    world.first.until_status(invoice, "Paid").await
}

#[tokio::test]
async fn set_up_once_an_invoice_is_announced_charged_when_due_and_receipted() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let ana = world.first.resident("Ana").clone();
    let client = world.sign_in(&ana).await;
    let none = client.get(&card_of(&ana)).await;
    assert_eq!((&none["status"], &none["buttons"]["enable"]), (&json!("None"), &json!(true)), "{none}");
    world.set_up(&client, &ana, "EnableAutopay", "pm_card_visa").await;
    let active = card(&client, &ana, "Active").await;
    assert_eq!(active["enrollment"]["method"], "Visa ****4242");
    assert_eq!((&active["buttons"]["update"], &active["buttons"]["cancel"]), (&json!(true), &json!(true)));
    // Managers see the enrollment, and never the secret of a form.
    let id = active["enrollment"]["autopay_id"].as_str().unwrap_or_default().to_owned();
    let seen = world.first.manager.get(&format!("/v1/autopay/{id}")).await;
    assert_eq!((&seen["status"], &seen["client_secret"]), (&json!("Active"), &Value::Null));

    let due = today(&world).await + TimeDelta::days(5);
    let invoice = world.publish_due(&ana, 42_500, due).await;
    world.settle().await;
    assert_eq!(world.charged(invoice).await, (0, 0), "not before it is due");
    world.pass_until((due - TimeDelta::days(1)).and_hms_opt(12, 0, 0).expect("an hour").and_utc()).await;
    world.first.until_message(invoice, "autopay-notice", "Delivered").await;
    assert_eq!(world.charged(invoice).await, (0, 0), "announced, not charged");
    assert_eq!(world.letters_about(invoice, "payment-reminder").await, 0, "autopay takes care of it");
    world.pass_until(due.and_hms_opt(16, 0, 0).expect("an hour").and_utc()).await;
    until_charged(&world, invoice).await;
    world.first.until_message(invoice, "autopay-charged", "Delivered").await;
    assert_eq!(world.charged(invoice).await, (1, 42_500));
    assert_eq!(world.letters_about(invoice, "payment-received").await, 0, "one receipt");
    let letters = world.sandbox.letters(&ana.email).await;
    let charged = letters.iter().find(|letter| letter["_tags"]["kind"] == "autopay-charged").expect("a letter");
    assert!(charged["text"].as_str().is_some_and(|text| text.contains("Visa ****4242")), "{charged}");

    // Already due when published: at once.
    let at_once = world.publish_due(&ana, 1_000, world.now().await.date_naive()).await;
    until_charged(&world, at_once).await;
    world.pass_days(3).await;
    world.settle().await;
    assert_eq!(world.charged(invoice).await.0 + world.charged(at_once).await.0, 2, "nothing is charged again");
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_declined_card_is_tried_three_more_days_then_waits_for_a_new_one() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let carol = world.first.resident("Carol").clone();
    let client = world.enroll(&carol, "pm_card_chargeCustomerFail").await;
    let due = today(&world).await;
    let (first, second) = (
        world.publish_due(&carol, 10_000, due).await,
        world.publish_due(&carol, 20_000, due + TimeDelta::days(2)).await,
    );
    world.pass_days(2).await;
    let paused = card(&client, &carol, "Paused").await;
    assert!(paused["enrollment"]["next_attempt_at"].is_string(), "{paused}");
    assert_eq!(paused["enrollment"]["retries_left"], 3, "{paused}");
    assert_eq!(paused["buttons"]["reactivate"], true);
    let path = format!("/v1/messages?invoice_id={first}&kind=autopay-failed");
    for told in 2..=4 {
        world.pass_time(24 * 3600 + 60).await;
        world.first.manager.until_list(&path, |list| list.len() == told).await;
        world.settle().await;
    }
    let spent = client.until(&card_of(&carol), |card| card["enrollment"]["new_method_required"] == true).await;
    assert_eq!(
        (&spent["status"], &spent["enrollment"]["next_attempt_at"]),
        (&json!("Paused"), &Value::Null),
        "{spent}"
    );
    world.pass_days(3).await;
    world.settle().await;
    assert_eq!(world.letters_about(first, "autopay-failed").await, 4, "every failure was told, and there is none more");
    let attempts = format!(
        "select count(*) from log.events where event_type = 'ChargeAuthorized'
         and payload #>> '{{ChargeAuthorized,invoice_id}}' = '{first}'"
    );
    assert_eq!(world.count(&attempts).await, 4);
    // The other invoice waited without being tried.
    assert_eq!(world.letters_about(second, "autopay-failed").await, 0);
    assert_eq!((world.charged(first).await.0, world.charged(second).await.0), (0, 0));

    // A new card: what waited is charged in the order of the due days.
    let client = world.sign_in(&carol).await;
    world.set_up(&client, &carol, "ReactivateAutopay", "pm_card_mastercard").await;
    until_charged(&world, first).await;
    until_charged(&world, second).await;
    world.settle().await;
    assert_eq!((world.charged(first).await, world.charged(second).await), ((1, 10_000), (1, 20_000)));
    let order: Vec<String> = sqlx::query_scalar(
        "select payload #>> '{ChargeAuthorized,invoice_id}' from log.events
         where event_type = 'ChargeAuthorized' and payload #>> '{ChargeAuthorized,attempt}' = '0' order by sequence",
    )
    .fetch_all(&world.database)
    .await
    .expect("rows");
    assert_eq!(order, [first, first, second].map(|id| id.to_string()));
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_retry_that_succeeds_makes_autopay_active_again() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let dmitri = world.first.resident("Dmitri").clone();
    let client = world.enroll(&dmitri, "pm_card_visa").await;
    let enrollment = client.get(&card_of(&dmitri)).await["enrollment"].clone();
    let method: String = sqlx::query_scalar(
        "select payload #>> '{AutopayActivated,method,payment_method}' from log.events
         where event_type = 'AutopayActivated' and aggregate_id = $1",
    )
    .bind(enrollment["autopay_id"].as_str().unwrap_or_default())
    .fetch_one(&world.database)
    .await
    .expect("a method");
    let twice = json!({ "as": "pm_card_chargeDeclinedInsufficientFunds", "times": 2 });
    world.sandbox.act(&format!("/stripe/payment_methods/{method}/behave"), &twice).await;
    let invoice = world.publish_due(&dmitri, 9_900, today(&world).await).await;
    world.pass_days(2).await;
    card(&client, &dmitri, "Paused").await;
    world.pass_time(24 * 3600 + 60).await;
    let path = format!("/v1/messages?invoice_id={invoice}&kind=autopay-failed");
    world.first.manager.until_list(&path, |list| list.len() == 2).await;
    world.pass_time(24 * 3600 + 60).await;
    until_charged(&world, invoice).await;
    let active = card(&client, &dmitri, "Active").await;
    assert_eq!(active["enrollment"]["reason"], Value::Null, "{active}");
    world.first.until_message(invoice, "autopay-charged", "Delivered").await;
    assert_eq!(world.charged(invoice).await, (1, 9_900));
    // The counter begins anew.
    world
        .sandbox
        .act(
            &format!("/stripe/payment_methods/{method}/behave"),
            &json!({ "as": "pm_card_chargeDeclinedInsufficientFunds", "times": 1 }),
        )
        .await;
    let next = world.publish_due(&dmitri, 5_000, world.now().await.date_naive() + TimeDelta::days(1)).await;
    world.pass_days(2).await;
    let paused = card(&client, &dmitri, "Paused").await;
    assert_eq!(paused["enrollment"]["retries_left"], 3, "{paused}");
    // Paid by hand while it is paused: there is nothing left to try again.
    world.pay(&client, next, None).await;
    card(&client, &dmitri, "Active").await;
    world.pass_days(2).await;
    world.settle().await;
    assert_eq!(world.charged(next).await, (1, 5_000));
    world.assert_invariants().await;
}

#[tokio::test]
async fn what_is_settled_in_another_way_before_the_moment_is_not_charged() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let (first, henry) = (&world.first, world.first.resident("Henry").clone());
    let client = world.enroll(&henry, "pm_card_visa").await;
    let due = today(&world).await + TimeDelta::days(1);
    let by_check = world.publish_due(&henry, 3_000, due).await;
    let voided = world.publish_due(&henry, 4_000, due).await;
    let later = world.publish_due(&henry, 5_000, due).await;
    let changed = world.publish_due(&henry, 6_000, due).await;
    let check = json!({
        "invoice_id": by_check, "payment_id": Uuid::now_v7(), "amount": { "amount": 3_000, "currency": henry.currency },
        "method": "Check", "received_on": world.now().await.date_naive() - TimeDelta::days(1),
    });
    first.manager.command("RecordOfflinePayment", &check).await;
    first.manager.command("VoidInvoice", &json!({ "invoice_id": voided, "reason": "Billed twice" })).await;
    let edit = |invoice: Uuid, amount: i64, due_on: NaiveDate| {
        json!({ "invoice_id": invoice, "title": "Monthly fee", "due_on": due_on,
                "lines": [{ "description": "Common charges", "amount": { "amount": amount, "currency": henry.currency } }] })
    };
    first.manager.command("EditInvoice", &edit(later, 5_000, due + TimeDelta::days(3))).await;
    first.manager.command("EditInvoice", &edit(changed, 6_500, due)).await;
    world.pass_until(due.and_hms_opt(16, 0, 0).expect("an hour").and_utc()).await;
    until_charged(&world, changed).await;
    world.settle().await;
    for (invoice, expected) in [(by_check, (0, 0)), (voided, (0, 0)), (later, (0, 0)), (changed, (1, 6_500))] {
        assert_eq!(world.charged(invoice).await, expected, "{invoice}");
    }
    world.pass_days(3).await;
    until_charged(&world, later).await;
    world.settle().await;
    assert_eq!(world.charged(later).await, (1, 5_000));

    // Somebody left Stripe's form open: autopay waits until that is given up, and the form is of no use any more.
    let raced = world.publish_due(&henry, 7_000, world.now().await.date_naive() + TimeDelta::days(2)).await;
    let started = world.start_payment(&client, raced, None).await;
    world.pass_days(3).await;
    let patience = std::time::Duration::from_secs(120);
    first.manager.until_within(&format!("/v1/invoices/{raced}"), patience, |shown| shown["status"] == "Paid").await;
    let late = world.confirm(&started, "pm_card_visa").await;
    assert!(late["error"].is_object(), "{late}");
    world.settle().await;
    assert_eq!(world.charged(raced).await, (1, 7_000));
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_cancel_ends_it_at_once_and_what_is_in_flight_completes() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let (ines, jonas) = (world.first.resident("Ines").clone(), world.first.resident("Jonas").clone());
    let (one, two) = (world.enroll(&ines, "pm_card_visa").await, world.enroll(&jonas, "pm_card_visa").await);
    let due = today(&world).await;
    let cancelled = world.publish_due(&ines, 10_000, due).await;
    one.command("CancelAutopay", &own(&ines)).await;
    let shown = card(&one, &ines, "Cancelled").await;
    assert_eq!(shown["buttons"]["enable"], true);
    // The answer to the charge comes late: by then it is cancelled.
    let slow = world.request_fault("stripe", "POST /v1/payment_intents", json!({ "kind": "slow", "ms": 2_500 })).await;
    let in_flight = world.publish_due(&jonas, 12_000, due).await;
    world.pass_until(due.and_hms_opt(16, 0, 0).expect("an hour").and_utc()).await;
    let started = std::time::Instant::now();
    while world.sandbox.struck(slow).await == 0 {
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "the charge does not begin");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    two.command("CancelAutopay", &own(&jonas)).await;
    until_charged(&world, in_flight).await;
    world.first.until_message(in_flight, "autopay-charged", "Delivered").await;
    card(&two, &jonas, "Cancelled").await;
    let next = world.publish_due(&jonas, 13_000, world.now().await.date_naive() + TimeDelta::days(1)).await;
    world.pass_days(3).await;
    world.settle().await;
    assert_eq!(world.charged(in_flight).await, (1, 12_000));
    assert_eq!((world.charged(cancelled).await.0, world.charged(next).await.0), (0, 0), "nothing new is charged");
    // Enabled again, it starts afresh.
    world.set_up(&two, &jonas, "EnableAutopay", "pm_card_visa").await;
    world.assert_invariants().await;
}

#[tokio::test]
async fn above_the_cap_the_resident_is_asked_first() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let karin = world.first.resident("Karin").clone();
    let client = world.enroll(&karin, "pm_card_visa").await;
    let mut cap = own(&karin);
    cap["cap"] = json!({ "amount": 20_000, "currency": karin.currency });
    client.command("SetAutopayCap", &cap).await;
    let due = today(&world).await;
    let (below, above) = (world.publish_due(&karin, 20_000, due).await, world.publish_due(&karin, 20_001, due).await);
    world.pass_days(2).await;
    until_charged(&world, below).await;
    world.first.until_message(above, "autopay-held", "Delivered").await;
    world.settle().await;
    assert_eq!(world.charged(above).await, (0, 0), "not without a yes");
    let held = client.until(&card_of(&karin), |card| card["buttons"]["approve"] == true).await;
    assert_eq!(held["enrollment"]["held"][0]["invoice_id"], json!(above), "{held}");
    let mut approve = own(&karin);
    approve["invoice_id"] = json!(above);
    approve["amount"] = json!({ "amount": 20_001, "currency": karin.currency });
    client.command("ApproveCharge", &approve).await;
    until_charged(&world, above).await;
    world.settle().await;
    assert_eq!(world.charged(above).await, (1, 20_001));
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_disconnected_account_holds_charges_until_it_is_back() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let liam = world.first.resident("Liam").clone();
    world.enroll(&liam, "pm_card_visa").await;
    let due = today(&world).await;
    let invoice = world.publish_due(&liam, 8_000, due).await;
    let account = &world.first.account;
    world.sandbox.act(&format!("/stripe/accounts/{account}/deauthorize"), &json!({})).await;
    let path = format!("/v1/stripe-accounts/{}", world.first.stripe_account_id);
    world.first.manager.until(&path, |account| account["badge"] == "Disconnected").await;
    world.pass_days(2).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(world.charged(invoice).await, (0, 0), "held");
    assert_eq!(world.letters_about(invoice, "autopay-failed").await, 0, "no retry is used up");
    world.sandbox.act(&format!("/stripe/accounts/{account}/reauthorize"), &json!({})).await;
    world
        .first
        .manager
        .command("ReconnectStripeAccount", &json!({ "stripe_account_id": world.first.stripe_account_id }))
        .await;
    world.first.manager.until(&path, |account| account["badge"] == "Connected" && account["status"] == "Active").await;
    // It is looked at once a minute.
    let patience = std::time::Duration::from_secs(90);
    world
        .first
        .manager
        .until_within(&format!("/v1/invoices/{invoice}"), patience, |shown| shown["status"] == "Paid")
        .await;
    assert_eq!(world.charged(invoice).await, (1, 8_000));
    world.assert_invariants().await;
}

#[tokio::test]
async fn unknown_outcomes_are_never_a_second_charge() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let elena = world.first.resident("Elena").clone();
    world.enroll(&elena, "pm_card_visa").await;
    let due = today(&world).await;
    for fault in [
        json!({ "kind": "timeout_after_commit", "hold_ms": 200 }),
        json!({ "kind": "timeout_before_commit", "hold_ms": 200 }),
        json!({ "kind": "truncate" }),
        json!({ "kind": "garble" }),
        json!({ "kind": "rate_limit" }),
    ] {
        world.request_fault("stripe", "POST /v1/payment_intents", fault).await;
    }
    let invoice = world.publish_due(&elena, 15_000, due).await;
    world.pass_days(2).await;
    world
        .first
        .manager
        .until_within(&format!("/v1/invoices/{invoice}"), std::time::Duration::from_secs(90), |shown| {
            shown["status"] == "Paid"
        })
        .await;
    assert_eq!(world.charged(invoice).await, (1, 15_000));
    assert_eq!(world.letters_about(invoice, "autopay-failed").await, 0, "a fault of the network is no refusal");
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_method_that_is_gone_without_a_word_pauses_autopay_at_the_next_charge() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let benoit = world.first.resident("Benoit").clone();
    let client = world.enroll(&benoit, "pm_card_visa").await;
    let lost =
        json!({ "provider": "stripe", "match": "payment_method.detached", "kind": "drop_webhooks", "times": 10 });
    world.sandbox.fault(lost).await;
    let method: String = sqlx::query_scalar(
        "select payload #>> '{AutopayActivated,method,payment_method}' from log.events where event_type = 'AutopayActivated'",
    )
    .fetch_one(&world.database)
    .await
    .expect("a method");
    world.sandbox.act(&format!("/stripe/payment_methods/{method}/detach"), &json!({})).await;
    let invoice = world.publish_due(&benoit, 7_700, today(&world).await).await;
    world.pass_days(2).await;
    let paused = card(&client, &benoit, "Paused").await;
    assert_eq!(paused["enrollment"]["new_method_required"], true, "{paused}");
    world.set_up(&client, &benoit, "ReactivateAutopay", "pm_card_mastercard").await;
    // The invoice waited for it, or is just about to be looked at.
    let patience = std::time::Duration::from_secs(120);
    world
        .first
        .manager
        .until_within(&format!("/v1/invoices/{invoice}"), patience, |shown| shown["status"] == "Paid")
        .await;
    assert_eq!(world.charged(invoice).await, (1, 7_700));
    world.assert_invariants().await;
}
