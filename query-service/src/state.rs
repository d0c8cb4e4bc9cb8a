//! What the handlers work with.

use event_store::BusinessClock;
use projections::position::Watermark;
use sqlx::PgPool;

/// Shared by all handlers.
#[derive(Debug, Clone)]
pub struct QueryState {
    /// Connections under the role that row-level security binds.
    pub query_pool: PgPool,
    /// Says which day it is: what is overdue depends on it.
    pub clock: BusinessClock,
    pub watermark: Watermark,
}

impl QueryState {
    pub fn new(query_pool: PgPool, clock: BusinessClock) -> Self {
        Self { query_pool, clock, watermark: Watermark::default() }
    }
}
