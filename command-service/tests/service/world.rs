//! A command service in a database of its own, with fake providers, driven step by step.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{Days, NaiveDate, TimeDelta, Utc};
use command_service::{
    Answer, Ask, Engine, Fault, Pace, Providers, Registry, effects::Effects, intake, outbox, reactor, reactor::Reactor,
    worker::Worker,
};
use domain::{Actor, Aggregate};
use edge::Credentials;
use embedded_postgres::Connection;
use event_store::{
    BusinessClock, Database, Keyring, MasterKey, Store, lease::Lease, positions::Positions, sequencer::Sequencer,
};
use events::{OrganizationId, PropertyId, ResidentId, Role};
use integrations::{Secret, WebhookSender, outbound::Targets};
use serde_json::{Value, json};
use sqlx::{Executor, PgPool};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    fakes::{mail::FakeMail, stripe::FakeStripe, texts::FakeTexts},
    server::{connect, server},
};

pub const TWILIO_TOKEN: &str = "twilio-token";
pub const STRIPE_SECRETS: [&str; 2] = ["whsec_new", "whsec_old"];

/// An id of the commands' examples.
const fn example(last: u128) -> Uuid {
    Uuid::from_u128(0x0193_5c2e_0000_7000_8000_0000_0000_0000 + last)
}

pub const PROPERTY: PropertyId = PropertyId(example(1));
pub const UNIT: Uuid = example(0x101);
pub const RESIDENT: ResidentId = ResidentId(example(0x201));
pub const ACCOUNT: Uuid = example(0xaa);

/// Sends to receivers on this machine.
fn webhooks() -> WebhookSender {
    let _ = rustls::crypto::ring::default_provider().install_default();
    WebhookSender::try_new(Targets::Any).expect("a client")
}

pub struct World {
    admin: Connection,
    pub database: Database,
    pub effects: Effects,
    pub stripe: Arc<FakeStripe>,
    pub mail: Arc<FakeMail>,
    pub texts: Arc<FakeTexts>,
    pub organization: OrganizationId,
    /// One for all: each has a connection of its own until the database is closed.
    sequencer: Sequencer,
    /// What the property bills in.
    pub currency: &'static str,
}

impl World {
    /// Mail goes through a provider that knows keys.
    pub async fn new() -> Self {
        Self::with(FakeMail::new(true)).await
    }

    /// Mail goes through a provider that knows none.
    pub async fn by_smtp() -> Self {
        Self::with(FakeMail::new(false)).await
    }

    async fn with(mail: FakeMail) -> Self {
        let admin = server().await.database().await;
        let database = Database::connect(&admin.url()).await.expect("a database");
        let master = MasterKey::parse(&STANDARD.encode([7; 32])).expect("a key");
        let keyring = Keyring::open(database.engine.clone(), master).await.expect("a keyring");
        let positions = Positions::default();
        let store = Arc::new(Store::new(database.engine.clone(), keyring, positions.clone()));
        reactor::register(&store).await.expect("checkpoints");
        let clock = BusinessClock::open(database.engine.clone()).await.expect("a clock");
        let (stripe, mail, texts) = (Arc::new(FakeStripe::default()), Arc::new(mail), Arc::new(FakeTexts::default()));
        let credentials = Credentials::new(store.keyring());
        let effects = Effects {
            engine: Engine::new(store, clock),
            registry: Arc::new(Registry::default()),
            providers: Providers {
                stripe: stripe.clone(),
                mail: mail.clone(),
                texts: Some(texts.clone()),
                webhooks: webhooks(),
                stripe_webhook_secrets: STRIPE_SECRETS.map(Secret::from).to_vec(),
                resend_webhook_secrets: Vec::new(),
                twilio_webhook_tokens: vec![Secret::from(TWILIO_TOKEN)],
                public_url: "https://propty.example.org".to_owned(),
                mail_from: "hello@propty.example.org".to_owned(),
            },
            credentials,
            pace: Arc::new(Pace::new(1_000_000)),
            text_pace: Arc::new(Pace::new(1_000_000)),
            erasures: None,
        };
        stripe.follow(effects.engine.clock().clone());
        let organization = OrganizationId(Uuid::now_v7());
        let sequencer = Sequencer::new(database.engine.clone(), positions);
        let currency = "CAD";
        Self { admin, database, effects, stripe, mail, texts, organization, sequencer, currency }
    }

    pub fn pool(&self) -> &PgPool {
        &self.database.engine
    }

