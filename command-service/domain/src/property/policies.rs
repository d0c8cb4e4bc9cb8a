//! What a property settles for itself: prices, hours, limits to surcharges, kinds of e-mail.

use events::{
    OrganizationId, PropertyEvent, PropertyId, Role,
    property::{BillingPolicy, FeePolicy, SurchargePolicy},
    text::Line,
    text_message::TextContent,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Property, PropertyRefusal, checked};
use crate::{Command, Context, Decision, Scope, fees};

/// Changes who bears the processing fee and at which price. Quotes already given keep theirs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeFeePolicy {
    pub property_id: PropertyId,
    pub fees: FeePolicy,
}

/// Changes when a property charges and reminds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeBillingPolicy {
    pub property_id: PropertyId,
    pub billing: BillingPolicy,
}

/// Changes how much cards may bear on top, and where and when nothing. Quotes already given keep theirs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeSurchargePolicy {
    pub property_id: PropertyId,
    #[serde(deserialize_with = "crate::day::surcharges")]
    pub surcharges: SurchargePolicy,
}

/// Switches a kind of e-mail on or off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchEmailKind {
    pub property_id: PropertyId,
    /// As messages name it, `payment-reminder`.
    pub kind: Line<40>,
    pub on: bool,
}

/// Switches a kind of text on or off. Texts are off until they are switched on, and go to residents who opted in only.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchTextKind {
    pub property_id: PropertyId,
    /// As texts name it, `invoice-published`.
    pub kind: Line<40>,
    pub on: bool,
}

/// Every kind of e-mail, and whether a property may do without it.
///
/// Nobody gets in without the link; that a charge failed, or waits for a yes, is told nowhere else in time to still pay on the due day,
/// and a debit that did not happen has to be told to whoever authorized it.
pub(super) const EMAIL_KINDS: [(&str, bool); 9] = [
    ("invoice-published", true),
    ("payment-received", true),
    ("sign-in-link", false),
    ("payment-reminder", true),
    ("autopay-notice", true),
    ("autopay-held", false),
    ("autopay-charged", true),
    ("autopay-failed", false),
    ("autopay-paused", false),
];

const fn in_bounds(billing: BillingPolicy) -> bool {
    const fn days(days: Option<u8>) -> bool {
        match days {
            Some(days) => days >= 1 && days <= 60,
            None => true,
        }
    }
    billing.charge_hour <= 23 && days(billing.reminder_days) && days(billing.autopay_notice_days)
}

impl Command for ChangeFeePolicy {
    type Aggregate = Property;
    const NAME: &'static str = "ChangeFeePolicy";
    const ROLES: &'static [Role] = &[Role::OrganizationManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.property_id.0
    }

    fn scope(&self, _: &Property) -> Scope {
        Scope::property(self.property_id)
    }

    fn decide(self, state: &Property, _: &Context) -> Decision<Property> {
        let known = state.details.as_ref().ok_or(PropertyRefusal::NotFound)?;
        let fees = checked(self.fees)?;
        Ok(if known.fees == fees { vec![] } else { vec![PropertyEvent::FeePolicyChanged { fees }] })
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "fees": {
                "mode": "PassToResident",
                "card": { "basis_points": 340, "fixed": 30 },
                "bank_debit": { "basis_points": 100, "fixed": 0, "cap": 550 }
            }
        })
    }
}

impl Command for ChangeBillingPolicy {
    type Aggregate = Property;
    const NAME: &'static str = "ChangeBillingPolicy";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::PropertyAdmin];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.property_id.0
    }

    fn scope(&self, _: &Property) -> Scope {
        Scope::property(self.property_id)
    }

    fn decide(self, state: &Property, _: &Context) -> Decision<Property> {
        let known = state.details.as_ref().ok_or(PropertyRefusal::NotFound)?;
        let billing = self.billing;
        if !in_bounds(billing) {
            return Err(PropertyRefusal::BadBilling);
        }
        Ok(if known.billing == billing { vec![] } else { vec![PropertyEvent::BillingPolicyChanged { billing }] })
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "billing": { "charge_hour": 6, "reminder_days": 5, "remind_overdue": true, "autopay_notice_days": 3 }
        })
    }
}

impl Command for ChangeSurchargePolicy {
    type Aggregate = Property;
    const NAME: &'static str = "ChangeSurchargePolicy";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::PropertyAdmin];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.property_id.0
    }

    fn scope(&self, _: &Property) -> Scope {
        Scope::property(self.property_id)
    }

    fn decide(self, state: &Property, _: &Context) -> Decision<Property> {
        let known = state.details.as_ref().ok_or(PropertyRefusal::NotFound)?;
        let surcharges = self.surcharges;
        fees::check_surcharges(&surcharges).map_err(|why| PropertyRefusal::BadSurcharges { why })?;
        Ok(if known.surcharges == surcharges {
            vec![]
        } else {
            vec![PropertyEvent::SurchargePolicyChanged { surcharges }]
        })
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "surcharges": { "cap_basis_points": 240, "forbidden": [{ "region": "QC", "from": "2022-10-06" }] }
        })
    }
}

impl Command for SwitchEmailKind {
    type Aggregate = Property;
    const NAME: &'static str = "SwitchEmailKind";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::PropertyAdmin];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.property_id.0
    }

    fn scope(&self, _: &Property) -> Scope {
        Scope::property(self.property_id)
    }

    fn decide(self, state: &Property, _: &Context) -> Decision<Property> {
        let known = state.details.as_ref().ok_or(PropertyRefusal::NotFound)?;
        let (kind, on) = (self.kind.as_str(), self.on);
        let mut kinds = EMAIL_KINDS.iter();
        let (_, free) = kinds.find(|(name, _)| *name == kind).ok_or(PropertyRefusal::NoSuchEmailKind)?;
        if !on && !free {
            return Err(PropertyRefusal::EmailKindNeeded);
        }
        Ok(if known.sends(kind) == on {
            vec![]
        } else {
            vec![PropertyEvent::EmailKindSwitched { kind: kind.to_owned(), on }]
        })
    }

    fn example() -> Value {
        json!({ "property_id": "01935c2e-0000-7000-8000-000000000001", "kind": "payment-reminder", "on": false })
    }
}

impl Command for SwitchTextKind {
    type Aggregate = Property;
    const NAME: &'static str = "SwitchTextKind";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::PropertyAdmin];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.property_id.0
    }

    fn scope(&self, _: &Property) -> Scope {
        Scope::property(self.property_id)
    }

    fn decide(self, state: &Property, _: &Context) -> Decision<Property> {
        let known = state.details.as_ref().ok_or(PropertyRefusal::NotFound)?;
        let (kind, on) = (self.kind.as_str(), self.on);
        if !TextContent::SWITCHED.contains(&kind) {
            return Err(PropertyRefusal::NoSuchTextKind);
        }
        Ok(if known.texts(kind) == on {
            vec![]
        } else {
            vec![PropertyEvent::TextKindSwitched { kind: kind.to_owned(), on }]
        })
    }

    fn example() -> Value {
        json!({ "property_id": "01935c2e-0000-7000-8000-000000000001", "kind": "invoice-published", "on": true })
    }
}
