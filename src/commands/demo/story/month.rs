//! The month: reminders, the due day, retries, bank debits that settle and come back.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Story;
use crate::{
    commands::demo::{
        browser::Means,
        cast::{Household, Manner, Part},
        client::Client,
        payer::Doors,
    },
    failure::Failure,
};

impl Story {
    pub(super) async fn live(&mut self, doors: &Doors) -> Result<(), Failure> {
        let manager = &doors.manager;
        if self.cast.payers.iter().any(|(_, manner)| *manner == Manner::BankDebit) {
            self.day(manager, -9, 23, "bank debits of the first day arrive").await?;
            let invoices = manager.list("/v1/invoices").await?;
            let settled = invoices.iter().all(|invoice| invoice["pending_payment_id"].is_null());
            self.expect("bank debits have settled after four days", settled);
        }
        self.before_due(manager).await?;
        self.due_day(doors).await?;
        self.first_day_after(doors).await?;
        self.second_and_third_day(manager).await?;
        self.bank_days(manager).await
    }

    /// Reminders for whoever has to act, announcements for whoever has not, and a check.
    async fn before_due(&mut self, manager: &Client) -> Result<(), Failure> {
        let announced: Vec<String> = self
            .cast
            .enrolled
            .iter()
            .filter(|(_, part)| *part != Part::AboveCap)
            .map(|(household, _)| household.invoice_id().to_owned())
            .collect();
        let open = manager.list("/v1/invoices?status=Open").await?;
        let due = self.due.to_string();
        let reminded = open.iter().filter(|invoice| invoice["due_on"] == due.as_str());
        let reminded = reminded.filter_map(|invoice| invoice["invoice_id"].as_str()).map(str::to_owned);
        let reminded = sorted(reminded.filter(|invoice| !announced.contains(invoice)));
        self.day(manager, -3, 9, "three days before the due day").await?;
        let letters = self.letters_of(manager, "payment-reminder", None).await?;
        self.expect(
            format!("{} reminders, none of what autopay takes without asking", reminded.len()),
            letters == reminded,
        );
        self.day(manager, -2, 9, "two days before the due day").await?;
        let letters = self.letters_of(manager, "autopay-notice", None).await?;
        self.expect(
            format!("{} charges are announced, each once", announced.len()),
            letters == sorted(announced.into_iter()),
        );
        let bringing = self.with(Part::BringsCheck);
        if bringing.is_empty() {
            return Ok(());
        }
        self.day(manager, -1, 10, "a check arrives").await?;
        for household in bringing {
            let record = json!({
                "invoice_id": household.invoice_id(), "payment_id": Uuid::now_v7(),
                "amount": household.invoice["balance"], "method": "Check", "reference": "2087",
                "received_on": self.calendar.today()
            });
            println!("  {}", manager.command("RecordOfflinePayment", &record).await?);
        }
        self.news(manager).await
    }

