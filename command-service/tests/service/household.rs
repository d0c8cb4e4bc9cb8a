//! What a household with autopay does in these tests: sets it up, gets invoices, lets the time pass.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::{Autopay, Invoice, autopay::Status};
use events::{AutopayId, InvoiceId, Language, autopay::PauseReason, payment::PaymentMethodKind};
use processes::ports::IntentStatus;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{PROPERTY, RESIDENT, World};

pub const ZONE: &str = "America/Toronto";

pub fn zone() -> events::TimeZone {
    events::TimeZone::parse(ZONE).expect("a zone")
}

pub fn autopay_id() -> AutopayId {
    Autopay::id(PROPERTY, RESIDENT)
}

/// The kinds of letters about autopay and due dates.
pub const CHARGED: &str = "autopay-charged";
pub const FAILED: &str = "autopay-failed";

impl World {
    /// A community that bills in US dollars, where bank debits are possible.
    pub async fn in_dollars() -> Self {
        let mut world = Self::new().await;
        world.currency = "USD";
        world.community().await;
        world
    }

    /// A community whose resident has autopay with a card; the card.
    pub async fn with_autopay() -> (Self, String) {
        let world = Self::new().await;
        world.community().await;
        let method = world.enabled(PaymentMethodKind::Card).await;
        (world, method)
    }

    pub async fn resident_does(&self, name: &str, mut fields: Value) {
        fields["property_id"] = json!(PROPERTY);
        fields["resident_id"] = json!(RESIDENT);
        self.execute(self.resident(), name, fields).await.expect("an accepted command");
    }

    /// A set-up that Stripe holds: our id and Stripe's.
    pub async fn set_up(&self, name: &str, kind: PaymentMethodKind) -> (Uuid, String) {
        let setup = Uuid::now_v7();
        self.resident_does(name, json!({ "setup_id": setup, "kind": kind })).await;
        self.settle().await;
        let intents = self.stripe.setups(setup);
        assert_eq!(intents.len(), 1);
        (setup, intents[0].id.clone())
    }

    /// The same through passing troubles.
    pub async fn set_up_at_last(&self, name: &str, kind: PaymentMethodKind) -> (Uuid, String) {
        let setup = Uuid::now_v7();
        self.resident_does(name, json!({ "setup_id": setup, "kind": kind })).await;
        self.settle_at_last().await;
        let intents = self.stripe.setups(setup);
        assert_eq!(intents.len(), 1);
        (setup, intents[0].id.clone())
    }

    /// Completes a set-up in Stripe's form; the new method.
    pub async fn completed(&self, (setup, intent): (Uuid, String), kind: PaymentMethodKind) -> String {
        let method = self.stripe.complete_setup(&intent, kind);
        self.setup_notice("setup_intent.succeeded", &intent, setup).await;
        self.settle().await;
        method
    }

    pub async fn enabled(&self, kind: PaymentMethodKind) -> String {
        let method = self.completed(self.set_up("EnableAutopay", kind).await, kind).await;
        assert_eq!(self.autopay().await.status(), Status::Active);
        method
    }

    pub async fn autopay(&self) -> Autopay {
        self.state(autopay_id().0).await
    }

    pub async fn setup_notice(&self, kind: &str, intent: &str, setup: Uuid) {
        let metadata = json!({ "propty_setup": setup, "propty_enrollment": autopay_id() });
        let object = json!({ "object": "setup_intent", "id": intent, "metadata": metadata });
        self.notice_of(kind, object).await;
    }

    /// A verified webhook of our account about any object, stored.
    pub async fn notice_of(&self, kind: &str, object: Value) {
        let event = json!({
            "id": format!("evt_{}", Uuid::now_v7().simple()), "type": kind, "account": self.account().await,
            "data": { "object": object }
        });
        self.store_notice(&event).await;
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.effects.engine.clock().now()
    }

    pub fn today(&self) -> NaiveDate {
        zone().day_of(self.now())
    }

    pub fn in_days(&self, days: u64) -> NaiveDate {
        self.today() + Days::new(days)
    }

    /// A published invoice of 100.00 that is due in so many days; nobody was told of it, and nothing has followed yet.
    pub async fn published_due(&self, due_on: NaiveDate, amount: i64) -> Uuid {
        let id = self.draft_due(due_on, amount).await;
        self.publish(id, false).await;
        id
    }

    pub async fn due_in(&self, days: u64) -> Uuid {
        let id = self.published_due(self.in_days(days), 10_000).await;
        self.settle().await;
        id
    }

    pub async fn edit(&self, invoice: Uuid, due_on: NaiveDate, amount: i64) {
        let lines = json!([{ "description": "Condo fee", "amount": self.money(amount) }]);
        let fields = json!({ "invoice_id": invoice, "due_on": due_on, "lines": lines, "title": "Monthly fee" });
        self.manage("EditInvoice", self.body("EditInvoice", fields)).await;
        self.settle().await;
    }

    pub async fn paid_by_hand(&self, invoice: Uuid, amount: i64) {
        let fields = json!({
            "invoice_id": invoice, "payment_id": Uuid::now_v7(), "amount": self.money(amount),
            "received_on": self.today()
        });
        self.manage("RecordOfflinePayment", self.body("RecordOfflinePayment", fields)).await;
    }

