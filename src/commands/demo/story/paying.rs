//! Residents pay by hand, one is refunded, one brings a check.

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Story;
use crate::{
    commands::demo::{
        cast::Manner,
        client::Client,
        payer::{Doors, Paid},
    },
    failure::Failure,
};

impl Story {
    /// Some residents pay: by card or bank, some in part, some with a declined card first.
    pub(super) async fn payments(&mut self, doors: &Doors) -> Result<Vec<Paid>, Failure> {
        println!("\n── Residents pay");
        let paid: Vec<Paid> = stream::iter(self.cast.payers.clone())
            .map(|(household, manner)| async move {
                let resident = doors.sign_in(&household).await?;
                let paid = doors.pay(&resident, &household, manner).await?;
                println!("  {}", sentence(&paid));
                Ok::<_, Failure>(paid)
            })
            .buffer_unordered(6)
            .try_collect()
            .await?;
        self.calendar.quiet().await?;
        self.check_fees(&paid);
        let ours = self.intents();
        let taken = |status: &'static str| ours.iter().filter(move |intent| intent["status"] == status);
        let count = taken("succeeded").count() + taken("processing").count();
        self.expect("every payment is one charge at Stripe", count == paid.len());
        let sum: i64 =
            taken("succeeded").chain(taken("processing")).filter_map(|intent| intent["amount"].as_i64()).sum();
        self.expect("Stripe took exactly what was quoted", sum == paid.iter().map(|paid| paid.total).sum::<i64>());
        Ok(paid)
    }

    /// The organization's PaymentIntents; an earlier demo's may be in the same sandbox.
    pub(super) fn intents(&self) -> Vec<Value> {
        let all = self.stage.switchboard.objects("payment_intents").unwrap_or_default();
        let ours = self.target.organization.to_string();
        all.into_iter()
            .map(|mut held| held["object"].take())
            .filter(|intent| intent["metadata"]["propty_organization"] == ours)
            .collect()
    }

    fn check_fees(&mut self, paid: &[Paid]) {
        let borne = |manner: Manner| paid.iter().filter(move |paid| paid.bears_fee && paid.manner == manner);
        if borne(Manner::DebitCard).count() > 0 {
            let spared = borne(Manner::DebitCard).all(|paid| paid.fee == 0 && !paid.waiver.is_null());
            self.expect("a debit card bears no surcharge, and the resident is told why", spared);
        }
        if borne(Manner::CreditCard).count() > 0 {
            let fair = borne(Manner::CreditCard).all(|paid| paid.fee * 10_000 <= paid.amount * 300);
            self.expect("a credit card bears 3 % at most", fair);
        }
        if borne(Manner::BankDebit).count() > 0 {
            let fair = borne(Manner::BankDebit).all(|paid| (1..=550).contains(&paid.fee));
            self.expect("a bank debit bears 5.50 at most", fair);
        }
        let absorbed = paid.iter().filter(|paid| !paid.bears_fee).all(|paid| paid.fee == 0);
        self.expect("where the property absorbs fees, nobody pays one", absorbed);
    }

    /// One payment is given back.
    pub(super) async fn refund(&mut self, manager: &Client, paid: &[Paid]) -> Result<(), Failure> {
        let Some(first) = paid.iter().find(|paid| paid.manner != Manner::BankDebit) else { return Ok(()) };
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
    pub(super) async fn pay_by_check(&mut self, manager: &Client) -> Result<(), Failure> {
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
}

/// One payment, told.
fn sentence(paid: &Paid) -> String {
    let how = match paid.manner {
        Manner::CreditCard | Manner::DebitCard | Manner::BankDebit => "",
        Manner::Part => ", in part",
        Manner::DeclinedFirst => ", after a declined card",
    };
    let why = match (paid.waiver["kind"].as_str(), paid.waiver["detail"].as_str()) {
        (Some("Funding"), Some(funding)) => format!(", no surcharge on {funding} cards"),
        (Some("Region"), Some(region)) => format!(", no surcharges in {region}"),
        (Some("Capped"), _) => ", all that may be charged on top".to_owned(),
        _ => String::new(),
    };
    let then = if paid.manner == Manner::BankDebit { "on its way for some days" } else { "paid, receipt" };
    format!("{}{how}: {} {} + fee {}{why} → {then}", paid.method, money(paid.amount), paid.currency, money(paid.fee))
}

/// Minor units of a currency that has two digits, as all of the demo's.
pub(super) fn money(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}
