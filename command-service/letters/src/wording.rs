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
    pub reminder: ReminderWording,
    pub autopay: AutopayWording,
    pub webhook: WebhookWording,
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
    pub bank: &'static str,
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

pub struct ReminderWording {
    /// About title, balance and due date.
    pub subject: fn(&str, &str, &str) -> String,
    pub subject_overdue: fn(&str, &str, &str) -> String,
    /// About the title, when it was paid meanwhile.
    pub subject_settled: About,
    pub intro: &'static str,
    /// About the due date.
    pub intro_overdue: About,
    pub thanks: &'static str,
}

/// Everything that autopay writes; what its letters share with receipts is in [`PaymentWording`].
pub struct AutopayWording {
    pub manage: &'static str,
    /// About amount, day and title.
    pub ahead_subject: fn(&str, &str, &str) -> String,
    /// About the day.
    pub ahead_intro: About,
    pub to_charge: &'static str,
    pub charge_on: &'static str,
    pub open_balance: &'static str,
    /// About the day.
    pub change: About,
    /// About amount and title.
    pub held_subject: fn(&str, &str) -> String,
    pub held_intro: &'static str,
    pub cap: &'static str,
    pub held_options: &'static str,
    pub approve: &'static str,
    pub change_cap: &'static str,
    /// About amount and title.
    pub charged_subject: fn(&str, &str) -> String,
    pub charged_intro: &'static str,
    pub charged_on: &'static str,
    /// About amount and title.
    pub failed_subject: fn(&str, &str) -> String,
    /// About the title, when no further attempt is made.
    pub ended_subject: About,
    pub failed_intro: &'static str,
    pub returned_intro: &'static str,
    pub reason: &'static str,
    pub next: &'static str,
    pub left: &'static str,
    /// About the day of the next attempt.
    pub again: About,
    pub waits: &'static str,
    pub confirm: &'static str,
    pub ended: &'static str,
    /// When autopay was cancelled meanwhile.
    pub alone: &'static str,
    pub paused: &'static str,
    pub paused_until_paid: &'static str,
    /// When no charge failed.
    pub paused_subject: &'static str,
    pub paused_intro: &'static str,
    pub paused_waits: &'static str,
    pub paused_by_hand: &'static str,
    pub set_up: &'static str,
    pub pay_now: &'static str,
    pub update: &'static str,
    pub reactivate: &'static str,
}

/// To whoever looks after a webhook.
pub struct WebhookWording {
    /// About the host.
    pub subject: About,
    pub intro_gone: &'static str,
    /// About the day.
    pub intro_failing: About,
    pub receiver: &'static str,
    pub description: &'static str,
    pub kept: &'static str,
    pub mend: &'static str,
    pub view: &'static str,
    /// About the organization.
    pub because: About,
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
