//! A property: its details, its price list, its Stripe account.

use events::{
    Currency, EmailAddress, OrganizationId, PropertyEvent, PropertyId, Purpose, Role, Sealed, StripeAccountId,
    TimeZone, address::PostalAddress, property::FeePolicy, text::Name,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, Facts, Need, Scope, fees};

/// Takes on a property.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddProperty {
    pub property_id: PropertyId,
    pub name: Name,
    pub address: PostalAddress,
    pub time_zone: TimeZone,
    pub currency: Currency,
    /// Replies to e-mails go here.
    pub contact: EmailAddress,
    /// The name that e-mails come from; the property's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Name>,
    /// The standard price list, absorbed, by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fees: Option<FeePolicy>,
}

/// Changes a property's name, address, contact and sender.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePropertyDetails {
    pub property_id: PropertyId,
    pub name: Name,
    pub address: PostalAddress,
    pub contact: EmailAddress,
    pub sender: Name,
}

/// Changes who bears the processing fee and at which price. Quotes already given keep theirs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeFeePolicy {
    pub property_id: PropertyId,
    pub fees: FeePolicy,
}

/// Sends a property's online payments to a Stripe account of the organization.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignStripeAccount {
    pub property_id: PropertyId,
    pub stripe_account_id: StripeAccountId,
}

/// Stops a property's online payments.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnassignStripeAccount {
    pub property_id: PropertyId,
}

refusals! {
    pub enum PropertyRefusal {
        NotFound = Missing, "there is no such property";
        AddedOtherwise = Conflict, "a property with this id exists with other details; change those instead";
        NoSuchStripeAccount = Invalid, "there is no such Stripe account; connect one first";
        StripeAccountGone = Conflict, "the Stripe account is disconnected; reconnect it first";
        BadRate { why: fees::RateError } = Invalid, "the price list cannot be used: {why}";
    }
}

/// A property as decisions need it.
#[derive(Debug, Default)]
pub struct Property {
    pub details: Option<Details>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Details {
    pub name: Name,
    pub address: PostalAddress,
    pub time_zone: TimeZone,
    pub currency: Currency,
    pub contact: Sealed<EmailAddress>,
    pub sender: Name,
    pub fees: FeePolicy,
    pub stripe_account: Option<StripeAccountId>,
}

impl Aggregate for Property {
    type Event = PropertyEvent;
    type Refusal = PropertyRefusal;

    fn evolve(&mut self, event: &PropertyEvent) {
        match event.clone() {
            PropertyEvent::PropertyAdded { name, address, time_zone, currency, contact, sender, fees } => {
                let stripe_account = None;
                self.details =
                    Some(Details { name, address, time_zone, currency, contact, sender, fees, stripe_account });
            }
            PropertyEvent::PropertyDetailsChanged { name, address, contact, sender } => {
                if let Some(details) = &mut self.details {
                    *details = Details { name, address, contact, sender, ..details.clone() };
                }
            }
            PropertyEvent::FeePolicyChanged { fees } => {
                if let Some(details) = &mut self.details {
                    details.fees = fees;
                }
            }
            PropertyEvent::StripeAccountAssigned { stripe_account_id } => {
                if let Some(details) = &mut self.details {
                    details.stripe_account = Some(stripe_account_id);
                }
            }
            PropertyEvent::StripeAccountUnassigned { .. } => {
                if let Some(details) = &mut self.details {
                    details.stripe_account = None;
                }
            }
        }
    }
}

fn sealed(property: PropertyId, contact: EmailAddress) -> Sealed<EmailAddress> {
    Sealed::new(property.0, Purpose::Contact, contact)
}

fn checked(fees: FeePolicy) -> Result<FeePolicy, PropertyRefusal> {
    fees::check(&fees.card)
        .and_then(|()| fees::check(&fees.bank_debit))
        .map(|()| fees)
        .map_err(|why| PropertyRefusal::BadRate { why })
}

impl Command for AddProperty {
    type Aggregate = Property;
    const NAME: &'static str = "AddProperty";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::Operator];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.property_id.0
    }

