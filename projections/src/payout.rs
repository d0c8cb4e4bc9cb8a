//! Payouts from Stripe accounts to the bank, as Stripe tells of them.

use chrono::{DateTime, NaiveDate, Utc};
use events::{Recorded, StripeAccountEvent};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    query::{Page, Paging, Query, QueryError, Sort, Visibility, and, page, select},
    text::word,
};

/// Payouts as they stand.
#[derive(Debug)]
pub struct Payouts;

/// A payout. The amount is minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutRow {
    /// Derived from the account and Stripe's id.
    pub payout_id: Uuid,
    pub organization_id: Uuid,
    pub stripe_account_id: Uuid,
    /// Stripe's `po_…`.
    pub payout: String,
    pub amount: i64,
    pub currency: String,
    /// `Pending`, `InTransit`, `Paid`, `Canceled` or `Failed`.
    pub status: String,
    pub arrives_on: NaiveDate,
    /// Why the bank refused it.
    pub failure: Option<String>,
    pub first_seen_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

impl ReadModel for Payouts {
    type Row = PayoutRow;
    const NAME: &'static str = "payout";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("payout_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("stripe_account_id", "uuid not null"),
        ("payout", "text not null"),
        ("amount", "bigint not null"),
        ("currency", "text not null"),
        ("status", "text not null"),
        ("arrives_on", "date not null"),
        ("failure", "text"),
        ("first_seen_at", "timestamptz not null"),
        ("changed_at", "timestamptz not null"),
    ];
    const INDEXES: &'static [&'static str] =
        &["(organization_id, arrives_on, payout_id)", "(stripe_account_id, arrives_on)"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        if event.stream != "stripe-account" || event.event_type != "PayoutRecorded" {
            return Ok(vec![]);
        }
        Ok(match event.event::<StripeAccountEvent>()? {
            Some(StripeAccountEvent::PayoutRecorded { payout, .. }) => {
                vec![Uuid::new_v5(&event.stream_id, payout.as_bytes())]
            }
            _ => vec![],
        })
    }

    fn fold(row: Option<PayoutRow>, key: Uuid, event: &Recorded) -> Result<Option<PayoutRow>, FoldError> {
        let Some(StripeAccountEvent::PayoutRecorded { payout, amount, status, arrives_on, failure }) = event.event()?
        else {
            return Ok(row);
        };
        Ok(Some(PayoutRow {
            payout_id: key,
            organization_id: event.organization.0,
            stripe_account_id: event.stream_id,
            payout,
            amount: amount.amount(),
            currency: amount.currency().code().to_owned(),
            status: word(&status)?,
            arrives_on,
            failure,
            first_seen_at: row.map_or(event.recorded_at, |row| row.first_seen_at),
            changed_at: event.recorded_at,
        }))
    }
}

/// A payout and what its account is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutView {
    #[serde(flatten)]
    pub payout: PayoutRow,
    pub account_name: Option<String>,
}

/// Which payouts are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    pub account: Option<Uuid>,
    /// As in [`PayoutRow::status`].
    pub status: Option<String>,
    /// Arriving on this day or later.
    pub from: Option<NaiveDate>,
    /// Inclusive.
    pub until: Option<NaiveDate>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    #[default]
    ArrivesOn,
    Amount,
}

/// Restricts to accounts that the caller may see: a property sees the one that it uses.
pub(crate) fn within_account(query: &mut Query, visibility: Visibility) {
    if let Some(property) = visibility.property {
        query
            .push(" and payout.stripe_account_id in (select stripe_account_id from read.property where property_id = ")
            .push_bind(property)
            .push(")");
    }
    if visibility.resident.is_some() {
        query.push(" and false");
    }
}

/// A page of payouts.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    sort: SortBy,
    descending: bool,
    paging: &Paging,
) -> Result<Page<PayoutView>, QueryError> {
    let mut query = select(
        "select payout.*, account.name as account_name
         from read.payout payout
         left join read.stripe_account account on account.stripe_account_id = payout.stripe_account_id
         where true",
    );
    within_account(&mut query, filter.visibility);
    and(&mut query, "payout.stripe_account_id = ", filter.account);
    and(&mut query, "payout.status = ", filter.status.clone());
    and(&mut query, "payout.arrives_on >= ", filter.from);
    and(&mut query, "payout.arrives_on <= ", filter.until);
    let sort = match sort {
        SortBy::ArrivesOn => Sort::new("arrives_on", "date", "payout_id"),
        SortBy::Amount => Sort::new("amount", "bigint", "payout_id"),
    };
    page(connection, query, &sort.directed(descending), paging).await
}
