//! The HTTP query API: lists, details and dashboards over the read models, with their `OpenAPI` and reference page.

#![allow(
    clippy::struct_field_names,
    clippy::struct_excessive_bools,
    reason = "the fields are the API's words: `invoice_id` is called so in an invoice as in a payment"
)]

mod access_token;
mod answer;
mod api;
mod asked;
mod audit;
mod audit_page;
mod audit_trail;
mod autopay;
mod autopay_card;
mod autopay_run;
mod autopay_shape;
mod behind;
mod credit;
mod csv;
mod cursor;
mod dashboard;
mod detail;
mod event;
pub mod feed;
mod history;
mod inbound_text;
mod instant;
mod invoice;
mod job;
mod ledger;
pub mod ledger_export;
mod listing;
mod me;
mod message;
mod openapi;
mod operation;
mod parameters;
mod payment;
mod payment_shape;
mod payout;
mod property;
mod reading;
mod reference;
mod resident;
mod sms_consent;
mod state;
mod stripe_account;
mod suppression;
mod text_message;
mod transparency;
mod transparency_shape;
mod unit;
mod webhook;

pub use api::{Api, contract_routes, routes};
pub use audit::{Reader, record_reading};
pub use behind::Behind;
pub use event::contract;
pub use feed::Feed;
pub use openapi::openapi;
pub use operation::{FEED, Filter, Kind, OPERATIONS, Operation, authorization_table};
pub use reading::{MIN_POSITION, POSITION};
pub use reference::reference_page;
pub use state::QueryState;
