//! Who caused an event, in which capacity, and because of what.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{OrganizationId, Role};

/// The facts that every event carries from day one. All values are strings at rest, as `cqrs-es` reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The tenant; compared with the caller's on every load.
    pub organization: OrganizationId,
    /// `token:…`, `resident:…`, `process:…`, `provider:…` or `operator`.
    pub actor: String,
    pub role: Role,
    /// Shared by everything that one outside cause set in motion.
    pub correlation: Uuid,
    /// The event that a process reacted to, as `stream/id/version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<String>,
    pub command: String,
    pub command_id: Uuid,
    /// The client's address, sealed by the event store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_address: Option<String>,
}
