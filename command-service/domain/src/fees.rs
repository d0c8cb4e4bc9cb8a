//! Processing fees: exact arithmetic in minor units, grossed up so that the property nets the invoice amount.

use events::{
    Money,
    money::MoneyError,
    property::{FeeMode, FeePolicy, Rate},
};

/// What paying costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Charged on top of the amount; zero when the property absorbs.
    pub fee: Money,
    /// What the card is charged.
    pub total: Money,
}

/// Why a rate cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    #[error("a rate is between 0 and 2000 basis points")]
    BasisPoints,
    #[error("a fixed part is between 0 and 100000 minor units")]
    Fixed,
    #[error("a cap is positive")]
    Cap,
}

/// Bounds that keep grossing up finite and sensible.
pub const fn check(rate: &Rate) -> Result<(), RateError> {
    if rate.basis_points > 2000 {
        return Err(RateError::BasisPoints);
    }
    if rate.fixed < 0 || rate.fixed > 100_000 {
        return Err(RateError::Fixed);
    }
    match rate.cap {
        Some(cap) if cap <= 0 => Err(RateError::Cap),
        _ => Ok(()),
    }
}

/// The fee that this rate takes of a charged amount: half-up rounding of the share, plus the fixed part, up to the cap.
pub fn fee(rate: &Rate, gross: i64) -> i64 {
    let share = (i128::from(gross) * i128::from(rate.basis_points) + 5_000) / 10_000;
    let fee = i64::try_from(share).unwrap_or(i64::MAX).saturating_add(rate.fixed);
    rate.cap.map_or(fee, |cap| fee.min(cap))
}

/// The smallest gross amount of which `net` is left after the fee.
pub fn gross_up(rate: &Rate, net: i64) -> i64 {
    let kept = i128::from(10_000 - rate.basis_points.min(9_999));
    let uncapped = (i128::from(net) + i128::from(rate.fixed)) * 10_000 / kept;
    let mut gross = i64::try_from(uncapped).unwrap_or(i64::MAX / 2);
    if let Some(cap) = rate.cap {
        gross = gross.min(net.saturating_add(cap));
    }
    // Rounding moves the answer by at most a step or two; what is left never shrinks as the gross grows.
    while gross > net && gross - 1 - fee(rate, gross - 1) >= net {
        gross -= 1;
    }
    while gross - fee(rate, gross) < net {
        gross += 1;
    }
    gross
}

/// What a resident is asked for when paying `amount` by card.
pub fn card_quote(policy: &FeePolicy, amount: Money) -> Result<Quote, MoneyError> {
    quote(policy.mode, &policy.card, amount)
}

/// What a resident is asked for when paying `amount` by bank debit.
pub fn bank_debit_quote(policy: &FeePolicy, amount: Money) -> Result<Quote, MoneyError> {
    quote(policy.mode, &policy.bank_debit, amount)
}

fn quote(mode: FeeMode, rate: &Rate, amount: Money) -> Result<Quote, MoneyError> {
    let total = match mode {
        FeeMode::Absorb => amount,
        FeeMode::PassToResident => Money::try_new(gross_up(rate, amount.amount()), amount.currency())?,
    };
    Ok(Quote { fee: total.checked_sub(amount)?, total })
}

#[cfg(test)]
mod tests {
    use events::Currency;
    use proptest::prelude::*;

    use super::*;

    const STRIPE_CARD: Rate = Rate { basis_points: 290, fixed: 30, cap: None };
    const STRIPE_BANK: Rate = Rate { basis_points: 80, fixed: 0, cap: Some(500) };

    #[test]
    fn the_vectors_of_the_price_lists_hold() {
        let standard = FeePolicy::STANDARD;
        for (rate, net, gross) in [
            (standard.card, 10_000, 10_383),
            (standard.bank_debit, 10_000, 10_101),
            (standard.bank_debit, 100_000, 100_550),
            (STRIPE_CARD, 10_000, 10_330),
            (STRIPE_BANK, 10_000, 10_081),
            (STRIPE_BANK, 62_000, 62_500),
            (STRIPE_BANK, 100_000, 100_500),
        ] {
            assert_eq!(gross_up(&rate, net), gross, "{net} at {rate:?}");
        }
    }

    #[test]
    fn whoever_absorbs_charges_the_plain_amount() {
        let amount = Money::try_new(10_000, Currency::USD);
        let quote = amount.and_then(|amount| card_quote(&FeePolicy::STANDARD, amount));
        assert_eq!(quote.map(|quote| (quote.fee.amount(), quote.total.amount())), Ok((0, 10_000)));
    }

    #[test]
    fn a_currency_without_minor_units_is_not_multiplied() {
        let policy = FeePolicy { mode: FeeMode::PassToResident, ..FeePolicy::STANDARD };
        let amount = Money::try_new(10_000, Currency::JPY);
        let quote = amount.and_then(|amount| card_quote(&policy, amount));
        assert_eq!(quote.map(|quote| quote.total.to_string()), Ok("10383 JPY".into()));
    }

    fn rates() -> impl Strategy<Value = Rate> {
        (0..=2000_u32, 0..=1000_i64, proptest::option::of(1..=10_000_i64)).prop_map(|(basis_points, fixed, cap)| Rate {
            basis_points,
            fixed,
            cap,
        })
    }

    proptest! {
        #[test]
        fn the_property_nets_exactly_the_amount_and_no_smaller_gross_would_do(rate in rates(), net in 1..=99_999_999_i64) {
            let gross = gross_up(&rate, net);
            prop_assert_eq!(gross - fee(&rate, gross), net);
            prop_assert!(gross - 1 - fee(&rate, gross - 1) < net);
        }

        #[test]
        fn a_larger_amount_never_costs_less(rate in rates(), net in 1..=99_999_998_i64) {
            prop_assert!(gross_up(&rate, net) < gross_up(&rate, net + 1));
        }
    }
}
