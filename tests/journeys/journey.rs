//! The main job and its variations: drafted, published, e-mailed, paid, receipted, refunded, by one unit or by many.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Options, World, in_two_weeks};

fn usd(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "USD" })
}

#[tokio::test]
async fn an_invoice_travels_from_draft_to_receipt_and_refund() {
    let world = World::start(Options::default()).await;
    let (first, ana) = (&world.first, world.first.resident("Ana").clone());
    let client = world.sign_in(&ana).await;

    let invoice = first.draft(&ana, 42_500).await;
    let path = format!("/v1/invoices/{invoice}");
    first.until_status(invoice, "Draft").await;
    client.look(&path).await.assert_problem(404);
    let edit = json!({
        "invoice_id": invoice, "title": "Monthly fee, corrected", "due_on": in_two_weeks(),
        "lines": [
            { "description": "Common charges", "amount": usd(40_000) },
            { "description": "Discount", "amount": usd(-1_500) },
        ],
    });
    first.manager.command("EditInvoice", &edit).await;
    let published = first.manager.command("PublishInvoice", &json!({ "invoice_id": invoice, "notify": true })).await;
    assert_eq!(published["events"][0]["type"], "InvoicePublished");
    assert_eq!(published["version"], 3);
    assert!(published["position"].is_i64(), "an accepted command tells its position: {published}");
    // What was written can be read at once by whoever names the position.
    let read = first
        .manager
        .send(
            first
                .manager
                .request(reqwest::Method::GET, &path)
                .header("Propty-Min-Position", published["position"].to_string()),
        )
        .await;
    assert_eq!((read.status, &read.body["status"]), (200, &json!("Open")), "{}", read.text);

    first.until_message(invoice, "invoice-published", "Delivered").await;
    let letters = world.sandbox.letters(&ana.email).await;
    let letter = letters.iter().find(|letter| letter["_tags"]["kind"] == "invoice-published").expect("a letter");
    let text = letter["text"].as_str().expect("a text");
    assert!(text.contains("Ana Ruiz") && text.contains("385"), "{text}");
    assert!(letter["html"].as_str().is_some_and(|html| html.contains("lang=\"es\"")), "Ana reads Spanish");

    let payment = world.pay(&client, invoice, None).await;
    assert_eq!(payment.total, 38_500);
    let shown = first.until_status(invoice, "Paid").await;
    assert_eq!(shown["balance"]["amount"], 0);
    first.until_message(invoice, "payment-received", "Delivered").await;
    let history: Vec<_> =
        shown["history"].as_array().into_iter().flatten().map(|event| event["event"].clone()).collect();
    for event in ["InvoiceDrafted", "InvoiceEdited", "InvoicePublished", "PaymentReserved", "PaymentApplied"] {
        assert!(history.contains(&json!(event)), "{event} is in the history: {history:?}");
    }
    // The webhook came, was verified and understood.
    assert!(world.count("select count(*) from engine.webhooks where provider = 'stripe' and state = 'done'").await > 0);

    let refund = |amount: i64| json!({ "payment_id": payment.id, "refund_id": Uuid::now_v7(), "amount": usd(amount) });
    let part = refund(10_000);
    first.manager.command("RefundPayment", &part).await;
    let reopened = first.until_status(invoice, "Open").await;
    assert_eq!(reopened["balance"]["amount"], 10_000);
    first.manager.refused("RefundPayment", &refund(28_501), 422).await;
    // The same refund asked for again is the same refund.
    let repeated = first.manager.command("RefundPayment", &part).await;
    assert_eq!(repeated["events"], json!([]));
    first.manager.command("RefundPayment", &refund(28_500)).await;
    let refunded = first.until_payment(payment.id, "Refunded").await;
    assert_eq!(refunded["refunded"]["amount"], 38_500);
    assert_ne!(first.manager.ask("RefundPayment", &refund(1)).await.status, 200);
    world.assert_invariants().await;
}

