//! The hand on the clock: days pass, and everything that is due in them happens before the story goes on.

use std::time::{Duration, Instant};

use chrono::{NaiveDate, TimeDelta};
use command_service::Engine;
use event_store::positions;
use events::TimeZone;
use sandbox::Switchboard;

use crate::failure::Failure;

/// How long the work of one step may take before the story is considered broken.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(60);

/// Moves the clock that service and sandbox share.
pub struct Calendar {
    pub engine: Engine,
    pub switchboard: Switchboard,
    pub zone: TimeZone,
}

impl Calendar {
    /// Goes on to five minutes past an hour of a day at the property, and waits until nothing is left to do.
    pub async fn go_to(&self, day: NaiveDate, hour: u8) -> Result<(), Failure> {
        let clock = self.engine.clock();
        // The clock is moved in whole seconds; one more, so as not to arrive too early.
        let by = self.zone.at_hour(day, hour) + TimeDelta::seconds(301) - clock.now();
        if by > TimeDelta::zero() {
            clock.advance(by).await?;
        }
        self.switchboard.arrive();
        self.quiet().await
    }

    /// The day at the property.
    pub fn today(&self) -> NaiveDate {
        self.zone.day_of(self.engine.clock().now())
    }

    /// The day and the time at the property, for people.
    pub fn told(&self) -> String {
        let now = self.engine.clock().now();
        let day = self.today();
        let since = now - self.zone.at_hour(day, 0);
        format!("{}, {:02}:{:02}", day.format("%a %-d %b %Y"), since.num_hours(), since.num_minutes() % 60)
    }

    /// Waits until nothing that is due now is undone, and every read model shows it.
    pub async fn quiet(&self) -> Result<(), Failure> {
        let started = Instant::now();
        // One look between two steps of the same work would find nothing to do.
        let mut calm = 0;
        while calm < 3 {
            let waits = self.open_work().await?;
            calm = if waits == 0 { calm + 1 } else { 0 };
            if started.elapsed() > PATIENCE {
                return Err(Failure::Told(format!("{waits} pieces of work do not come to an end")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Webhooks on their way, tasks that are due or will be tried again soon, events that somebody has not read.
    async fn open_work(&self) -> Result<i64, Failure> {
        let pool = self.engine.store().pool();
        let underway = self.switchboard.state()["undelivered"].as_i64().unwrap_or_default();
        let head = positions::head(pool).await?;
        let work: i64 = sqlx::query_scalar(
            "select (select count(*) from log.pending)
                + (select count(*) from engine.webhooks where state = 'received')
                + (select count(*) from engine.outbox where state = 'ready' and due_at <= $1
                       and (retry_at = '-infinity' or attempts > 0 and retry_at <= now() + interval '15 seconds'))
                + (select count(*) from engine.checkpoints known where global_position < $2
                       and (subscriber like 'process/%' or exists (
                           select from engine.read_models model where model.state = 'live'
                           and known.subscriber = 'read/' || model.name || '/g' || model.generation)))",
        )
        .bind(self.engine.clock().now())
        .bind(head)
        .fetch_one(pool)
        .await?;
        Ok(underway + work)
    }
}
