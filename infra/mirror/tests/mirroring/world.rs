//! A log in a database of its own, and mirrors of it.

use std::{future::Future, time::Duration};

use chrono::{DateTime, Utc};
use embedded_postgres::Connection;
use event_store::{
    CommandContext, Database,
    append::{NewEvent, append},
    follower::{Standing, StoredEvent, standings},
    lease::Lease,
    positions::Positions,
    sequencer::Sequencer,
};
use events::{Metadata, OrganizationId, Role};
use kurrent_double::{Double, Event};
use mirror::{Mirror, MirrorError, Target, event_id, stream_name};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::{sync::watch, task::JoinHandle};
use uuid::Uuid;

use crate::server::{connect, server};

/// The longest that anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    admin: Connection,
    pub deployer: Connection,
    pub database: Database,
    pub positions: Positions,
}

impl World {
    pub async fn new() -> Self {
        let (admin, deployer) = server().await.database().await;
        let database = Database::connect(&deployer.url()).await.expect("a database");
        Self { admin, deployer, database, positions: Positions::default() }
    }

    pub async fn superuser(&self) -> PgConnection {
        connect(&self.admin).await
    }

    /// Appends events of one stream, from a version on.
    pub async fn append(&self, organization: Uuid, stream: &'static str, id: Uuid, version: i64, texts: &[&str]) {
        let context = CommandContext {
            metadata: Metadata {
                organization: OrganizationId(organization),
                actor: "token:writer".into(),
                role: Role::PropertyManager,
                correlation: Uuid::from_u128(0xc0),
                causation: Some("invoice/cause/1".into()),
                command: "WriteNote".into(),
                command_id: Uuid::now_v7(),
                client_address: None,
            },
            recorded_at: DateTime::<Utc>::from_timestamp_micros(1_700_000_000_123_456).expect("a time"),
            idempotency: None,
        };
        let new: Vec<NewEvent> = texts
            .iter()
            .zip(version..)
            .map(|(text, version)| NewEvent {
                stream,
                stream_id: id,
                version,
                event_type: "NoteWritten",
                event_version: 1,
                payload: json!({ "NoteWritten": { "text": text, "author": { "$sealed": "AAECAw==" } } }),
            })
            .collect();
        append(&self.database.engine, &context, None, &new, &Value::Null).await.expect("stored events");
        self.order().await;
    }

    /// Gives everything that was appended its position.
    pub async fn order(&self) {
        let holder = Uuid::now_v7();
        let lease = Lease::acquire(&self.database.engine, "sequencer", holder).await.expect("an answer");
        let lease = lease.expect("a free lease");
        let sequencer = Sequencer::new(self.database.engine.clone(), self.positions.clone());
        while sequencer.step(&lease).await.expect("a step").expect("a held lease") > 0 {}
        lease.release(&self.database.engine).await.expect("a release");
    }

    /// The log, as somebody else would read it.
    pub async fn log(&self) -> Vec<StoredEvent> {
        let follower = event_store::follower::Follower::new("reader", self.database.engine.clone());
        follower.page(0, 100_000).await.expect("the log")
    }

    pub fn mirror(&self, name: &str, double: &Double) -> Mirror {
        let target = Target::parse(&double.url()).expect("an address");
        Mirror::new(self.database.engine.clone(), name, target, self.positions.clone())
    }

    pub async fn standing(&self, name: &str) -> Option<Standing> {
        let all = standings(&self.database.engine).await.expect("standings");
        all.into_iter().find(|standing| standing.name == name)
    }

    /// Waits until a mirror has acknowledged the whole log.
    pub async fn caught_up(&self, name: &str) {
        until("the mirror has caught up", async || self.standing(name).await.is_some_and(|standing| standing.lag == 0))
            .await;
    }

    /// The other database holds the log: everything once, each stream at its revisions, each organization in its order.
    pub async fn assert_mirrored(&self, double: &Double) {
        let log = self.log().await;
        let all = double.all();
        assert_eq!(all.len(), log.len(), "as many events as the log has");
        let streams = double.streams();
        for event in &log {
            let name = stream_name(event.organization, &event.stream, &event.stream_id);
            let index = usize::try_from(event.version - 1).expect("a version");
            let found: &Event = &streams[&name][index];
            assert_eq!(found.id, event_id(&event.leaf), "{name} at {index}");
            assert_eq!(found.data, event.payload.as_bytes(), "{name} at {index}");
        }
        let mut organizations: Vec<Uuid> = log.iter().map(|event| event.organization).collect();
        organizations.sort_unstable();
        organizations.dedup();
        for organization in organizations {
            let prefix = mirror::organization_prefix(organization);
            let theirs: Vec<Uuid> =
                all.iter().filter(|(stream, _)| stream.starts_with(&prefix)).map(|(_, event)| event.id).collect();
            let ours: Vec<Uuid> = log
                .iter()
                .filter(|event| event.organization == organization)
                .map(|event| event_id(&event.leaf))
                .collect();
            assert_eq!(theirs, ours, "the order of {organization}");
        }
    }
}

/// A mirror at work in a task.
pub struct Working {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), MirrorError>>,
}

impl Working {
    pub fn start(mirror: Mirror) -> Self {
        let (stop, told) = watch::channel(false);
        Self { stop, task: tokio::spawn(async move { mirror.run(told).await }) }
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let ended = tokio::time::timeout(PATIENCE, self.task).await.expect("it stops when told");
        ended.expect("no panic").expect("an orderly end");
    }

    /// Why it ended although nobody told it to.
    pub async fn end(self) -> MirrorError {
        let ended = tokio::time::timeout(PATIENCE, self.task).await.expect("it ends by itself");
        ended.expect("no panic").expect_err("it must not go on")
    }

    /// As if its process died: nothing more is done, the lease expires by itself.
    pub async fn kill(self, world: &World) {
        self.task.abort();
        let _ = self.task.await;
        sqlx::query("update engine.leases set expires_at = '-infinity'")
            .execute(&world.database.engine)
            .await
            .expect("expired leases");
    }
}

/// Asks again and again until it is so.
pub async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let asked = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, asked).await.is_ok(), "in vain: {what}");
}
