//! The catalogue of phrases that each language fills in; a phrase that is missing does not compile.

mod en;
mod es;
mod fr;

use events::{Language, invoice::OfflineMethod};

/// A phrase around one fact.
type About = fn(&str) -> String;

/// All phrases of one language.
pub struct Wording {
    /// The `lang` attribute.
    pub tag: &'static str,
    /// A colon with the space that the language puts before it.
    pub colon: &'static str,
    pub greeting: About,
    pub closing: &'static str,
    /// Beneath the button, before the bare address.
    pub link_fallback: &'static str,
    pub questions: About,
    pub no_replies: &'static str,
    pub portal: &'static str,
    /// Why the resident receives this, about the name of the community.
    pub because: About,
    pub invoice: InvoiceWording,
    pub payment: PaymentWording,
    pub sign_in: SignInWording,
}

pub struct InvoiceWording {
    /// About title, balance and due date.
    pub subject: fn(&str, &str, &str) -> String,
    /// About the title, when nothing is left to pay.
    pub subject_settled: About,
    pub intro: &'static str,
    pub settled: &'static str,
    pub unit: &'static str,
    pub due_on: &'static str,
    pub item: &'static str,
    pub amount: &'static str,
    pub total: &'static str,
    pub balance: &'static str,
    pub pay: &'static str,
    pub view: &'static str,
}

pub struct PaymentWording {
    /// About amount and title.
    pub subject: fn(&str, &str) -> String,
    pub intro: &'static str,
    pub settled: &'static str,
    /// About the balance.
    pub remaining: About,
    pub invoice: &'static str,
    pub unit: &'static str,
    pub amount: &'static str,
    pub fee: &'static str,
    pub charged: &'static str,
    pub method: &'static str,
    pub card: &'static str,
    pub online: &'static str,
    pub cash: &'static str,
    pub check: &'static str,
    pub other: &'static str,
    pub received_on: &'static str,
    pub balance: &'static str,
    pub receipt: &'static str,
    pub view: &'static str,
}

impl PaymentWording {
    pub const fn offline(&self, method: OfflineMethod) -> &'static str {
        match method {
            OfflineMethod::Cash => self.cash,
            OfflineMethod::Check => self.check,
            OfflineMethod::Other => self.other,
        }
    }
}

pub struct SignInWording {
    /// About the organization.
    pub subject: About,
    pub intro: &'static str,
    pub expiry: fn(u32) -> String,
    pub unasked: &'static str,
    pub sign_in: &'static str,
}

impl Wording {
    pub const fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &en::WORDING,
            Language::Fr => &fr::WORDING,
            Language::Es => &es::WORDING,
        }
    }
}
