//! Where events ended up in the log, for those who wait to know.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use events::OrganizationId;
use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};
use uuid::Uuid;

/// An event by its organization, its stream's id and its version.
pub type Place = (OrganizationId, Uuid, i64);

/// How often a waiter asks the database when another process is the sequencer.
const ASK: Duration = Duration::from_millis(25);

/// Several may wait for one place: of concurrent commands on a stream, all hope to be the next version.
type Waiters = Mutex<HashMap<Place, Vec<oneshot::Sender<(String, i64)>>>>;

/// Interest in a place. It ends when this is dropped, so that a command that failed leaves nothing behind.
#[derive(Debug)]
pub struct Expected {
    waiters: Arc<Waiters>,
    place: Place,
    /// The stream's type and the position.
    receiver: oneshot::Receiver<(String, i64)>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.receiver.close();
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut waiting) = waiters.entry(self.place) {
            waiting.get_mut().retain(|sender| !sender.is_closed());
            if waiting.get().is_empty() {
                waiting.remove();
            }
        }
    }
}

/// Wakes the sequencer, and tells waiters and subscribers how far it is.
#[derive(Debug, Clone)]
pub struct Positions {
    waiters: Arc<Waiters>,
    appended: Arc<Notify>,
    /// Somebody began to wait for a place.
    wanted: Arc<Notify>,
    head: watch::Sender<i64>,
}

impl Default for Positions {
    fn default() -> Self {
        Self { waiters: Arc::default(), appended: Arc::default(), wanted: Arc::default(), head: watch::channel(0).0 }
    }
}

impl Positions {
    /// Something was appended in this process.
    pub fn wake_sequencer(&self) {
        self.appended.notify_one();
    }

    /// Waits until something was appended here, at most `patience`.
    pub async fn appended(&self, patience: Duration) {
        let _ = timeout(patience, self.appended.notified()).await;
    }

    /// Lets appended events gather: for `least`, and up to `most` while nobody here waits for a place.
    pub(crate) async fn gather(&self, least: Duration, most: Duration) {
        tokio::time::sleep(least).await;
        let nobody = || self.waiters.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let end = Instant::now() + most.saturating_sub(least);
        // What `wanted` remembers may be the wish of somebody who was answered long ago.
        while nobody() && timeout_at(end, self.wanted.notified()).await.is_ok() {}
    }

