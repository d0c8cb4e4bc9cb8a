//! Autopay of one resident in one property: its method, its charges, its pauses.

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    InvoiceId, Money, PaymentId, PropertyId, ResidentId, Sealed, SetupId, StripeAccountId,
    payment::{BankSummary, CardSummary, PaymentMethodKind},
};

/// The method that autopay charges: Stripe's ids and what a person recognizes it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AutopayMethod {
    /// Stripe's `pm_…`.
    pub payment_method: String,
    /// Stripe's `cus_…`, in the account that the property used when it was set up.
    pub customer: String,
    pub kind: PaymentMethodKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardSummary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<BankSummary>,
    /// Stripe's `mandate_…`, for bank debits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate: Option<String>,
}

/// Why autopay does not charge at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PauseReason {
    /// The bank declined; it may be different tomorrow.
    Declined { code: String },
    /// The bank declined as often as may be tried.
    RetriesUsedUp { code: String },
    /// The bank declined for good: lost, stolen, closed.
    DeclinedForGood { code: String },
    /// The bank wants the resident to confirm in person.
    AuthenticationRequired,
    /// A bank debit came back after it had succeeded.
    Returned { code: String },
    /// The bank account's owner withdrew the mandate.
    MandateRevoked,
    /// The method was removed at Stripe.
    MethodDetached,
    /// The property takes its payments in another Stripe account now, where the method is not known.
    AccountChanged,
}

/// Why autopay ended without the resident's asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Departure {
    /// They left their last unit of the property.
    MovedOut,
    Deactivated,
    Erased,
}

/// What the resident wants a new method for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SetupPurpose {
    Enable,
    Update,
    Reactivate,
}

/// Why autopay charges again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ResumeReason {
    RetrySucceeded,
    /// The invoice whose charge had failed was paid another way, voided or written off.
    InvoiceSettled,
    /// The resident asked for it.
    Reactivated,
    NewMethod,
}

events! {
    /// The life of an enrollment; the stream's id follows from resident and property.
    pub enum AutopayEvent of "autopay" {
        /// The resident began to set up a method.
        AutopaySetupRequested = 1 {
            setup_id: SetupId,
            property_id: PropertyId,
            resident_id: ResidentId,
            stripe_account_id: StripeAccountId,
            kind: PaymentMethodKind,
            purpose: SetupPurpose,
        },
        /// Stripe holds the `SetupIntent`; the resident can complete it in Stripe's form.
        AutopaySetupSubmitted = 1 {
            setup_id: SetupId,
            /// Stripe's `seti_…`.
            setup_intent: String,
            /// Stripe's `cus_…`.
            customer: String,
            /// Stripe's `acct_…`.
            account: String,
            client_secret: Sealed<String>,
        },
        /// The bank wants something of the resident first.
        AutopaySetupActionRequired = 1 {
            setup_id: SetupId,
            /// Two small deposits are on their way, whose amounts the resident enters.
            microdeposits: bool,
        },
        /// The set-up ended without a method; an earlier one serves on.
        AutopaySetupFailed = 1 { setup_id: SetupId, code: String },
        /// Stripe confirmed the method: it is charged from now on.
        AutopayActivated = 1 {
            setup_id: SetupId,
            method: AutopayMethod,
            /// Stripe's id of the method that it replaces.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            replaces: Option<String>,
        },
        /// The card network told a new number or date of the same card.
        AutopayMethodRefreshed = 1 { method: AutopayMethod },
        /// The most that is charged without asking.
        AutopayCapChanged = 1 {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            cap: Option<Money>,
        },
        /// An invoice is due and above the cap: the resident is asked.
        ChargeHeld = 1 { invoice_id: InvoiceId, due_on: NaiveDate, amount: Money, cap: Money },
        /// The resident said yes to this amount.
        ChargeApproved = 1 { invoice_id: InvoiceId, amount: Money },
        /// An invoice is due while autopay is paused: it waits.
        ChargeDeferred = 1 { invoice_id: InvoiceId, due_on: NaiveDate },
        /// The last look before the charge found all as it should be: this method may be charged this much, once.
        ChargeAuthorized = 1 {
            payment_id: PaymentId,
            invoice_id: InvoiceId,
            due_on: NaiveDate,
            amount: Money,
            customer: String,
            payment_method: String,
            /// 0 for the first, then the number of the retry.
            attempt: u32,
        },
        /// The charge went through.
        ChargeSucceeded = 1 { payment_id: PaymentId, invoice_id: InvoiceId },
        /// The charge was declined, or a bank debit failed or came back.
        ChargeFailed = 1 {
            payment_id: PaymentId,
            invoice_id: InvoiceId,
            due_on: NaiveDate,
            amount: Money,
            reason: PauseReason,
            /// The number of the next attempt, and when it is made.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            retry: Option<Retry>,
            retries_left: u32,
        },
        /// An authorized charge ended without an answer from any bank: nothing of it counts.
        ChargeWithdrawn = 1 { payment_id: PaymentId, invoice_id: InvoiceId },
        /// Nothing is charged until it is resumed.
        AutopayPaused = 1 { reason: PauseReason, new_method_required: bool },
        /// Charges go on; these invoices have waited, in the order of their due days.
        AutopayResumed = 1 { because: ResumeReason, waiting: Vec<InvoiceId> },
        /// The resident ended it, or their leaving did. What is in flight goes on; nothing new is charged.
        AutopayCancelled = 1 {
            /// Stripe's id of the method, to be removed there.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            payment_method: Option<String>,
            /// Absent when the resident asked for it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            because: Option<Departure>,
        },
    }
}

/// The next attempt after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    pub attempt: u32,
    pub at: DateTime<Utc>,
}
