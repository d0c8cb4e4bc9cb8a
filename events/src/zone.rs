//! IANA time zones, in which due dates are meant.

use chrono::{DateTime, NaiveDate, Utc};
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
