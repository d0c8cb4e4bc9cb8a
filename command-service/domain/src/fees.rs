//! Processing fees: exact arithmetic in minor units, grossed up so that the property nets the invoice amount, cut to what the law allows.

use chrono::NaiveDate;
use events::{
    Money,
    money::MoneyError,
    payment::{FeeWaiver, PaymentMethodKind},
    property::{FeeMode, FeePolicy, Rate, SurchargeBan, SurchargePolicy},
};

/// What paying costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Charged on top of the amount; zero when the property absorbs.
    pub fee: Money,
    /// What the card or bank account is charged.
    pub total: Money,
    /// Why the fee is less than the price list says.
    pub waiver: Option<FeeWaiver>,
}

/// Under which terms a property takes payments on a day.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    pub fees: &'a FeePolicy,
    pub surcharges: &'a SurchargePolicy,
    /// Where the property stands.
    pub region: &'a str,
    /// The day at the property.
    pub today: NaiveDate,
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
    #[error("at most 20 times without surcharges can be named")]
    TooManyBans,
    #[error("a region is named as the post writes it, and its ban ends after it began")]
    Ban,
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

/// Bounds of what limits surcharges.
pub fn check_surcharges(policy: &SurchargePolicy) -> Result<(), RateError> {
    if policy.cap_basis_points.is_some_and(|cap| cap > 2000) {
        return Err(RateError::BasisPoints);
    }
    if policy.forbidden.len() > 20 {
        return Err(RateError::TooManyBans);
    }
    let sound = |ban: &SurchargeBan| {
        (1..=60).contains(&ban.region.len())
            && ban.region.trim() == ban.region
            && ban.until.is_none_or(|until| until > ban.from)
    };
    if policy.forbidden.iter().all(sound) { Ok(()) } else { Err(RateError::Ban) }
}

/// What a resident is asked for when paying `amount`.
///
/// Only what is known to be a credit card bears a surcharge: the networks forbid it for debit and prepaid cards, and a card of unknown
/// funding may be one. Bank debits are no card payments: neither ban nor cap concerns them.
pub fn quote(
    terms: &Terms<'_>,
    kind: PaymentMethodKind,
    funding: Option<&str>,
    amount: Money,
) -> Result<Quote, MoneyError> {
    let listed = match (terms.fees.mode, kind) {
        (FeeMode::Absorb, _) => 0,
        (FeeMode::PassToResident, PaymentMethodKind::Card) => surcharge(&terms.fees.card, amount),
        (FeeMode::PassToResident, PaymentMethodKind::BankDebit) => surcharge(&terms.fees.bank_debit, amount),
    };
    let (fee, waiver) = match kind {
        PaymentMethodKind::BankDebit => (listed, None),
        PaymentMethodKind::Card => allowed(terms, funding, amount, listed),
    };
    let fee = Money::try_new(fee, amount.currency())?;
    Ok(Quote { fee, total: amount.checked_add(fee)?, waiver })
}

fn surcharge(rate: &Rate, amount: Money) -> i64 {
    gross_up(rate, amount.amount()) - amount.amount()
}

/// As much of a card's listed fee as may be charged.
fn allowed(terms: &Terms<'_>, funding: Option<&str>, amount: Money, listed: i64) -> (i64, Option<FeeWaiver>) {
    if listed == 0 {
        return (0, None);
    }
    let funding = funding.unwrap_or("unknown");
    if funding != "credit" {
        return (0, Some(FeeWaiver::Funding { funding: funding.to_owned() }));
    }
    let mut bans = terms.surcharges.forbidden.iter();
    let holds = |ban: &SurchargeBan| {
        ban.region.eq_ignore_ascii_case(terms.region.trim())
            && terms.today >= ban.from
            && ban.until.is_none_or(|until| terms.today < until)
    };
    if let Some(ban) = bans.find(|ban| holds(ban)) {
        return (0, Some(FeeWaiver::Region { region: ban.region.clone() }));
    }
    let Some(basis_points) = terms.surcharges.cap_basis_points else { return (listed, None) };
    // Rounded down: half a cent above the cap is above the cap.
    let most = i128::from(amount.amount()) * i128::from(basis_points) / 10_000;
    match i64::try_from(most) {
        Ok(most) if most < listed => (most, Some(FeeWaiver::Capped { basis_points })),
        _ => (listed, None),
    }
}

