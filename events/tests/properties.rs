//! What holds for every value: money stays exact and bounded, texts and addresses parse to themselves, days follow the zone.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use events::{
    Currency, EmailAddress, Money, TimeZone,
    money::MoneyError,
    text::{Line, Paragraphs, TextError},
};
use proptest::{prelude::*, sample::select};

fn currency() -> impl Strategy<Value = Currency> {
    select(Currency::ALL.to_vec())
}

/// Amounts of all sizes, the bounds among them.
fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![-Money::MAX..=Money::MAX, -200_i64..=200, Money::MAX - 100..=Money::MAX, -Money::MAX..=100 - Money::MAX,]
}

fn money(amount: i64, currency: Currency) -> Money {
    Money::try_new(amount, currency).expect("an amount within the bounds")
}

fn any_money() -> impl Strategy<Value = Money> {
    (amount(), currency()).prop_map(|(amount, currency)| money(amount, currency))
}

/// Reads what `Display` writes, by another way than it was written.
fn read(text: &str) -> Option<(i64, &str)> {
    let (number, code) = text.split_once(' ')?;
    Some((number.replace('.', "").parse().ok()?, code))
}

proptest! {
    #[test]
    fn an_amount_exists_exactly_within_the_bounds(amount in prop_oneof![any::<i64>(), amount()], currency in currency()) {
        let made = Money::try_new(amount, currency);
        if amount.unsigned_abs() <= Money::MAX.unsigned_abs() {
            prop_assert_eq!(made.map(|m| (m.amount(), m.currency())), Ok((amount, currency)));
        } else {
            prop_assert_eq!(made, Err(MoneyError::OutOfRange));
        }
    }

    #[test]
    fn sums_and_differences_are_exact_or_refused(a in amount(), b in amount(), currency in currency()) {
        let exact = |value: i64| if value.abs() <= Money::MAX { Ok(value) } else { Err(MoneyError::OutOfRange) };
        let (left, right) = (money(a, currency), money(b, currency));
        prop_assert_eq!(left.checked_add(right).map(Money::amount), exact(a + b));
        prop_assert_eq!(left.checked_sub(right).map(Money::amount), exact(a - b));
        prop_assert_eq!(left.checked_add(right), right.checked_add(left));
        if let Ok(sum) = left.checked_add(right) {
            prop_assert_eq!(sum.checked_sub(right), Ok(left));
        }
        if let Ok(difference) = left.checked_sub(right) {
            prop_assert_eq!(difference.checked_add(right), Ok(left));
        }
    }

    #[test]
    fn currencies_never_mix(left in any_money(), right in any_money()) {
        let same = left.currency() == right.currency();
        let mismatch = MoneyError::CurrencyMismatch { left: left.currency(), right: right.currency() };
        prop_assert_eq!(left.checked_add(right) == Err(mismatch), !same);
        prop_assert_eq!(left.checked_sub(right) == Err(mismatch), !same);
        prop_assert_eq!(left.partial_cmp(&right), same.then(|| left.amount().cmp(&right.amount())));
    }

    #[test]
    fn a_sum_is_that_of_its_parts(amounts in prop::collection::vec(-1_000_000_i64..=1_000_000, 0..50), currency in currency()) {
        let sum = Money::sum(currency, amounts.iter().map(|amount| money(*amount, currency)));
        prop_assert_eq!(sum, Ok(money(amounts.iter().sum(), currency)));
    }

    #[test]
    fn what_is_printed_is_the_amount_with_its_minor_digits(value in any_money()) {
        let text = value.to_string();
        prop_assert_eq!(read(&text), Some((value.amount(), value.currency().code())), "{}", text);
        let number = text.split(' ').next().unwrap_or_default();
        let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        prop_assert_eq!(decimals, value.currency().minor_digits() as usize);
    }

    #[test]
    fn money_comes_back_from_json_and_too_much_does_not(value in any_money(), amount in any::<i64>()) {
        let json = serde_json::to_value(value)?;
        prop_assert_eq!(serde_json::from_value::<Money>(json)?, value);
        let claimed = serde_json::json!({ "amount": amount, "currency": value.currency() });
        let read = serde_json::from_value::<Money>(claimed).ok();
        prop_assert_eq!(read, Money::try_new(amount, value.currency()).ok());
    }

    #[test]
    fn an_address_parses_to_itself_or_not_at_all(
        text in prop_oneof![any::<String>(), "[ -~é\r\n]{0,12}@[ -~é]{0,20}", "[A-Za-z0-9.+]{1,70}@[A-Za-z0-9.-]{1,200}\\.[a-zA-Z]{2,3}"],
    ) {
        if let Ok(address) = EmailAddress::parse(&text) {
            prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address.clone()));
            prop_assert!(address.as_str().eq_ignore_ascii_case(text.trim()));
            prop_assert!(address.as_str().len() <= 254);
            prop_assert!(address.as_str().bytes().all(|byte| byte.is_ascii_graphic()), "a header could be forged");
            prop_assert_eq!(address.as_str().matches('@').count(), 1);
            let normalized = EmailAddress::parse(&address.normalized()).map(|address| address.normalized());
            prop_assert_eq!(normalized, Ok(address.normalized()));
            let json = serde_json::to_value(&address)?;
            prop_assert_eq!(serde_json::from_value::<EmailAddress>(json)?, address);
        }
    }

    #[test]
    fn an_ordinary_address_is_taken_in_any_case(
        local in "[a-z0-9]{1,10}([.+_-][a-z0-9]{1,10}){0,3}",
        domain in "[a-z0-9]{1,10}(-[a-z0-9]{1,5}){0,2}\\.(com|org|example\\.net)",
    ) {
        let address = EmailAddress::parse(&format!(" {local}@{domain}\n")).expect("an address");
        let shouted = EmailAddress::parse(&format!("{local}@{domain}").to_ascii_uppercase()).expect("an address");
        prop_assert_eq!(address.as_str(), format!("{local}@{domain}"));
        prop_assert_eq!(shouted.normalized(), address.normalized());
    }

    #[test]
    fn a_line_is_trimmed_bounded_and_one_line(text in prop_oneof![any::<String>(), "[ a-zé\n\t\0]{0,50}"]) {
        let trimmed = text.trim();
        let expected = if trimmed.is_empty() {
            Err(TextError::Empty)
        } else if trimmed.chars().count() > 20 {
            Err(TextError::TooLong(20))
        } else if trimmed.chars().any(char::is_control) {
            Err(TextError::ControlCharacter)
        } else {
            Ok(trimmed.to_owned())
        };
        let line = Line::<20>::parse(&text);
        prop_assert_eq!(line.clone().map(String::from), expected);
        if let Ok(line) = line {
            prop_assert_eq!(Line::<20>::parse(line.as_str()), Ok(line.clone()));
            prop_assert_eq!(line.to_string(), line.as_str());
            let json = serde_json::to_value(&line)?;
            prop_assert_eq!(serde_json::from_value::<Line<20>>(json)?, line);
        }
    }

    #[test]
    fn paragraphs_keep_their_lines_and_no_other_control_character(
        text in prop_oneof![any::<String>(), "[ a-zé\r\n\t]{1,60}", "[a-z\n]{3990,4010}"],
    ) {
        let trimmed = text.trim();
        let clean = trimmed.chars().all(|c| !c.is_control() || "\r\n\t".contains(c));
        let fits = (1..=4000).contains(&trimmed.chars().count());
        let parsed = Paragraphs::parse(&text).map(String::from).ok();
        prop_assert_eq!(parsed.as_deref(), (clean && fits).then_some(trimmed));
        if let Some(parsed) = parsed {
            prop_assert_eq!(Paragraphs::parse(&parsed).map(String::from), Ok(parsed));
        }
    }

    #[test]
    fn a_zone_is_found_by_its_name_and_no_text_upsets_the_search(text in any::<String>(), zone in select(&chrono_tz::TZ_VARIANTS[..])) {
        prop_assert!(TimeZone::parse(&text).is_err() || text.trim().len() >= 2);
        prop_assert_eq!(TimeZone::parse(zone.name()).map(TimeZone::name), Ok(zone.name()));
    }

    #[test]
    fn a_day_anywhere_is_at_most_one_from_that_in_greenwich(zone in select(&chrono_tz::TZ_VARIANTS[..]), seconds in 0_i64..4_102_444_800) {
        let instant = DateTime::<Utc>::from_timestamp(seconds, 0).expect("an instant");
        let day = TimeZone::parse(zone.name()).expect("a zone").day_of(instant);
        prop_assert!((day - instant.date_naive()).num_days().abs() <= 1);
        prop_assert_eq!(TimeZone::UTC.day_of(instant), instant.date_naive());
    }

    /// Counted in quarters of an hour over two days: 23, 24 or 25 hours are today's, in one piece and with nothing between.
    #[test]
    fn every_day_has_23_to_25_hours_and_none_is_skipped_or_comes_back(
        zone in select(vec!["America/New_York", "America/Phoenix", "America/Los_Angeles", "America/Toronto", "America/St_Johns",
            "America/Mexico_City", "America/Santiago", "America/Havana", "Europe/Paris", "Asia/Tokyo", "Australia/Sydney"]),
        day in 0_u64..6000,
    ) {
        let day = NaiveDate::from_ymd_opt(2020, 1, 1).expect("a day") + Days::new(day);
        let zone = TimeZone::parse(zone).expect("a zone");
        let start = day.and_hms_opt(0, 0, 0).expect("midnight").and_utc() - TimeDelta::hours(15);
        let days: Vec<_> = (0..55 * 4).map(|quarter| zone.day_of(start + TimeDelta::minutes(15 * quarter))).collect();
        let steady = days.windows(2).all(|pair| pair[1] == pair[0] || Some(pair[1]) == pair[0].succ_opt());
        let quarters = days.iter().filter(|seen| **seen == day).count();
        prop_assert!(steady, "{:?} on {}", zone, day);
        prop_assert!([92, 96, 100].contains(&quarters), "{} quarters on {} in {:?}", quarters, day, zone);
    }
}

