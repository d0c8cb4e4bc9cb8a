//! What residents have in credit.

use edge::Problem;
use poem_openapi::Object;
use projections::{
    Paging,
    credit::{self, CreditItem, CreditView, Filter, SortBy},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    answer::Money,
    asked::Asked,
    instant::Instant,
    listing::{Listed, shown},
    operation::{self, Kind, MANAGERS_AND_RESIDENTS, Operation},
};

/// `GET /v1/credits`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/credits",
    tag: "Credits",
    summary: "List what residents have in credit",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see the credits in their scope, residents their own.",
    filters: &[
        operation::PROPERTY,
        operation::RESIDENT,
        operation::Filter {
            name: "available",
            kind: Kind::Flag,
            description: "`true`: only those with something left.",
            example: "true",
        },
    ],
    sorts: &["-changed_at", "changed_at", "balance", "-balance"],
    example: include_str!("examples/credit.json"),
};

/// What made a credit grow or shrink.
#[derive(Debug, Clone, Object)]
pub struct CreditEntry {
    /// `Overpayment`, `Granted`, `Returned` or `Spent`.
    pub kind: String,
    /// Negative when it was spent.
    pub amount: Money,
    /// What was left afterwards.
    pub balance: Money,
    pub invoice_id: Option<Uuid>,
    pub payment_id: Option<Uuid>,
    /// The manager's word.
    pub note: Option<String>,
    pub at: Instant,
}

/// A resident's credit at one property. It pays invoices there and is money that was collected before.
#[derive(Debug, Clone, Object)]
pub struct Credit {
    pub credit_id: Uuid,
    pub balance: Money,
    pub property_id: Uuid,
    pub property_name: Option<String>,
    /// The IANA name of the property's zone.
    pub time_zone: Option<String>,
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub resident_name: Option<String>,
    /// The latest 100, latest first.
    pub entries: Vec<CreditEntry>,
    pub changed_at: Instant,
    /// What `If-Match` expects.
    pub version: i64,
}

impl From<CreditView> for Credit {
    fn from(view: CreditView) -> Self {
        let row = view.credit;
        Self {
            credit_id: row.credit_id,
            balance: Money::of(row.balance, &row.currency),
            property_id: row.property_id,
            property_name: view.property_name,
            time_zone: view.time_zone,
            resident_id: row.resident_id,
            resident_name: view.resident_name,
            entries: row.entries.into_iter().map(|entry| CreditEntry::of(entry, &row.currency)).collect(),
            changed_at: Instant(row.changed_at),
            version: row.version,
        }
    }
}

impl CreditEntry {
    fn of(item: CreditItem, currency: &str) -> Self {
        Self {
            kind: item.kind,
            amount: Money::of(item.amount, currency),
            balance: Money::of(item.balance, currency),
            invoice_id: item.invoice_id,
            payment_id: item.payment_id,
            note: item.note,
            at: Instant(item.at),
        }
    }
}

impl Listed for Credit {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "credit_id",
        "balance.amount",
        "balance.currency",
        "property_id",
        "property_name",
        "time_zone",
        "resident_id",
        "resident_name",
        "changed_at",
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
            property: parameters.value("property_id"),
            resident: parameters.value("resident_id"),
            available: parameters.value("available").unwrap_or_default(),
        };
        let (key, descending) = parameters.order();
        let sort = if key == "balance" { SortBy::Balance } else { SortBy::ChangedAt };
        shown(credit::list(connection, &filter, sort, descending, paging).await)
    }
}
