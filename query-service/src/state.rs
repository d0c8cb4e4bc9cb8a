//! What the handlers work with.

use event_store::BusinessClock;
use sqlx::PgPool;

/// Shared by all handlers.
#[derive(Debug, Clone)]
pub struct QueryState {
    /// Connections under the role that row-level security binds.
    pub query_pool: PgPool,
    /// Says which day it is: what is overdue depends on it.
    pub clock: BusinessClock,
}
