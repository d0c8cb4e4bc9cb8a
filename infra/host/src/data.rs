//! The database (private or given), the keys and the store, opened once for whatever is run.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use embedded_postgres::{Server, StartError};
use event_store::{
    BusinessClock, Database, Keyring, LocalKeys, MasterKey, Store, key_service::CURRENT, keyring::master_key_of,
    positions::Positions,
};

use crate::{Settings, Stop, settings::Secrets};

/// Where a running instance writes how to reach its database, readable by its owner only.
const ADDRESS_FILE: &str = "database-address";

/// Where the data is.
#[derive(Debug, Clone)]
pub struct Place {
    pub data_dir: PathBuf,
    /// A server to use instead of the private one.
    pub database_url: Option<String>,
}

impl Place {
    /// `PROPTY_DATA_DIR`, `DATABASE_URL`, and the file that `PROPTY_CONFIG` names.
    pub fn from_environment() -> (Self, Option<PathBuf>) {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let data_dir = variable("PROPTY_DATA_DIR").unwrap_or_else(|| "./propty-data".to_owned()).into();
        let place = Self { data_dir, database_url: variable("DATABASE_URL") };
        (place, variable("PROPTY_CONFIG").map(PathBuf::from))
    }
}

/// Everything opened.
#[derive(Debug)]
pub struct Host {
    pub settings: Settings,
    pub data_dir: PathBuf,
    pub database: Database,
    pub store: Arc<Store>,
    pub clock: BusinessClock,
    /// How far the log goes where callers' queries read: that of the store, unless they read a replica.
    pub readable: Positions,
    /// Stops the private database when dropped.
    server: Option<Server>,
}

/// Why nothing could be opened.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("the database cannot start")]
    Embedded(#[from] StartError),
    #[error("starting the database was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
    #[error("the database cannot be used")]
    Database(#[from] event_store::DatabaseError),
    #[error("the master key cannot be used")]
    MasterKey(#[from] event_store::master_key::MasterKeyError),
    #[error(
        "there is no master key: this database's keys are wrapped with {theirs}; set PROPTY_MASTER_KEY, or put the file {path} back"
    )]
    NoMasterKey { theirs: String, path: String },
    #[error("personal data cannot be opened")]
    Key(#[from] event_store::keyring::KeyError),
    #[error("a query failed")]
    Query(#[from] sqlx::Error),
    #[error("cannot use {path}")]
    File { path: String, source: io::Error },
    #[error("cannot listen on {address}; name another address in PROPTY_LISTEN")]
    Listen { address: String, source: io::Error },
}

impl Host {
    /// Opens for a service: the private database is started, and is ours alone.
    pub async fn open(place: &Place, settings: Settings) -> Result<Self, HostError> {
        Self::start(place, settings, false).await
    }

    /// Opens for a short command, which may share the database of a running service.
    pub async fn visit(place: &Place, settings: Settings) -> Result<Self, HostError> {
        Self::start(place, settings, true).await
    }

    async fn start(place: &Place, settings: Settings, share: bool) -> Result<Self, HostError> {
        // The private database's account must pass through; files with secrets have modes of their own.
        fs::DirBuilder::new().recursive(true).mode(0o711).create(&place.data_dir).map_err(file(&place.data_dir))?;
        let (address, server) = match &place.database_url {
            Some(url) => (url.clone(), None),
            None => private(&place.data_dir, share).await?,
        };
        let mut database = Database::connect(&address).await?;
        // A short command is told what is so now.
        if let Some(replica) = settings.secrets.read_database.as_ref().filter(|_| !share) {
            database = database.reading_from(replica.expose()).await?;
        }
        let masters = master_keys(&place.data_dir, &settings.secrets, &database).await?;
        let keyring = Keyring::open_with(database.engine.clone(), Arc::new(masters)).await?;
        let clock = BusinessClock::open(database.engine.clone()).await?;
        let store = Arc::new(Store::new(database.engine.clone(), keyring, Positions::default()));
        let readable = if database.replicated { Positions::default() } else { store.positions().clone() };
        Ok(Self { settings, data_dir: place.data_dir.clone(), database, store, clock, readable, server })
    }

    /// Follows the log's head and the business clock, which other processes move too.
    pub fn follow(&self, stop: &mut Stop) {
        let (positions, pool) = (self.store.positions().clone(), self.database.engine.clone());
        stop.run_until_told(async move { positions.follow(&pool).await });
        if self.database.replicated {
            let (readable, primary) = (self.readable.clone(), self.store.positions().head());
            let pool = self.database.heads.clone();
            stop.run_until_told(async move { readable.follow_behind(primary, &pool).await });
        }
        let clock = self.clock.clone();
        stop.run_until_told(async move {
            loop {
                if let Err(error) = clock.refresh().await {
                    tracing::warn!(%error, "the business clock cannot be read");
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
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

/// From the environment, or else from the files of the data folder. A key is made only for a database that never had one.
async fn master_keys(folder: &Path, secrets: &Secrets, database: &Database) -> Result<LocalKeys, HostError> {
    let given = |key: &Option<crate::Secret>| key.as_ref().map(|key| MasterKey::parse(key.expose())).transpose();
    let next = given(&secrets.next_master_key)?;
    if let Some(key) = given(&secrets.master_key)? {
        return Ok(LocalKeys::new(key, next.into_iter().collect()));
    }
    if let Some(keys) = LocalKeys::in_folder(folder)? {
        return Ok(keys);
    }
    let path = folder.join(CURRENT);
    if let Some(theirs) = master_key_of(&database.engine).await? {
        return Err(HostError::NoMasterKey { theirs, path: path.display().to_string() });
    }
    let key = MasterKey::load_or_create(&path)?;
    Ok(LocalKeys::in_folder(folder)?.unwrap_or_else(|| LocalKeys::new(key, vec![])))
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> HostError {
    let path = path.display().to_string();
    move |source| HostError::File { path, source }
}

/// Starts the private database, or shares that of a running instance.
async fn private(data_dir: &Path, share: bool) -> Result<(String, Option<Server>), HostError> {
    let settings = embedded_postgres::Settings::from_environment(data_dir);
    let started =
        tokio::task::spawn_blocking(move || Server::start(&settings, &mut |notice| eprintln!("propty: {notice}")))
            .await?;
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
