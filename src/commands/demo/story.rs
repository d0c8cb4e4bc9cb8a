//! The story: a community is brought in, billed, paid and receipted; what was expected is checked at the end.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use chrono::{Datelike, Days};
use command_service::{Ask, Engine, http::issue_token};
use events::{Money, Role, text::Name};
use futures_util::{StreamExt, TryStreamExt, stream};
use sandbox::Switchboard;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    client::Client,
    payer::{self, Manner, Paid},
    told,
};
use crate::{
    commands::import::{self, Person, Target, property_id},
    failure::Failure,
};

/// Residents who pay in the story.
const PAYERS: usize = 24;

/// Where the story plays.
pub struct Stage {
    pub engine: Engine,
    pub switchboard: Switchboard,
    pub propty: String,
    pub sandbox: String,
}

/// What is told, and what was expected of it.
pub struct Story {
    stage: Stage,
    target: Target,
    people: Vec<Person>,
    expectations: Vec<(String, bool)>,
}

impl Story {
    pub const fn new(stage: Stage, target: Target, people: Vec<Person>) -> Self {
        Self { stage, target, people, expectations: Vec::new() }
    }

    /// How many objects of a kind the sandbox has.
    fn sent(&self, kind: &str) -> usize {
        self.stage.switchboard.objects(kind).unwrap_or_default().len()
    }

    fn expect(&mut self, what: impl Into<String>, held: bool) {
        self.expectations.push((what.into(), held));
    }

    /// Tells the story; `true` when every expectation held.
    pub async fn tell(mut self) -> Result<bool, Failure> {
        let started = Instant::now();
        let token = self.arrive().await?;
        let manager = Client::nobody(&self.stage.propty).with_token(&token);
        let account = self.connect_stripe(&manager).await?;
        // An earlier demo's letters may be in the same sandbox.
        let letters = self.sent("emails");
        let invoices = self.publish(&manager).await?;
        self.letters(&manager, invoices, letters).await?;
        let paid = self.payments(&manager, &account).await?;
        self.refund(&manager, &paid).await?;
        self.pay_by_check(&manager).await?;
        self.settle(&manager).await?;
        self.check(&manager, &paid).await?;
        let held = self.expectations.iter().all(|(_, held)| *held);
        println!("\n── What was expected ({:.1} s)", started.elapsed().as_secs_f64());
        for (what, held) in &self.expectations {
            println!("  {} {what}", if *held { "held  " } else { "FAILED" });
        }
        self.explore(&manager, &token).await?;
        Ok(held)
    }

    /// The organization, its properties, units and residents.
    async fn arrive(&mut self) -> Result<String, Failure> {
        println!("\n── A community moves in");
        let tally = import::bring_in(&self.stage.engine, &self.target, &self.people, &|| ()).await?;
        println!("  import → {} changes for {} residents", tally.changed, self.people.len());
        let again = import::bring_in(&self.stage.engine, &self.target, &self.people, &|| ()).await?;
        println!("  the same import again → {} changes", again.changed);
        self.expect("importing again changes nothing", again.changed == 0);
        let label = Name::parse("Demo manager").map_err(told)?;
        let ask = Ask::operator(self.target.organization);
        let (_, token, _) = issue_token(&self.stage.engine, &ask, label, Role::OrganizationManager, None, None).await?;
        let manager = Client::nobody(&self.stage.propty).with_token(&token.secret);
        let wanted = self.people.len();
        manager.until("/v1/me", |_| true).await?;
        let started = Instant::now();
        while manager.list("/v1/residents").await?.len() < wanted && started.elapsed() < Duration::from_secs(30) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let residents = manager.list("/v1/residents").await?.len();
        println!("  read model: {residents} residents, {} units", manager.list("/v1/units").await?.len());
        self.expect("every resident of the file is in the read model", residents == wanted);
        Ok(token.secret)
    }

