//! The browser of somebody who pays: the pages on which Stripe's forms stand, filled in and sent.

use std::collections::BTreeMap;

use reqwest::{Url, header, redirect};

use crate::failure::Failure;

/// Where the forms send people back to; nobody is there, the answer is in the address.
const BACK: &str = "http://127.0.0.1/back";

/// What is typed into a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    Card(&'static str),
    /// An account number, proved by logging in at the bank.
    Bank(&'static str),
}

impl Means {
    pub const CREDIT: Self = Self::Card("4242424242424242");
    pub const OTHER_CREDIT: Self = Self::Card("5555555555554444");
    pub const DEBIT: Self = Self::Card("4000056655665556");
    /// Declined at once.
    pub const DECLINED: Self = Self::Card("4000000000000002");
    /// Can be kept, and is declined whenever it is charged.
    pub const KEPT_THEN_DECLINED: Self = Self::Card("4000000000000341");
    pub const BANK: Self = Self::Bank("000123456789");
    /// Pays, and is returned days later.
    pub const BANK_RETURNED: Self = Self::Bank("000555555559");

    /// As commands name it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Card(_) => "Card",
            Self::Bank(_) => "BankDebit",
        }
    }

    /// Test numbers need no escaping.
    fn form(self) -> String {
        match self {
            Self::Card(number) => format!("number={number}"),
            Self::Bank(account) => format!("account={account}&linked=1"),
        }
    }
}

/// What became of a form.
enum Sent {
    Back(BTreeMap<String, String>),
    /// Stripe showed the form again.
    Refused,
}

/// Somebody's browser.
#[derive(Clone)]
pub struct Browser {
    http: reqwest::Client,
    sandbox: String,
}

impl Browser {
    pub fn new(sandbox: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build()?;
        Ok(Self { http, sandbox: sandbox.to_owned() })
    }

    /// Shows Stripe what one would pay with, before the price is known: a confirmation token.
    pub async fn token(&self, account: &str, means: Means) -> Result<String, Failure> {
        match self.send(&format!("token/{account}"), None, means).await? {
            Sent::Back(mut found) => found.remove("confirmation_token").ok_or_else(|| lost("no confirmation token")),
            Sent::Refused => Err(lost("Stripe's form refused to be filled in")),
        }
    }

    /// Pays with the client secret of a payment; `false` when it was declined.
    pub async fn pay(&self, secret: &str, means: Means) -> Result<bool, Failure> {
        let page = format!("pay/{}", intent_of(secret));
        Ok(matches!(self.send(&page, Some(secret), means).await?, Sent::Back(_)))
    }

    /// Lets Stripe keep a way to pay, with the client secret of a set-up. Stripe's id of the set-up.
    pub async fn keep(&self, secret: &str, means: Means) -> Result<String, Failure> {
        let page = format!("setup/{}", intent_of(secret));
        match self.send(&page, Some(secret), means).await? {
            Sent::Back(mut found) => found.remove("setup_intent").ok_or_else(|| lost("no set-up")),
            Sent::Refused => Err(lost("Stripe did not keep the card")),
        }
    }

    async fn send(&self, page: &str, secret: Option<&str>, means: Means) -> Result<Sent, Failure> {
        let mut url =
            Url::parse(&format!("{}/pages/{page}", self.sandbox)).map_err(|error| lost(&error.to_string()))?;
        url.query_pairs_mut().append_pair("return_url", BACK);
        if let Some(secret) = secret {
            url.query_pairs_mut().append_pair("client_secret", secret);
        }
        self.http.get(url.clone()).send().await?.error_for_status()?;
        let form = self.http.post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = form.body(means.form()).send().await?;
        if answer.status() == reqwest::StatusCode::PAYMENT_REQUIRED {
            return Ok(Sent::Refused);
        }
        let answer = answer.error_for_status()?;
        let back = answer.headers().get(header::LOCATION).and_then(|place| Url::parse(place.to_str().ok()?).ok());
        let back = back.ok_or_else(|| lost("the form led nowhere"))?;
        Ok(Sent::Back(back.query_pairs().into_owned().collect()))
    }
}

/// An intent's id is its secret's first part.
fn intent_of(secret: &str) -> &str {
    secret.split("_secret_").next().unwrap_or_default()
}

fn lost(why: &str) -> Failure {
    Failure::Told(format!("the sandbox's pages: {why}"))
}
