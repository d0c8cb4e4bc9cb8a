//! A month is billed: drafts, a review, publication, and a letter to everybody.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::Datelike;
use events::Money;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Story;
use crate::{
    commands::{
        demo::{client::Client, told},
        import::property_id,
    },
    failure::Failure,
};

impl Story {
    /// A month's invoices: drafted for every unit, reviewed, published.
    pub(super) async fn publish(&mut self, manager: &Client) -> Result<usize, Failure> {
        println!("\n── A month is billed");
        let mut count = 0;
        for (name, terms) in self.target.properties.clone() {
            let property = property_id(self.target.organization, &name);
            let mut units = BTreeMap::new();
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
                "title": format!("Monthly fee {:04}-{:02}", self.due.year(), self.due.month()),
                "lines": [
                    { "description": "Common charges", "amount": amount(38_500)? },
                    { "description": "Reserve fund", "amount": amount(4_000)? }
                ],
                "due_on": self.due, "targets": targets
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
    pub(super) async fn letters(&mut self, manager: &Client, invoices: usize, before: usize) -> Result<(), Failure> {
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
}
