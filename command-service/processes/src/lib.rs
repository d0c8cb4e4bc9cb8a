//! Process managers as pure reactions, and the ports that they need.

pub mod accounts;
pub mod autopay;
pub mod bounces;
pub mod credits;
pub mod effect;
pub mod erasure;
pub mod jobs;
pub mod letters;
pub mod payments;
pub mod ports;
pub mod reaction;
pub mod reminders;
pub mod texts;
pub mod webhooks;

pub use effect::Effect;
pub use reaction::{Process, Step, processes};

#[cfg(test)]
mod tests;
