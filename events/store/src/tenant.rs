//! The transaction in which a caller's queries run: one organization, one moment, read only.

use events::OrganizationId;
use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction that sees this organization alone. All its queries see the same moment.
pub async fn begin(pool: &PgPool, organization: OrganizationId) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    crate::transaction::begin_with(pool, beginning(organization)).await
}

/// The same for queries that are always the same and find rows by an index: their plans are made once, and scan nothing.
pub async fn begin_planned_once(
    pool: &PgPool,
    organization: OrganizationId,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let planning = "set local plan_cache_mode = force_generic_plan; set local enable_seqscan = off; set local enable_bitmapscan = off";
    crate::transaction::begin_with(pool, format!("{}; {planning}", beginning(organization))).await
}

/// All in one round trip; an id needs no quoting.
fn beginning(organization: OrganizationId) -> String {
    format!("begin isolation level repeatable read, read only; set local propty.organization = '{}'", organization.0)
}
