//! What is told of a property: where it stands and where its money goes. Its settings are nobody else's business.

use events::{PropertyEvent, PropertyId};
use uuid::Uuid;

use crate::{Tell, values::Address};

public! {
    /// The life of a property.
    pub enum PropertyFact {
        /// The organization took on a property.
        Added = "property.added" v 1 from "PropertyAdded" when "Once per property." {
            property_id: Uuid,
            name: String,
            address: Address,
            /// IANA name of the zone in which its days are counted.
            time_zone: String,
            /// ISO 4217; never changes.
            currency: String,
        },
        /// The property has another name or address.
        DetailsChanged = "property.details_changed" v 1 from "PropertyDetailsChanged"
            when "When a manager changes its details; name and address may be as before." {
            property_id: Uuid,
            name: String,
            address: Address,
        },
        /// Online payments of the property go to this Stripe account from now on.
        StripeAccountAssigned = "property.stripe_account_assigned" v 1 from "StripeAccountAssigned"
            when "When a manager assigns an account." {
            property_id: Uuid,
            stripe_account_id: Uuid,
        },
        /// The property takes no online payments any more.
        StripeAccountUnassigned = "property.stripe_account_unassigned" v 1 from "StripeAccountUnassigned"
            when "When a manager takes the account away." {
            property_id: Uuid,
            stripe_account_id: Uuid,
        },
    }
}

impl Tell for PropertyFact {
    type Event = PropertyEvent;

    fn tell(property_id: Uuid, event: PropertyEvent) -> Option<Self> {
        Some(match event {
            PropertyEvent::PropertyAdded { name, address, time_zone, currency, contact: _, sender: _, fees: _ } => {
                Self::Added {
                    property_id,
                    name: name.into(),
                    address: address.into(),
                    time_zone: time_zone.name().to_owned(),
                    currency: currency.code().to_owned(),
                }
            }
            PropertyEvent::PropertyDetailsChanged { name, address, contact: _, sender: _ } => {
                Self::DetailsChanged { property_id, name: name.into(), address: address.into() }
            }
            PropertyEvent::StripeAccountAssigned { stripe_account_id } => {
                Self::StripeAccountAssigned { property_id, stripe_account_id: stripe_account_id.0 }
            }
            PropertyEvent::StripeAccountUnassigned { stripe_account_id } => {
                Self::StripeAccountUnassigned { property_id, stripe_account_id: stripe_account_id.0 }
            }
            PropertyEvent::FeePolicyChanged { .. }
            | PropertyEvent::BillingPolicyChanged { .. }
            | PropertyEvent::SurchargePolicyChanged { .. }
            | PropertyEvent::EmailKindSwitched { .. }
            | PropertyEvent::TextKindSwitched { .. } => return None,
        })
    }

    fn property(_: &PropertyEvent) -> Option<PropertyId> {
        None
    }
}
