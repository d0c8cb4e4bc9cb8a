//! Connected accounts: onboarding, isolation, deauthorization, payouts.

use serde_json::json;

use crate::world::{Tested, start};

#[tokio::test]
async fn an_account_is_onboarded_through_its_link() -> Tested {
    let world = start().await?;
    let form = [("country", "US"), ("email", "board@example.org"), ("controller[stripe_dashboard][type]", "full")];
    let account = world.post("/accounts", &form).await?;
    assert_eq!((&account.body["charges_enabled"], &account.body["details_submitted"]), (&json!(false), &json!(false)));
    let refused = world.post_as(
        account.id(),
        "/payment_intents",
        &[("amount", "5000"), ("currency", "usd"), ("confirm", "true"), ("payment_method", "pm_card_visa")],
    );
    assert_eq!(refused.await?.status, 400);
    let back = format!("{}/returned", world.inbox_url);
    let link = world
        .post(
            "/account_links",
            &[("account", account.id()), ("type", "account_onboarding"), ("refresh_url", &back), ("return_url", &back)],
        )
        .await?;
    let page = link.body["url"].as_str().unwrap_or_default();
    assert_eq!(world.http.get(page).send().await?.status(), 200);
    assert_eq!(world.http.post(page).send().await?.status(), 200);
    assert!(world.inbox.all().iter().any(|one| one.path == "/returned"));
    let account = world.get(&format!("/accounts/{}", account.id())).await?;
    assert_eq!(account.body["charges_enabled"], true);
    world.flush().await?;
    let event = world.inbox.first("account.updated")?.json();
    assert_eq!((&event["account"], &event["data"]["object"]["payouts_enabled"]), (&json!(account.id()), &json!(true)));
    let login = world.post(&format!("/accounts/{}/login_links", account.id()), &[]).await?;
    assert_eq!(login.body["object"], "login_link");
    Ok(())
}

#[tokio::test]
async fn requirements_and_restrictions_are_announced() -> Tested {
    let world = start().await?;
    world.board.finish_onboarding("acct_oak")?;
    let change = json!({"charges_enabled": false, "requirements": {"currently_due": ["person.verification"], "disabled_reason": "requirements.past_due"}});
    let answer = world.switch("/stripe/accounts/acct_oak", &change).await?;
    assert_eq!(answer.body["requirements"]["currently_due"], json!(["person.verification"]));
    assert_eq!(answer.body["requirements"]["errors"], json!([]));
    world.flush().await?;
    assert_eq!(world.inbox.count("account.updated"), 2);
    Ok(())
}

#[tokio::test]
async fn one_account_never_sees_another() -> Tested {
    let world = start().await?;
    for account in ["acct_oak", "acct_elm"] {
        world.board.finish_onboarding(account)?;
    }
    let form = [
        ("amount", "5000"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("application_fee_amount", "175"),
    ];
    let keyed = |account: &'static str| {
        let request = world.stripe(reqwest::Method::POST, "/payment_intents");
        request.header("Stripe-Account", account).header("Idempotency-Key", "same").form(&form)
    };
    let oak = world.send(keyed("acct_oak")).await?;
    let elm = world.send(keyed("acct_elm")).await?;
    assert_eq!((oak.status, elm.status), (200, 200));
    assert_ne!(oak.id(), elm.id());
    assert!(elm.header("idempotent-replayed").is_none());
    let path = format!("/payment_intents/{}", oak.id());
    assert_eq!(world.get_as("acct_oak", &path).await?.status, 200);
    assert_eq!(world.get_as("acct_elm", &path).await?.status, 404);
    assert_eq!(world.get(&path).await?.status, 404);
    let refund = world.post_as("acct_elm", "/refunds", &[("payment_intent", oak.id())]).await?;
    assert_eq!(refund.status, 400);
    let events = world.get_as("acct_elm", "/events?limit=100").await?;
    assert!(!events.body.to_string().contains(oak.id()));
    let transaction = world.get_as("acct_oak", "/balance_transactions").await?;
    assert_eq!(transaction.body["data"][0]["fee"], 175 + 175);
    world.flush().await?;
    assert_eq!(world.inbox.first("payment_intent.succeeded")?.json()["account"], "acct_oak");
    assert_eq!(world.get_as("acct_unknown", "/events").await?.status, 403);
    Ok(())
}

#[tokio::test]
async fn a_deauthorized_account_is_gone() -> Tested {
    let world = start().await?;
    world.board.finish_onboarding("acct_oak")?;
    assert_eq!(world.switch("/stripe/accounts/acct_oak/deauthorize", &json!({})).await?.status, 200);
    let answer = world.get_as("acct_oak", "/payment_intents").await?;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (403, &json!("account_invalid")));
    assert_eq!(world.get("/accounts/acct_oak").await?.status, 403);
    world.flush().await?;
    assert_eq!(world.inbox.count("account.application.deauthorized"), 1);
    assert_eq!(world.switch("/stripe/accounts/acct_oak/reauthorize", &json!({})).await?.status, 200);
    assert_eq!(world.get_as("acct_oak", "/payment_intents").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn payouts_come_from_the_switchboard() -> Tested {
    let world = start().await?;
    world.board.finish_onboarding("acct_oak")?;
    let payout = world.switch("/stripe/payouts", &json!({"account": "acct_oak", "amount": 5000})).await?;
    world.board.settle_payout(payout.id(), "paid", "")?;
    world.flush().await?;
    assert_eq!(world.inbox.count("payout.paid"), 1);
    // An amount chosen by hand is not made of transactions, so there is nothing to reconcile.
    assert_eq!(world.inbox.count("payout.reconciliation_completed"), 0);
    Ok(())
}
