//! What can go wrong with the private server, each with the way out.

use std::{io, path::PathBuf};

/// How to get `PostgreSQL` on the systems we name.
const INSTALL: &str = "install PostgreSQL 15 or newer (Debian and Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; \
    macOS: brew install postgresql@17), or name a folder with its `postgres` and `initdb` in PROPTY_POSTGRES_BIN, or a running server in DATABASE_URL";

/// Why the private server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A file or folder of ours cannot be read or written.
    #[error("cannot use {path}: {source}", path = path.display())]
    Folder { path: PathBuf, source: io::Error },
    /// Another instance holds the lock.
    #[error(
        "{folder} is in use by a running instance ({holder}); stop it first, or choose another data folder",
        folder = folder.display(),
        holder = pid.map_or_else(|| "its process is unknown".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse { folder: PathBuf, pid: Option<u32> },
    /// `PostgreSQL` refuses to run as root, and there is nobody else.
    #[error(
        "PostgreSQL does not run as root, and this machine has neither an account `postgres` nor `nobody`; start propty as another user"
    )]
    NoAccount,
    /// The account that runs the server cannot enter the folder of an existing database.
    #[error("the account {account} cannot enter {path}; open the folders above it (chmod o+x)", path = path.display())]
    CannotEnter { path: PathBuf, account: String },
    /// The database belongs to another account.
    #[error("the database in {path} belongs to the account with id {owner}; start propty as that account or as root", path = path.display())]
    ForeignOwner { path: PathBuf, owner: u32 },
    /// The folder says that its database was put elsewhere, and it is not there.
    #[error(
        "the database of {folder} was kept in {base}, which is gone; bring it back, or remove {folder}/location to begin with an empty database",
        folder = folder.display(),
        base = base.display()
    )]
    Gone { folder: PathBuf, base: PathBuf },
    /// No path for the socket is short enough or ours.
    #[error("no private directory with a path short enough for a Unix socket could be made: {0}")]
    NoSocketDirectory(String),
    /// There is no `PostgreSQL` to run.
    #[error("no usable PostgreSQL was found{details}; {INSTALL}")]
    NotFound { details: String },
    /// The database was made by a version that is not here.
    #[error(
        "the database in {path} was made by PostgreSQL {cluster}, and only {found} was found; install PostgreSQL {cluster} \
         (Debian and Ubuntu: apt-get install postgresql-{cluster}; Fedora: dnf install postgresql{cluster}-server; macOS: brew install postgresql@{cluster}), \
         or name the folder with its binaries in PROPTY_POSTGRES_BIN, or carry the data over with pg_upgrade, or choose another data folder",
        path = path.display()
    )]
    OtherVersion { path: PathBuf, cluster: u32, found: String },
    /// The folder `cluster` is not a database.
    #[error("{path} is not a PostgreSQL database: its PG_VERSION cannot be read", path = path.display())]
    NotACluster { path: PathBuf },
    /// A program could not be run at all.
    #[error("cannot run {program} as {account}: {source}", program = program.display())]
    Run { program: PathBuf, account: String, source: io::Error },
    /// The first initialisation failed.
    #[error("the database could not be made by {program}: {output}", program = program.display())]
    Initialise { program: PathBuf, output: String },
    /// The server ended before it was ready.
    #[error("the server ended while starting ({status}); its log is {log}: {tail}", log = log.display())]
    Ended { status: String, log: PathBuf, tail: String },
    /// The server is alive and does not become ready.
    #[error("the server was not ready after {seconds} s; its log is {log}: {tail}", log = log.display())]
    NotReady { seconds: u64, log: PathBuf, tail: String },
    /// A server left behind would not stop.
    #[error("a server left behind by an earlier run could not be stopped: {0}")]
    Leftover(StopError),
}

/// Why the private server did not stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// The signal was refused.
    #[error("process {pid} could not be signalled: {source}")]
    Signal { pid: i32, source: io::Error },
    /// Not even `kill -9` ended it.
    #[error("process {pid} does not end")]
    Immortal { pid: i32 },
}

impl StartError {
    /// For `map_err`: names the path that an I/O error is about.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Folder { path, source }
    }
}
