//! Autopay of one resident in one property: the method, the charges, the pauses, and one answer to "may this be charged now?".
//!
//! The stream's word is law: a charge exists only after [`AuthorizeCharge`] was accepted here, so that a cancel that came
//! first always wins, whatever timers, webhooks and workers do at the same time.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use events::{
    AutopayEvent, AutopayId, Currency, InvoiceId, Money, PaymentId, PropertyId, ResidentId, Role, SetupId,
    StripeAccountId,
    autopay::{AutopayMethod, PauseReason, Retry, SetupPurpose},
    payment::PaymentMethodKind,
};

use crate::{Aggregate, Scope};

mod charge;
mod evolve;
mod method;
mod outcome;
mod report;
mod retry;
mod setup;
mod verdict;

pub use charge::{ApproveCharge, AuthorizeCharge, DeferCharge, HoldCharge};
pub use method::{CancelAutopay, LoseMethod, Loss, RefreshMethod, RevokeMandate, SetAutopayCap};
pub use outcome::{ReleaseInvoice, SettleCharge, WithdrawCharge};
pub use report::{FailSetup, RecordSetup, SetupState};
pub use retry::{Decline, FailCharge, ReturnCharge, classify, retries};
pub use setup::{EnableAutopay, ReactivateAutopay, UpdateAutopayMethod};
pub use verdict::{NoCharge, Verdict};

const PROCESS: &[Role] = &[Role::Process, Role::Provider];

refusals! {
    pub enum AutopayRefusal {
        NotFound = Missing, "there is no such autopay";
        NoSuchProperty = Invalid, "there is no such property";
        NotLivingThere = Conflict, "autopay is for residents who live in the property";
        NoStripeAccount = Conflict, "the property takes no online payments; ask the manager for other ways to pay";
        StripeAccountNotReady = Conflict, "the property's Stripe account cannot take payments at the moment; try later or pay by hand";
        NoBankDebit = Invalid, "bank debits are made in US dollars only; use a card";
        SetupIdTaken = Conflict, "a set-up with this id exists with other details; use a new one";
        NoSuchSetup = Missing, "there is no such set-up of autopay";
        OtherIntent = Conflict, "the report is about another set-up at Stripe";
        NoMethodReported = Invalid, "the report of a set-up that succeeded lacks the method; read it again with the method";
        EnabledAlready = Conflict, "autopay is on; update its method instead";
        PausedAlready = Conflict, "autopay is paused; reactivate it instead";
        NotEnabled = Conflict, "autopay is not on; enable it first";
        NotPaused = Conflict, "autopay is not paused";
        NewMethodRequired = Conflict, "the present method cannot be charged any more; set up a new one";
        BadCap = Invalid, "the cap must be more than zero";
        WrongCurrency { expected: Currency } = Invalid, "the property bills in {expected}";
        NotHeld = Conflict, "autopay does not ask about this invoice";
        AmountChanged { amount: Money } = Conflict, "the amount to approve is {amount} now";
        NotAboveCap = Conflict, "the amount is not above the cap, or is approved: it can be charged";
        NoSuchCharge = Missing, "autopay authorized no such charge";
        ChargeOfOther = Conflict, "the charge was authorized for another invoice or amount";
        ChargeEnded = Conflict, "the charge has ended; start another under a new id";
        ChargeInFlight = Conflict, "another charge of this invoice is in flight";
        AlreadyCharged = Conflict, "autopay charged this invoice already";
        Paused = Conflict, "autopay is paused; the invoice waits";
        AboveCap { cap: Money } = Conflict, "the amount is above the cap of {cap}; the resident is asked first";
        OtherAttempt { due: u32 } = Conflict, "attempt {due} is due, not this one";
        PresentedTooOften = Conflict, "the bank debit came back as often as the bank network allows";
        NotReserved = Conflict, "the invoice is not claimed for this charge";
        NotDue { due_on: NaiveDate } = Conflict, "the invoice is due on {due_on}";
        MethodOfOtherAccount = Conflict, "the method belongs to another Stripe account than the property's; the resident must set up a new one";
        MethodChanged = Conflict, "the method has changed since the fee was worked out; start again";
    }
}