    /// One Stripe account for all properties, onboarded, and who bears the fee.
    async fn connect_stripe(&mut self, manager: &Client) -> Result<String, Failure> {
        println!("\n── Stripe is connected");
        let id = Uuid::now_v7();
        let connect = json!({ "stripe_account_id": id, "name": "Evergreen Communities", "country": "US" });
        println!("  {}", manager.command("ConnectStripeAccount", &connect).await?);
        let path = format!("/v1/stripe-accounts/{id}");
        let opened = manager.until(&path, |account| account["external_account"].is_string()).await?;
        let account = opened["external_account"].as_str().unwrap_or_default().to_owned();
        println!("  Stripe opened {account}; its owner fills in the forms …");
        self.stage.switchboard.finish_onboarding(&account).map_err(told)?;
        let active = manager.until(&path, |account| account["status"] == "Active").await?;
        println!("  webhook account.updated → badge {}", active["badge"].as_str().unwrap_or_default());
        self.expect("the Stripe account is active", active["status"] == "Active");
        for (number, name) in self.target.properties.keys().enumerate() {
            let property = property_id(self.target.organization, name);
            let assign = json!({ "property_id": property, "stripe_account_id": id });
            println!("  {name}: {}", manager.command("AssignStripeAccount", &assign).await?);
            if number == 0 {
                let policy = json!({ "property_id": property, "fees": {
                    "mode": "PassToResident",
                    "card": { "basis_points": 340, "fixed": 30 },
                    "bank_debit": { "basis_points": 100, "fixed": 0, "cap": 550 }
                } });
                println!("  {name}: {}", manager.command("ChangeFeePolicy", &policy).await?);
            }
        }
        Ok(account)
    }

    /// A month's invoices: drafted for every unit, reviewed, published.
    async fn publish(&mut self, manager: &Client) -> Result<usize, Failure> {
        println!("\n── A month is billed");
        let mut count = 0;
        for (name, terms) in self.target.properties.clone() {
            let property = property_id(self.target.organization, &name);
            let today = terms.time_zone.day_of(self.stage.engine.clock().now());
            let mut units = std::collections::BTreeMap::new();
            for person in &self.people {
                for placed in person.rows.iter().filter(|placed| placed.property == property) {
                    units.entry(placed.unit).or_insert(person.id);
                }
            }
            let targets: Vec<Value> = units
                .iter()
                .map(|(unit, resident)| json!({ "invoice_id": Uuid::now_v7(), "unit_id": unit, "resident_id": resident }))
                .collect();
            let invoices: Vec<Value> = targets.iter().map(|target| target["invoice_id"].clone()).collect();
            let amount = |amount| Money::try_new(amount, terms.currency).map_err(told);
            let drafts = json!({
                "job_id": Uuid::now_v7(), "property_id": property,
                "title": format!("Monthly fee {:04}-{:02}", today.year(), today.month()),
                "lines": [
                    { "description": "Common charges", "amount": amount(38_500)? },
                    { "description": "Reserve fund", "amount": amount(4_000)? }
                ],
                "due_on": today + Days::new(14), "targets": targets
            });
            println!("  {name}: {}", manager.command("DraftInvoices", &drafts).await?);
            self.watch(manager, &drafts, invoices.len()).await?;
            let publish = json!({
                "job_id": Uuid::now_v7(), "property_id": property, "invoices": invoices, "notify": true
            });
            println!("  {name}: {}", manager.command("PublishInvoices", &publish).await?);
            self.watch(manager, &publish, invoices.len()).await?;
            count += invoices.len();
        }
        Ok(count)
    }

    async fn watch(&mut self, manager: &Client, started: &Value, items: usize) -> Result<(), Failure> {
        let id = started["job_id"].as_str().unwrap_or_default().to_owned();
        let job = manager.until(&format!("/v1/jobs/{id}"), |job| job["state"] == "Completed").await?;
        println!("    job: {} of {} done, {} refused", job["done"], job["total"], job["refused"]);
        self.expect(
            format!("a job of {items} items ends without refusals"),
            job["refused"] == 0 && job["done"] == items,
        );
        Ok(())
    }

