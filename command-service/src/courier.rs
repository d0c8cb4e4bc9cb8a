//! The courier: walks each webhook's part of the feed and posts it, at least once, an aggregate's events one after the other.
//!
//! How far it is and what waits is state of its own, no read model: rebuilding those sends nothing. One worker at a time holds a
//! webhook; within it, each aggregate has at most one event under way, and a failing one holds up its own aggregate only, until
//! so many events wait that nothing more is taken from the feed.

mod attempt;
pub mod rows;
pub mod secrets;
mod turn;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use event_feed::Reader;
use events::{OrganizationId, WebhookId};
use futures_util::FutureExt;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use uuid::Uuid;

use crate::{Fault, effects::Effects};
use rows::{Endpoint, LEASE, Room};

/// Webhooks that one worker sends at once.
const PLACES: usize = 256;
/// Of one organization at once, as a part of the places.
const PART: usize = 16;
/// Events of one webhook that may wait; past it nothing more is taken from the feed.
pub const WINDOW: i64 = 1000;
/// How many slices of the log are read at once.
const SLICES: usize = 4;
/// How soon it is looked for work when nothing happens.
const LOOK: Duration = Duration::from_millis(300);
/// How soon it is looked again, however much happens.
const PACE: Duration = Duration::from_millis(50);

/// Sends webhooks. Several may run; a webhook belongs to whoever claimed it.
#[derive(Debug)]
pub struct Courier {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    effects: Effects,
    reader: Reader,
    slices: Semaphore,
    places: usize,
    /// What is being sent here, and until when the claim surely holds.
    sending: Mutex<HashMap<Key, (Endpoint, Instant)>>,
}

type Key = (Uuid, Uuid);

impl Courier {
    /// What is sent is read through `reader`, as readers of the feed see it at that moment.
    pub fn new(effects: Effects, reader: Reader) -> Self {
        Self::with_places(effects, reader, PLACES)
    }

    /// One that sends so many webhooks at once.
    pub fn with_places(effects: Effects, reader: Reader, places: usize) -> Self {
        let (slices, sending) = (Semaphore::new(SLICES), Mutex::default());
        Self { inner: Arc::new(Inner { effects, reader, slices, places, sending }) }
    }

    /// Sends until `stop` turns true; `head` follows the log.
    pub async fn run(&self, mut stop: watch::Receiver<bool>, mut head: watch::Receiver<i64>) {
        let mut sending = JoinSet::new();
        // Ends with this function.
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(self.inner.clone()));
        while !*stop.borrow() {
            while sending.try_join_next().is_some() {}
            let looked = Instant::now();
            match self.inner.claim(self.inner.places.saturating_sub(sending.len())).await {
                Ok(claimed) => {
                    for endpoint in claimed {
                        let (inner, stop) = (self.inner.clone(), stop.clone());
                        sending.spawn(async move { inner.send(endpoint, &stop).await });
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "webhooks cannot be read");
                    let _ = timeout(Duration::from_secs(1), stop.changed()).await;
                }
            }
            tokio::select! {
                _ = timeout(LOOK, head.changed()) => {}
                _ = stop.changed() => {}
            }
            let _ = timeout(PACE.saturating_sub(looked.elapsed()), stop.changed()).await;
        }
        // What was posted is written down; what was not is taken up again by whoever is next.
        while sending.join_next().await.is_some() {}
    }

    /// Sends what is due now until nothing is; returns how many attempts were made.
    pub async fn drain(&self) -> Result<usize, sqlx::Error> {
        let (_never, stop) = watch::channel(false);
        let mut count = 0;
        loop {
            let claimed = self.inner.claim(self.inner.places).await?;
            if claimed.is_empty() {
                return Ok(count);
            }
            for endpoint in claimed {
                count += self.inner.send(endpoint, &stop).await;
            }
        }
    }

    /// Makes one attempt that is due, by this task alone; whether there was one.
    pub async fn step(&self) -> Result<bool, Fault> {
        let Some(endpoint) = self.inner.claim(1).await?.pop() else { return Ok(false) };
        let made = self.inner.once(&endpoint).await;
        self.inner.let_go(&endpoint, made.is_err()).await;
        made
    }
}

/// Renews claims for as long as the courier lives.
async fn keep(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(LEASE / 5).await;
        let claims: Vec<Endpoint> = inner.sending().values().map(|(endpoint, _)| *endpoint).collect();
        if claims.is_empty() {
            continue;
        }
        let asked = Instant::now();
        match rows::renew(inner.effects.engine.store().pool(), &claims).await {
            Ok(renewed) => {
                let mut sending = inner.sending();
                for claim in claims {
                    // One that was lost stays here until whoever sends has noticed, and is claimed by nobody here before.
                    let until = if renewed.contains(&claim.key()) { asked + LEASE } else { asked };
                    if let Some((endpoint, known)) = sending.get_mut(&claim.key())
                        && *endpoint == claim
                    {
                        *known = until;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the courier's claims could not be renewed"),
        }
    }
}

impl Inner {
    fn sending(&self) -> MutexGuard<'_, HashMap<Key, (Endpoint, Instant)>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, claim: &Endpoint) -> bool {
        let sending = self.sending();
        sending.get(&claim.key()).is_some_and(|(endpoint, until)| endpoint == claim && Instant::now() < *until)
    }

    async fn claim(&self, free: usize) -> Result<Vec<Endpoint>, sqlx::Error> {
        let busy: Vec<Key> = self.sending().keys().copied().collect();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let room = Room { places: number(free), share: number(self.places / PART).max(1) };
        let asked = Instant::now();
        let now = self.effects.engine.clock().now();
        let claimed = rows::claim(self.effects.engine.store().pool(), room, now, &busy).await?;
        self.sending().extend(claimed.iter().map(|endpoint| (endpoint.key(), (*endpoint, asked + LEASE))));
        Ok(claimed)
    }

    /// Sends what is due of a webhook, then lets go of it; returns how many attempts were made.
    async fn send(self: &Arc<Self>, endpoint: Endpoint, stop: &watch::Receiver<bool>) -> usize {
        // A panic concerns this webhook only, and must not keep it claimed.
        let sent = AssertUnwindSafe(self.go_through(&endpoint, stop)).catch_unwind().await;
        let pause = !matches!(sent, Ok(Ok(_)));
        let count = match sent {
            Ok(Ok(count)) => count,
            Ok(Err(error)) => {
                tracing::error!(webhook.id = %endpoint.webhook, %error, "a webhook cannot be sent at the moment");
                0
            }
            Err(_) => {
                tracing::error!(webhook.id = %endpoint.webhook, "sending a webhook panicked");
                0
            }
        };
        self.let_go(&endpoint, pause).await;
        count
    }

    async fn let_go(&self, endpoint: &Endpoint, pause: bool) {
        if let Err(error) = rows::release(self.effects.engine.store().pool(), endpoint, pause).await {
            tracing::warn!(%error, "a webhook could not be let go of; its lease runs out");
        }
        self.sending().remove(&endpoint.key());
    }
}

/// Whose webhook.
pub type Of = (OrganizationId, WebhookId);
