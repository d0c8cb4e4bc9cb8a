//! The sandbox as its users meet it: real HTTP over loopback.

mod accounts;
mod autopay;
mod books;
mod faults;
mod hosted;
mod idempotency;
mod mail;
mod payments;
mod refunds;
mod state;
mod stripe_library;
mod texts;
mod webhooks;
mod world;
