//! Leases in the database, fenced: at most one holder, and a late one cannot write.

use std::{borrow::Cow, time::Duration};

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// How long a silent holder keeps a lease.
pub const TERM: Duration = Duration::from_secs(3);

/// A lease as held by this process.
#[derive(Debug, Clone)]
pub struct Lease {
    name: Cow<'static, str>,
    holder: Uuid,
    fence: i64,
}

impl Lease {
    /// Takes or renews the lease; `None` while another holds it.
    pub async fn acquire(
        pool: &PgPool,
        name: impl Into<Cow<'static, str>>,
        holder: Uuid,
    ) -> Result<Option<Self>, sqlx::Error> {
        let name = name.into();
        let fence: Option<i64> = sqlx::query_scalar(
            "insert into engine.leases as held (name, holder, fence, expires_at)
             values ($1, $2, 1, clock_timestamp() + $3)
             on conflict (name) do update set
                 holder = $2,
                 fence = held.fence + (held.holder <> $2)::int,
                 expires_at = clock_timestamp() + $3
             where held.holder = $2 or held.expires_at < clock_timestamp()
             returning fence",
        )
        .bind(name.as_ref())
        .bind(holder)
        .bind(TERM)
        .fetch_optional(pool)
        .await?;
        Ok(fence.map(|fence| Self { name, holder, fence }))
    }

    /// Name, holder and fence, for a statement that holds the fence while it works.
    pub(crate) fn parts(&self) -> (&str, Uuid, i64) {
        (&self.name, self.holder, self.fence)
    }

    /// Holds the fence for the rest of the transaction; `false` when another took over.
    pub async fn guard(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("select true from engine.leases where name = $1 and holder = $2 and fence = $3 for share")
            .bind(self.name.as_ref())
            .bind(self.holder)
            .bind(self.fence)
            .fetch_optional(connection)
            .await
            .map(|found: Option<bool>| found.is_some())
    }

    /// Gives the lease up, so that a standby need not wait.
    pub async fn release(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        sqlx::query("update engine.leases set expires_at = '-infinity' where name = $1 and holder = $2 and fence = $3")
            .bind(self.name.as_ref())
            .bind(self.holder)
            .bind(self.fence)
            .execute(pool)
            .await
            .map(|_| ())
    }
}
