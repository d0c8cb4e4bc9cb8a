//! A webhook's turn: what is due is sent, more is taken from the feed, and after a while the place is another's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use domain::{Webhook, webhook::Target};
use event_feed::{MOST, ReadError, Wanted};
use events::SecretId;
use integrations::Secret;
use public_events::Selection;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use uuid::Uuid;

use super::{
    Inner, LOOK, WINDOW, attempt,
    rows::{self, Endpoint},
    secrets,
};
use crate::Fault;

/// Events of one webhook that are under way at once.
const AT_ONCE: usize = 8;
/// How soon a webhook's own events are heard of while it is being sent.
const FRESH: Duration = Duration::from_millis(500);
/// How long a webhook keeps its place while more of it is due, and for how many attempts.
const LONGEST: (Duration, usize) = (Duration::from_secs(10), 100);

/// A webhook as it stands, with what signs for it.
pub struct Loaded {
    pub webhook: Webhook,
    pub target: Target,
    pub wanted: Wanted,
    secrets: Vec<(SecretId, Secret)>,
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

/// What is under way of a webhook.
struct Turn {
    loaded: Arc<Loaded>,
    /// Something under way has changed how the webhook stands.
    is_stale: bool,
    /// Tasks of their own: what holds a connection or a place must go on while this waits for one. Dropped, they end.
    flying: JoinSet<(Uuid, Result<bool, Fault>)>,
    /// The aggregates of which nothing more is begun.
    busy: Vec<Uuid>,
    count: usize,
    begun: Instant,
    /// What failed inside. What was posted is written down all the same, and what can be sent is sent.
    fault: Option<Fault>,
}

impl Turn {
    fn free(&self) -> usize {
        AT_ONCE.saturating_sub(self.flying.len())
    }

    fn is_over(&self) -> bool {
        let (time, attempts) = LONGEST;
        self.begun.elapsed() >= time || self.count >= attempts
    }
}

/// What came of a look at the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Nothing,
    Something,
    /// The webhook is gone.
    Removed,
}

impl Inner {
    /// Returns how many attempts were made.
    pub(super) async fn go_through(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        stop: &watch::Receiver<bool>,
    ) -> Result<usize, Fault> {
        let Some(loaded) = self.load(endpoint).await? else { return Ok(0) };
        let (flying, begun) = (JoinSet::new(), Instant::now());
        let mut turn = Turn { loaded, is_stale: false, flying, busy: Vec::new(), count: 0, begun, fault: None };
        loop {
            if !self.holds(endpoint) {
                // Somebody else may be sending: what is under way here is dropped.
                return Ok(turn.count);
            }
            let mut taken = Taken::Nothing;
            let mut ends = *stop.borrow() || turn.is_over();
            if !ends {
                match self.go_on(endpoint, &mut turn).await {
                    Ok(Taken::Removed) => return Ok(turn.count),
                    Ok(done) => taken = done,
                    Err(fault) => {
                        turn.fault.get_or_insert(fault);
                        ends = true;
                    }
                }
            }
            if turn.flying.is_empty() {
                match turn.fault {
                    Some(fault) => return Err(fault),
                    None if taken == Taken::Something && !ends => continue,
                    None => return Ok(turn.count),
                }
            }
            match timeout(LOOK, turn.flying.join_next()).await {
                Ok(Some(Ok((stream_id, Ok(changed))))) => {
                    turn.busy.retain(|known| *known != stream_id);
                    turn.is_stale |= changed;
                }
                // Its aggregate stays busy for this turn: it would be posted over and over.
                Ok(Some(Ok((_, Err(fault))))) => {
                    turn.fault.get_or_insert(fault);
                }
                Ok(Some(Err(error))) => {
                    turn.fault.get_or_insert(sqlx::Error::Configuration(Box::new(error)).into());
                }
                Ok(None) | Err(_) => {}
            }
        }
    }

    /// Begins what is due, and takes more from the feed where there is room.
    async fn go_on(self: &Arc<Self>, endpoint: &Endpoint, turn: &mut Turn) -> Result<Taken, Fault> {
        if turn.is_stale || turn.loaded.since.elapsed() > FRESH {
            let Some(loaded) = self.load(endpoint).await? else { return Ok(Taken::Removed) };
            turn.loaded = loaded;
            turn.is_stale = false;
        }
        // First: what waits is sent even if nothing can be read from the feed.
        self.begin_due(endpoint, turn).await?;
        if turn.free() == 0 || turn.fault.is_some() {
            return Ok(Taken::Nothing);
        }
        match self.take_in(endpoint, &mut turn.loaded).await {
            Ok(Taken::Something) => {}
            Ok(other) => return Ok(other),
            Err(fault) => {
                turn.fault = Some(fault);
                return Ok(Taken::Nothing);
            }
        }
        self.begin_due(endpoint, turn).await?;
        Ok(Taken::Something)
    }

