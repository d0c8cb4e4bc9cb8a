//! Webhooks as they really come: again and again, late, in the wrong order, forged, about others, or never.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Delivery, GOOD, Options, World};

/// The ids of the events of both providers that the sandbox has recorded.
async fn known_events(world: &World) -> BTreeSet<String> {
    let events = world.sandbox.objects("stripe/events").await;
    events.iter().filter_map(|event| event["id"].as_str().map(ToOwned::to_owned)).collect()
}

#[tokio::test]
async fn every_webhook_ten_times_in_parallel_is_one_posting_and_one_letter() {
    let world = World::start(Options::default()).await;
    let (first, ana) = (&world.first, world.first.resident("Ana").clone());
    let client = world.sign_in(&ana).await;
    let invoice = first.publish(&ana, 42_500, true).await;
    let payment = world.start_payment(&client, invoice, None).await;
    // Nothing arrives by itself, so that the first delivery of each is one of the ten.
    for provider in ["stripe", "resend"] {
        world.sandbox.fault(json!({ "provider": provider, "kind": "drop_webhooks", "times": 1000 })).await;
    }
    let mut seen = known_events(&world).await;
    world.confirm(&payment, "pm_card_visa").await;
    let refund = json!({ "payment_id": payment.id, "refund_id": Uuid::now_v7(), "amount": { "amount": 500, "currency": "USD" } });
    for round in 0..3 {
        let mut events = world.sandbox.objects("stripe/events").await;
        events.retain(|event| seen.insert(event["id"].to_string().trim_matches('"').to_owned()));
        assert!(!events.is_empty(), "round {round} has something to deliver");
        let deliveries = events.iter().flat_map(|event| std::iter::repeat_n(event, 10));
        let answers = join_all(deliveries.map(|event| world.post_event(event, GOOD))).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        let fresh = answers.iter().filter(|answer| answer.body["repeated"] == false).count();
        assert_eq!(fresh, events.len(), "each is new once");
        match round {
            0 => {
                first.until_status(invoice, "Paid").await;
                first.until_message(invoice, "payment-received", "Sent").await;
            }
            1 => {
                first.until_message(invoice, "payment-received", "Delivered").await;
                first.manager.command("RefundPayment", &refund).await;
                first
                    .manager
                    .until(&format!("/v1/payments/{}", payment.id), |shown| shown["refunded"]["amount"] == 500)
                    .await;
            }
            _ => {}
        }
    }
    world.settle().await;
    let head = world.head(first.id).await;
    // A day later they come once more, all together.
    let all = world.sandbox.objects("stripe/events").await;
    let ours: Vec<_> = all.iter().filter(|event| !event.to_string().contains(&world.second.account)).collect();
    let answers = join_all(ours.iter().map(|event| world.post_event(event, GOOD))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    world.settle().await;
    assert_eq!(world.head(first.id).await, head, "nothing follows from what was known");
    world.assert_invariants().await;
}

#[tokio::test]
async fn duplicated_reordered_delayed_forged_and_truncated_on_the_way_they_end_the_same() {
    let world = World::start(Options::default()).await;
    let (first, ana) = (&world.first, world.first.resident("Ana").clone());
    let client = world.sign_in(&ana).await;
    for fault in [
        json!({ "kind": "duplicate_webhook" }),
        json!({ "kind": "reorder_webhooks" }),
        json!({ "kind": "delay_webhooks", "ms": 700 }),
        json!({ "kind": "forge_webhooks" }),
        json!({ "kind": "truncate_webhooks" }),
    ] {
        let mut fault = fault;
        fault["times"] = 1000.into();
        let id = world.sandbox.fault(fault.clone()).await;
        let invoice = first.publish(&ana, 12_300, true).await;
        let payment = world.pay(&client, invoice, None).await;
        first.until_status(invoice, "Paid").await;
        first.until_message(invoice, "payment-received", "Delivered").await;
        let refund = json!({ "payment_id": payment.id, "refund_id": Uuid::now_v7() });
        first.manager.command("RefundPayment", &refund).await;
        first.until_payment(payment.id, "Refunded").await;
        first.until_status(invoice, "Open").await;
        world.settle().await;
        assert!(world.sandbox.struck(id).await > 2, "{fault} struck");
        world.sandbox.clear_faults().await;
    }
    world.assert_invariants().await;
}

#[tokio::test]
async fn news_out_of_order_never_undoes_what_is_known_better() {
    let world = World::start(Options::default()).await;
    let (first, benoit) = (&world.first, world.first.resident("Benoit").clone());
    let client = world.sign_in(&benoit).await;
    let invoice = first.publish(&benoit, 9_900, true).await;
    let payment = world.start_payment(&client, invoice, None).await;
    world.confirm(&payment, "pm_card_chargeDeclined").await;
    world.confirm(&payment, "pm_card_visa").await;
    first.until_status(invoice, "Paid").await;
    world.settle().await;
    let head = world.head(first.id).await;
    // The decline comes again, then a `processing` that was never true any more, under ids of their own.
    for kind in ["payment_intent.payment_failed", "payment_intent.processing", "payment_intent.canceled"] {
        let body = json!({
            "id": format!("evt_{}", Uuid::now_v7().simple()), "object": "event", "type": kind, "account": payment.account,
            "created": chrono::Utc::now().timestamp() - 60,
            "data": { "object": { "id": payment.intent, "object": "payment_intent", "status": "processing",
                                  "metadata": { "propty_payment": payment.id } } },
        });
        assert_eq!(world.post_stripe(&body.to_string(), GOOD).await.status, 200);
    }
    world.settle().await;
    assert_eq!(world.head(first.id).await, head, "a stale notice adds nothing");
    assert_eq!(first.manager.get(&format!("/v1/payments/{}", payment.id)).await["status"], "Succeeded");

    // A complaint outweighs the delivery that is told of after it.
    let message = first.until_message(invoice, "invoice-published", "Delivered").await;
    let letters = world.sandbox.letters(&benoit.email).await;
    let letter = letters.iter().find(|letter| letter["_tags"]["message"] == message["message_id"]).expect("the letter");
    let letter = letter["id"].as_str().expect("an id").to_owned();
    for event in ["opened", "complained", "delivered"] {
        world.sandbox.act(&format!("/resend/emails/{letter}"), &json!({ "event": event })).await;
    }
    let shown = first.until_message(invoice, "invoice-published", "Complained").await;
    world.settle().await;
    let path = format!("/v1/messages/{}", message["message_id"].as_str().unwrap_or_default());
    let settled = first.manager.get(&path).await;
    assert_eq!((&settled["status"], &settled["opened"]), (&json!("Complained"), &json!(true)), "{shown} {settled}");
    world.assert_invariants().await;
}

#[tokio::test]
async fn what_is_not_signed_by_the_provider_just_now_is_refused_and_not_stored() {
    let world = World::start(Options::default()).await;
    let (first, carol) = (&world.first, world.first.resident("Carol").clone());
    let invoice = first.publish(&carol, 7_700, true).await;
    first.until_message(invoice, "invoice-published", "Delivered").await;
    world.settle().await;
    let events = world.sandbox.objects("stripe/events").await;
    let stored = world.stored_webhooks().await;
    for provider in ["stripe", "resend"] {
        let event = events.iter().rfind(|event| event["provider"] == provider).expect("an event");
        for delivery in [
            Delivery { forged: true, ..GOOD },
            Delivery { age: 301, ..GOOD },
            Delivery { age: -400, ..GOOD },
            Delivery { cut: Some(40), ..GOOD },
            Delivery { cut: Some(0), ..GOOD },
        ] {
            world.post_event(event, delivery).await.assert_problem(400);
        }
        let visitor = world.visitor();
        visitor.post(&format!("/webhooks/{provider}"), &event["body"]).await.assert_problem(400);
    }
    assert_eq!(world.stored_webhooks().await, stored, "nothing of it is stored");
    // Almost too old is not too old; what is signed but of no form we know is kept to be looked at.
    let event = events.iter().rfind(|event| event["provider"] == "stripe").expect("an event");
    assert_eq!(world.post_event(event, Delivery { age: 290, ..GOOD }).await.status, 200);
    for body in [
        json!({ "id": "evt_1", "object": "event", "type": "payment_intent.teleported", "data": {} }).to_string(),
        json!({ "id": "evt_2", "type": "charge.succeeded" }).to_string(),
        json!({ "hello": [] }).to_string(),
        "[[[[".to_owned(),
    ] {
        let answer = world.post_stripe(&body, GOOD).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
    }
    assert_eq!(world.post_resend("msg_1", "{\"type\":\"email.teleported\"}", GOOD).await.status, 200);
    world.settle().await;
    assert_eq!(world.stored_webhooks().await, stored + 5);
    assert_eq!(world.count("select count(*) from engine.webhooks where state = 'ignored'").await, 5);
    world.assert_invariants().await;
}

#[tokio::test]
async fn an_account_that_names_our_payment_in_its_own_charge_pays_nothing_of_ours() {
    let world = World::start(Options::default()).await;
    let (first, dmitri) = (&world.first, world.first.resident("Dmitri").clone());
    let client = world.sign_in(&dmitri).await;
    let invoice = first.publish(&dmitri, 15_000, true).await;
    let payment = world.start_payment(&client, invoice, None).await;
    world.settle().await;
    let head = world.head(first.id).await;
    // The other organization owns its Stripe account, and can write any metadata there.
    let id = payment.id.to_string();
    let visitor = crate::world::Client::nobody(&world.sandbox.url);
    let form = format!(
        "amount=15000&currency=usd&metadata[propty_payment]={id}&metadata[propty_organization]={}&confirm=true\
         &payment_method=pm_card_visa&automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never",
        first.id
    );
    let request = visitor
        .request(reqwest::Method::POST, "/stripe/v1/payment_intents")
        .bearer_auth("sk_test_sandbox")
        .header("stripe-account", &world.second.account)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let charged = visitor.send(request).await;
    assert_eq!(charged.body["status"], "succeeded", "{}", charged.text);
    world.settle().await;
    // And it could name our PaymentIntent, or ours could be named from nowhere.
    for account in [json!(world.second.account), Value::Null, json!("acct_unknown")] {
        let body = json!({
            "id": format!("evt_{}", Uuid::now_v7().simple()), "object": "event", "type": "payment_intent.succeeded",
            "account": account,
            "data": { "object": { "id": payment.intent, "object": "payment_intent", "status": "succeeded",
                                  "metadata": { "propty_payment": payment.id } } },
        });
        assert_eq!(world.post_stripe(&body.to_string(), GOOD).await.status, 200);
    }
    world.settle().await;
    assert_eq!(world.head(first.id).await, head, "nothing of ours has moved");
    assert_eq!(first.manager.get(&format!("/v1/invoices/{invoice}")).await["status"], "Open");
    world.confirm(&payment, "pm_card_visa").await;
    first.until_status(invoice, "Paid").await;
    world.settle().await;
    world.assert_log().await;
    assert_eq!(world.count("select count(*) from log.events where event_type = 'PaymentApplied'").await, 1);
}

#[tokio::test]
async fn a_webhook_that_overtakes_the_answer_is_one_posting() {
    let world = World::start(Options::default()).await;
    let (first, elena) = (&world.first, world.first.resident("Elena").clone());
    let client = world.sign_in(&elena).await;
    let invoice = first.publish(&elena, 22_000, true).await;
    // Stripe has executed the call and tells us by webhook, while its answer is still on the way.
    let late = json!({ "kind": "timeout_after_commit", "hold_ms": 2500 });
    let fault = world.request_fault("stripe", "POST /v1/payment_intents", late.clone()).await;
    let payment = world.start_payment(&client, invoice, None).await;
    let calling = world.count("select count(*) from engine.outbox where name = 'SubmitPayment' and calling").await;
    assert_eq!((world.sandbox.struck(fault).await, calling), (1, 1), "the call is still under way");
    world.confirm(&payment, "pm_card_visa").await;
    first.until_status(invoice, "Paid").await;
    world.settle().await;
    let fault = world.request_fault("stripe", "POST /v1/refunds", late).await;
    let refund = json!({ "payment_id": payment.id, "refund_id": Uuid::now_v7() });
    first.manager.command("RefundPayment", &refund).await;
    first.until_payment(payment.id, "Refunded").await;
    assert_eq!(world.sandbox.struck(fault).await, 1);
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_payment_whose_webhooks_are_all_lost_is_found_by_looking() {
    let world = World::start(Options::default()).await;
    let (first, liam) = (&world.first, world.first.resident("Liam").clone());
    let client = world.sign_in(&liam).await;
    let invoice = first.publish(&liam, 31_400, true).await;
    world.sandbox.fault(json!({ "provider": "stripe", "kind": "drop_webhooks", "times": 1000 })).await;
    let payment = world.start_payment(&client, invoice, None).await;
    world.confirm(&payment, "pm_card_visa").await;
    world.settle().await;
    assert_eq!(first.manager.get(&format!("/v1/invoices/{invoice}")).await["status"], "Open", "nobody has told us yet");
    world.pass_time(61).await;
    first.until_status(invoice, "Paid").await;
    first.until_message(invoice, "payment-received", "Delivered").await;
    // What is never completed is canceled when its time is over, and the invoice is free again.
    let other = first.publish(&liam, 5_000, false).await;
    let abandoned = world.start_payment(&client, other, None).await;
    world.settle().await;
    world.pass_time(2 * 3600).await;
    client.until(&format!("/v1/payments/{}", abandoned.id), |payment| payment["phase"] == "Canceled").await;
    first.manager.until(&format!("/v1/invoices/{other}"), |invoice| invoice["pending_payment_id"].is_null()).await;
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_charge_of_another_amount_than_agreed_is_put_aside_for_a_person() {
    let world = World::start(Options::default()).await;
    let (first, jonas) = (&world.first, world.first.resident("Jonas").clone());
    let client = world.sign_in(&jonas).await;
    let invoice = first.publish(&jonas, 20_000, true).await;
    let payment = world.start_payment(&client, invoice, None).await;
    let visitor = crate::world::Client::nobody(&world.sandbox.url);
    let request = visitor
        .request(reqwest::Method::POST, &format!("/stripe/v1/payment_intents/{}", payment.intent))
        .bearer_auth("sk_test_sandbox")
        .header("stripe-account", &payment.account)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("amount=100");
    let changed = visitor.send(request).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    world.confirm(&payment, "pm_card_visa").await;
    let aside =
        first.manager.until(&format!("/v1/payments/{}", payment.id), |payment| payment["phase"] == "Quarantined").await;
    assert_eq!(aside["unresolved"], true);
    assert_ne!(first.manager.get(&format!("/v1/invoices/{invoice}")).await["status"], "Paid");
    world.assert_log().await;
}
