//! A unit of a property: what is owned or rented, and what an invoice is for.

use crate::{PropertyId, text::Label};

events! {
    /// The life of a unit.
    pub enum UnitEvent of "unit" {
        /// A unit was entered for a property.
        UnitAdded = 1 { property_id: PropertyId, label: Label },
        /// The label on its door changed.
        UnitRelabelled = 1 { label: Label },
    }
}
