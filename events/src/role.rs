//! Who may act: people's roles, and the three that no person has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The capacity in which somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Role {
    /// All of an organization.
    OrganizationManager,
    /// One property, its settings included.
    PropertyAdmin,
    /// One property's daily business.
    PropertyManager,
    /// Own data only.
    Resident,
    /// Reads consent, messages and proofs; no commands.
    ComplianceAuditor,
    /// A service that reads the event stream.
    Integrator,
    /// Whoever has the server's shell; never reachable over HTTP.
    Operator,
    /// A process manager reacting to an event.
    Process,
    /// A provider whose signature was verified.
    Provider,
}

impl Role {
    /// The roles that a token or a session can carry.
    pub const PEOPLE: [Self; 6] = [
        Self::OrganizationManager,
        Self::PropertyAdmin,
        Self::PropertyManager,
        Self::Resident,
        Self::ComplianceAuditor,
        Self::Integrator,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::OrganizationManager => "OrganizationManager",
            Self::PropertyAdmin => "PropertyAdmin",
            Self::PropertyManager => "PropertyManager",
            Self::Resident => "Resident",
            Self::ComplianceAuditor => "ComplianceAuditor",
            Self::Integrator => "Integrator",
            Self::Operator => "Operator",
            Self::Process => "Process",
            Self::Provider => "Provider",
        }
    }
}

/// The text names no role.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no such role")]
pub struct UnknownRole;

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Operator, Self::Process, Self::Provider]
            .into_iter()
            .chain(Self::PEOPLE)
            .find(|role| role.name() == text)
            .ok_or(UnknownRole)
    }
}
