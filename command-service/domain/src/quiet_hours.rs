//! Quiet hours: at which instants a person may be texted, by policy data, and the next such instant.
//!
//! The limits are facts about the law as of their version (47 CFR 64.1200(c)(1) and the states' own), no legal advice. A text records
//! the version under which it was sent or kept.

mod area_codes;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc, Weekday};
use events::{TimeZone, address::PostalAddress};
use serde::Serialize;

use area_codes::AREAS;

/// Permitted hours of one day: from the first full hour up to, not including, the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hours {
    pub from: u8,
    pub until: u8,
}

impl Hours {
    pub const fn new(from: u8, until: u8) -> Self {
        Self { from, until }
    }

    const fn hold(self, hour: u32) -> bool {
        self.from as u32 <= hour && hour < self.until as u32
    }
}

/// Permitted hours of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Week {
    pub monday_to_saturday: Hours,
    pub sunday: Hours,
}

impl Week {
    pub const fn daily(hours: Hours) -> Self {
        Self { monday_to_saturday: hours, sunday: hours }
    }

    const fn on(self, day: Weekday) -> Hours {
        match day {
            Weekday::Sun => self.sunday,
            Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu | Weekday::Fri | Weekday::Sat => {
                self.monday_to_saturday
            }
        }
    }
}

/// A region's own, narrower hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Regional {
    /// Two letters, as the post writes them.
    pub region: &'static str,
    /// As people write it out.
    pub name: &'static str,
    pub week: Week,
}

/// One version of the hours. A version is never edited: texts name the one they stood on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Policy {
    pub version: &'static str,
    /// Federal hours, in the recipient's local time; they hold wherever no region narrows them.
    pub everywhere: Week,
    pub regions: &'static [Regional],
    /// Every zone in which somebody may be whose place is not known.
    pub zones: &'static [&'static str],
}

/// Every version there has been, the newest last.
pub const POLICIES: &[Policy] = &[Policy {
    version: "us-2026-11",
    everywhere: Week::daily(Hours::new(8, 21)),
    regions: &[
        Regional { region: "FL", name: "Florida", week: Week::daily(Hours::new(8, 20)) },
        Regional { region: "OK", name: "Oklahoma", week: Week::daily(Hours::new(8, 20)) },
        Regional { region: "WA", name: "Washington", week: Week::daily(Hours::new(8, 20)) },
        Regional {
            region: "TX",
            name: "Texas",
            week: Week { monday_to_saturday: Hours::new(9, 21), sunday: Hours::new(12, 21) },
        },
    ],
    zones: &[
        "America/Puerto_Rico",
        "America/New_York",
        "America/Chicago",
        "America/Denver",
        "America/Phoenix",
        "America/Los_Angeles",
        "America/Anchorage",
        "America/Adak",
        "Pacific/Honolulu",
    ],
}];

/// Which region's hours hold at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// A region with hours of its own, by its two letters, or any other.
    Known(&'static str),
    /// It may be any of the policy's regions.
    Unknown,
}

/// Where a recipient may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub zone: TimeZone,
    pub region: Region,
}

/// A permitted time that an instant lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// The first instant at which texting is not permitted any more.
    pub until: DateTime<Utc>,
}

/// Permission changes at quarters of an hour only: hours are full, and so far every zone's offset is a multiple of a quarter.
const STEP: TimeDelta = TimeDelta::minutes(15);
/// Hours that leave nothing for this long leave nothing at all.
const HORIZON: TimeDelta = TimeDelta::days(15);

