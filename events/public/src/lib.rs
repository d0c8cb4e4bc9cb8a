//! What integrators are told: public event types with shapes, words and versions of their own, apart from how events are stored.
//!
//! Nothing personal is in them: ids, amounts, dates, words of a fixed list, and what is written on a door (names of organizations
//! and properties, their addresses, labels of units). What people typed about people (titles, notes, reasons) stays out, and so
//! does everything by which a card, a bank account or a session could be known.

#[macro_use]
mod macros;

pub mod asyncapi;
pub mod autopay;
pub mod catalogue;
pub mod cloud_event;
pub mod compatibility;
pub mod credit;
pub mod email;
pub mod invoice;
pub mod job;
pub mod organization;
pub mod payment;
pub mod property;
pub mod resident;
pub mod schema;
pub mod selection;
pub mod sms_consent;
pub mod stripe_account;
pub mod suppression;
pub mod text_message;
mod told;
pub mod unit;
pub mod values;

pub use cloud_event::{Envelope, Writer};
pub use selection::Selection;
pub use told::{Belongs, PublicEvent, Told, UNTOLD, Unreadable, belongs, tell, types};

/// A public type as it was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// `invoice.published`
    pub name: &'static str,
    pub version: u32,
    /// The `type` of its `CloudEvents`: `org.propty.invoice.published.v1`.
    pub kind: &'static str,
    /// `invoice.published.v1.json`
    pub schema_file: &'static str,
    /// The stored event that it is told from.
    pub from: &'static str,
    /// When it happens.
    pub when: &'static str,
    /// A stored event of version 1, of which the example is made.
    golden: &'static str,
}

/// The public types of one aggregate.
pub trait Public: serde::Serialize + schemars::JsonSchema {
    const TYPES: &'static [Declared];

    fn declared(&self) -> &'static Declared;
}

/// How the events of an aggregate are told.
pub trait Tell: Public + Sized {
    type Event: events::Event;

    /// What is told of an event, if anything: a new event does not compile until that is decided.
    fn tell(id: uuid::Uuid, event: Self::Event) -> Option<Self>;

    /// The property that the event itself names, where an aggregate belongs to the one that its first event names.
    fn property(event: &Self::Event) -> Option<events::PropertyId>;
}
