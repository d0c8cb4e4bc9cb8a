//! A resident who signs in by e-mail and pays an invoice in Stripe's form.

use std::time::{Duration, Instant};

use events::OrganizationId;
use sandbox::Switchboard;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Client, ClientSecret};
use crate::failure::Failure;

/// How a resident pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Whole,
    /// A part now, the rest another day.
    Part,
    /// The first card is declined, the second goes through.
    DeclinedFirst,
}

/// What a payment came to.
#[derive(Debug, Clone)]
pub struct Paid {
    pub payment_id: Uuid,
    pub amount: i64,
    pub fee: i64,
    pub total: i64,
    pub currency: String,
}

/// Asks for a sign-in link, finds it in the mailbox, follows it.
///
/// A mailbox may belong to residents of several organizations (or of an earlier demo): each sends a link of its own.
pub async fn sign_in(
    visitor: &Client,
    switchboard: &Switchboard,
    organization: OrganizationId,
    email: &str,
) -> Result<Client, Failure> {
    let known = letters(switchboard, email).len();
    visitor.post("/v1/sign-in-links", &json!({ "email": email })).await?;
    let started = Instant::now();
    loop {
        let letters = letters(switchboard, email);
        for link in letters.iter().skip(known).filter_map(link) {
            // A link that was tried before is used up.
            let Ok(resident) = visitor.sign_in(&link).await else { continue };
            let me = resident.get("/v1/me").await?;
            if me["organization_id"] == organization.to_string() {
                return Ok(resident);
            }
        }
        if started.elapsed() > Duration::from_secs(30) {
            return Err(Failure::Told("the sign-in link did not arrive".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn letters(switchboard: &Switchboard, email: &str) -> Vec<Value> {
    let all = switchboard.objects("emails").unwrap_or_default();
    all.into_iter().filter(|letter| letter["to"].to_string().contains(email)).collect()
}

fn link(letter: &Value) -> Option<String> {
    let text = letter["text"].as_str()?;
    let start = text.find("/sign-in?link=")? + "/sign-in?link=".len();
    Some(text[start..].split_whitespace().next()?.to_owned())
}

/// Quotes, starts and completes a payment, and waits until the invoice shows it.
pub async fn pay(
    resident: &Client,
    stripe: &str,
    account: &str,
    invoice: &Value,
    manner: Manner,
) -> Result<Paid, Failure> {
    let payment_id = Uuid::now_v7();
    let invoice_id = invoice["invoice_id"].as_str().unwrap_or_default();
    let balance = invoice["balance"]["amount"].as_i64().unwrap_or_default();
    let currency = invoice["balance"]["currency"].as_str().unwrap_or_default().to_owned();
    let amount = if manner == Manner::Part { balance / 2 } else { balance };
    let quote = json!({
        "payment_id": payment_id, "invoice_id": invoice_id, "amount": { "amount": amount, "currency": currency }
    });
    resident.command("QuotePayment", &quote).await?;
    let path = format!("/v1/payments/{payment_id}");
    let quoted = resident.until(&path, |payment| payment["total"]["amount"].is_i64()).await?;
    resident.command("StartPayment", &json!({ "payment_id": payment_id })).await?;
    let started = resident.until(&path, |payment| payment["client_secret"].is_string()).await?;
    let secret = ClientSecret {
        secret: started["client_secret"].as_str().unwrap_or_default().to_owned(),
        account: account.to_owned(),
    };
    if manner == Manner::DeclinedFirst {
        resident.confirm(stripe, &secret, "pm_card_chargeDeclined").await?;
        resident.until(&path, |payment| !payment["failure_code"].is_null()).await?;
    }
    resident.confirm(stripe, &secret, "pm_card_visa").await?;
    resident
        .until(&format!("/v1/invoices/{invoice_id}"), |invoice| {
            invoice["balance"]["amount"].as_i64().is_some_and(|left| left <= balance - amount)
        })
        .await?;
    Ok(Paid {
        payment_id,
        amount,
        fee: quoted["fee"]["amount"].as_i64().unwrap_or_default(),
        total: quoted["total"]["amount"].as_i64().unwrap_or_default(),
        currency,
    })
}
