//! The mirror at work: one of several leads, page after page, and moves its place once all of a page is acknowledged.

use std::time::Duration;

use event_store::{
    follower::{FollowError, Follower, StoredEvent},
    lease::{Lease, TERM},
    positions::Positions,
};
use eventstore::Client;
use sqlx::PgPool;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use uuid::Uuid;

use crate::{
    append::{Divergence, Trouble},
    connection::{Target, TargetError},
    send::Outstanding,
};

/// How many events are read at once.
const PAGE: i64 = 500;
/// How often the log is looked at when nobody tells that it has grown.
const LOOK: Duration = Duration::from_secs(1);
/// How often a restored log is looked at.
const QUARANTINE: Duration = Duration::from_secs(5);
/// Between two attempts to reach the server, doubled from the shortest to the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The mirror of one log in one other database.
#[derive(Debug)]
pub struct Mirror {
    pool: PgPool,
    name: String,
    follower: Follower,
    positions: Positions,
    target: Target,
    holder: Uuid,
}

/// Why the mirror ended although nobody told it to.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    #[error("the mirror and the log have parted")]
    Diverged(#[from] Divergence),
    #[error("this mirror cannot follow the log any more; begin another one, under another name, in an empty database")]
    Restored(#[source] FollowError),
    #[error("the log has a hole after position {0} of all organizations")]
    Hole(i64),
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Why a leader steps down.
enum Ended {
    /// Told to stop, or another leads now.
    Orderly,
    Database(sqlx::Error),
    /// For a person's word about a restored log.
    Waits,
    Final(MirrorError),
}

impl From<sqlx::Error> for Ended {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<FollowError> for Ended {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Query(error) => Self::Database(error),
            FollowError::Quarantined => Self::Waits,
            restored => Self::Final(MirrorError::Restored(restored)),
        }
    }
}

impl From<MirrorError> for Ended {
    fn from(error: MirrorError) -> Self {
        Self::Final(error)
    }
}

impl From<Divergence> for Ended {
    fn from(error: Divergence) -> Self {
        Self::Final(error.into())
    }
}

impl From<TargetError> for Ended {
    fn from(error: TargetError) -> Self {
        Self::Final(error.into())
    }
}

impl Mirror {
    /// Under a name, which its place is kept by; `positions` tell when the log has grown.
    pub fn new(pool: PgPool, name: impl Into<String>, target: Target, positions: Positions) -> Self {
        let name = name.into();
        Self { follower: Follower::new(&name, pool.clone()), pool, name, positions, target, holder: Uuid::now_v7() }
    }

    /// Works until `stop` turns true. Ends by itself only when it must not go on; why is written down for `propty status`.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) -> Result<(), MirrorError> {
        while !told(&stop) {
            match Lease::acquire(&self.pool, format!("mirror/{}", self.name), self.holder).await {
                Ok(Some(lease)) => {
                    let ended = self.lead(&lease, &mut stop).await;
                    if let Err(error) = lease.release(&self.pool).await {
                        tracing::warn!(%error, "the lease was not given up; it expires by itself");
                    }
                    match ended {
                        Ended::Orderly => {}
                        Ended::Database(error) => {
                            tracing::error!(%error, "the log cannot be read; trying again");
                            pause(&mut stop, LOOK).await;
                        }
                        Ended::Waits => {
                            tracing::warn!("the log was restored; nothing is mirrored until `propty restore accept`");
                            pause(&mut stop, QUARANTINE).await;
                        }
                        Ended::Final(error) => {
                            if let Err(unwritten) = self.follower.stopped(&error.explain()).await {
                                tracing::warn!(error = %unwritten, "why the mirror stopped was not written down");
                            }
                            return Err(error);
                        }
                    }
                }
                Ok(None) => pause(&mut stop, TERM / 4).await,
                Err(error) => {
                    tracing::error!(%error, "the mirror cannot reach its lease");
                    pause(&mut stop, LOOK).await;
                }
            }
        }
        Ok(())
    }

    async fn lead(&self, lease: &Lease, stop: &mut watch::Receiver<bool>) -> Ended {
        let renewed = self.renew();
        tokio::select! {
            ended = renewed => ended,
            ended = self.follow(lease, stop) => ended.err().unwrap_or(Ended::Orderly),
        }
    }

    /// Ends when another has taken the lease. What is on its way then may arrive: the new leader sends the same.
    async fn renew(&self) -> Ended {
        loop {
            tokio::time::sleep(TERM / 3).await;
            match Lease::acquire(&self.pool, format!("mirror/{}", self.name), self.holder).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ended::Orderly,
                Err(error) => return Ended::Database(error),
            }
        }
    }

    async fn follow(&self, lease: &Lease, stop: &mut watch::Receiver<bool>) -> Result<(), Ended> {
        let mut head = self.positions.head();
        let mut client = self.target.client()?;
        let mut position = self.follower.begin().await?;
        tracing::info!(position, "mirroring");
        while !told(stop) {
            let page = self.follower.page(position, PAGE).await?;
            let Some(last) = page.last() else {
                tokio::select! {
                    _ = stop.changed() => {}
                    _ = timeout(LOOK, head.wait_for(|head| *head > position)) => {}
                }
                // Perhaps there is nothing because the log is another one now.
                if self.follower.begin().await? != position {
                    return Ok(());
                }
                continue;
            };
            let dense = page.iter().zip(position + 1..).all(|(event, expected)| event.global_position == expected);
            if !dense {
                return Err(MirrorError::Hole(position).into());
            }
            let end = last.global_position;
            if !self.deliver(&page, &mut client, stop).await? {
                return Ok(());
            }
            if !self.follower.advance(lease, position, end).await? {
                tracing::warn!("another mirror went on, or the log was restored; looking again");
                return Ok(());
            }
            position = end;
        }
        Ok(())
    }

    /// Returns once the server has acknowledged all of the page; `false` when told to stop before.
    async fn deliver(
        &self,
        page: &[StoredEvent],
        client: &mut Client,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<bool, Ended> {
        let mut outstanding = Outstanding::new(page)?;
        let mut wait = PAUSE.0;
        loop {
            // In a task, because the client panics at some answers that it does not understand.
            let mut sending = JoinSet::new();
            let sender = client.clone();
            sending.spawn(async move {
                let outcome = outstanding.send(&sender).await;
                (outstanding, outcome)
            });
            let outcome = tokio::select! {
                outcome = sending.join_next() => outcome,
                _ = stop.wait_for(|told| *told) => return Ok(false),
            };
            let reason = match outcome {
                Some(Ok((_, Ok(())))) => return Ok(true),
                Some(Ok((_, Err(Trouble::Diverged(divergence))))) => return Err(divergence.into()),
                Some(Ok((rest, Err(Trouble::Again(reason))))) => {
                    outstanding = rest;
                    reason
                }
                Some(Err(_)) | None => {
                    outstanding = Outstanding::new(page)?;
                    "the client failed".to_owned()
                }
            };
            tracing::warn!(reason, "not acknowledged; sending again");
            // A client that lost its connection does not always look for another node.
            *client = self.target.client()?;
            pause(stop, wait).await;
            wait = (wait * 2).min(PAUSE.1);
            if told(stop) {
                return Ok(false);
            }
        }
    }
}

fn told(stop: &watch::Receiver<bool>) -> bool {
    // A closed channel never changes again: waiting for it would not wait.
    *stop.borrow() || stop.has_changed().is_err()
}

async fn pause(stop: &mut watch::Receiver<bool>, long: Duration) {
    let _ = timeout(long, stop.wait_for(|told| *told)).await;
}

impl MirrorError {
    /// The error and what it follows from, on one line.
    pub fn explain(&self) -> String {
        std::error::Error::source(self).map_or_else(|| self.to_string(), |source| format!("{self}: {source}"))
    }
}
