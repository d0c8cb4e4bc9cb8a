//! What the handlers work with.

use std::sync::Arc;

use event_store::{BusinessClock, Database, Store};
use projections::position::Watermark;
use sqlx::PgPool;
use tokio::sync::watch;

use crate::{Feed, behind::Behind};

/// Shared by all handlers.
#[derive(Debug, Clone)]
pub struct QueryState {
    /// Connections under the role that row-level security binds.
    pub query_pool: PgPool,
    /// Says which day it is: what is overdue depends on it.
    pub clock: BusinessClock,
    pub watermark: Watermark,
    /// The log itself: what auditors read is opened from it, and each of their readings is written to it.
    pub store: Arc<Store>,
    /// What happened, for those who follow it.
    pub feed: Feed,
    /// Where a replica is read: who knows how far the log really goes.
    pub behind: Option<Behind>,
}

impl QueryState {
    /// Over an opened host; what never ends by itself ends once told.
    pub fn of(host: &host::Host, told: watch::Receiver<bool>) -> Self {
        let database = &host.database;
        let behind = database
            .replicated
            .then(|| Behind::new(database.engine.clone(), host.store.positions().head(), host.readable.head()));
        Self::over(
            database,
            &host.store,
            host.clock.clone(),
            host.readable.head(),
            told,
            &host.settings.public_url(),
            behind,
        )
    }

    /// Over a database whose readable log ends at `head`.
    pub fn over(
        database: &Database,
        store: &Arc<Store>,
        clock: BusinessClock,
        head: watch::Receiver<i64>,
        told: watch::Receiver<bool>,
        public_url: &str,
        behind: Option<Behind>,
    ) -> Self {
        let (query, heads) = (database.query.clone(), database.heads.clone());
        let feed = Feed::start(query.clone(), heads, head, told, public_url);
        let watermark = match &behind {
            Some(behind) => {
                feed.reads_behind(behind.clone());
                Watermark::default()
            }
            None => Watermark::remembering(),
        };
        Self { query_pool: query, clock, watermark, store: store.clone(), feed, behind }
    }
}
