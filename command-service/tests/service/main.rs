//! The command service against a real database and fake providers, driven step by step.

mod accounts;
mod charges;
mod debits;
mod disputes;
mod email;
mod engine;
mod fakes;
mod household;
mod http;
mod intake;
mod jobs;
mod last_look;
mod methods;
mod outbox;
mod payments;
mod proofs;
mod reactor;
mod reconcile;
mod refunds;
mod reminders;
mod retries;
mod scope;
mod server;
mod setups;
mod world;
