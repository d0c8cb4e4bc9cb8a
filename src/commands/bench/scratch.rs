//! Where the benchmark works: folders and databases of its own, removed afterwards.

use std::{fs, path::PathBuf, str::FromStr};

use sqlx::{ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};

use crate::{cli::Place, failure::Failure};

/// A folder below the data folder and, where a server is given, a database on it.
pub struct Scratch {
    folder: PathBuf,
    config: Option<PathBuf>,
    given: Option<Given>,
}

/// The given server, and the database made on it.
struct Given {
    server: PgConnectOptions,
    database: String,
    address: String,
}

impl Scratch {
    pub async fn make(place: &Place) -> Result<Self, Failure> {
        let folder = place.data_dir.join("bench");
        clear(&folder)?;
        let given = match &place.database_url {
            None => None,
            Some(url) => Some(Given::make(url).await?),
        };
        Ok(Self { folder, config: place.config.clone(), given })
    }

    /// Whether private databases are used, so that there can be as many as are wanted.
    pub const fn is_private(&self) -> bool {
        self.given.is_none()
    }

    /// A place of its own, but for the database if one is given.
    pub fn place(&self, name: &str) -> Place {
        Place {
            data_dir: self.folder.join(name),
            database_url: self.given.as_ref().map(|given| given.address.clone()),
            config: self.config.clone(),
        }
    }

    pub async fn remove(self) -> Result<(), Failure> {
        if let Some(given) = self.given {
            let drop = format!("drop database if exists {} with (force)", given.database);
            PgConnection::connect_with(&given.server).await?.execute(&*drop).await?;
        }
        clear(&self.folder)
    }
}

impl Given {
    async fn make(url: &str) -> Result<Self, Failure> {
        let server = PgConnectOptions::from_str(url)?.disable_statement_logging();
        let database = format!("propty_bench_{}", std::process::id());
        let create = format!("create database {database}");
        PgConnection::connect_with(&server).await?.execute(&*create).await?;
        let address = server.clone().database(&database).to_url_lossy().to_string();
        Ok(Self { server, database, address })
    }
}

fn clear(folder: &PathBuf) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::File { path: folder.display().to_string(), source })
        }
        _ => Ok(()),
    }
}
