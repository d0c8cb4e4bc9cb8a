//! A database of its own, filled through the log, and the API over it.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use edge::{Authenticator, Credentials, credentials};
use embedded_postgres::Connection;
use event_store::{
    BusinessClock, Checkpointer, CommandContext, Database, Keyring, MasterKey, Store, Subscription,
    append::{NewEvent, append},
    lease::Lease,
    positions::Positions,
    sequencer::Sequencer,
};
use events::{Event, Metadata, OrganizationId, Role, SignInId};
use futures_util::StreamExt;
use poem::{Endpoint, Request, Response};
use projections::Projector;
use query_service::{Behind, QueryState, routes};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::server::server;

pub struct World {
    admin: Connection,
    pub database: Database,
    store: Arc<Store>,
    positions: Positions,
    credentials: Credentials,
    clock: BusinessClock,
    app: Box<dyn poem::endpoint::DynEndpoint<Output = Response>>,
    /// Ends what has no end.
    pub stop: watch::Sender<bool>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: poem::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The values of one field of a list's items.
    pub fn items(&self, field: &str) -> Vec<String> {
        let body = self.json();
        let items = body["items"].as_array().unwrap_or_else(|| panic!("no items: {}", self.text)).clone();
        items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// An answer that is read as it comes.
pub struct Reader {
    pub status: u16,
    pub body: futures_util::stream::BoxStream<'static, std::io::Result<Vec<u8>>>,
    pub text: String,
}

impl World {
    pub async fn new() -> Self {
        let connection = server().await.database().await;
        let database = Database::connect(&connection.url()).await.expect("a database");
        Self::over(connection, database, None).await
    }

    /// Over a database whose queries read a replica.
    pub async fn behind(connection: embedded_postgres::Connection, database: Database) -> Self {
        Self::over(connection, database, Some(Positions::default())).await
    }

    async fn over(connection: embedded_postgres::Connection, database: Database, replica: Option<Positions>) -> Self {
        let positions = Positions::default();
        let master = MasterKey::parse(&STANDARD.encode([7; 32])).expect("a key");
        let keyring = Keyring::open(database.engine.clone(), master).await.expect("a keyring");
        let credentials = Credentials::new(&keyring);
        let store = Arc::new(Store::new(database.engine.clone(), keyring, positions.clone()));
        Projector::new(store.clone()).prepare().await.expect("read models");
        let clock = BusinessClock::open(database.engine.clone()).await.expect("a clock");
        let (stop, told) = watch::channel(false);
        let state = match &replica {
            None => QueryState::over(
                &database,
                &store,
                clock.clone(),
                positions.head(),
                told,
                "https://propty.example.com",
                None,
            ),
            Some(here) => {
                let behind = Behind::new(database.engine.clone(), positions.head(), here.head());
                let (followed, primary, pool) = (here.clone(), positions.head(), database.heads.clone());
                tokio::spawn(async move { followed.follow_behind(primary, &pool).await });
                QueryState::over(
                    &database,
                    &store,
                    clock.clone(),
                    here.head(),
                    told,
                    "https://propty.example.com",
                    Some(behind),
                )
            }
        };
        let business = clock.clone();
        let authenticator = Authenticator::new(database.engine.clone(), clock, credentials.clone(), None);
        let app = Box::new(poem::endpoint::ToDynEndpoint(routes(state, authenticator)));
        Self { admin: connection, database, store, positions, credentials, clock: business, app, stop }
    }

    pub fn keyring(&self) -> &Keyring {
        self.store.keyring()
    }

    /// Whoever may do everything.
    pub async fn owner(&self) -> sqlx::PgConnection {
        crate::server::connect(&self.admin).await
    }

    /// Appends events, given as JSON, to the end of a stream of `version` events.
    pub async fn append<E: Event>(&self, organization: u128, id: u128, version: i64, events: &[Value]) {
        self.append_at::<E>("2026-01-05T15:04:05.123456Z", organization, id, version, events).await;
    }

    /// The same at another instant.
    pub async fn append_at<E: Event>(&self, at: &str, organization: u128, id: u128, version: i64, events: &[Value]) {
        let organization = OrganizationId(Uuid::from_u128(organization));
        let mut rows = Vec::new();
        for (event, version) in events.iter().zip(version + 1..) {
            let event: E = serde_json::from_value(event.clone()).unwrap_or_else(|error| panic!("{error}: {event}"));
            let mut payload = serde_json::to_value(&event).expect("JSON");
            self.store.keyring().seal(organization, &mut payload).await.expect("a sealed payload");
            rows.push(NewEvent {
                stream: E::STREAM,
                stream_id: Uuid::from_u128(id),
                version,
                event_type: event.name(),
                event_version: event.version(),
                payload,
            });
        }
        let context = CommandContext {
            metadata: Metadata {
                organization,
                actor: "token:writer".into(),
                role: Role::OrganizationManager,
                correlation: Uuid::nil(),
                causation: None,
                command: "Test".into(),
                command_id: Uuid::nil(),
                client_address: None,
            },
            recorded_at: at.parse::<DateTime<Utc>>().expect("a time"),
            idempotency: None,
        };
        append(&self.database.engine, &context, None, &rows, &json!({})).await.expect("events");
    }

    /// The business clock's day, UTC.
    pub fn today(&self) -> chrono::NaiveDate {
        self.clock.now().date_naive()
    }

    /// Gives every event its position.
    pub async fn order(&self) {
        let pool = &self.database.engine;
        let lease = Lease::acquire(pool, "sequencer", Uuid::now_v7()).await.expect("an answer").expect("a free lease");
        let sequencer = Sequencer::new(pool.clone(), self.positions.clone());
        while sequencer.step(&lease).await.expect("a step").expect("a held lease") > 0 {}
        lease.release(pool).await.expect("a release");
    }

    /// Signs a checkpoint of each log.
    pub async fn sign(&self) {
        let pool = &self.database.engine;
        let checkpointer = Checkpointer::new(pool.clone(), self.store.keyring().clone(), None);
        let lease = Lease::acquire(pool, "checkpointer", Uuid::now_v7()).await.expect("an answer").expect("a lease");
        checkpointer.step(&lease).await.expect("a step").expect("a held lease");
        lease.release(pool).await.expect("a release");
    }

    /// Lets the read models catch up.
    pub async fn project(&self) {
        let projector = Projector::new(self.store.clone());
        let subscription = Subscription::new("read", self.store.clone());
        let mut reached = -1;
        loop {
            let now = projector.step(&subscription).await.expect("a page");
            if now == reached {
                return;
            }
            reached = now;
        }
    }

    /// Orders and projects.
    pub async fn settle(&self) {
        self.order().await;
        self.project().await;
    }

    /// Issues a token whose secret is its label.
    pub async fn token(&self, organization: u128, id: u128, secret: &str, role: Role, property: Option<u128>) {
        self.token_with(
            organization,
            id,
            json!({
                "hash": credentials::hash(secret), "label": secret, "role": role.name(),
                "property_id": property.map(Uuid::from_u128), "expires_at": "2099-01-01T00:00:00Z",
            }),
        )
        .await;
    }

    /// An integrator's token that reads some types of events only.
    pub async fn token_for(&self, organization: u128, id: u128, secret: &str, types: &[&str]) {
        self.token_with(
            organization,
            id,
            json!({
                "hash": credentials::hash(secret), "label": secret, "role": Role::Integrator.name(), "types": types,
                "expires_at": "2099-01-01T00:00:00Z",
            }),
        )
        .await;
    }

    async fn token_with(&self, organization: u128, id: u128, issued: Value) {
        let event = json!({ "AccessTokenIssued": issued });
        self.append::<events::AccessTokenEvent>(organization, id, 0, &[event]).await;
    }

    /// The cookie of a session.
    pub fn cookie(&self, sign_in: u128) -> String {
        format!("propty_session={}", self.credentials.session(SignInId(Uuid::from_u128(sign_in))))
    }

    /// `who` is a token's secret, or a cookie.
    pub async fn get(&self, who: &str, uri: &str) -> Answer {
        self.get_with(who, uri, &[]).await
    }

    /// Begins to read what may have no end.
    pub async fn reader(&self, who: &str, uri: &str, headers: &[(&str, &str)]) -> Reader {
        let response = self.answer(who, uri, headers).await;
        let (parts, body) = response.into_parts();
        let body = body.into_bytes_stream().map(|piece| piece.map(|bytes| bytes.to_vec())).boxed();
        Reader { status: parts.status.as_u16(), body, text: String::new() }
    }

    pub async fn get_with(&self, who: &str, uri: &str, headers: &[(&str, &str)]) -> Answer {
        let (parts, body) = self.answer(who, uri, headers).await.into_parts();
        let text = body.into_string().await.expect("a text");
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    async fn answer(&self, who: &str, uri: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::builder().uri(uri.parse().unwrap_or_else(|error| panic!("{error}: {uri}")));
        request = if who.starts_with("propty_session=") {
            request.header("Cookie", who)
        } else {
            request.header("Authorization", format!("Bearer {who}"))
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.app.get_response(request.finish()).await
    }
}
