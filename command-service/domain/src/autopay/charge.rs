//! Before a charge: deferred, held, approved, and in the end authorized.

use chrono::NaiveDate;
use events::{
    AutopayEvent, AutopayId, InvoiceId, Money, OrganizationId, PaymentId, PropertyId, ResidentId, Role,
    autopay::AutopayMethod,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Autopay, AutopayRefusal, ChargeEnd, NoCharge, PROCESS, Verdict};
use crate::{Command, Context, Decision, Facts, Need, Scope};

/// Says yes to one charge above the cap; it is made at once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveCharge {
    pub property_id: PropertyId,
    pub resident_id: ResidentId,
    pub invoice_id: InvoiceId,
    /// What the resident was asked about: the yes holds for this amount only.
    pub amount: Money,
}

/// Puts a due invoice in the line of those that wait for the end of the pause.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeferCharge {
    pub autopay_id: AutopayId,
    pub invoice_id: InvoiceId,
    pub due_on: NaiveDate,
}

/// Asks the resident about a charge above the cap.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldCharge {
    pub autopay_id: AutopayId,
    pub invoice_id: InvoiceId,
    pub due_on: NaiveDate,
    pub amount: Money,
}

/// The last look: authorizes one charge, once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeCharge {
    pub autopay_id: AutopayId,
    pub payment_id: PaymentId,
    pub invoice_id: InvoiceId,
    pub due_on: NaiveDate,
    /// What leaves the invoice; a fee comes on top.
    pub amount: Money,
    /// As the verdict says: 0, or the number of the retry.
    pub attempt: u32,
    /// Stripe's `pm_…` for which the fee was worked out; refused when it is not the method any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
}

impl Command for ApproveCharge {
    type Aggregate = Autopay;
    const NAME: &'static str = "ApproveCharge";
    const ROLES: &'static [Role] = &[Role::Resident];

    fn stream(&self, _: OrganizationId) -> Uuid {
        Autopay::id(self.property_id, self.resident_id).0
    }

    fn scope(&self, _: &Autopay) -> Scope {
        Scope::property(self.property_id).and_resident(self.resident_id)
    }

    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        state.known()?;
        match state.held.get(&self.invoice_id) {
            Some(held) if held.amount == self.amount => {
                Ok(vec![AutopayEvent::ChargeApproved { invoice_id: self.invoice_id, amount: self.amount }])
            }
            Some(held) => Err(AutopayRefusal::AmountChanged { amount: held.amount }),
            None if state.approved(self.invoice_id) == Some(self.amount) => Ok(vec![]),
            None => Err(AutopayRefusal::NotHeld),
        }
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "invoice_id": "01935c2e-0000-7000-8000-000000000301",
            "amount": { "amount": 62_000, "currency": "CAD" }
        })
    }
}

impl Command for DeferCharge {
    type Aggregate = Autopay;
    const NAME: &'static str = "DeferCharge";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        let Self { invoice_id, due_on, .. } = self;
        state.known()?;
        if !state.is_enrolled() {
            return Err(AutopayRefusal::NotEnabled);
        }
        if state.in_flight(invoice_id).is_some() || state.is_charged(invoice_id) {
            return Ok(vec![]);
        }
        // The pause ended between the look and now. Silence would lose the invoice: look again.
        if state.pause().is_none() {
            return Err(AutopayRefusal::NotPaused);
        }
        let known = state.waiting().contains(&invoice_id);
        Ok(if known { vec![] } else { vec![AutopayEvent::ChargeDeferred { invoice_id, due_on }] })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for HoldCharge {
    type Aggregate = Autopay;
    const NAME: &'static str = "HoldCharge";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, context: &Context) -> Decision<Autopay> {
        let Self { invoice_id, due_on, amount, .. } = self;
        state.known()?;
        let cap = match state.may_charge(invoice_id, amount, context.now) {
            Verdict::Ask { cap } => cap,
            Verdict::Charge { .. } => return Err(AutopayRefusal::NotAboveCap),
            Verdict::No(NoCharge::InFlight(_) | NoCharge::Charged) => return Ok(vec![]),
            other => return Err(refusal(&other)),
        };
        let known = state.held.get(&invoice_id).is_some_and(|held| held.amount == amount);
        Ok(if known { vec![] } else { vec![AutopayEvent::ChargeHeld { invoice_id, due_on, amount, cap }] })
    }

