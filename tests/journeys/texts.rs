//! Texts from outside: agreed to in the portal, proven by a code, sent by the provider, ended by one word on the phone.

use std::time::{Duration, Instant};

use chrono::Utc;
use events::TimeZone;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Client, Options, PATIENCE, Resident, World};

const NUMBER: &str = "+12125550143";

/// Two in the afternoon in New York: permitted wherever somebody may be.
pub async fn afternoon(world: &World) {
    let zone = TimeZone::parse("America/New_York").expect("a zone");
    let today = zone.day_of(Utc::now());
    let at = |day| zone.at_hour(day, 14);
    let next = if at(today) > Utc::now() { at(today) } else { at(today.succ_opt().expect("a day")) };
    world.pass_time((next - Utc::now()).num_seconds() + 1).await;
}

/// What a phone shows, oldest first.
pub async fn phone(world: &World, number: &str) -> Vec<Value> {
    let mut texts: Vec<Value> =
        world.sandbox.objects("twilio/messages").await.into_iter().map(|row| row["message"].clone()).collect();
    texts.retain(|text| text["to"] == number);
    texts
}

pub async fn until_text(world: &World, number: &str, part: &str) -> String {
    let started = Instant::now();
    loop {
        let found = phone(world, number)
            .await
            .into_iter()
            .find(|text| text["body"].as_str().is_some_and(|body| body.contains(part)));
        if let Some(text) = found {
            return text["body"].as_str().unwrap_or_default().to_owned();
        }
        assert!(started.elapsed() < PATIENCE, "no text with {part:?} came to {number}");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// Agrees in the portal, and types the code from the phone.
pub async fn agrees(world: &World, who: &Resident, number: &str) -> Client {
    let client = world.sign_in(who).await;
    let shown = Uuid::now_v7();
    let disclosure = json!({
        "resident_id": who.id, "shown_id": shown, "property_id": who.property, "language": "en",
        "time_zone": "America/New_York",
    });
    client.command("ShowDisclosure", &disclosure).await;
    let consent = json!({
        "resident_id": who.id, "shown_id": shown, "phone": number, "checkbox": { "before": false, "after": true },
        "scope": "All", "time_zone": "America/New_York",
    });
    client.command("RecordSmsConsent", &consent).await;
    let text = until_text(world, number, "code").await;
    let code: String = text
        .split(' ')
        .find_map(|word| {
            let digits: String = word.chars().filter(char::is_ascii_digit).collect();
            (digits.len() == 6).then_some(digits)
        })
        .expect("six digits");
    client.command("ConfirmSmsConsent", &json!({ "resident_id": who.id, "code": code })).await;
    until_text(world, number, "STOP").await;
    client
}

#[tokio::test]
async fn a_resident_agrees_is_texted_and_ends_it_by_one_word() {
    let world = World::start(Options::default()).await;
    afternoon(&world).await;
    let (first, carol) = (&world.first, world.first.resident("Carol").clone());
    let on = json!({ "property_id": carol.property, "kind": "invoice-published", "on": true });
    first.manager.command("SwitchTextKind", &on).await;
    // A forged copy goes ahead of every callback: it is refused, and the true one is believed.
    let forged = json!({ "provider": "twilio", "kind": "forge_webhooks", "times": 20 });
    world.sandbox.fault(forged).await;
    let client = agrees(&world, &carol, NUMBER).await;

    let invoice = first.publish(&carol, 42_500, true).await;
    let body = until_text(&world, NUMBER, &format!("/invoices/{invoice}")).await;
    assert!(body.contains("Monthly fee") && body.contains("Reply STOP to opt out."), "{body}");
    let path = format!("/v1/texts?invoice_id={invoice}");
    let texts = first.manager.until_list(&path, |list| list.len() == 1 && list[0]["status"] == "Delivered").await;
    assert!(texts[0]["consent"].is_string() && texts[0]["policy"].is_string(), "{}", texts[0]);
    assert_eq!(texts[0]["encoding"], "Gsm7");

    // Not a word of Twilio's own: we answer, once.
    world.sandbox.act("/twilio/inbound", &json!({ "from": NUMBER, "body": " Arrêt! " })).await;
    until_text(&world, NUMBER, "unsubscribed").await;
    let known = phone(&world, NUMBER).await.len();
    let silent = first.publish(&carol, 1_000, true).await;
    let path = format!("/v1/texts?invoice_id={silent}");
    let texts = first.manager.until_list(&path, |list| list.len() == 1 && list[0]["status"] == "Suppressed").await;
    assert_eq!(texts[0]["reason"], "ConsentRevoked", "{}", texts[0]);
    assert_eq!(phone(&world, NUMBER).await.len(), known);

    // The word that ended it does not keep the resident from agreeing again in the portal, and Twilio's own word counts too.
    client.until(&format!("/v1/texts?invoice_id={silent}"), |list| list["items"][0]["status"] == "Suppressed").await;
    world.sandbox.act("/twilio/inbound", &json!({ "from": NUMBER, "body": "START" })).await;
    let again = first.publish(&carol, 2_000, true).await;
    until_text(&world, NUMBER, &format!("/invoices/{again}")).await;
    world.sandbox.act("/twilio/inbound", &json!({ "from": NUMBER, "body": "STOP" })).await;
    assert_eq!(world.sandbox.flush().await, 0);
    let last = first.publish(&carol, 3_000, true).await;
    let path = format!("/v1/texts?invoice_id={last}");
    first.manager.until_list(&path, |list| list.len() == 1 && list[0]["reason"] == "ConsentRevoked").await;
    // Twilio answered that one, we did not.
    let own: Vec<Value> =
        phone(&world, NUMBER).await.into_iter().filter(|text| text["direction"] == "outbound-reply").collect();
    assert_eq!(own.len(), 2, "{own:?}");
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_lost_answer_of_the_provider_is_one_text() {
    let world = World::start(Options::default()).await;
    afternoon(&world).await;
    let (first, liam) = (&world.first, world.first.resident("Liam").clone());
    let on = json!({ "property_id": liam.property, "kind": "invoice-published", "on": true });
    first.manager.command("SwitchTextKind", &on).await;
    agrees(&world, &liam, NUMBER).await;
    let lost = json!({ "kind": "timeout_after_commit", "hold_ms": 50 });
    let fault = world.request_fault("twilio", "POST ", lost).await;
    let invoice = first.publish(&liam, 42_500, true).await;
    let path = format!("/v1/texts?invoice_id={invoice}");
    first.manager.until_list(&path, |list| list.len() == 1 && list[0]["status"] == "Delivered").await;
    assert_eq!(world.sandbox.struck(fault).await, 1);
    let link = format!("/invoices/{invoice}");
    let of_it = phone(&world, NUMBER)
        .await
        .into_iter()
        .filter(|text| text["body"].as_str().is_some_and(|body| body.contains(&link)));
    assert_eq!(of_it.count(), 1);
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_text_can_be_read_and_counted_before_anything_is_sent() {
    let world = World::start(Options::default()).await;
    let first = &world.first;
    let property = first.property("Maple Court").id;
    let wanted = |language: &str, title: &str| json!({ "property_id": property, "kind": "invoice-published", "language": language, "title": title });
    let plain = first.manager.post("/v1/text-previews", &wanted("en", "Monthly fee")).await;
    assert_eq!(
        (plain.status, &plain.body["encoding"], &plain.body["segments"]),
        (200, &json!("GSM-7"), &json!(2)),
        "{}",
        plain.text
    );
    assert!(
        plain.body["body"].as_str().is_some_and(|body| body.starts_with("Maple Court: Monthly fee, ")),
        "{}",
        plain.text
    );
    // One letter that phones lack makes it longer.
    let dear = first.manager.post("/v1/text-previews", &wanted("fr", "Fête de l’été")).await;
    assert_eq!((&dear.body["encoding"], &dear.body["language"]), (&json!("UCS-2"), &json!("fr")), "{}", dear.text);
    assert!(dear.body["segments"].as_u64() > plain.body["segments"].as_u64());
    let code = json!({ "property_id": property, "kind": "consent-code" });
    assert!(first.manager.post("/v1/text-previews", &code).await.text.contains("000000"));

    first
        .manager
        .post("/v1/text-previews", &json!({ "property_id": property, "kind": "spam" }))
        .await
        .assert_problem(422);
    let theirs = json!({ "property_id": world.second.properties[0].id, "kind": "consent-code" });
    first.manager.post("/v1/text-previews", &theirs).await.assert_problem(404);
    let (_, elsewhere) = first.token("PropertyManager", Some(first.property("Cedar Row").id)).await;
    elsewhere.post("/v1/text-previews", &code).await.assert_problem(404);
    let carol = world.sign_in(first.resident("Carol")).await;
    carol.post("/v1/text-previews", &code).await.assert_problem(403);
    world.visitor().post("/v1/text-previews", &code).await.assert_problem(401);
    assert!(world.sandbox.objects("twilio/messages").await.is_empty());
}
