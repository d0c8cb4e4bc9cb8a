//! The mirror against a stand-in for the other database, which fails where it hurts most.

mod arriving;
mod failing;
mod parting;
mod process;
#[path = "../../../../events/store/tests/store/server.rs"]
mod server;
mod world;
