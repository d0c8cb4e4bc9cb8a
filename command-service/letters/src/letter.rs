//! The letters there are, the sender's head, and their rendering.

use std::fmt;

use chrono::NaiveDate;
use events::{Language, Money, invoice::OfflineMethod};

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

/// How a payment was made. No number but a card's last four digits can be told.
#[derive(Debug, Clone, Copy)]
pub enum Method<'a> {
    /// Stripe's word for the brand (`visa`), shown as `Visa ****4242`.
    Card {
        brand: &'a str,
        last4: &'a str,
    },
    /// Online, with means that are not known.
    Online,
    Offline(OfflineMethod),
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
