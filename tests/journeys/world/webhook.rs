//! Webhooks posted by hand, signed as the providers sign them, or as they must not be.

use event_store::keyring::sha256;
use serde_json::Value;

use super::{World, client::Answer};

const STRIPE_SECRET: &[u8] = b"whsec_sandbox_stripe";
/// What the base64 after `whsec_` says.
const RESEND_SECRET: &[u8] = b"sandbox-resend-secret";

/// How a webhook is signed and sent.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// How old the signature is, in seconds.
    pub age: i64,
    /// Signed with a secret that is not ours.
    pub forged: bool,
    /// Only so many bytes of the body arrive.
    pub cut: Option<usize>,
}

/// As it should be.
pub const GOOD: Delivery = Delivery { age: 0, forged: false, cut: None };

/// HMAC-SHA256 (RFC 2104), for keys of up to a block.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let padded = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let inner = sha256(&[&padded(0x36), message].concat());
    sha256(&[padded(0x5c).as_slice(), &inner].concat())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().chain([&0, &0]).take(3).fold(0_usize, |group, byte| group << 8 | usize::from(*byte));
        for index in 0..4 {
            let letter = char::from(LETTERS[group >> (18 - 6 * index) & 63]);
            text.push(if index <= chunk.len() { letter } else { '=' });
        }
    }
    text
}

fn cut(body: &str, delivery: Delivery) -> String {
    body.chars().take(delivery.cut.unwrap_or(usize::MAX)).collect()
}

impl World {
    /// Posts to the intake of Stripe's webhooks.
    pub async fn post_stripe(&self, body: &str, delivery: Delivery) -> Answer {
        let stamp = chrono::Utc::now().timestamp() - delivery.age;
        let secret = if delivery.forged { b"whsec_somebody_elses" } else { STRIPE_SECRET };
        let tag = hmac(secret, format!("{stamp}.{body}").as_bytes());
        let tag: Vec<String> = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        let tag = tag.concat();
        let visitor = self.visitor();
        let request = visitor
            .request(reqwest::Method::POST, "/webhooks/stripe")
            .header("content-type", "application/json")
            .header("stripe-signature", format!("t={stamp},v1={tag}"))
            .body(cut(body, delivery));
        visitor.send(request).await
    }

    /// Posts to the intake of Resend's webhooks.
    pub async fn post_resend(&self, id: &str, body: &str, delivery: Delivery) -> Answer {
        let stamp = chrono::Utc::now().timestamp() - delivery.age;
        let secret = if delivery.forged { b"somebody elses secret" } else { RESEND_SECRET };
        let tag = base64(&hmac(secret, format!("{id}.{stamp}.{body}").as_bytes()));
        let visitor = self.visitor();
        let request = visitor
            .request(reqwest::Method::POST, "/webhooks/resend")
            .header("content-type", "application/json")
            .header("svix-id", id)
            .header("svix-timestamp", stamp.to_string())
            .header("svix-signature", format!("v1,{tag}"))
            .body(cut(body, delivery));
        visitor.send(request).await
    }

    /// Posts an event of the sandbox's list again, whoever's it is.
    pub async fn post_event(&self, event: &Value, delivery: Delivery) -> Answer {
        let body = event["body"].to_string();
        match event["provider"].as_str() {
            Some("stripe") => self.post_stripe(&body, delivery).await,
            Some("resend") => self.post_resend(event["id"].as_str().expect("an id"), &body, delivery).await,
            other => panic!("{other:?} is no provider of webhooks to us"),
        }
    }

    /// How many webhooks were stored.
    pub async fn stored_webhooks(&self) -> i64 {
        self.count("select count(*) from engine.webhooks").await
    }
}
