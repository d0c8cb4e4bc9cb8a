//! Setting a method up, at the resident's wish; a pause ends the same way, or with the present method.

use events::{
    AutopayEvent, Currency, OrganizationId, PropertyId, ResidentId, Role, SetupId, StripeAccountId,
    autopay::{ResumeReason, SetupPurpose},
    payment::PaymentMethodKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Autopay, AutopayRefusal, Status};
use crate::{Command, Context, Decision, Facts, Need, Scope};

/// Begins automatic payments; the client secret for Stripe's form follows within a moment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableAutopay {
    pub property_id: PropertyId,
    pub resident_id: ResidentId,
    pub setup_id: SetupId,
    #[serde(default)]
    pub kind: PaymentMethodKind,
}

/// Begins to replace the method; the old one serves until the new one is confirmed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAutopayMethod {
    pub property_id: PropertyId,
    pub resident_id: ResidentId,
    pub setup_id: SetupId,
    #[serde(default)]
    pub kind: PaymentMethodKind,
}

/// Ends a pause: with the present method where that can be charged, otherwise by setting up a new one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReactivateAutopay {
    pub property_id: PropertyId,
    pub resident_id: ResidentId,
    /// Set for a new method; required when the present one cannot be charged any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_id: Option<SetupId>,
    /// Of the new method.
    #[serde(default)]
    pub kind: PaymentMethodKind,
}

/// The property, who lives there, and then its Stripe account.
fn surroundings(property: PropertyId, resident: ResidentId, facts: &Facts) -> Vec<Need> {
    let account = facts.property.as_ref().and_then(|property| property.details.as_ref()?.stripe_account);
    [Need::Property(property), Need::Resident(resident)].into_iter().chain(account.map(Need::StripeAccount)).collect()
}

/// A set-up that may begin.
struct Beginning {
    property_id: PropertyId,
    resident_id: ResidentId,
    setup_id: SetupId,
    kind: PaymentMethodKind,
    purpose: SetupPurpose,
}

impl Beginning {
    /// Whether it has begun already.
    fn is_known(&self, state: &Autopay) -> Result<bool, AutopayRefusal> {
        match state.setups.iter().find(|(id, ..)| *id == self.setup_id) {
            None => Ok(false),
            Some((_, kind, purpose)) if (*kind, *purpose) == (self.kind, self.purpose) => Ok(true),
            Some(_) => Err(AutopayRefusal::SetupIdTaken),
        }
    }

    fn begin(self, facts: &Facts) -> Decision<Autopay> {
        let stripe_account_id = self.account(facts)?;
        let Self { property_id, resident_id, setup_id, kind, purpose } = self;
        Ok(vec![AutopayEvent::AutopaySetupRequested {
            setup_id,
            property_id,
            resident_id,
            stripe_account_id,
            kind,
            purpose,
        }])
    }

    fn account(&self, facts: &Facts) -> Result<StripeAccountId, AutopayRefusal> {
        let property = facts.property.as_ref().and_then(|property| property.details.as_ref());
        let property = property.ok_or(AutopayRefusal::NoSuchProperty)?;
        let lives_there = facts.resident.as_ref().is_some_and(|resident| {
            resident.is_active() && resident.homes.iter().any(|home| home.property_id == self.property_id)
        });
        if !lives_there {
            return Err(AutopayRefusal::NotLivingThere);
        }
        if self.kind == PaymentMethodKind::BankDebit && property.currency != Currency::USD {
            return Err(AutopayRefusal::NoBankDebit);
        }
        let account = property.stripe_account.ok_or(AutopayRefusal::NoStripeAccount)?;
        if !facts.stripe_account.as_ref().is_some_and(crate::StripeAccount::takes_payments) {
            return Err(AutopayRefusal::StripeAccountNotReady);
        }
        Ok(account)
    }
}

impl Command for EnableAutopay {
    type Aggregate = Autopay;
    const NAME: &'static str = "EnableAutopay";
    const ROLES: &'static [Role] = &[Role::Resident];

    fn stream(&self, _: OrganizationId) -> Uuid {
        Autopay::id(self.property_id, self.resident_id).0
    }

    fn scope(&self, _: &Autopay) -> Scope {
        Scope::property(self.property_id).and_resident(self.resident_id)
    }

