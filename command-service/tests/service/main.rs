//! The command service against a real database and fake providers, driven step by step.

mod accounts;
mod email;
mod engine;
mod fakes;
mod http;
mod intake;
mod jobs;
mod outbox;
mod payments;
mod proofs;
mod reactor;
mod refunds;
mod scope;
mod server;
mod world;