    fn example() -> Value {
        Value::Null
    }
}

/// Why a verdict other than yes is no.
const fn refusal(verdict: &Verdict<'_>) -> AutopayRefusal {
    match verdict {
        Verdict::Charge { attempt, .. } => AutopayRefusal::OtherAttempt { due: *attempt },
        Verdict::Wait { .. } => AutopayRefusal::Paused,
        Verdict::Ask { cap } => AutopayRefusal::AboveCap { cap: *cap },
        Verdict::No(NoCharge::NotEnabled) => AutopayRefusal::NotEnabled,
        Verdict::No(NoCharge::InFlight(_)) => AutopayRefusal::ChargeInFlight,
        Verdict::No(NoCharge::Charged) => AutopayRefusal::AlreadyCharged,
        Verdict::No(NoCharge::PresentedTooOften) => AutopayRefusal::PresentedTooOften,
    }
}

impl Command for AuthorizeCharge {
    type Aggregate = Autopay;
    const NAME: &'static str = "AuthorizeCharge";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn needs(&self, _: &Autopay, _: &Facts) -> Vec<Need> {
        vec![Need::Invoice(self.invoice_id), Need::Payment(self.payment_id)]
    }

    fn decide(self, state: &Autopay, context: &Context) -> Decision<Autopay> {
        state.known()?;
        if let Some(known) = state.charge(self.payment_id) {
            if (known.invoice, known.amount) != (self.invoice_id, self.amount) {
                return Err(AutopayRefusal::ChargeOfOther);
            }
            return match known.end {
                None | Some(ChargeEnd::Succeeded | ChargeEnd::Returned) => Ok(vec![]),
                Some(ChargeEnd::Failed | ChargeEnd::Withdrawn) => Err(AutopayRefusal::ChargeEnded),
            };
        }
        let (method, account) = match state.may_charge(self.invoice_id, self.amount, context.now) {
            Verdict::Charge { method, account, attempt } if attempt == self.attempt => (method, account),
            no => return Err(refusal(&no)),
        };
        self.claimed_and_due(state, context)?;
        let quote = context.facts.payment.as_ref().and_then(|payment| payment.quote.as_ref());
        if quote.is_some_and(|quote| quote.account != account) {
            return Err(AutopayRefusal::MethodOfOtherAccount);
        }
        let kind_changed = quote.is_some_and(|priced| priced.kind != method.kind);
        if kind_changed || self.payment_method.as_ref().is_some_and(|told| *told != method.payment_method) {
            return Err(AutopayRefusal::MethodChanged);
        }
        Ok(vec![self.authorized(method)])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl AuthorizeCharge {
    /// The invoice is this resident's, is claimed for this payment, and is due where the property is.
    fn claimed_and_due(&self, state: &Autopay, context: &Context) -> Result<(), AutopayRefusal> {
        let invoice = context.facts.invoice.as_ref().ok_or(AutopayRefusal::NotReserved)?;
        let terms = invoice.terms.as_ref().ok_or(AutopayRefusal::NotReserved)?;
        let due_on = invoice.content.as_ref().ok_or(AutopayRefusal::NotReserved)?.due_on;
        let ours = state.owner == Some((terms.property, terms.resident));
        if !ours || invoice.claim != Some((self.payment_id, self.amount)) {
            return Err(AutopayRefusal::NotReserved);
        }
        if context.today(terms.time_zone) < due_on {
            return Err(AutopayRefusal::NotDue { due_on });
        }
        Ok(())
    }

    fn authorized(self, method: &AutopayMethod) -> AutopayEvent {
        AutopayEvent::ChargeAuthorized {
            payment_id: self.payment_id,
            invoice_id: self.invoice_id,
            due_on: self.due_on,
            amount: self.amount,
            customer: method.customer.clone(),
            payment_method: method.payment_method.clone(),
            attempt: self.attempt,
        }
    }
}
