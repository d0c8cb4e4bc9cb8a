//! Beginning a transaction so that whoever stops waiting for it leaves none open.

use std::borrow::Cow;

use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_with(pool, "begin").await
}

/// Begins a transaction with a statement of one's own.
///
/// sqlx 0.8 forgets a `begin` whose future was dropped before the answer came. The next user of the connection would write into
/// that open transaction, be told of success, and lose everything. So the answer is awaited in a task that nobody drops; a
/// transaction that nobody takes is rolled back. That costs no round trip, as ending whatever is open before each reuse would.
#[expect(clippy::disallowed_methods, reason = "this is what the others are to use")]
pub async fn begin_with(
    pool: &PgPool,
    statement: impl Into<Cow<'static, str>>,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let (pool, statement) = (pool.clone(), statement.into());
    let beginning = tokio::spawn(async move { pool.begin_with(statement).await });
    // It panics never and is never aborted: what is left is a runtime that ends.
    beginning.await.unwrap_or(Err(sqlx::Error::PoolClosed))
}
