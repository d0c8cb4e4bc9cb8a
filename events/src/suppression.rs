//! An e-mail address that is not written to any more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EmailAddress, MessageId, ResidentId, Sealed};

/// What put the address on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SuppressionCause {
    HardBounce,
    Complaint,
}

events! {
    /// The life of one entry of an organization's suppression list.
    pub enum SuppressionEvent of "suppression" {
        /// The address bounced for good or complained; nothing goes there from now on.
        AddressSuppressed = 1 {
            address: Sealed<EmailAddress>,
            resident_id: ResidentId,
            message_id: MessageId,
            cause: SuppressionCause,
        },
        /// A person allowed the address again.
        SuppressionLifted = 1 { note: crate::text::Line<200> },
    }
}