    fn decide(self, state: &Property, _: &Context) -> Decision<Property> {
        let sender = self.sender.unwrap_or_else(|| self.name.clone());
        let contact = sealed(self.property_id, self.contact);
        let fees = checked(self.fees.unwrap_or(FeePolicy::STANDARD))?;
        match &state.details {
            None => Ok(vec![PropertyEvent::PropertyAdded {
                name: self.name,
                address: self.address,
                time_zone: self.time_zone,
                currency: self.currency,
                contact,
                sender,
                fees,
            }]),
            Some(known)
                if known.name == self.name
                    && known.address == self.address
                    && known.time_zone == self.time_zone
                    && known.currency == self.currency =>
            {
                Ok(vec![])
            }
            Some(_) => Err(PropertyRefusal::AddedOtherwise),
        }
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "name": "Maple Court",
            "address": { "street": "12 rue des Érables", "city": "Montréal", "region": "QC", "postal_code": "H2X 1Y4", "country": "CA" },
            "time_zone": "America/Toronto",
            "currency": "CAD",
            "contact": "office@maplecourt.example.org"
        })
    }
}

impl Command for ChangePropertyDetails {
    type Aggregate = Property;
    const NAME: &'static str = "ChangePropertyDetails";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::PropertyAdmin];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.property_id.0
    }

    fn scope(&self, _: &Property) -> Scope {
        Scope::property(self.property_id)
    }

    fn decide(self, state: &Property, _: &Context) -> Decision<Property> {
        let known = state.details.as_ref().ok_or(PropertyRefusal::NotFound)?;
        let contact = sealed(self.property_id, self.contact);
        if known.name == self.name
            && known.address == self.address
            && known.sender == self.sender
            && known.contact == contact
        {
            return Ok(vec![]);
        }
        Ok(vec![PropertyEvent::PropertyDetailsChanged {
            name: self.name,
            address: self.address,
            contact,
            sender: self.sender,
        }])
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "name": "Maple Court",
            "address": { "street": "12 rue des Érables", "city": "Montréal", "region": "QC", "postal_code": "H2X 1Y4", "country": "CA" },
            "contact": "board@maplecourt.example.org",
            "sender": "Maple Court HOA"
        })
    }
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

impl Command for AssignStripeAccount {
    type Aggregate = Property;
    const NAME: &'static str = "AssignStripeAccount";
    const ROLES: &'static [Role] = &[Role::OrganizationManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.property_id.0
    }

    fn scope(&self, _: &Property) -> Scope {
        Scope::property(self.property_id)
    }

    fn needs(&self, _: &Property, _: &Facts) -> Vec<Need> {
        vec![Need::StripeAccount(self.stripe_account_id)]
    }

    fn decide(self, state: &Property, context: &Context) -> Decision<Property> {
        let known = state.details.as_ref().ok_or(PropertyRefusal::NotFound)?;
        let account = context.facts.stripe_account.as_ref().filter(|account| account.exists());
        let account = account.ok_or(PropertyRefusal::NoSuchStripeAccount)?;
        if account.is_disconnected() {
            return Err(PropertyRefusal::StripeAccountGone);
        }
        let stripe_account_id = self.stripe_account_id;
        Ok(if known.stripe_account == Some(stripe_account_id) {
            vec![]
        } else {
            vec![PropertyEvent::StripeAccountAssigned { stripe_account_id }]
        })
    }

    fn example() -> Value {
        json!({
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "stripe_account_id": "01935c2e-0000-7000-8000-0000000000aa"
        })
    }
}

impl Command for UnassignStripeAccount {
    type Aggregate = Property;
    const NAME: &'static str = "UnassignStripeAccount";
    const ROLES: &'static [Role] = &[Role::OrganizationManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.property_id.0
    }

    fn scope(&self, _: &Property) -> Scope {
        Scope::property(self.property_id)
    }

    fn decide(self, state: &Property, _: &Context) -> Decision<Property> {
        let known = state.details.as_ref().ok_or(PropertyRefusal::NotFound)?;
        Ok(known
            .stripe_account
            .map(|stripe_account_id| PropertyEvent::StripeAccountUnassigned { stripe_account_id })
            .into_iter()
            .collect())
    }

    fn example() -> Value {
        json!({ "property_id": "01935c2e-0000-7000-8000-000000000001" })
    }
}

#[cfg(test)]
mod tests {
    use events::property::{FeeMode, Rate};

    use super::*;
    use crate::testing::{
        fixtures::{ACCOUNT, PROPERTY, account, community, property, with},
        from, given, state,
    };

