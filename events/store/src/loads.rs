//! Loading together: streams that are asked for while others are being read come with the next statement.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use sqlx::{PgPool, Row};
use tokio::sync::{Notify, oneshot};

/// While one batch is being read, another is put together.
const READERS: u32 = 2;
const STREAMS: usize = 50;
/// Up to so many at once are each read on their own: too few to share anything.
const ALONE: usize = 2;

/// An event as it is stored, without what a decision does not look at.
#[derive(Debug, Clone)]
pub(crate) struct StoredEvent {
    pub sequence: i64,
    pub event_type: String,
    pub event_version: String,
    /// JSON, sealed.
    pub payload: String,
}

/// The queue of streams to read. Dropping it ends the readers.
#[derive(Debug)]
pub(crate) struct Loads {
    shared: Arc<Shared>,
    loading: AtomicUsize,
}

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    work: Notify,
    queue: Mutex<Queue>,
}

/// A stream by its type and its key.
type Name = (&'static str, String);

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<(Name, oneshot::Sender<Vec<StoredEvent>>)>,
    readers: u32,
    closed: bool,
}

/// Somebody is loading.
pub(crate) struct Loading<'a> {
    loads: &'a Loads,
    in_company: bool,
}

impl Loading<'_> {
    /// Everything that was committed in the stream when this was called. `None`: whoever has no company reads alone, and so does
    /// whoever could not be read in company, so that each has its own error.
    pub async fn together(&self, stream: &'static str, key: &str) -> Option<Vec<StoredEvent>> {
        if !self.in_company {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        {
            let mut queue = self.loads.shared.queue();
            if queue.readers == 0 {
                return None;
            }
            queue.waiting.push(((stream, key.to_owned()), reply));
        }
        self.loads.shared.work.notify_one();
        answer.await.ok()
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.loads.loading.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Loads {
    /// `pool` begins no transactions.
    pub fn start(pool: &PgPool) -> Self {
        let queue = Mutex::new(Queue { readers: READERS, ..Queue::default() });
        let shared = Arc::new(Shared { pool: pool.clone(), work: Notify::new(), queue });
        for _ in 0..READERS {
            let reader = Reader(shared.clone());
            tokio::spawn(async move { reader.run().await });
        }
        Self { shared, loading: AtomicUsize::new(0) }
    }

    /// Keep the answer until the stream is read, however it is read.
    pub fn begin(&self) -> Loading<'_> {
        Loading { loads: self, in_company: self.loading.fetch_add(1, Ordering::Relaxed) >= ALONE }
    }
}

impl Drop for Loads {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.work.notify_waiters();
        self.shared.work.notify_one();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing between lock and unlock can leave the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of those who read.
struct Reader(Arc<Shared>);

impl Drop for Reader {
    /// However it ends: nobody waits for a reader that is not there.
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.readers = queue.readers.saturating_sub(1);
        if queue.readers == 0 {
            queue.waiting.clear();
        }
    }
}

impl Reader {
    async fn run(&self) {
        loop {
            let (batch, closed) = {
                let mut queue = self.0.queue();
                let count = queue.waiting.len().min(STREAMS);
                (queue.waiting.drain(..count).collect::<Vec<_>>(), queue.closed)
            };
            if !batch.is_empty() {
                let mut callers: HashMap<Name, Vec<_>> = HashMap::with_capacity(batch.len());
                for (name, reply) in batch {
                    callers.entry(name).or_default().push(reply);
                }
                if let Err(error) = self.read(callers).await {
                    // The callers try on their own, and tell of their own errors.
                    tracing::debug!(%error, "streams could not be read together");
                }
            } else if closed {
                self.0.work.notify_one();
                return;
            } else {
                self.0.work.notified().await;
            }
        }
    }

    async fn read(&self, callers: HashMap<Name, Vec<oneshot::Sender<Vec<StoredEvent>>>>) -> Result<(), sqlx::Error> {
        let (names, replies): (Vec<Name>, Vec<_>) = callers.into_iter().unzip();
        // Stream by stream, by the index (see `Subscription::page`): `offset 0` forbids any other way.
        let rows = sqlx::query(
            "select wanted.place, stored.sequence, stored.event_type, stored.event_version, stored.payload::text as payload
             from unnest($1::text[], $2::text[]) with ordinality as wanted (stream, key, place)
             cross join lateral (
                 select * from log.events event
                 where event.aggregate_type = wanted.stream and event.stream_key = wanted.key
                 offset 0
             ) stored",
        )
        .bind(names.iter().map(|(stream, _)| *stream).collect::<Vec<_>>())
        .bind(names.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>())
        .fetch_all(&self.0.pool)
        .await?;
        let mut streams: Vec<Vec<StoredEvent>> = names.iter().map(|_| Vec::new()).collect();
        for row in rows {
            let place = usize::try_from(row.try_get::<i64, _>("place")?).unwrap_or_default().wrapping_sub(1);
            let Some(events) = streams.get_mut(place) else { continue };
            events.push(StoredEvent {
                sequence: row.try_get("sequence")?,
                event_type: row.try_get("event_type")?,
                event_version: row.try_get("event_version")?,
                payload: row.try_get("payload")?,
            });
        }
        for (mut events, mut replies) in streams.into_iter().zip(replies) {
            events.sort_by_key(|event| event.sequence);
            let last = replies.pop();
            for reply in replies {
                let _ = reply.send(events.clone());
            }
            if let Some(reply) = last {
                let _ = reply.send(events);
            }
        }
        Ok(())
    }
}
