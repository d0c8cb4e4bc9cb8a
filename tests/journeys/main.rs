//! Journeys: the binary driven from outside, as people and providers do.

mod crash;
mod journey;
mod private_database;
mod world;
