//! An invoice: from draft to the last cent. What people call Open, Overdue or Paid is derived, not stored.

mod booking;
mod by_hand;
mod claim;
mod drafting;
mod write_off;

use chrono::NaiveDate;
use events::{
    CreditId, InvoiceEvent, Money, PaymentId, PropertyId, RefundId, ResidentId, Role, TimeZone, UnitId,
    invoice::{InvoiceLine, OfflineMethod, PaymentSource, ReversalReason},
    money::MoneyError,
    text::{Paragraphs, Title},
};

pub use self::{
    booking::{ApplyCredit, ApplyPayment, ReinstatePayment, ReverseDisputed, ReversePayment, UndoRefund},
    by_hand::{CorrectOfflinePayment, RecordOfflinePayment},
    claim::{ReleasePayment, ReservePayment},
    drafting::{DiscardDraft, DraftInvoice, EditInvoice, PublishInvoice, VoidInvoice},
    write_off::WriteOffInvoice,
};
use crate::{Aggregate, Decision, Scope, credit::credit_id};

const MANAGERS: &[Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Operator];
/// Bulk jobs draft and publish on a manager's behalf.
const MANAGERS_AND_JOBS: &[Role] =
    &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Operator, Role::Process];
const PROCESS: &[Role] = &[Role::Process];

refusals! {
    pub enum InvoiceRefusal {
        NotFound = Missing, "there is no such invoice";
        DraftedOtherwise = Conflict, "an invoice with this id exists with other contents; edit that one or use a new id";
        NoSuchProperty = Invalid, "there is no such property";
        NoSuchUnit = Invalid, "there is no such unit in that property";
        NotLivingThere = Invalid, "the resident does not live in that unit; move them in first";
        NoLines = Invalid, "an invoice has 1 to 100 lines";
        WrongCurrency { expected: events::Currency } = Invalid, "the property bills in {expected}";
        NothingToPay = Invalid, "the lines must add up to more than zero";
        TooMuch = Invalid, "the amount is larger than an invoice can be";
        DueInThePast { today: NaiveDate } = Invalid, "the due date is past; today is {today} at the property";
        TooFarAhead = Invalid, "the due date is more than ten years ahead";
        NotADraft = Conflict, "the invoice is not a draft any more";
        NotPublished = Conflict, "the invoice is not published";
        Voided = Conflict, "the invoice was voided";
        MoneyOnIt = Conflict, "there is money on the invoice; refund or correct the payments first";
        PaymentInFlight = Conflict, "a payment is in flight; wait until it is done, or cancel it";
        BelowWhatWasPaid = Conflict, "more than the new amount was paid already; refund the difference first";
        AlreadyPaid = Conflict, "nothing is left to pay";
        TooSmall { least: Money } = Invalid, "the least that can be paid is {least}";
        MoreThanBalance { balance: Money } = Invalid, "only {balance} is left to pay";
        ReceivedInTheFuture { today: NaiveDate } = Invalid, "the day of receipt is in the future; today is {today} at the property";
        NoSuchPayment = Missing, "there is no such payment on the invoice";
        PaidOnline = Conflict, "the payment was made online; refund it instead";
        PaymentIdTaken = Conflict, "another payment has this id; use a new one";
        NotTheBalance { balance: Money } = Conflict, "the balance is {balance} now";
        NotOverdue { due_on: NaiveDate } = Conflict, "the invoice can still be paid in time, until {due_on}; void it if it is wrong";
        WrittenOff = Conflict, "the invoice was written off";
        NotRefunded = Missing, "the payment was not refunded under this id";
        NotDisputed = Missing, "the payment was not taken back by the dispute";
    }
}

impl From<MoneyError> for InvoiceRefusal {
    fn from(_: MoneyError) -> Self {
        Self::TooMuch
    }
}

/// Where the invoice stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Unknown,
    Draft,
    Discarded,
    Published,
    Voided,
}

