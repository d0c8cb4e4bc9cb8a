//! Autopay, one row per enrollment: what the Autopay card shows.

use chrono::{DateTime, NaiveDate, Utc};
use events::{AutopayEvent, Recorded, autopay::PauseReason};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Column, FoldError, ReadModel};

pub use queries::{
    AutopayView, Buttons, Card, ChargeView, Filter, HeldView, SortBy, WaitingView, card, detail, history, list,
};
pub use run::{Run, run};

#[path = "autopay_fold.rs"]
mod fold;
#[path = "autopay_queries.rs"]
mod queries;
#[path = "autopay_run.rs"]
mod run;

/// Enrollments as they stand.
#[derive(Debug)]
pub struct Autopays;

/// A set-up that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupItem {
    pub setup_id: Uuid,
    /// `Card` or `BankDebit`.
    pub kind: String,
    /// `Enable`, `Update` or `Reactivate`.
    pub purpose: String,
    /// `Requested`, `AwaitingMethod` or `ActionRequired`.
    pub state: String,
    /// Two small deposits are on their way, whose amounts the resident enters.
    pub microdeposits: bool,
    /// Stripe's `acct_…`, which Stripe's form needs beside the secret.
    pub account: Option<String>,
    /// Stripe's `seti_…`.
    pub setup_intent: Option<String>,
    pub requested_at: DateTime<Utc>,
}

/// An invoice that waits until autopay is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingItem {
    pub invoice_id: Uuid,
    pub due_on: NaiveDate,
}

/// An invoice above the cap, about which the resident is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldItem {
    pub invoice_id: Uuid,
    pub due_on: NaiveDate,
    pub amount: i64,
    pub cap: i64,
    pub currency: String,
    pub held_at: DateTime<Utc>,
}

/// A charge that was authorized and has no outcome yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeItem {
    pub payment_id: Uuid,
    pub invoice_id: Uuid,
    pub due_on: NaiveDate,
    pub amount: i64,
    pub currency: String,
    /// 0 for the first, then the number of the retry.
    pub attempt: u32,
    pub authorized_at: DateTime<Utc>,
    /// It was authorized before autopay was cancelled: its end says nothing about a later enrollment.
    pub left_over: bool,
}

/// The failed invoice that the pause is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedFor {
    pub invoice_id: Uuid,
    pub due_on: NaiveDate,
    /// The next attempt; null when there is none.
    pub retry_at: Option<DateTime<Utc>>,
    pub retries_left: u32,
}

/// The last charge that did not go through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureItem {
    pub payment_id: Uuid,
    pub invoice_id: Uuid,
    pub amount: i64,
    pub currency: String,
    pub reason: PauseReason,
    pub at: DateTime<Utc>,
}

/// An enrollment. Amounts are minor units.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutopayRow {
    pub autopay_id: Uuid,
    pub organization_id: Uuid,
    pub property_id: Uuid,
    pub resident_id: Uuid,
    /// `None`, `SetupPending`, `Active`, `Paused` or `Cancelled`.
    pub status: String,
    /// `Card` or `BankDebit`.
    pub kind: Option<String>,
    /// `Visa ****4242` or `Bank ****6789`; null when there is none or it was erased.
    pub method: Option<String>,
    pub card_brand: Option<String>,
    pub card_last4: Option<String>,
    pub card_exp_month: Option<u8>,
    pub card_exp_year: Option<u16>,
    pub bank_name: Option<String>,
    pub bank_last4: Option<String>,
    /// Stripe's `cus_…`.
    pub customer: Option<String>,
    /// Stripe's `pm_…`.
    pub payment_method: Option<String>,
    /// The account in which the method can be charged.
    pub stripe_account_id: Option<Uuid>,
    pub setup: Option<SetupItem>,
    /// The account of the newest set-up, ended or not.
    pub setup_account_id: Uuid,
    /// For Stripe's form; only while the set-up can be completed, and only for its resident.
    pub client_secret: Option<String>,
    /// Why the last set-up ended without a method.
    pub setup_failure: Option<String>,
    pub pause: Option<PauseReason>,
    pub new_method_required: bool,
    pub paused_for: Option<PausedFor>,
    /// When the next attempt is made; null while one is in flight.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The most that is charged without asking.
    pub cap: Option<i64>,
    pub cap_currency: Option<String>,
    pub waiting: Vec<WaitingItem>,
    pub held: Vec<HeldItem>,
    pub in_flight: Vec<ChargeItem>,
    pub last_failure: Option<FailureItem>,
    pub activated_at: Option<DateTime<Utc>>,
    pub cancelled_at: Option<DateTime<Utc>>,
    pub changed_at: DateTime<Utc>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl std::fmt::Debug for AutopayRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AutopayRow")
            .field("autopay_id", &self.autopay_id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl ReadModel for Autopays {
    type Row = AutopayRow;
    const NAME: &'static str = "autopay";
    const VERSION: u32 = 1;
    const COLUMNS: &'static [Column] = &[
        ("autopay_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("property_id", "uuid not null"),
        ("resident_id", "uuid not null"),
        ("status", "text not null"),
        ("kind", "text"),
        ("method", "text"),
        ("card_brand", "text"),
        ("card_last4", "text"),
        ("card_exp_month", "smallint"),
        ("card_exp_year", "smallint"),
        ("bank_name", "text"),
        ("bank_last4", "text"),
        ("customer", "text"),
        ("payment_method", "text"),
        ("stripe_account_id", "uuid"),
        ("setup", "json"),
        ("setup_account_id", "uuid not null"),
        ("client_secret", "text"),
        ("setup_failure", "text"),
        ("pause", "json"),
        ("new_method_required", "boolean not null"),
        ("paused_for", "json"),
        ("next_attempt_at", "timestamptz"),
        ("cap", "bigint"),
        ("cap_currency", "text"),
        ("waiting", "json not null"),
        ("held", "json not null"),
        ("in_flight", "json not null"),
        ("last_failure", "json"),
        ("activated_at", "timestamptz"),
        ("cancelled_at", "timestamptz"),
        ("changed_at", "timestamptz not null"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] =
        &["(resident_id, property_id)", "(organization_id, changed_at, autopay_id)", "(property_id, status)"];
    const PERSONAL: Option<(&'static str, &'static [&'static str])> = Some((
        "resident_id",
        &[
            "method",
            "card_brand",
            "card_last4",
            "card_exp_month",
            "card_exp_year",
            "bank_name",
            "bank_last4",
            "customer",
            "payment_method",
            "client_secret",
        ],
    ));

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "autopay" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<AutopayRow>, key: Uuid, event: &Recorded) -> Result<Option<AutopayRow>, FoldError> {
        let Some(change) = event.event::<AutopayEvent>()? else { return Ok(row) };
        let mut row = match (row, &change) {
            (Some(row), _) => row,
            (None, AutopayEvent::AutopaySetupRequested { property_id, resident_id, stripe_account_id, .. }) => {
                AutopayRow {
                    property_id: property_id.0,
                    resident_id: resident_id.0,
                    setup_account_id: stripe_account_id.0,
                    ..AutopayRow::new(key, event)
                }
            }
            (None, _) => return Err(FoldError::Unexpected("an enrollment's event without its first set-up")),
        };
        row.change(change, event)?;
        row.settle();
        row.changed_at = event.recorded_at;
        row.version = event.version;
        Ok(Some(row))
    }
}
