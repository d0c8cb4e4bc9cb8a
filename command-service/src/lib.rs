//! Commands in, events out, effects done: the HTTP command API, webhook intake, processes and the effect worker.

pub mod courier;
pub mod effects;
pub mod engine;
pub mod fault;
pub mod http;
pub mod intake;
pub mod openapi;
pub mod outbox;
pub mod pace;
pub mod providers;
pub mod quarantine;
pub mod reactor;
pub mod recipients;
pub mod registry;
pub mod service;
pub mod worker;

pub use courier::Courier;
pub use engine::{Answer, Ask, Engine, Expect};
pub use fault::Fault;
pub use pace::Pace;
pub use providers::Providers;
pub use registry::Registry;
