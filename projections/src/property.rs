//! Properties with their address, contact and fees.

use chrono::{DateTime, Utc};
use events::{
    PropertyEvent, Recorded,
    address::PostalAddress,
    property::{BillingPolicy, FeePolicy, SurchargePolicy},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Column, FoldError, ReadModel};

pub use queries::{Filter, detail, list};

#[path = "property_queries.rs"]
mod queries;

/// Properties as they stand.
#[derive(Debug)]
pub struct Properties;

/// A property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PropertyRow {
    pub property_id: Uuid,
    pub organization_id: Uuid,
    pub name: String,
    pub street: String,
    pub city: String,
    pub region: String,
    pub postal_code: String,
    pub country: String,
    pub time_zone: String,
    pub currency: String,
    /// Where replies go; null when it was erased.
    pub contact: Option<String>,
    pub sender: String,
    pub fees: FeePolicy,
    pub billing: BillingPolicy,
    /// Null: the standard of the house.
    pub surcharges: Option<SurchargePolicy>,
    /// The kinds of e-mail that are switched off.
    pub kinds_off: Vec<String>,
    /// The kinds of text that are sent.
    pub texts_on: Vec<String>,
    pub stripe_account_id: Option<Uuid>,
    pub added_at: DateTime<Utc>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl ReadModel for Properties {
    type Row = PropertyRow;
    const NAME: &'static str = "property";
    const VERSION: u32 = 3;
    const COLUMNS: &'static [Column] = &[
        ("property_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("name", "text not null"),
        ("street", "text not null"),
        ("city", "text not null"),
        ("region", "text not null"),
        ("postal_code", "text not null"),
        ("country", "text not null"),
        ("time_zone", "text not null"),
        ("currency", "text not null"),
        ("contact", "text"),
        ("sender", "text not null"),
        ("fees", "json not null"),
        ("billing", "json not null"),
        ("surcharges", "json"),
        ("kinds_off", "json not null"),
        ("texts_on", "json not null"),
        ("stripe_account_id", "uuid"),
        ("added_at", "timestamptz not null"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] = &["(organization_id, name)"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "property" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<PropertyRow>, key: Uuid, event: &Recorded) -> Result<Option<PropertyRow>, FoldError> {
        let Some(change) = event.event::<PropertyEvent>()? else { return Ok(row) };
        let mut row = match change {
            PropertyEvent::PropertyAdded { name, address, time_zone, currency, contact, sender, fees } => {
                let mut row = PropertyRow {
                    property_id: key,
                    organization_id: event.organization.0,
                    name: name.into(),
                    street: String::new(),
                    city: String::new(),
                    region: String::new(),
                    postal_code: String::new(),
                    country: String::new(),
                    time_zone: time_zone.name().to_owned(),
                    currency: currency.code().to_owned(),
                    contact: contact.into_value().map(Into::into),
                    sender: sender.into(),
                    fees,
                    billing: BillingPolicy::STANDARD,
                    surcharges: None,
                    kinds_off: vec![],
                    texts_on: vec![],
                    stripe_account_id: None,
                    added_at: event.recorded_at,
                    version: 0,
                };
                row.move_to(address);
                row
            }
            later => {
                let mut row = row.ok_or(FoldError::Unexpected("a property changed before it was added"))?;
                row.change(later)?;
                row
            }
        };
        row.version = event.version;
        Ok(Some(row))
    }
}

impl PropertyRow {
    fn change(&mut self, change: PropertyEvent) -> Result<(), FoldError> {
        match change {
            PropertyEvent::PropertyAdded { .. } => return Err(FoldError::Unexpected("added twice")),
            PropertyEvent::PropertyDetailsChanged { name, address, contact, sender } => {
                self.name = name.into();
                self.contact = contact.into_value().map(Into::into);
                self.sender = sender.into();
                self.move_to(address);
            }
            PropertyEvent::FeePolicyChanged { fees } => self.fees = fees,
            PropertyEvent::BillingPolicyChanged { billing } => self.billing = billing,
            PropertyEvent::SurchargePolicyChanged { surcharges } => self.surcharges = Some(surcharges),
            PropertyEvent::EmailKindSwitched { kind, on } => {
                self.kinds_off.retain(|off| *off != kind);
                if !on {
                    self.kinds_off.push(kind);
                    self.kinds_off.sort_unstable();
                }
            }
            PropertyEvent::TextKindSwitched { kind, on } => {
                self.texts_on.retain(|known| *known != kind);
                if on {
                    self.texts_on.push(kind);
                    self.texts_on.sort_unstable();
                }
            }
            PropertyEvent::StripeAccountAssigned { stripe_account_id } => {
                self.stripe_account_id = Some(stripe_account_id.0);
            }
            PropertyEvent::StripeAccountUnassigned { stripe_account_id } => {
                self.stripe_account_id = self.stripe_account_id.filter(|account| *account != stripe_account_id.0);
            }
        }
        Ok(())
    }

    fn move_to(&mut self, address: PostalAddress) {
        self.street = address.street.into();
        self.city = address.city.into();
        self.region = address.region.into();
        self.postal_code = address.postal_code.into();
        self.country = address.country.into();
    }
}
