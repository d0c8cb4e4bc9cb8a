//! Units with who lives in them.

use chrono::NaiveDate;
use edge::Problem;
use poem_openapi::Object;
use projections::{
    Paging,
    unit::{self, Filter, UnitView},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    detail::{Detailed, Stream},
    listing::{Listed, shown},
    operation::{self, Kind, MANAGERS_AND_RESIDENTS, Operation},
    reading::refused,
};

/// `GET /v1/units`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/units",
    tag: "Units",
    summary: "List units as people count them: 2 before 10",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see the units in their scope, residents those they live or lived in, without their neighbours.",
    filters: &[
        operation::PROPERTY,
        operation::Filter { name: "search", kind: Kind::Text, description: "Part of the label.", example: "12" },
    ],
    sorts: &["label"],
    example: include_str!("examples/unit.json"),
};

/// `GET /v1/units/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/units/{id}",
    tag: "Units",
    summary: "Show a unit",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see the units in their scope, residents those they live or lived in.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/unit.json"),
};

/// Who lives in a unit now.
#[derive(Debug, Clone, Object)]
pub struct Occupant {
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub name: Option<String>,
    /// `Owner`, `Tenant` or `Occupant`.
    pub tenure: Option<String>,
    pub moved_in_on: Option<NaiveDate>,
}

/// A unit and who lives in it.
#[derive(Debug, Clone, Object)]
pub struct Unit {
    pub unit_id: Uuid,
    pub label: String,
    pub property_id: Uuid,
    pub property_name: Option<String>,
    pub occupants: Vec<Occupant>,
    /// What `If-Match` expects.
    pub version: i64,
}

impl From<UnitView> for Unit {
    fn from(view: UnitView) -> Self {
        Self {
            unit_id: view.unit.unit_id,
            label: view.unit.label,
            property_id: view.unit.property_id,
            property_name: view.property_name,
            occupants: view.occupants.into_iter().map(Occupant::from).collect(),
            version: view.unit.version,
        }
    }
}

impl From<unit::Occupant> for Occupant {
    fn from(occupant: unit::Occupant) -> Self {
        let unit::Occupant { resident_id, name, tenure, moved_in_on } = occupant;
        Self { resident_id, name, tenure, moved_in_on }
    }
}

impl Listed for Unit {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &["unit_id", "label", "property_id", "property_name", "version"];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let parameters = &asked.parameters;
        let filter = Filter {
            visibility: asked.visibility,
            property: parameters.value("property_id"),
            search: parameters.value("search"),
        };
        shown(unit::list(connection, &filter, paging).await)
    }
}

impl Detailed for Unit {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        Ok(unit::detail(connection, asked.visibility, id).await.map_err(refused)?.map(Self::from))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("unit", self.unit_id), self.version))
    }

    /// Whoever moves in later has moved no stream that is shown now.
    fn ages(&self) -> bool {
        true
    }
}
