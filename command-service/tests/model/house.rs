//! A world: a database of its own, the real engine, reactor and worker, and the sandbox over HTTP, driven step by step.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use command_service::{
    Answer, Ask, Engine, Fault, Pace, Providers, Registry, effects::Effects, intake, reactor, reactor::Reactor,
    worker::Worker,
};
use edge::Credentials;
use embedded_postgres::Connection;
use event_store::{
    BusinessClock, Database, Keyring, MasterKey, Store, lease::Lease, positions::Positions, sequencer::Sequencer,
};
use integrations::{ResendMail, ResendSettings, Secret, StripeGateway, StripeSettings, resend, stripe};
use poem::{Endpoint, Request, Response, Server, listener::TcpAcceptor};
use sandbox::{Provider, Sandbox, SandboxConfig, Switchboard, WebhookTarget};
use serde_json::Value;
use sqlx::{Executor, PgPool};
use tokio::{
    net::TcpListener,
    sync::{Notify, OnceCell},
    task::JoinHandle,
};
use uuid::Uuid;

use crate::server::{connect, server};

const STRIPE_SECRET: &str = "whsec_model";
const RESEND_SECRET: &str = "whsec_bW9kZWw=";
const TIMEOUT: Duration = Duration::from_secs(20);
/// After so many rounds of repeating what failed, it is not going to succeed.
const ROUNDS: usize = 40;

/// A webhook as it arrived, not yet taken in.
#[derive(Debug, Clone)]
pub struct Notice {
    stripe: bool,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Notice {
    pub fn kind(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["type"].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Receives webhooks and keeps them until the sequence delivers, repeats, reorders or drops them.
#[derive(Debug, Clone, Default)]
pub struct Inbox(Arc<Mutex<VecDeque<Notice>>>);

impl Inbox {
    pub fn take(&self) -> Vec<Notice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    pub fn put_back(&self, notices: Vec<Notice>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(notices);
    }
}

impl Endpoint for Inbox {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (parts, body) = request.into_parts();
        let body = body.into_vec().await?;
        let text = |value: &poem::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let notice = Notice { stripe: parts.uri.path() == "/stripe", headers, body };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(notice);
        Ok(Response::builder().finish())
    }
}

pub struct House {
    name: String,
    database: Database,
    /// One for all: each has connections of its own.
    sequencer: Sequencer,
    pub effects: Effects,
    pub board: Switchboard,
    pub inbox: Inbox,
    sandbox: Sandbox,
    stripe_api: String,
    browser: reqwest::Client,
    receiver: JoinHandle<std::io::Result<()>>,
}

/// Copies of one template are made one after the other.
static COPYING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The superuser's way to a database from which the others are copied.
async fn template() -> &'static Connection {
    static TEMPLATE: OnceCell<Connection> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(async || {
            let admin = server().await.database().await;
            let database = Database::connect(&admin.url()).await.expect("a database");
            database.close().await;
            admin
        })
        .await
}

async fn administer(statement: &str) {
    let admin = Connection { database: "postgres".to_owned(), ..template().await.clone() };
    connect(&admin).await.execute(statement).await.expect("a statement of the superuser");
}

impl House {
    pub async fn new() -> Self {
        let template = template().await;
        let name = format!("model_{}", Uuid::now_v7().simple());
        {
            let _copying = COPYING.lock().await;
            administer(&format!("create database {name} template {}", template.database)).await;
        }
        // Crashes here are the worker's, never the machine's.
        administer(&format!("alter database {name} set synchronous_commit = off")).await;
        let admin = Connection { database: name.clone(), ..template.clone() };
        let database = Database::connect(&admin.url()).await.expect("a database");
        let master = MasterKey::parse(&STANDARD.encode([7; 32])).expect("a key");
        let keyring = Keyring::open(database.engine.clone(), master).await.expect("a keyring");
        let positions = Positions::default();
        let store = Arc::new(Store::new(database.engine.clone(), keyring, positions.clone()));
        reactor::register(&store).await.expect("checkpoints");
        let clock = BusinessClock::open(database.engine.clone()).await.expect("a clock");

        let sequencer = Sequencer::new(database.engine.clone(), positions);
        let inbox = Inbox::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let acceptor = TcpAcceptor::from_tokio(listener).expect("an acceptor");
        let receiver = tokio::spawn(Server::new_with_acceptor(acceptor).run(inbox.clone()));
        let told = clock.clone();
        let target = |provider: &str, secret: &str| {
            Some(WebhookTarget { url: format!("http://{address}/{provider}"), secret: secret.to_owned() })
        };
        let sandbox = Sandbox::start(SandboxConfig {
            stripe_webhooks: target("stripe", STRIPE_SECRET),
            resend_webhooks: target("resend", RESEND_SECRET),
            clock: sandbox::BusinessClock::new(move || told.now()),
            ..SandboxConfig::default()
        })
        .await
        .expect("a sandbox");
        let stripe_api = format!("{}/stripe", sandbox.url());
        let gateway = StripeGateway::try_new(&StripeSettings {
            api_base: stripe_api.clone(),
            secret_key: Secret::from("sk_test_model"),
            connect_timeout: TIMEOUT,
            timeout: TIMEOUT,
        });
        let mail = ResendMail::try_new(&ResendSettings {
            api_base: format!("{}/resend", sandbox.url()),
            api_key: Secret::from("re_model"),
            connect_timeout: TIMEOUT,
            timeout: TIMEOUT,
        });
        let credentials = Credentials::new(store.keyring());
        let effects = Effects {
            engine: Engine::new(store, clock),
            registry: Arc::new(Registry::default()),
            providers: Providers {
                stripe: Arc::new(gateway.expect("a gateway")),
                mail: Arc::new(mail.expect("mail")),
                texts: None,
                webhooks: webhooks(),
                stripe_webhook_secrets: vec![Secret::from(STRIPE_SECRET)],
                resend_webhook_secrets: vec![Secret::from(RESEND_SECRET)],
                twilio_webhook_tokens: Vec::new(),
                public_url: "https://propty.example.org".to_owned(),
                mail_from: "hello@propty.example.org".to_owned(),
            },
            credentials,
            pace: Arc::new(Pace::new(1_000_000)),
            text_pace: Arc::new(Pace::new(1_000_000)),
            erasures: None,
        };
        let board = sandbox.switchboard();
        let browser = reqwest::Client::builder().no_proxy().build().expect("a browser");
        Self { name, database, sequencer, effects, board, inbox, sandbox, stripe_api, browser, receiver }
    }

