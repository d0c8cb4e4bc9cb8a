//! Effects: what the worker does outside, named by ids only.

use events::{
    InvoiceId, JobId, MessageId, Money, PaymentId, Purpose, RefundId, ResidentId, SignInId, StripeAccountId,
    suppression::SuppressionCause,
};
use serde::{Deserialize, Serialize};

/// One thing to do outside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Have Stripe create the PaymentIntent of a payment whose claim stands.
    SubmitPayment { payment_id: PaymentId },
    /// Look after an open PaymentIntent: webhooks may be lost, residents may walk away.
    WatchPayment { payment_id: PaymentId },
    /// Ask Stripe to cancel a PaymentIntent.
    CancelPayment { payment_id: PaymentId },
    /// Have Stripe give money back.
    SubmitRefund { payment_id: PaymentId, refund_id: RefundId },
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
    /// Work off the next chunk of a job.
    RunJob { job_id: JobId, after: u32 },
    /// Destroy a resident's keys.
    DestroyKeys { resident_id: ResidentId, purposes: Vec<Purpose> },
}

/// What an e-mail is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Occasion {
    InvoicePublished { invoice_id: InvoiceId },
    PaymentReceived { invoice_id: InvoiceId, payment_id: PaymentId, amount: Money, balance: Money },
    SignInLink { sign_in_id: SignInId, resident_id: ResidentId },
    Resend { of: MessageId },
}

impl Effect {
    /// The variant's name, for logs and the outbox.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SubmitPayment { .. } => "SubmitPayment",
            Self::WatchPayment { .. } => "WatchPayment",
            Self::CancelPayment { .. } => "CancelPayment",
            Self::SubmitRefund { .. } => "SubmitRefund",
            Self::OpenStripeAccount { .. } => "OpenStripeAccount",
            Self::ReadStripeAccount { .. } => "ReadStripeAccount",
            Self::ComposeEmail { .. } => "ComposeEmail",
            Self::SendEmail { .. } => "SendEmail",
            Self::SuppressAddress { .. } => "SuppressAddress",
            Self::RunJob { .. } => "RunJob",
            Self::DestroyKeys { .. } => "DestroyKeys",
        }
    }
}
