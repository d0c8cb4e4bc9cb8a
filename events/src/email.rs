//! One e-mail to one resident: why, what became of it.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    EmailAddress, InvoiceId, Language, MessageId, Money, PaymentId, PropertyId, ResidentId, Sealed, SignInId,
    autopay::PauseReason, invoice::OfflineMethod, text::Title,
};

/// What an e-mail tells, with the facts as of its cause. What else it shows is read when it is rendered, and then frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EmailContent {
    InvoicePublished {
        invoice_id: InvoiceId,
        title: Title,
        total: Money,
        due_on: NaiveDate,
    },
    PaymentReceived {
        invoice_id: InvoiceId,
        payment_id: PaymentId,
        title: Title,
        amount: Money,
        fee: Money,
        balance: Money,
        received_on: NaiveDate,
        means: PaymentMeans,
    },
    SignInLink {
        sign_in_id: SignInId,
    },
    /// Some days before the due day, or once after it.
    PaymentReminder {
        invoice_id: InvoiceId,
        title: Title,
        balance: Money,
        due_on: NaiveDate,
        overdue: bool,
    },
    /// Autopay is going to charge.
    AutopayNotice {
        invoice_id: InvoiceId,
        title: Title,
        amount: Money,
        /// On top, borne by the resident.
        fee: Money,
        charge_on: NaiveDate,
        means: PaymentMeans,
    },
    /// The charge is above the resident's cap: autopay asks first.
    AutopayHeld {
        invoice_id: InvoiceId,
        title: Title,
        amount: Money,
        cap: Money,
        due_on: NaiveDate,
    },
    AutopayCharged {
        invoice_id: InvoiceId,
        payment_id: PaymentId,
        title: Title,
        amount: Money,
        fee: Money,
        balance: Money,
        charged_on: NaiveDate,
        means: PaymentMeans,
    },
    AutopayFailed {
        invoice_id: InvoiceId,
        title: Title,
        amount: Money,
        reason: PauseReason,
        /// The day of the next attempt, if there is one.
        retry_on: Option<NaiveDate>,
        retries_left: u32,
    },
    /// Autopay is paused although no charge failed: its method cannot be charged any more.
    AutopayPaused {
        reason: PauseReason,
        means: PaymentMeans,
    },
}

/// How a receipt names what was paid with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PaymentMeans {
    Card { brand: String, last4: String },
    Bank { bank_name: Option<String>, last4: String },
    Online,
    Offline { method: OfflineMethod },
}

impl EmailContent {
    /// Every kind there is.
    pub const KINDS: &[&str] = &[
        "invoice-published",
        "payment-received",
        "payment-reminder",
        "autopay-notice",
        "autopay-held",
        "autopay-charged",
        "autopay-failed",
        "autopay-paused",
        "sign-in-link",
    ];

    /// The kind, as people switch it on and off.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InvoicePublished { .. } => "invoice-published",
            Self::PaymentReceived { .. } => "payment-received",
            Self::SignInLink { .. } => "sign-in-link",
            Self::PaymentReminder { .. } => "payment-reminder",
            Self::AutopayNotice { .. } => "autopay-notice",
            Self::AutopayHeld { .. } => "autopay-held",
            Self::AutopayCharged { .. } => "autopay-charged",
            Self::AutopayFailed { .. } => "autopay-failed",
            Self::AutopayPaused { .. } => "autopay-paused",
        }
    }

    pub const fn invoice_id(&self) -> Option<InvoiceId> {
        match self {
            Self::InvoicePublished { invoice_id, .. }
            | Self::PaymentReceived { invoice_id, .. }
            | Self::PaymentReminder { invoice_id, .. }
            | Self::AutopayNotice { invoice_id, .. }
            | Self::AutopayHeld { invoice_id, .. }
            | Self::AutopayCharged { invoice_id, .. }
            | Self::AutopayFailed { invoice_id, .. } => Some(*invoice_id),
            Self::AutopayPaused { .. } | Self::SignInLink { .. } => None,
        }
    }
}

/// Why an e-mail was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EmailSuppression {
    NoAddress,
    ResidentInactive,
    ResidentErased,
    AddressSuppressed,
    /// The provider refuses this address on its own account.
    SuppressedByProvider,
    /// The property switched this kind of e-mail off.
    KindSwitchedOff,
    /// What it was to ask for is not asked for any more: the invoice was paid, voided or written off meanwhile.
    Overtaken,
}

/// How final a bounce is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BounceKind {
    Permanent,
    Transient,
    Undetermined,
}

events! {
    /// The life of one e-mail.
    pub enum EmailMessageEvent of "email" {
        /// Something happened that the resident is to be told by e-mail.
        EmailRequested = 1 {
            resident_id: ResidentId,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            property_id: Option<PropertyId>,
            content: EmailContent,
            language: Language,
            /// The resident's language had no template, so English is used.
            fallback: bool,
            /// The version of the template's text.
            template: u32,
            /// The event that caused it, as `stream/id/version`.
            cause: String,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            resend_of: Option<MessageId>,
        },
        /// It was decided not to send it.
        EmailSuppressed = 1 { reason: EmailSuppression },
        /// The intent to hand it to the provider, committed before the call. The message is frozen, and sealed.
        EmailSubmitting = 1 {
            /// `resend` or `smtp`.
            provider: String,
            idempotency_key: String,
            address: Sealed<EmailAddress>,
            message: Sealed<serde_json::Value>,
        },
        /// The provider took it (`Sent`).
        EmailAccepted = 1 {
            /// The provider's id of the message.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            provider_id: Option<String>,
        },
        /// The provider is still trying.
        EmailDelayed = 1 {},
        /// The recipient's server took it.
        EmailDelivered = 1 {},
        /// The recipient's server refused it.
        EmailBounced = 1 { kind: BounceKind, reason: String, address: Sealed<EmailAddress> },
        /// The recipient called it spam.
        EmailComplained = 1 { address: Sealed<EmailAddress> },
        /// A mail client fetched it: a hint, not a proof, that it was read.
        EmailOpened = 1 {},
        /// A link in it was followed.
        EmailClicked = 1 {},
        /// The provider refused it for good.
        EmailFailed = 1 { reason: String },
        /// Whether the provider took it is not known. It is not sent again by itself.
        EmailOutcomeUnknown = 1 { why: String },
        /// A person asked for it to be sent again, as the message `as_message`.
        EmailResendRequested = 1 { as_message: MessageId },
    }
}
