//! A resident's credit at one property: what was overpaid or granted, and the invoices that it settles.

use std::collections::BTreeSet;

use events::{
    CreditEvent, CreditId, GrantId, InvoiceId, Money, OrganizationId, PaymentId, PropertyId, ResidentId, Role,
    credit::CreditSource, money::MoneyError, text::Line,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, Facts, Invoice, Need, Scope};

const PROCESS: &[Role] = &[Role::Process];

/// What can be granted at once, in minor units.
const MOST: i64 = 79_999_999;

/// The credit of a resident at a property.
pub fn credit_id(property: PropertyId, resident: ResidentId) -> CreditId {
    CreditId::derived(resident.0, &format!("credit/{property}"))
}

/// Gives a resident credit, which is used before the next charge.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantCredit {
    pub property_id: PropertyId,
    pub resident_id: ResidentId,
    /// Names this gift, so that asking again does not give twice.
    pub grant_id: GrantId,
    pub amount: Money,
    pub note: Line<200>,
}

/// Books what was paid beyond an invoice's balance.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCredit {
    pub credit_id: CreditId,
    pub property_id: PropertyId,
    pub resident_id: ResidentId,
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    /// The number of the invoice's overpayment.
    pub number: u32,
    pub amount: Money,
}

/// Sets credit aside for an invoice.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendCredit {
    pub credit_id: CreditId,
    pub invoice_id: InvoiceId,
    /// The invoice's balance; as much of it as there is credit is spent.
    pub amount: Money,
}

/// Takes back what an invoice did not take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnCredit {
    pub credit_id: CreditId,
    /// The number of what was spent.
    pub number: u32,
}

refusals! {
    pub enum CreditRefusal {
        NoSuchProperty = Invalid, "there is no such property";
        NoSuchResident = Invalid, "the resident does not live in that property";
        WrongCurrency { expected: events::Currency } = Invalid, "the property bills in {expected}";
        NotPositive = Invalid, "the amount must be more than zero";
        TooMuch = Invalid, "the amount is larger than credit can be";
        GrantIdTaken = Conflict, "another grant has this id; use a new one";
        NotTheirs = Conflict, "the credit is another resident's or property's";
        NoSuchSpending = Missing, "there is no such spending of the credit";
    }
}

impl From<MoneyError> for CreditRefusal {
    fn from(_: MoneyError) -> Self {
        Self::TooMuch
    }
}

/// What was set aside for an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spending {
    number: u32,
    invoice: InvoiceId,
    amount: Money,
    returned: bool,
}

/// A credit as decisions need it.
#[derive(Debug, Default)]
pub struct Credit {
    owner: Option<(PropertyId, ResidentId)>,
    /// What is there to spend; absent before anything was added.
    pub balance: Option<Money>,
    overpayments: BTreeSet<(InvoiceId, u32)>,
    grants: Vec<(GrantId, Money)>,
    spendings: Vec<Spending>,
}

impl Credit {
    /// Whether what was spent under this number came back.
    pub fn was_returned(&self, number: u32) -> bool {
        self.spendings.iter().any(|spending| spending.number == number && spending.returned)
    }

    /// Whether something was set aside for the invoice that has neither reached it nor come back: its balance is about to change.
    pub fn is_on_its_way(&self, id: InvoiceId, invoice: Option<&Invoice>) -> bool {
        let Some((property, resident)) = self.owner else { return false };
        let reached = |number| invoice.is_some_and(|invoice| invoice.took(credit_id(property, resident), number));
        self.spendings.iter().any(|spent| spent.invoice == id && !spent.returned && !reached(spent.number))
    }

    /// What can be spent.
    pub fn available(&self) -> Option<Money> {
        self.balance.filter(|balance| balance.is_positive())
    }

    fn added(
        &self,
        (property_id, resident_id): (PropertyId, ResidentId),
        amount: Money,
        source: CreditSource,
    ) -> Decision<Self> {
        if !amount.is_positive() {
            return Err(CreditRefusal::NotPositive);
        }
        let balance = match self.balance {
            Some(balance) if balance.currency() != amount.currency() => {
                return Err(CreditRefusal::WrongCurrency { expected: balance.currency() });
            }
            Some(balance) => balance.checked_add(amount)?,
            None => amount,
        };
        Ok(vec![CreditEvent::CreditAdded { property_id, resident_id, amount, balance, source }])
    }
}

impl Aggregate for Credit {
    type Event = CreditEvent;
    type Refusal = CreditRefusal;

