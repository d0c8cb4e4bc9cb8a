//! Residents: the list with its search, and one with every stay.

use chrono::NaiveDate;
use edge::Problem;
use events::resident::{Retained, RetentionRule};
use poem_openapi::Object;
use projections::{
    Paging,
    resident::{self, Filter, HomeItem, ResidentRow},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    detail::{Detailed, Stream},
    instant::Instant,
    listing::{Listed, shown},
    operation::{self, Kind, MANAGERS, Operation},
    reading::refused,
};

/// `GET /v1/residents`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/residents",
    tag: "Residents",
    summary: "Search residents",
    roles: MANAGERS,
    reach: "Managers see who lives or lived in their scope.",
    filters: &[
        operation::Filter {
            name: "search",
            kind: Kind::Text,
            description: "Words, each part of the name or e-mail address; case and accents do not matter.",
            example: "munoz",
        },
        operation::PROPERTY,
        operation::UNIT,
        operation::Filter {
            name: "status",
            kind: Kind::Choice(&["Active", "Inactive"]),
            description: "Only those who are written to, or only the others.",
            example: "Active",
        },
    ],
    sorts: &["name"],
    example: include_str!("examples/resident.json"),
};

/// `GET /v1/residents/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/residents/{id}",
    tag: "Residents",
    summary: "Show a resident with every stay",
    roles: MANAGERS,
    reach: "Managers see who lives or lived in their scope. Residents find themselves at `/v1/me`.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/resident_detail.json"),
};

/// A unit that a resident lives in now.
#[derive(Debug, Clone, Object)]
pub struct Home {
    pub property_id: Uuid,
    pub unit_id: Uuid,
    /// `Owner`, `Tenant` or `Occupant`.
    pub tenure: String,
    /// Since this day.
    pub on: NaiveDate,
}

/// What is kept although the erasure was asked for.
#[derive(Debug, Clone, Object)]
pub struct Kept {
    /// `consent` or `finance`.
    pub purpose: String,
    /// The day on which it is destroyed.
    pub until: NaiveDate,
    /// `ConsentEvidence` or `FinancialRecords`.
    pub rule: String,
    /// The rule in words.
    pub reason: String,
}

impl From<Retained> for Kept {
    fn from(kept: Retained) -> Self {
        let rule = kept.rule.unwrap_or(RetentionRule::of(kept.purpose));
        Self {
            purpose: kept.purpose.name().to_owned(),
            until: kept.until,
            rule: format!("{rule:?}"),
            reason: rule.reason().to_owned(),
        }
    }
}

/// A resident. What is personal is null when it is unknown or was erased.
#[derive(Clone, Object)]
pub struct Resident {
    pub resident_id: Uuid,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    /// From the record; never consent to be texted.
    pub phone: Option<String>,
    /// ISO 639-1.
    pub language: String,
    /// `Active` or `Inactive`.
    pub status: String,
    pub homes: Vec<Home>,
    pub registered_at: Instant,
    pub erased_at: Option<Instant>,
    /// What the law keeps of an erased resident for now; shown to nobody but auditors.
    pub retained: Vec<Kept>,
    /// What `If-Match` expects.
    pub version: i64,
}

impl std::fmt::Debug for Resident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resident").field("resident_id", &self.resident_id).finish_non_exhaustive()
    }
}

/// A stay in a unit, present or past.
#[derive(Debug, Clone, Object)]
pub struct Stay {
    pub property_id: Uuid,
    pub property_name: Option<String>,
    pub unit_id: Uuid,
    pub unit_label: Option<String>,
    /// `Owner`, `Tenant` or `Occupant`.
    pub tenure: Option<String>,
    pub moved_in_on: Option<NaiveDate>,
    pub moved_out_on: Option<NaiveDate>,
}

/// A resident and every stay.
#[derive(Debug, Clone, Object)]
pub struct ResidentDetail {
    #[oai(flatten)]
    pub resident: Resident,
    /// Present ones first.
    pub stays: Vec<Stay>,
}

impl From<ResidentRow> for Resident {
    fn from(row: ResidentRow) -> Self {
        Self {
            resident_id: row.resident_id,
            first_name: row.first_name,
            last_name: row.last_name,
            email: row.email,
            phone: row.phone,
            language: row.language,
            status: row.status,
            homes: row.homes.into_iter().map(Home::from).collect(),
            registered_at: Instant(row.registered_at),
            erased_at: row.erased_at.map(Instant),
            retained: row.retained.into_iter().map(Kept::from).collect(),
            version: row.version,
        }
    }
}

impl From<HomeItem> for Home {
    fn from(item: HomeItem) -> Self {
        Self { property_id: item.property_id, unit_id: item.unit_id, tenure: item.tenure, on: item.on }
    }
}

impl From<resident::ResidentDetail> for ResidentDetail {
    fn from(detail: resident::ResidentDetail) -> Self {
        Self { resident: detail.resident.into(), stays: detail.stays.into_iter().map(Stay::from).collect() }
    }
}

impl From<resident::Home> for Stay {
    fn from(home: resident::Home) -> Self {
        Self {
            property_id: home.property_id,
            property_name: home.property_name,
            unit_id: home.unit_id,
            unit_label: home.unit_label,
            tenure: home.tenure,
            moved_in_on: home.moved_in_on,
            moved_out_on: home.moved_out_on,
        }
    }
}

impl Listed for Resident {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "resident_id",
        "first_name",
        "last_name",
        "email",
        "phone",
        "language",
        "status",
        "registered_at",
        "erased_at",
        "version",
    ];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let parameters = &asked.parameters;
        let filter = Filter {
            visibility: asked.visibility,
            search: parameters.value("search"),
            property: parameters.value("property_id"),
            unit: parameters.value("unit_id"),
            status: parameters.value("status"),
        };
        shown(resident::list(connection, &filter, paging).await)
    }
}

impl Detailed for ResidentDetail {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let found = resident::detail(connection, asked.visibility, id).await.map_err(refused)?;
        Ok(found.map(Self::from))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("resident", self.resident.resident_id), self.resident.version))
    }

    fn related(&self) -> Vec<Stream> {
        self.stays.iter().flat_map(|stay| [("property", stay.property_id), ("unit", stay.unit_id)]).collect()
    }
}
