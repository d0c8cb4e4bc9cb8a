//! `propty serve` in a process of its own, as an operator would start it.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{connection::Connection, machine::field};
use crate::{cli::Place, failure::Failure};

const PATIENCE: Duration = Duration::from_secs(120);
const ASK: Duration = Duration::from_millis(3);

/// The process. It is killed when dropped without having been stopped.
pub struct Served {
    child: Option<Child>,
    pub address: SocketAddr,
    /// From the start of the process to the first `ready`.
    pub ready_after: Duration,
}

impl Served {
    pub async fn start(place: &Place) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|source| Failure::File { path: "propty".to_owned(), source })?;
        let address = free_address()?;
        let mut command = Command::new(&program);
        command.arg("--data-dir").arg(&place.data_dir);
        if let Some(config) = &place.config {
            command.arg("--config").arg(config);
        }
        match &place.database_url {
            Some(url) => command.env("DATABASE_URL", url),
            None => command.env_remove("DATABASE_URL"),
        };
        // With keys there is no sandbox in the process; nothing that is measured has an effect that would use them.
        command
            .arg("serve")
            .env("PROPTY_LISTEN", address.to_string())
            .env_remove("PROPTY_PUBLIC_URL")
            .env("STRIPE_SECRET_KEY", "sk_test_bench")
            .env("RESEND_API_KEY", "re_bench")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Instant::now();
        let child = command.spawn().map_err(|source| Failure::File { path: program.display().to_string(), source })?;
        let mut served = Self { child: Some(child), address, ready_after: Duration::ZERO };
        while !ready(address).await {
            if served.has_ended() || started.elapsed() > PATIENCE {
                return Err(Failure::Told("`propty serve` did not become ready; run it by hand to see why".to_owned()));
            }
            tokio::time::sleep(ASK).await;
        }
        served.ready_after = started.elapsed();
        Ok(served)
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// The memory that the process holds (`VmRSS`) or held at most (`VmHWM`), in MB; only Linux tells.
    pub fn memory(&self, name: &str) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.as_ref()?.id())).ok()?;
        let kilobytes: f64 = field(&status, name)?.split(' ').next()?.parse().ok()?;
        Some(kilobytes / 1024.0)
    }

    /// Stops it as an operator does, and waits.
    pub async fn stop(mut self) -> Result<(), Failure> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let stopped = tokio::task::spawn_blocking(move || {
            Command::new("sh").args(["-c", "kill -TERM \"$0\"", &child.id().to_string()]).status()?;
            child.wait()
        });
        let stopped = stopped.await.map_err(|error| Failure::Told(error.to_string()))?;
        stopped.map_err(|source| Failure::File { path: "propty serve".to_owned(), source })?;
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn ready(address: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::open(address).await else { return false };
    let request = b"GET /health/ready HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n";
    matches!(connection.exchange(request).await, Ok((200, _)))
}

fn free_address() -> Result<SocketAddr, Failure> {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|source| Failure::Listen { address: "127.0.0.1".to_owned(), source })
}
