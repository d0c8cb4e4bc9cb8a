//! An enrollment in the words of the API.

use chrono::NaiveDate;
use events::{Language, Role, autopay::PauseReason};
use poem_openapi::Object;
use projections::autopay::{self, AutopayView, ChargeView, FailureItem, HeldView, SetupItem, WaitingView};
use uuid::Uuid;

use crate::{answer::Money, instant::Instant};

/// The same in each language that residents are written to in.
#[derive(Debug, Clone, Object)]
pub struct Words {
    pub en: String,
    pub fr: String,
    pub es: String,
}

/// Why a charge did not go through, or why autopay is paused.
#[derive(Debug, Clone, Object)]
pub struct Reason {
    /// `Declined`, `RetriesUsedUp`, `DeclinedForGood`, `AuthenticationRequired`, `Returned`, `MandateRevoked`, `MethodDetached` or
    /// `AccountChanged`.
    pub code: String,
    /// The bank's code. Managers only: that a card was reported stolen is not for whoever holds it.
    pub detail: Option<String>,
    pub words: Words,
}

impl Reason {
    pub fn of(reason: &PauseReason, role: Role) -> Self {
        let (code, detail) = match reason {
            PauseReason::Declined { code } => ("Declined", Some(code)),
            PauseReason::RetriesUsedUp { code } => ("RetriesUsedUp", Some(code)),
            PauseReason::DeclinedForGood { code } => ("DeclinedForGood", Some(code)),
            PauseReason::AuthenticationRequired => ("AuthenticationRequired", None),
            PauseReason::Returned { code } => ("Returned", Some(code)),
            PauseReason::MandateRevoked => ("MandateRevoked", None),
            PauseReason::MethodDetached => ("MethodDetached", None),
            PauseReason::AccountChanged => ("AccountChanged", None),
        };
        let words = |language| reason.words(language).to_owned();
        Self {
            code: code.to_owned(),
            detail: detail.filter(|_| role != Role::Resident).cloned(),
            words: Words { en: words(Language::En), fr: words(Language::Fr), es: words(Language::Es) },
        }
    }
}

/// A set-up that is under way.
#[derive(Debug, Clone, Object)]
pub struct AutopaySetup {
    pub setup_id: Uuid,
    /// `Card` or `BankDebit`.
    pub kind: String,
    /// `Enable`, `Update` or `Reactivate`.
    pub purpose: String,
    /// `Requested`, `AwaitingMethod` or `ActionRequired`.
    pub state: String,
    /// Two small deposits are on their way, whose amounts the resident enters.
    pub microdeposits: bool,
    pub requested_at: Instant,
}

/// An invoice that waits until autopay goes on.
#[derive(Debug, Clone, Object)]
pub struct WaitingInvoice {
    pub invoice_id: Uuid,
    pub title: String,
    pub due_on: NaiveDate,
    pub balance: Money,
}

/// An invoice above the cap, about which the resident is asked.
#[derive(Debug, Clone, Object)]
pub struct HeldInvoice {
    pub invoice_id: Uuid,
    pub title: String,
    pub due_on: NaiveDate,
    /// What `ApproveCharge` approves.
    pub amount: Money,
    pub cap: Money,
    /// What is outstanding now.
    pub balance: Money,
    pub held_at: Instant,
}

/// A charge that was initiated and has no outcome yet.
#[derive(Debug, Clone, Object)]
pub struct ChargeInFlight {
    pub payment_id: Uuid,
    pub invoice_id: Uuid,
    pub title: Option<String>,
    pub due_on: NaiveDate,
    pub amount: Money,
    /// 0 for the first, then the number of the retry.
    pub attempt: u32,
    /// The payment's phase.
    pub phase: Option<String>,
    pub authorized_at: Instant,
}

/// The last charge that did not go through.
#[derive(Debug, Clone, Object)]
pub struct ChargeFailure {
    pub payment_id: Uuid,
    pub invoice_id: Uuid,
    pub amount: Money,
    pub reason: Reason,
    pub at: Instant,
}

/// What the resident may ask for now.
#[derive(Debug, Clone, Copy, Object)]
pub struct Buttons {
    pub enable: bool,
    pub update: bool,
    pub reactivate: bool,
    pub cancel: bool,
    /// One of the held invoices can be approved.
    pub approve: bool,
}

impl From<autopay::Buttons> for Buttons {
    fn from(autopay::Buttons { enable, update, reactivate, cancel, approve }: autopay::Buttons) -> Self {
        Self { enable, update, reactivate, cancel, approve }
    }
}

