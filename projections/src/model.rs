//! What a read model is: a table of rows, each folded from the events that name its key.

use std::fmt::Debug;

use events::{Decode, Recorded};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{apply::Typed, generation::Shape};

/// A column's name and its SQL type.
pub type Column = (&'static str, &'static str);

/// One table of rows. Rows hold no wall clock and no serials, so that two rebuilds are byte-equal.
pub trait ReadModel: Send + Sync + 'static {
    /// Serialized with exactly the columns' names.
    type Row: Serialize + DeserializeOwned + Clone + Debug + Send + Sync;
    /// The view in schema `read`.
    const NAME: &'static str;
    /// Raised when the fold changes, so that the model is rebuilt.
    const VERSION: u32;
    /// The first is the key, a UUID; one is `organization_id`.
    const COLUMNS: &'static [Column];
    /// What follows `create index on <table>`.
    const INDEXES: &'static [&'static str] = &[];
    /// The column that names a resident, and those that are emptied when that resident is erased.
    const PERSONAL: Option<(&'static str, &'static [&'static str])> = None;
    /// The same for what serves the evidence of consent: emptied when that is not kept any more.
    const EVIDENCE: Option<(&'static str, &'static [&'static str])> = None;

    /// The rows that an event touches.
    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError>;

    /// The row after the event; `None` removes it.
    fn fold(row: Option<Self::Row>, key: Uuid, event: &Recorded) -> Result<Option<Self::Row>, FoldError>;
}

/// Why an event could not be folded; its key waits until this is mended.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    #[error(transparent)]
    Decode(#[from] Decode),
    #[error("{0}")]
    Unexpected(&'static str),
    #[error(transparent)]
    Money(#[from] events::money::MoneyError),
    #[error("a row could not be written or read as JSON")]
    Row(#[from] serde_json::Error),
}

/// A read model without its row type, as the machinery handles it.
pub type Model = Box<dyn Shape>;

/// Every read model; a new one adds its line.
pub fn models() -> Vec<Model> {
    vec![
        Typed::<crate::access_token::AccessTokens>::boxed(),
        Typed::<crate::autopay::Autopays>::boxed(),
        Typed::<crate::credit::Credits>::boxed(),
        Typed::<crate::inbound_text::InboundTexts>::boxed(),
        Typed::<crate::invoice::Invoices>::boxed(),
        Typed::<crate::job::Jobs>::boxed(),
        Typed::<crate::job_item::JobItems>::boxed(),
        Box::new(crate::ledger::Ledger),
        Typed::<crate::message::Messages>::boxed(),
        Typed::<crate::movement::Movements>::boxed(),
        Typed::<crate::organization::Organizations>::boxed(),
        Typed::<crate::payment::Payments>::boxed(),
        Typed::<crate::payout::Payouts>::boxed(),
        Typed::<crate::property::Properties>::boxed(),
        Typed::<crate::residency::Residencies>::boxed(),
        Typed::<crate::resident::Residents>::boxed(),
        Typed::<crate::session::Sessions>::boxed(),
        Typed::<crate::sms_consent::SmsConsents>::boxed(),
        Typed::<crate::sms_number::SmsNumbers>::boxed(),
        Typed::<crate::stream_event::StreamEvents>::boxed(),
        Typed::<crate::stripe_account::StripeAccounts>::boxed(),
        Typed::<crate::suppression::Suppressions>::boxed(),
        Typed::<crate::text_message::TextMessages>::boxed(),
        Typed::<crate::unit::Units>::boxed(),
        Typed::<crate::webhook::Webhooks>::boxed(),
    ]
}
