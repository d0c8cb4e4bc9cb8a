//! Starting and stopping a sandbox.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use poem::listener::TcpAcceptor;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::SandboxConfig;
use crate::front::Front;
use crate::shared::{Shared, hold};
use crate::store::{Store, Table};
use crate::stripe::due;
use crate::switchboard::Switchboard;
use crate::webhooks;
use crate::wires::{CuttableAcceptor, Wires};

const GRACE: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(120);
/// How often the business clock is looked at when nobody asks for anything.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("cannot listen on {address}")]
    Listen { address: std::net::SocketAddr, source: io::Error },
    #[error("cannot read or write the state file")]
    State(#[source] io::Error),
    #[error("cannot prepare the webhook client")]
    Client(#[source] reqwest::Error),
}

/// A running sandbox. Dropping it ends it without waiting; its state file stays complete either way.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    shutdown: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<io::Result<()>>>,
}

impl Sandbox {
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let listening = |source| SandboxError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let acceptor = TcpAcceptor::from_tokio(listener).map_err(listening)?;
        let mut store = Store::open(config.state_file.as_deref()).map_err(SandboxError::State)?;
        store.clock = config.clock.clone();
        store.ach_days = config.ach_days;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster; either provider will do.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(SandboxError::Client)?;
        let shared = Arc::new(Shared::new(config, format!("http://{address}"), store, client, Handle::current()));
        resume(&shared);
        let passing = shared.clone();
        hold(&shared.tasks).spawn(async move {
            loop {
                tokio::time::sleep(TICK).await;
                due::arrive(&passing);
            }
        });
        let wires = Wires::default();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let server = poem::Server::new_with_acceptor(CuttableAcceptor { inner: acceptor, wires: wires.clone() })
            .idle_timeout(IDLE)
            .run_with_graceful_shutdown(
                Front { shared: shared.clone(), wires },
                async move {
                    let _ = stopped.await;
                },
                Some(GRACE),
            );
        Ok(Self { shared, shutdown: Some(shutdown), server: Some(tokio::spawn(server)) })
    }

    /// `http://address:port`, to which `/stripe`, `/resend`, `/twilio` or `/switchboard` is appended.
    pub fn url(&self) -> String {
        self.shared.base_url.clone()
    }

    pub fn switchboard(&self) -> Switchboard {
        Switchboard::new(self.shared.clone())
    }

    pub async fn stop(mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
        if let Some(server) = self.server.take()
            && let Ok(Err(error)) = server.await
        {
            tracing::warn!(%error, "the sandbox's server ended badly");
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        hold(&self.shared.tasks).abort_all();
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// Deliveries that the last process did not finish are taken up again.
fn resume(shared: &Arc<Shared>) {
    let open = shared.read(|store| {
        store
            .all(Table::Deliveries)
            .filter(|(_, row)| row["gave_up"] != json!(true))
            .map(|(id, _)| id.clone())
            .collect()
    });
    webhooks::dispatch(shared, open);
}
