//! The organization: the tenant, known by its name.

use events::{OrganizationEvent, OrganizationId, Role, text::Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision};

/// Enters an organization. For whoever runs the server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterOrganization {
    pub name: Name,
}

/// Changes the organization's name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameOrganization {
    pub name: Name,
}

refusals! {
    pub enum OrganizationRefusal {
        NotFound = Missing, "there is no such organization";
        RegisteredOtherwise = Conflict, "the organization is registered under another name; rename it instead";
    }
}

/// Registered or not.
#[derive(Debug, Default)]
pub struct Organization {
    pub name: Option<Name>,
}

impl Aggregate for Organization {
    type Event = OrganizationEvent;
    type Refusal = OrganizationRefusal;

    fn evolve(&mut self, event: &OrganizationEvent) {
        match event {
            OrganizationEvent::OrganizationRegistered { name } | OrganizationEvent::OrganizationRenamed { name } => {
                self.name = Some(name.clone());
            }
        }
    }
}

impl Command for RegisterOrganization {
    type Aggregate = Organization;
    const NAME: &'static str = "RegisterOrganization";
    const ROLES: &'static [Role] = &[Role::Operator];

    fn stream(&self, organization: OrganizationId) -> Uuid {
        organization.0
    }

    fn decide(self, state: &Organization, _: &Context) -> Decision<Organization> {
        match &state.name {
            None => Ok(vec![OrganizationEvent::OrganizationRegistered { name: self.name }]),
            Some(name) if *name == self.name => Ok(vec![]),
            Some(_) => Err(OrganizationRefusal::RegisteredOtherwise),
        }
    }

    fn example() -> Value {
        json!({ "name": "Evergreen Community Management" })
    }
}

impl Command for RenameOrganization {
    type Aggregate = Organization;
    const NAME: &'static str = "RenameOrganization";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::Operator];

    fn stream(&self, organization: OrganizationId) -> Uuid {
        organization.0
    }

    fn decide(self, state: &Organization, _: &Context) -> Decision<Organization> {
        match &state.name {
            None => Err(OrganizationRefusal::NotFound),
            Some(name) if *name == self.name => Ok(vec![]),
            Some(_) => Ok(vec![OrganizationEvent::OrganizationRenamed { name: self.name }]),
        }
    }

    fn example() -> Value {
        json!({ "name": "Evergreen Communities" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{from, given};

    fn registered() -> OrganizationEvent {
        OrganizationEvent::OrganizationRegistered { name: from("Evergreen") }
    }

    #[test]
    fn an_organization_is_registered_once() {
        let register = RegisterOrganization { name: from("Evergreen") };
        given::<Organization>([]).when(register.clone()).then([registered()]);
        given([registered()]).when(register).then([]);
        given([registered()])
            .when(RegisterOrganization { name: from("Other") })
            .then_refused(OrganizationRefusal::RegisteredOtherwise);
    }

    #[test]
    fn an_organization_is_renamed() {
        let rename = RenameOrganization { name: from("Pine") };
        let renamed = OrganizationEvent::OrganizationRenamed { name: from("Pine") };
        given([registered()]).when(rename.clone()).then([renamed.clone()]);
        given([registered(), renamed]).when(rename.clone()).then([]);
        given([]).when(rename).then_refused(OrganizationRefusal::NotFound);
    }
}
