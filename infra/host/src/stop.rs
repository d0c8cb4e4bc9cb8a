//! An orderly stop: one signal for all parts, and time to end what is under way.

use std::{future::Future, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::Host;

/// How long open work may take once the service is told to stop.
const GRACE: Duration = Duration::from_secs(20);

/// The parts that run, and the word that ends them.
#[derive(Debug)]
pub struct Stop {
    tell: watch::Sender<bool>,
    running: JoinSet<()>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { tell: watch::channel(false).0, running: JoinSet::new() }
    }
}

impl Stop {
    /// Turns true when it is time to end.
    pub fn told(&self) -> watch::Receiver<bool> {
        self.tell.subscribe()
    }

    /// Runs a part until it ends by itself, which it does once told.
    pub fn run(&mut self, part: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(part);
    }

    /// Runs a part that never ends by itself.
    pub fn run_until_told(&mut self, part: impl Future<Output = ()> + Send + 'static) {
        let mut told = self.told();
        self.running.spawn(async move {
            tokio::select! {
                () = part => {}
                _ = told.wait_for(|told| *told) => {}
            }
        });
    }

    /// Tells all parts, and waits for them.
    pub async fn now(mut self) {
        let _ = self.tell.send(true);
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!("some work did not end in time; it is taken up again at the next start");
        }
    }
}

/// Waits for Ctrl-C or SIGTERM, or for the private database to die.
pub async fn until_told(host: &mut Host) {
    let (Ok(mut terminated), Ok(mut interrupted)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    loop {
        tokio::select! {
            _ = terminated.recv() => return,
            _ = interrupted.recv() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                if !host.database_lives() {
                    tracing::error!("the private database has ended; start propty again, it recovers by itself");
                    return;
                }
            }
        }
    }
}
