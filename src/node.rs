//! A node: the database (private or given), the keys, the store and the engine, opened once for whatever is run.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use command_service::{Engine, reactor};
use embedded_postgres::{Server, StartError};
use event_store::{BusinessClock, Database, Keyring, MasterKey, Store, positions::Positions};

use crate::{cli::Place, failure::Failure, settings::Settings};

/// Where a running instance writes how to reach its database, readable by its owner only.
const ADDRESS_FILE: &str = "database-address";

/// Everything opened.
pub struct Node {
    pub settings: Settings,
    pub data_dir: PathBuf,
    pub database: Database,
    pub store: Arc<Store>,
    pub clock: BusinessClock,
    pub engine: Engine,
    /// Stops the private database when dropped.
    server: Option<Server>,
}

impl Node {
    /// Opens the node for a service: the private database is started, and is ours alone.
    pub async fn open(place: &Place, settings: Settings) -> Result<Self, Failure> {
        Self::start(place, settings, false).await
    }

    /// Opens it for a short command, which may share the database of a running service.
    pub async fn visit(place: &Place, settings: Settings) -> Result<Self, Failure> {
        Self::start(place, settings, true).await
    }

    async fn start(place: &Place, settings: Settings, share: bool) -> Result<Self, Failure> {
        // The private database's account must pass through; files with secrets have modes of their own.
        fs::DirBuilder::new().recursive(true).mode(0o711).create(&place.data_dir).map_err(file(&place.data_dir))?;
        let (address, server) = match &place.database_url {
            Some(url) => (url.clone(), None),
            None => private(&place.data_dir, share).await?,
        };
        let master = match &settings.secrets.master_key {
            Some(key) => MasterKey::parse(key.expose())?,
            None => MasterKey::load_or_create(&place.data_dir.join("master.key"))?,
        };
        let database = Database::connect(&address).await?;
        let keyring = Keyring::open(database.engine.clone(), master).await?;
        let clock = BusinessClock::open(database.engine.clone()).await?;
        let store = Arc::new(Store::new(database.engine.clone(), keyring, Positions::default()));
        reactor::register(&store).await?;
        let engine = Engine::new(store.clone(), clock.clone());
        Ok(Self { settings, data_dir: place.data_dir.clone(), database, store, clock, engine, server })
    }

    /// Whether the private database, if there is one, still runs.
    pub fn database_lives(&mut self) -> bool {
        self.server.as_mut().is_none_or(Server::is_alive)
    }

    /// Closes connections and stops the private database.
    pub async fn close(mut self) {
        self.database.close().await;
        if let Some(server) = self.server.take() {
            let _ = fs::remove_file(self.data_dir.join(ADDRESS_FILE));
            let stopped = tokio::task::spawn_blocking(move || server.stop()).await;
            if let Ok(Err(error)) = stopped {
                tracing::error!(%error, "the private database did not stop");
            }
        }
    }
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.display().to_string();
    move |source| Failure::File { path, source }
}

/// Starts the private database, or shares that of a running instance.
async fn private(data_dir: &Path, share: bool) -> Result<(String, Option<Server>), Failure> {
    let settings = embedded_postgres::Settings::from_environment(data_dir);
    let started = tokio::task::spawn_blocking(move || {
        Server::start(&settings, &mut |notice| eprintln!("propty: {notice}"))
    })
    .await
    .map_err(|error| Failure::Told(format!("starting the database failed: {error}")))?;
    let note = data_dir.join(ADDRESS_FILE);
    match started {
        Ok(server) => {
            let address = server.connect_options().url();
            write_private(&note, &address).map_err(file(&note))?;
            Ok((address, Some(server)))
        }
        Err(StartError::InUse { .. }) if share && note.exists() => {
            Ok((fs::read_to_string(&note).map_err(file(&note))?, None))
        }
        Err(error) => Err(error.into()),
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use io::Write;
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
