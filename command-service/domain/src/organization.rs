//! The organization: the tenant, known by its name.

use std::collections::{BTreeMap, BTreeSet};

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

/// Has a piece of work tried again that was left to a person. For whoever runs the server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeTask {
    pub key: String,
    pub name: String,
    /// How often it was, with this time.
    pub times: u32,
}

/// Leaves a piece of work undone for good. For whoever runs the server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropTask {
    pub key: String,
    pub name: String,
}

refusals! {
    pub enum OrganizationRefusal {
        NotFound = Missing, "there is no such organization";
        Dropped = Conflict, "the piece of work was left undone for good";
        RegisteredOtherwise = Conflict, "the organization is registered under another name; rename it instead";
    }
}

/// Registered or not.
#[derive(Debug, Default)]
pub struct Organization {
    pub name: Option<Name>,
    resumed: BTreeMap<String, u32>,
    dropped: BTreeSet<String>,
}

impl Aggregate for Organization {
    type Event = OrganizationEvent;
    type Refusal = OrganizationRefusal;

    fn evolve(&mut self, event: &OrganizationEvent) {
        match event {
            OrganizationEvent::OrganizationRegistered { name } | OrganizationEvent::OrganizationRenamed { name } => {
                self.name = Some(name.clone());
            }
            OrganizationEvent::TaskResumed { key, times, .. } => {
                self.resumed.insert(key.clone(), *times);
            }
            OrganizationEvent::TaskDropped { key, .. } => {
                self.dropped.insert(key.clone());
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

impl Command for ResumeTask {
    type Aggregate = Organization;
    const NAME: &'static str = "ResumeTask";
    const ROLES: &'static [Role] = &[Role::Operator];

    fn stream(&self, organization: OrganizationId) -> Uuid {
        organization.0
    }

    fn decide(self, state: &Organization, _: &Context) -> Decision<Organization> {
        if state.name.is_none() {
            return Err(OrganizationRefusal::NotFound);
        }
        if state.dropped.contains(&self.key) {
            return Err(OrganizationRefusal::Dropped);
        }
        let Self { key, name, times } = self;
        let known = state.resumed.get(&key).is_some_and(|known| *known >= times);
        Ok(if known { vec![] } else { vec![OrganizationEvent::TaskResumed { key, name, times }] })
    }

    fn example() -> Value {
        json!({
            "key": "1/autopay/01935c2e-0000-7000-8000-000000000001/invoice/01935c2e-0000-7000-8000-000000000301/2/0",
            "name": "ChargeWhenDue",
            "times": 1
        })
    }
}

impl Command for DropTask {
    type Aggregate = Organization;
    const NAME: &'static str = "DropTask";
    const ROLES: &'static [Role] = &[Role::Operator];

    fn stream(&self, organization: OrganizationId) -> Uuid {
        organization.0
    }

    fn decide(self, state: &Organization, _: &Context) -> Decision<Organization> {
        if state.name.is_none() {
            return Err(OrganizationRefusal::NotFound);
        }
        let Self { key, name } = self;
        let known = state.dropped.contains(&key);
        Ok(if known { vec![] } else { vec![OrganizationEvent::TaskDropped { key, name }] })
    }

    fn example() -> Value {
        json!({
            "key": "1/autopay/01935c2e-0000-7000-8000-000000000001/invoice/01935c2e-0000-7000-8000-000000000301/2/0",
            "name": "ChargeWhenDue"
        })
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
    fn a_persons_word_on_work_is_noted_once_each_time() {
        let resume = |times| ResumeTask { key: "1/autopay/x/0".into(), name: "ChargeWhenDue".into(), times };
        let resumed =
            |times| OrganizationEvent::TaskResumed { key: "1/autopay/x/0".into(), name: "ChargeWhenDue".into(), times };
        let drop = || DropTask { key: "1/autopay/x/0".into(), name: "ChargeWhenDue".into() };
        let dropped = OrganizationEvent::TaskDropped { key: "1/autopay/x/0".into(), name: "ChargeWhenDue".into() };
        given([registered()]).accepts(resume(1), [resumed(1)]);
        given([registered(), resumed(1)]).accepts(resume(2), [resumed(2)]);
        given([registered(), resumed(1)]).accepts(drop(), [dropped.clone()]);
        given([registered(), dropped]).refuses(resume(2), OrganizationRefusal::Dropped);
        given([]).refuses(resume(1), OrganizationRefusal::NotFound);
        given([]).refuses(drop(), OrganizationRefusal::NotFound);
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
