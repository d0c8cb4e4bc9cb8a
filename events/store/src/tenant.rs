//! The transaction in which a caller's queries run: one organization, one moment, read only.

use events::OrganizationId;
use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction that sees this organization alone. All its queries see the same moment.
pub async fn begin(pool: &PgPool, organization: OrganizationId) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    // Both in one round trip; an id needs no quoting.
    let begin = format!(
        "begin isolation level repeatable read, read only; set local propty.organization = '{}'",
        organization.0
    );
    crate::transaction::begin_with(pool, begin).await
}
