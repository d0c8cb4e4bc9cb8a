//! Runs a private `PostgreSQL` in a data folder, so that nobody has to set one up.
//!
//! Everything lives in `<data folder>/postgres`: `cluster`, `socket`, `password`, `lock`, `log` and, where the machine has no `PostgreSQL`, `binaries-<version>`.
//! The server listens on a Unix socket in a private directory only and is durable (`fsync`, `synchronous_commit` on). All calls block.

mod account;
mod cluster;
mod connection;
mod error;
mod fetch;
mod find;
mod launch;
mod lock;
mod place;
mod postmaster;
mod secret;
mod server;
mod settings;
mod socket;

pub use connection::Connection;
pub use error::{StartError, StopError};
pub use server::Server;
pub use settings::Settings;

/// The oldest major version that works: read models stand behind `security_invoker` views.
pub const OLDEST_MAJOR: u32 = 15;
