//! The suppression list: addresses that are not written to any more.

use edge::Problem;
use poem_openapi::Object;
use projections::{
    Paging,
    suppression::{self, Filter, SuppressionRow},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    instant::Instant,
    listing::{Listed, shown},
    operation::{self, Kind, ORGANIZATION_MANAGERS, Operation},
};

/// `GET /v1/suppressions`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/suppressions",
    tag: "Suppressions",
    summary: "List suppressed addresses, latest first",
    roles: ORGANIZATION_MANAGERS,
    reach: "Organization managers see the list of their organization.",
    filters: &[
        operation::Filter {
            name: "lifted",
            kind: Kind::Flag,
            description: "`false`: only entries that stand; `true`: only those that were lifted.",
            example: "false",
        },
        operation::RESIDENT,
    ],
    sorts: &["-suppressed_at"],
    example: include_str!("examples/suppression.json"),
};

/// An entry of the suppression list.
#[derive(Clone, Object)]
pub struct Suppression {
    pub suppression_id: Uuid,
    /// Null when it was erased.
    pub address: Option<String>,
    /// `HardBounce` or `Complaint`.
    pub cause: String,
    pub resident_id: Uuid,
    pub message_id: Uuid,
    pub suppressed_at: Instant,
    pub lifted_at: Option<Instant>,
    /// Why it was lifted.
    pub note: Option<String>,
    /// What `If-Match` expects.
    pub version: i64,
}

impl std::fmt::Debug for Suppression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suppression").field("suppression_id", &self.suppression_id).finish_non_exhaustive()
    }
}

impl From<SuppressionRow> for Suppression {
    fn from(row: SuppressionRow) -> Self {
        Self {
            suppression_id: row.suppression_id,
            address: row.address,
            cause: row.cause,
            resident_id: row.resident_id,
            message_id: row.message_id,
            suppressed_at: Instant(row.suppressed_at),
            lifted_at: row.lifted_at.map(Instant),
            note: row.note,
            version: row.version,
        }
    }
}

impl Listed for Suppression {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] =
        &["suppression_id", "address", "cause", "resident_id", "message_id", "suppressed_at", "lifted_at", "note"];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let filter = Filter {
            visibility: asked.visibility,
            lifted: asked.parameters.value("lifted"),
            resident: asked.parameters.value("resident_id"),
        };
        shown(suppression::list(connection, &filter, paging).await)
    }
}
