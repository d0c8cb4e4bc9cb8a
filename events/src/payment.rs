//! One attempt to pay an invoice through Stripe, and its refunds.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AutopayId, InvoiceId, Money, PropertyId, RefundId, ResidentId, Sealed, StripeAccountId,
    property::{FeeMode, FeePolicy},
    text::Line,
};

/// What a payment is made with.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PaymentMethodKind {
    #[default]
    Card,
    /// ACH direct debit from a bank account: takes days, and can come back after it succeeded.
    BankDebit,
}

impl PaymentMethodKind {
    pub const fn is_card(&self) -> bool {
        matches!(self, Self::Card)
    }
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

/// What may be known of a bank account: never its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BankSummary {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank_name: Option<String>,
    #[schemars(length(equal = 4))]
    pub last4: String,
    /// `checking` or `savings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_type: Option<String>,
}

/// Why a resident is charged less than the price list's fee, or nothing, on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FeeWaiver {
    /// Debit and prepaid cards bear no surcharge.
    Funding { funding: String },
    /// The property's state does not allow surcharges.
    Region { region: String },
    /// The fee is cut to the most that the card networks allow.
    Capped { basis_points: u32 },
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
    /// A charge by autopay was declined, where nobody is there to try another card; or the price was for the declined card alone.
    Declined { code: String },
    /// A person found that nothing was charged, where Stripe's word could not be had or was another than expected.
    Resolved,
    /// Autopay was cancelled, paused or changed before the charge was authorized.
    NotAuthorized { why: String },
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
    // Left out for cards, as it was when there was nothing else.
    #[serde(default, skip_serializing_if = "PaymentMethodKind::is_card")]
    pub kind: PaymentMethodKind,
    /// Stripe's `cus_…`, for a charge by autopay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Stripe's `pm_…`: the method that autopay charges without the resident being there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// Stripe's `ctoken_…`: the method that the quote was given for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation_token: Option<String>,
}

events! {
    /// The life of one online payment.
    pub enum PaymentEvent of "payment" {
        /// The resident showed a card or bank account; what paying with it costs is found out from Stripe.
        PaymentPreviewRequested = 1 {
            invoice_id: InvoiceId,
            property_id: PropertyId,
            resident_id: ResidentId,
            stripe_account_id: StripeAccountId,
            amount: Money,
            /// Stripe's `ctoken_…`.
            confirmation_token: String,
        },
        /// What was shown cannot be paid with; the resident may show another under a new id.
        PaymentPreviewFailed = 1 { code: String },
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
            /// The method that the quote is for; no other can be charged at this price.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            confirmation_token: Option<String>,
            /// `credit`, `debit`, `prepaid` or `unknown`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            funding: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            waiver: Option<FeeWaiver>,
            /// Set when it is autopay that charges.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            autopay_id: Option<AutopayId>,
        },
        /// The resident went on to pay at the quoted price.
        PaymentRequested = 1 {
            invoice_id: InvoiceId,
            amount: Money,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            autopay_id: Option<AutopayId>,
        },
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
        /// The bank declined. The resident may try another card on the same attempt, unless the price was for this one alone.
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
            #[serde(default, skip_serializing_if = "Option::is_none")]
            autopay_id: Option<AutopayId>,
        },
        /// The money is on its way and can still fail.
        PaymentProcessing = 1 {
            /// The account that is debited, as far as Stripe tells it by then.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            bank: Option<BankSummary>,
        },
        /// Stripe has the money.
        PaymentSucceeded = 1 {
            invoice_id: InvoiceId,
            amount: Money,
            /// Stripe's `ch_…`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            charge: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            card: Option<CardSummary>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            bank: Option<BankSummary>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            autopay_id: Option<AutopayId>,
        },
        /// What Stripe kept and when the rest is to be paid out, from the balance transaction.
        PaymentSettled = 1 {
            property_id: PropertyId,
            stripe_account_id: StripeAccountId,
            /// Stripe's `txn_…`.
            balance_transaction: String,
            /// What was charged.
            gross: Money,
            /// What Stripe kept.
            fee: Money,
            net: Money,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            available_at: Option<DateTime<Utc>>,
        },
        /// The payer's bank took the money back, for now (a dispute) or for good (a returned bank debit).
        PaymentDisputed = 1 {
            /// Stripe's `dp_…` or `du_…`.
            dispute: String,
            invoice_id: InvoiceId,
            property_id: PropertyId,
            stripe_account_id: StripeAccountId,
            /// What was taken from the account.
            amount: Money,
            /// What leaves the invoice.
            reversed: Money,
            /// Stripe's word.
            reason: String,
            /// A bank debit that came back: nothing can be contested.
            returned: bool,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            autopay_id: Option<AutopayId>,
        },
        /// The dispute was decided.
        PaymentDisputeClosed = 1 {
            dispute: String,
            invoice_id: InvoiceId,
            won: bool,
            amount: Money,
            /// What comes back to the invoice when it was won.
            reversed: Money,
        },
        /// The attempt ended without money.
        PaymentCanceled = 1 {
            invoice_id: InvoiceId,
            reason: CancelReason,
            reserved: bool,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            autopay_id: Option<AutopayId>,
        },
        /// What Stripe reports differs from what was asked; nothing is booked until a person has looked.
        PaymentQuarantined = 1 { expected: Money, seen_amount: i64, seen_currency: String },
        /// A person's word on what became of an attempt whose outcome was in doubt, or differed from what was asked. What follows
        /// from it, success or an end without money, is told by the next event.
        PaymentResolved = 1 { charged: bool, reason: Line<200> },
        /// A manager asked for money to go back, or somebody gave it back in Stripe's dashboard.
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
        RefundFailed = 1 {
            refund_id: RefundId,
            amount: Money,
            code: String,
            /// Stripe's `re_…` when it says so itself of that refund. Absent: the call was refused, or nothing is to be seen of it;
            /// should Stripe show it as made later, that counts.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            refund: Option<String>,
        },
        /// The resident's bank would not take a refund that had succeeded: the money is back at Stripe.
        RefundReturned = 1 {
            refund_id: RefundId,
            invoice_id: InvoiceId,
            /// What came back.
            amount: Money,
            /// What of it the invoice is credited with again.
            reversed: Money,
            code: String,
        },
    }
}
