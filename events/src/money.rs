//! Money: whole minor units with their currency.

use std::{cmp::Ordering, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Currency;

/// An amount in minor units (cents, or whole yen) of one currency.
///
/// Bounded to ±99,999,999,999 so that no sum of a realistic history can overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawMoney")]
#[schemars(!try_from, example = &serde_json::json!({"amount": 10_000, "currency": "USD"}))]
pub struct Money {
    /// Whole minor units: 10000 is 100.00 USD, or 10000 JPY.
    #[schemars(range(min = -99_999_999_999i64, max = 99_999_999_999i64))]
    amount: i64,
    currency: Currency,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMoney {
    amount: i64,
    currency: Currency,
}

/// Why two amounts cannot be combined, or one cannot exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("an amount has at most 11 digits of minor units")]
    OutOfRange,
    #[error("{left} and {right} cannot be combined")]
    CurrencyMismatch { left: Currency, right: Currency },
}

impl Money {
    /// The largest magnitude of an amount, in minor units.
    pub const MAX: i64 = 99_999_999_999;

    pub const fn try_new(amount: i64, currency: Currency) -> Result<Self, MoneyError> {
        if amount > Self::MAX || amount < -Self::MAX {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self { amount, currency })
    }

    pub const fn zero(currency: Currency) -> Self {
        Self { amount: 0, currency }
    }

    /// Whole minor units.
    pub const fn amount(self) -> i64 {
        self.amount
    }

    pub const fn currency(self) -> Currency {
        self.currency
    }

    pub const fn is_positive(self) -> bool {
        self.amount > 0
    }

    pub const fn is_zero(self) -> bool {
        self.amount == 0
    }

    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        Self::try_new(self.amount + other.amount, self.currency)
    }

    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        Self::try_new(self.amount - other.amount, self.currency)
    }

    /// The sum, starting from zero of `currency`.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch { left: self.currency, right: other.currency })
        }
    }
}

impl PartialOrd for Money {
    /// `None` between currencies: five dollars are neither more nor less than five euros.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.currency == other.currency).then(|| self.amount.cmp(&other.amount))
    }
}

impl TryFrom<RawMoney> for Money {
    type Error = MoneyError;

    fn try_from(raw: RawMoney) -> Result<Self, MoneyError> {
        Self::try_new(raw.amount, raw.currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits();
        let unit = 10_i64.pow(digits);
        let sign = if self.amount < 0 { "-" } else { "" };
        let (whole, part) = (self.amount.abs() / unit, self.amount.abs() % unit);
        if digits == 0 {
            write!(f, "{sign}{whole} {}", self.currency)
        } else {
            write!(f, "{sign}{whole}.{part:0width$} {}", self.currency, width = digits as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_are_printed_with_the_digits_of_the_currency() {
        assert_eq!(Money::try_new(-1005, Currency::USD).map(|m| m.to_string()), Ok("-10.05 USD".into()));
        assert_eq!(Money::try_new(1005, Currency::JPY).map(|m| m.to_string()), Ok("1005 JPY".into()));
    }

    #[test]
    fn amounts_beyond_the_bound_do_not_exist() {
        assert_eq!(Money::try_new(Money::MAX + 1, Currency::USD), Err(MoneyError::OutOfRange));
        assert!(serde_json::from_str::<Money>(r#"{"amount":100000000000,"currency":"USD"}"#).is_err());
    }

    #[test]
    fn currencies_do_not_mix() {
        let dollar = Money::zero(Currency::USD);
        let euro = Money::zero(Currency::EUR);
        assert!(dollar.checked_add(euro).is_err());
        assert_eq!(dollar.partial_cmp(&euro), None);
    }
}
