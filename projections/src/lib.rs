//! Read models: a file per model with its row, its fold and its queries, and the machinery that fills and swaps them.

pub mod access_token;
pub mod apply;
pub mod autopay;
pub mod credit;
pub mod dashboard;
mod erased;
pub mod generation;
pub mod inbound_text;
pub mod invoice;
pub mod job;
pub mod job_item;
pub mod ledger;
pub mod leftovers;
pub mod message;
pub mod model;
pub mod movement;
pub mod organization;
pub mod payment;
pub mod payout;
pub mod position;
pub mod projector;
pub mod property;
pub mod query;
pub mod rebuild;
pub mod residency;
pub mod resident;
pub mod session;
pub mod sms_consent;
pub mod sms_number;
pub mod status;
pub mod stream_event;
pub mod stripe_account;
pub mod suppression;

pub mod text;
pub mod text_message;
pub mod unit;
pub mod webhook;

pub use event_store::tenant;
pub use model::{FoldError, Model, ReadModel, models};
pub use position::Freshness;
pub use projector::Projector;
pub use query::{Cursor, Page, Paging, QueryError, Visibility};