/// What people see on the badge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    None,
    SetupPending,
    Active,
    Paused,
    Cancelled,
}

/// Autopay as decisions need it.
#[derive(Debug, Default)]
pub struct Autopay {
    owner: Option<(PropertyId, ResidentId)>,
    standing: Standing,
    /// Counts the cancellations: what an earlier enrollment left behind concerns a later one no more.
    life: u32,
    setups: Vec<(SetupId, PaymentMethodKind, SetupPurpose)>,
    /// The newest set-up. Reports of older ones count for nothing.
    setup: Option<Setup>,
    method: Option<(AutopayMethod, StripeAccountId)>,
    cap: Option<Money>,
    charges: Vec<Charge>,
    /// The failure that autopay is paused for.
    failure: Option<Failure>,
    waiting: BTreeMap<InvoiceId, NaiveDate>,
    held: BTreeMap<InvoiceId, Held>,
    approved: BTreeMap<InvoiceId, Money>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Standing {
    #[default]
    None,
    Active,
    Paused(Pause),
    Cancelled,
}

/// Why nothing is charged, and whether the present method can ever be again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub reason: PauseReason,
    pub new_method_required: bool,
}

/// The newest set-up of a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    pub id: SetupId,
    pub account: StripeAccountId,
    pub kind: PaymentMethodKind,
    pub purpose: SetupPurpose,
    /// Stripe's `seti_…`, once it is there.
    pub intent: Option<String>,
    /// Stripe's `acct_…`, likewise.
    pub external: Option<String>,
    has_secret: bool,
    pub stage: Stage,
}

/// How far a set-up has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Open,
    ActionRequired { microdeposits: bool },
    Failed,
    Succeeded,
}

/// One authorized charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub payment: PaymentId,
    pub invoice: InvoiceId,
    pub due_on: NaiveDate,
    pub amount: Money,
    pub customer: String,
    pub payment_method: String,
    pub kind: PaymentMethodKind,
    pub attempt: u32,
    pub end: Option<ChargeEnd>,
    life: u32,
    /// When it failed, as far as its retry tells.
    failed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeEnd {
    Succeeded,
    Failed,
    /// It succeeded, or seemed to, and came back.
    Returned,
    Withdrawn,
}

/// The failed invoice that the pause is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub invoice: InvoiceId,
    pub due_on: NaiveDate,
    pub retry: Option<Retry>,
    pub retries_left: u32,
}

/// An invoice about which the resident is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub due_on: NaiveDate,
    pub amount: Money,
}

impl Autopay {
    /// The stream of a resident in a property.
    pub fn id(property: PropertyId, resident: ResidentId) -> AutopayId {
        AutopayId::derived(resident.0, &format!("autopay/{property}"))
    }

    pub const fn exists(&self) -> bool {
        self.owner.is_some()
    }

    pub const fn owner(&self) -> Option<(PropertyId, ResidentId)> {
        self.owner
    }

    pub fn status(&self) -> Status {
        match self.standing {
            Standing::Active => Status::Active,
            Standing::Paused(_) => Status::Paused,
            Standing::Cancelled => Status::Cancelled,
            Standing::None if self.pending_setup().is_some() => Status::SetupPending,
            Standing::None => Status::None,
        }
    }

    pub const fn pause(&self) -> Option<&Pause> {
        match &self.standing {
            Standing::Paused(pause) => Some(pause),
            Standing::None | Standing::Active | Standing::Cancelled => None,
        }
    }

    /// Active or paused.
    pub const fn is_enrolled(&self) -> bool {
        matches!(self.standing, Standing::Active | Standing::Paused(_))
    }

    pub fn method(&self) -> Option<&AutopayMethod> {
        self.method.as_ref().map(|(method, _)| method)
    }

