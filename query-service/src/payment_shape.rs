//! A payment in the words of the API.

use chrono::NaiveDate;
use poem_openapi::Object;
use projections::payment::{PaymentView, RefundItem};
use serde_json::Value;
use uuid::Uuid;

use crate::{answer::Money, instant::Instant};

/// A refund of an online payment.
#[derive(Debug, Clone, Object)]
pub struct Refund {
    pub refund_id: Uuid,
    /// `Pending`, `Unknown`, `Succeeded` or `Failed`.
    pub status: String,
    /// What the resident gets back.
    pub amount: Money,
    /// What left the invoice.
    pub reversed: Money,
    /// Why Stripe refused it.
    pub code: Option<String>,
    pub note: Option<String>,
    pub requested_at: Instant,
    pub settled_at: Option<Instant>,
}

/// Why less than the price list's fee is charged on top.
#[derive(Debug, Clone, Object)]
pub struct Waiver {
    /// `Funding` (no surcharge on debit and prepaid cards), `Region` (not allowed there) or `Capped`.
    pub kind: String,
    /// The kind of card, the region, or the cap in hundredths of a percent.
    pub detail: String,
}

/// What Stripe kept and when the rest is paid out, in the account's currency.
#[derive(Debug, Clone, Object)]
pub struct Settlement {
    /// What Stripe kept.
    pub fee: Money,
    pub net: Money,
    pub available_at: Option<Instant>,
    /// Stripe's `txn_…`.
    pub balance_transaction: Option<String>,
}

/// The payer's bank took the money back.
#[derive(Debug, Clone, Object)]
pub struct Dispute {
    /// Stripe's `dp_…` or `du_…`.
    pub dispute: String,
    /// `Open`, `Won`, `Lost`, or `Returned` for a bank debit that came back.
    pub status: String,
    /// Stripe's word.
    pub reason: Option<String>,
    /// What was taken from the account.
    pub amount: Money,
    /// What left the invoice because of it, and has not come back.
    pub reversed: Money,
    pub disputed_at: Option<Instant>,
    pub closed_at: Option<Instant>,
}

/// One attempt to pay an invoice.
#[derive(Debug, Clone, Object)]
pub struct Payment {
    pub payment_id: Uuid,
    /// `Pending`, `Succeeded`, `Failed` or `Refunded`. Money that the payer's bank took back whole is `Pending` while the dispute
    /// is open, and `Failed` once it is lost or a bank debit came back.
    pub status: String,
    /// Finer: `Previewing`, `PreviewFailed`, `Quoted`, `Pending`, `ActionRequired`, `Processing`, `Declined`, `Unknown`, `Succeeded`, `Canceled` or `Quarantined`.
    pub phase: String,
    /// `Online` or `Offline`.
    pub kind: String,
    /// What the invoice is credited with.
    pub amount: Money,
    pub fee: Money,
    /// What was or will be charged.
    pub total: Money,
    /// What the resident got back.
    pub refunded: Money,
    /// What left the invoice again.
    pub reversed: Money,
    /// `Visa ****4242`, `Card`, `Bank ****6789`, `Bank`, `Cash`, `Check` or `Other`.
    pub method: String,
    /// `Card` or `BankDebit`; null for payments by hand.
    pub method_kind: Option<String>,
    /// `credit`, `debit`, `prepaid` or `unknown`; null as long as it is not known.
    pub funding: Option<String>,
    pub waiver: Option<Waiver>,
    /// Set when autopay made it.
    pub autopay_id: Option<Uuid>,
    pub card_brand: Option<String>,
    pub card_last4: Option<String>,
    pub bank_name: Option<String>,
    pub bank_last4: Option<String>,
    /// A check's number or the like.
    pub reference: Option<String>,
    /// The day on which a payment by hand was received.
    pub received_on: Option<NaiveDate>,
    pub failure_code: Option<String>,
    pub decline_code: Option<String>,
    /// Why it ended without money, or why it was taken back: `Requested`, `Expired`, `Rejected`, …
    pub cancellation: Option<String>,
    /// Somebody has to look at it.
    pub unresolved: bool,
    pub invoice_id: Uuid,
    pub invoice_title: Option<String>,
    pub property_id: Option<Uuid>,
    pub property_name: Option<String>,
    /// The IANA name of the property's zone.
    pub time_zone: Option<String>,
    pub unit_label: Option<String>,
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub resident_name: Option<String>,
    pub quoted_at: Option<Instant>,
    pub requested_at: Option<Instant>,
    pub succeeded_at: Option<Instant>,
    pub ended_at: Option<Instant>,
    pub expires_at: Option<Instant>,
    pub refunds: Vec<Refund>,
    /// The last one.
    pub dispute: Option<Dispute>,
    /// For managers, once Stripe has told it.
    pub settlement: Option<Settlement>,
    /// What `If-Match` expects; zero for payments by hand, which live with their invoice.
    pub version: i64,
}

