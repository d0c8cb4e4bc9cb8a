//! What every request and every sender shares; no lock is held across an await.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::config::{Provider, SandboxConfig, WebhookTarget};
use crate::faults::Faults;
use crate::http::Reply;
use crate::journal::Journal;
use crate::pace::Pace;
use crate::store::Store;
use crate::webhooks;

#[derive(Debug)]
pub(crate) struct Shared {
    pub config: SandboxConfig,
    pub base_url: String,
    store: Mutex<Store>,
    pub journal: Mutex<Journal>,
    pub faults: Mutex<Faults>,
    pub pace: Mutex<Pace>,
    /// Idempotency keys whose first request has not been answered.
    pub in_flight: Mutex<HashSet<String>>,
    pub targets: Mutex<BTreeMap<Provider, WebhookTarget>>,
    /// Tokens by Twilio account, kept in memory only.
    pub twilio_tokens: Mutex<BTreeMap<String, String>>,
    pub client: reqwest::Client,
    pub senders: Semaphore,
    pub tasks: Mutex<JoinSet<()>>,
    /// The switchboard may be used from threads outside the runtime.
    pub runtime: Handle,
    pub undelivered: watch::Sender<usize>,
    pub held: Mutex<BTreeMap<Provider, Vec<webhooks::Plan>>>,
}

pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SENDERS: usize = 8;

impl Shared {
    pub fn new(
        config: SandboxConfig,
        base_url: String,
        store: Store,
        client: reqwest::Client,
        runtime: Handle,
    ) -> Self {
        let mut targets = BTreeMap::new();
        if let Some(target) = &config.stripe_webhooks {
            targets.insert(Provider::Stripe, target.clone());
        }
        if let Some(target) = &config.resend_webhooks {
            targets.insert(Provider::Resend, target.clone());
        }
        if let Some(target) = &config.twilio_webhooks {
            targets.insert(Provider::Twilio, target.clone());
        }
        Self {
            config,
            base_url,
            store: Mutex::new(store),
            journal: Mutex::default(),
            faults: Mutex::default(),
            pace: Mutex::default(),
            in_flight: Mutex::default(),
            targets: Mutex::new(targets),
            twilio_tokens: Mutex::default(),
            client,
            senders: Semaphore::new(SENDERS),
            tasks: Mutex::new(JoinSet::new()),
            runtime,
            undelivered: watch::Sender::new(0),
            held: Mutex::default(),
        }
    }

    pub fn read<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&hold(&self.store))
    }

    /// Runs `work`, makes it durable, then lets its webhooks go.
    pub fn change<T>(self: &Arc<Self>, work: impl FnOnce(&mut Store) -> T) -> io::Result<T> {
        let (result, queued) = {
            let mut store = hold(&self.store);
            let result = work(&mut store);
            store.commit()?;
            (result, std::mem::take(&mut store.queued))
        };
        webhooks::dispatch(self, queued);
        Ok(result)
    }
}

/// The state file is full or gone; the caller must not believe that anything happened.
pub(crate) fn unsaved(error: &io::Error) -> Reply {
    tracing::error!(%error, "the sandbox cannot save its state");
    Reply::json(
        500,
        &serde_json::json!({"error": {"type": "api_error", "message": "the sandbox cannot save its state"}}),
    )
}
