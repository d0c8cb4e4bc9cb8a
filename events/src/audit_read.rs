//! Readings of the audit trail: who looked at whose history, and as of when.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{NumberKey, Phone, PropertyId, ResidentId, Sealed};

/// Whose history was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuditSubject {
    Number {
        number: Sealed<Phone>,
        number_key: NumberKey,
    },
    Resident {
        resident_id: ResidentId,
    },
    Property {
        property_id: PropertyId,
    },
    /// The control of every text that was sent for a property, or for all.
    Control {
        property_id: Option<PropertyId>,
    },
    /// A list or a thing of the API, by its path; what an auditor reads beside the trail.
    Query {
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Uuid>,
    },
    /// All that the log tells of a resident, written to a file with its proof.
    Bundle {
        resident_id: ResidentId,
    },
}

events! {
    /// One reading of the audit trail. Who read it stands with the event.
    pub enum AuditReadEvent of "audit-read" {
        /// The history was read as of a position of the log.
        AuditTrailRead = 1 {
            subject: AuditSubject,
            /// The last position that could be seen.
            position: i64,
            /// The last instant that was asked for.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            at: Option<DateTime<Utc>>,
            /// `json`, `csv` or `html`.
            format: String,
        },
    }
}