/// Autopay of one resident in one property.
#[derive(Debug, Clone, Object)]
pub struct Autopay {
    pub autopay_id: Uuid,
    /// `None`, `SetupPending`, `Active`, `Paused` or `Cancelled`.
    pub status: String,
    /// `Active`, `Paused`, `Setup Pending` or `Cancelled`; null when nothing is set up.
    pub badge: Option<String>,
    /// `Visa ****4242` or `Bank ****6789`; null when there is none or it was erased.
    pub method: Option<String>,
    /// `Card` or `BankDebit`.
    pub kind: Option<String>,
    pub card_brand: Option<String>,
    pub card_last4: Option<String>,
    pub card_exp_month: Option<u8>,
    pub card_exp_year: Option<u16>,
    pub bank_name: Option<String>,
    pub bank_last4: Option<String>,
    /// Why it is paused.
    pub reason: Option<Reason>,
    /// Reactivating needs a new method.
    pub new_method_required: bool,
    /// Attempts that are left for the failed invoice.
    pub retries_left: Option<u32>,
    /// When the next one is made; null while one is in flight.
    pub next_attempt_at: Option<Instant>,
    /// The invoice that the pause is about.
    pub failed_invoice_id: Option<Uuid>,
    /// The most that is charged without asking.
    pub cap: Option<Money>,
    pub setup: Option<AutopaySetup>,
    /// Why the last set-up ended without a method.
    pub setup_failure: Option<String>,
    /// In the order in which they will be charged.
    pub waiting: Vec<WaitingInvoice>,
    pub held: Vec<HeldInvoice>,
    /// Each goes on with the method that it was started with, after a cancel too.
    pub in_flight: Vec<ChargeInFlight>,
    pub last_failure: Option<ChargeFailure>,
    /// What the resident may ask for now.
    pub buttons: Buttons,
    pub property_id: Uuid,
    pub property_name: Option<String>,
    /// The IANA name of the property's zone.
    pub time_zone: Option<String>,
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub resident_name: Option<String>,
    pub activated_at: Option<Instant>,
    pub cancelled_at: Option<Instant>,
    pub changed_at: Instant,
    /// What `If-Match` expects.
    pub version: i64,
}

/// The badge of a status.
pub fn badge(status: &str) -> Option<&str> {
    match status {
        "None" => None,
        "SetupPending" => Some("Setup Pending"),
        other => Some(other),
    }
}

impl Autopay {
    /// The enrollment as somebody of this role sees it.
    pub fn of(view: AutopayView, role: Role) -> Self {
        let buttons = view.buttons().into();
        let new_method_required = view.new_method_required();
        let row = view.autopay;
        let paused_for = row.paused_for.filter(|_| row.status == "Paused");
        Self {
            autopay_id: row.autopay_id,
            badge: badge(&row.status).map(str::to_owned),
            status: row.status,
            method: row.method,
            kind: row.kind,
            card_brand: row.card_brand,
            card_last4: row.card_last4,
            card_exp_month: row.card_exp_month,
            card_exp_year: row.card_exp_year,
            bank_name: row.bank_name,
            bank_last4: row.bank_last4,
            reason: row.pause.map(|pause| Reason::of(&pause, role)),
            new_method_required,
            retries_left: paused_for.as_ref().map(|failed| failed.retries_left),
            next_attempt_at: row.next_attempt_at.map(Instant),
            failed_invoice_id: paused_for.map(|failed| failed.invoice_id),
            cap: row.cap.zip(row.cap_currency).map(|(amount, currency)| Money::of(amount, &currency)),
            setup: row.setup.map(AutopaySetup::from),
            setup_failure: row.setup_failure,
            waiting: view.waiting_invoices.into_iter().map(WaitingInvoice::from).collect(),
            held: view.held_invoices.into_iter().map(HeldInvoice::from).collect(),
            in_flight: view.charges.into_iter().map(ChargeInFlight::from).collect(),
            last_failure: row.last_failure.map(|failure| ChargeFailure::of(&failure, role)),
            buttons,
            property_id: row.property_id,
            property_name: view.property_name,
            time_zone: view.time_zone,
            resident_id: row.resident_id,
            resident_name: view.resident_name,
            activated_at: row.activated_at.map(Instant),
            cancelled_at: row.cancelled_at.map(Instant),
            changed_at: Instant(row.changed_at),
            version: row.version,
        }
    }
}

impl From<SetupItem> for AutopaySetup {
    fn from(item: SetupItem) -> Self {
        Self {
            setup_id: item.setup_id,
            kind: item.kind,
            purpose: item.purpose,
            state: item.state,
            microdeposits: item.microdeposits,
            requested_at: Instant(item.requested_at),
        }
    }
}

impl From<WaitingView> for WaitingInvoice {
    fn from(view: WaitingView) -> Self {
        Self {
            invoice_id: view.invoice_id,
            title: view.title,
            due_on: view.due_on,
            balance: Money::of(view.balance, &view.currency),
        }
    }
}

impl From<HeldView> for HeldInvoice {
    fn from(view: HeldView) -> Self {
        let money = |amount| Money::of(amount, &view.currency);
        Self {
            amount: money(view.amount),
            cap: money(view.cap),
            balance: money(view.balance),
            invoice_id: view.invoice_id,
            title: view.title,
            due_on: view.due_on,
            held_at: Instant(view.held_at),
        }
    }
}

impl From<ChargeView> for ChargeInFlight {
    fn from(view: ChargeView) -> Self {
        Self {
            payment_id: view.payment_id,
            invoice_id: view.invoice_id,
            title: view.title,
            due_on: view.due_on,
            amount: Money::of(view.amount, &view.currency),
            attempt: view.attempt,
            phase: view.phase,
            authorized_at: Instant(view.authorized_at),
        }
    }
}

impl ChargeFailure {
    fn of(item: &FailureItem, role: Role) -> Self {
        Self {
            payment_id: item.payment_id,
            invoice_id: item.invoice_id,
            amount: Money::of(item.amount, &item.currency),
            reason: Reason::of(&item.reason, role),
            at: Instant(item.at),
        }
    }
}
