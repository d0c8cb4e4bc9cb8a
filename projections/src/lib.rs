//! Read models: a file per model with its row, its fold and its queries, and the machinery that fills and swaps them.

pub mod access_token;
pub mod apply;
pub mod generation;
pub mod invoice;
pub mod model;
pub mod projector;
pub mod rebuild;
pub mod session;

pub use model::{FoldError, Model, ReadModel, models};
pub use projector::Projector;
