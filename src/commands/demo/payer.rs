//! A resident who signs in by e-mail, pays an invoice, or leaves that to autopay.

use std::time::{Duration, Instant};

use events::OrganizationId;
use sandbox::Switchboard;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    browser::{Browser, Means},
    cast::{Household, Manner},
    client::Client,
};
use crate::failure::Failure;

/// What a payment came to.
#[derive(Debug, Clone)]
pub struct Paid {
    pub payment_id: String,
    pub manner: Manner,
    pub bears_fee: bool,
    pub amount: i64,
    pub fee: i64,
    pub total: i64,
    pub currency: String,
    /// `Visa ****4242`.
    pub method: String,
    /// Why the fee is less than the price list says.
    pub waiver: Value,
}

/// Where residents find what they need to act.
#[derive(Clone)]
pub struct Doors {
    pub manager: Client,
    pub visitor: Client,
    pub browser: Browser,
    pub switchboard: Switchboard,
    pub organization: OrganizationId,
    /// Stripe's `acct_…`.
    pub account: String,
}

impl Doors {
    /// Asks for a sign-in link, finds it in the mailbox, follows it.
    ///
    /// A mailbox may belong to residents of several organizations (or of an earlier demo): each sends a link of its own.
    pub async fn sign_in(&self, household: &Household) -> Result<Client, Failure> {
        let sent = format!("/v1/messages?kind=sign-in-link&resident_id={}", household.resident);
        let before = self.manager.list(&sent).await?.len();
        self.visitor.post("/v1/sign-in-links", &json!({ "email": household.email })).await?;
        // Reading the whole mailbox again and again would take longer than the letter.
        self.manager
            .until(&sent, |page| {
                let letters = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
                letters.len() > before && letters.iter().all(|letter| letter["status"] == "Delivered")
            })
            .await?;
        let started = Instant::now();
        loop {
            for link in self.letters(&household.email).iter().rev().filter_map(link) {
                // A link that was tried before is used up.
                let Ok(resident) = self.visitor.sign_in(&link).await else { continue };
                let me = resident.get("/v1/me").await?;
                if me["organization_id"] == self.organization.to_string() {
                    return Ok(resident);
                }
            }
            if started.elapsed() > Duration::from_secs(30) {
                return Err(Failure::Told("the sign-in link did not arrive".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn letters(&self, email: &str) -> Vec<Value> {
        let all = self.switchboard.objects("emails").unwrap_or_default();
        all.into_iter().filter(|letter| letter["to"].to_string().contains(email)).collect()
    }

    /// Pays by hand, and waits until the money has come or is on its way.
    pub async fn pay(&self, resident: &Client, household: &Household, manner: Manner) -> Result<Paid, Failure> {
        let means = match manner {
            Manner::CreditCard | Manner::Part => Means::CREDIT,
            Manner::DebitCard => Means::DEBIT,
            Manner::BankDebit => Means::BANK,
            Manner::DeclinedFirst => Means::DECLINED,
        };
        let (payment_id, mut quoted) = self.start(resident, household, manner, means).await?;
        let mut path = format!("/v1/payments/{payment_id}");
        if manner == Manner::DeclinedFirst {
            resident.until(&path, |payment| !payment["failure_code"].is_null()).await?;
            if household.bears_fee {
                // The price was for that card alone: another card is another payment.
                resident.until(&path, |payment| payment["phase"] == "Canceled").await?;
                let invoice = format!("/v1/invoices/{}", household.invoice_id());
                resident.until(&invoice, |invoice| invoice["pending_payment_id"].is_null()).await?;
                let again;
                (again, quoted) = self.start(resident, household, manner, Means::OTHER_CREDIT).await?;
                path = format!("/v1/payments/{again}");
            } else {
                self.fill_in(resident, &path, Means::OTHER_CREDIT).await?;
            }
        }
        let wanted = if manner == Manner::BankDebit { "Processing" } else { "Succeeded" };
        let paid = resident.until(&path, |payment| payment["phase"] == wanted).await?;
        let minor = |name: &str| quoted[name]["amount"].as_i64().unwrap_or_default();
        let text = |name: &str| paid[name].as_str().unwrap_or_default().to_owned();
        Ok(Paid {
            payment_id: text("payment_id"),
            manner,
            bears_fee: household.bears_fee,
            amount: minor("amount"),
            fee: minor("fee"),
            total: minor("total"),
            currency: household.currency().to_owned(),
            method: text("method"),
            waiver: quoted["waiver"].clone(),
        })
    }

    /// Asks for the price, agrees, and fills in Stripe's form; the payment and its price.
    async fn start(
        &self,
        resident: &Client,
        household: &Household,
        manner: Manner,
        means: Means,
    ) -> Result<(Uuid, Value), Failure> {
        let payment_id = Uuid::now_v7();
        let balance = household.invoice["balance"]["amount"].as_i64().unwrap_or_default();
        let amount = if manner == Manner::Part { balance / 2 } else { balance };
        let mut quote = json!({
            "payment_id": payment_id, "invoice_id": household.invoice_id(),
            "amount": { "amount": amount, "currency": household.currency() }
        });
        if household.bears_fee {
            // What it costs depends on the card: Stripe is shown it first.
            quote["confirmation_token"] = self.browser.token(&self.account, means).await?.into();
        }
        resident.command("QuotePayment", &quote).await?;
        let path = format!("/v1/payments/{payment_id}");
        let quoted = resident.until(&path, |payment| payment["phase"] == "Quoted").await?;
        resident.command("StartPayment", &json!({ "payment_id": payment_id })).await?;
        if !household.bears_fee {
            self.fill_in(resident, &path, means).await?;
        }
        Ok((payment_id, quoted))
    }

    async fn fill_in(&self, resident: &Client, path: &str, means: Means) -> Result<(), Failure> {
        let started = resident.until(path, |payment| payment["client_secret"].is_string()).await?;
        let secret = started["client_secret"].as_str().unwrap_or_default();
        self.browser.pay(secret, means).await.map(|_| ())
    }

    /// Lets autopay charge this card or bank account from now on, by `EnableAutopay` or `ReactivateAutopay`.
    pub async fn set_up(
        &self,
        resident: &Client,
        household: &Household,
        command: &str,
        means: Means,
    ) -> Result<SetUp, Failure> {
        let setup_id = Uuid::now_v7();
        let body = json!({
            "property_id": household.property, "resident_id": household.resident,
            "setup_id": setup_id, "kind": means.kind()
        });
        resident.command(command, &body).await?;
        let path = format!("/v1/properties/{}/autopay", household.property);
        let opened = resident
            .until(&path, |card| {
                let enrollment = &card["enrollment"];
                enrollment["client_secret"].is_string() && enrollment["setup"]["setup_id"] == setup_id.to_string()
            })
            .await?;
        let secret = opened["enrollment"]["client_secret"].as_str().unwrap_or_default();
        let intent = self.browser.keep(secret, means).await?;
        let active = resident.until(&path, |card| card["status"] == "Active").await?;
        let enrollment = &active["enrollment"];
        let text = |name: &str| enrollment[name].as_str().unwrap_or_default().to_owned();
        Ok(SetUp { autopay_id: text("autopay_id"), method: text("method"), intent })
    }
}

/// A method that autopay charges.
#[derive(Debug, Clone)]
pub struct SetUp {
    pub autopay_id: String,
    /// `Visa ****4242`.
    pub method: String,
    /// Stripe's `seti_…`.
    pub intent: String,
}

fn link(letter: &Value) -> Option<String> {
    let text = letter["text"].as_str()?;
    let start = text.find("/sign-in?link=")? + "/sign-in?link=".len();
    Some(text[start..].split_whitespace().next()?.to_owned())
}