#[cfg(test)]
mod tests {
    use events::Currency;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::fixtures::{day, money};

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

    fn usd(amount: i64) -> Money {
        money(amount, Currency::USD)
    }

    const PASSED: FeePolicy = FeePolicy { mode: FeeMode::PassToResident, ..FeePolicy::STANDARD };

    fn free() -> SurchargePolicy {
        SurchargePolicy { cap_basis_points: None, forbidden: vec![] }
    }

    fn terms<'a>(surcharges: &'a SurchargePolicy, region: &'a str, today: &str) -> Terms<'a> {
        Terms { fees: &PASSED, surcharges, region, today: day(today) }
    }

    fn card(terms: &Terms<'_>, funding: &str, amount: i64) -> (i64, Option<FeeWaiver>) {
        let quote = quote(terms, PaymentMethodKind::Card, Some(funding), usd(amount)).expect("small amounts");
        assert_eq!(quote.total.amount(), amount + quote.fee.amount());
        (quote.fee.amount(), quote.waiver)
    }

    #[test]
    fn whoever_absorbs_charges_the_plain_amount_and_waives_nothing() {
        let surcharges = SurchargePolicy::standard();
        let terms = Terms { fees: &FeePolicy::STANDARD, ..terms(&surcharges, "CT", "2026-03-01") };
        for kind in [PaymentMethodKind::Card, PaymentMethodKind::BankDebit] {
            let plain = Quote { fee: usd(0), total: usd(10_000), waiver: None };
            assert_eq!(quote(&terms, kind, Some("debit"), usd(10_000)), Ok(plain));
        }
    }

    #[test]
    fn a_currency_without_minor_units_is_not_multiplied() {
        let (surcharges, amount) = (free(), money(10_000, Currency::JPY));
        let quote = quote(&terms(&surcharges, "", "2026-03-01"), PaymentMethodKind::Card, Some("credit"), amount);
        assert_eq!(quote.map(|quote| quote.total.to_string()), Ok("10383 JPY".into()));
    }

    #[test]
    fn only_credit_cards_bear_a_surcharge() {
        let surcharges = free();
        let terms = terms(&surcharges, "NY", "2026-03-01");
        assert_eq!(card(&terms, "credit", 10_000), (383, None));
        for funding in ["debit", "prepaid", "unknown"] {
            let waiver = FeeWaiver::Funding { funding: funding.into() };
            assert_eq!(card(&terms, funding, 10_000), (0, Some(waiver)));
        }
        let unseen = quote(&terms, PaymentMethodKind::Card, None, usd(10_000)).expect("small amounts");
        assert_eq!((unseen.fee, unseen.waiver), (usd(0), Some(FeeWaiver::Funding { funding: "unknown".into() })));
    }

    #[test]
    fn a_ban_holds_from_its_first_day_to_the_day_before_its_end() {
        let ban = SurchargeBan { region: "NJ".into(), from: day("2026-03-08"), until: Some(day("2026-11-01")) };
        let surcharges = SurchargePolicy { forbidden: vec![ban], ..free() };
        let waived = (0, Some(FeeWaiver::Region { region: "NJ".into() }));
        for (today, expected) in [
            ("2026-03-07", (383, None)),
            ("2026-03-08", waived.clone()),
            ("2026-10-31", waived.clone()),
            ("2026-11-01", (383, None)),
        ] {
            assert_eq!(card(&terms(&surcharges, "NJ", today), "credit", 10_000), expected, "{today}");
        }
        assert_eq!(card(&terms(&surcharges, " nj ", "2026-05-01"), "credit", 10_000), waived);
        assert_eq!(card(&terms(&surcharges, "NY", "2026-05-01"), "credit", 10_000), (383, None));
    }

