//! Webhooks at the door: believed under either secret, stored, acknowledged.

use std::{fmt::Write, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::Utc;
use command_service::http::{CommandState, SignInLimits, routes};
use edge::Authenticator;
use poem::{Endpoint, Request, Response, http::StatusCode};
use ring::hmac;
use tokio::sync::Notify;

use crate::world::{STRIPE_SECRETS, TWILIO_TOKEN, World};

fn signature(secret: &str, stamp: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, &[stamp.to_string().as_bytes(), b".", body].concat());
    tag.as_ref().iter().fold(format!("t={stamp},v1="), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn endpoint(world: &World) -> impl Endpoint<Output = Response> {
    let engine = &world.effects.engine;
    let authenticator =
        Authenticator::new(world.pool().clone(), engine.clock().clone(), world.effects.credentials.clone(), None);
    routes(CommandState {
        effects: world.effects.clone(),
        authenticator,
        work: Arc::new(Notify::new()),
        secure_cookies: false,
        sign_in_limits: SignInLimits::default(),
    })
}

async fn post(world: &World, signature: Option<String>, body: &[u8]) -> StatusCode {
    let mut request = Request::builder().method(poem::http::Method::POST).uri_str("/webhooks/stripe");
    if let Some(signature) = signature {
        request = request.header("stripe-signature", signature);
    }
    endpoint(world).get_response(request.body(body.to_vec())).await.status()
}

async fn stored(world: &World) -> i64 {
    world.count("select count(*) from engine.webhooks").await
}

#[tokio::test]
async fn either_secret_is_believed_during_a_rotation_and_no_other() {
    let world = World::new().await;
    let now = Utc::now().timestamp();
    for (number, secret) in STRIPE_SECRETS.into_iter().enumerate() {
        let body = format!(r#"{{"id":"evt_{number}","type":"payment_intent.succeeded"}}"#);
        for _ in 0..2 {
            let signature = signature(secret, now, body.as_bytes());
            assert_eq!(post(&world, Some(signature), body.as_bytes()).await, StatusCode::OK);
        }
    }
    assert_eq!(stored(&world).await, 2, "a repeated webhook is kept once");
    let body = br#"{"id":"evt_9","type":"payment_intent.succeeded"}"#;
    for signature in [
        None,
        Some(signature("whsec_forged", now, body)),
        Some(signature(STRIPE_SECRETS[0], now - 301, body)),
        Some(signature(STRIPE_SECRETS[0], now, b"another body")),
        Some("nonsense".to_owned()),
    ] {
        assert_eq!(post(&world, signature, body).await, StatusCode::BAD_REQUEST);
    }
    assert_eq!(stored(&world).await, 2, "what is not believed is not kept");
}

#[tokio::test]
async fn what_is_signed_and_cannot_be_read_is_kept_and_acknowledged() {
    let world = World::new().await;
    let now = Utc::now().timestamp();
    for body in [&b"not JSON"[..], b"\xff\xfe\x00", b"", b"[]", br#"{"id":"evt_1","ty"#] {
        assert_eq!(post(&world, Some(signature(STRIPE_SECRETS[1], now, body)), body).await, StatusCode::OK);
    }
    assert_eq!(stored(&world).await, 5);
    world.worker().drain().await.expect("work");
    assert_eq!(world.count("select count(*) from engine.webhooks where state = 'ignored'").await, 5);
}

fn twilio_signature(token: &str, path_and_query: &str, body: &str) -> String {
    let mut pairs: Vec<(String, String)> = body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    pairs.sort();
    let signed = pairs
        .iter()
        .fold(format!("https://propty.example.org{path_and_query}"), |text, (name, value)| text + name + value);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    STANDARD.encode(hmac::sign(&key, signed.as_bytes()))
}

#[tokio::test]
async fn texts_are_believed_by_the_configured_public_address_whatever_the_proxy_says() {
    let world = World::new().await;
    let (path, body) = ("/webhooks/twilio/inbound", "MessageSid=SM1&From=5550100&Body=STOP&Zodiac=1");
    let good = twilio_signature(TWILIO_TOKEN, path, body);
    let send = async |path: &str, signature: Option<&str>, body: &str| {
        let mut request = Request::builder()
            .method(poem::http::Method::POST)
            .uri_str(path)
            .header("host", "10.0.0.7:8080")
            .header("x-forwarded-proto", "http")
            .content_type("application/x-www-form-urlencoded");
        if let Some(signature) = signature {
            request = request.header("x-twilio-signature", signature);
        }
        let response = endpoint(&world).get_response(request.body(body.to_owned())).await;
        let kind = response.content_type().map(ToOwned::to_owned);
        (response.status(), kind, response.into_body().into_string().await.expect("a text"))
    };
    for _ in 0..3 {
        let (status, kind, answer) = send(path, Some(&good), body).await;
        assert_eq!((status, kind.as_deref()), (StatusCode::OK, Some("text/xml; charset=utf-8")));
        assert!(answer.ends_with("<Response/>"), "{answer}");
    }
    assert_eq!(stored(&world).await, 1, "the same message is kept once");
    let status = "/webhooks/twilio/status?organization=1&text=2";
    let callback = "MessageSid=SM2&MessageStatus=sent";
    let signed = twilio_signature(TWILIO_TOKEN, status, callback);
    assert_eq!(send(status, Some(&signed), callback).await.0, StatusCode::OK);
    for (path, signature, body) in [
        (path, None, body),
        (path, Some(twilio_signature("forged", path, body)), body),
        (path, Some(good.clone()), "MessageSid=SM1&From=5550100&Body=START&Zodiac=1"),
        // Another text's address with this one's signature.
        ("/webhooks/twilio/status?organization=1&text=3", Some(signed.clone()), callback),
        ("/webhooks/twilio/status", Some(signed), callback),
        (path, Some("nonsense".to_owned()), body),
    ] {
        assert_eq!(send(path, signature.as_deref(), body).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(stored(&world).await, 2, "what is not believed is not kept");
}