/// Money that reached the invoice.
#[derive(Debug, Clone)]
struct Applied {
    payment: PaymentId,
    amount: Money,
    /// How and when it was received; absent: online.
    offline: Option<(OfflineMethod, NaiveDate)>,
    /// What left again, less what came back.
    reversed: Money,
    refunds: Vec<RefundId>,
    /// Those that came back.
    undone: Vec<RefundId>,
    disputes: Vec<Disputed>,
}

/// Money that the payer's bank took back.
#[derive(Debug, Clone)]
struct Disputed {
    dispute: String,
    /// It was won, and the money is back.
    reinstated: bool,
}

impl Applied {
    fn dispute(&self, dispute: &str) -> Option<&Disputed> {
        self.disputes.iter().find(|known| known.dispute == dispute)
    }
}

/// Credit that reached the invoice.
#[derive(Debug, Clone, Copy)]
struct Credited {
    credit: CreditId,
    number: u32,
    amount: Money,
}

/// An invoice as decisions need it.
#[derive(Debug, Default)]
pub struct Invoice {
    pub phase: Phase,
    pub terms: Option<Terms>,
    pub content: Option<Content>,
    pub claim: Option<(PaymentId, Money)>,
    /// What is not expected any more: the balance, until money moves again.
    pub written_off: Option<Money>,
    applied: Vec<Applied>,
    credits: Vec<Credited>,
    /// What went on to the resident's credit.
    overpaid: Vec<(PaymentId, Money)>,
    closed_claims: Vec<PaymentId>,
}

/// What an edit cannot change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub property: PropertyId,
    pub unit: UnitId,
    pub resident: ResidentId,
    pub time_zone: TimeZone,
}

/// What an edit replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub title: Title,
    pub description: Option<Paragraphs>,
    pub lines: Vec<InvoiceLine>,
    pub total: Money,
    pub due_on: NaiveDate,
}

impl Invoice {
    /// What is left to pay, written off or not.
    pub fn balance(&self) -> Result<Money, MoneyError> {
        let Some(content) = &self.content else { return Money::try_new(0, events::Currency::USD) };
        let paid = self.applied.iter().try_fold(content.total, |balance, applied| {
            balance.checked_sub(applied.amount)?.checked_add(applied.reversed)
        })?;
        let settled = self.credits.iter().try_fold(paid, |balance, credit| balance.checked_sub(credit.amount))?;
        self.overpaid.iter().try_fold(settled, |balance, (_, excess)| balance.checked_add(*excess))
    }

    /// What of the invoice is due to be paid, sooner or later: nothing when it was withdrawn.
    pub fn expected(&self) -> Result<Money, MoneyError> {
        let balance = self.balance()?;
        Ok(if self.phase == Phase::Published && self.written_off.is_none() && balance.is_positive() {
            balance
        } else {
            Money::zero(balance.currency())
        })
    }

    /// Money came in: booked, and what is beyond the balance goes on to the resident's credit.
    fn received(
        &self,
        payment_id: PaymentId,
        amount: Money,
        booked: impl FnOnce(Money) -> InvoiceEvent,
    ) -> Decision<Self> {
        let (terms, _) = self.drafted()?;
        let before = self.balance()?;
        let balance = before.checked_sub(amount)?;
        let mut events = self.reopening([booked(balance)]);
        // Of an invoice that was withdrawn nothing is due.
        let excess = if self.phase != Phase::Published {
            amount
        } else if balance.amount() < 0 {
            Money::zero(balance.currency()).checked_sub(balance)?
        } else {
            return Ok(events);
        };
        events.push(InvoiceEvent::OverpaymentCredited {
            number: u32::try_from(self.overpaid.len()).unwrap_or(u32::MAX).saturating_add(1),
            credit_id: credit_id(terms.property, terms.resident),
            resident_id: terms.resident,
            property_id: terms.property,
            payment_id,
            amount: excess,
            balance: balance.checked_add(excess)?,
        });
        Ok(events)
    }

    /// Whatever moves money on an invoice that was written off undoes that first: the write-off is of the balance, or of nothing.
    fn reopening(&self, events: impl IntoIterator<Item = InvoiceEvent>) -> Vec<InvoiceEvent> {
        self.written_off.map(|_| InvoiceEvent::WriteOffUndone {}).into_iter().chain(events).collect()
    }

