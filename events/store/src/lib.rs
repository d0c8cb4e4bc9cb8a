//! Append, order, subscribe, seal: the only owner of the event tables.

pub mod append;
pub mod audit;
pub mod checkpointer;
pub mod checkpoints;
pub mod clock;
pub mod database;
pub mod disclosure;
mod excerpt;
pub mod follower;
mod group;
pub mod idempotency;
pub mod keyring;
pub mod lease;
mod loads;
pub mod master_key;
pub mod migrations;
pub mod positions;
mod queue;
pub mod replay;
pub mod seal;
pub mod sequencer;
pub mod signing;
pub mod store;
pub mod subscription;
pub mod tree;
pub mod witness;

pub use append::{AppendError, Appended, CommandContext};
pub use checkpointer::Checkpointer;
pub use clock::BusinessClock;
pub use database::{Database, DatabaseError};
pub use idempotency::{IdempotencyKey, Stored};
pub use keyring::Keyring;
pub use master_key::MasterKey;
pub use store::{Store, StreamContext};
pub use subscription::{Page, Subscription};
pub use witness::Witness;
