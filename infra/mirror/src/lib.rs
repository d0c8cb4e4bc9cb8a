//! Appends every event of the log, in order, to EventStoreDB or KurrentDB: once each, under the same ids whenever it is repeated.

mod append;
mod connection;
mod lead;
mod name;
mod record;
mod send;

pub use append::Divergence;
pub use connection::{Target, TargetError};
pub use lead::{Mirror, MirrorError};
pub use name::{organization_prefix, stream_name};
pub use record::event_id;
