//! Payouts from Stripe accounts to the bank.

use chrono::NaiveDate;
use edge::Problem;
use poem_openapi::Object;
use projections::{
    Paging,
    payout::{self, Filter, PayoutView, SortBy},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    answer::Money,
    asked::Asked,
    instant::Instant,
    listing::{Listed, shown},
    operation::{self, ADMINS, Kind, Operation},
};

/// `GET /v1/payouts`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/payouts",
    tag: "Stripe accounts",
    summary: "List payouts to the bank",
    roles: ADMINS,
    reach: "Organization managers see the payouts of all accounts, property admins those of the account that their property uses.",
    filters: &[
        operation::Filter {
            name: "stripe_account_id",
            kind: Kind::Id,
            description: "Only this account.",
            example: "01980a3c-5b1e-7c52-9d7e-0c2f6d1b7a08",
        },
        operation::Filter {
            name: "status",
            kind: Kind::Choice(&["Pending", "InTransit", "Paid", "Canceled", "Failed"]),
            description: "Only this status.",
            example: "Paid",
        },
        operation::Filter {
            name: "arrives_from",
            kind: Kind::Date,
            description: "Arriving on this day or later.",
            example: "2026-01-01",
        },
        operation::Filter {
            name: "arrives_until",
            kind: Kind::Date,
            description: "Arriving on this day or earlier.",
            example: "2026-01-31",
        },
    ],
    sorts: &["-arrives_on", "arrives_on", "amount", "-amount"],
    example: include_str!("examples/payout.json"),
};

/// A payout, as Stripe tells of it.
#[derive(Debug, Clone, Object)]
pub struct Payout {
    pub payout_id: Uuid,
    /// Stripe's `po_…`.
    pub payout: String,
    pub stripe_account_id: Uuid,
    pub account_name: Option<String>,
    pub amount: Money,
    /// `Pending`, `InTransit`, `Paid`, `Canceled` or `Failed`.
    pub status: String,
    pub arrives_on: NaiveDate,
    /// Why the bank refused it: the money is back in the account's balance.
    pub failure: Option<String>,
    pub first_seen_at: Instant,
    pub changed_at: Instant,
}

impl From<PayoutView> for Payout {
    fn from(view: PayoutView) -> Self {
        let row = view.payout;
        Self {
            payout_id: row.payout_id,
            payout: row.payout,
            stripe_account_id: row.stripe_account_id,
            account_name: view.account_name,
            amount: Money::of(row.amount, &row.currency),
            status: row.status,
            arrives_on: row.arrives_on,
            failure: row.failure,
            first_seen_at: Instant(row.first_seen_at),
            changed_at: Instant(row.changed_at),
        }
    }
}

impl Listed for Payout {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "payout_id",
        "payout",
        "stripe_account_id",
        "account_name",
        "amount.amount",
        "amount.currency",
        "status",
        "arrives_on",
        "failure",
        "first_seen_at",
        "changed_at",
    ];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let parameters = &asked.parameters;
        let filter = Filter {
            visibility: asked.visibility,
            account: parameters.value("stripe_account_id"),
            status: parameters.value("status"),
            from: parameters.value("arrives_from"),
            until: parameters.value("arrives_until"),
        };
        let (key, descending) = parameters.order();
        let sort = if key == "amount" { SortBy::Amount } else { SortBy::ArrivesOn };
        shown(payout::list(connection, &filter, sort, descending, paging).await)
    }
}
