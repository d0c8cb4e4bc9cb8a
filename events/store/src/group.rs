//! Group commit: commands that come while others are being stored share the next statement, and its commit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::{
    append::{self, AppendError, Prepared},
    positions::Positions,
    queue::{Job, Queue},
};

/// While one batch is on its way to the disk, another is put together; a third would only make them smaller.
pub(crate) const WRITERS: u32 = 2;
/// Past it callers wait outside, where they cost nothing.
const WAITING: usize = 1000;

/// The queue of commands before the disk. Dropping it ends the writers when they have stored what waits.
#[derive(Debug)]
pub(crate) struct Group {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
}

impl Group {
    /// `pool` begins no transactions and has a connection for each writer.
    pub fn start(pool: &PgPool, positions: &Positions) -> Self {
        let shared = Arc::new(Shared {
            pool: pool.clone(),
            positions: positions.clone(),
            work: Notify::new(),
            queue: Mutex::new(Queue::new(WRITERS)),
        });
        for _ in 0..WRITERS {
            let writer = Writer(shared.clone());
            tokio::spawn(async move { writer.run().await });
        }
        Self { shared, room: Arc::new(Semaphore::new(WAITING)) }
    }

    /// Stores a command; `Ok` means durable. A caller that does not wait for the answer harms nobody and may or may not be stored.
    pub async fn append(&self, command: Prepared) -> Result<(), AppendError> {
        let room = self.room.clone().acquire_owned().await.map_err(|_| ended())?;
        let (reply, answer) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            if queue.writers == 0 {
                return Err(ended());
            }
            queue.waiting.push_back(Job { command, reply, room });
        }
        self.shared.work.notify_one();
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.work.notify_waiters();
        self.shared.work.notify_one();
    }
}

/// The writers are gone: their runtime is shutting down.
fn ended() -> AppendError {
    AppendError::Database(sqlx::Error::WorkerCrashed)
}

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    positions: Positions,
    work: Notify,
    queue: Mutex<Queue>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing between lock and unlock can leave the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of those who store.
struct Writer(Arc<Shared>);

impl Drop for Writer {
    /// However it ends: nobody waits for a writer that is not there.
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.writers = queue.writers.saturating_sub(1);
        if queue.writers == 0 {
            let waiting = std::mem::take(&mut queue.waiting);
            drop(queue);
            drop(waiting);
        }
    }
}

impl Writer {
    async fn run(&self) {
        loop {
            let (batch, closed) = {
                let mut queue = self.0.queue();
                (queue.take(), queue.closed)
            };
            if !batch.is_empty() {
                Batch { shared: &self.0, jobs: batch }.store().await;
            } else if closed {
                self.0.work.notify_one();
                return;
            } else {
                self.0.work.notified().await;
            }
        }
    }
}

/// Commands that are being stored together. Their streams and keys are free again when it is dropped, however that happens.
struct Batch<'a> {
    shared: &'a Shared,
    jobs: Vec<Job>,
}

impl Batch<'_> {
    async fn store(mut self) {
        while !self.jobs.is_empty() {
            let Err(error) = append::insert(&self.shared.pool, &self.commands()).await else {
                self.stored(..);
                return;
            };
            match Verdict::of(&error) {
                _ if self.jobs.len() == 1 => return self.answer(0, Err(error.into())),
                Verdict::Unknown => return self.answer_all(&error),
                Verdict::Lost => {
                    // Whoever won has committed, or there would have been no error.
                    let losers = append::losers(&self.shared.pool, &self.commands()).await.unwrap_or_default();
                    if losers.is_empty() {
                        return self.store_each().await;
                    }
                    for (index, error) in losers.into_iter().rev() {
                        self.answer(index, Err(error));
                    }
                }
                Verdict::Refused => return self.store_each().await,
            }
        }
    }

    /// One after the other, so that what the database refuses harms nobody but its caller.
    async fn store_each(&mut self) {
        while let Some(job) = self.jobs.last() {
            let last = self.jobs.len() - 1;
            match append::insert(&self.shared.pool, &[&job.command]).await {
                Ok(()) => self.stored(last..),
                Err(error) => self.answer(last, Err(error.into())),
            }
        }
    }

    fn commands(&self) -> Vec<&Prepared> {
        self.jobs.iter().map(|job| &job.command).collect()
    }

    fn stored(&mut self, which: impl std::ops::RangeBounds<usize>) {
        self.shared.positions.wake_sequencer();
        let (commands, replies): (Vec<_>, Vec<_>) =
            self.jobs.drain(which).map(|job| (job.command, (job.reply, job.room))).unzip();
        let beaten = {
            let mut queue = self.shared.queue();
            queue.release(&commands);
            queue.beaten_by(&commands)
        };
        for (reply, _) in replies {
            let _ = reply.send(Ok(()));
        }
        for (job, error) in beaten {
            let _ = job.reply.send(Err(error));
        }
        self.wake_another();
    }

    fn answer(&mut self, index: usize, result: Result<(), AppendError>) {
        let job = self.jobs.remove(index);
        self.shared.queue().release(std::slice::from_ref(&job.command));
        let _ = job.reply.send(result);
        self.wake_another();
    }

    /// Nobody knows what became of them.
    fn answer_all(&mut self, error: &sqlx::Error) {
        while !self.jobs.is_empty() {
            self.answer(self.jobs.len() - 1, Err(AppendError::Database(likeness(error))));
        }
    }

    /// Somebody may have waited for what is free now.
    fn wake_another(&self) {
        if !self.shared.queue().waiting.is_empty() {
            self.shared.work.notify_one();
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if !self.jobs.is_empty() {
            let mut queue = self.shared.queue();
            for job in &self.jobs {
                queue.release(std::slice::from_ref(&job.command));
            }
        }
    }
}

/// What an error says about a whole batch.
enum Verdict {
    /// A version or a key is taken; nothing was stored.
    Lost,
    /// The database would not have it, or gave up; nothing was stored.
    Refused,
    /// The connection failed: it may have been stored, so nobody may try again without looking.
    Unknown,
}

impl Verdict {
    fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => match database.code().as_deref() {
                Some("23505") => Self::Lost,
                // The server is going down, perhaps between the commit and its answer.
                Some(code) if code.starts_with("57P") || code.starts_with("08") => Self::Unknown,
                _ => Self::Refused,
            },
            sqlx::Error::Encode(_) => Self::Refused,
            _ => Self::Unknown,
        }
    }
}

/// The same error for another caller: errors of the driver cannot be cloned.
fn likeness(error: &sqlx::Error) -> sqlx::Error {
    match error {
        sqlx::Error::PoolClosed => sqlx::Error::PoolClosed,
        sqlx::Error::PoolTimedOut => sqlx::Error::PoolTimedOut,
        sqlx::Error::WorkerCrashed => sqlx::Error::WorkerCrashed,
        sqlx::Error::Io(error) => sqlx::Error::Io(std::io::Error::new(error.kind(), error.to_string())),
        other => sqlx::Error::Protocol(other.to_string()),
    }
}