/// A payment and what is needed to complete it.
#[derive(Clone, Object)]
pub struct PaymentDetail {
    #[oai(flatten)]
    pub payment: Payment,
    /// Stripe's `pi_…`.
    pub intent: Option<String>,
    pub stripe_account_id: Option<Uuid>,
    /// Stripe's `acct_…`, which Stripe's form needs beside the secret.
    pub stripe_account: Option<String>,
    /// For Stripe's form, while the payment can be completed; only its resident gets it.
    #[oai(skip_serializing_if_is_none)]
    pub client_secret: Option<String>,
}

impl std::fmt::Debug for PaymentDetail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentDetail").field("payment", &self.payment).finish_non_exhaustive()
    }
}

impl From<PaymentView> for Payment {
    fn from(view: PaymentView) -> Self {
        let row = view.payment;
        let method = row.method_label();
        let money = |amount| Money::of(amount, &row.currency);
        let settlement =
            row.processor_fee.zip(row.settled_net).zip(row.settled_currency).map(|((fee, net), currency)| Settlement {
                fee: Money::of(fee, &currency),
                net: Money::of(net, &currency),
                available_at: row.available_at.map(Instant),
                balance_transaction: row.balance_transaction,
            });
        let dispute = row.dispute.zip(row.dispute_status).map(|(dispute, status)| Dispute {
            dispute,
            status,
            reason: row.dispute_reason,
            amount: money(row.disputed),
            reversed: money(row.dispute_reversed),
            disputed_at: row.disputed_at.map(Instant),
            closed_at: row.dispute_closed_at.map(Instant),
        });
        Self {
            dispute,
            settlement,
            waiver: row.waiver.as_ref().and_then(Waiver::of),
            method_kind: row.method_kind,
            funding: row.funding,
            autopay_id: row.autopay_id,
            bank_name: row.bank_name,
            bank_last4: row.bank_last4,
            payment_id: row.payment_id,
            status: row.status,
            phase: row.phase,
            kind: row.kind,
            amount: money(row.amount),
            fee: money(row.fee),
            total: money(row.total),
            refunded: money(row.refunded),
            reversed: money(row.reversed),
            method,
            card_brand: row.card_brand,
            card_last4: row.card_last4,
            reference: row.reference,
            received_on: row.received_on,
            failure_code: row.failure_code,
            decline_code: row.decline_code,
            cancellation: row.cancellation.as_ref().and_then(variant),
            unresolved: row.unresolved,
            invoice_id: row.invoice_id,
            invoice_title: view.invoice_title,
            property_id: row.property_id,
            property_name: view.property_name,
            time_zone: view.time_zone,
            unit_label: view.unit_label,
            resident_id: row.resident_id,
            resident_name: view.resident_name,
            quoted_at: row.quoted_at.map(Instant),
            requested_at: row.requested_at.map(Instant),
            succeeded_at: row.succeeded_at.map(Instant),
            ended_at: row.ended_at.map(Instant),
            expires_at: row.expires_at.map(Instant),
            refunds: row.refunds.into_iter().map(|refund| Refund::of(refund, &row.currency)).collect(),
            version: row.version,
        }
    }
}

/// The name of an enum's variant, with or without fields.
fn variant(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.clone()),
        Value::Object(fields) => fields.keys().next().cloned(),
        _ => None,
    }
}

impl Waiver {
    fn of(value: &Value) -> Option<Self> {
        let (kind, fields) = value.as_object()?.iter().next()?;
        let detail = fields.as_object()?.values().next()?;
        let detail = detail.as_str().map_or_else(|| detail.to_string(), str::to_owned);
        Some(Self { kind: kind.clone(), detail })
    }
}

impl Refund {
    fn of(item: RefundItem, currency: &str) -> Self {
        Self {
            refund_id: item.refund_id,
            status: item.status,
            amount: Money::of(item.amount, currency),
            reversed: Money::of(item.reversed, currency),
            code: item.code,
            note: item.note,
            requested_at: Instant(item.requested_at),
            settled_at: item.settled_at.map(Instant),
        }
    }
}
