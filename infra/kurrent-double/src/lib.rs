//! A stand-in for EventStoreDB/KurrentDB: revisions and idempotency as the real one has them, and failures when a test asks for them.

mod database;
mod server;
#[expect(clippy::result_large_err, reason = "it is the error of the protocol's library")]
mod service;

/// The server's side of the protocol, compiled from the client's own protos.
#[allow(
    clippy::all,
    clippy::pedantic,
    missing_debug_implementations,
    clippy::unwrap_used,
    dead_code,
    reason = "generated code is judged by its generator"
)]
mod protos {
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
}

pub use database::{Event, Fault};
pub use server::Double;
