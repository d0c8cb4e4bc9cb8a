//! Dashboards: what is owed, for how long, what came in this month, and what somebody has to look at.

use edge::Problem;
use poem_openapi::Object;
use projections::{dashboard, property};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    answer::Money,
    asked::Asked,
    detail::{Detailed, Stream},
    instant::Instant,
    operation::{ADMINS, MANAGERS, Operation},
    reading::refused,
};

/// `GET /v1/properties/{id}/dashboard`
pub const PROPERTY: Operation = Operation {
    method: "GET",
    path: "/v1/properties/{id}/dashboard",
    tag: "Dashboards",
    summary: "Show a property's dashboard",
    roles: MANAGERS,
    reach: "Managers see the properties in their scope.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/dashboard.json"),
};

/// `GET /v1/dashboard`
pub const ORGANIZATION: Operation = Operation {
    method: "GET",
    path: "/v1/dashboard",
    tag: "Dashboards",
    summary: "Show the dashboard of all properties",
    roles: MANAGERS,
    reach: "Organization managers see the totals of all properties, property roles those of their own.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/dashboard.json"),
};

/// Invoices of one status and currency.
#[derive(Debug, Clone, Object)]
pub struct StatusTotal {
    /// `Draft`, `Open`, `Paid`, `Overdue` or `Void`.
    pub status: String,
    pub count: i64,
    pub total: Money,
    pub paid: Money,
    /// Outstanding; zero for drafts and void invoices.
    pub balance: Money,
}

/// The outstanding balance of one age.
#[derive(Debug, Clone, Object)]
pub struct AgeTotal {
    /// `NotYetDue`, or days past due: `0-30`, `31-60`, `61-90`, `90+`.
    pub age: String,
    pub count: i64,
    pub balance: Money,
}

/// What came in during the current calendar month of each property's zone.
#[derive(Debug, Clone, Object)]
pub struct Collected {
    /// Received less reversed.
    pub collected: Money,
    pub received: Money,
    /// Refunds and corrections.
    pub reversed: Money,
    /// Processing fees that residents were charged on top.
    pub fees: Money,
    /// What Stripe kept of what was received, as far as it has told.
    pub processing_fees: Money,
}

/// Payouts to the bank that arrive in the current calendar month (UTC), of one status and currency.
#[derive(Debug, Clone, Object)]
pub struct PayoutTotal {
    /// `Pending`, `InTransit`, `Paid`, `Canceled` or `Failed`.
    pub status: String,
    pub count: i64,
    pub amount: Money,
}

/// What somebody has to look at.
#[derive(Debug, Clone, Object)]
pub struct Unresolved {
    pub payments: i64,
    pub messages: i64,
}

/// How a property or an organization stands.
#[derive(Debug, Clone, Object)]
pub struct Dashboard {
    /// The moment of the business clock that decides what is overdue and which month this is.
    pub at: Instant,
    pub by_status: Vec<StatusTotal>,
    pub aging: Vec<AgeTotal>,
    pub this_month: Vec<Collected>,
    /// Of the Stripe account in use, whole where properties share it; empty for those who may not see accounts.
    pub payouts: Vec<PayoutTotal>,
    /// Drafts that wait for publication.
    pub drafts: i64,
    pub unresolved: Unresolved,
}

impl Dashboard {
    /// The dashboard of one property, or of all that the caller may see.
    pub async fn read(asked: &Asked, connection: &mut PgConnection, property: Option<Uuid>) -> Result<Self, Problem> {
        let found = dashboard::dashboard(connection, asked.visibility, property, asked.now).await.map_err(refused)?;
        let payouts = if ADMINS.contains(&asked.role) { found.payouts } else { vec![] };
        Ok(Self {
            payouts: payouts.into_iter().map(PayoutTotal::from).collect(),
            at: Instant(asked.now),
            by_status: found.by_status.into_iter().map(StatusTotal::from).collect(),
            aging: found.aging.into_iter().map(AgeTotal::from).collect(),
            this_month: found.this_month.into_iter().map(Collected::from).collect(),
            drafts: found.drafts,
            unresolved: Unresolved { payments: found.unresolved.payments, messages: found.unresolved.messages },
        })
    }
}

impl From<dashboard::StatusTotal> for StatusTotal {
    fn from(total: dashboard::StatusTotal) -> Self {
        let money = |amount| Money::of(amount, &total.currency);
        let (all, paid, balance) = (money(total.total), money(total.paid), money(total.balance));
        Self { status: total.status, count: total.count, total: all, paid, balance }
    }
}

impl From<dashboard::AgeTotal> for AgeTotal {
    fn from(total: dashboard::AgeTotal) -> Self {
        Self { balance: Money::of(total.balance, &total.currency), age: total.age, count: total.count }
    }
}

impl From<dashboard::PayoutTotal> for PayoutTotal {
    fn from(total: dashboard::PayoutTotal) -> Self {
        Self { amount: Money::of(total.amount, &total.currency), status: total.status, count: total.count }
    }
}

impl From<dashboard::Collected> for Collected {
    fn from(month: dashboard::Collected) -> Self {
        let money = |amount| Money::of(amount, &month.currency);
        Self {
            collected: money(month.collected),
            received: money(month.received),
            reversed: money(month.reversed),
            fees: money(month.fees),
            processing_fees: money(month.processing_fees),
        }
    }
}

impl Detailed for Dashboard {
    const OPERATION: Operation = PROPERTY;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        if property::detail(connection, asked.visibility, id).await.map_err(refused)?.is_none() {
            return Ok(None);
        }
        Self::read(asked, connection, Some(id)).await.map(Some)
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        None
    }
}
