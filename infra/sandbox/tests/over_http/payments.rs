//! Paying: success, declines, authentication, bank debits, cancellation, and what Stripe refuses.

use serde_json::json;

use crate::world::{Tested, start};

#[tokio::test]
async fn a_payment_succeeds_and_leaves_a_charge_with_its_fee() -> Tested {
    let world = start().await?;
    let customer = world.post("/customers", &[("email", "ana@example.com"), ("metadata[unit]", "12B")]).await?;
    let intent = world
        .post(
            "/payment_intents",
            &[
                ("amount", "25000"),
                ("currency", "usd"),
                ("customer", customer.id()),
                ("automatic_payment_methods[enabled]", "true"),
                ("metadata[invoice]", "inv_1"),
                ("description", "Dues"),
            ],
        )
        .await?;
    assert_eq!((intent.status, &intent.body["status"]), (200, &json!("requires_payment_method")));
    assert!(intent.header("request-id").is_some_and(|id| id.starts_with("req_")));
    let confirm = format!("/payment_intents/{}/confirm", intent.id());
    let form = [("payment_method", "pm_card_visa"), ("expand[]", "latest_charge.balance_transaction")];
    let paid = world.post(&confirm, &form).await?;
    assert_eq!(paid.body["status"], "succeeded");
    assert_eq!(paid.body["amount_received"], 25_000);
    let transaction = &paid.body["latest_charge"]["balance_transaction"];
    assert_eq!((&transaction["fee"], &transaction["net"]), (&json!(755), &json!(24_245)));
    let read = world.get(&format!("/payment_intents/{}", intent.id())).await?;
    assert_eq!(read.body["metadata"]["invoice"], "inv_1");
    let charge = world.get(&format!("/charges/{}", read.body["latest_charge"].as_str().unwrap_or_default())).await?;
    assert_eq!(charge.body["payment_intent"], json!(intent.id()));
    let listed = world.get(&format!("/payment_intents?customer={}", customer.id())).await?;
    assert_eq!(listed.body["data"][0]["id"], json!(intent.id()));
    let again = world.post(&confirm, &form).await?;
    assert_eq!((again.status, &again.body["error"]["code"]), (400, &json!("payment_intent_unexpected_state")));
    assert_eq!(again.body["error"]["payment_intent"]["status"], "succeeded");
    world.flush().await?;
    let mut kinds = world.inbox.kinds();
    kinds.sort();
    assert_eq!(kinds, ["charge.succeeded", "customer.created", "payment_intent.created", "payment_intent.succeeded"]);
    world.sandbox.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_declined_payment_can_be_tried_again_with_another_card() -> Tested {
    let world = start().await?;
    let intent = world.post("/payment_intents", &[("amount", "5000"), ("currency", "usd")]).await?;
    let confirm = format!("/payment_intents/{}/confirm", intent.id());
    for (method, code, decline, advice) in [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline", "try_again_later"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds", "try_again_later"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card", "confirm_card_data"),
        ("pm_card_chargeDeclinedLostCard", "card_declined", "lost_card", "do_not_try_again"),
    ] {
        let answer = world.post(&confirm, &[("payment_method", method)]).await?;
        let error = &answer.body["error"];
        assert_eq!((answer.status, &error["type"]), (402, &json!("card_error")), "{method}");
        assert_eq!((&error["code"], &error["decline_code"]), (&json!(code), &json!(decline)));
        assert_eq!(error["advice_code"], advice);
        assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
        assert_eq!(error["payment_intent"]["last_payment_error"]["decline_code"], decline);
    }
    let paid = world.post(&confirm, &[("payment_method", "pm_card_mastercard")]).await?;
    assert_eq!(paid.body["status"], "succeeded");
    assert_eq!(paid.body["last_payment_error"], json!(null));
    let charges = world.get(&format!("/charges?payment_intent={}", intent.id())).await?;
    assert_eq!(charges.body["data"].as_array().map(Vec::len), Some(5));
    world.flush().await?;
    assert_eq!(world.inbox.count("payment_intent.payment_failed"), 4);
    assert_eq!(world.inbox.count("charge.failed"), 4);
    assert_eq!(world.inbox.count("payment_intent.succeeded"), 1);
    Ok(())
}

#[tokio::test]
async fn a_browser_pays_with_the_client_secret_and_sees_little() -> Tested {
    let world = start().await?;
    world.board.finish_onboarding("acct_oak")?;
    let form = [("amount", "5000"), ("currency", "usd"), ("metadata[invoice]", "secret")];
    let intent = world.post_as("acct_oak", "/payment_intents", &form).await?;
    let secret = intent.body["client_secret"].as_str().unwrap_or_default();
    let url = world.url(&format!("/stripe/v1/payment_intents/{}/confirm", intent.id()));
    let with = |secret: &str| {
        [
            ("key", "pk_test_sandbox".to_owned()),
            ("_stripe_account", "acct_oak".to_owned()),
            ("client_secret", secret.to_owned()),
            ("payment_method", "pm_card_visa".to_owned()),
        ]
    };
    let forged = world.send(world.http.post(&url).form(&with("pi_x_secret_y"))).await?;
    assert_eq!(forged.status, 400);
    let paid = world.send(world.http.post(&url).form(&with(secret))).await?;
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("succeeded")));
    assert!(paid.body.get("metadata").is_none());
    let refund = world.http.post(world.url("/stripe/v1/refunds")).bearer_auth("pk_test_sandbox");
    assert_eq!(world.send(refund.form(&[("payment_intent", intent.id())])).await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn authentication_is_completed_outside() -> Tested {
    let world = start().await?;
    let asked = world.pay("5000", "pm_card_authenticationRequired").await?;
    assert_eq!(asked.body["status"], "requires_action");
    assert_eq!(asked.body["next_action"]["type"], "redirect_to_url");
    let path = format!("/stripe/payment_intents/{}/authenticate", asked.id());
    let done = world.switch(&path, &json!({})).await?;
    assert_eq!((done.status, &done.body["status"]), (200, &json!("succeeded")));
    assert_eq!(world.switch(&path, &json!({})).await?.status, 409);
    let second = world.pay("5000", "pm_card_authenticationRequired").await?;
    let failed = world.board.authenticate(second.id(), false)?;
    assert_eq!(failed["status"], "requires_payment_method");
    let form = [
        ("amount", "5000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("off_session", "true"),
        ("payment_method", "pm_card_authenticationRequired"),
    ];
    let absent = world.post("/payment_intents", &form).await?;
    assert_eq!((absent.status, &absent.body["error"]["code"]), (402, &json!("authentication_required")));
    world.flush().await?;
    assert_eq!(world.inbox.count("payment_intent.requires_action"), 2);
    Ok(())
}

#[tokio::test]
async fn a_bank_debit_is_processing_until_it_settles() -> Tested {
    let world = start().await?;
    let debit = world.pay("100000", "pm_usBankAccount_success").await?;
    assert_eq!(debit.body["status"], "processing");
    let settled = world.board.settle(debit.id(), true)?;
    assert_eq!(settled["status"], "succeeded");
    assert_eq!(settled["latest_charge"], debit.body["latest_charge"]);
    let returned = world.pay("100000", "pm_usBankAccount_success").await?;
    let returned = world.board.settle(returned.id(), false)?;
    assert_eq!(returned["status"], "requires_payment_method");
    world.flush().await?;
    assert_eq!(world.inbox.count("payment_intent.processing"), 2);
    assert_eq!(world.inbox.count("payment_intent.succeeded"), 1);
    assert_eq!(world.inbox.count("payment_intent.payment_failed"), 1);
    Ok(())
}

#[tokio::test]
async fn a_canceled_payment_stays_canceled() -> Tested {
    let world = start().await?;
    let intent = world.post("/payment_intents", &[("amount", "5000"), ("currency", "usd")]).await?;
    let path = format!("/payment_intents/{}", intent.id());
    let canceled = world.post(&format!("{path}/cancel"), &[("cancellation_reason", "abandoned")]).await?;
    assert_eq!(canceled.body["status"], "canceled");
    let confirm = world.post(&format!("{path}/confirm"), &[("payment_method", "pm_card_visa")]).await?;
    assert_eq!(confirm.status, 400);
    let paid = world.pay("5000", "pm_card_visa").await?;
    assert_eq!(world.post(&format!("/payment_intents/{}/cancel", paid.id()), &[]).await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn pages_follow_a_cursor_to_the_end() -> Tested {
    let world = start().await?;
    let customer = world.post("/customers", &[]).await?;
    let mut made = Vec::new();
    for _ in 0..7 {
        let form = [("amount", "5000"), ("currency", "usd"), ("customer", customer.id())];
        made.push(world.post("/payment_intents", &form).await?.id().to_owned());
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(&format!("/payment_intents?customer={}&limit=3{cursor}", customer.id())).await?;
        for object in page.body["data"].as_array().into_iter().flatten() {
            seen.push(object["id"].as_str().unwrap_or_default().to_owned());
        }
        if page.body["has_more"] != json!(true) {
            break;
        }
        cursor = format!("&starting_after={}", seen.last().cloned().unwrap_or_default());
    }
    assert_eq!(seen, made);
    Ok(())
}

#[tokio::test]
async fn what_stripe_would_refuse_is_refused() -> Tested {
    let world = start().await?;
    for (form, code) in [
        (vec![("amount", "5000"), ("currency", "usd"), ("payment_method_types[]", "card")], "parameter_unknown"),
        (vec![("currency", "usd")], "parameter_missing"),
        (vec![("amount", "ten"), ("currency", "usd")], "parameter_invalid_integer"),
        (vec![("amount", "49"), ("currency", "usd")], "amount_too_small"),
        (vec![("amount", "100000000"), ("currency", "usd")], "amount_too_large"),
        (vec![("amount", "5000"), ("currency", "usd"), ("customer", "cus_x")], "resource_missing"),
    ] {
        let answer = world.post("/payment_intents", &form).await?;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (400, &json!(code)));
    }
    for method in ["pm_card_nobody", ""] {
        assert_eq!(world.pay("5000", method).await?.status, 400);
    }
    assert_eq!(world.board.objects("payment_intents"), Some(Vec::new()));
    assert_eq!(world.get("/payment_intents/pi_none").await?.status, 404);
    let nobody = world.http.get(world.url("/stripe/v1/events"));
    assert_eq!(world.send(nobody).await?.status, 401);
    let live = world.http.get(world.url("/stripe/v1/events")).bearer_auth("sk_live_x");
    assert_eq!(world.send(live).await?.status, 401);
    let body = world.stripe(reqwest::Method::POST, "/customers").json(&json!({}));
    assert_eq!(world.send(body).await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn a_confirmation_token_shows_the_card_before_it_pays() -> Tested {
    let world = start().await?;
    let token = world.post("/test_helpers/confirmation_tokens", &[("payment_method", "pm_card_visa_debit")]).await?;
    let read = world.get(&format!("/confirmation_tokens/{}", token.id())).await?;
    assert_eq!(read.body["payment_method_preview"]["card"]["funding"], "debit");
    let form = [("amount", "5000"), ("currency", "usd"), ("confirm", "true"), ("confirmation_token", token.id())];
    let paid = world.post("/payment_intents", &form).await?;
    assert_eq!(paid.body["status"], "succeeded");
    Ok(())
}
