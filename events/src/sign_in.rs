//! Residents' sign-in by a link in an e-mail, and the session that it opens.

use chrono::{DateTime, Utc};

use crate::ResidentId;

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