    fn drafted(&self) -> Result<(&Terms, &Content), InvoiceRefusal> {
        self.terms.as_ref().zip(self.content.as_ref()).ok_or(InvoiceRefusal::NotFound)
    }

    /// Terms and content of an invoice that can take money.
    fn payable(&self) -> Result<(&Terms, &Content), InvoiceRefusal> {
        let parts = self.drafted()?;
        match self.phase {
            Phase::Published => Ok(parts),
            Phase::Voided => Err(InvoiceRefusal::Voided),
            Phase::Unknown => Err(InvoiceRefusal::NotFound),
            Phase::Draft | Phase::Discarded => Err(InvoiceRefusal::NotPublished),
        }
    }

    /// Whether this much can be paid now, and by whom nothing else is in flight.
    pub fn admits(&self, amount: Money) -> Result<(), InvoiceRefusal> {
        let (_, content) = self.payable()?;
        if self.claim.is_some() {
            return Err(InvoiceRefusal::PaymentInFlight);
        }
        let balance = self.balance()?;
        if !balance.is_positive() {
            return Err(InvoiceRefusal::AlreadyPaid);
        }
        if amount.currency() != content.total.currency() {
            return Err(InvoiceRefusal::WrongCurrency { expected: content.total.currency() });
        }
        if amount > balance {
            return Err(InvoiceRefusal::MoreThanBalance { balance });
        }
        // One unit of the currency, unless less is left.
        let unit = 10_i64.pow(content.total.currency().minor_digits());
        let least = Money::try_new(unit.min(balance.amount()), balance.currency())?;
        if amount < least {
            return Err(InvoiceRefusal::TooSmall { least });
        }
        Ok(())
    }

    /// The same for a payment of all that is left, which nobody looks at before it is made.
    pub fn admits_whole(&self, amount: Money) -> Result<(), InvoiceRefusal> {
        self.admits(amount).or_else(|why| match why {
            InvoiceRefusal::MoreThanBalance { .. } | InvoiceRefusal::TooSmall { .. } => Ok(()),
            why => Err(why),
        })?;
        if self.written_off.is_some() {
            return Err(InvoiceRefusal::WrittenOff);
        }
        let balance = self.balance()?;
        if amount == balance { Ok(()) } else { Err(InvoiceRefusal::NotTheBalance { balance }) }
    }

    /// Whether what was spent of a credit under this number reached it.
    pub fn took(&self, credit: CreditId, number: u32) -> bool {
        self.credits.iter().any(|known| (known.credit, known.number) == (credit, number))
    }

    /// Whether the online payment was booked or given up.
    fn is_over(&self, payment: PaymentId) -> bool {
        self.closed_claims.contains(&payment) || self.applied_online(payment).is_some()
    }

    /// How and when an offline payment came in.
    pub fn offline(&self, payment: PaymentId) -> Option<(OfflineMethod, NaiveDate)> {
        self.applied_by_hand(payment)?.offline
    }

    /// What of a payment went on to the resident's credit.
    pub fn credited_from(&self, payment: PaymentId) -> Result<Money, MoneyError> {
        let currency = self.balance()?.currency();
        Money::sum(currency, self.overpaid.iter().filter(|(of, _)| *of == payment).map(|(_, excess)| *excess))
    }

    fn applied_online(&self, payment: PaymentId) -> Option<&Applied> {
        self.applied.iter().find(|applied| applied.offline.is_none() && applied.payment == payment)
    }

    fn applied_by_hand(&self, payment: PaymentId) -> Option<&Applied> {
        self.applied.iter().find(|applied| applied.offline.is_some() && applied.payment == payment)
    }
}

impl Aggregate for Invoice {
    type Event = InvoiceEvent;
    type Refusal = InvoiceRefusal;

