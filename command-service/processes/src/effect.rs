//! Effects: what the worker does outside, named by ids only.

use chrono::{DateTime, NaiveDate, Utc};
use events::{
    AutopayId, InboundId, InvoiceId, JobId, MessageId, Money, PaymentId, PropertyId, Purpose, RefundId, ResidentId,
    SetupId, SignInId, StripeAccountId, TextId, WebhookId,
    autopay::PauseReason,
    suppression::SuppressionCause,
    text_message::{KeywordReply, TextClass},
};
use serde::{Deserialize, Serialize};

/// One thing to do outside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Have Stripe create the PaymentIntent of a payment whose claim stands.
    SubmitPayment { payment_id: PaymentId },
    /// Find out from Stripe what a resident showed to pay with, and what it costs.
    ReadConfirmationToken { payment_id: PaymentId },
    /// Learn what Stripe kept of a payment, where its success did not say so.
    ReadSettlement { payment_id: PaymentId },
    /// Look after an open PaymentIntent: webhooks may be lost, residents may walk away.
    WatchPayment { payment_id: PaymentId },
    /// Ask Stripe to cancel a PaymentIntent.
    CancelPayment { payment_id: PaymentId },
    /// Have Stripe give money back.
    SubmitRefund { payment_id: PaymentId, refund_id: RefundId },
    /// Have Stripe prepare to take a resident's method for autopay.
    SetUpAutopay { autopay_id: AutopayId, setup_id: SetupId },
    /// Look after an open SetupIntent: webhooks may be lost.
    WatchSetup { autopay_id: AutopayId, setup_id: SetupId },
    /// Have Stripe forget a method that autopay uses no more.
    DetachMethod { autopay_id: AutopayId, payment_method: String },
    /// End autopay where a resident has left.
    EndAutopay { resident_id: ResidentId },
    /// Charge an invoice by autopay at its due moment, if all is as it should be then.
    ChargeWhenDue { invoice_id: InvoiceId },
    /// Charge an invoice again after a failure.
    RetryCharge { autopay_id: AutopayId, invoice_id: InvoiceId, attempt: u32 },
    /// Tell autopay that an invoice is settled in another way.
    ReleaseFromAutopay { invoice_id: InvoiceId },
    /// Settle an invoice with the resident's credit, as far as there is any.
    SpendCredit { invoice_id: InvoiceId },
    /// Settle what is open with credit that a resident got.
    SpendCreditOf { property_id: PropertyId, resident_id: ResidentId },
    /// Remind of an invoice some days before its due day.
    RemindBeforeDue { invoice_id: InvoiceId },
    /// Remind of an invoice once it is overdue.
    RemindOverdue { invoice_id: InvoiceId },
    /// Announce a charge by autopay some days ahead.
    AnnounceCharge { invoice_id: InvoiceId },
    /// Have the timers of invoices look again when they are due: the property's hours or days are others now.
    MoveTimers { property_id: PropertyId },
    /// Compare the books with Stripe's, each night.
    ReconcileAccount { stripe_account_id: StripeAccountId },
    /// Open a connected account at Stripe.
    OpenStripeAccount { stripe_account_id: StripeAccountId },
    /// Read a connected account's state from Stripe.
    ReadStripeAccount { stripe_account_id: StripeAccountId },
    /// Find out whom to write to in which language, and request the e-mail.
    ComposeEmail { message_id: MessageId, occasion: Occasion, cause: String },
    /// Render, freeze and hand over an e-mail.
    SendEmail { message_id: MessageId },
    /// Put a message's address on the suppression list.
    SuppressAddress { message_id: MessageId, cause: SuppressionCause },
    /// Find out whom to text in which language, and request the text.
    ComposeText { text_id: TextId, occasion: TextOccasion, cause: String },
    /// Look at everything once more, freeze and hand over a text.
    SendText { text_id: TextId, class: TextClass },
    /// Act on the code with which a text failed.
    ActOnTextError { text_id: TextId, code: u32 },
    /// Request a text anew that did not arrive for a passing reason.
    SendTextAgain { text_id: TextId, code: u32 },
    /// Work off the next chunk of a job.
    RunJob { job_id: JobId, after: u32 },
    /// Destroy a resident's keys.
    DestroyKeys { resident_id: ResidentId, purposes: Vec<Purpose> },
    /// Have the sender of webhooks know how a webhook stands: whether it is enabled, or gone.
    FollowWebhook { webhook_id: WebhookId },
    /// Have it send again what it sent from a position on; `version` names the wish.
    ReplayWebhook { webhook_id: WebhookId, version: i64, from: i64 },
    /// Have it send a test event; `version` names the wish.
    TestWebhook { webhook_id: WebhookId, version: i64 },
    /// Tell somebody by e-mail that a webhook was disabled for failing.
    TellWebhookDisabled { webhook_id: WebhookId, version: i64 },
    /// Destroy what was kept of an erased resident, on the day that its retention ends.
    EndRetention { resident_id: ResidentId, until: NaiveDate },
}

