//! Processes of the binary: started, waited for, stopped, killed.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use super::server::watch;

/// The master key of every world; the databases are copies of one.
pub const MASTER_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// The binary with a clean environment.
pub fn binary(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_propty"));
    for name in ["DATABASE_URL", "STRIPE_SECRET_KEY", "RESEND_API_KEY", "PROPTY_MAIL", "PROPTY_CONFIG", "PROPTY_LOG"] {
        command.env_remove(name);
    }
    command.env("PROPTY_DATA_DIR", folder).env("PROPTY_MASTER_KEY", MASTER_KEY).stdin(Stdio::null());
    command
}

/// Runs a command of the binary to its end.
pub async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("an output")).await.expect("an end")
}

/// A process that can be started again as it was.
pub struct Process {
    command: Mutex<Command>,
    child: Mutex<Option<Child>>,
    /// Its standard error, of all its lives.
    pub stderr: PathBuf,
}

impl Process {
    /// Not started yet.
    pub fn new(command: Command, stderr: PathBuf) -> Self {
        Self { command: Mutex::new(command), child: Mutex::new(None), stderr }
    }

    /// Starts it; whoever starts it waits for its port.
    pub fn start(&self) {
        let log = OpenOptions::new().create(true).append(true).open(&self.stderr).expect("a log");
        let mut command = self.command.lock().expect("a command");
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("a process");
        watch('+', child.id());
        *self.child.lock().expect("a child") = Some(child);
    }

    /// `SIGKILL`: nothing is written, nothing is closed.
    pub fn kill9(&self) {
        if let Some(mut child) = self.child.lock().expect("a child").take() {
            let _ = child.kill();
            let _ = child.wait();
            watch('-', child.id());
        }
    }

    /// Asks it to stop by a signal such as `TERM`, and waits for it. Whether it ended well.
    pub async fn stop(&self, signal: &str) -> bool {
        let Some(mut child) = self.child.lock().expect("a child").take() else { return true };
        let kill = format!("kill -{signal} {}", child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("a signal");
        assert!(sent.success(), "the process had ended by itself: {}", self.log());
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a status") {
                watch('-', child.id());
                return status.success();
            }
            if started.elapsed() > Duration::from_secs(30) {
                let _ = child.kill();
                let _ = child.wait();
                watch('-', child.id());
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The memory that it holds, in MB; only Linux tells.
    pub fn memory(&self) -> Option<u64> {
        let id = self.child.lock().expect("a child").as_ref()?.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let held = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        held.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        let mut child = self.child.lock().expect("a child");
        child.as_mut().is_none_or(|child| child.try_wait().expect("a status").is_some())
    }

    /// What it wrote to its standard error so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.stderr).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}
