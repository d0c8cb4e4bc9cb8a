//! A stateful local double of Stripe, Resend and Twilio: one port, real HTTP, signed webhooks, and a switchboard for faults.
//!
//! Providers are mounted by path: `{url}/stripe`, `{url}/resend`, `{url}/twilio`; `{url}/` is a page that shows what
//! was sent, `{url}/switchboard` scripts faults and plays the world outside (a person who finishes onboarding, a bank
//! that settles). Production adapters speak to it unchanged.

#![recursion_limit = "256"]

mod config;
mod faults;
mod form;
mod front;
mod hosted;
mod http;
mod idempotency;
mod ids;
mod journal;
mod pace;
mod page;
mod pages;
mod resend;
mod server;
mod shared;
mod signatures;
mod store;
mod stripe;
mod switchboard;
mod switchboard_http;
mod switchboard_stripe;
mod switchboard_stripe_http;
mod twilio;
mod webhooks;
mod wires;

pub use config::{BusinessClock, Provider, SandboxConfig, TwilioAccount, WebhookTarget};
pub use faults::{Fault, FaultKind};
pub use server::{Sandbox, SandboxError};
pub use switchboard::{Switchboard, SwitchboardError};