#[tokio::test]
async fn partial_and_offline_payments_add_up_and_corrections_and_voids_take_back() {
    let world = World::start(Options::default()).await;
    let (first, carol) = (&world.first, world.first.resident("Carol").clone());
    let client = world.sign_in(&carol).await;
    let invoice = first.publish(&carol, 30_000, true).await;
    world.pay(&client, invoice, Some(10_000)).await;
    let path = format!("/v1/invoices/{invoice}");
    let shown = first.manager.until(&path, |shown| shown["paid"]["amount"] == 10_000).await;
    assert_eq!(shown["status"], "Open");

    let check = |amount: i64| {
        json!({
            "invoice_id": invoice, "payment_id": Uuid::now_v7(), "amount": usd(amount), "method": "Check",
            "reference": "1042", "received_on": chrono::Utc::now().date_naive() - chrono::Days::new(1),
        })
    };
    first.manager.refused("RecordOfflinePayment", &check(20_001), 422).await;
    first.manager.refused("RecordOfflinePayment", &check(-5), 422).await;
    let good = check(20_000);
    first.manager.command("RecordOfflinePayment", &good).await;
    first.until_status(invoice, "Paid").await;
    // An offline payment has a receipt too, and the money can be taken back when the check bounces.
    first
        .manager
        .until_list(&format!("/v1/messages?invoice_id={invoice}&kind=payment-received"), |list| list.len() == 2)
        .await;
    first.manager.refused("VoidInvoice", &json!({ "invoice_id": invoice, "reason": "Billed twice" }), 409).await;
    let correction = json!({ "invoice_id": invoice, "payment_id": good["payment_id"], "note": "Check 1042 bounced" });
    first.manager.command("CorrectOfflinePayment", &correction).await;
    let reopened = first.until_status(invoice, "Open").await;
    assert_eq!(reopened["balance"]["amount"], 20_000);
    first.manager.refused("VoidInvoice", &json!({ "invoice_id": invoice, "reason": "Billed twice" }), 409).await;

    let unpaid = first.publish(&carol, 5_000, false).await;
    first.manager.command("VoidInvoice", &json!({ "invoice_id": unpaid, "reason": "Billed twice" })).await;
    first.until_status(unpaid, "Void").await;
    let quote = json!({ "payment_id": Uuid::now_v7(), "invoice_id": unpaid, "amount": usd(5_000) });
    client.refused("QuotePayment", &quote, 409).await;
    first.manager.refused("PublishInvoice", &json!({ "invoice_id": unpaid, "notify": true }), 409).await;
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_month_is_drafted_and_published_in_bulk_and_one_refused_item_harms_no_other() {
    let world = World::start(Options::default()).await;
    let first = &world.first;
    let property = first.property("Maple Court").id;
    let names = ["Ana", "Benoit", "Carol", "Dmitri", "Elena", "Frank"];
    let mut targets: Vec<Value> = names
        .iter()
        .map(|name| first.resident(name))
        .map(|who| json!({ "invoice_id": Uuid::now_v7(), "unit_id": who.unit, "resident_id": who.id }))
        .collect();
    // Liam lives elsewhere.
    let stranger = first.resident("Liam");
    targets.insert(
        3,
        json!({ "invoice_id": Uuid::now_v7(), "unit_id": first.resident("Ana").unit, "resident_id": stranger.id }),
    );
    let drafts = json!({
        "job_id": Uuid::now_v7(), "property_id": property, "title": "Monthly fee",
        "lines": [{ "description": "Common charges", "amount": usd(38_500) }], "due_on": in_two_weeks(), "targets": targets,
    });
    first.manager.command("DraftInvoices", &drafts).await;
    let job_path = |body: &Value| format!("/v1/jobs/{}", body["job_id"].as_str().expect("an id"));
    let job = first.manager.until(&job_path(&drafts), |job| job["state"] == "Completed").await;
    assert_eq!((&job["done"], &job["refused"], &job["total"]), (&json!(7), &json!(1), &json!(7)), "{job}");
    let refused = first.manager.list(&format!("{}/items?refused=true", job_path(&drafts))).await;
    assert_eq!(refused.len(), 1);
    assert_eq!((&refused[0]["item"], &refused[0]["ordinal"]), (&targets[3]["invoice_id"], &json!(4)), "{refused:?}");
    assert!(refused[0]["refusal"].as_str().is_some_and(|why| why.contains("does not live")), "{refused:?}");
    assert_eq!(world.sandbox.letters("example.com").await.len(), 0, "nobody is told of a draft");

    targets.remove(3);
    let discarded = targets[1]["invoice_id"].clone();
    first.manager.command("DiscardDraft", &json!({ "invoice_id": discarded })).await;
    let invoices: Vec<_> = targets.iter().map(|target| target["invoice_id"].clone()).collect();
    let publish = json!({ "job_id": Uuid::now_v7(), "property_id": property, "invoices": invoices, "notify": true });
    first.manager.command("PublishInvoices", &publish).await;
    let job = first.manager.until(&job_path(&publish), |job| job["state"] == "Completed").await;
    assert_eq!((&job["done"], &job["refused"]), (&json!(6), &json!(1)), "{job}");
    // The same job asked for again is the same job; with other work it is refused.
    assert_eq!(first.manager.command("PublishInvoices", &publish).await["events"], json!([]));
    let mut other = publish.clone();
    other["notify"] = false.into();
    first.manager.refused("PublishInvoices", &other, 409).await;

    let open = first
        .manager
        .until_list(&format!("/v1/invoices?status=Open&property_id={property}"), |list| list.len() == 5)
        .await;
    assert!(open.iter().all(|invoice| invoice["total"]["amount"] == 38_500));
    // Frank has no address: his message says so, and the others are delivered, each once and in its language.
    let messages = first
        .manager
        .until_list("/v1/messages?kind=invoice-published", |list| {
            list.len() == 5
                && list.iter().all(|message| matches!(message["status"].as_str(), Some("Delivered" | "Suppressed")))
        })
        .await;
    let frank = first.resident("Frank").id.to_string();
    for message in &messages {
        let without = message["resident_id"] == frank;
        assert_eq!(message["status"], if without { "Suppressed" } else { "Delivered" }, "{message}");
    }
    assert_eq!(messages.iter().filter(|message| message["language"] == "es").count(), 2);
    let dashboard = first.manager.get(&format!("/v1/properties/{property}/dashboard")).await;
    let open = dashboard["by_status"].as_array().into_iter().flatten().find(|row| row["status"] == "Open").cloned();
    assert_eq!(open.expect("a row")["total"]["amount"], 5 * 38_500, "{dashboard}");
    world.assert_invariants().await;
}

#[tokio::test]
async fn the_fee_that_a_resident_bears_is_shown_before_paying_and_charged() {
    let world = World::start(Options::default()).await;
    let (first, dmitri) = (&world.first, world.first.resident("Dmitri").clone());
    let policy = json!({ "property_id": dmitri.property, "fees": {
        "mode": "PassToResident",
        "card": { "basis_points": 340, "fixed": 30 },
        "bank_debit": { "basis_points": 100, "fixed": 0, "cap": 550 },
    } });
    first.manager.command("ChangeFeePolicy", &policy).await;
    let invoice = first.publish(&dmitri, 10_000, true).await;
    let client = world.sign_in(&dmitri).await;
    client.until(&format!("/v1/invoices/{invoice}"), |_| true).await;
    // What it costs depends on the card, so Stripe is shown it first.
    let quote = |payment: Uuid, token: Option<&str>| json!({ "payment_id": payment, "invoice_id": invoice, "amount": usd(10_000), "confirmation_token": token });
    client.refused("QuotePayment", &quote(Uuid::now_v7(), None), 422).await;
    let quoted = async |payment: Uuid, method: &str| {
        let form = [("key", "pk_test_sandbox"), ("_stripe_account", &*first.account), ("payment_method", method)];
        let token = world.sandbox.stripe("/v1/confirmation_tokens", &form).await.body["id"].clone();
        client.command("QuotePayment", &quote(payment, token.as_str())).await;
        client.until(&format!("/v1/payments/{payment}"), |payment| payment["phase"] == "Quoted").await
    };
    let debit = quoted(Uuid::now_v7(), "pm_card_visa_debit").await;
    assert_eq!((&debit["fee"]["amount"], &debit["waiver"]["kind"]), (&json!(0), &json!("Funding")), "{debit}");
    let payment = Uuid::now_v7();
    let credit = quoted(payment, "pm_card_visa").await;
    assert_eq!((&credit["fee"]["amount"], &credit["total"]["amount"]), (&json!(383), &json!(10_383)), "{credit}");
    assert_eq!(world.sandbox.intents(payment).await.len(), 0, "a quote alone charges nothing");
    // Who was quoted a fee pays that fee, even if the price list changes meanwhile.
    let mut dearer = policy.clone();
    dearer["fees"]["card"]["basis_points"] = 500.into();
    first.manager.command("ChangeFeePolicy", &dearer).await;
    client.command("StartPayment", &json!({ "payment_id": payment })).await;
    first.until_status(invoice, "Paid").await;
    let intents = world.sandbox.intents(payment).await;
    assert_eq!((intents.len(), &intents[0]["amount_received"]), (1, &json!(10_383)));
    first.until_message(invoice, "payment-received", "Delivered").await;
    let letters = world.sandbox.letters(&dmitri.email).await;
    let receipt = letters.iter().find(|letter| letter["_tags"]["kind"] == "payment-received").expect("a receipt");
    let text = receipt["text"].as_str().expect("a text");
    assert!(text.contains("$100.00") && text.contains("$3.83") && text.contains("$103.83"), "{text}");
    // All of it goes back, and the invoice is open by its own amount again.
    let refund = json!({ "payment_id": payment, "refund_id": Uuid::now_v7() });
    first.manager.command("RefundPayment", &refund).await;
    let refunded = first.until_payment(payment, "Refunded").await;
    assert_eq!(refunded["refunded"]["amount"], 10_383);
    let reopened = first.until_status(invoice, "Open").await;
    assert_eq!(reopened["balance"]["amount"], 10_000);
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_declined_card_says_why_and_another_card_pays_the_same_payment() {
    let world = World::start(Options::default()).await;
    let (first, elena) = (&world.first, world.first.resident("Elena").clone());
    let invoice = first.publish(&elena, 25_000, true).await;
    let client = world.sign_in(&elena).await;
    let payment = world.start_payment(&client, invoice, None).await;
    let path = format!("/v1/payments/{}", payment.id);
    for (method, code) in [
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedLostCard", "lost_card"),
    ] {
        world.confirm(&payment, method).await;
        let declined = first.manager.until(&path, |payment| payment["decline_code"] == code).await;
        assert_eq!(
            (&declined["failure_code"], &declined["status"]),
            (&json!("card_declined"), &json!("Failed")),
            "{declined}"
        );
    }
    // That a card was reported lost is not for whoever holds it.
    assert_eq!(client.get(&path).await["decline_code"], "generic_decline");
    // While the card is sought, the invoice is spoken for.
    let other = json!({ "payment_id": Uuid::now_v7(), "invoice_id": invoice, "amount": usd(25_000) });
    client.refused("QuotePayment", &other, 409).await;
    let edit = json!({
        "invoice_id": invoice, "title": "Changed meanwhile", "due_on": in_two_weeks(),
        "lines": [{ "description": "Common charges", "amount": usd(1_000) }],
    });
    first.manager.refused("EditInvoice", &edit, 409).await;
    first.manager.refused("VoidInvoice", &json!({ "invoice_id": invoice, "reason": "Meanwhile" }), 409).await;
    world.confirm(&payment, "pm_card_visa").await;
    first.until_status(invoice, "Paid").await;
    assert_eq!(world.count("select count(*) from log.events where event_type = 'PaymentDeclined'").await, 2);
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_card_that_wants_authentication_pays_when_the_bank_is_satisfied() {
    let world = World::start(Options::default()).await;
    let (first, ines) = (&world.first, world.first.resident("Ines").clone());
    let client = world.sign_in(&ines).await;
    for outcome in ["failed", "succeeded"] {
        let invoice = first.publish(&ines, 18_000, true).await;
        let payment = world.start_payment(&client, invoice, None).await;
        let path = format!("/v1/payments/{}", payment.id);
        let answer = world.confirm(&payment, "pm_card_authenticationRequired").await;
        assert_eq!(answer["status"], "requires_action", "{answer}");
        client.until(&path, |payment| payment["phase"] == "ActionRequired").await;
        world
            .sandbox
            .act(&format!("/stripe/payment_intents/{}/authenticate", payment.intent), &json!({ "outcome": outcome }))
            .await;
        if outcome == "failed" {
            client.until(&path, |payment| !payment["failure_code"].is_null()).await;
            assert_eq!(first.manager.get(&format!("/v1/invoices/{invoice}")).await["status"], "Open");
            client.command("CancelPayment", &json!({ "payment_id": payment.id })).await;
            client.until(&path, |payment| payment["phase"] == "Canceled").await;
        } else {
            first.until_status(invoice, "Paid").await;
        }
    }
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_canceled_payment_frees_the_invoice_for_another_and_a_check() {
    let world = World::start(Options::default()).await;
    let (first, jonas) = (&world.first, world.first.resident("Jonas").clone());
    let invoice = first.publish(&jonas, 20_000, true).await;
    let client = world.sign_in(&jonas).await;
    let abandoned = world.start_payment(&client, invoice, None).await;
    let check = json!({
        "invoice_id": invoice, "payment_id": Uuid::now_v7(), "amount": usd(20_000), "method": "Cash",
        "received_on": chrono::Utc::now().date_naive() - chrono::Days::new(1),
    });
    first.manager.refused("RecordOfflinePayment", &check, 409).await;
    first.manager.command("CancelPayment", &json!({ "payment_id": abandoned.id })).await;
    client.until(&format!("/v1/payments/{}", abandoned.id), |payment| payment["status"] == "Failed").await;
    let late = world.confirm(&abandoned, "pm_card_visa").await;
    assert!(late["error"].is_object(), "a canceled payment takes no money: {late}");
    world.pay(&client, invoice, Some(5_000)).await;
    let mut rest = check.clone();
    rest["amount"] = usd(15_000);
    first.manager.command("RecordOfflinePayment", &rest).await;
    first.until_status(invoice, "Paid").await;
    world.assert_invariants().await;
}
