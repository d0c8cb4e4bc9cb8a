//! What the handlers work with.

use std::sync::Arc;

use event_store::{BusinessClock, Store};
use projections::position::Watermark;
use sqlx::PgPool;

use crate::Feed;

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
}

impl QueryState {
    /// Over an opened host; what never ends by itself ends once told.
    pub fn of(host: &host::Host, told: tokio::sync::watch::Receiver<bool>) -> Self {
        let feed = Feed::start(
            host.database.query.clone(),
            host.database.engine.clone(),
            host.store.positions().head(),
            told,
            &host.settings.public_url(),
        );
        Self {
            query_pool: host.database.query.clone(),
            clock: host.clock.clone(),
            watermark: Watermark::default(),
            store: host.store.clone(),
            feed,
        }
    }
}
