//! Webhooks at the door: believed under either secret, stored, acknowledged.

use std::{fmt::Write, sync::Arc};

use chrono::Utc;
use command_service::http::{CommandState, SignInLimits, routes};
use edge::Authenticator;
use poem::{Endpoint, Request, http::StatusCode};
use ring::hmac;
use tokio::sync::Notify;

use crate::world::{STRIPE_SECRETS, World};

fn signature(secret: &str, stamp: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, &[stamp.to_string().as_bytes(), b".", body].concat());
    tag.as_ref().iter().fold(format!("t={stamp},v1="), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

async fn post(world: &World, signature: Option<String>, body: &[u8]) -> StatusCode {
    let engine = &world.effects.engine;
    let authenticator =
        Authenticator::new(world.pool().clone(), engine.clock().clone(), world.effects.credentials.clone(), None);
    let routes = routes(CommandState {
        effects: world.effects.clone(),
        authenticator,
        work: Arc::new(Notify::new()),
        secure_cookies: false,
        sign_in_limits: SignInLimits::default(),
    });
    let mut request = Request::builder().method(poem::http::Method::POST).uri_str("/webhooks/stripe");
    if let Some(signature) = signature {
        request = request.header("stripe-signature", signature);
    }
    routes.get_response(request.body(body.to_vec())).await.status()
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
