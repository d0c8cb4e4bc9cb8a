//! What a decision may look at: who asks, when, and the state of other aggregates.

use std::{fmt, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use events::{
    CreditId, InvoiceId, NumberKey, OrganizationId, PaymentId, Phone, PropertyId, ResidentId, Role, SignInId,
    StripeAccountId, TimeZone, UnitId,
};
use uuid::Uuid;

use crate::{
    Credit, Disclosure, Invoice, Organization, Payment, Property, Resident, SignIn, SmsConsent, StripeAccount, Unit,
};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub role: Role,
    /// The only property that a token of a property's role reaches.
    pub property: Option<PropertyId>,
    /// The resident whose session it is.
    pub resident: Option<ResidentId>,
}

impl Actor {
    pub const fn of(role: Role) -> Self {
        Self { role, property: None, resident: None }
    }

    /// Whether a thing of this scope is the actor's to touch or see.
    pub fn reaches(&self, scope: &Scope) -> bool {
        match self.role {
            Role::OrganizationManager
            | Role::ComplianceAuditor
            | Role::Integrator
            | Role::Operator
            | Role::Process
            | Role::Provider => self.property.is_none_or(|own| scope.properties.contains(&own)),
            Role::PropertyAdmin | Role::PropertyManager => {
                self.property.is_some_and(|own| scope.properties.contains(&own))
            }
            Role::Resident => self.resident.is_some() && self.resident == scope.resident,
        }
    }
}

/// Whose a thing is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    pub properties: Vec<PropertyId>,
    pub resident: Option<ResidentId>,
}

impl Scope {
    pub fn property(property: PropertyId) -> Self {
        Self { properties: vec![property], resident: None }
    }

    #[must_use]
    pub const fn and_resident(mut self, resident: ResidentId) -> Self {
        self.resident = Some(resident);
        self
    }
}

/// Another aggregate that a decision looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    Organization,
    Property(PropertyId),
    Unit(UnitId),
    Resident(ResidentId),
    Invoice(InvoiceId),
    Payment(PaymentId),
    StripeAccount(StripeAccountId),
    Credit(CreditId),
    /// The session that the caller asks in.
    Session,
    Disclosure,
    SmsConsent(ResidentId),
}

/// The other aggregates as loaded: absent until asked for, and default when there is no such stream.
#[derive(Debug, Default)]
pub struct Facts {
    pub organization: Option<Organization>,
    pub property: Option<Property>,
    pub unit: Option<Unit>,
    pub resident: Option<Resident>,
    pub invoice: Option<Invoice>,
    pub payment: Option<Payment>,
    pub stripe_account: Option<StripeAccount>,
    pub credit: Option<Credit>,
    pub session: Option<SignIn>,
    pub disclosure: Option<Disclosure>,
    pub sms_consent: Option<SmsConsent>,
}

/// The way by which a command came in, as evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channel {
    /// `session:…`, `token:…`, `process:…`, `provider:…` or `operator`.
    pub actor_name: String,
    /// The session of somebody who signed in.
    pub session: Option<SignInId>,
    /// Who acts in the session owner's name, if somebody does.
    pub impersonator: Option<String>,
    pub address: Option<String>,
    pub user_agent: Option<String>,
}

/// A keyed hash under which equal values of one organization are equal, and nothing else can be learnt. The engine has the key.
#[derive(Clone)]
pub struct Blind(Arc<Hash>);

type Hash = dyn Fn(&str) -> Uuid + Send + Sync;

impl Blind {
    pub fn new(hash: impl Fn(&str) -> Uuid + Send + Sync + 'static) -> Self {
        Self(Arc::new(hash))
    }

    pub fn hash(&self, value: &str) -> Uuid {
        (self.0)(value)
    }

    /// What stands for a telephone number wherever the number itself must not be read.
    pub fn number(&self, number: &Phone) -> NumberKey {
        NumberKey(self.hash(number.as_str()))
    }
}

impl fmt::Debug for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blind(…)")
    }
}

/// Everything around a command.
#[derive(Debug)]
pub struct Context {
    pub organization: OrganizationId,
    pub actor: Actor,
    /// Business clock.
    pub now: DateTime<Utc>,
    pub facts: Facts,
    pub channel: Channel,
    pub blind: Blind,
}

impl Context {
    /// The calendar day in a property's zone.
    pub fn today(&self, zone: TimeZone) -> NaiveDate {
        zone.day_of(self.now)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::fixtures::{PROPERTY, RESIDENT, day, instant, zone};

    #[test]
    fn a_role_of_a_property_reaches_that_property_only() {
        let here = Scope::property(PROPERTY).and_resident(RESIDENT);
        let elsewhere = Scope::property(PropertyId(Uuid::from_u128(9)));
        for role in [Role::PropertyAdmin, Role::PropertyManager] {
            let actor = Actor { property: Some(PROPERTY), ..Actor::of(role) };
            assert!(actor.reaches(&here));
            assert!(!actor.reaches(&elsewhere) && !actor.reaches(&Scope::default()));
            assert!(!Actor::of(role).reaches(&here), "without a property nothing is reached");
        }
    }

    #[test]
    fn a_resident_reaches_their_own_only() {
        let own = Scope::property(PROPERTY).and_resident(RESIDENT);
        let actor = |resident| Actor { resident, ..Actor::of(Role::Resident) };
        assert!(actor(Some(RESIDENT)).reaches(&own));
        assert!(!actor(Some(ResidentId(Uuid::from_u128(9)))).reaches(&own));
        assert!(!actor(Some(RESIDENT)).reaches(&Scope::property(PROPERTY)));
        assert!(!actor(None).reaches(&Scope::default()), "nobody is not the owner of what is nobody's");
    }

    #[test]
    fn the_whole_organization_is_reached_unless_a_property_is_named() {
        let elsewhere = Scope::property(PropertyId(Uuid::from_u128(9)));
        for role in [Role::OrganizationManager, Role::ComplianceAuditor, Role::Integrator, Role::Process] {
            assert!(Actor::of(role).reaches(&elsewhere));
            assert!(!Actor { property: Some(PROPERTY), ..Actor::of(role) }.reaches(&elsewhere));
        }
    }

    #[test]
    fn today_is_the_day_at_the_property() {
        let context = Context { now: instant("2026-03-01T10:30:00Z"), ..crate::testing::context(Facts::default()) };
        assert_eq!(context.today(zone("Pacific/Kiritimati")), day("2026-03-02"));
        assert_eq!(context.today(zone("America/Los_Angeles")), day("2026-03-01"));
    }
}