    async fn begin_due(self: &Arc<Self>, endpoint: &Endpoint, turn: &mut Turn) -> Result<(), Fault> {
        let (pool, enabled) = (self.effects.engine.store().pool(), turn.loaded.webhook.is_enabled());
        let now = self.effects.engine.clock().now();
        for delivery in rows::due(pool, endpoint, enabled, now, &turn.busy, turn.free()).await? {
            turn.busy.push(delivery.stream_id);
            turn.count += 1;
            let (inner, endpoint, loaded) = (self.clone(), *endpoint, turn.loaded.clone());
            turn.flying
                .spawn(async move { (delivery.stream_id, attempt::make(&inner, &endpoint, loaded, &delivery).await) });
        }
        Ok(())
    }

    /// Makes one attempt that is due, by this task alone; whether there was one.
    pub(super) async fn once(&self, endpoint: &Endpoint) -> Result<bool, Fault> {
        let (pool, busy) = (self.effects.engine.store().pool(), []);
        let Some(mut loaded) = self.load(endpoint).await? else { return Ok(false) };
        loop {
            let (now, enabled) = (self.effects.engine.clock().now(), loaded.webhook.is_enabled());
            if let Some(delivery) = rows::due(pool, endpoint, enabled, now, &busy, 1).await?.first() {
                attempt::make(self, endpoint, loaded, delivery).await?;
                return Ok(true);
            }
            if self.take_in(endpoint, &mut loaded).await? != Taken::Something {
                return Ok(false);
            }
        }
    }

    /// A webhook as it stands; nothing if there is none, whose rows then go, too.
    pub(super) async fn load(&self, endpoint: &Endpoint) -> Result<Option<Arc<Loaded>>, Fault> {
        let since = Instant::now();
        let engine = &self.effects.engine;
        let webhook: Webhook = engine.state(endpoint.organization, endpoint.webhook.0).await?;
        let Some(target) = webhook.target.clone() else {
            // A late word of how it was may have brought them back.
            rows::follow(engine, endpoint.organization, endpoint.webhook).await?;
            return Ok(None);
        };
        let wanted = Wanted {
            types: Selection::named(target.types.iter().map(events::webhook::TypeName::as_str)),
            properties: target.property_id.map(|property| property.0).into_iter().collect(),
            ..Wanted::all(endpoint.organization)
        };
        let named = webhook.secrets(engine.clock().now());
        let secrets = secrets::load(engine.store(), endpoint.organization, endpoint.webhook, &named).await?;
        Ok(Some(Arc::new(Loaded { webhook, target, wanted, secrets, since })))
    }

    /// Takes the next events from the feed, or passes by what is not wanted.
    async fn take_in(&self, endpoint: &Endpoint, loaded: &mut Arc<Loaded>) -> Result<Taken, Fault> {
        if !loaded.webhook.is_enabled() {
            return Ok(Taken::Nothing);
        }
        let pool = self.effects.engine.store().pool();
        let (position, waiting) = rows::standing(pool, endpoint).await?;
        let room = (WINDOW - waiting).min(MOST);
        if room <= 0 {
            return Ok(Taken::Nothing);
        }
        let read = {
            // Never closed.
            let _permit = self.slices.acquire().await.ok();
            match self.reader.read(&loaded.wanted, position, i64::MAX, room).await {
                // What is before the one that cannot be told is not held up by it.
                Err(ReadError::Unreadable(_)) => self.reader.read(&loaded.wanted, position, i64::MAX, 1).await,
                read => read,
            }
        };
        let slice = match read {
            Ok(slice) => slice,
            // A replica that is behind: what is missing comes.
            Err(ReadError::Beyond { .. }) => return Ok(Taken::Nothing),
            Err(error) => return Err(unreadable(error)),
        };
        if slice.complete <= position {
            return Ok(Taken::Nothing);
        }
        // After the slice: what follows a change that was answered must not be passed by as it was wanted before.
        let Some(now) = self.load(endpoint).await? else { return Ok(Taken::Removed) };
        let changed = now.webhook.version != loaded.webhook.version;
        *loaded = now;
        if !changed {
            let now = self.effects.engine.clock().now();
            rows::take_in(pool, endpoint, position, slice.complete, &slice.shown, now).await?;
        }
        Ok(Taken::Something)
    }
}

pub fn unreadable(error: ReadError) -> Fault {
    match error {
        ReadError::Database(error) => error.into(),
        error @ (ReadError::Beyond { .. } | ReadError::Unreadable(_)) => {
            sqlx::Error::Configuration(Box::new(error)).into()
        }
    }
}