    fn needs(&self, _: &Autopay, facts: &Facts) -> Vec<Need> {
        surroundings(self.property_id, self.resident_id, facts)
    }

    fn decide(self, state: &Autopay, context: &Context) -> Decision<Autopay> {
        let Self { property_id, resident_id, setup_id, kind } = self;
        let beginning = Beginning { property_id, resident_id, setup_id, kind, purpose: SetupPurpose::Enable };
        if beginning.is_known(state)? {
            return Ok(vec![]);
        }
        match state.status() {
            // A second tab, or the other kind after all: the newest set-up is the one that counts.
            Status::None | Status::SetupPending | Status::Cancelled => beginning.begin(&context.facts),
            Status::Active => Err(AutopayRefusal::EnabledAlready),
            Status::Paused => Err(AutopayRefusal::PausedAlready),
        }
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "setup_id": "01935c2e-0000-7000-8000-000000000501",
            "kind": "Card"
        })
    }
}

impl Command for UpdateAutopayMethod {
    type Aggregate = Autopay;
    const NAME: &'static str = "UpdateAutopayMethod";
    const ROLES: &'static [Role] = &[Role::Resident];

    fn stream(&self, _: OrganizationId) -> Uuid {
        Autopay::id(self.property_id, self.resident_id).0
    }

    fn scope(&self, _: &Autopay) -> Scope {
        Scope::property(self.property_id).and_resident(self.resident_id)
    }

    fn needs(&self, _: &Autopay, facts: &Facts) -> Vec<Need> {
        surroundings(self.property_id, self.resident_id, facts)
    }

    fn decide(self, state: &Autopay, context: &Context) -> Decision<Autopay> {
        let Self { property_id, resident_id, setup_id, kind } = self;
        let beginning = Beginning { property_id, resident_id, setup_id, kind, purpose: SetupPurpose::Update };
        if beginning.is_known(state)? {
            return Ok(vec![]);
        }
        if !state.is_enrolled() {
            return Err(AutopayRefusal::NotEnabled);
        }
        beginning.begin(&context.facts)
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "setup_id": "01935c2e-0000-7000-8000-000000000502",
            "kind": "Card"
        })
    }
}

impl Command for ReactivateAutopay {
    type Aggregate = Autopay;
    const NAME: &'static str = "ReactivateAutopay";
    const ROLES: &'static [Role] = &[Role::Resident];

    fn stream(&self, _: OrganizationId) -> Uuid {
        Autopay::id(self.property_id, self.resident_id).0
    }

    fn scope(&self, _: &Autopay) -> Scope {
        Scope::property(self.property_id).and_resident(self.resident_id)
    }

    fn needs(&self, _: &Autopay, facts: &Facts) -> Vec<Need> {
        surroundings(self.property_id, self.resident_id, facts)
    }

    fn decide(self, state: &Autopay, context: &Context) -> Decision<Autopay> {
        let Self { property_id, resident_id, setup_id, kind } = self;
        if let Some(setup_id) = setup_id {
            let beginning = Beginning { property_id, resident_id, setup_id, kind, purpose: SetupPurpose::Reactivate };
            if beginning.is_known(state)? {
                return Ok(vec![]);
            }
            return match state.status() {
                Status::Paused => beginning.begin(&context.facts),
                Status::Active => Err(AutopayRefusal::NotPaused),
                Status::None | Status::SetupPending | Status::Cancelled => Err(AutopayRefusal::NotEnabled),
            };
        }
        let Some(pause) = state.pause() else {
            return if state.is_enrolled() { Ok(vec![]) } else { Err(AutopayRefusal::NotEnabled) };
        };
        let property = context.facts.property.as_ref().and_then(|property| property.details.as_ref());
        let account = property.ok_or(AutopayRefusal::NoSuchProperty)?.stripe_account;
        if pause.new_method_required || state.method_account() != account {
            return Err(AutopayRefusal::NewMethodRequired);
        }
        let because = ResumeReason::Reactivated;
        Ok(vec![AutopayEvent::AutopayResumed { because, waiting: state.waiting() }])
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "resident_id": "01935c2e-0000-7000-8000-000000000201"
        })
    }
}
