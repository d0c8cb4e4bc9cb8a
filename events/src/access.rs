//! Tokens of people and services, and residents' sign-in by e-mail.

use chrono::{DateTime, Utc};

use crate::{PropertyId, ResidentId, Role, text::Name};

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
            expires_at: DateTime<Utc>,
        },
        /// The token is refused from now on.
        AccessTokenRevoked = 1 {},
    }
}

events! {
    /// The life of a sign-in link and of the session that it opens.
    pub enum SignInEvent of "sign-in" {
        /// A link was asked for. Its secret is derived, never stored.
        SignInLinkRequested = 1 { resident_id: ResidentId, expires_at: DateTime<Utc> },
        /// The link was followed, once, and a session opened.
        SessionOpened = 1 { resident_id: ResidentId, expires_at: DateTime<Utc> },
        /// The resident signed out, or a manager ended the session.
        SessionClosed = 1 {},
    }
}
