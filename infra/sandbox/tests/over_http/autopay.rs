//! Kept ways to pay: setup intents, off-session charges, declines, detached methods and revoked mandates.

use serde_json::{Value, json};

use crate::world::{Answer, Failure, Tested, World, start};

async fn customer(world: &World) -> Result<String, Failure> {
    Ok(world.post("/customers", &[]).await?.id().to_owned())
}

async fn keep(world: &World, customer: &str, method: &str) -> Result<Answer, Failure> {
    let form = [("customer", customer), ("confirm", "true"), ("payment_method", method)];
    world.post("/setup_intents", &form).await
}

async fn charge(world: &World, customer: &str, method: &str) -> Result<Answer, Failure> {
    let form = [
        ("amount", "5000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("off_session", "true"),
        ("customer", customer),
        ("payment_method", method),
    ];
    world.post("/payment_intents", &form).await
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_kept_card_is_charged_without_its_holder() -> Tested {
    let world = start().await?;
    let customer = customer(&world).await?;
    let kept = keep(&world, &customer, "pm_card_visa").await?;
    assert_eq!((kept.status, &kept.body["status"], &kept.body["mandate"]), (200, &json!("succeeded"), &json!(null)));
    let method = text(&kept.body, "payment_method").to_owned();
    let read = world.get(&format!("/payment_methods/{method}")).await?;
    assert_eq!(read.body["customer"], json!(customer));
    let paid = charge(&world, &customer, &method).await?;
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("succeeded")));
    let stranger = world.post("/customers", &[]).await?;
    assert_eq!(charge(&world, stranger.id(), &method).await?.status, 400);
    world.flush().await?;
    for kind in ["setup_intent.created", "payment_method.attached", "setup_intent.succeeded"] {
        assert_eq!(world.inbox.count(kind), 1, "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn a_card_that_declines_cannot_be_kept_and_one_that_declines_later_can() -> Tested {
    let world = start().await?;
    let customer = customer(&world).await?;
    let refused = keep(&world, &customer, "pm_card_chargeDeclinedLostCard").await?;
    let error = &refused.body["error"];
    assert_eq!((refused.status, &error["decline_code"]), (402, &json!("lost_card")));
    assert_eq!(error["setup_intent"]["status"], "requires_payment_method");
    let kept = keep(&world, &customer, "pm_card_chargeCustomerFail").await?;
    let method = text(&kept.body, "payment_method").to_owned();
    let declined = charge(&world, &customer, &method).await?;
    let error = &declined.body["error"];
    assert_eq!((declined.status, &error["code"]), (402, &json!("card_declined")));
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    world.flush().await?;
    assert_eq!(world.inbox.count("setup_intent.setup_failed"), 1);
    Ok(())
}

#[tokio::test]
async fn a_kept_card_can_be_told_to_fail_some_charges() -> Tested {
    let world = start().await?;
    let customer = customer(&world).await?;
    let kept = keep(&world, &customer, "pm_card_visa").await?;
    let method = text(&kept.body, "payment_method").to_owned();
    let path = format!("/stripe/payment_methods/{method}/behave");
    let like = json!({"as": "pm_card_chargeDeclinedInsufficientFunds", "times": 2});
    assert_eq!(world.switch(&path, &like).await?.status, 200);
    for expected in [402, 402, 200] {
        assert_eq!(charge(&world, &customer, &method).await?.status, expected);
    }
    assert_eq!(world.switch(&path, &json!({"as": "pm_card_comet"})).await?.status, 409);
    Ok(())
}

#[tokio::test]
async fn a_card_that_asks_is_declined_off_the_session_unless_it_was_set_up() -> Tested {
    let world = start().await?;
    let customer = customer(&world).await?;
    for (method, status) in [("pm_card_authenticationRequired", 402), ("pm_card_authenticationRequiredOnSetup", 200)] {
        let asked = keep(&world, &customer, method).await?;
        assert_eq!(
            (&asked.body["status"], &asked.body["next_action"]["type"]),
            (&json!("requires_action"), &json!("redirect_to_url"))
        );
        let done = world.switch(&format!("/stripe/setup_intents/{}/authenticate", asked.id()), &json!({})).await?;
        assert_eq!(done.body["status"], "succeeded");
        let paid = charge(&world, &customer, text(&done.body, "payment_method")).await?;
        assert_eq!(paid.status, status, "{method}: {}", paid.body);
        if status == 402 {
            assert_eq!(paid.body["error"]["code"], "authentication_required");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_bank_account_is_kept_at_once_or_after_two_small_deposits() -> Tested {
    let world = start().await?;
    let customer = customer(&world).await?;
    let linked = keep(&world, &customer, "pm_usBankAccount_success").await?;
    assert_eq!(linked.body["status"], "succeeded");
    let mandate = world.get(&format!("/mandates/{}", text(&linked.body, "mandate"))).await?;
    assert_eq!(
        (&mandate.body["status"], &mandate.body["payment_method"]),
        (&json!("active"), &linked.body["payment_method"])
    );
    let typed = [
        ("type", "us_bank_account"),
        ("us_bank_account[account_number]", "000123456789"),
        ("us_bank_account[routing_number]", "110000000"),
        ("us_bank_account[account_holder_type]", "individual"),
    ];
    let method = world.post("/payment_methods", &typed).await?;
    let waiting = keep(&world, &customer, method.id()).await?;
    assert_eq!(waiting.body["next_action"]["type"], "verify_with_microdeposits");
    let path = format!("/setup_intents/{}/verify_microdeposits", waiting.id());
    let wrong = world.post(&path, &[("amounts[]", "1"), ("amounts[]", "2")]).await?;
    let code = "payment_method_microdeposit_verification_amounts_mismatch";
    assert_eq!((wrong.status, &wrong.body["error"]["code"]), (400, &json!(code)));
    let right = world.post(&path, &[("amounts[]", "45"), ("amounts[]", "32")]).await?;
    assert_eq!((right.status, &right.body["status"]), (200, &json!("succeeded")));
    let method = world.post("/payment_methods", &typed).await?;
    let given_up = keep(&world, &customer, method.id()).await?;
    let path = format!("/setup_intents/{}/verify_microdeposits", given_up.id());
    let over = world.post(&path, &[("descriptor_code", "SM33CC")]).await?;
    assert_eq!(over.body["error"]["setup_intent"]["status"], "requires_payment_method");
    Ok(())
}

#[tokio::test]
async fn a_detached_method_charges_nothing_and_is_detached_once() -> Tested {
    let world = start().await?;
    let customer = customer(&world).await?;
    let kept = keep(&world, &customer, "pm_card_visa").await?;
    let method = text(&kept.body, "payment_method").to_owned();
    let path = format!("/payment_methods/{method}/detach");
    assert_eq!(world.post(&path, &[]).await?.body["customer"], json!(null));
    assert_eq!(world.post(&path, &[]).await?.status, 400);
    let refused = charge(&world, &customer, &method).await?;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (400, &json!("payment_method_unexpected_state")));
    assert_eq!(world.board.objects("payment_intents").map(|all| all.len()), Some(0));
    world.flush().await?;
    let event = world.inbox.first("payment_method.detached")?.json();
    assert_eq!(event["data"]["previous_attributes"]["customer"], json!(customer));
    Ok(())
}

#[tokio::test]
async fn a_card_is_updated_and_a_mandate_revoked_from_outside() -> Tested {
    let world = start().await?;
    let customer = customer(&world).await?;
    let card = keep(&world, &customer, "pm_card_visa").await?;
    let card = text(&card.body, "payment_method").to_owned();
    let new = json!({"last4": "1881", "exp_year": 2040});
    world.switch(&format!("/stripe/payment_methods/{card}/card"), &new).await?;
    assert_eq!(world.get(&format!("/payment_methods/{card}")).await?.body["card"]["last4"], "1881");
    let bank = keep(&world, &customer, "pm_usBankAccount_success").await?;
    let method = text(&bank.body, "payment_method").to_owned();
    world.switch(&format!("/stripe/payment_methods/{method}/revoke"), &json!({})).await?;
    let refused = charge(&world, &customer, &method).await?;
    assert_eq!(refused.body["error"]["code"], "payment_intent_mandate_invalid");
    world.flush().await?;
    let event = world.inbox.first("payment_method.automatically_updated")?.json();
    assert_eq!(
        (&event["data"]["object"]["card"]["last4"], &event["data"]["previous_attributes"]["card"]["last4"]),
        (&json!("1881"), &json!("4242"))
    );
    assert_eq!(world.inbox.first("mandate.updated")?.json()["data"]["object"]["status"], "inactive");
    Ok(())
}

#[tokio::test]
async fn a_setup_intent_can_be_given_up_and_its_secret_guards_it() -> Tested {
    let world = start().await?;
    world.board.finish_onboarding("acct_oak")?;
    let customer = world.post_as("acct_oak", "/customers", &[]).await?;
    let form = [("customer", customer.id()), ("allowed_payment_method_types[]", "card"), ("metadata[setup]", "s")];
    let intent = world.post_as("acct_oak", "/setup_intents", &form).await?;
    assert_eq!(intent.body["payment_method_types"], json!(["card"]));
    let confirm = world.url(&format!("/stripe/v1/setup_intents/{}/confirm", intent.id()));
    let with = |secret: &str, method: &str| {
        [
            ("key", "pk_test_sandbox"),
            ("_stripe_account", "acct_oak"),
            ("client_secret", secret),
            ("payment_method", method),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    };
    let secret = text(&intent.body, "client_secret").to_owned();
    assert_eq!(world.send(world.http.post(&confirm).form(&with("seti_x_secret", "pm_card_visa"))).await?.status, 400);
    let other = world.send(world.http.post(&confirm).form(&with(&secret, "pm_usBankAccount_success"))).await?;
    assert_eq!(other.body["error"]["code"], "payment_intent_incompatible_payment_method");
    let done = world.send(world.http.post(&confirm).form(&with(&secret, "pm_card_visa"))).await?;
    assert_eq!((done.status, &done.body["status"]), (200, &json!("succeeded")));
    assert!(done.body.get("metadata").is_none());
    let idle = world.post_as("acct_oak", "/setup_intents", &form).await?;
    let path = format!("/setup_intents/{}/cancel", idle.id());
    assert_eq!(world.post_as("acct_oak", &path, &[]).await?.body["status"], "canceled");
    assert_eq!(world.post_as("acct_oak", &path, &[]).await?.status, 400);
    Ok(())
}
