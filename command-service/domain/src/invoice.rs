//! An invoice: from draft to the last cent. What people call Open, Overdue or Paid is derived, not stored.

use chrono::NaiveDate;
use events::{
    InvoiceEvent, InvoiceId, Money, OrganizationId, PaymentId, PropertyId, RefundId, ResidentId, Role, TimeZone,
    UnitId,
    invoice::{InvoiceLine, OfflineMethod, PaymentSource, ReleaseReason, ReversalReason},
    money::MoneyError,
    text::{Line, Paragraphs, Title},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, Facts, Need, Scope};

const MANAGERS: &[Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Operator];
/// Bulk jobs draft and publish on a manager's behalf.
const MANAGERS_AND_JOBS: &[Role] =
    &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Operator, Role::Process];
const PROCESS: &[Role] = &[Role::Process];

/// Lines of one invoice.
const MAX_LINES: usize = 100;

/// Writes an invoice for one unit, to be reviewed before it is published.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftInvoice {
    pub invoice_id: InvoiceId,
    pub property_id: PropertyId,
    pub unit_id: UnitId,
    pub resident_id: ResidentId,
    pub title: Title,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Paragraphs>,
    /// At least one; their sum is the invoice's amount.
    #[schemars(length(min = 1, max = 100))]
    pub lines: Vec<InvoiceLine>,
    /// The last day to pay, in the property's time zone.
    pub due_on: NaiveDate,
}

/// Writes a new version of an invoice's text, lines or due date.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditInvoice {
    pub invoice_id: InvoiceId,
    pub title: Title,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Paragraphs>,
    #[schemars(length(min = 1, max = 100))]
    pub lines: Vec<InvoiceLine>,
    pub due_on: NaiveDate,
}

/// Throws a draft away.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardDraft {
    pub invoice_id: InvoiceId,
}

/// Makes a draft payable.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishInvoice {
    pub invoice_id: InvoiceId,
    /// Tell the resident by e-mail.
    #[serde(default = "yes")]
    pub notify: bool,
}

const fn yes() -> bool {
    true
}

/// Withdraws an invoice that has no money on it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VoidInvoice {
    pub invoice_id: InvoiceId,
    pub reason: Title,
}

/// Records cash, a check or a transfer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordOfflinePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub amount: Money,
    pub method: OfflineMethod,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Line<100>>,
    pub received_on: NaiveDate,
}

/// Takes back an offline payment that was recorded by mistake or whose check bounced.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectOfflinePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub note: Line<200>,
}

/// Claims the invoice for an online payment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReservePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub amount: Money,
}

/// Ends a claim without money.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleasePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub reason: ReleaseReason,
}

/// Books the money of an online payment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyPayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub amount: Money,
}

/// Books a refund.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReversePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub refund_id: RefundId,
    pub amount: Money,
}

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
    reversed: Money,
    refunds: Vec<RefundId>,
}

/// An invoice as decisions need it.
#[derive(Debug, Default)]
pub struct Invoice {
    pub phase: Phase,
    pub terms: Option<Terms>,
    pub content: Option<Content>,
    pub claim: Option<(PaymentId, Money)>,
    applied: Vec<Applied>,
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
    /// What is left to pay; negative when more came in than was due.
    pub fn balance(&self) -> Result<Money, MoneyError> {
        let Some(content) = &self.content else { return Money::try_new(0, events::Currency::USD) };
        self.applied.iter().try_fold(content.total, |balance, applied| {
            balance.checked_sub(applied.amount)?.checked_add(applied.reversed)
        })
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

    /// Whether the online payment was booked or given up.
    fn is_over(&self, payment: PaymentId) -> bool {
        self.closed_claims.contains(&payment) || self.applied_online(payment).is_some()
    }

    /// How and when an offline payment came in.
    pub fn offline(&self, payment: PaymentId) -> Option<(OfflineMethod, NaiveDate)> {
        self.applied_by_hand(payment)?.offline
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
                        PaymentSource::Online => None,
                        PaymentSource::Offline { method, received_on, .. } => Some((method, received_on)),
                    },
                    reversed: Money::zero(amount.currency()),
                    refunds: Vec::new(),
                });
            }
            InvoiceEvent::PaymentReversed { payment_id, amount, reason, .. } => {
                let online = matches!(reason, ReversalReason::Refund { .. });
                let mut found = self.applied.iter_mut().filter(|applied| applied.payment == payment_id);
                if let Some(applied) = found.find(|applied| applied.offline.is_none() == online) {
                    applied.reversed = applied.reversed.checked_add(amount).unwrap_or(applied.reversed);
                    if let ReversalReason::Refund { refund_id } = reason {
                        applied.refunds.push(refund_id);
                    }
                }
            }
        }
    }

    fn scope(&self) -> Scope {
        self.terms.map(|terms| Scope::property(terms.property).and_resident(terms.resident)).unwrap_or_default()
    }
}

