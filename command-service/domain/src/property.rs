//! A property: its details, its price list, its Stripe account.

mod policies;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use events::{
    Currency, EmailAddress, OrganizationId, PropertyEvent, PropertyId, Purpose, Role, Sealed, StripeAccountId,
    TimeZone,
    address::PostalAddress,
    property::{BillingPolicy, FeePolicy, SurchargePolicy},
    text::Name,
    text_message::TextContent,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::policies::{
    ChangeBillingPolicy, ChangeFeePolicy, ChangeSurchargePolicy, SwitchEmailKind, SwitchTextKind,
};
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
        BadSurcharges { why: fees::RateError } = Invalid, "the limits to surcharges cannot be used: {why}";
        BadBilling = Invalid, "the hour is 0 to 23, and days are 1 to 60 or absent";
        NoSuchTextKind = Invalid, "there is no such kind of text";
        NoSuchEmailKind = Invalid, "there is no such kind of e-mail";
        EmailKindNeeded = Conflict, "this kind of e-mail cannot be switched off: residents would miss what only it tells them";
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
    pub billing: BillingPolicy,
    pub surcharges: SurchargePolicy,
    /// Kinds of e-mail that are not sent.
    pub kinds_off: BTreeSet<String>,
    /// Kinds of text that are sent.
    pub texts_on: BTreeSet<String>,
}

impl Details {
    /// Under which terms payments are quoted at an instant.
    pub fn terms(&self, now: DateTime<Utc>) -> fees::Terms<'_> {
        fees::Terms {
            fees: &self.fees,
            surcharges: &self.surcharges,
            region: self.address.region.as_str(),
            today: self.time_zone.day_of(now),
        }
    }

    /// Whether texts of this kind are sent; those that no property decides about always are.
    pub fn texts(&self, kind: &str) -> bool {
        !TextContent::SWITCHED.contains(&kind) || self.texts_on.contains(kind)
    }

    /// Whether e-mails of this kind are sent.
    pub fn sends(&self, kind: &str) -> bool {
        !self.kinds_off.contains(kind)
    }
}

impl Aggregate for Property {
    type Event = PropertyEvent;
    type Refusal = PropertyRefusal;

    fn evolve(&mut self, event: &PropertyEvent) {
        match event.clone() {
            PropertyEvent::PropertyAdded { name, address, time_zone, currency, contact, sender, fees } => {
                self.details = Some(Details {
                    name,
                    address,
                    time_zone,
                    currency,
                    contact,
                    sender,
                    fees,
                    stripe_account: None,
                    billing: BillingPolicy::STANDARD,
                    surcharges: SurchargePolicy::standard(),
                    kinds_off: BTreeSet::new(),
                    texts_on: BTreeSet::new(),
                });
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
            PropertyEvent::BillingPolicyChanged { billing } => {
                if let Some(details) = &mut self.details {
                    details.billing = billing;
                }
            }
            PropertyEvent::SurchargePolicyChanged { surcharges } => {
                if let Some(details) = &mut self.details {
                    details.surcharges = surcharges;
                }
            }
            PropertyEvent::EmailKindSwitched { kind, on } => {
                if let Some(details) = &mut self.details {
                    if on {
                        details.kinds_off.remove(&kind)
                    } else {
                        details.kinds_off.insert(kind)
                    };
                }
            }
            PropertyEvent::TextKindSwitched { kind, on } => {
                if let Some(details) = &mut self.details {
                    if on {
                        details.texts_on.insert(kind)
                    } else {
                        details.texts_on.remove(&kind)
                    };
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
mod tests;
