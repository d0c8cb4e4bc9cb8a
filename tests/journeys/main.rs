//! Journeys: the binary driven from outside, as people and providers do.

mod apart;
mod audit;
mod authorization;
mod autopay;
mod bad_input;
mod bank_debits;
mod boundaries;
mod conditions;
mod crash;
mod events;
mod expired;
mod faults;
mod first_of_month;
mod import;
mod journey;
mod ledger;
mod mail;
mod privacy;
mod private_database;
mod rebuild;
mod restore;
mod tenants;
mod texts;
mod webhooks;
mod world;