    /// Midnight: everything is charged at once. Later that day one resident says yes, another cancels.
    async fn due_day(&mut self, doors: &Doors) -> Result<(), Failure> {
        let manager = &doors.manager;
        self.day(manager, 0, 0, "the due day begins").await?;
        let run = manager.get(&format!("/v1/autopay/run?due_on={}", self.due)).await?;
        println!(
            "  {} invoices of autopay: {} charged, {} on their way, {} failed, {} held, {} paid otherwise",
            run["total"], run["charged"], run["in_flight"], run["failed"], run["held"], run["settled_otherwise"]
        );
        for (part, wanted) in [
            (Part::Charged, "Paid"),
            (Part::DebitCard, "Paid"),
            (Part::BringsCheck, "Paid"),
            (Part::AboveCap, "Open"),
            (Part::UsesUpRetries, "Open"),
        ] {
            self.expect_invoices(manager, part, wanted).await?;
        }
        self.expect_badge(manager, Part::SecondRetryWorks, "Paused", "three retries left", |autopay| {
            autopay["retries_left"] == 3
        })
        .await?;
        self.expect_badge(manager, Part::NewCard, "Paused", "a new card is needed", needs_method).await?;
        for part in [Part::BankSettles, Part::BankReturns, Part::CancelsInFlight] {
            self.expect_badge(manager, part, "Active", "the charge on its way", in_flight).await?;
        }
        let (asked, cancelling) = (self.with(Part::AboveCap), self.with(Part::CancelsInFlight));
        if asked.is_empty() && cancelling.is_empty() {
            return Ok(());
        }
        self.day(manager, 0, 10, "one says yes, another cancels").await?;
        for household in asked {
            let resident = doors.sign_in(&household).await?;
            let held = self.autopay(manager, &household).await?["held"][0].clone();
            let approve = json!({
                "property_id": household.property, "resident_id": household.resident,
                "invoice_id": held["invoice_id"], "amount": held["amount"]
            });
            println!("  {}", resident.command("ApproveCharge", &approve).await?);
        }
        for household in cancelling {
            let resident = doors.sign_in(&household).await?;
            let cancel = json!({ "property_id": household.property, "resident_id": household.resident });
            println!("  {}", resident.command("CancelAutopay", &cancel).await?);
            self.bill_again(manager, &household).await?;
        }
        self.news(manager).await?;
        self.expect_invoices(manager, Part::AboveCap, "Paid").await?;
        self.expect_badge(manager, Part::CancelsInFlight, "Cancelled", "the charge on its way", in_flight).await
    }

    /// A small invoice for somebody who has just cancelled: it must stay open.
    async fn bill_again(&mut self, manager: &Client, household: &Household) -> Result<(), Failure> {
        let invoice = Uuid::now_v7();
        let draft = json!({
            "invoice_id": invoice, "property_id": household.property, "unit_id": household.invoice["unit_id"],
            "resident_id": household.resident, "title": "Key fob", "due_on": self.due + chrono::Days::new(1),
            "lines": [{ "description": "Replacement", "amount": { "amount": 2_500, "currency": household.currency() } }]
        });
        manager.command("DraftInvoice", &draft).await?;
        println!("  {}", manager.command("PublishInvoice", &json!({ "invoice_id": invoice, "notify": true })).await?);
        self.after_cancel.push(invoice.to_string());
        Ok(())
    }

    /// The first retries; reminders of what is overdue now; a new card.
    async fn first_day_after(&mut self, doors: &Doors) -> Result<(), Failure> {
        let manager = &doors.manager;
        self.day(manager, 1, 2, "the first retries").await?;
        let overdue = manager.list("/v1/invoices?status=Overdue").await?;
        let unpaid = overdue.iter().filter(|invoice| invoice["pending_payment_id"].is_null());
        let unpaid = sorted(unpaid.filter_map(|invoice| invoice["invoice_id"].as_str()).map(str::to_owned));
        self.day(manager, 1, 9, "reminders of what is overdue").await?;
        let letters = self.letters_of(manager, "payment-reminder", Some(self.due)).await?;
        self.expect(
            format!("{} overdue reminders, none where a payment is on its way", unpaid.len()),
            letters == unpaid,
        );
        for household in self.with(Part::NewCard) {
            let resident = doors.sign_in(&household).await?;
            let set_up = doors.set_up(&resident, &household, "ReactivateAutopay", Means::OTHER_CREDIT).await?;
            println!("  a resident reactivates autopay with {}", set_up.method);
            self.set_up.insert(household.resident.clone(), set_up);
        }
        self.news(manager).await?;
        self.expect_invoices(manager, Part::NewCard, "Paid").await
    }

    async fn second_and_third_day(&mut self, manager: &Client) -> Result<(), Failure> {
        self.day(manager, 2, 4, "the second retries").await?;
        self.expect_invoices(manager, Part::SecondRetryWorks, "Paid").await?;
        self.expect_badge(manager, Part::SecondRetryWorks, "Active", "", |_| true).await?;
        self.day(manager, 3, 6, "the third and last retry").await?;
        self.expect_badge(manager, Part::UsesUpRetries, "Paused", "its retries used up", |autopay| {
            let no_more = autopay["next_attempt_at"].is_null() && needs_method(autopay);
            autopay["reason"]["code"] == "RetriesUsedUp" && no_more
        })
        .await
    }

