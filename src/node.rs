//! The host with the engine of commands beside it, for the subcommands.

use std::ops::{Deref, DerefMut};

use command_service::{Engine, reactor};
use host::{Host, Settings};

use crate::{cli::Place, failure::Failure};

/// Everything opened.
pub struct Node {
    pub engine: Engine,
    host: Host,
}

impl Node {
    /// Opens for a service: the private database is started, and is ours alone.
    pub async fn open(place: &Place, settings: Settings) -> Result<Self, Failure> {
        Self::around(Host::open(&place.host(), settings).await?).await
    }

    /// Opens for a short command, which may share the database of a running service.
    pub async fn visit(place: &Place, settings: Settings) -> Result<Self, Failure> {
        Self::around(Host::visit(&place.host(), settings).await?).await
    }

    async fn around(host: Host) -> Result<Self, Failure> {
        reactor::register(&host.store).await?;
        Ok(Self { engine: Engine::new(host.store.clone(), host.clock.clone()), host })
    }

    pub async fn close(self) {
        self.host.close().await;
    }
}

impl Deref for Node {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut Host {
        &mut self.host
    }
}
