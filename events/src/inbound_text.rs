//! Texts from numbers that no resident has: kept apart from every organization.

use chrono::{DateTime, Utc};

use crate::{Phone, Sealed, sms_consent::Reading};

events! {
    /// The life of a text from an unknown sender. These streams belong to the installation (the nil organization), so that no
    /// tenant learns of another's correspondents.
    pub enum InboundTextEvent of "inbound-text" {
        /// A text came from a number that no organization knows.
        UnknownSenderReceived = 1 {
            number: Sealed<Phone>,
            body: Sealed<String>,
            reading: Reading,
            /// The provider's id of it.
            provider_id: String,
            received_at: DateTime<Utc>,
        },
    }
}
