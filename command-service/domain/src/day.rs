//! Days and instants as commands may name them: a year that no calendar of ours has would reach every read model and stall it.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use events::property::SurchargePolicy;
use serde::{Deserialize, Deserializer, de::Error};

const YEARS: RangeInclusive<i32> = 1900..=2200;
const WHY: &str = "the year must be between 1900 and 2200";

/// A day of our calendars.
pub fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDate, D::Error> {
    let day = NaiveDate::deserialize(deserializer)?;
    if YEARS.contains(&day.year()) { Ok(day) } else { Err(D::Error::custom(WHY)) }
}

/// The same for an instant.
pub fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let instant = DateTime::<Utc>::deserialize(deserializer)?;
    if YEARS.contains(&instant.year()) { Ok(instant) } else { Err(D::Error::custom(WHY)) }
}

/// The same for the days of a policy.
pub fn surcharges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SurchargePolicy, D::Error> {
    let policy = SurchargePolicy::deserialize(deserializer)?;
    let known = |day: NaiveDate| YEARS.contains(&day.year());
    if policy.forbidden.iter().all(|ban| known(ban.from) && ban.until.is_none_or(known)) {
        Ok(policy)
    } else {
        Err(D::Error::custom(WHY))
    }
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, SchemaGenerator};
    use serde_json::{Value, json};

    use crate::{Command, Visitor, visit_commands};

    /// Replaces every day, and every instant, of a command's example; returns how many there were.
    fn replace(value: &mut Value, day: &str) -> usize {
        match value {
            Value::String(text) if text.parse::<chrono::NaiveDate>().is_ok() => {
                day.clone_into(text);
                1
            }
            Value::String(text) if text.parse::<chrono::DateTime<chrono::Utc>>().is_ok() => {
                *text = format!("{day}T12:00:00Z");
                1
            }
            Value::Array(values) => values.iter_mut().map(|value| replace(value, day)).sum(),
            Value::Object(fields) => fields.values_mut().map(|value| replace(value, day)).sum(),
            _ => 0,
        }
    }

    #[derive(Default)]
    struct Walk {
        dated: Vec<&'static str>,
        wrong: Vec<String>,
    }

    impl Visitor for Walk {
        fn command<C: Command>(&mut self) {
            let mut body = C::example();
            if replace(&mut body, "2026-06-01") == 0 {
                let schema = json!(<C as JsonSchema>::json_schema(&mut SchemaGenerator::default())).to_string();
                // Every day that people can name is in an example, and so is checked here.
                if !body.is_null() && schema.contains("\"format\":\"date") {
                    self.wrong.push(format!("{} shows no day in its example", C::NAME));
                }
                return;
            }
            self.dated.push(C::NAME);
            for (day, good) in [
                ("1900-01-01", true),
                ("2200-12-31", true),
                ("0000-01-01", false),
                ("1899-12-31", false),
                ("2201-01-01", false),
                ("-0044-03-15", false),
                ("+12345-01-01", false),
            ] {
                let mut body = C::example();
                replace(&mut body, day);
                if serde_json::from_value::<C>(body).is_ok() != good {
                    self.wrong.push(format!("{} with {day}", C::NAME));
                }
            }
        }
    }

    #[test]
    fn no_command_takes_a_day_that_no_calendar_of_ours_has() {
        let mut walk = Walk::default();
        visit_commands(&mut walk);
        assert_eq!(walk.wrong, Vec::<String>::new());
        for name in ["RecordOfflinePayment", "RegisterResident", "MoveResidentOut", "DraftInvoice", "EditInvoice"] {
            assert!(walk.dated.contains(&name), "{name}");
        }
    }
}