    /// Follows the global head of the log.
    pub fn head(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// The log has grown to `head`.
    pub fn advance(&self, head: i64) {
        self.head.send_if_modified(|known| {
            let grown = head > *known;
            if grown {
                *known = head;
            }
            grown
        });
    }

    /// The sequencer of this process gave these places, of streams of these types, these positions of their organization.
    pub fn assigned<'a>(&self, places: impl Iterator<Item = (&'a str, Place, i64)>) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if waiters.is_empty() {
            return;
        }
        for (stream, place, position) in places {
            for waiter in waiters.remove(&place).into_iter().flatten() {
                let _ = waiter.send((stream.to_owned(), position));
            }
        }
    }

    /// Registers interest before the append, so that a fast sequencer is not missed.
    pub fn expect(&self, place: Place) -> Expected {
        let (sender, receiver) = oneshot::channel();
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_default().push(sender);
        self.wanted.notify_one();
        Expected { waiters: self.waiters.clone(), place, receiver }
    }

    /// The organization's position of an appended event, if the sequencer gives it within `patience`.
    pub async fn wait(
        &self,
        pool: &PgPool,
        stream: &str,
        place: Place,
        mut expected: Expected,
        patience: Duration,
    ) -> Result<Option<i64>, sqlx::Error> {
        let deadline = Instant::now() + patience;
        let (mut told, mut ask) = (false, ASK);
        loop {
            // Where the sequencer is slow, many wait: asking ever more seldom, they do not slow it down further.
            let pause = ask.min(deadline.saturating_duration_since(Instant::now()));
            if told {
                tokio::time::sleep(pause).await;
            } else if let Ok(answer) = timeout(pause, &mut expected.receiver).await {
                match answer {
                    Ok((of, position)) if of == stream => return Ok(Some(position)),
                    // A stream of another type has the same id; the database tells them apart.
                    _ => told = true,
                }
            }
            ask *= 2;
            let position = lookup(pool, stream, place).await?;
            if position.is_some() || Instant::now() >= deadline {
                return Ok(position);
            }
        }
    }

    /// Follows the sequencer of another process through NOTIFY, with polling underneath, until cancelled.
    pub async fn follow(&self, pool: &PgPool) {
        loop {
            if let Err(error) = self.listen(pool).await {
                tracing::warn!(%error, "listening to the log failed; polling goes on");
            }
            if let Ok(head) = head(pool).await {
                self.advance(head);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Follows the log of a replica, which nobody can NOTIFY, until cancelled: looks often while the primary is known to be further,
    /// and now and then otherwise.
    pub async fn follow_behind(&self, mut primary: watch::Receiver<i64>, replica: &PgPool) {
        let mut reachable = true;
        loop {
            match head(replica).await {
                Ok(head) => {
                    reachable = true;
                    self.advance(head);
                }
                Err(error) => {
                    if reachable {
                        tracing::warn!(%error, "the log of the replica cannot be read; asking on");
                    }
                    reachable = false;
                }
            }
            let known = *self.head.borrow();
            if reachable && *primary.borrow() > known {
                tokio::time::sleep(ASK).await;
                continue;
            }
            let closed =
                matches!(timeout(Duration::from_secs(1), primary.wait_for(|head| *head > known)).await, Ok(Err(_)));
            if closed || !reachable {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    async fn listen(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen("propty_log").await?;
        self.advance(head(pool).await?);
        loop {
            match timeout(Duration::from_secs(1), listener.recv()).await {
                Ok(notice) => {
                    if let Ok(head) = notice?.payload().parse() {
                        self.advance(head);
                    }
                }
                Err(_) => self.advance(head(pool).await?),
            }
        }
    }
}

/// The last global position.
pub async fn head(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select global_position from log.head").fetch_one(pool).await
}

/// The organization's position of an event, once it has one.
pub async fn lookup(
    pool: &PgPool,
    stream: &str,
    (organization, id, version): Place,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "select position from log.entries
         where aggregate_type = $1 and aggregate_id = $2 and sequence = $3 and organization_id = $4",
    )
    .bind(stream)
    .bind(id.to_string())
    .bind(version)
    .bind(organization.0)
    .fetch_optional(pool)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(positions: &Positions) -> usize {
        positions.waiters.lock().map_or(usize::MAX, |waiters| waiters.values().map(Vec::len).sum())
    }

    #[test]
    fn interest_of_a_failed_command_is_forgotten() {
        let positions = Positions::default();
        let kept = positions.expect((OrganizationId(Uuid::nil()), Uuid::nil(), 1));
        drop(positions.expect((OrganizationId(Uuid::nil()), Uuid::nil(), 1)));
        drop(positions.expect((OrganizationId(Uuid::nil()), Uuid::nil(), 2)));
        assert_eq!(waiting(&positions), 1);
        drop(kept);
        assert_eq!(waiting(&positions), 0);
        assert!(positions.waiters.lock().is_ok_and(|waiters| waiters.is_empty()));
    }

    #[test]
    fn everybody_who_waits_for_a_place_is_told_once() {
        let positions = Positions::default();
        let mut both = [
            positions.expect((OrganizationId(Uuid::nil()), Uuid::nil(), 1)),
            positions.expect((OrganizationId(Uuid::nil()), Uuid::nil(), 1)),
        ];
        positions.assigned([("note", (OrganizationId(Uuid::nil()), Uuid::nil(), 1), 7)].into_iter());
        for one in &mut both {
            assert_eq!(one.receiver.try_recv(), Ok(("note".to_owned(), 7)));
        }
        assert_eq!(waiting(&positions), 0);
    }
}
