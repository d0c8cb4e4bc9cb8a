//! What residents have in credit, one row per resident and property.

use chrono::{DateTime, Utc};
use events::{CreditEvent, Recorded, credit::CreditSource};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    query::{Page, Paging, QueryError, Sort, Visibility, and, page, select, within},
};

/// The entries that a row keeps; older ones are in the log.
const KEPT: usize = 100;

/// Credits as they stand.
#[derive(Debug)]
pub struct Credits;

/// What made the credit grow or shrink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditItem {
    /// `Overpayment`, `Granted`, `Returned` or `Spent`.
    pub kind: String,
    /// Negative when it was spent.
    pub amount: i64,
    pub balance: i64,
    pub invoice_id: Option<Uuid>,
    pub payment_id: Option<Uuid>,
    pub note: Option<String>,
    pub at: DateTime<Utc>,
}

/// A resident's credit at one property. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditRow {
    pub credit_id: Uuid,
    pub organization_id: Uuid,
    pub property_id: Uuid,
    pub resident_id: Uuid,
    pub balance: i64,
    pub currency: String,
    /// The latest first.
    pub entries: Vec<CreditItem>,
    pub changed_at: DateTime<Utc>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl ReadModel for Credits {
    type Row = CreditRow;
    const NAME: &'static str = "credit";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("credit_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("property_id", "uuid not null"),
        ("resident_id", "uuid not null"),
        ("balance", "bigint not null"),
        ("currency", "text not null"),
        ("entries", "json not null"),
        ("changed_at", "timestamptz not null"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] = &["(resident_id)", "(organization_id, changed_at, credit_id)"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "credit" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<CreditRow>, key: Uuid, event: &Recorded) -> Result<Option<CreditRow>, FoldError> {
        let Some(change) = event.event::<CreditEvent>()? else { return Ok(row) };
        let (mut row, balance, item) = match change {
            CreditEvent::CreditAdded { property_id, resident_id, amount, balance, source } => {
                let row = row.unwrap_or_else(|| CreditRow {
                    credit_id: key,
                    organization_id: event.organization.0,
                    property_id: property_id.0,
                    resident_id: resident_id.0,
                    balance: 0,
                    currency: amount.currency().code().to_owned(),
                    entries: vec![],
                    changed_at: event.recorded_at,
                    version: 0,
                });
                let item = CreditItem::new("Returned", amount.amount(), balance.amount(), event);
                let item = match source {
                    CreditSource::Overpayment { invoice_id, payment_id, .. } => CreditItem {
                        kind: "Overpayment".to_owned(),
                        invoice_id: Some(invoice_id.0),
                        payment_id: Some(payment_id.0),
                        ..item
                    },
                    CreditSource::Granted { note, .. } => {
                        CreditItem { kind: "Granted".to_owned(), note: Some(note.into()), ..item }
                    }
                    CreditSource::Returned { invoice_id, .. } => CreditItem { invoice_id: Some(invoice_id.0), ..item },
                };
                (row, balance, item)
            }
            CreditEvent::CreditSpent { invoice_id, amount, balance, .. } => {
                let row = row.ok_or(FoldError::Unexpected("credit was spent before there was any"))?;
                let item = CreditItem::new("Spent", -amount.amount(), balance.amount(), event);
                (row, balance, CreditItem { invoice_id: Some(invoice_id.0), ..item })
            }
        };
        row.balance = balance.amount();
        row.entries.insert(0, item);
        row.entries.truncate(KEPT);
        row.changed_at = event.recorded_at;
        row.version = event.version;
        Ok(Some(row))
    }
}

impl CreditItem {
    fn new(kind: &str, amount: i64, balance: i64, event: &Recorded) -> Self {
        let at = event.recorded_at;
        Self { kind: kind.to_owned(), amount, balance, invoice_id: None, payment_id: None, note: None, at }
    }
}

/// A credit with what its property and resident are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditView {
    #[serde(flatten)]
    pub credit: CreditRow,
    pub property_name: Option<String>,
    pub time_zone: Option<String>,
    /// Null when it was erased.
    pub resident_name: Option<String>,
}

/// Which credits are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    pub property: Option<Uuid>,
    pub resident: Option<Uuid>,
    /// Only those with something left.
    pub available: bool,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    #[default]
    ChangedAt,
    Balance,
}

/// A page of credits.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    sort: SortBy,
    descending: bool,
    paging: &Paging,
) -> Result<Page<CreditView>, QueryError> {
    let mut query = select(
        "select credit.*, property.name as property_name, property.time_zone,
                nullif(concat_ws(' ', resident.first_name, resident.last_name), '') as resident_name
         from read.credit credit
         left join read.property property on property.property_id = credit.property_id
         left join read.resident resident on resident.resident_id = credit.resident_id
         where true",
    );
    within(&mut query, "credit.property_id", "credit.resident_id", filter.visibility);
    and(&mut query, "credit.property_id = ", filter.property);
    and(&mut query, "credit.resident_id = ", filter.resident);
    if filter.available {
        query.push(" and credit.balance > 0");
    }
    let sort = match sort {
        SortBy::ChangedAt => Sort::instant("changed_at", "credit_id"),
        SortBy::Balance => Sort::new("balance", "bigint", "credit_id"),
    };
    page(connection, query, &sort.directed(descending), paging).await
}
