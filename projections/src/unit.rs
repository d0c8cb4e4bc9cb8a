//! Units of a property in the order in which people count them.

use events::{Recorded, UnitEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    text::natural,
};

pub use queries::{Filter, Occupant, UnitView, detail, list};

#[path = "unit_queries.rs"]
mod queries;

/// Units as they stand.
#[derive(Debug)]
pub struct Units;

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRow {
    pub unit_id: Uuid,
    pub organization_id: Uuid,
    pub property_id: Uuid,
    pub label: String,
    /// The label with its numbers padded, for sorting.
    pub label_key: String,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl ReadModel for Units {
    type Row = UnitRow;
    const NAME: &'static str = "unit";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("unit_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("property_id", "uuid not null"),
        ("label", "text not null"),
        ("label_key", "text collate \"C\" not null"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] =
        &["(property_id, label_key, unit_id)", "(organization_id, label_key, unit_id)"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "unit" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<UnitRow>, key: Uuid, event: &Recorded) -> Result<Option<UnitRow>, FoldError> {
        let Some(change) = event.event::<UnitEvent>()? else { return Ok(row) };
        Ok(Some(match change {
            UnitEvent::UnitAdded { property_id, label } => UnitRow {
                unit_id: key,
                organization_id: event.organization.0,
                property_id: property_id.0,
                label_key: natural(label.as_str()),
                label: label.into(),
                version: event.version,
            },
            UnitEvent::UnitRelabelled { label } => {
                let row = row.ok_or(FoldError::Unexpected("relabelled before it was added"))?;
                UnitRow { label_key: natural(label.as_str()), label: label.into(), version: event.version, ..row }
            }
        }))
    }
}
