//! Stripe's own books, against which ours are compared: balance transactions, payouts, disputes.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Outcome;

/// One movement on a connected account's balance. Amounts are minor units, negative when money leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceItem {
    /// `txn_…`.
    pub id: String,
    /// Stripe's word: `charge`, `payment`, `refund`, `payment_refund`, `adjustment`, `payout`, `payout_failure`, `stripe_fee` …
    pub kind: String,
    pub amount: i64,
    pub fee: i64,
    /// Always `amount - fee`.
    pub net: i64,
    /// Upper case ISO code.
    pub currency: String,
    /// The charge, refund, dispute or payout it comes from.
    pub source: Option<String>,
    /// The payout it left with: known when the list was asked for by payout.
    pub payout: Option<String>,
    pub created: DateTime<Utc>,
    pub available_on: DateTime<Utc>,
}

/// Which balance transactions to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BalanceRange {
    /// From (inclusive) to (exclusive).
    Created { from: DateTime<Utc>, to: DateTime<Utc> },
    /// Those that left with a payout, the payout's own among them.
    Payout(String),
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// What to ask with for the next part; `None` at the end.
    pub next: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutStatus {
    Pending,
    InTransit,
    Paid,
    Failed,
    Canceled,
    Unrecognized,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutSnapshot {
    /// `po_…`.
    pub id: String,
    /// Minor units.
    pub amount: i64,
    /// Upper case ISO code.
    pub currency: String,
    pub status: PayoutStatus,
    /// When the bank shows it, or is expected to.
    pub arrival: DateTime<Utc>,
    /// Stripe's code, as `account_closed`.
    pub failure: Option<String>,
    /// Only an automatic payout can be listed with its transactions.
    pub automatic: bool,
    pub created: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeStatus {
    /// A question of the card's bank; no money moved yet.
    Inquiry,
    InquiryClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
    Prevented,
    Unrecognized,
}

/// A dispute as Stripe tells it now. A bank's late return of an ACH debit is one that is lost from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeSnapshot {
    /// `du_…`.
    pub id: String,
    pub charge: String,
    pub intent: Option<String>,
    /// Minor units.
    pub amount: i64,
    /// Upper case ISO code.
    pub currency: String,
    /// Stripe's word: `fraudulent`, `product_not_received`; for ACH `insufficient_funds`, `incorrect_account_details`,
    /// `bank_cannot_process`, `debit_not_authorized`.
    pub reason: String,
    pub status: DisputeStatus,
    /// What it moved on the balance, its fee included.
    pub movements: Vec<BalanceItem>,
    pub created: DateTime<Utc>,
}

/// Stripe, as far as the ledger and its reconciliation need it.
#[async_trait]
pub trait StripeBooks: Send + Sync + std::fmt::Debug {
    async fn balance_transactions(
        &self,
        account: &str,
        range: &BalanceRange,
        cursor: Option<&str>,
    ) -> Outcome<Page<BalanceItem>>;
    /// Payouts created from (inclusive) to (exclusive).
    async fn payouts(
        &self,
        account: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        cursor: Option<&str>,
    ) -> Outcome<Page<PayoutSnapshot>>;
    async fn payout(&self, account: &str, payout: &str) -> Outcome<PayoutSnapshot>;
    async fn dispute(&self, account: &str, dispute: &str) -> Outcome<DisputeSnapshot>;
}
