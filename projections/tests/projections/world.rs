//! A log with its projector, in a database of its own.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use event_store::{
    CommandContext, Database, Keyring, MasterKey, Store, Subscription,
    append::{NewEvent, append},
    lease::Lease,
    positions::{self, Positions},
    sequencer::Sequencer,
};
use events::{Event, Metadata, OrganizationId, Role};
use projections::{Model, Projector, generation, models, tenant};
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::server::server;

pub struct World {
    pub database: Database,
    pub store: Arc<Store>,
    pub projector: Projector,
    versions: HashMap<Uuid, i64>,
}

impl World {
    pub async fn new() -> Self {
        let connection = server().await.database().await;
        let database = Database::connect(&connection.url()).await.expect("a database");
        let master = MasterKey::parse(&format!("{}AQE=", "AQEB".repeat(10))).expect("a key");
        let keyring = Keyring::open(database.engine.clone(), master).await.expect("a keyring");
        let store = Arc::new(Store::new(database.engine.clone(), keyring, Positions::default()));
        let projector = Projector::new(store.clone());
        projector.prepare().await.expect("live generations");
        Self { database, store, projector, versions: HashMap::new() }
    }

    pub const fn pool(&self) -> &PgPool {
        &self.database.engine
    }

    /// Appends an event to a stream.
    pub async fn add<E: Event>(&mut self, organization: OrganizationId, id: Uuid, at: DateTime<Utc>, event: E) {
        let mut payload = serde_json::to_value(&event).expect("an event as JSON");
        self.store.keyring().seal(organization, &mut payload).await.expect("a sealed event");
        self.add_raw(organization, E::STREAM, id, at, event.name(), payload).await;
    }

    /// Appends whatever is given, even what no code can read.
    pub async fn add_raw(
        &mut self,
        organization: OrganizationId,
        stream: &'static str,
        id: Uuid,
        at: DateTime<Utc>,
        event_type: &'static str,
        payload: Value,
    ) {
        let version = self.versions.entry(id).or_default();
        *version += 1;
        let event = NewEvent { stream, stream_id: id, version: *version, event_type, event_version: 1, payload };
        let metadata = Metadata {
            organization,
            actor: "token:writer".into(),
            role: Role::PropertyManager,
            correlation: Uuid::now_v7(),
            causation: None,
            command: "Tell".into(),
            command_id: Uuid::now_v7(),
            client_address: None,
        };
        let context = CommandContext { metadata, recorded_at: at, idempotency: None };
        append(self.pool(), &context, None, &[event], &Value::Null).await.expect("an appended event");
    }

    /// Gives everything appended its position.
    pub async fn order(&self) {
        let lease = Lease::acquire(self.pool(), "sequencer", Uuid::now_v7()).await.expect("an answer");
        let lease = lease.expect("a free lease");
        let sequencer = Sequencer::new(self.pool().clone(), self.store.positions().clone());
        while sequencer.step(&lease).await.expect("a step").expect("a held lease") > 0 {}
        lease.release(self.pool()).await.expect("a release");
    }

    /// Orders and folds everything appended.
    pub async fn drain(&self) {
        self.order().await;
        let head = positions::head(self.pool()).await.expect("a head");
        let subscription = Subscription::new("read", self.store.clone());
        while self.projector.step(&subscription).await.expect("a step") < head {}
    }

    pub async fn tenant(&self, organization: OrganizationId) -> Transaction<'static, Postgres> {
        tenant::begin(&self.database.query, organization).await.expect("a transaction")
    }

    /// The live row of a model.
    pub async fn row(&self, model: &str, key: Uuid) -> Option<Value> {
        let model = find(model);
        let column = model.columns()[0].0;
        sqlx::query_scalar(&format!("select row_to_json(row) from read.{} row where {column} = $1", model.name()))
            .bind(key)
            .fetch_optional(self.pool())
            .await
            .expect("a row")
    }

    /// Every live row of every model, as text.
    pub async fn dumps(&self) -> Vec<(&'static str, String)> {
        let mut dumps = Vec::new();
        for model in models() {
            let (live, _) =
                generation::live(self.pool(), model.name()).await.expect("an answer").expect("a generation");
            let rows = generation::dump(self.pool(), model.as_ref(), &live).await.expect("rows");
            dumps.push((model.name(), serde_json::to_string_pretty(&rows).expect("text")));
        }
        dumps
    }

    pub async fn stalled(&self) -> Vec<(String, String)> {
        sqlx::query_as("select read_model, key from engine.stalled order by read_model, key")
            .fetch_all(self.pool())
            .await
            .expect("stalled keys")
    }
}

pub fn find(name: &str) -> Model {
    models().into_iter().find(|model| model.name() == name).expect("a model")
}

pub fn organization() -> OrganizationId {
    OrganizationId(Uuid::now_v7())
}

/// An instant in RFC 3339.
pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}
