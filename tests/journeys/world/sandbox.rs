//! The hand behind the curtain: the sandbox's switchboard over HTTP, and its Stripe as a resident's browser reaches it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Answer, Client, PATIENCE};

/// The sandbox beside a world.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pub url: String,
    client: Client,
}

impl Sandbox {
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), client: Client::nobody(url) }
    }

    pub async fn look(&self, path: &str) -> Value {
        self.client.get(&format!("/switchboard{path}")).await
    }

    pub async fn act(&self, path: &str, body: &Value) -> Value {
        let answer = self.client.post(&format!("/switchboard{path}"), body).await;
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text);
        answer.body
    }

    /// Objects of a kind, like `stripe/payment_intents` or `resend/emails`.
    pub async fn objects(&self, kind: &str) -> Vec<Value> {
        let rows = self.look(&format!("/{kind}")).await;
        let rows = rows.as_array().cloned().unwrap_or_default();
        // Stripe's objects come with the account that they are in.
        rows.into_iter().map(|row| if row["object"].is_object() { row["object"].clone() } else { row }).collect()
    }

    /// All traffic since the start or since it was cleared.
    pub async fn journal(&self) -> Vec<Value> {
        self.look("/journal").await.as_array().cloned().unwrap_or_default()
    }

    /// Scripts a fault as the sandbox's README tells; returns its id.
    pub async fn fault(&self, fault: Value) -> u64 {
        self.act("/faults", &fault).await["id"].as_u64().expect("an id")
    }

    /// How often a fault has struck.
    pub async fn struck(&self, id: u64) -> u64 {
        let faults = self.look("/faults").await;
        let mut faults = faults.as_array().into_iter().flatten();
        faults.find(|fault| fault["id"] == id).and_then(|fault| fault["struck"].as_u64()).unwrap_or_default()
    }

    /// Takes all faults back.
    pub async fn clear_faults(&self) {
        let request = self.client.request(reqwest::Method::DELETE, "/switchboard/faults");
        assert_eq!(self.client.send(request).await.status, 200);
    }

    /// Waits until every webhook is delivered; returns how many are not.
    pub async fn flush(&self) -> u64 {
        self.act("/flush", &json!({ "timeout_ms": 20_000 })).await["undelivered"].as_u64().unwrap_or(u64::MAX)
    }

    /// The e-mails to an address, oldest first.
    pub async fn letters(&self, to: &str) -> Vec<Value> {
        let to = to.to_lowercase();
        let mut letters = self.objects("resend/emails").await;
        letters.retain(|letter| letter["to"].to_string().to_lowercase().contains(&to));
        letters
    }

    /// Waits until an address has more than `known` letters; returns the new ones.
    pub async fn until_letters(&self, to: &str, known: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let letters = self.letters(to).await;
            if letters.len() > known {
                return letters.into_iter().skip(known).collect();
            }
            assert!(started.elapsed() < PATIENCE, "no letter to {to} arrived");
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// The PaymentIntents of one of our payments.
    pub async fn intents(&self, payment: uuid::Uuid) -> Vec<Value> {
        let payment = payment.to_string();
        let mut intents = self.objects("stripe/payment_intents").await;
        intents.retain(|intent| intent["metadata"]["propty_payment"] == payment);
        intents
    }

    /// Calls Stripe's API as a browser with the publishable key does.
    pub async fn stripe(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let fields: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let body = fields.join("&");
        let request = self
            .client
            .request(reqwest::Method::POST, &format!("/stripe{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        self.client.send(request).await
    }

    /// Confirms a PaymentIntent in Stripe's form with a magic payment method.
    pub async fn confirm(&self, account: &str, client_secret: &str, method: &str) -> Answer {
        let intent = client_secret.split("_secret_").next().unwrap_or_default();
        let form = [
            ("key", "pk_test_sandbox"),
            ("_stripe_account", account),
            ("client_secret", client_secret),
            ("payment_method", method),
        ];
        self.stripe(&format!("/v1/payment_intents/{intent}/confirm"), &form).await
    }
}