impl Policy {
    /// What holds now.
    pub const fn current() -> &'static Self {
        let [.., newest] = POLICIES else { return &NOTHING };
        newest
    }

    /// What held under a version.
    pub fn of(version: &str) -> Option<&'static Self> {
        POLICIES.iter().find(|policy| policy.version == version)
    }

    /// Whether somebody who may be at any of these places may be texted now: at all of them it has to be permitted. Without any place
    /// it has to be permitted wherever one may be.
    pub fn permits(&self, places: &[Place], at: DateTime<Utc>) -> bool {
        if !places.is_empty() {
            return places.iter().all(|place| self.permits_at(*place, at));
        }
        self.zones.iter().all(|zone| {
            let zone = TimeZone::parse(zone).unwrap_or(TimeZone::UTC);
            self.permits_at(Place { zone, region: Region::Unknown }, at)
        })
    }

    fn permits_at(&self, place: Place, at: DateTime<Utc>) -> bool {
        let local = at.with_timezone(&place.zone.tz());
        let permitted = |week: &Week| week.on(local.weekday()).hold(local.hour());
        permitted(&self.everywhere)
            && self.regions.iter().all(|regional| match place.region {
                Region::Known(known) if known != regional.region => true,
                Region::Known(_) | Region::Unknown => permitted(&regional.week),
            })
    }

    /// The first instant from `from` on at which it is permitted; none where the places leave no common hour.
    pub fn next(&self, places: &[Place], from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.first(places, from, true)
    }

    /// Until when it stays permitted; none where it is not permitted now.
    pub fn open(&self, places: &[Place], at: DateTime<Utc>) -> Option<Open> {
        self.permits(places, at).then(|| Open { until: self.first(places, at, false).unwrap_or(at + HORIZON) })
    }

    fn first(&self, places: &[Place], from: DateTime<Utc>, permitted: bool) -> Option<DateTime<Utc>> {
        let mut at = from;
        while at < from + HORIZON {
            if self.permits(places, at) == permitted {
                return Some(at);
            }
            let quarter = at.timestamp().div_euclid(STEP.num_seconds()) * STEP.num_seconds();
            at = DateTime::from_timestamp(quarter, 0)? + STEP;
        }
        None
    }
}

/// The states and territories as the post writes them. The military's (AA, AE, AP) are no places: whoever has one may be anywhere.
const STATES: &[&str] = &[
    "AK", "AL", "AR", "AS", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "GU", "HI", "IA", "ID", "IL", "IN", "KS",
    "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MO", "MP", "MS", "MT", "NC", "ND", "NE", "NH", "NJ", "NM", "NV", "NY",
    "OH", "OK", "OR", "PA", "PR", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VI", "VT", "WA", "WI", "WV", "WY",
];

/// Stands in for an empty list of policies, and permits nothing.
const NOTHING: Policy = Policy { version: "none", everywhere: Week::daily(Hours::new(0, 0)), regions: &[], zones: &[] };

impl Region {
    /// The region of an address. Abroad no region of the policy holds; what cannot be read may be any.
    pub fn of(address: &PostalAddress, policy: &Policy) -> Self {
        if !address.country.as_str().eq_ignore_ascii_case("US") {
            return Self::Known("");
        }
        let written = address.region.as_str().trim();
        let own = policy
            .regions
            .iter()
            .find(|own| own.region.eq_ignore_ascii_case(written) || own.name.eq_ignore_ascii_case(written));
        match own {
            Some(own) => Self::Known(own.region),
            None if STATES.iter().any(|state| state.eq_ignore_ascii_case(written)) => Self::Known(""),
            None => Self::Unknown,
        }
    }
}

impl Place {
    pub fn of(address: &PostalAddress, zone: TimeZone, policy: &Policy) -> Self {
        Self { zone, region: Region::of(address, policy) }
    }
}

/// An area code's or several's place.
struct Area {
    region: &'static str,
    zones: &'static [&'static str],
    codes: &'static [u16],
}

/// Where a telephone number (E.164) was given out: in which zones it may be. Nowhere in particular for numbers from elsewhere, and for
/// those without a place.
pub fn places_of_number(number: &str) -> Vec<Place> {
    let code = number.strip_prefix("+1").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
    let area = code.and_then(|code| AREAS.iter().find(|area| area.codes.contains(&code)));
    let Some(area) = area else { return Vec::new() };
    let zones = area.zones.iter().filter_map(|zone| TimeZone::parse(zone).ok());
    zones.map(|zone| Place { zone, region: Region::Known(area.region) }).collect()
}

/// Everywhere that a recipient may be: where the homes stand, and where the number was given out. Where these differ, all count.
pub fn places(homes: impl IntoIterator<Item = Place>, number: &str) -> Vec<Place> {
    let mut all: Vec<Place> = Vec::new();
    for place in homes.into_iter().chain(places_of_number(number)) {
        if !all.contains(&place) {
            all.push(place);
        }
    }
    all
}

#[cfg(test)]
mod tests;
