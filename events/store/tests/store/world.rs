//! A process of the program, in a database of its own or beside another process.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use embedded_postgres::Connection;
use event_store::{
    CommandContext, Database, IdempotencyKey, Keyring, MasterKey, Store, lease::Lease, positions::Positions,
    sequencer::Sequencer,
};
use events::{Metadata, OrganizationId, Role};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::server::{connect, server};

pub struct World {
    admin: Connection,
    deployer: Connection,
    pub database: Database,
    pub store: Arc<Store>,
    pub positions: Positions,
}

impl World {
    pub async fn new() -> Self {
        let (admin, deployer) = server().await.database().await;
        Self::start(admin, deployer).await
    }

    async fn start(admin: Connection, deployer: Connection) -> Self {
        let database = Database::connect(&deployer.url()).await.expect("a database");
        let positions = Positions::default();
        let keyring = Keyring::open(database.engine.clone(), master_key(1)).await.expect("a keyring");
        let store = Arc::new(Store::new(database.engine.clone(), keyring, positions.clone()));
        Self { admin, deployer, database, store, positions }
    }

    /// Another process on the same database.
    pub async fn neighbour(&self) -> Self {
        Self::start(self.admin.clone(), self.deployer.clone()).await
    }

    pub const fn pool(&self) -> &PgPool {
        &self.database.engine
    }

    /// A connection that row-level security does not bind.
    pub async fn superuser(&self) -> PgConnection {
        connect(&self.admin).await
    }

    pub fn sequencer(&self) -> Sequencer {
        Sequencer::new(self.pool().clone(), self.positions.clone())
    }

    /// Orders everything that was appended.
    pub async fn drain(&self) {
        let lease = Lease::acquire(self.pool(), "sequencer", Uuid::now_v7()).await.expect("an answer");
        let lease = lease.expect("a free lease");
        let sequencer = self.sequencer();
        while sequencer.step(&lease).await.expect("a step").expect("a held lease") > 0 {}
        lease.release(self.pool()).await.expect("a release");
    }

    /// One number that a superuser's query gives.
    pub async fn count(&self, query: &str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.superuser().await).await.expect("a number")
    }

    /// As if the holder had been silent for the lease's term.
    pub async fn expire_leases(&self) {
        sqlx::query("update engine.leases set expires_at = '-infinity'")
            .execute(self.pool())
            .await
            .expect("expired leases");
    }
}

pub fn master_key_text(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

pub fn master_key(byte: u8) -> MasterKey {
    MasterKey::parse(&master_key_text(byte)).expect("a key")
}

pub fn organization() -> OrganizationId {
    OrganizationId(Uuid::now_v7())
}

pub fn context(organization: OrganizationId) -> CommandContext {
    CommandContext {
        metadata: Metadata {
            organization,
            actor: "token:writer".into(),
            role: Role::PropertyManager,
            correlation: Uuid::now_v7(),
            causation: None,
            command: "WriteNote".into(),
            command_id: Uuid::now_v7(),
            client_address: None,
        },
        recorded_at: DateTime::<Utc>::from_timestamp_micros(1_700_000_000_123_456).expect("a time"),
        idempotency: None,
    }
}

pub fn keyed(organization: OrganizationId, key: &str, body: u8) -> CommandContext {
    let idempotency = Some(IdempotencyKey { key: key.into(), body: [body; 32], permanent: false });
    CommandContext { idempotency, ..context(organization) }
}
