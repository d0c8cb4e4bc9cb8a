//! The letters there are, the sender's head, and their rendering.

use std::fmt;

use chrono::NaiveDate;
use events::{Language, Money, autopay::PauseReason, invoice::OfflineMethod};

use crate::page;

/// Who writes: the same for every letter of a property.
#[derive(Clone, Copy)]
pub struct Letterhead<'a> {
    pub organization: &'a str,
    /// The display name in From; it also signs the letter.
    pub sender: &'a str,
    pub property: Option<&'a str>,
    pub property_address: Option<&'a str>,
    /// The address that a reply reaches; absent, the letter says that nobody reads replies.
    pub contact: Option<&'a str>,
    pub portal_url: &'a str,
}

impl fmt::Debug for Letterhead<'_> {
    /// The contact may be a person's address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letterhead").field("organization", &self.organization).finish_non_exhaustive()
    }
}

/// How a payment was made. No number but the last four digits can be told.
#[derive(Debug, Clone, Copy)]
pub enum Method<'a> {
    /// Stripe's word for the brand (`visa`), shown as `Visa ****4242`.
    Card {
        brand: &'a str,
        last4: &'a str,
    },
    /// Shown as `Bank ****6789`.
    Bank {
        last4: &'a str,
    },
    /// Online, with means that are not known.
    Online,
    Offline(OfflineMethod),
}

/// Whom a letter about money owed is to, and about which invoice.
#[derive(Clone)]
pub struct About<'a> {
    pub resident: &'a str,
    /// The invoice's.
    pub title: &'a str,
    pub unit: &'a str,
    /// Where the invoice is seen, paid and, if autopay asks, approved.
    pub invoice_url: String,
    /// Where the resident changes, reactivates and cancels autopay.
    pub autopay_url: String,
}

impl fmt::Debug for About<'_> {
    /// Names stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("About(…)")
    }
}

/// A charge by autopay, ahead or done.
#[derive(Debug, Clone)]
pub struct Charge<'a> {
    /// What the invoice is credited with.
    pub amount: Money,
    /// The processing fee on top; zero is not shown.
    pub fee: Money,
    /// What the resident pays in all; shown where it differs from the amount.
    pub charged: Money,
    pub method: Method<'a>,
    pub on: NaiveDate,
}

/// Whether autopay is paused, seen from an invoice whose charge failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// It was cancelled meanwhile, or goes on.
    #[default]
    None,
    /// Because of this invoice: once it is paid, autopay may go on.
    ForThis,
    /// Because of something else, behind which this invoice waits.
    ForAnother,
}

/// What is to be told, with the facts to tell it. All texts are taken as written by strangers.
#[derive(Clone)]
pub enum Letter<'a> {
    InvoicePublished {
        resident: &'a str,
        title: &'a str,
        unit: &'a str,
        description: Option<&'a str>,
        lines: Vec<(&'a str, Money)>,
        total: Money,
        /// What is still to be paid; shown beside the total where it differs.
        balance: Money,
        due_on: NaiveDate,
        invoice_url: String,
    },
    PaymentReceived {
        resident: &'a str,
        title: &'a str,
        unit: &'a str,
        /// What the invoice was credited with.
        amount: Money,
        /// The processing fee on top; zero is not shown.
        fee: Money,
        /// What the resident paid in all; shown where it differs from the amount.
        charged: Money,
        method: Method<'a>,
        received_on: NaiveDate,
        /// What is still to be paid on the invoice.
        balance: Money,
        invoice_url: String,
    },
    PaymentReminder {
        about: About<'a>,
        /// What is still to be paid; where it is nothing, the letter says so.
        balance: Money,
        due_on: NaiveDate,
        overdue: bool,
    },
    /// Autopay is going to charge.
    AutopayNotice { about: About<'a>, charge: Charge<'a> },
    /// Autopay asks before it charges.
    AutopayHeld {
        about: About<'a>,
        amount: Money,
        /// The most that it charges without asking.
        cap: Money,
        due_on: NaiveDate,
    },
    AutopayCharged {
        about: About<'a>,
        charge: Charge<'a>,
        /// What is still to be paid on the invoice.
        balance: Money,
    },
    AutopayFailed {
        about: About<'a>,
        amount: Money,
        reason: &'a PauseReason,
        /// The day of the next attempt; absent, there is none.
        retry_on: Option<NaiveDate>,
        /// The attempts that are left, the next one among them.
        retries_left: u32,
        pause: Pause,
    },
    /// Autopay is paused although no charge failed.
    AutopayPaused {
        resident: &'a str,
        reason: &'a PauseReason,
        /// The method that cannot be charged any more.
        method: Method<'a>,
        /// Where the resident sets up a new one.
        autopay_url: String,
    },
    /// A webhook is not sent to any more, because its receiver fails.
    WebhookDisabled {
        /// The receiver's host.
        host: &'a str,
        description: Option<&'a str>,
        /// The first day of failing; absent, the receiver said that it is gone.
        failing_since: Option<NaiveDate>,
        /// Where the webhook is seen.
        webhook_url: String,
    },
    SignInLink {
        resident: &'a str,
        /// A secret: whoever holds it can sign in.
        link: String,
        minutes: u32,
    },
}

impl Letter<'_> {
    /// The kind, as in [`events::email::EmailContent::kind`].
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
            Self::WebhookDisabled { .. } => "webhook-disabled",
        }
    }
}

impl fmt::Debug for Letter<'_> {
    /// Names and links stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({})", self.kind())
    }
}

/// A letter ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    pub html: String,
    /// Says everything that the HTML says.
    pub text: String,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rendered(…)")
    }
}

/// Why a letter could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("the {0} is not an http or https address")]
    NotALink(&'static str),
    #[error("the template could not be rendered")]
    Template(#[from] askama::Error),
}

/// Writes `letter` in `language`: the same input gives the same bytes.
pub fn render(letter: &Letter<'_>, head: &Letterhead<'_>, language: Language) -> Result<Rendered, RenderError> {
    page::render(letter, head, language)
}