/// What an e-mail is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Occasion {
    InvoicePublished {
        invoice_id: InvoiceId,
    },
    PaymentReceived {
        invoice_id: InvoiceId,
        payment_id: PaymentId,
        amount: Money,
        balance: Money,
    },
    SignInLink {
        sign_in_id: SignInId,
        resident_id: ResidentId,
    },
    Resend {
        of: MessageId,
    },
    PaymentReminder {
        invoice_id: InvoiceId,
        overdue: bool,
    },
    AutopayNotice {
        invoice_id: InvoiceId,
        charge_on: NaiveDate,
    },
    AutopayHeld {
        invoice_id: InvoiceId,
        amount: Money,
        cap: Money,
    },
    AutopayFailed {
        invoice_id: InvoiceId,
        amount: Money,
        reason: PauseReason,
        retry_at: Option<DateTime<Utc>>,
        retries_left: u32,
    },
    AutopayPaused {
        autopay_id: AutopayId,
        reason: PauseReason,
    },
}

/// What a text is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextOccasion {
    InvoicePublished { invoice_id: InvoiceId },
    PaymentReceived { invoice_id: InvoiceId, payment_id: PaymentId, amount: Money, balance: Money },
    PaymentFailed { invoice_id: InvoiceId, amount: Money, retry_at: Option<DateTime<Utc>> },
    ConsentCode { resident_id: ResidentId, challenge: u32 },
    ConsentConfirmed { resident_id: ResidentId },
    KeywordReply { resident_id: ResidentId, inbound_id: InboundId, reply: KeywordReply },
}

impl Effect {
    /// The variant's name, for logs and the outbox.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SubmitPayment { .. } => "SubmitPayment",
            Self::ReadConfirmationToken { .. } => "ReadConfirmationToken",
            Self::ReadSettlement { .. } => "ReadSettlement",
            Self::WatchPayment { .. } => "WatchPayment",
            Self::CancelPayment { .. } => "CancelPayment",
            Self::SubmitRefund { .. } => "SubmitRefund",
            Self::SetUpAutopay { .. } => "SetUpAutopay",
            Self::WatchSetup { .. } => "WatchSetup",
            Self::DetachMethod { .. } => "DetachMethod",
            Self::EndAutopay { .. } => "EndAutopay",
            Self::ChargeWhenDue { .. } => "ChargeWhenDue",
            Self::RetryCharge { .. } => "RetryCharge",
            Self::ReleaseFromAutopay { .. } => "ReleaseFromAutopay",
            Self::SpendCredit { .. } => "SpendCredit",
            Self::SpendCreditOf { .. } => "SpendCreditOf",
            Self::RemindBeforeDue { .. } => "RemindBeforeDue",
            Self::RemindOverdue { .. } => "RemindOverdue",
            Self::AnnounceCharge { .. } => "AnnounceCharge",
            Self::MoveTimers { .. } => "MoveTimers",
            Self::ReconcileAccount { .. } => "ReconcileAccount",
            Self::OpenStripeAccount { .. } => "OpenStripeAccount",
            Self::ReadStripeAccount { .. } => "ReadStripeAccount",
            Self::ComposeEmail { .. } => "ComposeEmail",
            Self::SendEmail { .. } => "SendEmail",
            Self::SuppressAddress { .. } => "SuppressAddress",
            Self::ComposeText { .. } => "ComposeText",
            Self::SendText { .. } => "SendText",
            Self::ActOnTextError { .. } => "ActOnTextError",
            Self::SendTextAgain { .. } => "SendTextAgain",
            Self::RunJob { .. } => "RunJob",
            Self::DestroyKeys { .. } => "DestroyKeys",
            Self::FollowWebhook { .. } => "FollowWebhook",
            Self::ReplayWebhook { .. } => "ReplayWebhook",
            Self::TestWebhook { .. } => "TestWebhook",
            Self::TellWebhookDisabled { .. } => "TellWebhookDisabled",
            Self::EndRetention { .. } => "EndRetention",
        }
    }
}
