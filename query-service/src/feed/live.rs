//! What just happened in an organization, remembered within bounds for all who follow it at the end.

use std::{
    collections::VecDeque,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use edge::Problem;
use events::OrganizationId;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{Feed, Inner, MOST, Shown, Wanted};

/// Bytes of events that are remembered for an organization.
const BYTES: usize = 4 << 20;
/// Readers of one organization who may follow at once.
const READERS: usize = 2000;
/// How soon the log is looked at again: what happens meanwhile is told together.
const GATHER: Duration = Duration::from_millis(10);
/// When what was announced is not there yet.
const BEHIND: Duration = Duration::from_millis(100);
/// When nothing has wakened it.
const LOOK: Duration = Duration::from_secs(1);

/// The end of one organization's log.
#[derive(Debug)]
pub struct Tail {
    organization: OrganizationId,
    ring: RwLock<Ring>,
    /// How far the ring is.
    reached: watch::Sender<i64>,
    /// How far the log is.
    head: watch::Sender<i64>,
    readers: AtomicUsize,
}

/// Everything public after one position up to another.
#[derive(Debug)]
struct Ring {
    from: i64,
    until: i64,
    bytes: usize,
    shown: VecDeque<Arc<Shown>>,
}

/// A place at the tail, given back when dropped.
#[derive(Debug)]
pub struct Seat {
    tail: Arc<Tail>,
    pub reached: watch::Receiver<i64>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.tail.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seat {
    /// What is wanted after a position, at most `most` events, and how far that reaches; `None` when it is no longer remembered.
    pub fn after(&self, wanted: &Wanted, position: i64, most: usize) -> Option<(Vec<Arc<Shown>>, i64)> {
        let ring = self.tail.ring.read().unwrap_or_else(PoisonError::into_inner);
        if position < ring.from {
            return None;
        }
        let first = ring.shown.partition_point(|shown| shown.position <= position);
        let mut found = Vec::new();
        for shown in ring.shown.range(first..) {
            if wanted.takes(shown) {
                found.push(shown.clone());
                if found.len() == most {
                    return Some((found, shown.position));
                }
            }
        }
        Some((found, ring.until.max(position)))
    }
}

impl Feed {
    /// A place among those who follow an organization.
    pub async fn seat(&self, organization: OrganizationId) -> Result<Seat, Problem> {
        let seat = |tail: Arc<Tail>| {
            if tail.readers.fetch_add(1, Ordering::Relaxed) >= READERS {
                tail.readers.fetch_sub(1, Ordering::Relaxed);
                return Err(Problem::too_many(10));
            }
            Ok(Seat { reached: tail.reached.subscribe(), tail })
        };
        let known = || self.tails().get(&organization).and_then(Weak::upgrade);
        if let Some(tail) = known() {
            return seat(tail);
        }
        let (head, _) = self.head(&Wanted::all(organization)).await?;
        let mut tails = self.tails();
        // Somebody else may have been faster.
        if let Some(tail) = tails.get(&organization).and_then(Weak::upgrade) {
            return seat(tail);
        }
        let ring = Ring { from: head, until: head, bytes: 0, shown: VecDeque::new() };
        let tail = Arc::new(Tail {
            organization,
            ring: RwLock::new(ring),
            reached: watch::channel(head).0,
            head: watch::channel(head).0,
            readers: AtomicUsize::new(0),
        });
        tails.insert(organization, Arc::downgrade(&tail));
        tokio::spawn(follow(Arc::downgrade(&self.0), Arc::downgrade(&tail), tail.head.subscribe()));
        seat(tail)
    }
}

/// Tells the tails how far their organizations are, until the feed is gone.
pub async fn watch_heads(feed: Weak<Inner>, mut head: watch::Receiver<i64>) {
    loop {
        // Whatever wakes it, or nothing: the heads are read again.
        if matches!(timeout(LOOK, head.changed()).await, Ok(Err(_))) {
            // Nobody follows the log any more; it can still be looked at.
            sleep(LOOK).await;
        }
        let Some(inner) = feed.upgrade() else { return };
        if *inner.told.borrow() || inner.engine.is_closed() {
            return;
        }
        let tails: Vec<Arc<Tail>> = {
            let mut tails = inner.tails.lock().unwrap_or_else(PoisonError::into_inner);
            tails.retain(|_, tail| tail.strong_count() > 0);
            tails.values().filter_map(Weak::upgrade).collect()
        };
        if !tails.is_empty() {
            match heads(&inner, &tails).await {
                Ok(found) => {
                    for (organization, position) in found {
                        if let Some(tail) = tails.iter().find(|tail| tail.organization.0 == organization) {
                            tail.head.send_if_modified(|known| std::mem::replace(known, position) != position);
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "the heads of the log cannot be read; they are asked for again"),
            }
        }
        drop((tails, inner));
        sleep(GATHER).await;
    }
}

async fn heads(inner: &Inner, tails: &[Arc<Tail>]) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    let organizations: Vec<Uuid> = tails.iter().map(|tail| tail.organization.0).collect();
    sqlx::query_as("select organization_id, position from log.heads where organization_id = any($1)")
        .bind(organizations)
        .fetch_all(&inner.engine)
        .await
}

/// Reads what happens in one organization, once for all, until nobody is left who follows it.
async fn follow(feed: Weak<Inner>, tail: Weak<Tail>, mut head: watch::Receiver<i64>) {
    // The channel is the tail's: it closes with the last reader.
    while head.changed().await.is_ok() {
        loop {
            let (Some(inner), Some(tail)) = (feed.upgrade(), tail.upgrade()) else { return };
            let feed = Feed(inner);
            let until = tail.ring.read().unwrap_or_else(PoisonError::into_inner).until;
            match feed.read(&Wanted::all(tail.organization), until, i64::MAX, MOST).await {
                Ok(slice) if slice.complete > until => {
                    tail.grow(slice.shown, slice.complete);
                    if slice.complete == slice.head && slice.complete >= *tail.head.borrow() {
                        break;
                    }
                }
                // Another replica told of the head than answers now: this one has yet to get there.
                Ok(slice) if *tail.head.borrow() > slice.complete => {
                    drop((tail, feed));
                    sleep(BEHIND).await;
                }
                Ok(_) => break,
                Err(problem) if problem.status() == 410 => {
                    // A restore took away what was told: each reader is to learn that by itself.
                    feed.tails().remove(&tail.organization);
                    tail.ring.write().unwrap_or_else(PoisonError::into_inner).from = i64::MAX;
                    return;
                }
                Err(problem) => {
                    tracing::warn!(%problem, "what happened cannot be read; it is tried again");
                    drop((tail, feed));
                    sleep(LOOK).await;
                }
            }
        }
    }
}

impl Tail {
    fn grow(&self, shown: Vec<Arc<Shown>>, until: i64) {
        {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            for one in shown {
                ring.bytes += one.line.len();
                ring.shown.push_back(one);
            }
            ring.until = until;
            while ring.bytes > BYTES {
                let Some(oldest) = ring.shown.pop_front() else { break };
                ring.bytes -= oldest.line.len();
                ring.from = oldest.position;
            }
        }
        self.reached.send_replace(until);
    }
}
