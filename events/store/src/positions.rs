//! Where events ended up in the log, for those who wait to know.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::{Instant, timeout},
};
use uuid::Uuid;

/// An event by its stream and version.
pub type Place = (Uuid, i64);

/// How often a waiter asks the database when another process is the sequencer.
const ASK: Duration = Duration::from_millis(25);

/// Wakes the sequencer, and tells waiters and subscribers how far it is.
#[derive(Debug, Clone)]
pub struct Positions {
    waiters: Arc<Mutex<HashMap<Place, oneshot::Sender<i64>>>>,
    appended: Arc<Notify>,
    head: watch::Sender<i64>,
}

impl Default for Positions {
    fn default() -> Self {
        Self { waiters: Arc::default(), appended: Arc::default(), head: watch::channel(0).0 }
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

    /// The sequencer of this process gave these places these positions of their organization.
    pub fn assigned(&self, places: impl Iterator<Item = (Place, i64)>) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if waiters.is_empty() {
            return;
        }
        for (place, position) in places {
            if let Some(waiter) = waiters.remove(&place) {
                let _ = waiter.send(position);
            }
        }
    }

    /// Registers interest before the append, so that a fast sequencer is not missed.
    pub fn expect(&self, place: Place) -> oneshot::Receiver<i64> {
        let (sender, receiver) = oneshot::channel();
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).insert(place, sender);
        receiver
    }

    /// The organization's position of an appended event, if the sequencer gives it within `patience`.
    pub async fn wait(
        &self,
        pool: &PgPool,
        stream: &str,
        place: Place,
        mut receiver: oneshot::Receiver<i64>,
        patience: Duration,
    ) -> Result<Option<i64>, sqlx::Error> {
        let deadline = Instant::now() + patience;
        let found = loop {
            match timeout(ASK, &mut receiver).await {
                Ok(Ok(position)) => return Ok(Some(position)),
                // Another registration took the place; the database knows.
                Ok(Err(_)) => tokio::time::sleep(ASK).await,
                Err(_) => {}
            }
            let position = lookup(pool, stream, place).await?;
            if position.is_some() || Instant::now() >= deadline {
                break position;
            }
        };
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
        Ok(found)
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
pub async fn lookup(pool: &PgPool, stream: &str, (id, version): Place) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "select position from log.entries where aggregate_type = $1 and aggregate_id = $2 and sequence = $3",
    )
    .bind(stream)
    .bind(id.to_string())
    .bind(version)
    .fetch_optional(pool)
    .await
}
