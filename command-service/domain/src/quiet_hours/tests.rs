//! The table of hours, places that contradict each other, and every day on which clocks change.

use chrono::TimeZone as _;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{
    fixtures::{instant, zone},
    from,
};

fn place(name: &str, region: &'static str) -> Place {
    Place { zone: zone(name), region: Region::Known(region) }
}

/// A local time as an instant: the first of two.
fn at(name: &str, local: &str) -> DateTime<Utc> {
    let local = chrono::NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M:%S").expect("a local time");
    zone(name).tz().from_local_datetime(&local).earliest().expect("a time that exists").to_utc()
}

/// Monday, 2026-11-23, to Sunday, 2026-11-29: the permitted hours of each day.
fn week_of(place: Place) -> Vec<(u32, u32)> {
    let policy = Policy::current();
    (23..=29)
        .map(|day| {
            let hours: Vec<u32> = (0..24)
                .filter(|hour| {
                    let local =
                        chrono::NaiveDate::from_ymd_opt(2026, 11, day).and_then(|day| day.and_hms_opt(*hour, 0, 0));
                    let local = place.zone.tz().from_local_datetime(&local.expect("an hour")).single();
                    policy.permits(&[place], local.expect("an hour that comes once").to_utc())
                })
                .collect();
            (hours[0], hours[hours.len() - 1] + 1)
        })
        .collect()
}

#[test]
fn the_table_of_hours_is_the_laws() {
    let eastern = "America/New_York";
    assert_eq!(week_of(place(eastern, "NY")), [(8, 21); 7]);
    assert_eq!(week_of(place("America/Toronto", "")), [(8, 21); 7]);
    for (name, region) in [(eastern, "FL"), ("America/Chicago", "OK"), ("America/Los_Angeles", "WA")] {
        assert_eq!(week_of(place(name, region)), [(8, 20); 7], "{region}");
    }
    let texas = [(9, 21), (9, 21), (9, 21), (9, 21), (9, 21), (9, 21), (12, 21)];
    assert_eq!(week_of(place("America/Chicago", "TX")), texas);
    // Any of them may hold.
    let unknown = Place { zone: zone(eastern), region: Region::Unknown };
    let strictest = [(9, 20), (9, 20), (9, 20), (9, 20), (9, 20), (9, 20), (12, 20)];
    assert_eq!(week_of(unknown), strictest);
}

#[test]
fn hours_begin_and_end_to_the_second() {
    let (policy, home) = (Policy::current(), [place("America/New_York", "NY")]);
    for (local, permitted) in [
        ("2026-11-23 07:59:59", false),
        ("2026-11-23 08:00:00", true),
        ("2026-11-23 20:59:59", true),
        ("2026-11-23 21:00:00", false),
        ("2026-11-23 21:01:00", false),
    ] {
        assert_eq!(policy.permits(&home, at("America/New_York", local)), permitted, "{local}");
    }
    let late = at("America/New_York", "2026-11-23 21:01:00");
    assert_eq!(policy.next(&home, late), Some(at("America/New_York", "2026-11-24 08:00:00")));
    let evening = at("America/New_York", "2026-11-23 20:59:10");
    assert_eq!(policy.open(&home, evening).map(|open| open.until), Some(at("America/New_York", "2026-11-23 21:00:00")));
    assert_eq!(policy.open(&home, late), None);
}

#[test]
fn without_a_place_it_has_to_be_permitted_wherever_one_may_be() {
    let policy = Policy::current();
    // On a weekday in winter: from 9:00 in Honolulu to 20:00 in San Juan.
    let opens = at("Pacific/Honolulu", "2026-11-23 09:00:00").max(at("America/Adak", "2026-11-23 09:00:00"));
    let closes = at("America/Puerto_Rico", "2026-11-23 20:00:00");
    assert!(opens < closes);
    assert_eq!(policy.next(&[], opens - TimeDelta::hours(3)), Some(opens));
    assert_eq!(policy.open(&[], opens).map(|open| open.until), Some(closes));
    for elsewhere in policy.zones {
        let known = [place(elsewhere, "")];
        assert!(policy.permits(&known, opens), "{elsewhere}");
    }
}

