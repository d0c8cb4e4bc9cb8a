//! The command side assembled: its background work and its HTTP routes, for this crate's binary and for `propty`.

use std::{sync::Arc, time::Duration};

use edge::{Authenticator, Credentials};
use event_feed::Reader;
use event_store::{Checkpointer, Witness, erasure::list::ErasureList, idempotency, sequencer::Sequencer};
use host::{Host, Stop};
use poem::{Endpoint, Response};
use tokio::sync::Notify;

use crate::{
    Courier, Engine, Pace, Providers, Registry,
    courier::rows,
    effects::Effects,
    http::{self, CommandState, SignInLimits},
    intake, quarantine,
    reactor::Reactor,
    recipients,
    worker::Worker,
};

/// The command side, ready to run in whole or in part.
#[derive(Debug, Clone)]
pub struct CommandSide {
    pub effects: Effects,
    work: Arc<Notify>,
}

impl CommandSide {
    pub fn new(host: &Host, providers: Providers) -> Self {
        let effects = Effects {
            engine: Engine::new(host.store.clone(), host.clock.clone()),
            registry: Arc::new(Registry::default()),
            providers,
            credentials: Credentials::new(host.store.keyring()),
            pace: Arc::new(Pace::new(host.settings.charges_per_second)),
            text_pace: Arc::new(Pace::new(host.settings.texts_per_second)),
            erasures: host.settings.erasures.clone().map(ErasureList::new),
        };
        Self { effects, work: Arc::default() }
    }

    /// Orders the log, follows it with processes, does what they ask for.
    pub fn run_workers(&self, host: &Host, stop: &mut Stop) {
        let sequencer = Sequencer::new(host.database.engine.clone(), host.store.positions().clone());
        let told = stop.told();
        stop.run(async move { sequencer.run(told).await });
        let witness = host.settings.checkpoints.clone().map(Witness::new);
        let checkpointer = Checkpointer::new(host.database.engine.clone(), host.store.keyring().clone(), witness);
        let told = stop.told();
        stop.run(async move { checkpointer.run(told).await });
        let (told, pool) = (stop.told(), host.database.engine.clone());
        stop.run(async move { quarantine::watch(&pool, told).await });
        let reactor = Reactor::new(host.store.clone(), self.work.clone());
        let told = stop.told();
        stop.run(async move { reactor.run(told).await });
        let (pool, clock, engine) = (host.database.engine.clone(), host.clock.clone(), self.effects.engine.clone());
        stop.run_until_told(async move {
            loop {
                if let Err(error) = rows::forget_old(&pool, clock.now()).await {
                    tracing::warn!(%error, "old attempts to send webhooks could not be forgotten");
                }
                if let Err(error) = intake::forget_old(&pool).await {
                    tracing::warn!(%error, "old webhooks could not be emptied");
                }
                if let Err(error) = recipients::forget_codes(&engine).await {
                    tracing::warn!(%error, "old codes could not be forgotten");
                }
                if let Err(error) = idempotency::forget_old(&pool).await {
                    tracing::warn!(%error, "old idempotency keys could not be forgotten");
                }
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
        });
        let worker = Worker::new(self.effects.clone(), self.work.clone());
        let (told, pool) = (stop.told(), host.database.engine.clone());
        stop.run(async move {
            if quarantine::over(&pool, told.clone()).await {
                worker.run(told).await;
            }
        });
        let reader = Reader::new(host.database.query.clone(), &host.settings.public_url());
        let (courier, head) = (Courier::new(self.effects.clone(), reader), host.readable.head());
        let (told, pool) = (stop.told(), host.database.engine.clone());
        stop.run(async move {
            if quarantine::over(&pool, told.clone()).await {
                courier.run(told, head).await;
            }
        });
    }

    /// The HTTP routes of commands and webhooks.
    pub fn routes(&self, host: &Host, authenticator: Authenticator) -> impl Endpoint<Output = Response> + use<> {
        http::routes(CommandState {
            effects: self.effects.clone(),
            authenticator,
            work: self.work.clone(),
            secure_cookies: host.settings.public_url().starts_with("https://"),
            sign_in_limits: SignInLimits::default(),
        })
    }
}

/// Who looks callers up, from the read models of tokens and sessions.
pub fn authenticator(host: &Host) -> Authenticator {
    Authenticator::new(
        host.database.engine.clone(),
        host.clock.clone(),
        Credentials::new(host.store.keyring()),
        host.settings.client_address_header.clone(),
    )
}