    /// The account in which the method can be charged.
    pub fn method_account(&self) -> Option<StripeAccountId> {
        self.method.as_ref().map(|(_, account)| *account)
    }

    pub const fn cap(&self) -> Option<Money> {
        self.cap
    }

    /// The newest set-up, ended or not; none after a cancel.
    pub const fn setup(&self) -> Option<&Setup> {
        self.setup.as_ref()
    }

    /// The newest set-up, while the resident or the bank has something to do.
    pub fn pending_setup(&self) -> Option<&Setup> {
        self.setup.as_ref().filter(|setup| matches!(setup.stage, Stage::Open | Stage::ActionRequired { .. }))
    }

    pub fn charge(&self, payment: PaymentId) -> Option<&Charge> {
        self.charges.iter().find(|charge| charge.payment == payment)
    }

    /// The charge of an invoice whose end is not known.
    pub fn in_flight(&self, invoice: InvoiceId) -> Option<&Charge> {
        self.charges_of(invoice).find(|charge| charge.end.is_none())
    }

    /// Whether a charge of this method is in flight.
    pub fn is_charging(&self, payment_method: &str) -> bool {
        self.charges.iter().any(|charge| charge.end.is_none() && charge.payment_method == payment_method)
    }

    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// The retry that is scheduled and not under way.
    pub fn next_retry(&self) -> Option<(InvoiceId, Retry)> {
        let failure = self.failure?;
        failure.retry.filter(|_| self.in_flight(failure.invoice).is_none()).map(|retry| (failure.invoice, retry))
    }

    /// What is charged after a resumption, in the order of the due days: the invoice that failed and those that wait.
    pub fn waiting(&self) -> Vec<InvoiceId> {
        let mut waiting = self.waiting.clone();
        waiting.extend(self.failure.map(|failure| (failure.invoice, failure.due_on)));
        waiting.retain(|invoice, _| self.in_flight(*invoice).is_none() && !self.is_charged(*invoice));
        let mut ordered: Vec<_> = waiting.into_iter().map(|(invoice, due_on)| (due_on, invoice)).collect();
        ordered.sort_unstable();
        ordered.into_iter().map(|(_, invoice)| invoice).collect()
    }

    /// Invoices above the cap, about which the resident has not decided.
    pub fn held(&self) -> impl Iterator<Item = (InvoiceId, Held)> {
        self.held.iter().map(|(invoice, held)| (*invoice, *held))
    }

    /// The amount that the resident said yes to.
    pub fn approved(&self, invoice: InvoiceId) -> Option<Money> {
        self.approved.get(&invoice).copied()
    }

    fn charges_of(&self, invoice: InvoiceId) -> impl Iterator<Item = &Charge> {
        self.charges.iter().filter(move |charge| charge.invoice == invoice)
    }

    fn is_charged(&self, invoice: InvoiceId) -> bool {
        self.charges_of(invoice).any(|charge| charge.end == Some(ChargeEnd::Succeeded))
    }

    /// Whether the end of a charge concerns today's enrollment, not one that was cancelled since.
    const fn concerns(&self, charge: &Charge) -> bool {
        self.is_enrolled() && charge.life == self.life
    }

    fn known(&self) -> Result<ResidentId, AutopayRefusal> {
        self.owner.map(|(_, resident)| resident).ok_or(AutopayRefusal::NotFound)
    }

    fn known_charge(&self, payment: PaymentId) -> Result<&Charge, AutopayRefusal> {
        self.known()?;
        self.charge(payment).ok_or(AutopayRefusal::NoSuchCharge)
    }
}

impl Aggregate for Autopay {
    type Event = AutopayEvent;
    type Refusal = AutopayRefusal;

    fn evolve(&mut self, event: &AutopayEvent) {
        self.take(event);
    }

    fn scope(&self) -> Scope {
        self.owner.map(|(property, resident)| Scope::property(property).and_resident(resident)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
