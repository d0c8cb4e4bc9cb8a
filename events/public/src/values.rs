//! The values that public events share.

use schemars::JsonSchema;
use serde::Serialize;

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Money {
    /// Minor units: 25000 is 250.00 where the currency has two decimals.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

impl From<events::Money> for Money {
    fn from(money: events::Money) -> Self {
        Self { amount: money.amount(), currency: money.currency().code().to_owned() }
    }
}

/// Where a property stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Address {
    pub street: String,
    pub city: String,
    /// State, province or region, as the post writes it.
    pub region: String,
    pub postal_code: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

impl From<events::address::PostalAddress> for Address {
    fn from(address: events::address::PostalAddress) -> Self {
        let events::address::PostalAddress { street, city, region, postal_code, country } = address;
        Self {
            street: street.into(),
            city: city.into(),
            region: region.into(),
            postal_code: postal_code.into(),
            country: country.into(),
        }
    }
}

/// What is paid with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Means {
    Card,
    BankDebit,
}

impl From<events::payment::PaymentMethodKind> for Means {
    fn from(kind: events::payment::PaymentMethodKind) -> Self {
        match kind {
            events::payment::PaymentMethodKind::Card => Self::Card,
            events::payment::PaymentMethodKind::BankDebit => Self::BankDebit,
        }
    }
}

/// What personal data is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Purpose {
    Contact,
    Message,
    Finance,
    Consent,
}

impl From<events::Purpose> for Purpose {
    fn from(purpose: events::Purpose) -> Self {
        match purpose {
            events::Purpose::Contact => Self::Contact,
            events::Purpose::Message => Self::Message,
            events::Purpose::Finance => Self::Finance,
            events::Purpose::Consent => Self::Consent,
        }
    }
}
