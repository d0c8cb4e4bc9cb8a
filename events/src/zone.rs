//! IANA time zones, in which due dates are meant.

use chrono::{DateTime, MappedLocalTime, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An IANA time zone such as `America/New_York`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", example = "America/New_York")]
pub struct TimeZone(chrono_tz::Tz);

/// The text names no zone of the IANA database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such time zone; expected an IANA name such as America/New_York")]
pub struct UnknownTimeZone;

impl TimeZone {
    pub const UTC: Self = Self(chrono_tz::UTC);

    pub fn parse(text: &str) -> Result<Self, UnknownTimeZone> {
        text.trim().parse().map(Self).map_err(|_| UnknownTimeZone)
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The calendar day in this zone at an instant.
    pub fn day_of(self, instant: DateTime<Utc>) -> NaiveDate {
        instant.with_timezone(&self.0).date_naive()
    }

    /// The instant at which a full hour of a day begins here. Where clocks skip that hour, the first instant after the gap; where
    /// it comes twice, the first.
    pub fn at_hour(self, day: NaiveDate, hour: u8) -> DateTime<Utc> {
        let time = NaiveTime::from_hms_opt(u32::from(hour.min(23)), 0, 0).unwrap_or_default();
        let local = day.and_time(time);
        // No zone has skipped more than a day.
        (0..=96)
            .find_map(|quarter| match self.0.from_local_datetime(&(local + TimeDelta::minutes(15 * quarter))) {
                MappedLocalTime::Single(found) | MappedLocalTime::Ambiguous(found, _) => Some(found.to_utc()),
                MappedLocalTime::None => None,
            })
            .unwrap_or_else(|| local.and_utc())
    }

    pub const fn tz(self) -> chrono_tz::Tz {
        self.0
    }
}

impl TryFrom<String> for TimeZone {
    type Error = UnknownTimeZone;

    fn try_from(text: String) -> Result<Self, UnknownTimeZone> {
        Self::parse(&text)
    }
}

impl From<TimeZone> for String {
    fn from(zone: TimeZone) -> Self {
        zone.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(zone: &str, day: &str, hour: u8) -> String {
        let zone = TimeZone::parse(zone).expect("a zone");
        zone.at_hour(day.parse().expect("a day"), hour).to_rfc3339()
    }

    #[test]
    fn an_hour_begins_once_on_every_day() {
        assert_eq!(begins("America/New_York", "2026-12-01", 0), "2026-12-01T05:00:00+00:00");
        // Clocks go from 2:00 to 3:00.
        assert_eq!(begins("America/New_York", "2026-03-08", 2), "2026-03-08T07:00:00+00:00");
        // 1:00 comes twice.
        assert_eq!(begins("America/New_York", "2026-11-01", 1), "2026-11-01T05:00:00+00:00");
        // Midnight itself is skipped.
        assert_eq!(begins("America/Santiago", "2026-09-06", 0), "2026-09-06T04:00:00+00:00");
        // A whole day was skipped.
        assert_eq!(begins("Pacific/Apia", "2011-12-30", 0), "2011-12-30T10:00:00+00:00");
        assert_eq!(begins("America/New_York", "2028-02-29", 0), "2028-02-29T05:00:00+00:00");
    }
}