#[test]
fn where_home_and_number_differ_both_hours_have_to_permit() {
    let policy = Policy::current();
    let home = place("America/New_York", "NY");
    let all = places([home], "+12135550123");
    assert_eq!(all, [home, place("America/Los_Angeles", "CA")]);
    let morning = at("America/New_York", "2026-11-23 08:30:00");
    assert!(policy.permits(&[home], morning) && !policy.permits(&all, morning));
    assert_eq!(policy.next(&all, morning), Some(at("America/New_York", "2026-11-23 11:00:00")));
    // A number from Texas brings Texas's Sunday along.
    let all = places([place("America/Chicago", "IL")], "+12145550123");
    let sunday = at("America/Chicago", "2026-11-29 10:00:00");
    assert_eq!(policy.next(&all, sunday), Some(at("America/Chicago", "2026-11-29 12:00:00")));
}

#[test]
fn numbers_without_a_place_add_none() {
    for number in ["+18005550123", "+33612345678", "+1", "", "15145550123", "+1é5550"] {
        assert_eq!(places_of_number(number), [], "{number}");
    }
    // Part of Florida is an hour behind.
    let panhandle = places_of_number("+18505550123");
    assert_eq!(panhandle, [place("America/Chicago", "FL"), place("America/New_York", "FL")]);
}

#[test]
fn every_area_code_lies_in_zones_that_exist_and_is_named_once() {
    let mut seen = std::collections::BTreeSet::new();
    for area in AREAS {
        assert!(
            !area.zones.is_empty() && area.zones.iter().all(|zone| TimeZone::parse(zone).is_ok()),
            "{}",
            area.region
        );
        for code in area.codes {
            assert!((201..=989).contains(code) && seen.insert(*code), "{code}");
        }
    }
    assert!(seen.len() > 400);
    for policy in POLICIES {
        assert!(policy.zones.iter().all(|zone| TimeZone::parse(zone).is_ok()));
        assert_eq!(Policy::of(policy.version), Some(policy));
    }
    assert_eq!(Policy::of("us-1999"), None);
}

#[test]
fn places_that_share_no_hour_leave_none() {
    let apart = [place("Etc/GMT", "FL"), place("Etc/GMT+12", "FL")];
    assert_eq!(Policy::current().next(&apart, instant("2026-11-23T00:00:00Z")), None);
}

#[test]
fn an_addresses_region_is_read_or_counts_as_any() {
    let region = |region: &str, country: &str| {
        let address = json!({
            "street": "1 Main St", "city": "Springfield", "region": region, "postal_code": "1", "country": country
        });
        Region::of(&from(address), Policy::current())
    };
    assert_eq!(region("FL", "US"), Region::Known("FL"));
    assert_eq!(region("texas", "us"), Region::Known("TX"));
    assert_eq!(region("NY", "US"), Region::Known(""));
    assert_eq!(region("ny", "US"), Region::Known(""));
    // No state, so perhaps one that was mistyped.
    for mistyped in ["Fla.", "FI", "TZ", "XX", "AP", "-", "New Yrok"] {
        assert_eq!(region(mistyped, "US"), Region::Unknown, "{mistyped}");
    }
    assert_eq!((STATES.len(), Policy::current().regions.iter().all(|own| STATES.contains(&own.region))), (56, true));
    // Western Australia.
    assert_eq!(region("WA", "AU"), Region::Known(""));
    assert_eq!(region("QC", "CA"), Region::Known(""));
}

const ZONES: [&str; 12] = [
    "America/New_York",
    "America/Chicago",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Adak",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Pacific/Honolulu",
];