    fn evolve(&mut self, event: &CreditEvent) {
        match event.clone() {
            CreditEvent::CreditAdded { property_id, resident_id, amount, balance, source } => {
                self.owner = Some((property_id, resident_id));
                self.balance = Some(balance);
                match source {
                    CreditSource::Overpayment { invoice_id, number, .. } => {
                        self.overpayments.insert((invoice_id, number));
                    }
                    CreditSource::Granted { grant_id, .. } => self.grants.push((grant_id, amount)),
                    CreditSource::Returned { number, .. } => {
                        let mut spendings = self.spendings.iter_mut();
                        if let Some(spending) = spendings.find(|spending| spending.number == number) {
                            spending.returned = true;
                        }
                    }
                }
            }
            CreditEvent::CreditSpent { number, invoice_id, amount, balance, .. } => {
                self.balance = Some(balance);
                self.spendings.push(Spending { number, invoice: invoice_id, amount, returned: false });
            }
        }
    }

    fn scope(&self) -> Scope {
        self.owner.map(|(property, resident)| Scope::property(property).and_resident(resident)).unwrap_or_default()
    }
}

impl Command for GrantCredit {
    type Aggregate = Credit;
    const NAME: &'static str = "GrantCredit";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        credit_id(self.property_id, self.resident_id).0
    }

    fn scope(&self, _: &Credit) -> Scope {
        Scope::property(self.property_id)
    }

    fn needs(&self, _: &Credit, _: &Facts) -> Vec<Need> {
        vec![Need::Property(self.property_id), Need::Resident(self.resident_id)]
    }

    fn decide(self, state: &Credit, context: &Context) -> Decision<Credit> {
        if let Some((_, amount)) = state.grants.iter().find(|(grant, _)| *grant == self.grant_id) {
            return if *amount == self.amount { Ok(vec![]) } else { Err(CreditRefusal::GrantIdTaken) };
        }
        let property = context.facts.property.as_ref().and_then(|property| property.details.as_ref());
        let property = property.ok_or(CreditRefusal::NoSuchProperty)?;
        let resident = context.facts.resident.as_ref();
        if !resident.is_some_and(|resident| resident.homes.iter().any(|home| home.property_id == self.property_id)) {
            return Err(CreditRefusal::NoSuchResident);
        }
        if self.amount.currency() != property.currency {
            return Err(CreditRefusal::WrongCurrency { expected: property.currency });
        }
        if self.amount.amount() > MOST {
            return Err(CreditRefusal::TooMuch);
        }
        let source = CreditSource::Granted { grant_id: self.grant_id, note: self.note };
        state.added((self.property_id, self.resident_id), self.amount, source)
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "grant_id": "01935c2e-0000-7000-8000-000000000601",
            "amount": { "amount": 2_500, "currency": "CAD" },
            "note": "The pool was closed in August"
        })
    }
}

impl Command for AddCredit {
    type Aggregate = Credit;
    const NAME: &'static str = "AddCredit";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.credit_id.0
    }

    fn decide(self, state: &Credit, _: &Context) -> Decision<Credit> {
        let Self { invoice_id, payment_id, number, .. } = self;
        let owner = (self.property_id, self.resident_id);
        if self.credit_id != credit_id(owner.0, owner.1) {
            return Err(CreditRefusal::NotTheirs);
        }
        if state.overpayments.contains(&(invoice_id, number)) {
            return Ok(vec![]);
        }
        state.added(owner, self.amount, CreditSource::Overpayment { invoice_id, payment_id, number })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for SpendCredit {
    type Aggregate = Credit;
    const NAME: &'static str = "SpendCredit";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.credit_id.0
    }

    fn needs(&self, _: &Credit, _: &Facts) -> Vec<Need> {
        vec![Need::Invoice(self.invoice_id)]
    }

    /// Nothing while something is on its way there: the balance that is asked with does not know of it yet.
    fn decide(self, state: &Credit, context: &Context) -> Decision<Credit> {
        let Self { invoice_id, amount: asked, .. } = self;
        let Some(available) = state.available() else { return Ok(vec![]) };
        if !asked.is_positive() {
            return Err(CreditRefusal::NotPositive);
        }
        if asked.currency() != available.currency() {
            return Err(CreditRefusal::WrongCurrency { expected: available.currency() });
        }
        if state.is_on_its_way(invoice_id, context.facts.invoice.as_ref()) {
            return Ok(vec![]);
        }
        let amount = if asked < available { asked } else { available };
        let number = state.spendings.last().map_or(1, |last| last.number.saturating_add(1));
        let balance = available.checked_sub(amount)?;
        Ok(vec![CreditEvent::CreditSpent { number, invoice_id, asked, amount, balance }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReturnCredit {
    type Aggregate = Credit;
    const NAME: &'static str = "ReturnCredit";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.credit_id.0
    }

    fn decide(self, state: &Credit, _: &Context) -> Decision<Credit> {
        let known = state.spendings.iter().find(|spending| spending.number == self.number);
        let (known, owner) = known.zip(state.owner).ok_or(CreditRefusal::NoSuchSpending)?;
        if known.returned {
            return Ok(vec![]);
        }
        let source = CreditSource::Returned { invoice_id: known.invoice, number: known.number };
        state.added(owner, known.amount, source)
    }

    fn example() -> Value {
        Value::Null
    }
}

#[cfg(test)]
mod tests;
