//! A resident who signs in by the e-mailed link and pays in Stripe's form.

use std::time::Instant;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    World,
    client::{Client, PATIENCE},
    community::Resident,
};

/// A payment that waits for the card.
#[derive(Debug, Clone)]
pub struct Started {
    pub id: Uuid,
    /// Stripe's id.
    pub intent: String,
    pub client_secret: String,
    pub account: String,
    /// What the card will be charged.
    pub total: i64,
}

/// The secret in a sign-in letter.
pub fn link(letter: &Value) -> Option<String> {
    let text = letter["text"].as_str()?;
    let start = text.find("/sign-in?link=")? + "/sign-in?link=".len();
    Some(text[start..].split_whitespace().next()?.to_owned())
}

impl World {
    /// A resident asks for a link, finds it in the mailbox, and follows it.
    pub async fn sign_in(&self, resident: &Resident) -> Client {
        let known = self.sandbox.letters(&resident.email).await.len();
        let visitor = self.visitor();
        let asked = visitor.post("/v1/sign-in-links", &json!({ "email": resident.email })).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        let started = Instant::now();
        loop {
            for letter in self.sandbox.until_letters(&resident.email, known).await {
                if let Some(link) = link(&letter)
                    && let Some(client) = visitor.open_session(&link).await
                {
                    return client;
                }
            }
            assert!(started.elapsed() < PATIENCE, "no sign-in link arrived");
        }
    }

    /// A quote, and the payment started with it. `None` pays the whole balance.
    pub async fn request_payment(&self, resident: &Client, invoice: Uuid, amount: Option<i64>) -> Uuid {
        let path = format!("/v1/invoices/{invoice}");
        let shown = resident.until(&path, |invoice| invoice["pending_payment_id"].is_null()).await;
        let amount = amount.map_or(shown["balance"]["amount"].clone(), Into::into);
        let payment = Uuid::now_v7();
        let amount = json!({ "amount": amount, "currency": shown["balance"]["currency"] });
        let quote = json!({ "payment_id": payment, "invoice_id": invoice, "amount": amount });
        resident.command("QuotePayment", &quote).await;
        resident.command("StartPayment", &json!({ "payment_id": payment })).await;
        payment
    }

    /// Waits until Stripe's form can be shown.
    pub async fn until_submitted(&self, resident: &Client, payment: Uuid) -> Started {
        let path = format!("/v1/payments/{payment}");
        let shown = resident.until(&path, |payment| payment["client_secret"].is_string()).await;
        let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        let client_secret = text("client_secret");
        Started {
            id: payment,
            intent: client_secret.split("_secret_").next().unwrap_or_default().to_owned(),
            account: text("stripe_account"),
            client_secret,
            total: shown["total"]["amount"].as_i64().unwrap_or_default(),
        }
    }

    /// Quotes and starts a payment, up to Stripe's form.
    pub async fn start_payment(&self, resident: &Client, invoice: Uuid, amount: Option<i64>) -> Started {
        let payment = self.request_payment(resident, invoice, amount).await;
        self.until_submitted(resident, payment).await
    }

    /// Confirms in Stripe's form with a magic payment method; Stripe's answer.
    pub async fn confirm(&self, payment: &Started, method: &str) -> Value {
        self.sandbox.confirm(&payment.account, &payment.client_secret, method).await.body
    }

    /// Pays what is open with a good card, and waits until the payment has succeeded and is on the invoice.
    pub async fn pay(&self, resident: &Client, invoice: Uuid, amount: Option<i64>) -> Started {
        let payment = self.start_payment(resident, invoice, amount).await;
        self.confirm(&payment, "pm_card_visa").await;
        resident.until(&format!("/v1/payments/{}", payment.id), |payment| payment["status"] == "Succeeded").await;
        resident.until(&format!("/v1/invoices/{invoice}"), |shown| shown["pending_payment_id"].is_null()).await;
        payment
    }
}
