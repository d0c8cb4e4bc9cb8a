//! Providers at their worst: no answer, a broken answer, too busy, out of order; money moves once and letters go out once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Options, PATIENCE, World};

/// What can go wrong with one request to Stripe.
fn misfortunes() -> [Value; 7] {
    [
        json!({ "kind": "timeout_before_commit", "hold_ms": 300 }),
        json!({ "kind": "timeout_after_commit", "hold_ms": 300 }),
        json!({ "kind": "server_error" }),
        json!({ "kind": "rate_limit", "retry_after": 2 }),
        json!({ "kind": "truncate" }),
        json!({ "kind": "garble" }),
        json!({ "kind": "slow", "ms": 1500 }),
    ]
}

async fn until_struck(world: &World, fault: u64) {
    let started = Instant::now();
    while world.sandbox.struck(fault).await == 0 {
        assert!(started.elapsed() < PATIENCE, "the fault does not strike");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn whatever_happens_to_the_call_a_payment_is_charged_exactly_once() {
    let world = World::start(Options::default()).await;
    let (first, ana) = (&world.first, world.first.resident("Ana").clone());
    let client = world.sign_in(&ana).await;
    // Polling and answers have to do it alone.
    world
        .sandbox
        .fault(
            json!({ "provider": "stripe", "match": "payment_intent.created", "kind": "drop_webhooks", "times": 1000 }),
        )
        .await;
    for kind in misfortunes() {
        let invoice = first.publish(&ana, 10_000, false).await;
        let fault = world.request_fault("stripe", "POST /v1/payment_intents", kind.clone()).await;
        let payment = world.request_payment(&client, invoice, None).await;
        // One after the other: a fault is for this payment, and not for another's next try.
        until_struck(&world, fault).await;
        if kind["kind"] == "server_error" {
            // Stripe keeps a 500 under the key for a day: the attempt is given up as soon as a look shows that nothing is there.
            let given_up =
                client.until(&format!("/v1/payments/{payment}"), |payment| payment["status"] == "Failed").await;
            assert_eq!(given_up["phase"], "Canceled", "{given_up}");
            assert_eq!(world.sandbox.intents(payment).await.len(), 0);
            world.pay(&client, invoice, None).await;
        } else {
            let started = world.until_submitted(&client, payment).await;
            world.confirm(&started, "pm_card_visa").await;
            first.until_status(invoice, "Paid").await;
            let intents = world.sandbox.intents(payment).await;
            assert_eq!(intents.len(), 1, "{kind}: {intents:?}");
        }
        first.until_status(invoice, "Paid").await;
    }
    assert!(world.count("select count(*) from log.events where event_type = 'PaymentOutcomeUnknown'").await >= 4);
    world.assert_invariants().await;
}

#[tokio::test]
async fn whatever_happens_to_the_call_a_refund_is_given_exactly_once() {
    let world = World::start(Options::default()).await;
    let (first, benoit) = (&world.first, world.first.resident("Benoit").clone());
    let client = world.sign_in(&benoit).await;
    let mut payments = Vec::new();
    for _ in misfortunes() {
        let invoice = first.publish(&benoit, 10_000, false).await;
        payments.push(world.pay(&client, invoice, None).await.id);
    }
    world.settle().await;
    world
        .sandbox
        .fault(json!({ "provider": "stripe", "match": "refund", "kind": "drop_webhooks", "times": 1000 }))
        .await;
    let refund = |payment: Uuid| json!({ "payment_id": payment, "refund_id": Uuid::now_v7() });
    for (kind, payment) in misfortunes().into_iter().zip(&payments) {
        let fault = world.request_fault("stripe", "POST /v1/refunds", kind).await;
        first.manager.command("RefundPayment", &refund(*payment)).await;
        until_struck(&world, fault).await;
    }
    for (kind, payment) in misfortunes().into_iter().zip(payments) {
        if kind["kind"] == "server_error" {
            // As with charges: given up when a look a quarter of an hour later shows nothing, and free to be asked for anew.
            let path = format!("/v1/payments/{payment}");
            let status = async || first.manager.get(&path).await["refunds"][0]["status"].clone();
            let started = Instant::now();
            while status().await != "Failed" {
                let later = "with later as (
                                 update engine.outbox set first_called_at = now() - interval '16 minutes', due_at = now()
                                 where name = 'SubmitRefund' and state = 'ready' and first_called_at is not null returning key
                             ) select count(*) from later";
                world.count(later).await;
                assert!(started.elapsed() < PATIENCE, "the refund is not given up");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            first.manager.until(&path, |payment| payment["refunds"][0]["status"] == "Failed").await;
            first.manager.command("RefundPayment", &refund(payment)).await;
        }
        let refunded = first.until_payment(payment, "Refunded").await;
        assert_eq!(refunded["refunded"]["amount"], 10_000, "{kind}");
    }
    assert_eq!(world.sandbox.objects("stripe/refunds").await.len(), 7);
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_refund_that_the_bank_returns_is_told_and_the_invoice_stays_paid() {
    let world = World::start(Options::default()).await;
    let (first, ines) = (&world.first, world.first.resident("Ines").clone());
    let client = world.sign_in(&ines).await;
    let invoice = first.publish(&ines, 12_000, true).await;
    let payment = world.start_payment(&client, invoice, None).await;
    world.confirm(&payment, "pm_card_pendingRefund").await;
    first.until_status(invoice, "Paid").await;
    let refund = json!({ "payment_id": payment.id, "refund_id": Uuid::now_v7() });
    first.manager.command("RefundPayment", &refund).await;
    let started = Instant::now();
    let given = loop {
        let refunds = world.sandbox.objects("stripe/refunds").await;
        if let Some(given) = refunds.first() {
            break given["id"].as_str().expect("an id").to_owned();
        }
        assert!(started.elapsed() < PATIENCE, "no refund was asked for");
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    let failed = json!({ "status": "failed", "failure_reason": "lost_or_stolen_card" });
    world.sandbox.act(&format!("/stripe/refunds/{given}"), &failed).await;
    let path = format!("/v1/payments/{}", payment.id);
    let shown = first
        .manager
        .until(&path, |payment| {
            payment["refunds"][0]["status"] == "Failed" || payment["refunds"][0]["state"] == "Failed"
        })
        .await;
    assert_eq!(shown["refunded"]["amount"], 0, "{shown}");
    assert_eq!(first.manager.get(&format!("/v1/invoices/{invoice}")).await["status"], "Paid");
    world.assert_invariants().await;
}

#[tokio::test]
async fn whatever_happens_to_the_call_a_letter_goes_out_exactly_once() {
    let world = World::start(Options::default()).await;
    let (first, carol) = (&world.first, world.first.resident("Carol").clone());
    let mut invoices = Vec::new();
    for kind in misfortunes() {
        let fault = world.request_fault("resend", "POST /emails", kind).await;
        invoices.push(first.publish(&carol, 1_000, true).await);
        until_struck(&world, fault).await;
    }
    for invoice in invoices {
        first.until_message(invoice, "invoice-published", "Delivered").await;
    }
    world.settle().await;
    assert_eq!(world.sandbox.letters(&carol.email).await.len(), 7);
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_letter_whose_key_is_still_at_work_after_a_kill_waits_for_the_first_call() {
    let world = World::start(Options::default()).await;
    let (first, dmitri) = (&world.first, world.first.resident("Dmitri").clone());
    let fault = world.request_fault("resend", "POST /emails", json!({ "kind": "slow", "ms": 4000 })).await;
    let invoice = first.publish(&dmitri, 1_000, true).await;
    until_struck(&world, fault).await;
    world.kill9();
    // As if the dead worker's lease had run out: the call comes again while the first is still being worked on.
    sqlx::query("update engine.outbox set lease_until = '-infinity' where state = 'ready'")
        .execute(&world.database)
        .await
        .expect("free work");
    world.restart().await;
    first.until_message(invoice, "invoice-published", "Delivered").await;
    let journal = world.sandbox.journal().await;
    assert!(journal.iter().any(|entry| entry["status"] == 409), "the second call met the first");
    assert_eq!(world.sandbox.letters(&dmitri.email).await.len(), 1);
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_bounced_address_is_suppressed_listed_lifted_corrected_and_written_to_again() {
    let world = World::start(Options::default()).await;
    let (first, greta) = (&world.first, world.first.resident("Greta").clone());
    let invoice = first.publish(&greta, 5_000, true).await;
    let bounced = first.until_message(invoice, "invoice-published", "Bounced").await;
    assert_eq!(bounced["bounce_kind"], "Permanent", "{bounced}");
    let listed = first.manager.until_list("/v1/suppressions", |list| list.len() == 1).await;
    assert_eq!((&listed[0]["address"], &listed[0]["cause"]), (&json!(greta.email), &json!("HardBounce")), "{listed:?}");

    // What goes to the address now is not even handed over.
    let sent = world.sandbox.letters(&greta.email).await.len();
    let next = first.publish(&greta, 6_000, true).await;
    let withheld = first.until_message(next, "invoice-published", "Suppressed").await;
    assert_eq!(withheld["suppression"], "AddressSuppressed");
    assert_eq!(world.sandbox.letters(&greta.email).await.len(), sent);

    let lift = json!({ "suppression_id": listed[0]["suppression_id"], "note": "Mailbox works again, resident called" });
    first.manager.command("LiftSuppression", &lift).await;
    first.manager.until_list("/v1/suppressions?lifted=false", <[Value]>::is_empty).await;

    let correct = json!({ "resident_id": greta.id, "email": "greta.lindqvist@example.com" });
    first.manager.command("ChangeResidentEmail", &correct).await;
    let again = Uuid::now_v7();
    let resend = json!({ "message_id": bounced["message_id"], "as_message": again });
    first.manager.command("ResendEmail", &resend).await;
    let path = format!("/v1/messages/{again}");
    let delivered = first.manager.until(&path, |message| message["status"] == "Delivered").await;
    assert_eq!(delivered["resend_of"], bounced["message_id"]);
    assert_eq!(world.sandbox.letters("greta.lindqvist@example.com").await.len(), 1);
    // Asked for once more under the same id, it is the same message.
    first.manager.command("ResendEmail", &resend).await;
    world.settle().await;
    assert_eq!(world.sandbox.letters("greta.lindqvist@example.com").await.len(), 1);
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_transient_bounce_suppresses_nothing_and_a_complaint_does() {
    let world = World::start(Options::default()).await;
    let (first, henry) = (&world.first, world.first.resident("Henry").clone());
    for (address, status, listed) in
        [("softbounce.henry@example.com", "Bounced", 0), ("complain.henry@example.com", "Complained", 1)]
    {
        first.manager.command("ChangeResidentEmail", &json!({ "resident_id": henry.id, "email": address })).await;
        let invoice = first.publish(&henry, 5_000, true).await;
        first.until_message(invoice, "invoice-published", status).await;
        world.settle().await;
        let suppressions = first.manager.until_list("/v1/suppressions", |list| list.len() == listed).await;
        assert!(suppressions.iter().all(|row| row["cause"] == "Complaint"), "{suppressions:?}");
    }
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_letter_that_went_out_before_a_kill_does_not_go_out_again() {
    let world = World::start(Options::default()).await;
    let (first, henry) = (&world.first, world.first.resident("Henry").clone());
    let invoice = first.draft(&henry, 5_000).await;
    let fault = world.request_fault("resend", "POST /emails", json!({ "kind": "slow", "ms": 2500 })).await;
    first.manager.command("PublishInvoice", &json!({ "invoice_id": invoice, "notify": true })).await;
    until_struck(&world, fault).await;
    let journal = world.sandbox.journal().await;
    let call =
        journal.iter().rfind(|entry| entry["provider"] == "resend" && entry["direction"] != "sent").expect("the call");
    let key = call["headers"]["idempotency-key"].as_str().expect("a key").to_owned();
    world.kill9();
    tokio::time::sleep(Duration::from_millis(2700)).await;
    // The first call was executed, and its key is taken for good.
    assert_eq!(world.sandbox.letters(&henry.email).await.len(), 1);
    let other = crate::world::Client::nobody(&world.sandbox.url);
    let request = other
        .request(reqwest::Method::POST, "/resend/emails")
        .bearer_auth("re_sandbox")
        .header("Idempotency-Key", &key)
        .json(&json!({ "from": "a@example.com", "to": ["henry.okafor@example.com"], "subject": "Other", "text": "Other" }));
    let answer = other.send(request).await;
    assert_eq!(answer.status, 409, "{}", answer.text);
    sqlx::query("update engine.outbox set lease_until = '-infinity' where state = 'ready'")
        .execute(&world.database)
        .await
        .expect("free work");
    world.restart().await;
    first.until_message(invoice, "invoice-published", "Delivered").await;
    assert_eq!(world.sandbox.letters(&henry.email).await.len(), 1, "the frozen message is the same message");
    world.assert_invariants().await;
}
