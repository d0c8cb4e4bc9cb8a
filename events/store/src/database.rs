//! Connections: one pool per database role, on the primary or a replica, and the check that the server will do.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::migrations;

/// The oldest server that has `security_invoker` views.
const OLDEST_SERVER: i32 = 150_000;

/// The role that everything but callers' queries works in.
const ENGINE: &str = "propty_engine";
/// The role of callers' queries.
const QUERY: &str = "propty_query";
/// How long somebody waits for a connection; to a replica, whose readers can be told to come again, less long.
const PATIENCE: Duration = Duration::from_secs(10);
const REPLICA_PATIENCE: Duration = Duration::from_secs(3);

/// The pools that the program works with; nothing runs as the owner after migration.
#[derive(Debug, Clone)]
pub struct Database {
    /// Appends, orders, projects, works; sees all organizations and says which it means.
    pub engine: PgPool,
    /// Reads for callers; row-level security shows one organization at a time. On the replica if there is one.
    pub query: PgPool,
    /// Tells how far the log goes where `query` reads. The engine itself unless that is a replica.
    pub heads: PgPool,
    /// Whether `query` and `heads` read a replica: then they may show less than `engine`.
    pub replicated: bool,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database address is not understood; expected postgres://user:password@host/database")]
    Address(#[source] sqlx::Error),
    #[error("cannot connect to the database")]
    Connect(#[source] sqlx::Error),
    #[error("READ_DATABASE_URL leads to another installation's database")]
    Foreign,
    #[error("PostgreSQL 15 or newer is needed, this server is {0}")]
    TooOld(i32),
    #[error("the database could not be brought to this version's schema")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl Database {
    /// Connects, migrates, and opens the pools.
    pub async fn connect(address: &str) -> Result<Self, DatabaseError> {
        let options = options(address)?;
        let owner = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.clone())
            .await
            .map_err(DatabaseError::Connect)?;
        let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
            .fetch_one(&owner)
            .await
            .map_err(DatabaseError::Connect)?;
        if version < OLDEST_SERVER {
            return Err(DatabaseError::TooOld(version));
        }
        migrations::run(&owner).await?;
        owner.close().await;
        let engine = pool(options.clone(), ENGINE, 16).await?;
        Ok(Self { heads: engine.clone(), engine, query: pool(options, QUERY, 10).await?, replicated: false })
    }

    /// Lets callers' queries and the feed read a replica. What it shows may be older; nothing is ever written through it.
    ///
    /// It need not be there yet, nor stay there: while it is away, who reads is told to come again, and the rest goes on.
    pub async fn reading_from(self, address: &str) -> Result<Self, DatabaseError> {
        let options = options(address)?;
        let installation: Uuid = sqlx::query_scalar("select id from engine.installation")
            .fetch_one(&self.engine)
            .await
            .map_err(DatabaseError::Connect)?;
        match replicated_installation(&options).await {
            Ok(found) if found != installation => return Err(DatabaseError::Foreign),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the replica cannot be read yet; queries are refused until it can"),
        }
        let (query, heads) =
            (replica(options.clone(), QUERY, 10, installation), replica(options, ENGINE, 2, installation));
        self.query.close().await;
        Ok(Self { engine: self.engine, query, heads, replicated: true })
    }

    pub async fn close(&self) {
        self.engine.close().await;
        self.query.close().await;
        self.heads.close().await;
    }
}

fn options(address: &str) -> Result<PgConnectOptions, DatabaseError> {
    let options = PgConnectOptions::from_str(address).map_err(DatabaseError::Address)?;
    Ok(options.application_name("propty").disable_statement_logging())
}

/// Which installation a replica is of.
async fn replicated_installation(options: &PgConnectOptions) -> Result<Uuid, sqlx::Error> {
    let asked = async {
        let mut connection = PgConnection::connect_with(options).await?;
        connection.execute(&*session(QUERY)).await?;
        let found = sqlx::query_scalar("select id from engine.installation").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(found)
    };
    tokio::time::timeout(REPLICA_PATIENCE, asked).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Connections to a replica, each looked at before it is used: the address may lead elsewhere tomorrow, and a replica that was
/// promoted would take what is written.
fn replica(options: PgConnectOptions, role: &'static str, size: u32, installation: Uuid) -> PgPool {
    pooled(size, REPLICA_PATIENCE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(&*session(role)).await?;
                connection.execute("set default_transaction_read_only = on").await?;
                let found: Uuid =
                    sqlx::query_scalar("select id from engine.installation").fetch_one(&mut *connection).await?;
                if found == installation {
                    Ok(())
                } else {
                    Err(sqlx::Error::Configuration(Box::new(DatabaseError::Foreign)))
                }
            })
        })
        .connect_lazy_with(options)
}

/// The engine's connections for whoever begins no transaction. They close together with `pool`.
///
/// What runs on them looks few rows up by their keys, the same few statements again and again. So a plan is made once: planning
/// around the partitions costs more than looking into the right one. And it may not be a plan that suits a table which is small
/// today.
pub(crate) fn for_single_statements(pool: &PgPool, size: u32) -> PgPool {
    let statements = pool
        .options()
        .clone()
        .min_connections(0)
        .max_connections(size)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(&*session(ENGINE)).await?;
                connection.execute("set plan_cache_mode = force_generic_plan; set enable_seqscan = off").await?;
                Ok(())
            })
        })
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    let (closing, closed) = (pool.close_event(), statements.clone());
    tokio::spawn(async move {
        // Whichever comes first: a pool that was closed by whoever used it need not be remembered.
        tokio::select! {
            () = closing => {}
            () = closed.close_event() => {}
        }
        closed.close().await;
    });
    statements
}

fn session(role: &str) -> String {
    format!("set role {role}; set timezone = 'UTC'; set jit = off; set client_min_messages = error")
}

async fn pool(options: PgConnectOptions, role: &'static str, size: u32) -> Result<PgPool, DatabaseError> {
    pooled(size, PATIENCE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(&*session(role)).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await
        .map_err(DatabaseError::Connect)
}

fn pooled(size: u32, patience: Duration) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(patience)
        // A ping before every query costs more than the rare retry after a lost connection.
        .test_before_acquire(false)
}
