//! The event stream of an organization: slices of the log as public events, and what is shared by those who follow it live.
//!
//! Every reader pulls from the log what it wants next, when it can take it; nothing is queued for anybody. Those who are at the
//! end share a bounded memory of what was told last, so that many of them cost one query.

mod live;
mod shown;
mod slice;
mod stream;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use edge::Problem;
use events::OrganizationId;
use public_events::{Selection, Writer};
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

pub use shown::Shown;
pub use slice::{MOST, Slice};
pub use stream::{Export, Live, Watched, lines};

use crate::behind::Behind;
use live::Tail;
use shown::Openings;

/// How many slices of the past are read at once, whoever wants them.
const SLICES: usize = 4;
/// Exports of one organization at once: each holds two slices in memory.
const EXPORTS: usize = 20;

/// Reads the log for all who follow it in this process.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    /// Row-level security binds it.
    query: PgPool,
    /// Tells how far organizations are.
    engine: PgPool,
    writer: Writer,
    openings: Mutex<Openings>,
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

/// What one reader wants to see, and may.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub organization: OrganizationId,
    pub types: Selection,
    pub aggregate: Option<Aggregate>,
    /// Only events that reach all of these properties: the reader's own, and the one that was asked for.
    pub properties: Vec<Uuid>,
}

/// A kind of aggregate, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregate {
    pub stream: &'static str,
    pub id: Option<Uuid>,
}

impl Aggregate {
    /// Reads `invoice`, or `invoice/…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (stream, id) = text.split_once('/').map_or((text, None), |(stream, id)| (stream, Some(id)));
        let stream = shown::stream(stream)?;
        Some(Self { stream, id: id.map(str::parse).transpose().ok()? })
    }
}

impl Wanted {
    /// Everything that an organization tells.
    pub fn all(organization: OrganizationId) -> Self {
        Self { organization, types: Selection::default(), aggregate: None, properties: Vec::new() }
    }

    fn takes(&self, shown: &Shown) -> bool {
        self.types.takes(shown.declared)
            && self
                .aggregate
                .is_none_or(|one| one.stream == shown.stream && one.id.is_none_or(|id| id == shown.stream_id))
            && self.properties.iter().all(|property| shown.reaches(*property))
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
            query,
            engine,
            writer: Writer::new(public_url),
            openings: Mutex::default(),
            slices: Semaphore::new(SLICES),
            tails: Mutex::default(),
            exports: Mutex::default(),
            told,
            behind: OnceLock::new(),
        });
        tokio::spawn(live::watch_heads(Arc::downgrade(&inner), head));
        Self(inner)
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
