//! Webhooks: signed, repeated until accepted, and mishandled on demand.

use ring::hmac;
use serde_json::json;

use crate::world::{Received, STRIPE_SECRET, Tested, start};

fn verified(event: &Received) -> bool {
    let header = event.header("stripe-signature");
    let part = |name: &str| header.split(',').find_map(|part| part.strip_prefix(name)).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, STRIPE_SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("{}.{}", part("t="), event.body).as_bytes());
    let expected = tag.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let age = chrono::Utc::now().timestamp() - part("t=").parse::<i64>().unwrap_or(0);
    part("v1=") == expected && age.abs() < 60
}

#[tokio::test]
async fn every_webhook_is_signed_and_listed() -> Tested {
    let world = start().await?;
    world.switch("/clock", &json!({"offset_seconds": 1_000_000})).await?;
    let before = chrono::Utc::now().timestamp() + 999_999;
    world.pay("5000", "pm_card_visa").await?;
    world.flush().await?;
    let received = world.inbox.all();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(verified));
    let listed = world.get(&format!("/events?created[gte]={before}&types[]=payment_intent.*")).await?;
    assert_eq!(listed.body["data"].as_array().map(Vec::len), Some(2));
    let none = world.get(&format!("/events?created[lt]={before}")).await?;
    assert_eq!(none.body["data"], json!([]));
    let event = world.inbox.first("payment_intent.succeeded")?.json();
    assert_eq!(event["api_version"], "2026-09-30.endive");
    let same = world.get(&format!("/events/{}", event["id"].as_str().unwrap_or_default())).await?;
    assert_eq!(same.body, event);
    Ok(())
}

#[tokio::test]
async fn a_refused_webhook_comes_again() -> Tested {
    let world = start().await?;
    world.inbox.refuse(3);
    world.pay("5000", "pm_card_visa").await?;
    world.flush().await?;
    assert_eq!(world.inbox.all().len(), 6);
    assert_eq!(world.board.objects("deliveries").map(|all| all.len()), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_duplicate_is_the_same_event_twice() -> Tested {
    let world = start().await?;
    world.fault(json!({"kind": "duplicate_webhook", "match": "payment_intent.succeeded"})).await?;
    world.pay("5000", "pm_card_visa").await?;
    world.flush().await?;
    assert_eq!(world.inbox.count("payment_intent.succeeded"), 2);
    assert_eq!(world.inbox.all().len(), 4);
    Ok(())
}

#[tokio::test]
async fn held_webhooks_arrive_in_reverse() -> Tested {
    let world = start().await?;
    world.fault(json!({"kind": "reorder_webhooks", "provider": "stripe", "times": 2})).await?;
    world.pay("5000", "pm_card_visa").await?;
    world.flush().await?;
    assert_eq!(world.inbox.kinds(), ["payment_intent.succeeded", "charge.succeeded", "payment_intent.created"]);
    Ok(())
}

#[tokio::test]
async fn a_flush_releases_what_is_held() -> Tested {
    let world = start().await?;
    world.fault(json!({"kind": "reorder_webhooks", "times": 10})).await?;
    world.pay("5000", "pm_card_visa").await?;
    world.flush().await?;
    assert_eq!(world.inbox.kinds(), ["payment_intent.succeeded", "charge.succeeded", "payment_intent.created"]);
    Ok(())
}

#[tokio::test]
async fn a_delayed_webhook_comes_after_the_others() -> Tested {
    let world = start().await?;
    world.fault(json!({"kind": "delay_webhooks", "ms": 300, "match": "payment_intent.created"})).await?;
    world.pay("5000", "pm_card_visa").await?;
    world.flush().await?;
    assert_eq!(world.inbox.kinds().last().map(String::as_str), Some("payment_intent.created"));
    Ok(())
}

#[tokio::test]
async fn a_dropped_webhook_is_listed_and_can_be_replayed() -> Tested {
    let world = start().await?;
    world.fault(json!({"kind": "drop_webhooks", "match": "payment_intent.succeeded"})).await?;
    world.pay("5000", "pm_card_visa").await?;
    world.flush().await?;
    assert_eq!(world.inbox.count("payment_intent.succeeded"), 0);
    let events = world.get("/events?type=payment_intent.succeeded").await?;
    let id = events.body["data"][0]["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(world.switch(&format!("/webhooks/replay/{id}"), &json!({})).await?.status, 200);
    assert_eq!(world.switch("/webhooks/replay/evt_none", &json!({})).await?.status, 404);
    assert_eq!(world.switch("/flush", &json!({})).await?.body["undelivered"], 0);
    assert_eq!(world.inbox.count("payment_intent.succeeded"), 1);
    Ok(())
}

#[tokio::test]
async fn forged_and_truncated_copies_precede_the_true_one() -> Tested {
    let world = start().await?;
    world.fault(json!({"kind": "forge_webhooks", "match": "charge.succeeded"})).await?;
    world.fault(json!({"kind": "truncate_webhooks", "match": "payment_intent.created"})).await?;
    world.pay("5000", "pm_card_visa").await?;
    world.flush().await?;
    let charges: Vec<bool> =
        world.inbox.all().iter().filter(|one| one.kind() == "charge.succeeded").map(verified).collect();
    assert_eq!(charges, [false, true]);
    assert_eq!(world.inbox.all().iter().filter(|one| one.json().is_null()).count(), 1);
    assert_eq!(world.inbox.count("payment_intent.created"), 1);
    Ok(())
}

#[tokio::test]
async fn the_journal_tells_all_and_keeps_secrets() -> Tested {
    let world = start().await?;
    world.pay("5000", "pm_card_visa").await?;
    world.flush().await?;
    let journal = world.look("/journal").await?.body;
    let text = journal.to_string();
    assert!(!text.contains("sk_test_sandbox") && !text.contains("stripe-signature") && !text.contains("v1="));
    let entries = journal.as_array().cloned().unwrap_or_default();
    let received: Vec<_> = entries.iter().filter(|entry| entry["direction"] == "received").collect();
    assert_eq!((received.len(), &received[0]["status"]), (1, &json!(200)));
    assert!(received[0]["body"].as_str().is_some_and(|body| body.contains("amount=5000")));
    assert_eq!(entries.iter().filter(|entry| entry["direction"] == "sent").count(), 3);
    Ok(())
}