    fn evolve(&mut self, event: &InvoiceEvent) {
        match event.clone() {
            InvoiceEvent::InvoiceDrafted {
                property_id,
                unit_id,
                resident_id,
                title,
                description,
                lines,
                total,
                due_on,
                time_zone,
            } => {
                self.phase = Phase::Draft;
                self.terms = Some(Terms { property: property_id, unit: unit_id, resident: resident_id, time_zone });
                self.content = Some(Content { title, description, lines, total, due_on });
            }
            InvoiceEvent::InvoiceEdited { title, description, lines, total, due_on } => {
                self.content = Some(Content { title, description, lines, total, due_on });
            }
            InvoiceEvent::InvoiceDiscarded {} => self.phase = Phase::Discarded,
            InvoiceEvent::InvoicePublished { .. } => self.phase = Phase::Published,
            InvoiceEvent::InvoiceVoided { .. } => self.phase = Phase::Voided,
            InvoiceEvent::PaymentReserved { payment_id, amount } => self.claim = Some((payment_id, amount)),
            InvoiceEvent::PaymentReleased { payment_id, .. } => {
                self.claim = self.claim.filter(|(holder, _)| *holder != payment_id);
                self.closed_claims.push(payment_id);
            }
            InvoiceEvent::PaymentApplied { payment_id, amount, source, .. } => {
                self.claim = self.claim.filter(|(holder, _)| *holder != payment_id);
                self.applied.push(Applied {
                    payment: payment_id,
                    amount,
                    offline: match source {
                        PaymentSource::Online | PaymentSource::Autopay { .. } => None,
                        PaymentSource::Offline { method, received_on, .. } => Some((method, received_on)),
                    },
                    reversed: Money::zero(amount.currency()),
                    refunds: Vec::new(),
                    undone: Vec::new(),
                    disputes: Vec::new(),
                });
            }
            InvoiceEvent::PaymentReversed { payment_id, amount, reason, .. } => {
                let online = !matches!(reason, ReversalReason::OfflineCorrection { .. });
                let mut found = self.applied.iter_mut().filter(|applied| applied.payment == payment_id);
                if let Some(applied) = found.find(|applied| applied.offline.is_none() == online) {
                    applied.reversed = applied.reversed.checked_add(amount).unwrap_or(applied.reversed);
                    match reason {
                        ReversalReason::Refund { refund_id } => applied.refunds.push(refund_id),
                        ReversalReason::Dispute { dispute } | ReversalReason::Return { dispute, .. } => {
                            applied.disputes.push(Disputed { dispute, reinstated: false });
                        }
                        ReversalReason::OfflineCorrection { .. } => {}
                    }
                }
            }
            InvoiceEvent::PaymentReinstated { payment_id, amount, dispute, .. } => {
                let mut found = self.applied.iter_mut().filter(|applied| applied.payment == payment_id);
                if let Some(applied) = found.find(|applied| applied.offline.is_none()) {
                    applied.reversed = applied.reversed.checked_sub(amount).unwrap_or(applied.reversed);
                    applied
                        .disputes
                        .iter_mut()
                        .filter(|known| known.dispute == dispute)
                        .for_each(|known| known.reinstated = true);
                }
            }
            InvoiceEvent::RefundUndone { payment_id, refund_id, amount, .. } => {
                let mut found = self.applied.iter_mut().filter(|applied| applied.payment == payment_id);
                if let Some(applied) = found.find(|applied| applied.offline.is_none()) {
                    applied.reversed = applied.reversed.checked_sub(amount).unwrap_or(applied.reversed);
                    applied.undone.push(refund_id);
                }
            }
            InvoiceEvent::OverpaymentCredited { payment_id, amount, .. } => self.overpaid.push((payment_id, amount)),
            InvoiceEvent::CreditApplied { credit_id, number, amount, .. } => {
                self.credits.push(Credited { credit: credit_id, number, amount });
            }
            InvoiceEvent::InvoiceWrittenOff { amount, .. } => self.written_off = Some(amount),
            InvoiceEvent::WriteOffUndone {} => self.written_off = None,
        }
    }

    fn scope(&self) -> Scope {
        self.terms.map(|terms| Scope::property(terms.property).and_resident(terms.resident)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
