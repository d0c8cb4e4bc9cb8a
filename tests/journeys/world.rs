//! A world for a journey: the binary as a stranger starts it, a sandbox beside it, a database of its own, two organizations.

mod autopay;
mod client;
mod community;
mod invariants;
mod payer;
mod process;
mod sandbox;
mod server;
mod template;
mod webhook;

use std::{
    path::Path,
    process::{Command, Output},
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;

pub use autopay::card_of;
pub use client::{Answer, Client, PATIENCE};
pub use community::{FIRST, Organization, Resident, id, in_two_weeks};
pub use payer::link;
pub use process::{MASTER_KEY, Process, binary, run};
pub use sandbox::Sandbox;
pub use server::port;
pub use webhook::{Delivery, GOOD};

/// How a world differs from the usual one.
#[derive(Debug, Default)]
pub struct Options {
    /// More arguments of `propty serve`, such as `--mail` and its value.
    pub serve_args: Vec<String>,
    /// More variables of its environment.
    pub env: Vec<(String, String)>,
}

/// `propty serve` with its sandbox, started over a copy of the template.
pub struct World {
    /// Where propty listens.
    pub url: String,
    /// The organization that the journey is about.
    pub first: Organization,
    /// The one beside it, which must notice nothing.
    pub second: Organization,
    pub sandbox: Sandbox,
    /// The database as a superuser: row-level security does not bind it.
    pub database: PgPool,
    pub database_url: String,
    propty: Process,
    /// Ends with the world.
    _sandbox_process: Process,
    mails_by_sandbox: bool,
    /// Where the second organization's log ended when it was last left alone.
    second_head: Mutex<i64>,
    folder: TempDir,
}

/// Waits until a server answers that it is ready.
pub async fn until_ready(process: &Process, url: &str) {
    let client = Client::nobody(url);
    let started = Instant::now();
    loop {
        let answer = client.try_send(client.request(reqwest::Method::GET, "/health/ready")).await;
        if answer.is_ok_and(|answer| answer.status == 200) {
            return;
        }
        assert!(!process.has_ended(), "propty ended:\n{}", process.log());
        assert!(started.elapsed() < PATIENCE, "propty is not ready:\n{}", process.log());
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

impl World {
    pub async fn start(options: Options) -> Self {
        let template = template::template().await;
        let database = server::server().await.copy(&template.database).await;
        let folder = tempfile::Builder::new().prefix("propty-world-").tempdir().expect("a folder");
        std::fs::copy(&template.sandbox_state, folder.path().join("sandbox.state")).expect("the sandbox's state");
        let (propty_port, sandbox_port) = (port(), port());
        let url = format!("http://127.0.0.1:{propty_port}");
        let sandbox_url = format!("http://127.0.0.1:{sandbox_port}");
        let database_url = database.deployer.url();

        let mut command = binary(folder.path());
        command.args(["sandbox", "--listen", &format!("127.0.0.1:{sandbox_port}"), "--propty", &url]);
        let sandbox_process = Process::new(command, folder.path().join("sandbox.stderr"));
        let mut command = binary(folder.path());
        command
            .env("DATABASE_URL", &database_url)
            .env("PROPTY_LISTEN", format!("127.0.0.1:{propty_port}"))
            .env("PROPTY_PUBLIC_URL", &url)
            .envs(options.env)
            .args(["serve", "--sandbox-url", &sandbox_url])
            .args(&options.serve_args);
        let propty = Process::new(command, folder.path().join("propty.stderr"));
        sandbox_process.start();
        propty.start();
        let pool = PgPoolOptions::new().max_connections(5).connect(&database.admin.url()).await.expect("a database");
        until_ready(&propty, &url).await;
        let world = Self {
            first: template.first.at(&url),
            second: template.second.at(&url),
            sandbox: Sandbox::new(&sandbox_url),
            url,
            database: pool,
            database_url,
            propty,
            _sandbox_process: sandbox_process,
            mails_by_sandbox: !options.serve_args.iter().any(|arg| arg == "--mail"),
            second_head: Mutex::new(0),
            folder,
        };
        world.remember_second().await;
        world
    }

    /// From now on, the second organization is to stay as it is.
    pub async fn remember_second(&self) {
        let head = self.asked_of(self.second.id).await;
        *self.second_head.lock().expect("a head") = head;
    }

    /// Somebody without token or session.
    pub fn visitor(&self) -> Client {
        Client::nobody(&self.url)
    }

    /// Where this world keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What propty wrote to its standard error so far.
    pub fn propty_log(&self) -> String {
        self.propty.log()
    }

    /// The memory that propty holds, in MB; only Linux tells.
    pub fn memory(&self) -> Option<u64> {
        self.propty.memory()
    }

    /// Kills propty without a warning.
    pub fn kill9(&self) {
        self.propty.kill9();
    }

    /// Stops propty by `SIGTERM`; it must end well.
    pub async fn stop(&self) {
        assert!(self.propty.stop("TERM").await, "propty did not stop well:\n{}", self.propty.log());
    }

    /// Starts propty after a stop or a kill, and waits until it is ready.
    pub async fn restart(&self) {
        self.propty.start();
        until_ready(&self.propty, &self.url).await;
    }

    /// A command line of the binary on this world's database.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = binary(self.folder());
        command.env("DATABASE_URL", &self.database_url).args(args);
        command
    }

    /// Runs a subcommand on this world's database.
    pub async fn propty(&self, args: &[&str]) -> Output {
        run(self.command(args)).await
    }

    /// Moves the business clock, of the sandbox too, and waits until propty has read it.
    pub async fn pass_time(&self, seconds: i64) {
        sqlx::query("update engine.clock set offset_seconds = offset_seconds + $1")
            .bind(seconds)
            .execute(&self.database)
            .await
            .expect("a moved clock");
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        self.sandbox.act("/clock", &json!({ "advance_seconds": seconds })).await;
    }

    /// Scripts a fault for one request to a provider.
    pub async fn request_fault(&self, provider: &str, matching: &str, kind: serde_json::Value) -> u64 {
        let mut fault = json!({ "provider": provider, "match": matching });
        fault.as_object_mut().expect("an object").extend(kind.as_object().cloned().expect("an object"));
        self.sandbox.fault(fault).await
    }
}
