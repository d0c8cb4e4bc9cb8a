//! Journeys: the binary driven from outside, as people and providers do.

mod authorization;
mod bad_input;
mod conditions;
mod crash;
mod expired;
mod faults;
mod import;
mod journey;
mod mail;
mod privacy;
mod private_database;
mod rebuild;
mod tenants;
mod webhooks;
mod world;
