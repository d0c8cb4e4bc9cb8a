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
    for (to, code) in [("+15005550001", 21211), ("+15005550004", 21610), ("12", 21211)] {
        let answer = text(&world, to).await?;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!(code)));
    }
    let url = world.url("/twilio/2010-04-01/Accounts/AC1/Messages.json");
    let stranger = world.http.post(url).basic_auth("AC2", Some("token")).form(&[("To", "+15555550100")]);
    assert_eq!(world.send(stranger).await?.status, 401);
    Ok(())
}
