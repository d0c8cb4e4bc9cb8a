//! The machine and the server's settings that figures depend on.

use std::{fmt, fs};

use serde::Serialize;
use sqlx::{PgPool, Row};

use crate::failure::Failure;

/// The machine; what cannot be found out is left empty.
#[derive(Debug, Serialize)]
pub struct Machine {
    cores: usize,
    memory_mb: Option<u64>,
    kernel: Option<String>,
    cpu: Option<String>,
}

impl Machine {
    pub fn read() -> Self {
        let file = |path: &str| fs::read_to_string(path).ok();
        let memory =
            file("/proc/meminfo").and_then(|text| field(&text, "MemTotal")?.split(' ').next()?.parse::<u64>().ok());
        Self {
            cores: std::thread::available_parallelism().map_or(0, Into::into),
            memory_mb: memory.map(|kilobytes| kilobytes / 1024),
            kernel: file("/proc/sys/kernel/osrelease").map(|text| format!("Linux {}", text.trim())),
            cpu: file("/proc/cpuinfo").and_then(|text| field(&text, "model name")),
        }
    }
}

/// The value of a line `name : value`.
pub fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "unknown".to_owned();
        let Self { cores, memory_mb, kernel, cpu } = self;
        write!(
            f,
            "{cores} cores ({}), {} MB, {}",
            cpu.clone().unwrap_or_else(unknown),
            memory_mb.map_or_else(unknown, |memory| memory.to_string()),
            kernel.clone().unwrap_or_else(unknown),
        )
    }
}

/// The server's settings that decide what a durable write costs.
#[derive(Debug, Serialize)]
pub struct Database {
    fsync: String,
    synchronous_commit: String,
    shared_buffers: String,
}

impl Database {
    /// With the server's version.
    pub async fn read(pool: &PgPool) -> Result<(String, Self), Failure> {
        let row = sqlx::query(
            "select current_setting('server_version') as version, current_setting('fsync') as fsync,
                    current_setting('synchronous_commit') as synchronous_commit,
                    current_setting('shared_buffers') as shared_buffers",
        )
        .fetch_one(pool)
        .await?;
        let settings = Self {
            fsync: row.try_get("fsync")?,
            synchronous_commit: row.try_get("synchronous_commit")?,
            shared_buffers: row.try_get("shared_buffers")?,
        };
        Ok((row.try_get("version")?, settings))
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fsync, synchronous_commit, shared_buffers } = self;
        write!(f, "fsync {fsync}, synchronous_commit {synchronous_commit}, shared_buffers {shared_buffers}")
    }
}
