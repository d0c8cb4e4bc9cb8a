//! Bearer tokens of people and services.

use chrono::{DateTime, Utc};

use crate::{PropertyId, Role, text::Name, webhook::TypeName};

events! {
    /// The life of a bearer token.
    pub enum AccessTokenEvent of "access-token" {
        /// A token was handed out, shown once; only its hash is kept.
        AccessTokenIssued = 1 {
            /// SHA-256 of the token, base64.
            hash: String,
            label: Name,
            role: Role,
            /// Absent: the whole organization.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            property_id: Option<PropertyId>,
            /// The types of public events that it reads; empty: all of them.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            types: Vec<TypeName>,
            expires_at: DateTime<Utc>,
        },
        /// The token is refused from now on.
        AccessTokenRevoked = 1 {},
    }
}
