//! The company that manages properties.

use crate::text::Name;

events! {
    /// The life of an organization.
    pub enum OrganizationEvent of "organization" {
        /// An organization began to use Propty.
        OrganizationRegistered = 1 { name: Name },
        /// Its name changed; e-mails carry the new one from now on.
        OrganizationRenamed = 1 { name: Name },
    }
}
