//! What is told of the suppression list: whose address, never which.

use events::{PropertyId, SuppressionEvent, suppression as stored};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::Tell;

/// What put the address on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum SuppressionCause {
    HardBounce,
    Complaint,
}

public! {
    /// The life of one entry of the suppression list.
    pub enum SuppressionFact {
        /// A resident's address bounced for good or complained; nothing goes there from now on.
        Added = "suppression.added" v 1 from "AddressSuppressed" when "Once per address until it is lifted." {
            suppression_id: Uuid,
            resident_id: Uuid,
            message_id: Uuid,
            cause: SuppressionCause,
        },
        /// A person allowed the address again.
        Lifted = "suppression.lifted" v 1 from "SuppressionLifted" when "By a manager's decision." { suppression_id: Uuid },
    }
}

impl Tell for SuppressionFact {
    type Event = SuppressionEvent;

    fn tell(suppression_id: Uuid, event: SuppressionEvent) -> Option<Self> {
        Some(match event {
            SuppressionEvent::AddressSuppressed { address: _, resident_id, message_id, cause } => {
                let cause = match cause {
                    stored::SuppressionCause::HardBounce => SuppressionCause::HardBounce,
                    stored::SuppressionCause::Complaint => SuppressionCause::Complaint,
                };
                Self::Added { suppression_id, resident_id: resident_id.0, message_id: message_id.0, cause }
            }
            SuppressionEvent::SuppressionLifted { note: _ } => Self::Lifted { suppression_id },
        })
    }

    fn property(_: &SuppressionEvent) -> Option<PropertyId> {
        None
    }
}
