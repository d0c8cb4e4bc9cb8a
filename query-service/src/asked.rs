//! The question behind a request: parameters, what the caller may see, and which moment it is.

use chrono::{DateTime, Utc};
use edge::{Caller, Problem};
use events::{OrganizationId, Role};
use poem::Request;
use projections::Visibility;
use uuid::Uuid;

use crate::{operation::Operation, parameters::Parameters, state::QueryState};

/// What was asked, and by whom.
#[derive(Debug, Clone)]
pub struct Asked {
    pub parameters: Parameters,
    pub organization: OrganizationId,
    pub visibility: Visibility,
    pub role: Role,
    /// Business clock.
    pub now: DateTime<Utc>,
    /// The thing that the path names; a text that is no UUID names nothing.
    pub id: Option<Uuid>,
}

impl Asked {
    /// Admits the caller and reads the query.
    pub fn read(
        state: &QueryState,
        operation: &Operation,
        caller: &Caller,
        request: &Request,
        id: Option<&str>,
    ) -> Result<Self, Problem> {
        caller.admit(operation.roles)?;
        Ok(Self {
            parameters: Parameters::read(operation, request)?,
            organization: caller.organization,
            visibility: visibility(caller),
            role: caller.role,
            now: state.clock.now(),
            id: id.and_then(|id| id.parse().ok()),
        })
    }
}

/// Residents see their own, whoever is bound to a property sees that one, the others all of their organization.
pub fn visibility(caller: &Caller) -> Visibility {
    let resident = match caller.role {
        // A resident's token without a resident sees nobody's.
        Role::Resident => Some(caller.resident.map_or(Uuid::nil(), |resident| resident.0)),
        _ => None,
    };
    Visibility { property: caller.property.map(|property| property.0), resident }
}

/// There is no such thing, or it is not the caller's to see.
pub fn missing() -> Problem {
    Problem::missing("there is nothing here under this id")
}
