//! Currencies and the number of their minor digits (ISO 4217, restricted to those that Stripe settles).

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A currency that invoices may be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Currency {
    AUD,
    CAD,
    CHF,
    CLP,
    EUR,
    GBP,
    JPY,
    KRW,
    MXN,
    NZD,
    USD,
}

impl Currency {
    pub const ALL: [Self; 11] = [
        Self::AUD,
        Self::CAD,
        Self::CHF,
        Self::CLP,
        Self::EUR,
        Self::GBP,
        Self::JPY,
        Self::KRW,
        Self::MXN,
        Self::NZD,
        Self::USD,
    ];

    /// Digits after the decimal point: an amount of 1050 is 10.50 USD but 1050 JPY.
    pub const fn minor_digits(self) -> u32 {
        match self {
            Self::CLP | Self::JPY | Self::KRW => 0,
            Self::AUD | Self::CAD | Self::CHF | Self::EUR | Self::GBP | Self::MXN | Self::NZD | Self::USD => 2,
        }
    }

    /// The three-letter code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AUD => "AUD",
            Self::CAD => "CAD",
            Self::CHF => "CHF",
            Self::CLP => "CLP",
            Self::EUR => "EUR",
            Self::GBP => "GBP",
            Self::JPY => "JPY",
            Self::KRW => "KRW",
            Self::MXN => "MXN",
            Self::NZD => "NZD",
            Self::USD => "USD",
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The code names no currency that Propty bills in.
#[derive(Debug, thiserror::Error)]
#[error("no such currency; use one of AUD, CAD, CHF, CLP, EUR, GBP, JPY, KRW, MXN, NZD, USD")]
pub struct UnknownCurrency;

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        Self::ALL.into_iter().find(|currency| currency.code().eq_ignore_ascii_case(text)).ok_or(UnknownCurrency)
    }
}
