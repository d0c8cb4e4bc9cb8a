//! The transaction in which a caller's queries run: one organization, one moment, read only.

use events::OrganizationId;
use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction that sees this organization alone. All its queries see the same moment.
pub async fn begin(pool: &PgPool, organization: OrganizationId) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut transaction = pool.begin_with("begin isolation level repeatable read, read only").await?;
    sqlx::query("select set_config('propty.organization', $1, true)")
        .bind(organization.0.to_string())
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}
