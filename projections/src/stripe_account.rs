//! Connected Stripe accounts and what Stripe lets them do.

use chrono::{DateTime, Utc};
use events::{Recorded, StripeAccountEvent, stripe_account::Difference};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    query::{Page, Paging, Query, QueryError, Sort, Visibility, and, first, page, select},
    text::word,
};

/// Stripe accounts as they stand.
#[derive(Debug)]
pub struct StripeAccounts;

/// What the last comparison with Stripe's books found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconciliationItem {
    pub at: DateTime<Utc>,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// Balance transactions that were compared.
    pub compared: u32,
    pub differences: Vec<Difference>,
}

/// A connected Stripe account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeAccountRow {
    pub stripe_account_id: Uuid,
    pub organization_id: Uuid,
    pub name: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Stripe's `acct_…`.
    pub external_account: Option<String>,
    /// `NotConnected`, `OnboardingStarted`, `PendingVerification`, `Active`, `Restricted` or `Disabled`.
    pub status: String,
    /// `Connected` or `Disconnected`.
    pub badge: String,
    /// Why Stripe refused to open it.
    pub failure_code: Option<String>,
    pub requested_at: DateTime<Utc>,
    pub disconnected_at: Option<DateTime<Utc>>,
    /// The last one.
    pub reconciliation: Option<ReconciliationItem>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl ReadModel for StripeAccounts {
    type Row = StripeAccountRow;
    const NAME: &'static str = "stripe_account";
    const VERSION: u32 = 2;
    const COLUMNS: &'static [Column] = &[
        ("stripe_account_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("name", "text not null"),
        ("country", "text not null"),
        ("external_account", "text"),
        ("status", "text not null"),
        ("badge", "text not null"),
        ("failure_code", "text"),
        ("requested_at", "timestamptz not null"),
        ("disconnected_at", "timestamptz"),
        ("reconciliation", "json"),
        ("version", "bigint not null"),
    ];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "stripe-account" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<StripeAccountRow>, key: Uuid, event: &Recorded) -> Result<Option<StripeAccountRow>, FoldError> {
        let Some(change) = event.event::<StripeAccountEvent>()? else { return Ok(row) };
        let known = || row.clone().ok_or(FoldError::Unexpected("a Stripe account changed before it was asked for"));
        let mut row = match change {
            StripeAccountEvent::StripeConnectionRequested { name, country } => StripeAccountRow {
                stripe_account_id: key,
                organization_id: event.organization.0,
                name: name.into(),
                country,
                external_account: None,
                status: "NotConnected".to_owned(),
                badge: String::new(),
                failure_code: None,
                requested_at: event.recorded_at,
                disconnected_at: None,
                reconciliation: None,
                version: 0,
            },
            StripeAccountEvent::StripeAccountCreated { account } => StripeAccountRow {
                external_account: Some(account),
                status: "OnboardingStarted".to_owned(),
                failure_code: None,
                ..known()?
            },
            StripeAccountEvent::StripeConnectionFailed { code } => {
                StripeAccountRow { failure_code: Some(code), ..known()? }
            }
            StripeAccountEvent::StripeAccountStatusChanged { status } => {
                StripeAccountRow { status: word(&status)?, ..known()? }
            }
            StripeAccountEvent::StripeAccountDisconnected { .. } => {
                StripeAccountRow { disconnected_at: Some(event.recorded_at), ..known()? }
            }
            // Payouts are rows of their own.
            StripeAccountEvent::PayoutRecorded { .. } => known()?,
            StripeAccountEvent::AccountReconciled { from, until, compared, differences } => {
                let at = event.recorded_at;
                let found = ReconciliationItem { at, from, until, compared, differences };
                StripeAccountRow { reconciliation: Some(found), ..known()? }
            }
            // What Stripe said before may not hold any more: it says so again.
            StripeAccountEvent::StripeReconnectionRequested {} => {
                StripeAccountRow { status: "PendingVerification".to_owned(), disconnected_at: None, ..known()? }
            }
        };
        let connected = row.external_account.is_some() && row.disconnected_at.is_none() && row.status != "Disabled";
        if connected { "Connected" } else { "Disconnected" }.clone_into(&mut row.badge);
        row.version = event.version;
        Ok(Some(row))
    }
}

fn visible(visibility: Visibility) -> Query {
    let mut query = select("select account.* from read.stripe_account account where true");
    if let Some(property) = visibility.property {
        query
            .push(" and account.stripe_account_id in (select stripe_account_id from read.property where property_id = ")
            .push_bind(property)
            .push(")");
    }
    if visibility.resident.is_some() {
        query.push(" and false");
    }
    query
}

/// A page of accounts by name; a property sees the one that it uses.
pub async fn list(
    connection: &mut PgConnection,
    visibility: Visibility,
    paging: &Paging,
) -> Result<Page<StripeAccountRow>, QueryError> {
    page(connection, visible(visibility), &Sort::text("name", "stripe_account_id"), paging).await
}

/// One account.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
) -> Result<Option<StripeAccountRow>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "account.stripe_account_id = ", Some(id));
    first(connection, query).await
}
