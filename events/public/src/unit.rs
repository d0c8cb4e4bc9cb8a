//! What is told of a unit.

use events::{PropertyId, UnitEvent};
use uuid::Uuid;

use crate::Tell;

public! {
    /// The life of a unit.
    pub enum UnitFact {
        /// A unit was entered for a property.
        Added = "unit.added" v 1 from "UnitAdded" when "Once per unit." {
            unit_id: Uuid,
            property_id: Uuid,
            /// As on the door.
            label: String,
        },
        /// The label on the door changed.
        Relabelled = "unit.relabelled" v 1 from "UnitRelabelled" when "When a manager corrects it." {
            unit_id: Uuid,
            label: String,
        },
    }
}

impl Tell for UnitFact {
    type Event = UnitEvent;

    fn tell(unit_id: Uuid, event: UnitEvent) -> Option<Self> {
        Some(match event {
            UnitEvent::UnitAdded { property_id, label } => {
                Self::Added { unit_id, property_id: property_id.0, label: label.into() }
            }
            UnitEvent::UnitRelabelled { label } => Self::Relabelled { unit_id, label: label.into() },
        })
    }

    fn property(event: &UnitEvent) -> Option<PropertyId> {
        match event {
            UnitEvent::UnitAdded { property_id, .. } => Some(*property_id),
            UnitEvent::UnitRelabelled { .. } => None,
        }
    }
}