    pub async fn demolish(self) {
        self.receiver.abort();
        self.sandbox.stop().await;
        self.database.close().await;
        administer(&format!("drop database {} with (force)", self.name)).await;
    }

    pub const fn pool(&self) -> &PgPool {
        &self.database.engine
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.effects.engine.clock().now()
    }

    pub async fn sql(&self, text: &str) {
        self.pool().execute(text).await.expect("statements");
    }

    pub async fn execute(&self, ask: Ask, name: &str, body: Value) -> Result<Answer, Fault> {
        self.effects.registry.execute(&self.effects.engine, name, body, ask).await
    }

    /// A command's example, with some fields replaced.
    pub fn body(&self, name: &str, mut fields: Value) -> Value {
        let mut body = self.effects.registry.get(name).expect("a command").example.clone();
        for (field, value) in fields.as_object_mut().into_iter().flatten() {
            body[field.as_str()] = value.take();
        }
        body
    }

    /// What a resident does in Stripe's form; how it ends is seen elsewhere.
    pub async fn in_form(&self, account: &str, path: &str, form: &str) {
        let request = self
            .browser
            .post(format!("{}/v1/{path}", self.stripe_api))
            .header("authorization", "Bearer sk_test_form")
            .header("stripe-account", account)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        // A fault may be scripted: then the resident sees an error, as in life.
        let _ = request.send().await;
    }

    pub fn worker(&self) -> Worker {
        Worker::new(self.effects.clone(), Arc::new(Notify::new()))
    }

    pub fn reactor(&self) -> Reactor {
        Reactor::new(self.effects.engine.store().clone(), Arc::new(Notify::new()))
    }

    /// Orders everything that was appended.
    pub async fn sequence(&self) {
        let lease = Lease::acquire(self.pool(), "sequencer", Uuid::now_v7()).await.expect("an answer");
        let lease = lease.expect("a free lease");
        while self.sequencer.step(&lease).await.expect("a step").expect("a held lease") > 0 {}
        lease.release(self.pool()).await.expect("a release");
    }

    /// As if whoever held a row had died and every pause had passed.
    pub async fn hurry(&self) {
        self.sql(
            "update engine.outbox set retry_at = '-infinity', lease_until = '-infinity',
                 -- long enough that what Stripe does not show was not made
                 first_called_at = first_called_at - case when last_error like 'stripe does not show the charge;%'
                     then interval '16 minutes' else interval '0' end
             where state = 'ready';
             update engine.webhooks set retry_at = '-infinity' where state = 'received'",
        )
        .await;
    }

    /// Lets business time pass. What the machine's clock measures at providers passes with it.
    pub async fn advance(&self, by: TimeDelta) {
        self.effects.engine.clock().advance(by).await.expect("a later time");
        sqlx::query(
            "update engine.outbox set first_called_at = first_called_at - $1 where first_called_at is not null",
        )
        .bind(by)
        .execute(self.pool())
        .await
        .expect("older calls");
        self.board.arrive();
    }

    pub async fn arrived(&self) {
        self.board.flush(Duration::from_secs(5)).await;
    }