    fn add() -> AddProperty {
        AddProperty {
            property_id: PROPERTY,
            name: from("Maple Court"),
            address: from(json!({
                "street": "12 Maple St", "city": "Springfield", "region": "NY", "postal_code": "10001", "country": "US"
            })),
            time_zone: from("America/New_York"),
            currency: Currency::USD,
            contact: from("office@example.org"),
            sender: None,
            fees: None,
        }
    }

    const PASSED: FeePolicy = FeePolicy { mode: FeeMode::PassToResident, ..FeePolicy::STANDARD };

    fn assigned() -> PropertyEvent {
        PropertyEvent::StripeAccountAssigned { stripe_account_id: ACCOUNT }
    }

    #[test]
    fn a_property_is_added_once() {
        given([]).accepts(add(), [property()]);
        for other in [
            AddProperty { name: from("Pine Court"), ..add() },
            AddProperty { currency: Currency::CAD, ..add() },
            AddProperty { time_zone: TimeZone::UTC, ..add() },
        ] {
            given([property()]).refuses(other, PropertyRefusal::AddedOtherwise);
        }
    }

    #[test]
    fn details_change_and_zone_and_currency_stay() {
        let AddProperty { property_id, name, address, contact, .. } = add();
        let change = ChangePropertyDetails { property_id, name, address, contact, sender: from("Maple Court HOA") };
        let changed = PropertyEvent::PropertyDetailsChanged {
            name: change.name.clone(),
            address: change.address.clone(),
            contact: sealed(PROPERTY, change.contact.clone()),
            sender: change.sender.clone(),
        };
        given([property()]).accepts(change.clone(), [changed.clone()]);
        given([]).refuses(change, PropertyRefusal::NotFound);
        let details = state::<Property>([property(), changed]).details;
        assert!(
            details.is_some_and(|details| details.currency == Currency::USD && details.fees == FeePolicy::STANDARD)
        );
    }

    #[test]
    fn a_price_list_is_changed_within_bounds() {
        let change = |fees| ChangeFeePolicy { property_id: PROPERTY, fees };
        given([property()]).accepts(change(PASSED), [PropertyEvent::FeePolicyChanged { fees: PASSED }]);
        given([]).refuses(change(PASSED), PropertyRefusal::NotFound);
        let rate = |basis_points, fixed, cap| Rate { basis_points, fixed, cap };
        for (rate, why) in [
            (rate(2_001, 0, None), fees::RateError::BasisPoints),
            (rate(0, -1, None), fees::RateError::Fixed),
            (rate(0, 100_001, None), fees::RateError::Fixed),
            (rate(0, 0, Some(0)), fees::RateError::Cap),
        ] {
            let bad = FeePolicy { card: rate, ..PASSED };
            given([property()]).refuses(change(bad), PropertyRefusal::BadRate { why });
            let bad = FeePolicy { bank_debit: rate, ..PASSED };
            given([]).refuses(AddProperty { fees: Some(bad), ..add() }, PropertyRefusal::BadRate { why });
        }
    }

    #[test]
    fn a_stripe_account_is_assigned_while_it_is_connected() {
        let assign = || AssignStripeAccount { property_id: PROPERTY, stripe_account_id: ACCOUNT };
        given([property()]).facts(community()).accepts(assign(), [assigned()]);
        given([]).facts(community()).refuses(assign(), PropertyRefusal::NotFound);
        given([property()]).refuses(assign(), PropertyRefusal::NoSuchStripeAccount);
        let nothing = Facts { stripe_account: Some(state([])), ..community() };
        given([property()]).facts(nothing).refuses(assign(), PropertyRefusal::NoSuchStripeAccount);
        let gone = with(account(), [events::StripeAccountEvent::StripeAccountDisconnected { at_provider: false }]);
        let gone = Facts { stripe_account: Some(state(gone)), ..community() };
        given([property()]).facts(gone).refuses(assign(), PropertyRefusal::StripeAccountGone);
    }

    #[test]
    fn a_stripe_account_is_unassigned_once() {
        let unassign = UnassignStripeAccount { property_id: PROPERTY };
        let unassigned = PropertyEvent::StripeAccountUnassigned { stripe_account_id: ACCOUNT };
        given([property(), assigned()]).accepts(unassign.clone(), [unassigned]);
        given([property()]).ignores(unassign.clone());
        given([]).refuses(unassign, PropertyRefusal::NotFound);
    }
}
