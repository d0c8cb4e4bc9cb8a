//! Journeys: the binary driven from outside, as people and providers do.

mod crash;
mod faults;
mod journey;
mod private_database;
mod webhooks;
mod world;
