//! A data folder of its own for each test, with everything in it ended and removed afterwards.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr as _,
    thread,
    time::{Duration, Instant},
};

use embedded_postgres::{Connection, Server, Settings, StartError};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

pub struct Fixture {
    folder: tempfile::TempDir,
    pub settings: Settings,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("launcher").tempdir().expect("a folder");
        // A temporary folder is closed to others; most tests are not about that.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let settings = Settings { fetch: false, ..Settings::new(folder.path().join("data")) };
        Self { folder, settings }
    }

    pub fn below(mut self, path: &str) -> Self {
        self.settings.data_dir = self.folder.path().join(path);
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn home(&self) -> PathBuf {
        self.settings.data_dir.join("postgres")
    }

    pub fn cluster(&self) -> PathBuf {
        self.home().join("cluster")
    }

    pub fn start(&self) -> Server {
        self.try_start().expect("a started server")
    }

    pub fn try_start(&self) -> Result<Server, StartError> {
        Server::start(&self.settings, &mut |_| ())
    }

    /// The process that the cluster's own note names.
    pub fn noted_pid(&self) -> Option<i32> {
        fs::read_to_string(self.cluster().join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
    }

    /// Another process that starts the server and then does what `behaviour` says.
    pub fn parent(&self, behaviour: &str) -> Child {
        let mut child = self.parent_command(behaviour).spawn().expect("a parent process");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        assert!(
            lines.map_while(Result::ok).any(|line| line.contains("server is ready")),
            "the parent started no server"
        );
        child
    }

    pub fn parent_command(&self, behaviour: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["--exact", "crash::a_parent_process_for_the_other_tests", "--nocapture"])
            .env("LAUNCHER_TEST_FOLDER", &self.settings.data_dir)
            .env("LAUNCHER_TEST_BEHAVIOUR", behaviour)
            .stdout(Stdio::piped());
        command
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // A failed test may leave an orphan; its folder goes next.
        if let Some(pid) = self.noted_pid()
            && fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&*self.cluster().to_string_lossy()))
        {
            kill(pid, Signal::QUIT);
            wait_for_end(pid);
        }
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn kill(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).expect("a process"), signal);
}

pub fn wait_for_end(pid: i32) {
    let until = Instant::now() + Duration::from_secs(20);
    while lives(pid) {
        assert!(Instant::now() < until, "process {pid} does not end");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A zombie that nobody has asked for yet does not live.
pub fn lives(pid: i32) -> bool {
    let zombie = fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z"));
    !zombie && Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// Runs statements as the owner, and gives the first column of the last one's first row.
pub fn ask(connection: &Connection, statements: &[&str]) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = PgConnectOptions::from_str(&connection.url()).expect("a URL that sqlx reads");
        let mut client = PgConnection::connect_with(&options).await.expect("a connection");
        let mut answer = None;
        for &statement in statements {
            answer = sqlx::query_scalar::<_, String>(statement)
                .fetch_optional(&mut client)
                .await
                .expect("a statement that succeeds");
        }
        client.close().await.expect("a close");
        answer
    })
}
