//! `propty-mirror`: a process of its own, because the client of the other database brings a cryptography that Propty does without.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use event_store::{Database, positions::Positions};
use mirror::{Mirror, Target};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tracing_subscriber::EnvFilter;

/// How long what is under way may take once the mirror is told to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Appends every event of Propty's log, in order, to EventStoreDB or KurrentDB.
///
/// It goes on where it was, however it ended. Several may run; one works. Events are written as they are stored: what is sealed stays
/// sealed, and no key is needed here. `propty status` and `/metrics` tell how far it is behind.
#[derive(Debug, Parser)]
#[command(name = "propty-mirror", version)]
struct Cli {
    /// `kurrentdb://user:password@host:2113?tls=true`, or `kurrentdb+discover://` for a cluster; `esdb://` is the same.
    #[arg(long, value_name = "ADDRESS", env = "PROPTY_MIRROR_TO", hide_env_values = true)]
    to: String,
    /// Under which its place is kept: one for each database that is mirrored to.
    #[arg(long, default_value = "kurrentdb", env = "PROPTY_MIRROR_NAME")]
    name: String,
    /// Propty's database; by default that of the service which runs in the data folder.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The data folder.
    #[arg(long, default_value = "./propty-data", env = "PROPTY_DATA_DIR")]
    data_dir: PathBuf,
}

/// Why it cannot run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no DATABASE_URL, and no service runs in {folder}")]
    NoDatabase { folder: PathBuf, source: std::io::Error },
    #[error("the log's database cannot be used")]
    Database(#[from] event_store::DatabaseError),
    #[error(transparent)]
    Target(#[from] mirror::TargetError),
    #[error("{}", .0.explain())]
    Mirror(mirror::MirrorError),
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    #[error("the mirror did not end in time; it goes on where it was at the next start")]
    Late,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("PROPTY_LOG").unwrap_or_else(|_| EnvFilter::new("warn,mirror=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // Nothing of ours may install a cryptography for the process: the client installs its own, and ends if there is one.
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("propty-mirror: the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let cause = std::error::Error::source(&failure).map_or_else(String::new, |cause| format!(": {cause}"));
            eprintln!("propty-mirror: {failure}{cause}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let target = Target::parse(&cli.to)?;
    let address = match cli.database_url.filter(|address| !address.is_empty()) {
        Some(address) => address,
        None => std::fs::read_to_string(cli.data_dir.join("database-address"))
            .map_err(|source| Failure::NoDatabase { folder: cli.data_dir, source })?,
    };
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
    let database = Database::connect(&address).await?;
    let positions = Positions::default();
    let (tell, stop) = watch::channel(false);
    let mirror = Mirror::new(database.engine.clone(), cli.name, target, positions.clone());
    let followed = database.engine.clone();
    let followed = tokio::spawn(async move { positions.follow(&followed).await });
    let working = mirror.run(stop);
    tokio::pin!(working);
    let outcome = tokio::select! {
        outcome = &mut working => outcome.map_err(Failure::Mirror),
        () = async { tokio::select! { _ = terminated.recv() => {} _ = interrupted.recv() => {} } } => {
            let _ = tell.send(true);
            match tokio::time::timeout(GRACE, working).await {
                Ok(outcome) => outcome.map_err(Failure::Mirror),
                Err(_) => Err(Failure::Late),
            }
        }
    };
    followed.abort();
    database.close().await;
    outcome
}
