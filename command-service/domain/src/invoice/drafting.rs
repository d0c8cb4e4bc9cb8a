//! An invoice's text: drafted, edited, published, withdrawn.

use chrono::NaiveDate;
use events::{
    InvoiceEvent, InvoiceId, Money, OrganizationId, PropertyId, ResidentId, Role, UnitId,
    invoice::InvoiceLine,
    text::{Paragraphs, Title},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Content, Invoice, InvoiceRefusal, MANAGERS, MANAGERS_AND_JOBS, Phase, Terms};
use crate::{Command, Context, Decision, Facts, Need, Scope};

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
    #[serde(deserialize_with = "crate::day::day")]
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
    #[serde(deserialize_with = "crate::day::day")]
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
        if state.written_off.is_some() {
            return Err(InvoiceRefusal::WrittenOff);
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
        if state.written_off.is_some() {
            return Err(InvoiceRefusal::WrittenOff);
        }
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
