//! The double-entry ledger: one row per journal entry, made from events, each fact entered once and in balance.
//!
//! What is owed follows the invoices' streams, what is at Stripe follows the payments' streams; where one fact is told by both,
//! `Liabilities:Unapplied` stands between them and is empty once both have spoken. An entry needs facts from earlier events
//! (an invoice's total when it is voided), so the table holds, beside the entries, one row per stream with what is kept of it.
//! Rules that are ours to choose:
//!
//! - Money is pending at Stripe from `PaymentSucceeded` on, and available from the day that `PaymentSettled` names (at once
//!   if it names none, and never before it was learnt). What goes back comes out of where the payment's money is.
//! - A payment that never settled stays in `Assets:Stripe:Pending`, its fee in `Liabilities:FeesHeld`.
//! - A payout leaves `Available` when it is first reported, reaches the bank on the day of its arrival, and returns when it fails.
//! - A payout belongs to the property that its Stripe account was assigned to; to none once there were two.
//! - An entry counts on the property's local day of its event, a payment by hand on the day of its receipt.

mod accounts;
mod apply;
mod books;
mod check;
mod invoice;
mod other;
mod payment;
mod queries;
#[cfg(test)]
mod tests;

pub use accounts::{About, Account, Entry, Posting};
pub use apply::Ledger;
pub use check::{Audit, Difference, audit};
pub use queries::{BalanceRow, EntryView, Filter, Names, accounts, balances, entries, names, reached};
