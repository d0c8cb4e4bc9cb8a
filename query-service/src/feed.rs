//! The event stream of an organization: slices of the log as public events, and what is shared by those who follow it live.
//!
//! Every reader pulls from the log what it wants next, when it can take it; nothing is queued for anybody. Those who are at the
//! end share a bounded memory of what was told last, so that many of them cost one query.

mod live;
mod stream;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use edge::Problem;
use event_feed::{Fetched, ReadError, Reader};
use events::OrganizationId;
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::{Semaphore, watch};

pub use event_feed::{Aggregate, MOST, Shown, Slice, Wanted};
pub use stream::{Export, Live, Watched, lines};

use crate::behind::Behind;
use live::Tail;

/// How many slices of the past are read at once, whoever wants them.
const SLICES: usize = 4;
/// Exports of one organization at once: each holds some slices in memory.
const EXPORTS: usize = 10;

/// Reads the log for all who follow it in this process.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    reader: Reader,
    /// Tells how far organizations are.
    engine: PgPool,
    slices: Semaphore,
    tails: Mutex<HashMap<OrganizationId, Weak<Tail>>>,
    exports: Mutex<HashMap<OrganizationId, usize>>,
    told: watch::Receiver<bool>,
    /// Where a replica is read.
    behind: OnceLock<Behind>,
}

/// The place of an export, given back when dropped.
#[derive(Debug)]
pub struct Exporting {
    feed: Feed,
    organization: OrganizationId,
}

impl Drop for Exporting {
    fn drop(&mut self) {
        let mut exports = self.feed.0.exports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = exports.entry(self.organization) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Feed(…)")
    }
}

impl Feed {
    /// `head` follows the log over all organizations; `told` ends what has no end. Events name schemas below `public_url`.
    pub fn start(
        query: PgPool,
        engine: PgPool,
        head: watch::Receiver<i64>,
        told: watch::Receiver<bool>,
        public_url: &str,
    ) -> Self {
        let inner = Arc::new(Inner {
            reader: Reader::new(query, public_url),
            engine,
            slices: Semaphore::new(SLICES),
            tails: Mutex::default(),
            exports: Mutex::default(),
            told,
            behind: OnceLock::new(),
        });
        tokio::spawn(live::watch_heads(Arc::downgrade(&inner), head));
        Self(inner)
    }

    /// The last position and the incarnation of an organization's log.
    pub async fn head(&self, wanted: &Wanted) -> Result<(i64, i32), Problem> {
        Ok(self.0.reader.head(wanted).await?)
    }

    /// What follows a position, at most up to another and at most so many events.
    pub async fn slice(&self, wanted: &Wanted, after: i64, until: i64, most: i64) -> Result<Slice, Problem> {
        // Never closed.
        let _permit = self.0.slices.acquire().await.ok();
        self.read(wanted, after, until, most).await
    }

    /// The same, to be told later.
    async fn fetch(&self, wanted: &Wanted, after: i64, until: i64, most: i64) -> Result<Fetched, Problem> {
        let _permit = self.0.slices.acquire().await.ok();
        match self.0.reader.fetch(wanted, after, until, most).await {
            Ok(fetched) => Ok(fetched),
            Err(error) => Err(self.problem(wanted.organization, after, error).await),
        }
    }

    /// The same for what just happened, which does not wait behind readers of the past.
    async fn read(&self, wanted: &Wanted, after: i64, until: i64, most: i64) -> Result<Slice, Problem> {
        match self.0.reader.read(wanted, after, until, most).await {
            Ok(slice) => Ok(slice),
            Err(error) => Err(self.problem(wanted.organization, after, error).await),
        }
    }

    /// What was fetched, a line each.
    fn lines(&self, wanted: &Wanted, fetched: &Fetched) -> Result<Vec<u8>, Problem> {
        self.0.reader.teller().lines(wanted, fetched).map_err(|error| Problem::internal(&error))
    }

    async fn problem(&self, organization: OrganizationId, after: i64, error: ReadError) -> Problem {
        match error {
            ReadError::Beyond { head, incarnation } => {
                self.beyond(organization, after, head, (incarnation, i64::from(incarnation))).await
            }
            ReadError::Database(error) => error.into(),
            error @ ReadError::Unreadable(_) => Problem::internal(&error),
        }
    }

    /// A place for one more export of an organization.
    pub fn exporting(&self, organization: OrganizationId) -> Result<Exporting, Problem> {
        let mut exports = self.0.exports.lock().unwrap_or_else(PoisonError::into_inner);
        let count = exports.entry(organization).or_default();
        if *count >= EXPORTS {
            return Err(Problem::too_many(5));
        }
        *count += 1;
        Ok(Exporting { feed: self.clone(), organization })
    }

    /// What is read is a replica: a position that it does not have may still come.
    pub fn reads_behind(&self, behind: Behind) {
        let _ = self.0.behind.set(behind);
    }

    /// What to say to who comes with a position that is not in the log that is read.
    pub async fn beyond(
        &self,
        organization: OrganizationId,
        position: i64,
        head: i64,
        incarnation: (i32, i64),
    ) -> Problem {
        let (here, asked) = incarnation;
        match (self.0.behind.get(), i32::try_from(asked)) {
            (Some(behind), Ok(asked)) => behind.beyond(organization, position, head, asked).await,
            _ => gone(head, here),
        }
    }

    fn tails(&self) -> std::sync::MutexGuard<'_, HashMap<OrganizationId, Weak<Tail>>> {
        self.0.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cursor that this history does not know.
pub fn gone(head: i64, incarnation: i32) -> Problem {
    let detail = "this position is not in the log: it was restored from a backup; take a snapshot and go on from there";
    Problem::gone("position-gone", detail).with("head", json!(head)).with("incarnation", json!(incarnation))
}
