//! Twilio: texts, their callbacks, and refusing numbers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::json;

use crate::world::{Answer, Failure, Tested, World, start};

async fn text(world: &World, to: &str) -> Result<Answer, Failure> {
    let callback = format!("{}/twilio?message=1", world.inbox_url);
    let form = [("To", to), ("MessagingServiceSid", "MG1"), ("Body", "Hello"), ("StatusCallback", &callback)];
    let url = world.url("/twilio/2010-04-01/Accounts/AC1/Messages.json");
    world.send(world.http.post(url).basic_auth("AC1", Some("token")).form(&form)).await
}

#[tokio::test]
async fn a_text_is_accepted_and_its_callbacks_are_signed() -> Tested {
    let world = start().await?;
    let sent = text(&world, "+15555550100").await?;
    assert_eq!((sent.status, &sent.body["status"]), (201, &json!("accepted")));
    world.flush().await?;
    let received = world.inbox.all();
    assert_eq!(received.len(), 2);
    for callback in received {
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(callback.body.as_bytes()).into_owned().collect();
        pairs.sort();
        let signed = pairs
            .iter()
            .fold(format!("{}/twilio?message=1", world.inbox_url), |text, (name, value)| text + name + value);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"token");
        let expected = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        assert_eq!(callback.header("x-twilio-signature"), expected);
    }
    let sid = sent.body["sid"].as_str().unwrap_or_default().to_owned();
    let url = world.url(&format!("/twilio/2010-04-01/Accounts/AC1/Messages/{sid}.json"));
    let read = world.send(world.http.get(&url).basic_auth("AC1", Some("token"))).await?;
    assert_eq!(read.body["status"], "delivered");
    let failed = world
        .switch(&format!("/twilio/messages/{sid}"), &json!({"status": "undelivered", "error_code": 30005}))
        .await?;
    assert_eq!(failed.body["error_code"], 30005);
    world.flush().await?;
    assert!(world.inbox.all().iter().any(|one| one.body.contains("ErrorCode=30005")));
    Ok(())
}

#[tokio::test]
async fn magic_numbers_refuse() -> Tested {
    let world = start().await?;
    let fates = [("+12125550160", 21610), ("+15555550162", 21611), ("+15555550165", 30034)];
    for (to, code) in [("+15005550001", 21211), ("+15005550004", 21610), ("12", 21211)].into_iter().chain(fates) {
        let answer = text(&world, to).await?;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!(code)));
    }
    let url = world.url("/twilio/2010-04-01/Accounts/AC1/Messages.json");
    let stranger = world.http.post(url).basic_auth("AC2", Some("token")).form(&[("To", "+15555550100")]);
    assert_eq!(world.send(stranger).await?.status, 401);
    Ok(())
}

