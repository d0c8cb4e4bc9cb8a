//! Refunds add up to the charge and no further.

use serde_json::json;

use crate::world::{Tested, start};

#[tokio::test]
async fn partial_refunds_add_up_and_then_end() -> Tested {
    let world = start().await?;
    let paid = world.pay("10000", "pm_card_visa").await?;
    let charge = paid.body["latest_charge"].as_str().unwrap_or_default().to_owned();
    let first = world.post("/refunds", &[("payment_intent", paid.id()), ("amount", "4000")]).await?;
    assert_eq!((first.status, &first.body["status"]), (200, &json!("succeeded")));
    let much = world.post("/refunds", &[("charge", &charge), ("amount", "6001")]).await?;
    assert_eq!((much.status, &much.body["error"]["code"]), (400, &json!("amount_too_large")));
    let rest = world.post("/refunds", &[("charge", &charge), ("reason", "requested_by_customer")]).await?;
    assert_eq!(rest.body["amount"], 6_000);
    let over = world.post("/refunds", &[("charge", &charge)]).await?;
    assert_eq!((over.status, &over.body["error"]["code"]), (400, &json!("charge_already_refunded")));
    let seen = world.get(&format!("/charges/{charge}")).await?;
    assert_eq!((&seen.body["amount_refunded"], &seen.body["refunded"]), (&json!(10_000), &json!(true)));
    let listed = world.get(&format!("/refunds?payment_intent={}", paid.id())).await?;
    assert_eq!(listed.body["data"].as_array().map(Vec::len), Some(2));
    let listed = world.get(&format!("/refunds?charge={charge}&limit=1")).await?;
    assert_eq!((&listed.body["data"][0]["id"], &listed.body["has_more"]), (&json!(rest.id()), &json!(true)));
    world.flush().await?;
    assert_eq!(world.inbox.count("refund.created"), 2);
    assert_eq!(world.inbox.count("charge.refunded"), 2);
    Ok(())
}

#[tokio::test]
async fn an_unpaid_intent_cannot_be_refunded() -> Tested {
    let world = start().await?;
    let intent = world.post("/payment_intents", &[("amount", "5000"), ("currency", "usd")]).await?;
    assert_eq!(world.post("/refunds", &[("payment_intent", intent.id())]).await?.status, 400);
    assert_eq!(world.post("/refunds", &[("payment_intent", "pi_none")]).await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn a_refund_can_fail_later_and_gives_the_amount_back() -> Tested {
    let world = start().await?;
    let paid = world.pay("10000", "pm_card_pendingRefund").await?;
    let refund = world.post("/refunds", &[("payment_intent", paid.id())]).await?;
    assert_eq!(refund.body["status"], "pending");
    let failed = world.board.settle_refund(refund.id(), "failed", "declined")?;
    assert_eq!((&failed["status"], &failed["failure_reason"]), (&json!("failed"), &json!("declined")));
    let again = world.post("/refunds", &[("payment_intent", paid.id())]).await?;
    assert_eq!(again.status, 200);
    world.flush().await?;
    assert_eq!(world.inbox.count("refund.updated"), 1);
    assert_eq!(world.inbox.count("refund.failed"), 1);
    Ok(())
}
