//! The end of the month: everything is counted, here and at the providers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use chrono::DateTime;
use projections::{ledger, tenant};
use serde_json::Value;

use super::{Story, paying::money};
use crate::{
    commands::{
        demo::{
            cast::{Household, Part},
            client::Client,
            payer::Paid,
            told,
        },
        import::property_id,
    },
    failure::Failure,
};

impl Story {
    pub(super) async fn reckon(&mut self, manager: &Client, paid: &[Paid]) -> Result<(), Failure> {
        self.settle(manager).await?;
        println!("\n── The dashboard");
        for name in self.target.properties.clone().keys() {
            let property = property_id(self.target.organization, name);
            let dashboard = manager.get(&format!("/v1/properties/{property}/dashboard")).await?;
            println!("  {name}: {dashboard}");
        }
        let payments = manager.list("/v1/payments").await?;
        self.count_charges(manager, &payments).await?;
        self.count_letters(manager, paid, &payments).await?;
        for part in [Part::Charged, Part::DebitCard, Part::SecondRetryWorks, Part::NewCard, Part::AboveCap] {
            self.expect_badge(manager, part, "Active", "at the end", |_| true).await?;
        }
        self.balance(manager).await?;
        self.inside().await
    }

    /// Waits until every letter has arrived.
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

    /// Nobody was charged twice: counted at Stripe and here.
    async fn count_charges(&mut self, manager: &Client, payments: &[Value]) -> Result<(), Failure> {
        let intents = self.intents();
        let invoice_of: BTreeMap<&str, &str> = intents
            .iter()
            .filter_map(|intent| Some((intent["id"].as_str()?, intent["metadata"]["propty_invoice"].as_str()?)))
            .collect();
        let ours: BTreeSet<_> = intents.iter().map(|intent| intent["metadata"]["propty_payment"].as_str()).collect();
        self.expect("Stripe has one PaymentIntent for each payment", ours.len() == intents.len());
        let charges = self.stage.switchboard.objects("charges").unwrap_or_default();
        let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
        let mut refused: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        let mut once: BTreeMap<&str, usize> = BTreeMap::new();
        for charge in charges.iter().map(|held| &held["object"]) {
            let intent = charge["payment_intent"].as_str().unwrap_or_default();
            let Some(invoice) = invoice_of.get(intent) else { continue };
            if charge["status"] == "succeeded" {
                *taken.entry(invoice).or_default() += 1;
                *once.entry(intent).or_default() += 1;
            } else {
                refused.entry(invoice).or_default().push(charge);
            }
        }
        self.expect("no payment took money twice", once.values().all(|count| *count == 1));
        let of_autopay = self.cast.enrolled.clone();
        let as_often = |(household, part): &(Household, Part)| {
            taken.get(household.invoice_id()).copied().unwrap_or(0) == part.charges()
        };
        self.expect(
            "autopay took each invoice's money as often as it should: once or never",
            of_autopay.iter().all(as_often),
        );
        for household in self.cast.with(Part::UsesUpRetries).cloned().collect::<Vec<_>>() {
            let tried = refused.get(household.invoice_id()).map(Vec::as_slice).unwrap_or_default();
            let days: BTreeSet<_> = tried
                .iter()
                .filter_map(|charge| DateTime::from_timestamp(charge["created"].as_i64()?, 0))
                .map(|at| self.calendar.zone.day_of(at))
                .collect();
            self.expect("the declined card was asked on four days, once a day", (tried.len(), days.len()) == (4, 4));
        }
        let mut credited: BTreeMap<&str, i64> = BTreeMap::new();
        for payment in payments.iter().filter(|payment| payment["status"] == "Succeeded") {
            let kept = payment["amount"]["amount"].as_i64().unwrap_or_default()
                - payment["reversed"]["amount"].as_i64().unwrap_or_default();
            *credited.entry(payment["invoice_id"].as_str().unwrap_or_default()).or_default() += kept;
        }
        let invoices = manager.list("/v1/invoices").await?;
        let most = |invoice: &Value| {
            let paid = credited.get(invoice["invoice_id"].as_str().unwrap_or_default()).copied().unwrap_or(0);
            invoice["total"]["amount"].as_i64().is_some_and(|total| paid <= total)
        };
        self.expect("no invoice was paid more than it asks", invoices.iter().all(most));
        Ok(())
    }