    /// Debits settle; one of them comes back; then nothing happens any more.
    async fn bank_days(&mut self, manager: &Client) -> Result<(), Failure> {
        let debits = [Part::BankSettles, Part::BankReturns, Part::CancelsInFlight];
        if debits.iter().any(|part| self.cast.with(*part).next().is_some()) {
            self.day(manager, 4, 10, "bank debits settle").await?;
            for part in debits {
                self.expect_invoices(manager, part, "Paid").await?;
            }
        }
        if self.cast.with(Part::BankReturns).next().is_some() {
            self.day(manager, 6, 12, "a bank debit comes back").await?;
        }
        self.expect_invoices(manager, Part::BankReturns, "Overdue").await?;
        // The badge names the return or the end of the mandate that it brings, whichever was heard of first.
        self.expect_badge(manager, Part::BankReturns, "Paused", "a new method is needed", |autopay| {
            needs_method(autopay) && autopay["last_failure"]["reason"]["code"] == "Returned"
        })
        .await?;
        let before = self.intents().len();
        self.day(manager, 9, 12, "nothing is left to charge").await?;
        self.expect("nothing is charged after that", self.intents().len() == before);
        for invoice in self.after_cancel.clone() {
            let shown = manager.get(&format!("/v1/invoices/{invoice}")).await?;
            let untouched = shown["status"] == "Overdue" && shown["payments"].as_array().is_some_and(Vec::is_empty);
            self.expect("after the cancel nothing new is charged", untouched);
        }
        Ok(())
    }

    fn with(&self, part: Part) -> Vec<Household> {
        self.cast.with(part).cloned().collect()
    }

    /// Every invoice of this part has this status.
    async fn expect_invoices(&mut self, manager: &Client, part: Part, status: &str) -> Result<(), Failure> {
        let mut held = true;
        for household in self.with(part) {
            let invoice = manager.get(&format!("/v1/invoices/{}", household.invoice_id())).await?;
            held &= invoice["status"] == status;
        }
        self.expect_of(part, &format!("the invoice is {status}"), held);
        Ok(())
    }

    /// Every enrollment of this part has this badge, and what belongs to it.
    pub(super) async fn expect_badge(
        &mut self,
        manager: &Client,
        part: Part,
        badge: &str,
        what: &str,
        and: impl Fn(&Value) -> bool,
    ) -> Result<(), Failure> {
        let mut held = true;
        for household in self.with(part) {
            let autopay = self.autopay(manager, &household).await?;
            held &= autopay["badge"] == badge && and(&autopay);
        }
        let joint = if what.is_empty() { "" } else { ", " };
        self.expect_of(part, &format!("autopay is {badge}{joint}{what}"), held);
        Ok(())
    }

    /// In a small community nobody may play the part.
    fn expect_of(&mut self, part: Part, what: &str, held: bool) {
        if self.cast.with(part).next().is_some() {
            self.expect(format!("{}: {what}", part.told()), held);
        }
    }

    /// The invoices that letters of a kind are about, since a day or ever.
    async fn letters_of(&self, manager: &Client, kind: &str, since: Option<NaiveDate>) -> Result<Vec<String>, Failure> {
        let since = since.map(|day| self.calendar.zone.at_hour(day, 0));
        let letters = manager.list("/v1/messages").await?;
        Ok(sorted(letters.iter().filter_map(|letter| {
            let at: Option<DateTime<Utc>> = letter["requested_at"].as_str().and_then(|at| at.parse().ok());
            let wanted = letter["kind"] == kind && at >= since;
            letter["invoice_id"].as_str().filter(|_| wanted).map(str::to_owned)
        })))
    }
}

fn in_flight(autopay: &Value) -> bool {
    autopay["in_flight"].as_array().is_some_and(|charges| charges.len() == 1)
}

fn needs_method(autopay: &Value) -> bool {
    autopay["new_method_required"] == true
}

/// In an order in which two lists can be compared, what is there twice included.
fn sorted(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut items: Vec<String> = items.collect();
    items.sort();
    items
}