    pub fn store(&self) -> &Arc<Store> {
        self.effects.engine.store()
    }

    /// Runs SQL as whoever may do everything.
    pub async fn sql(&self, text: &str) {
        connect(&self.admin).await.execute(text).await.expect("statements");
    }

    pub async fn count(&self, query: &str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut connect(&self.admin).await).await.expect("a number")
    }

    pub fn worker(&self) -> Worker {
        Worker::new(self.effects.clone(), Arc::new(Notify::new()))
    }

    pub fn reactor(&self) -> Reactor {
        Reactor::new(self.store().clone(), Arc::new(Notify::new()))
    }

    /// Orders everything that was appended.
    pub async fn sequence(&self) {
        let lease = Lease::acquire(self.pool(), "sequencer", Uuid::now_v7()).await.expect("an answer");
        let lease = lease.expect("a free lease");
        while self.sequencer.step(&lease).await.expect("a step").expect("a held lease") > 0 {}
        lease.release(self.pool()).await.expect("a release");
    }

    /// Orders, and lets the processes react; effects wait.
    pub async fn react(&self) {
        self.sequence().await;
        self.reactor().catch_up().await.expect("reactions");
    }

    /// Everything that follows, as far as it is due.
    pub async fn settle(&self) {
        self.react().await;
        loop {
            let done = self.worker().drain().await.expect("work");
            // Webhooks are no tasks, and events follow from them.
            self.sequence().await;
            let read = self.reactor().catch_up().await.expect("reactions");
            if done == 0 && read == 0 {
                return;
            }
        }
    }

    /// As if everybody who held a row had died and every pause had passed.
    pub async fn hurry(&self) {
        let statements =
            "update engine.outbox set retry_at = '-infinity', lease_until = '-infinity' where state = 'ready';
             update engine.webhooks set retry_at = '-infinity' where state = 'received'";
        self.pool().execute(statements).await.expect("statements");
    }

    /// Everything that follows, pauses skipped; ends when only what is looked at for good is left.
    pub async fn settle_at_last(&self) {
        for _ in 0..4 {
            self.hurry().await;
            self.settle().await;
        }
    }

    pub async fn advance(&self, by: TimeDelta) {
        self.effects.engine.clock().advance(by).await.expect("a later time");
    }

    pub fn ask(&self, actor: Actor) -> Ask {
        Ask { actor, actor_name: "token:test".to_owned(), ..Ask::operator(self.organization) }
    }

    pub fn manager(&self) -> Ask {
        self.ask(Actor::of(Role::OrganizationManager))
    }

    pub fn resident(&self) -> Ask {
        self.ask(Actor { resident: Some(RESIDENT), ..Actor::of(Role::Resident) })
    }

    pub async fn execute(&self, ask: Ask, name: &str, body: Value) -> Result<Answer, Fault> {
        self.effects.registry.execute(&self.effects.engine, name, body, ask).await
    }

    /// A command of the organization's manager, which is accepted.
    pub async fn manage(&self, name: &str, body: Value) -> Answer {
        self.execute(self.manager(), name, body).await.expect("an accepted command")
    }

    /// A command's example, with some fields replaced.
    pub fn body(&self, name: &str, mut fields: Value) -> Value {
        let mut body = self.effects.registry.get(name).expect("a command").example.clone();
        for (field, value) in fields.as_object_mut().into_iter().flatten() {
            body[field.as_str()] = value.take();
        }
        body
    }

    /// One property, one unit, one resident, one Stripe account.
    pub async fn community(&self) {
        for (name, fields) in [
            ("RegisterOrganization", json!({})),
            ("AddProperty", json!({ "currency": self.currency })),
            ("AddUnit", json!({})),
            ("RegisterResident", json!({ "email": "ana@example.com" })),
        ] {
            let body = self.body(name, fields);
            self.execute(Ask::operator(self.organization), name, body).await.expect("an accepted command");
        }
        self.manage("ConnectStripeAccount", self.body("ConnectStripeAccount", json!({}))).await;
        self.settle().await;
        let assign = json!({ "property_id": PROPERTY, "stripe_account_id": ACCOUNT });
        self.manage("AssignStripeAccount", assign).await;
        self.settle().await;
    }

    pub async fn draft(&self) -> Uuid {
        self.draft_due((Utc::now() + Days::new(20)).date_naive(), 10_000).await
    }

    pub async fn draft_due(&self, due_on: NaiveDate, amount: i64) -> Uuid {
        let id = Uuid::now_v7();
        let lines = json!([{ "description": "Condo fee", "amount": self.money(amount) }]);
        let fields = json!({ "invoice_id": id, "due_on": due_on, "lines": lines });
        self.manage("DraftInvoice", self.body("DraftInvoice", fields)).await;
        id
    }

    pub fn money(&self, amount: i64) -> Value {
        json!({ "amount": amount, "currency": self.currency })
    }

    pub async fn publish(&self, invoice: Uuid, notify: bool) {
        self.manage("PublishInvoice", json!({ "invoice_id": invoice, "notify": notify })).await;
    }

    /// A published invoice of 100.00 that nobody was told of.
    pub async fn invoice(&self) -> Uuid {
        let id = self.draft().await;
        self.publish(id, false).await;
        self.settle().await;
        id
    }

    /// A payment of an invoice that the resident has just started.
    pub async fn payment(&self, invoice: Uuid) -> Uuid {
        let id = Uuid::now_v7();
        let quote = json!({ "payment_id": id, "invoice_id": invoice });
        self.execute(self.resident(), "QuotePayment", quote).await.expect("a quote");
        self.execute(self.resident(), "StartPayment", json!({ "payment_id": id })).await.expect("a start");
        id
    }

    /// A payment that Stripe holds, and its PaymentIntent.
    pub async fn submitted(&self) -> (Uuid, String) {
        let invoice = self.invoice().await;
        let payment = self.payment(invoice).await;
        self.settle().await;
        let intents = self.stripe.intents(payment);
        assert_eq!(intents.len(), 1);
        (payment, intents[0].id.clone())
    }

    /// A payment that succeeded, booked and receipted.
    pub async fn paid(&self) -> Uuid {
        let (payment, intent) = self.submitted().await;
        self.stripe.pay(&intent);
        self.notice("payment_intent.succeeded", &intent, Some(payment)).await;
        self.settle().await;
        payment
    }

    pub async fn account(&self) -> String {
        let account: domain::StripeAccount = self.state(ACCOUNT).await;
        account.last_external().expect("an account").to_owned()
    }

    /// A verified webhook about a PaymentIntent, stored.
    pub async fn notice(&self, kind: &str, intent: &str, payment: Option<Uuid>) {
        let event = json!({
            "id": format!("evt_{}", Uuid::now_v7().simple()), "type": kind, "account": self.account().await,
            "data": { "object": {
                "object": "payment_intent", "id": intent, "metadata": { "propty_payment": payment }
            } }
        });
        self.store_notice(&event).await;
    }

    pub async fn store_notice(&self, event: &Value) {
        let id = event["id"].as_str().expect("an id");
        intake::store(&self.effects, "stripe", id, event.to_string().as_bytes()).await.expect("a stored webhook");
    }

    pub async fn state<A: Aggregate>(&self, id: Uuid) -> A {
        self.effects.engine.state(self.organization, id).await.expect("a state")
    }

    /// The names of a stream's events.
    pub async fn history(&self, id: Uuid) -> Vec<String> {
        sqlx::query_scalar("select event_type from log.events where aggregate_id = $1 order by sequence")
            .bind(id.to_string())
            .fetch_all(self.pool())
            .await
            .expect("events")
    }

    pub async fn times(&self, id: Uuid, event: &str) -> usize {
        self.history(id).await.iter().filter(|name| *name == event).count()
    }

    /// The state of the only row of this name that is about this id.
    pub async fn row(&self, name: &str, about: Uuid) -> (String, String) {
        let rows: Vec<(String, String)> =
            sqlx::query_as("select key, state from engine.outbox where name = $1 and body::text like '%' || $2 || '%'")
                .bind(name)
                .bind(about.to_string())
                .fetch_all(self.pool())
                .await
                .expect("rows");
        assert_eq!(rows.len(), 1, "{name} of {about}");
        rows.into_iter().next().expect("a row")
    }

    /// What the only e-mail about an invoice is known by.
    pub async fn message(&self, about: Uuid) -> Uuid {
        let ids: Vec<String> = sqlx::query_scalar(
            "select aggregate_id from log.events
             where event_type = 'EmailRequested' and payload::text like '%' || $1 || '%'",
        )
        .bind(about.to_string())
        .fetch_all(self.pool())
        .await
        .expect("messages");
        assert_eq!(ids.len(), 1, "messages about {about}");
        ids[0].parse().expect("an id")
    }

    pub async fn retry(&self, key: &str) -> bool {
        outbox::retry(self.pool(), key).await.expect("an answer")
    }
}
