//! The event store against a real database server.

mod append;
mod audit;
mod bundles;
mod checkpoints;
mod clock;
mod group;
mod idempotency;
mod lease;
mod loads;
mod master_key;
mod migration;
mod note;
mod rights;
mod rotation;
mod sealing;
mod sequencer;
mod server;
mod subscription;
mod takeover;
mod upcasting;
mod waiting;
mod world;