    /// Verifies and stores a webhook, as our endpoint does.
    pub async fn deliver(&self, notice: &Notice) {
        let providers = &self.effects.providers;
        let body: Value = serde_json::from_slice(&notice.body).unwrap_or_default();
        let (provider, id) = if notice.stripe {
            let signature = notice.header("stripe-signature");
            stripe::webhook::verify(&notice.body, signature, &providers.stripe_webhook_secrets, Utc::now())
                .expect("a genuine signature");
            ("stripe", body["id"].as_str().unwrap_or_default().to_owned())
        } else {
            let headers = resend::webhook::SvixHeaders {
                id: notice.header("svix-id"),
                timestamp: notice.header("svix-timestamp"),
                signature: notice.header("svix-signature"),
            };
            resend::webhook::verify(&notice.body, &headers, &providers.resend_webhook_secrets, Utc::now())
                .expect("a genuine signature");
            ("resend", headers.id.unwrap_or_default().to_owned())
        };
        intake::store(&self.effects, provider, &id, &notice.body).await.expect("a stored webhook");
    }

    /// Everything that follows and is due, all webhooks delivered, every failure repeated: until nothing is news any more.
    pub async fn settle(&self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            let before = event_store::positions::head(self.pool()).await.map_err(|error| error.to_string())?;
            self.arrived().await;
            for notice in self.inbox.take() {
                self.deliver(&notice).await;
            }
            self.hurry().await;
            self.react().await?;
            loop {
                let done = self.worker().drain().await.map_err(|error| error.to_string())?;
                let read = self.react().await?;
                if done == 0 && !read {
                    break;
                }
            }
            self.arrived().await;
            let waiting = self.inbox.take();
            let quiet = waiting.is_empty() && !self.news(before).await && self.unfinished().await.is_empty();
            self.inbox.put_back(waiting);
            if quiet {
                return Ok(());
            }
        }
        Err(format!("it does not come to rest: {:#?}", self.unfinished().await))
    }

    /// Orders what was appended and lets the processes react; whether there was anything.
    async fn react(&self) -> Result<bool, String> {
        let news: bool = sqlx::query_scalar(
            "select exists (select from log.pending)
                 or exists (select from engine.checkpoints cross join log.head
                            where checkpoints.global_position < head.global_position and subscriber like 'process/%')",
        )
        .fetch_one(self.pool())
        .await
        .map_err(|error| error.to_string())?;
        if news {
            self.sequence().await;
            self.reactor().catch_up().await.map_err(|error| error.to_string())?;
        }
        Ok(news)
    }

    /// Whether anything happened that something else may have waited for.
    async fn news(&self, after: i64) -> bool {
        sqlx::query_scalar(
            "select exists (select from log.entries where global_position > $1
                 and aggregate_type <> 'email' and event_type <> 'AccountReconciled')",
        )
        .bind(after)
        .fetch_one(self.pool())
        .await
        .expect("an answer")
    }

    /// What failed and is to be tried again.
    async fn unfinished(&self) -> Vec<(String, String)> {
        sqlx::query_as(
            "select name || ' ' || body::text, coalesce(last_error, '') from engine.outbox
             where state = 'ready' and due_at <= $1 and attempts > 0
             union all
             select provider || ' webhook', coalesce(note, '') from engine.webhooks where state = 'received'",
        )
        .bind(self.now())
        .fetch_all(self.pool())
        .await
        .expect("rows")
    }

    /// Drops a future when it has waited for the nth time, or after some calls: a killed process.
    pub async fn dies_at<F: Future>(future: F, nth: usize) -> bool {
        let mut future = pin!(future);
        let mut waits = 0;
        std::future::poll_fn(move |context: &mut Context<'_>| match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending => {
                waits += 1;
                if waits < nth { Poll::Pending } else { Poll::Ready(false) }
            }
        })
        .await
    }

    pub fn script(&self, fault: sandbox::Fault) {
        self.board.script(fault);
    }

    /// The sandbox's objects of a kind of one account.
    pub fn objects(&self, kind: &str, account: &str) -> Vec<Value> {
        let all = self.board.objects(kind).unwrap_or_default();
        all.into_iter().filter(|row| row["account"] == account).map(|mut row| row["object"].take()).collect()
    }

    pub fn emails(&self) -> Vec<Value> {
        self.board.objects("emails").unwrap_or_default()
    }
}

/// A provider's fault that strikes the next so many requests.
pub fn fault(provider: Provider, matching: &str, kind: sandbox::FaultKind, times: u32) -> sandbox::Fault {
    sandbox::Fault { times: Some(times), ..sandbox::Fault::once(provider, matching, kind) }
}

/// Sends to nobody in these stories.
fn webhooks() -> integrations::WebhookSender {
    let _ = rustls::crypto::ring::default_provider().install_default();
    integrations::WebhookSender::try_new(integrations::outbound::Targets::Public).expect("a client")
}
