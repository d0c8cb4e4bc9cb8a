//! The courier: walks each webhook's part of the feed and posts it, at least once, an aggregate's events one after the other.
//!
//! How far it is and what waits is state of its own, no read model: rebuilding those sends nothing. One worker at a time holds a
//! webhook; within it, each aggregate has at most one event under way, and a failing one holds up its own aggregate only, until
//! so many events wait that nothing more is taken from the feed.

mod attempt;
pub mod rows;
pub mod secrets;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use domain::{Webhook, webhook::Target};
use event_feed::{MOST, ReadError, Reader, Wanted};
use events::{OrganizationId, SecretId, WebhookId};
use futures_util::FutureExt;
use integrations::Secret;
use public_events::Selection;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use uuid::Uuid;

use crate::{Fault, effects::Effects};
use rows::{Endpoint, LEASE};

/// Webhooks that one worker sends at once.
const WEBHOOKS: usize = 256;
/// Events of one webhook that are under way at once.
const AT_ONCE: usize = 8;
/// Events of one webhook that may wait; past it nothing more is taken from the feed.
pub const WINDOW: i64 = 1000;
/// How many slices of the log are read at once.
const SLICES: usize = 4;
/// How soon it is looked for work when nothing happens.
const LOOK: Duration = Duration::from_millis(300);
/// How soon a webhook's own events are heard of while it is being sent.
const FRESH: Duration = Duration::from_millis(500);

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
    holder: Uuid,
    /// Until when each claim surely holds.
    held: Mutex<HashMap<Key, Instant>>,
}

type Key = (Uuid, Uuid);

/// A webhook as it stands, with what signs for it.
pub(crate) struct Loaded {
    pub webhook: Webhook,
    pub target: Target,
    pub wanted: Wanted,
    pub secrets: Vec<(SecretId, Secret)>,
    since: Instant,
}

impl Loaded {
    /// The secrets that sign at a moment.
    pub fn signing(&self, now: DateTime<Utc>) -> Vec<Secret> {
        let ids = self.webhook.secrets(now);
        let secret =
            |id: &SecretId| self.secrets.iter().find(|(known, _)| known == id).map(|(_, secret)| secret.clone());
        ids.iter().filter_map(secret).collect()
    }
}

impl Courier {
    /// What is sent is read through `reader`, as readers of the feed see it at that moment.
    pub fn new(effects: Effects, reader: Reader) -> Self {
        let (slices, held) = (Semaphore::new(SLICES), Mutex::default());
        Self { inner: Arc::new(Inner { effects, reader, slices, holder: Uuid::now_v7(), held }) }
    }

    /// Sends until `stop` turns true; `head` follows the log.
    pub async fn run(&self, mut stop: watch::Receiver<bool>, mut head: watch::Receiver<i64>) {
        let mut sending = JoinSet::new();
        // Ends with this function.
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(self.inner.clone()));
        while !*stop.borrow() {
            while sending.try_join_next().is_some() {}
            let free = i64::try_from(WEBHOOKS.saturating_sub(sending.len())).unwrap_or_default();
            match self.inner.claim(free).await {
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
        }
        // What was posted is written down; what was not is taken up again by whoever is next.
        while sending.join_next().await.is_some() {}
    }

    /// Sends what is due now until nothing is; returns how many attempts were made.
    pub async fn drain(&self) -> Result<usize, sqlx::Error> {
        let (_never, stop) = watch::channel(false);
        let mut count = 0;
        loop {
            let claimed = self.inner.claim(i64::try_from(WEBHOOKS).unwrap_or_default()).await?;
            if claimed.is_empty() {
                return Ok(count);
            }
            for endpoint in claimed {
                count += self.inner.send(endpoint, &stop).await;
            }
        }
    }
}