    #[test]
    fn the_standard_table_bans_where_the_law_does() {
        let surcharges = SurchargePolicy::standard();
        assert_eq!(check_surcharges(&surcharges), Ok(()));
        for region in ["CT", "MA", "ME", "PR", "QC"] {
            let (fee, waiver) = card(&terms(&surcharges, region, "2026-03-01"), "credit", 10_000);
            assert_eq!((fee, waiver), (0, Some(FeeWaiver::Region { region: region.into() })));
        }
        assert_eq!(card(&terms(&surcharges, "FL", "2026-03-01"), "credit", 10_000), (383, None));
    }

    #[test]
    fn a_cap_cuts_the_fee_to_the_cent_below() {
        let cap = |basis_points| SurchargePolicy { cap_basis_points: Some(basis_points), ..free() };
        let (three, four) = (cap(300), cap(400));
        let cut = |fee| (fee, Some(FeeWaiver::Capped { basis_points: 300 }));
        assert_eq!(card(&terms(&three, "NY", "2026-03-01"), "credit", 10_000), cut(300));
        assert_eq!(card(&terms(&three, "NY", "2026-03-01"), "credit", 10_049), cut(301));
        assert_eq!(card(&terms(&four, "NY", "2026-03-01"), "credit", 10_000), (383, None));
    }

    #[test]
    fn a_bank_debit_is_no_card() {
        let surcharges = SurchargePolicy { cap_basis_points: Some(0), ..SurchargePolicy::standard() };
        let terms = terms(&surcharges, "CT", "2026-03-01");
        for (net, fee) in [(10_000, 101), (100_000, 550)] {
            let quote = quote(&terms, PaymentMethodKind::BankDebit, None, usd(net)).expect("small amounts");
            assert_eq!((quote.fee, quote.waiver), (usd(fee), None));
        }
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        let ban = |region: &str, until: Option<&str>| SurchargePolicy {
            forbidden: vec![SurchargeBan { region: region.into(), from: day("2026-03-08"), until: until.map(day) }],
            ..free()
        };
        for (bad, why) in [
            (SurchargePolicy { cap_basis_points: Some(2_001), ..free() }, RateError::BasisPoints),
            (ban("", None), RateError::Ban),
            (ban(" NJ", None), RateError::Ban),
            (ban("NJ", Some("2026-03-08")), RateError::Ban),
            (
                SurchargePolicy { forbidden: vec![ban("NJ", None).forbidden.remove(0); 21], ..free() },
                RateError::TooManyBans,
            ),
        ] {
            assert_eq!(check_surcharges(&bad), Err(why));
        }
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
        fn a_capped_fee_is_never_above_the_cap_nor_above_the_list(
            net in 1..=79_999_999_i64, basis_points in 0..=2_000_u32
        ) {
            let surcharges = SurchargePolicy { cap_basis_points: Some(basis_points), ..free() };
            let (fee, waiver) = card(&terms(&surcharges, "NY", "2026-03-01"), "credit", net);
            let listed = gross_up(&PASSED.card, net) - net;
            prop_assert!(fee <= listed);
            prop_assert_eq!(waiver.is_some(), fee < listed);
            prop_assert!(fee == listed || (fee + 1) * 10_000 > net * i64::from(basis_points));
            prop_assert!(fee * 10_000 <= net * i64::from(basis_points));
        }

        #[test]
        fn a_larger_amount_never_costs_less(rate in rates(), net in 1..=99_999_998_i64) {
            prop_assert!(gross_up(&rate, net) < gross_up(&rate, net + 1));
        }
    }
}