/// The sum of the lines, if they make an invoice.
fn total(lines: &[InvoiceLine], currency: events::Currency) -> Result<Money, InvoiceRefusal> {
    if lines.is_empty() || lines.len() > MAX_LINES {
        return Err(InvoiceRefusal::NoLines);
    }
    if lines.iter().any(|line| line.amount.currency() != currency) {
        return Err(InvoiceRefusal::WrongCurrency { expected: currency });
    }
    let total = Money::sum(currency, lines.iter().map(|line| line.amount))?;
    if !total.is_positive() {
        return Err(InvoiceRefusal::NothingToPay);
    }
    // Stripe takes at most eight digits; the fee must fit on top.
    if total.amount() > 79_999_999 {
        return Err(InvoiceRefusal::TooMuch);
    }
    Ok(total)
}

fn check_due(due_on: NaiveDate, today: NaiveDate) -> Result<(), InvoiceRefusal> {
    if due_on < today {
        return Err(InvoiceRefusal::DueInThePast { today });
    }
    if due_on > today + chrono::Days::new(3653) {
        return Err(InvoiceRefusal::TooFarAhead);
    }
    Ok(())
}

impl Command for DraftInvoice {
    type Aggregate = Invoice;
    const NAME: &'static str = "DraftInvoice";
    const ROLES: &'static [Role] = MANAGERS_AND_JOBS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn scope(&self, _: &Invoice) -> Scope {
        Scope::property(self.property_id)
    }

    fn needs(&self, _: &Invoice, _: &Facts) -> Vec<Need> {
        vec![Need::Property(self.property_id), Need::Unit(self.unit_id), Need::Resident(self.resident_id)]
    }

    fn decide(self, state: &Invoice, context: &Context) -> Decision<Invoice> {
        let facts = &context.facts;
        let property = facts.property.as_ref().and_then(|property| property.details.as_ref());
        let property = property.ok_or(InvoiceRefusal::NoSuchProperty)?;
        let total = total(&self.lines, property.currency)?;
        let terms = Terms {
            property: self.property_id,
            unit: self.unit_id,
            resident: self.resident_id,
            time_zone: property.time_zone,
        };
        if let Some(known) = &state.content {
            let same = state.terms == Some(terms)
                && known.title == self.title
                && known.description == self.description
                && known.lines == self.lines
                && known.due_on == self.due_on;
            return if same { Ok(vec![]) } else { Err(InvoiceRefusal::DraftedOtherwise) };
        }
        if facts.unit.as_ref().and_then(|unit| unit.property) != Some(self.property_id) {
            return Err(InvoiceRefusal::NoSuchUnit);
        }
        if !facts.resident.as_ref().is_some_and(|resident| resident.lives_in(self.unit_id)) {
            return Err(InvoiceRefusal::NotLivingThere);
        }
        check_due(self.due_on, context.today(property.time_zone))?;
        Ok(vec![InvoiceEvent::InvoiceDrafted {
            property_id: self.property_id,
            unit_id: self.unit_id,
            resident_id: self.resident_id,
            title: self.title,
            description: self.description,
            lines: self.lines,
            total,
            due_on: self.due_on,
            time_zone: property.time_zone,
        }])
    }

    fn example() -> Value {
        json!({
            "invoice_id": "01935c2e-0000-7000-8000-000000000301",
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "unit_id": "01935c2e-0000-7000-8000-000000000101",
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "title": "Monthly fee, December 2026",
            "lines": [{ "description": "Condo fee", "amount": { "amount": 42_500, "currency": "CAD" } }],
            "due_on": "2026-12-15"
        })
    }
}