/// What the callbacks said, in the order in which they came.
fn told(world: &World, name: &str) -> Vec<String> {
    let all = world.inbox.all();
    let value = |body: &str| {
        form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    all.iter().filter_map(|one| value(&one.body)).collect()
}

#[tokio::test]
async fn numbers_meet_their_fate_in_the_scripted_order() -> Tested {
    let world = start().await?;
    text(&world, "+15555550151").await?;
    world.flush().await?;
    assert_eq!(
        (told(&world, "MessageStatus"), told(&world, "ErrorCode")),
        (vec!["sent".into(), "undelivered".into()], vec!["30005".into()])
    );
    text(&world, "+15555550156").await?;
    text(&world, "+15555550169").await?;
    world.flush().await?;
    assert_eq!(told(&world, "MessageStatus")[2..], ["failed"]);
    let script = json!({"statuses": ["delivered", "sent", "delivered"]});
    world.switch("/twilio/numbers/+15555550101", &script).await?;
    text(&world, "+15555550101").await?;
    world.flush().await?;
    assert_eq!(told(&world, "MessageStatus")[3..], ["delivered", "sent", "delivered"]);
    world.switch("/twilio/numbers/+15555550101", &json!({"refuse": 20429})).await?;
    assert_eq!(text(&world, "+15555550101").await?.status, 429);
    world.switch("/twilio/numbers/+15555550101", &json!({})).await?;
    assert_eq!(text(&world, "+15555550101").await?.status, 201);
    assert_eq!(world.switch("/twilio/numbers/+15555550101", &json!({"statuses": ["melted"]})).await?.status, 409);
    Ok(())
}

fn inbound_to(world: &World) -> sandbox::WebhookTarget {
    sandbox::WebhookTarget { url: format!("{}/inbound", world.inbox_url), secret: "token".to_owned() }
}

#[tokio::test]
async fn twilio_answers_its_own_stop_words_and_refuses_from_then_on() -> Tested {
    let world = start().await?;
    world.board.aim(sandbox::Provider::Twilio, inbound_to(&world));
    let says = async |body: &str| {
        let sent = world.switch("/twilio/inbound", &json!({"from": "+15555550100", "body": body})).await;
        world.flush().await.and(sent)
    };
    assert_eq!(says(" Stop ").await?.status, 200);
    assert_eq!(told(&world, "OptOutType"), ["STOP"]);
    assert_eq!(world.inbox.all().last().map(|one| one.path.clone()).as_deref(), Some("/inbound"));
    assert_eq!(text(&world, "+15555550100").await?.body["code"], 21610);
    assert_eq!(world.look("/twilio/opt_outs").await?.body[0]["id"], "+15555550100");
    // Words that are not Twilio's own are ours to understand.
    says("opt out").await?;
    says("arrêt").await?;
    assert_eq!(told(&world, "OptOutType").len(), 1);
    says("start").await?;
    assert_eq!(told(&world, "OptOutType"), ["STOP", "START"]);
    assert_eq!(text(&world, "+15555550100").await?.status, 201);
    world.switch("/twilio/stop_words", &json!({"answered": "default"})).await?;
    says("STOP").await?;
    assert_eq!(told(&world, "OptOutType").len(), 2);
    assert_eq!(text(&world, "+15555550100").await?.body["code"], 21610);
    world.switch("/twilio/stop_words", &json!({"answered": "off"})).await?;
    assert_eq!(world.switch("/twilio/inbound", &json!({"from": "5", "body": "x"})).await?.status, 409);
    Ok(())
}

#[tokio::test]
async fn a_phone_shows_its_texts_and_answers() -> Tested {
    let world = start().await?;
    world.board.aim(sandbox::Provider::Twilio, inbound_to(&world));
    text(&world, "+15555550100").await?;
    let page = world.url("/phone/+15555550100");
    let answer = world.http.post(&page).form(&[("body", "<b>STOP</b>")]).send().await?;
    assert!(answer.status().is_success());
    let shown = world.http.get(&page).send().await?.text().await?;
    assert!(shown.contains("Hello") && shown.contains("&lt;b&gt;STOP") && !shown.contains("<b>"), "{shown}");
    assert_eq!(world.http.get(world.url("/phone/me")).send().await?.status(), 404);
    Ok(())
}

#[tokio::test]
async fn texts_are_listed_by_recipient_a_page_at_a_time() -> Tested {
    let world = start().await?;
    for to in ["+15555550100", "+15555550101", "+15555550100", "+15555550100"] {
        text(&world, to).await?;
    }
    let list = async |query: &str| {
        let url = world.url(&format!("/twilio/2010-04-01/Accounts/AC1/Messages.json?{query}"));
        world.send(world.http.get(url).basic_auth("AC1", Some("token"))).await
    };
    let first = list("To=%2B15555550100&PageSize=2").await?;
    assert_eq!(first.body["messages"].as_array().map(Vec::len), Some(2));
    let next = first.body["next_page_uri"]
        .as_str()
        .unwrap_or_default()
        .split_once('?')
        .map_or("", |(_, query)| query)
        .to_owned();
    let second = list(&next).await?;
    assert_eq!(
        (second.body["messages"].as_array().map(Vec::len), &second.body["next_page_uri"]),
        (Some(1), &json!(null))
    );
    assert_eq!(list("").await?.body["messages"].as_array().map(Vec::len), Some(4));
    Ok(())
}