/// Every day on which a zone's clocks change within ten years, as its local midnight.
fn days_of_change(name: &str) -> Vec<chrono::NaiveDate> {
    let zone = zone(name);
    let first = chrono::NaiveDate::from_ymd_opt(2024, 1, 1).expect("a day");
    first
        .iter_days()
        .take(3_653)
        .filter(|day| zone.at_hour(*day + chrono::Days::new(1), 0) - zone.at_hour(*day, 0) != TimeDelta::days(1))
        .collect()
}

#[test]
fn on_days_on_which_clocks_change_the_next_instant_is_the_local_morning_and_comes_once() {
    let policy = Policy::current();
    let mut changes = 0;
    for name in ZONES {
        let home = [place(name, "")];
        for day in days_of_change(name) {
            changes += 1;
            let evening = zone(name).at_hour(day.pred_opt().expect("a day"), 22);
            let opens = policy.next(&home, evening).expect("a morning");
            assert_eq!(opens, zone(name).at_hour(day, 8), "{name} {day}");
            // From any minute of the night the same instant follows: two that wait do not wait for different ones.
            let mut minute = evening;
            while minute < opens {
                assert_eq!(policy.next(&home, minute), Some(opens), "{name} {minute}");
                minute += TimeDelta::minutes(7);
            }
            // Once reached it is permitted: nothing waits a second time.
            assert_eq!(policy.next(&home, opens), Some(opens));
        }
    }
    assert!(changes > 100, "{changes}");
}

fn region() -> impl Strategy<Value = Region> {
    prop_oneof![
        Just(Region::Unknown),
        proptest::sample::select(vec!["", "FL", "OK", "WA", "TX"]).prop_map(Region::Known)
    ]
}

fn anywhere() -> impl Strategy<Value = Place> {
    (proptest::sample::select(ZONES.to_vec()), region()).prop_map(|(name, region)| Place { zone: zone(name), region })
}

/// Seconds from 2020 to 2040.
const YEARS: std::ops::Range<i64> = 1_577_836_800..2_208_988_800;

proptest! {
    #[test]
    fn the_next_instant_is_permitted_and_none_before_it_is(
        places in proptest::collection::vec(anywhere(), 0..3),
        seconds in YEARS,
    ) {
        let policy = Policy::current();
        let from = DateTime::from_timestamp(seconds, 0).expect("an instant");
        let Some(next) = policy.next(&places, from) else {
            // Nothing in common: so it is at every hour of the week.
            for hour in 0..168 {
                prop_assert!(!policy.permits(&places, from + TimeDelta::hours(hour)));
            }
            return Ok(());
        };
        prop_assert!(policy.permits(&places, next));
        prop_assert!(next == from || !policy.permits(&places, next - TimeDelta::seconds(1)));
        let mut minute = from;
        while minute < next {
            prop_assert!(!policy.permits(&places, minute), "{minute}");
            minute += TimeDelta::minutes(1);
        }
        let open = policy.open(&places, next).expect("open");
        prop_assert!(!policy.permits(&places, open.until));
        prop_assert!(policy.permits(&places, open.until - TimeDelta::seconds(1)));
    }

    #[test]
    fn the_permitted_local_hours_are_within_the_federal_ones(place in anywhere(), seconds in YEARS) {
        let at = DateTime::from_timestamp(seconds, 0).expect("an instant");
        if Policy::current().permits(&[place], at) {
            let hour = at.with_timezone(&place.zone.tz()).hour();
            prop_assert!((8..21).contains(&hour));
        }
    }

    #[test]
    fn a_further_place_never_permits_more(
        places in proptest::collection::vec(anywhere(), 1..3),
        further in anywhere(),
        seconds in YEARS,
    ) {
        let at = DateTime::from_timestamp(seconds, 0).expect("an instant");
        let mut more = places.clone();
        more.push(further);
        prop_assert!(Policy::current().permits(&places, at) || !Policy::current().permits(&more, at));
    }
}