impl Command for EditInvoice {
    type Aggregate = Invoice;
    const NAME: &'static str = "EditInvoice";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, context: &Context) -> Decision<Invoice> {
        let (terms, known) = state.drafted()?;
        match state.phase {
            Phase::Draft | Phase::Published => {}
            Phase::Voided => return Err(InvoiceRefusal::Voided),
            Phase::Unknown | Phase::Discarded => return Err(InvoiceRefusal::NotFound),
        }
        let total = total(&self.lines, known.total.currency())?;
        let Self { title, description, lines, due_on, .. } = self;
        let edited = Content { title, description, lines, total, due_on };
        if edited == *known {
            return Ok(vec![]);
        }
        if state.claim.is_some() {
            return Err(InvoiceRefusal::PaymentInFlight);
        }
        let paid = known.total.checked_sub(state.balance()?)?;
        if total < paid {
            return Err(InvoiceRefusal::BelowWhatWasPaid);
        }
        if due_on != known.due_on {
            check_due(due_on, context.today(terms.time_zone))?;
        }
        let Content { title, description, lines, total, due_on } = edited;
        Ok(vec![InvoiceEvent::InvoiceEdited { title, description, lines, total, due_on }])
    }

    fn example() -> Value {
        json!({
            "invoice_id": "01935c2e-0000-7000-8000-000000000301",
            "title": "Monthly fee, December 2026 (corrected)",
            "lines": [{ "description": "Condo fee", "amount": { "amount": 41_500, "currency": "CAD" } }],
            "due_on": "2026-12-20"
        })
    }
}

impl Command for DiscardDraft {
    type Aggregate = Invoice;
    const NAME: &'static str = "DiscardDraft";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        match state.phase {
            Phase::Unknown => Err(InvoiceRefusal::NotFound),
            Phase::Draft => Ok(vec![InvoiceEvent::InvoiceDiscarded {}]),
            Phase::Discarded => Ok(vec![]),
            Phase::Published | Phase::Voided => Err(InvoiceRefusal::NotADraft),
        }
    }

    fn example() -> Value {
        json!({ "invoice_id": "01935c2e-0000-7000-8000-000000000302" })
    }
}

impl Command for PublishInvoice {
    type Aggregate = Invoice;
    const NAME: &'static str = "PublishInvoice";
    const ROLES: &'static [Role] = MANAGERS_AND_JOBS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, context: &Context) -> Decision<Invoice> {
        let (terms, draft) = state.drafted()?;
        match state.phase {
            Phase::Published => return Ok(vec![]),
            Phase::Voided => return Err(InvoiceRefusal::Voided),
            Phase::Unknown => return Err(InvoiceRefusal::NotFound),
            Phase::Discarded => return Err(InvoiceRefusal::NotADraft),
            Phase::Draft => {}
        }
        check_due(draft.due_on, context.today(terms.time_zone))?;
        Ok(vec![InvoiceEvent::InvoicePublished { resident_id: terms.resident, notify: self.notify }])
    }

    fn example() -> Value {
        json!({ "invoice_id": "01935c2e-0000-7000-8000-000000000301", "notify": true })
    }
}

impl Command for VoidInvoice {
    type Aggregate = Invoice;
    const NAME: &'static str = "VoidInvoice";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        if state.phase == Phase::Voided {
            return Ok(vec![]);
        }
        let (_, content) = state.payable()?;
        if state.claim.is_some() {
            return Err(InvoiceRefusal::PaymentInFlight);
        }
        if state.balance()? != content.total {
            return Err(InvoiceRefusal::MoneyOnIt);
        }
        Ok(vec![InvoiceEvent::InvoiceVoided { reason: self.reason }])
    }

    fn example() -> Value {
        json!({ "invoice_id": "01935c2e-0000-7000-8000-000000000301", "reason": "Billed twice" })
    }
}