    pub async fn bill(&self, billing: Value) {
        self.manage("ChangeBillingPolicy", json!({ "property_id": PROPERTY, "billing": billing })).await;
        self.settle().await;
    }

    /// Lets the time pass until this moment; nothing is done.
    pub async fn reach(&self, moment: DateTime<Utc>) {
        let left = (moment - self.now()).num_seconds();
        if left >= 0 {
            self.advance(TimeDelta::seconds(left + 1)).await;
        }
    }

    /// Lets the time pass until this moment, and does what is due then.
    pub async fn live_until(&self, moment: DateTime<Utc>) {
        self.reach(moment).await;
        self.settle_at_last().await;
    }

    /// The due moment of an invoice, midnight where the property is.
    pub async fn due(&self, invoice: Uuid) -> DateTime<Utc> {
        let state: Invoice = self.state(invoice).await;
        zone().at_hour(state.content.expect("contents").due_on, 0)
    }

    pub async fn balance(&self, invoice: Uuid) -> i64 {
        self.state::<Invoice>(invoice).await.balance().expect("a balance").amount()
    }

    /// Every online payment that was begun for an invoice.
    pub async fn payments(&self, invoice: Uuid) -> Vec<Uuid> {
        let ids: Vec<String> = sqlx::query_scalar(
            "select aggregate_id from log.events
             where event_type = 'PaymentRequested' and payload::text like '%' || $1 || '%' order by recorded_at",
        )
        .bind(invoice.to_string())
        .fetch_all(self.pool())
        .await
        .expect("payments");
        ids.iter().map(|id| id.parse().expect("an id")).collect()
    }

    /// How many PaymentIntents were created for an invoice, and how many of them brought money.
    pub async fn charges(&self, invoice: Uuid) -> (usize, usize) {
        let payments = self.payments(invoice).await;
        let intents: Vec<_> = payments.into_iter().flat_map(|payment| self.stripe.intents(payment)).collect();
        let paid = intents.iter().filter(|intent| intent.status == IntentStatus::Succeeded).count();
        (intents.len(), paid)
    }

    /// The PaymentIntent of the newest payment of an invoice, and the payment.
    pub async fn newest(&self, invoice: Uuid) -> (Uuid, String) {
        let payment = *self.payments(invoice).await.last().expect("a payment");
        (payment, self.stripe.intents(payment).pop().expect("an intent").id)
    }

    /// Charged exactly once, booked once, told once; nothing is left to do.
    pub async fn is_charged_once(&self, invoice: Uuid) {
        assert_eq!(self.charges(invoice).await.1, 1, "money was taken once");
        assert_eq!(self.balance(invoice).await, 0);
        assert_eq!(self.times(invoice, "PaymentApplied").await, 1);
        assert_eq!(self.letters(CHARGED, invoice), 1, "one receipt");
        assert!(self.autopay().await.in_flight(InvoiceId(invoice)).is_none());
        assert_eq!(self.waiting_tasks("ChargeWhenDue", invoice).await, 0);
    }

    pub async fn is_not_charged(&self, invoice: Uuid) {
        assert_eq!(self.charges(invoice).await, (0, 0));
        assert_eq!(self.letters(CHARGED, invoice), 0);
    }

    /// How many letters of a kind went out about an invoice.
    pub fn letters(&self, kind: &str, invoice: Uuid) -> usize {
        let about = invoice.to_string();
        self.mail.sent().iter().filter(|letter| letter.kind == kind && letter.html.contains(&about)).count()
    }

    /// How many letters of a kind went out at all.
    pub fn letters_of(&self, kind: &str) -> usize {
        self.mail.sent().iter().filter(|letter| letter.kind == kind).count()
    }

    /// Told once, with the reason and where to set up a new method.
    pub fn is_told_of_the_pause(&self, reason: &PauseReason) {
        assert_eq!(self.letters_of("autopay-paused"), 1);
        let sent = self.mail.sent();
        let letter = sent.iter().find(|letter| letter.kind == "autopay-paused").expect("a letter");
        let text = letter.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let language = Language::ALL.into_iter().find(|language| language.code() == letter.language);
        let told = reason.words(language.expect("a language"));
        assert!(text.contains(told) && text.contains(&format!("/properties/{PROPERTY}/autopay")), "{text}");
    }

    pub async fn waiting_tasks(&self, name: &str, about: Uuid) -> i64 {
        let query = format!(
            "select count(*) from engine.outbox
             where name = '{name}' and body::text like '%{about}%' and state <> 'done'"
        );
        self.count(&query).await
    }

    /// The events of the enrollment, but those of its set-ups.
    pub async fn enrollment(&self) -> Vec<String> {
        let history = self.history(autopay_id().0).await;
        history.into_iter().filter(|name| !name.starts_with("AutopaySetup")).collect()
    }

    pub async fn has(&self, event: &str) -> usize {
        self.times(autopay_id().0, event).await
    }

    /// The payload of the newest event of this name in a stream.
    pub async fn told(&self, stream: Uuid, event: &str) -> Value {
        sqlx::query_scalar(
            "select payload::jsonb -> event_type from log.events where aggregate_id = $1 and event_type = $2
             order by sequence desc limit 1",
        )
        .bind(stream.to_string())
        .bind(event)
        .fetch_one(self.pool())
        .await
        .expect("an event")
    }
}