/// Renews claims for as long as the courier lives.
async fn keep(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(LEASE / 5).await;
        let keys: Vec<Key> = inner.held().keys().copied().collect();
        if keys.is_empty() {
            continue;
        }
        let asked = Instant::now();
        match rows::renew(inner.effects.engine.store().pool(), inner.holder, &keys).await {
            Ok(renewed) => {
                let mut held = inner.held();
                for key in keys {
                    if renewed.contains(&key) {
                        held.entry(key).and_modify(|until| *until = asked + LEASE);
                    } else {
                        held.remove(&key);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the courier's claims could not be renewed"),
        }
    }
}

impl Inner {
    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Instant>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, endpoint: &Endpoint) -> bool {
        self.held().get(&endpoint.key()).is_some_and(|until| Instant::now() < *until)
    }

    async fn claim(&self, limit: i64) -> Result<Vec<Endpoint>, sqlx::Error> {
        let asked = Instant::now();
        let now = self.effects.engine.clock().now();
        let claimed = rows::claim(self.effects.engine.store().pool(), self.holder, now, limit).await?;
        self.held().extend(claimed.iter().map(|endpoint| (endpoint.key(), asked + LEASE)));
        Ok(claimed)
    }

    /// Sends what is due of a webhook, then lets go of it; returns how many attempts were made.
    async fn send(self: &Arc<Self>, endpoint: Endpoint, stop: &watch::Receiver<bool>) -> usize {
        // A panic concerns this webhook only, and must not keep it claimed.
        let sent = AssertUnwindSafe(self.go_through(&endpoint, stop)).catch_unwind().await;
        self.held().remove(&endpoint.key());
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
        if let Err(error) = rows::release(self.effects.engine.store().pool(), self.holder, &endpoint, pause).await {
            tracing::warn!(%error, "a webhook could not be let go of; its lease runs out");
        }
        count
    }

    async fn go_through(self: &Arc<Self>, endpoint: &Endpoint, stop: &watch::Receiver<bool>) -> Result<usize, Fault> {
        let pool = self.effects.engine.store().pool();
        let Some(mut loaded) = self.load(endpoint).await?.map(Arc::new) else { return Ok(0) };
        // Tasks of their own: what holds a connection or a place must go on while this waits for one. Dropped, they end.
        let mut flying = JoinSet::new();
        let mut busy: Vec<Uuid> = Vec::new();
        let mut count = 0;
        loop {
            if !self.holds(endpoint) {
                // Somebody else may be sending: what is under way here is dropped.
                return Ok(count);
            }
            let mut more = false;
            if !*stop.borrow() {
                if loaded.since.elapsed() > FRESH {
                    match self.load(endpoint).await? {
                        Some(now) => loaded = Arc::new(now),
                        None => return Ok(count),
                    }
                }
                let enabled = loaded.webhook.is_enabled();
                let free = AT_ONCE.saturating_sub(busy.len());
                let now = self.effects.engine.clock().now();
                let mut due = rows::due(pool, endpoint, enabled, now, &busy, free).await?;
                if due.len() < free && enabled && self.take_in(endpoint, &loaded).await? {
                    more = true;
                    due = rows::due(pool, endpoint, enabled, now, &busy, free).await?;
                }
                for delivery in due {
                    busy.push(delivery.stream_id);
                    count += 1;
                    let (inner, endpoint, loaded) = (self.clone(), *endpoint, loaded.clone());
                    flying.spawn(async move {
                        (delivery.stream_id, attempt::make(&inner, &endpoint, &loaded, &delivery).await)
                    });
                }
            }
            if flying.is_empty() {
                if more {
                    continue;
                }
                return Ok(count);
            }
            if let Ok(Some(joined)) = timeout(LOOK, flying.join_next()).await {
                let (stream_id, done) = joined.map_err(|error| sqlx::Error::Configuration(Box::new(error)))?;
                busy.retain(|known| *known != stream_id);
                if done? {
                    // It was disabled by this attempt.
                    loaded = match self.load(endpoint).await? {
                        Some(now) => Arc::new(now),
                        None => return Ok(count),
                    };
                }
            }
        }
    }

    async fn load(&self, endpoint: &Endpoint) -> Result<Option<Loaded>, Fault> {
        let since = Instant::now();
        let engine = &self.effects.engine;
        let webhook: Webhook = engine.state(endpoint.organization, endpoint.webhook.0).await?;
        let Some(target) = webhook.target.clone() else { return Ok(None) };
        let wanted = Wanted {
            types: Selection::named(target.types.iter().map(events::webhook::TypeName::as_str)),
            properties: target.property_id.map(|property| property.0).into_iter().collect(),
            ..Wanted::all(endpoint.organization)
        };
        let secrets = secrets::load(engine.store(), endpoint.organization, endpoint.webhook).await?;
        Ok(Some(Loaded { webhook, target, wanted, secrets, since }))
    }

    /// Takes the next events from the feed; whether there was anything to take or to pass by.
    async fn take_in(&self, endpoint: &Endpoint, loaded: &Loaded) -> Result<bool, Fault> {
        let pool = self.effects.engine.store().pool();
        let (position, waiting) = rows::standing(pool, endpoint).await?;
        let room = WINDOW - waiting;
        if room <= 0 {
            return Ok(false);
        }
        let read = {
            // Never closed.
            let _permit = self.slices.acquire().await.ok();
            self.reader.read(&loaded.wanted, position, i64::MAX, room.min(MOST)).await
        };
        let slice = match read {
            Ok(slice) => slice,
            // A replica that is behind: what is missing comes.
            Err(ReadError::Beyond { .. }) => return Ok(false),
            Err(error) => return Err(unreadable(error)),
        };
        if slice.complete <= position {
            return Ok(false);
        }
        let now = self.effects.engine.clock().now();
        rows::take_in(pool, self.holder, endpoint, position, slice.complete, &slice.shown, now).await?;
        Ok(true)
    }
}

fn unreadable(error: ReadError) -> Fault {
    match error {
        ReadError::Database(error) => error.into(),
        error @ (ReadError::Beyond { .. } | ReadError::Unreadable(_)) => {
            sqlx::Error::Configuration(Box::new(error)).into()
        }
    }
}

/// Whose webhook.
pub type Of = (OrganizationId, WebhookId);
