//! The company that manages properties.

use crate::text::Name;

events! {
    /// The life of an organization.
    pub enum OrganizationEvent of "organization" {
        /// An organization began to use Propty.
        OrganizationRegistered = 1 { name: Name },
        /// Its name changed; e-mails carry the new one from now on.
        OrganizationRenamed = 1 { name: Name },
        /// Somebody had a piece of work tried again that had been left to a person.
        TaskResumed = 1 {
            /// As `propty outbox` shows it.
            key: String,
            /// What was to be done: `ChargeWhenDue`.
            name: String,
            /// How often by now.
            times: u32,
        },
        /// Somebody decided that a piece of work stays undone.
        TaskDropped = 1 { key: String, name: String },
    }
}