impl Command for RecordOfflinePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "RecordOfflinePayment";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, context: &Context) -> Decision<Invoice> {
        if let Some(known) = state.applied_by_hand(self.payment_id) {
            let same = known.amount == self.amount && known.offline == Some((self.method, self.received_on));
            return if same { Ok(vec![]) } else { Err(InvoiceRefusal::PaymentIdTaken) };
        }
        if state.applied_online(self.payment_id).is_some() || state.closed_claims.contains(&self.payment_id) {
            return Err(InvoiceRefusal::PaymentIdTaken);
        }
        let (terms, _) = state.payable()?;
        let today = context.today(terms.time_zone);
        if self.received_on > today {
            return Err(InvoiceRefusal::ReceivedInTheFuture { today });
        }
        state.admits(self.amount)?;
        Ok(vec![InvoiceEvent::PaymentApplied {
            payment_id: self.payment_id,
            resident_id: terms.resident,
            amount: self.amount,
            balance: state.balance()?.checked_sub(self.amount)?,
            source: PaymentSource::Offline {
                method: self.method,
                reference: self.reference,
                received_on: self.received_on,
            },
        }])
    }

    fn example() -> Value {
        json!({
            "invoice_id": "01935c2e-0000-7000-8000-000000000301",
            "payment_id": "01935c2e-0000-7000-8000-000000000401",
            "amount": { "amount": 20_000, "currency": "CAD" },
            "method": "Check",
            "reference": "1042",
            "received_on": "2026-12-01"
        })
    }
}

impl Command for CorrectOfflinePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "CorrectOfflinePayment";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        state.drafted()?;
        let known =
            state.applied_by_hand(self.payment_id).ok_or_else(|| match state.applied_online(self.payment_id) {
                Some(_) => InvoiceRefusal::PaidOnline,
                None => InvoiceRefusal::NoSuchPayment,
            })?;
        if known.reversed == known.amount {
            return Ok(vec![]);
        }
        if state.claim.is_some() {
            return Err(InvoiceRefusal::PaymentInFlight);
        }
        Ok(vec![InvoiceEvent::PaymentReversed {
            payment_id: self.payment_id,
            amount: known.amount,
            balance: state.balance()?.checked_add(known.amount)?,
            reason: ReversalReason::OfflineCorrection { note: self.note },
        }])
    }

    fn example() -> Value {
        json!({
            "invoice_id": "01935c2e-0000-7000-8000-000000000301",
            "payment_id": "01935c2e-0000-7000-8000-000000000401",
            "note": "Check 1042 bounced"
        })
    }
}

impl Command for ReservePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "ReservePayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        let claimed = state.claim.is_some_and(|(holder, _)| holder == self.payment_id);
        if claimed || state.is_over(self.payment_id) {
            return Ok(vec![]);
        }
        // One id for two moneys would confuse whoever reads the books.
        if state.applied_by_hand(self.payment_id).is_some() {
            return Err(InvoiceRefusal::PaymentIdTaken);
        }
        state.admits(self.amount)?;
        Ok(vec![InvoiceEvent::PaymentReserved { payment_id: self.payment_id, amount: self.amount }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReleasePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "ReleasePayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    /// Also without a claim: a reservation that is late must not claim for a payment that is over.
    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        state.drafted()?;
        if state.is_over(self.payment_id) {
            return Ok(vec![]);
        }
        Ok(vec![InvoiceEvent::PaymentReleased { payment_id: self.payment_id, reason: self.reason }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ApplyPayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "ApplyPayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    /// Money that Stripe has is booked whatever else happened: a balance below zero is visible, lost money is not.
    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        let (terms, _) = state.drafted()?;
        if state.applied_online(self.payment_id).is_some() {
            return Ok(vec![]);
        }
        Ok(vec![InvoiceEvent::PaymentApplied {
            payment_id: self.payment_id,
            resident_id: terms.resident,
            amount: self.amount,
            balance: state.balance()?.checked_sub(self.amount)?,
            source: PaymentSource::Online,
        }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReversePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "ReversePayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        let known = state.applied_online(self.payment_id).ok_or(InvoiceRefusal::NoSuchPayment)?;
        if known.refunds.contains(&self.refund_id) || self.amount.is_zero() {
            return Ok(vec![]);
        }
        Ok(vec![InvoiceEvent::PaymentReversed {
            payment_id: self.payment_id,
            amount: self.amount,
            balance: state.balance()?.checked_add(self.amount)?,
            reason: ReversalReason::Refund { refund_id: self.refund_id },
        }])
    }

    fn example() -> Value {
        Value::Null
    }
}

#[cfg(test)]
mod tests;
