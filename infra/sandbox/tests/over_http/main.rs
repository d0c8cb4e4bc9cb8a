//! The sandbox as its users meet it: real HTTP over loopback.

mod accounts;
mod faults;
mod idempotency;
mod mail;
mod payments;
mod refunds;
mod state;
mod stripe_library;
mod texts;
mod webhooks;
mod world;
