//! The mathematics of a log that anybody can check: leaves, trees, proofs, checkpoints, bundles. No I/O.

pub mod bundle;
pub mod checkpoint;
pub mod hash;
pub mod leaf;
pub mod note;
pub mod proof;
pub mod range;

pub use checkpoint::Checkpoint;
pub use hash::Hash;
pub use note::{KeyPair, Note, Vkey};
pub use range::{CompactRange, Node};