    /// Every resident with an address hears of their invoice, once, in their language.
    async fn letters(&mut self, manager: &Client, invoices: usize, before: usize) -> Result<(), Failure> {
        println!("\n── E-mails go out");
        let started = Instant::now();
        let messages = loop {
            let messages = manager.list("/v1/messages?kind=invoice-published").await?;
            let open = messages
                .iter()
                .filter(|message| matches!(message["status"].as_str(), Some("Queued" | "Sending" | "Sent")));
            if (messages.len() >= invoices && open.count() == 0) || started.elapsed() > Duration::from_secs(60) {
                break messages;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let with = |status: &str| messages.iter().filter(|message| message["status"] == status).count();
        println!(
            "  {} invoices → {} delivered, {} without an address",
            invoices,
            with("Delivered"),
            with("Suppressed")
        );
        for language in ["en", "fr", "es"] {
            let count = messages.iter().filter(|message| message["language"] == language).count();
            println!("    {language}: {count}");
        }
        self.expect("one message per published invoice", messages.len() == invoices);
        self.expect(
            "every message was delivered, or had no address",
            with("Delivered") + with("Suppressed") == invoices,
        );
        let sent = self.sent("emails") - before;
        self.expect("the provider has each e-mail once", sent == with("Delivered"));
        Ok(())
    }

    /// Some residents pay: most wholly, some in part, some with a declined card first.
    async fn payments(&mut self, manager: &Client, account: &str) -> Result<Vec<Paid>, Failure> {
        println!("\n── Residents pay");
        let visitor = Client::nobody(&self.stage.propty);
        let stripe = format!("{}/stripe", self.stage.sandbox);
        // A couple may share a mailbox; one of them pays.
        let emails: BTreeSet<String> = self
            .people
            .iter()
            .filter_map(|person| Some(person.rows.first()?.row.email.clone()?.to_lowercase()))
            .collect();
        let every = (emails.len() / PAYERS).max(1);
        let payers: Vec<(usize, String)> = emails.into_iter().step_by(every).take(PAYERS).enumerate().collect();
        let (switchboard, organization) = (&self.stage.switchboard, self.target.organization);
        let paid: Vec<Option<Paid>> = stream::iter(payers)
            .map(|(number, email)| {
                let (visitor, stripe) = (visitor.clone(), stripe.clone());
                async move {
                    let resident = payer::sign_in(&visitor, switchboard, organization, &email).await?;
                    let open = resident.list("/v1/invoices?status=Open").await?;
                    let Some(invoice) = open.iter().max_by_key(|invoice| invoice["total"]["amount"].as_i64()) else {
                        return Ok(None);
                    };
                    let manner = match number % 6 {
                        1 => Manner::Part,
                        3 => Manner::DeclinedFirst,
                        _ => Manner::Whole,
                    };
                    let paid = payer::pay(&resident, &stripe, account, invoice, manner).await?;
                    println!(
                        "  {manner:?}: {} minor units {} (fee {}) → PaymentSucceeded, PaymentApplied, receipt",
                        paid.amount, paid.currency, paid.fee
                    );
                    Ok::<_, Failure>(Some(paid))
                }
            })
            .buffer_unordered(6)
            .try_collect()
            .await?;
        let paid: Vec<Paid> = paid.into_iter().flatten().collect();
        let charged = self.stage.switchboard.objects("payment_intents").unwrap_or_default();
        let ours = self.target.organization.to_string();
        let charged: Vec<_> = charged
            .iter()
            .map(|held| &held["object"])
            .filter(|intent| intent["status"] == "succeeded" && intent["metadata"]["propty_organization"] == ours)
            .collect();
        self.expect("every payment is one charge at Stripe", charged.len() == paid.len());
        let taken: i64 = charged.iter().filter_map(|intent| intent["amount_received"].as_i64()).sum();
        self.expect("Stripe took exactly what was quoted", taken == paid.iter().map(|paid| paid.total).sum::<i64>());
        let _ = manager;
        Ok(paid)
    }

    /// One payment is given back.
    async fn refund(&mut self, manager: &Client, paid: &[Paid]) -> Result<(), Failure> {
        let Some(first) = paid.first() else { return Ok(()) };
        println!("\n── A refund");
        let refund = json!({ "payment_id": first.payment_id, "refund_id": Uuid::now_v7(), "note": "Billed for the wrong month" });
        println!("  {}", manager.command("RefundPayment", &refund).await?);
        let path = format!("/v1/payments/{}", first.payment_id);
        let refunded = manager.until(&path, |payment| payment["status"] == "Refunded").await?;
        println!("  RefundSucceeded → {} minor units went back", refunded["refunded"]["amount"]);
        self.expect("the refund gave back what was charged", refunded["refunded"]["amount"] == first.total);
        Ok(())
    }

    /// A resident without e-mail brings a check.
    async fn pay_by_check(&mut self, manager: &Client) -> Result<(), Failure> {
        let without = self.people.iter().find(|person| person.rows.iter().all(|placed| placed.row.email.is_none()));
        let Some(person) = without else { return Ok(()) };
        println!("\n── A check arrives");
        let open = manager.list(&format!("/v1/invoices?status=Open&resident_id={}", person.id)).await?;
        let (Some(invoice), Some(placed)) = (open.first(), person.rows.first()) else { return Ok(()) };
        let record = json!({
            "invoice_id": invoice["invoice_id"], "payment_id": Uuid::now_v7(), "amount": invoice["balance"],
            "method": "Check", "reference": "1042",
            "received_on": placed.time_zone.day_of(self.stage.engine.clock().now())
        });
        println!("  {}", manager.command("RecordOfflinePayment", &record).await?);
        let path = format!("/v1/invoices/{}", invoice["invoice_id"].as_str().unwrap_or_default());
        let settled = manager.until(&path, |invoice| invoice["status"] == "Paid").await?;
        self.expect("an invoice paid by check is paid", settled["balance"]["amount"] == 0);
        Ok(())
    }

    /// Waits until every receipt is delivered.
    async fn settle(&mut self, manager: &Client) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let messages = manager.list("/v1/messages").await?;
            let open = messages
                .iter()
                .filter(|message| matches!(message["status"].as_str(), Some("Queued" | "Sending" | "Sent")))
                .count();
            if open == 0 || started.elapsed() > Duration::from_secs(30) {
                self.expect("no message is still on its way", open == 0);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn check(&mut self, manager: &Client, paid: &[Paid]) -> Result<(), Failure> {
        println!("\n── The dashboard");
        for name in self.target.properties.clone().keys() {
            let property = property_id(self.target.organization, name);
            let dashboard = manager.get(&format!("/v1/properties/{property}/dashboard")).await?;
            println!("  {name}: {dashboard}");
        }
        let receipts = manager.list("/v1/messages?kind=payment-received").await?;
        let delivered = receipts.iter().filter(|message| message["status"] == "Delivered").count();
        self.expect("every online payment has its receipt", delivered >= paid.len());
        let succeeded = manager.list("/v1/payments?status=Succeeded").await?.len();
        let refunded = manager.list("/v1/payments?status=Refunded").await?.len();
        println!("  payments: {succeeded} succeeded, {refunded} refunded");
        self.expect("the history shows every payment", succeeded + refunded >= paid.len());
        let unresolved: i64 =
            sqlx::query_scalar("select count(*) from engine.outbox where state in ('unresolved', 'refused')")
                .fetch_one(self.stage.engine.store().pool())
                .await?;
        self.expect("nothing is unresolved", unresolved == 0);
        let gaps: i64 = sqlx::query_scalar(
            "select count(*) from log.heads head
             where position <> (select count(*) from log.entries entry where entry.organization_id = head.organization_id)",
        )
        .fetch_one(self.stage.engine.store().pool())
        .await?;
        self.expect("positions are dense", gaps == 0);
        Ok(())
    }

    async fn explore(&self, manager: &Client, token: &str) -> Result<(), Failure> {
        let base = &self.stage.propty;
        let resident = manager.list("/v1/residents").await?;
        let resident = resident.first().and_then(|row| row["resident_id"].as_str()).unwrap_or_default().to_owned();
        println!("\n── Look around");
        println!("  API        {base}   reference {base}/docs   contract {base}/openapi.json");
        println!("  Sandbox    {}   (what was sent to Stripe and Resend)", self.stage.sandbox);
        println!("  Token      {token}");
        println!("\n  export TOKEN={token}");
        println!("  curl -s -H \"Authorization: Bearer $TOKEN\" {base}/v1/dashboard");
        println!("  curl -s -H \"Authorization: Bearer $TOKEN\" '{base}/v1/invoices?status=Open&limit=5'");
        println!("  curl -s -H \"Authorization: Bearer $TOKEN\" {base}/v1/residents/{resident}");
        println!("  curl -s -H \"Authorization: Bearer $TOKEN\" -H 'Accept: text/csv' {base}/v1/payments");
        Ok(())
    }
}
