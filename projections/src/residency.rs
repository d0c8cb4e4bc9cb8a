//! Who lives or lived where, and since when.

use chrono::NaiveDate;
use events::{Recorded, ResidentEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    text::word,
};

/// Residents in units, present and past.
#[derive(Debug)]
pub struct Residencies;

/// A resident's last stay in a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidencyRow {
    pub residency_id: Uuid,
    pub organization_id: Uuid,
    pub resident_id: Uuid,
    pub property_id: Uuid,
    pub unit_id: Uuid,
    /// `Owner`, `Tenant` or `Occupant`; null when only the end of the stay is known.
    pub tenure: Option<String>,
    pub moved_in_on: Option<NaiveDate>,
    pub moved_out_on: Option<NaiveDate>,
}

impl ReadModel for Residencies {
    type Row = ResidencyRow;
    const NAME: &'static str = "residency";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("residency_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("resident_id", "uuid not null"),
        ("property_id", "uuid not null"),
        ("unit_id", "uuid not null"),
        ("tenure", "text"),
        ("moved_in_on", "date"),
        ("moved_out_on", "date"),
    ];
    const INDEXES: &'static [&'static str] =
        &["(resident_id)", "(unit_id)", "(property_id, resident_id)", "(organization_id, resident_id)"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        if event.stream != "resident" || !matches!(&*event.event_type, "ResidentMovedIn" | "ResidentMovedOut") {
            return Ok(vec![]);
        }
        Ok(match event.event::<ResidentEvent>()? {
            Some(ResidentEvent::ResidentMovedIn { unit_id, .. } | ResidentEvent::ResidentMovedOut { unit_id, .. }) => {
                vec![Uuid::new_v5(&event.stream_id, unit_id.0.as_bytes())]
            }
            _ => vec![],
        })
    }

    fn fold(row: Option<ResidencyRow>, key: Uuid, event: &Recorded) -> Result<Option<ResidencyRow>, FoldError> {
        let stay = |property: Uuid, unit: Uuid| ResidencyRow {
            residency_id: key,
            organization_id: event.organization.0,
            resident_id: event.stream_id,
            property_id: property,
            unit_id: unit,
            tenure: None,
            moved_in_on: None,
            moved_out_on: None,
        };
        Ok(match event.event::<ResidentEvent>()? {
            Some(ResidentEvent::ResidentMovedIn { property_id, unit_id, tenure, on }) => Some(ResidencyRow {
                tenure: Some(word(&tenure)?),
                moved_in_on: Some(on),
                ..stay(property_id.0, unit_id.0)
            }),
            Some(ResidentEvent::ResidentMovedOut { property_id, unit_id, on }) => {
                let row = row.unwrap_or_else(|| stay(property_id.0, unit_id.0));
                Some(ResidencyRow { moved_out_on: Some(on), ..row })
            }
            _ => row,
        })
    }
}