#[test]
fn the_last_day_to_pay_ends_at_local_midnight_when_clocks_change() {
    for (zone, instant, day) in [
        ("America/New_York", "2027-03-14T04:59:59Z", "2027-03-13"),
        ("America/New_York", "2027-03-14T05:00:00Z", "2027-03-14"),
        ("America/New_York", "2027-03-15T03:59:59Z", "2027-03-14"),
        ("America/New_York", "2027-03-15T04:00:00Z", "2027-03-15"),
        ("America/New_York", "2027-11-07T03:59:59Z", "2027-11-06"),
        ("America/New_York", "2027-11-07T04:00:00Z", "2027-11-07"),
        ("America/New_York", "2027-11-08T04:59:59Z", "2027-11-07"),
        ("America/New_York", "2027-11-08T05:00:00Z", "2027-11-08"),
        // No midnight on this day: the clock goes from 23:59:59 to 01:00.
        ("America/Havana", "2027-03-14T04:59:59Z", "2027-03-13"),
        ("America/Havana", "2027-03-14T05:00:00Z", "2027-03-14"),
        // A whole day was left out when Samoa changed sides of the date line.
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"),
        // At midnight the clock went back to 23:00: the day had 25 hours.
        ("America/Sao_Paulo", "2018-02-18T01:59:59Z", "2018-02-17"),
        ("America/Sao_Paulo", "2018-02-18T02:00:00Z", "2018-02-17"),
        ("America/Sao_Paulo", "2018-02-18T03:00:00Z", "2018-02-18"),
    ] {
        let instant: DateTime<Utc> = instant.parse().expect("an instant");
        let shown = TimeZone::parse(zone).expect("a zone").day_of(instant).to_string();
        assert_eq!(shown, day, "{zone} at {instant}");
    }
}