    /// Every kind of letter as often as there was reason for it.
    async fn count_letters(&mut self, manager: &Client, paid: &[Paid], payments: &[Value]) -> Result<(), Failure> {
        let messages = manager.list("/v1/messages").await?;
        let count = |kind: &str| messages.iter().filter(|message| message["kind"] == kind).count();
        let offline = payments.iter().filter(|payment| payment["kind"] == "Offline").count();
        let by_hand = paid.len() + offline;
        let enrolled = self.cast.enrolled.clone();
        let charged: usize = enrolled.iter().map(|(_, part)| part.charges()).sum();
        let failed: usize = enrolled.iter().map(|(_, part)| part.failures()).sum();
        let held = self.cast.with(Part::AboveCap).count();
        let mut failures = 0;
        for (household, _) in &enrolled {
            let autopay = self.autopay(manager, household).await?;
            let history = autopay["history"].as_array().into_iter().flatten();
            failures += history.filter(|event| event["event"] == "ChargeFailed").count();
        }
        let found =
            [count("payment-received"), count("autopay-charged"), count("autopay-failed"), count("autopay-held")];
        println!("\n── E-mails of the month");
        for (kind, count) in &self.mails {
            println!("  {count:>4} {kind}");
        }
        self.expect(format!("{by_hand} receipts for payments by hand"), found[0] == by_hand);
        self.expect(format!("{charged} receipts for charges by autopay"), found[1] == charged);
        self.expect(format!("{failed} failures, each told by e-mail"), found[2] == failed && failures == failed);
        self.expect("the resident with a cap was asked by e-mail", found[3] == held);
        let lost =
            messages.iter().filter(|message| !matches!(message["status"].as_str(), Some("Delivered" | "Suppressed")));
        self.expect("every letter was delivered, or had no address", lost.count() == 0);
        Ok(())
    }

    /// The books: every entry balances, and invoices owe what the ledger says.
    async fn balance(&mut self, manager: &Client) -> Result<(), Failure> {
        self.calendar.quiet().await?;
        println!("\n── The ledger");
        let mut balances = manager.list("/v1/ledger/balances").await?;
        balances.sort_by_key(|row| row["property_name"].as_str().unwrap_or_default().to_owned());
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for row in &balances {
            let amount = row["balance"]["amount"].as_i64().unwrap_or_default();
            let currency = row["balance"]["currency"].as_str().unwrap_or_default();
            *sums.entry(currency.to_owned()).or_default() += amount;
            let property = row["property_name"].as_str().unwrap_or("shared");
            let sign = if amount < 0 { "-" } else { "" };
            let account = row["account"].as_str().unwrap_or_default();
            println!("  {property:<12} {account:<36} {sign}{} {currency}", money(amount.abs()));
        }
        self.expect("the ledger's balances add up to nothing", !sums.is_empty() && sums.values().all(|sum| *sum == 0));
        let mut transaction = tenant::begin(&self.stage.database.query, self.target.organization).await?;
        let audit = ledger::audit(&mut transaction).await.map_err(told)?;
        for difference in audit.iter().flat_map(|audit| audit.differences.iter().chain(&audit.under_way)) {
            println!("  DIFFERS  {difference:?}");
        }
        let sound = audit.is_some_and(|audit| audit.differences.is_empty() && audit.under_way.is_empty());
        self.expect("every entry balances, and every invoice owes what the ledger says", sound);
        Ok(())
    }

    /// What nobody sees from outside.
    async fn inside(&mut self) -> Result<(), Failure> {
        let pool = self.stage.engine.store().pool();
        let unresolved: Vec<(String, String, Option<String>)> =
            sqlx::query_as("select state, key, last_error from engine.outbox where state in ('unresolved', 'refused')")
                .fetch_all(pool)
                .await?;
        let gaps: i64 = sqlx::query_scalar(
            "select count(*) from log.heads head
             where position <> (select count(*) from log.entries entry where entry.organization_id = head.organization_id)",
        )
        .fetch_one(pool)
        .await?;
        for (state, key, why) in &unresolved {
            println!("  {state}: {key}: {}", why.as_deref().unwrap_or_default());
        }
        self.expect("nothing is unresolved", unresolved.is_empty());
        self.expect("positions are dense", gaps == 0);
        Ok(())
    }
}
