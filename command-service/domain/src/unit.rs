//! A unit of a property.

use events::{OrganizationId, PropertyId, Role, UnitEvent, UnitId, text::Label};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, Facts, Need, Scope};

const MANAGERS: &[Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Operator];

/// Enters a unit of a property.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddUnit {
    pub unit_id: UnitId,
    pub property_id: PropertyId,
    pub label: Label,
}

/// Changes the label on a unit's door.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelabelUnit {
    pub unit_id: UnitId,
    pub label: Label,
}

refusals! {
    pub enum UnitRefusal {
        NotFound = Missing, "there is no such unit";
        NoSuchProperty = Invalid, "there is no such property; add it first";
        AddedOtherwise = Conflict, "a unit with this id exists elsewhere or under another label";
    }
}

/// Where the unit is.
#[derive(Debug, Default)]
pub struct Unit {
    pub property: Option<PropertyId>,
    pub label: Option<Label>,
}

impl Aggregate for Unit {
    type Event = UnitEvent;
    type Refusal = UnitRefusal;

    fn evolve(&mut self, event: &UnitEvent) {
        match event {
            UnitEvent::UnitAdded { property_id, label } => {
                self.property = Some(*property_id);
                self.label = Some(label.clone());
            }
            UnitEvent::UnitRelabelled { label } => self.label = Some(label.clone()),
        }
    }

    fn scope(&self) -> Scope {
        self.property.map(Scope::property).unwrap_or_default()
    }
}

impl Command for AddUnit {
    type Aggregate = Unit;
    const NAME: &'static str = "AddUnit";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.unit_id.0
    }

    fn scope(&self, _: &Unit) -> Scope {
        Scope::property(self.property_id)
    }

    fn needs(&self, _: &Unit, _: &Facts) -> Vec<Need> {
        vec![Need::Property(self.property_id)]
    }

    fn decide(self, state: &Unit, context: &Context) -> Decision<Unit> {
        if context.facts.property.as_ref().is_none_or(|property| property.details.is_none()) {
            return Err(UnitRefusal::NoSuchProperty);
        }
        match (state.property, &state.label) {
            (None, _) => Ok(vec![UnitEvent::UnitAdded { property_id: self.property_id, label: self.label }]),
            (Some(property), Some(label)) if property == self.property_id && *label == self.label => Ok(vec![]),
            _ => Err(UnitRefusal::AddedOtherwise),
        }
    }

    fn example() -> Value {
        json!({
            "unit_id": "01935c2e-0000-7000-8000-000000000101",
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "label": "4B"
        })
    }
}

impl Command for RelabelUnit {
    type Aggregate = Unit;
    const NAME: &'static str = "RelabelUnit";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.unit_id.0
    }

    fn decide(self, state: &Unit, _: &Context) -> Decision<Unit> {
        match &state.label {
            None => Err(UnitRefusal::NotFound),
            Some(label) if *label == self.label => Ok(vec![]),
            Some(_) => Ok(vec![UnitEvent::UnitRelabelled { label: self.label }]),
        }
    }

    fn example() -> Value {
        json!({ "unit_id": "01935c2e-0000-7000-8000-000000000101", "label": "4C" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        fixtures::{PROPERTY, UNIT, community, unit},
        from, given, state,
    };

    #[test]
    fn a_unit_is_added_to_a_property_once() {
        let add = AddUnit { unit_id: UNIT, property_id: PROPERTY, label: from("4B") };
        given([]).facts(community()).accepts(add.clone(), [unit()]);
        let relabelled = AddUnit { label: from("4C"), ..add.clone() };
        given([unit()]).facts(community()).refuses(relabelled, UnitRefusal::AddedOtherwise);
        let moved = AddUnit { property_id: PropertyId(Uuid::from_u128(9)), ..add.clone() };
        given([unit()]).facts(community()).refuses(moved, UnitRefusal::AddedOtherwise);
        given([]).refuses(add, UnitRefusal::NoSuchProperty);
        assert_eq!(state::<Unit>([unit()]).scope(), Scope::property(PROPERTY));
    }

    #[test]
    fn a_unit_is_relabelled() {
        let relabel = RelabelUnit { unit_id: UNIT, label: from("4C") };
        given([unit()]).accepts(relabel.clone(), [UnitEvent::UnitRelabelled { label: from("4C") }]);
        given([]).refuses(relabel, UnitRefusal::NotFound);
    }
}
