//! What happens to the method and to the wish itself: cancelled, capped, lost, refreshed.

use events::{
    AutopayEvent, AutopayId, Money, OrganizationId, PropertyId, ResidentId, Role,
    autopay::{AutopayMethod, Departure, PauseReason},
    payment::CardSummary,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Autopay, AutopayRefusal, PROCESS, Status};
use crate::{Command, Context, Decision, Facts, Need, Scope};

/// Ends autopay at once. A charge that is in flight goes on; nothing new is charged.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelAutopay {
    pub property_id: PropertyId,
    pub resident_id: ResidentId,
}

/// Sets the most that autopay pays on an invoice without asking, before a processing fee; without a cap everything is paid.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAutopayCap {
    pub property_id: PropertyId,
    pub resident_id: ResidentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Money>,
}

/// Records that the bank account's owner withdrew the mandate.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeMandate {
    pub autopay_id: AutopayId,
    /// Stripe's `mandate_…`.
    pub mandate: String,
}

/// Records that a method cannot be charged any more: removed at Stripe, or left behind in an account that the property gave up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoseMethod {
    pub autopay_id: AutopayId,
    /// Stripe's `pm_…`.
    pub payment_method: String,
    #[serde(default)]
    pub because: Loss,
}

/// How a method was lost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Loss {
    #[default]
    Removed,
    /// The property takes its payments in another account now.
    AccountChanged,
}

/// Records the new number or date of the same card.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshMethod {
    pub autopay_id: AutopayId,
    /// Stripe's `pm_…`.
    pub payment_method: String,
    pub card: CardSummary,
}

impl Command for CancelAutopay {
    type Aggregate = Autopay;
    const NAME: &'static str = "CancelAutopay";
    /// A process cancels for those who left, and only for them.
    const ROLES: &'static [Role] = &[Role::Resident, Role::Process];

    fn stream(&self, _: OrganizationId) -> Uuid {
        Autopay::id(self.property_id, self.resident_id).0
    }

    fn scope(&self, _: &Autopay) -> Scope {
        Scope::property(self.property_id).and_resident(self.resident_id)
    }

    fn needs(&self, _: &Autopay, _: &Facts) -> Vec<Need> {
        vec![Need::Resident(self.resident_id)]
    }

    fn decide(self, state: &Autopay, context: &Context) -> Decision<Autopay> {
        state.known()?;
        let because = if context.actor.role == Role::Process {
            // Back again by now: it goes on.
            let Some(because) = self.departure(context) else { return Ok(vec![]) };
            Some(because)
        } else {
            None
        };
        match state.status() {
            Status::None | Status::Cancelled => Ok(vec![]),
            Status::SetupPending | Status::Active | Status::Paused => {
                let payment_method = state.method().map(|method| method.payment_method.clone());
                Ok(vec![AutopayEvent::AutopayCancelled { payment_method, because }])
            }
        }
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "resident_id": "01935c2e-0000-7000-8000-000000000201"
        })
    }
}

impl CancelAutopay {
    /// How the resident left the property, if they did.
    fn departure(&self, context: &Context) -> Option<Departure> {
        let resident = context.facts.resident.as_ref()?;
        if resident.erased {
            Some(Departure::Erased)
        } else if !resident.is_active() {
            Some(Departure::Deactivated)
        } else if resident.homes.iter().all(|home| home.property_id != self.property_id) {
            Some(Departure::MovedOut)
        } else {
            None
        }
    }
}

impl Command for SetAutopayCap {
    type Aggregate = Autopay;
    const NAME: &'static str = "SetAutopayCap";
    const ROLES: &'static [Role] = &[Role::Resident];

    fn stream(&self, _: OrganizationId) -> Uuid {
        Autopay::id(self.property_id, self.resident_id).0
    }

    fn scope(&self, _: &Autopay) -> Scope {
        Scope::property(self.property_id).and_resident(self.resident_id)
    }

    fn needs(&self, _: &Autopay, _: &Facts) -> Vec<Need> {
        vec![Need::Property(self.property_id)]
    }

    fn decide(self, state: &Autopay, context: &Context) -> Decision<Autopay> {
        match state.status() {
            Status::None | Status::Cancelled => return Err(AutopayRefusal::NotEnabled),
            Status::SetupPending | Status::Active | Status::Paused => {}
        }
        if let Some(cap) = self.cap {
            let property = context.facts.property.as_ref().and_then(|property| property.details.as_ref());
            let expected = property.ok_or(AutopayRefusal::NoSuchProperty)?.currency;
            if cap.currency() != expected {
                return Err(AutopayRefusal::WrongCurrency { expected });
            }
            if !cap.is_positive() {
                return Err(AutopayRefusal::BadCap);
            }
        }
        if state.cap == self.cap {
            return Ok(vec![]);
        }
        // What is asked about and not above the new cap has its answer.
        let within = |amount: Money| self.cap.is_none_or(|cap| amount <= cap);
        let answered = state
            .held()
            .filter(|(_, held)| within(held.amount))
            .map(|(invoice_id, held)| AutopayEvent::ChargeApproved { invoice_id, amount: held.amount });
        Ok(std::iter::once(AutopayEvent::AutopayCapChanged { cap: self.cap }).chain(answered).collect())
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "cap": { "amount": 50_000, "currency": "CAD" }
        })
    }
}

/// The pause of a method that is gone for good, unless that was known.
fn gone(state: &Autopay, reason: PauseReason) -> Vec<AutopayEvent> {
    let known = state.pause().is_some_and(|pause| pause.new_method_required);
    if known || !state.is_enrolled() {
        return vec![];
    }
    vec![AutopayEvent::AutopayPaused { reason, new_method_required: true }]
}

impl Command for RevokeMandate {
    type Aggregate = Autopay;
    const NAME: &'static str = "RevokeMandate";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        state.known()?;
        let ours = state.method().is_some_and(|method| method.mandate.as_ref() == Some(&self.mandate));
        Ok(if ours { gone(state, PauseReason::MandateRevoked) } else { vec![] })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for LoseMethod {
    type Aggregate = Autopay;
    const NAME: &'static str = "LoseMethod";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        state.known()?;
        let ours = state.method().is_some_and(|method| method.payment_method == self.payment_method);
        let reason = match self.because {
            Loss::Removed => PauseReason::MethodDetached,
            Loss::AccountChanged => PauseReason::AccountChanged,
        };
        Ok(if ours { gone(state, reason) } else { vec![] })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for RefreshMethod {
    type Aggregate = Autopay;
    const NAME: &'static str = "RefreshMethod";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        state.known()?;
        let Some(method) = state.method().filter(|method| method.payment_method == self.payment_method) else {
            return Ok(vec![]);
        };
        if method.card.as_ref() == Some(&self.card) {
            return Ok(vec![]);
        }
        let method = AutopayMethod { card: Some(self.card), ..method.clone() };
        let mut events = vec![AutopayEvent::AutopayMethodRefreshed { method }];
        // The old date was all that was wrong: the resident may go on with the same card.
        if let Some(pause) = state.pause()
            && pause.new_method_required
            && matches!(&pause.reason, PauseReason::DeclinedForGood { code } if code == "expired_card")
        {
            let reason = pause.reason.clone();
            events.push(AutopayEvent::AutopayPaused { reason, new_method_required: false });
        }
        Ok(events)
    }

    fn example() -> Value {
        Value::Null
    }
}
