//! The business clock: the machine's, moved by a shared offset in demo and tests.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::PgPool;

/// Due dates, expiries and recorded times follow it; leases, time-outs and signatures follow the machine's clock.
#[derive(Debug, Clone)]
pub struct BusinessClock {
    pool: PgPool,
    offset: Arc<AtomicI64>,
}

impl BusinessClock {
    pub async fn open(pool: PgPool) -> Result<Self, sqlx::Error> {
        let clock = Self::unread(pool);
        clock.refresh().await?;
        Ok(clock)
    }

    /// The machine's own time, until it is refreshed.
    fn unread(pool: PgPool) -> Self {
        Self { pool, offset: Arc::default() }
    }

    /// Now, in whole microseconds, as the database keeps it.
    pub fn now(&self) -> DateTime<Utc> {
        let now = Utc::now() + TimeDelta::seconds(self.offset.load(Ordering::Relaxed));
        now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
    }

    /// What the business clock showed, or would have shown under today's offset, at an instant of the machine's.
    pub fn at(&self, machine: DateTime<Utc>) -> DateTime<Utc> {
        machine + TimeDelta::seconds(self.offset.load(Ordering::Relaxed))
    }

    /// Reads the shared offset; workers call it every second.
    pub async fn refresh(&self) -> Result<(), sqlx::Error> {
        let offset: i64 = sqlx::query_scalar("select offset_seconds from engine.clock").fetch_one(&self.pool).await?;
        self.offset.store(offset, Ordering::Relaxed);
        Ok(())
    }

    /// Moves the clock of every process and returns its new time. Demo and tests only.
    pub async fn advance(&self, by: TimeDelta) -> Result<DateTime<Utc>, sqlx::Error> {
        sqlx::query("update engine.clock set offset_seconds = offset_seconds + $1")
            .bind(by.num_seconds())
            .execute(&self.pool)
            .await?;
        self.refresh().await?;
        Ok(self.now())
    }
}
