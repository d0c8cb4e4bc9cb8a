//! A resident who sets autopay up, and a calendar that goes on.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Options, World,
    client::Client,
    community::{Resident, id},
};

/// Where a resident's Autopay card is.
pub fn card_of(resident: &Resident) -> String {
    format!("/v1/properties/{}/autopay", resident.property)
}

/// The hour, UTC, at which the properties of the template are in the middle of the same day.
const AFTERNOON: TimeDelta = TimeDelta::hours(16);

impl World {
    /// Starts at an hour at which it is the same day for UTC and for the properties: days are counted from there.
    pub async fn start_in_the_afternoon(options: Options) -> Self {
        let world = Self::start(options).await;
        let now = world.now().await;
        let today = now.date_naive().and_time(NaiveTime::MIN).and_utc() + AFTERNOON;
        world.pass_until(if now <= today { today } else { today + TimeDelta::days(1) }).await;
        world
    }

    /// Signs in and sets autopay up with one of Stripe's test methods.
    pub async fn enroll(&self, resident: &Resident, method: &str) -> Client {
        let client = self.sign_in(resident).await;
        self.set_up(&client, resident, "EnableAutopay", method).await;
        client
    }

    /// Asks for a set-up, completes Stripe's form, and waits until the method serves.
    pub async fn set_up(&self, client: &Client, resident: &Resident, command: &str, method: &str) {
        let setup = self.begin_setup(client, resident, command, method).await;
        let answer = self.complete_setup(&setup, method).await;
        assert_eq!(answer["status"], "succeeded", "{answer}");
        let path = card_of(resident);
        client.until(&path, |card| card["status"] == "Active" && card["enrollment"]["setup"].is_null()).await;
    }

    /// Asks for a set-up, and waits until Stripe's form can be shown: the enrollment as it is then.
    pub async fn begin_setup(&self, client: &Client, resident: &Resident, command: &str, method: &str) -> Value {
        let setup = Uuid::now_v7();
        let kind = if method.contains("usBankAccount") { "BankDebit" } else { "Card" };
        let body = json!({
            "property_id": resident.property, "resident_id": resident.id, "setup_id": setup, "kind": kind,
        });
        client.command(command, &body).await;
        let card = client
            .until(&card_of(resident), |card| {
                let enrollment = &card["enrollment"];
                enrollment["setup"]["setup_id"] == json!(setup) && enrollment["client_secret"].is_string()
            })
            .await;
        card["enrollment"].clone()
    }

    /// Confirms a SetupIntent in Stripe's form; Stripe's answer.
    pub async fn complete_setup(&self, enrollment: &Value, method: &str) -> Value {
        let secret = enrollment["client_secret"].as_str().unwrap_or_default();
        let account = enrollment["stripe_account"].as_str().unwrap_or_default();
        let intent = secret.split("_secret_").next().unwrap_or_default();
        let form = [
            ("key", "pk_test_sandbox"),
            ("_stripe_account", account),
            ("client_secret", secret),
            ("payment_method", method),
        ];
        self.sandbox.stripe(&format!("/v1/setup_intents/{intent}/confirm"), &form).await.body
    }

    /// Now, on the business clock.
    pub async fn now(&self) -> DateTime<Utc> {
        let offset: i64 = sqlx::query_scalar("select offset_seconds from engine.clock")
            .fetch_one(&self.database)
            .await
            .expect("an offset");
        Utc::now() + TimeDelta::seconds(offset)
    }

    /// Lets the clock go on to an instant, if it is not there yet.
    pub async fn pass_until(&self, instant: DateTime<Utc>) {
        let left = (instant - self.now().await).num_seconds() + 1;
        if left > 0 {
            self.pass_time(left).await;
        }
    }

    /// Lets the clock go on to the morning after `days` more days, when everything of the day is due.
    pub async fn pass_days(&self, days: i64) {
        let morning = (self.now().await.date_naive() + TimeDelta::days(days)).and_time(NaiveTime::MIN).and_utc();
        self.pass_until(morning + AFTERNOON).await;
    }

    /// An invoice that is due on a day.
    pub async fn publish_due(&self, resident: &Resident, amount: i64, due_on: NaiveDate) -> Uuid {
        let mut body = self.first.draft_body(resident, amount);
        body["due_on"] = json!(due_on);
        self.first.manager.command("DraftInvoice", &body).await;
        let invoice = id(&body["invoice_id"]);
        self.first.manager.command("PublishInvoice", &json!({ "invoice_id": invoice, "notify": false })).await;
        invoice
    }

    /// How often Stripe took money for an invoice, and how much in all.
    pub async fn charged(&self, invoice: Uuid) -> (usize, i64) {
        let ours = invoice.to_string();
        let intents = self.sandbox.objects("stripe/payment_intents").await;
        let taken: Vec<i64> = intents
            .iter()
            .filter(|intent| intent["metadata"]["propty_invoice"] == ours && intent["status"] == "succeeded")
            .filter_map(|intent| intent["amount_received"].as_i64())
            .collect();
        (taken.len(), taken.iter().sum())
    }

    /// How many letters of a kind were requested about an invoice.
    pub async fn letters_about(&self, invoice: Uuid, kind: &str) -> usize {
        self.first.manager.list(&format!("/v1/messages?invoice_id={invoice}&kind={kind}")).await.len()
    }
}
