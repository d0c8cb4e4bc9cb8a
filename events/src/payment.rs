//! One attempt to pay an invoice through Stripe, and its refunds.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    InvoiceId, Money, PropertyId, RefundId, ResidentId, Sealed, StripeAccountId,
    property::{FeeMode, FeePolicy},
    text::Line,
};

/// What a payment is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PaymentMethodKind {
    Card,
}

/// What may be known of a card: never its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardSummary {
    /// Stripe's word, `visa`.
    pub brand: String,
    #[schemars(length(equal = 4))]
    pub last4: String,
    pub exp_month: u8,
    pub exp_year: u16,
    /// `credit`, `debit`, `prepaid` or `unknown`.
    pub funding: String,
}

/// Why an attempt's outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UnknownCause {
    TimedOut,
    ProviderError,
    Conflict,
    Undecodable,
    /// The process ended between the intent and the answer.
    Interrupted,
}

/// Why an attempt ended without money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CancelReason {
    /// The resident or a manager gave it up.
    Requested,
    /// It was not paid in time.
    Expired,
    /// The invoice could not be claimed.
    NotReserved { why: String },
    /// Stripe refused the request: our mistake or the account's state.
    Rejected { code: String },
    /// It was canceled at Stripe.
    AtProvider,
}

/// What was asked of Stripe, frozen before the call so that a repeat is byte-equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrozenIntent {
    /// Stripe's id of the connected account.
    pub account: String,
    /// Minor units, fee included.
    pub amount: i64,
    pub currency: String,
    pub idempotency_key: String,
    /// Shown in Stripe's dashboard; no personal data.
    pub description: String,
}

events! {
    /// The life of one online payment.
    pub enum PaymentEvent of "payment" {
        /// The resident was told what paying would cost, before paying.
        PaymentQuoted = 1 {
            invoice_id: InvoiceId,
            property_id: PropertyId,
            resident_id: ResidentId,
            stripe_account_id: StripeAccountId,
            method: PaymentMethodKind,
            /// What the invoice is credited with.
            amount: Money,
            /// What is charged on top: zero when the property absorbs the fee.
            fee: Money,
            /// What the card is charged.
            total: Money,
            /// The price list at the time of the quote.
            fees: FeePolicy,
            mode: FeeMode,
            expires_at: DateTime<Utc>,
        },
        /// The resident went on to pay at the quoted price.
        PaymentRequested = 1 { invoice_id: InvoiceId, amount: Money },
        /// The intent to call Stripe, committed before the call.
        PaymentSubmitting = 1 { request: FrozenIntent },
        /// Stripe holds the `PaymentIntent`; the resident can complete it in Stripe's form.
        PaymentSubmitted = 1 {
            /// Stripe's `pi_…`.
            intent: String,
            client_secret: Sealed<String>,
        },
        /// The attempt is to be given up; Stripe is asked to cancel it, which it refuses once the money is taken.
        PaymentCancellationRequested = 1 { reason: CancelReason },
        /// The answer to the call was lost or unreadable. Never failed, never blindly repeated.
        PaymentOutcomeUnknown = 1 { cause: UnknownCause },
        /// The bank asks the resident to authenticate.
        PaymentActionRequired = 1 {},
        /// The bank declined; the resident may try another card on the same attempt.
        PaymentDeclined = 1 {
            code: String,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            decline_code: Option<String>,
            /// Stripe's advice: `try_again_later`, `do_not_try_again`, `confirm_card_data`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            advice: Option<String>,
            /// Stripe's charge that was declined, by which a repeated notice is known.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            charge: Option<String>,
        },
        /// The money is on its way and can still fail.
        PaymentProcessing = 1 {},
        /// Stripe has the money.
        PaymentSucceeded = 1 {
            invoice_id: InvoiceId,
            amount: Money,
            /// Stripe's `ch_…`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            charge: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            card: Option<CardSummary>,
        },
        /// The attempt ended without money.
        PaymentCanceled = 1 { invoice_id: InvoiceId, reason: CancelReason, reserved: bool },
        /// What Stripe reports differs from what was asked; nothing is booked until a person has looked.
        PaymentQuarantined = 1 { expected: Money, seen_amount: i64, seen_currency: String },
        /// A manager asked for money to go back.
        RefundRequested = 1 {
            refund_id: RefundId,
            /// What the resident gets back.
            amount: Money,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            note: Option<Line<200>>,
        },
        /// The intent to call Stripe for a refund, committed before the call.
        RefundSubmitting = 1 { refund_id: RefundId, amount: Money, intent: String, account: String, idempotency_key: String },
        /// The answer to the refund's call was lost or unreadable.
        RefundOutcomeUnknown = 1 { refund_id: RefundId, cause: UnknownCause },
        /// Stripe gave the money back.
        RefundSucceeded = 1 {
            refund_id: RefundId,
            invoice_id: InvoiceId,
            /// What the resident gets back.
            amount: Money,
            /// What leaves the invoice: at most what the payment had credited it with.
            reversed: Money,
            /// Stripe's `re_…`.
            refund: String,
        },
        /// Stripe did not give the money back.
        RefundFailed = 1 { refund_id: RefundId, amount: Money, code: String },
    }
}
