//! The query string, checked against what the operation declares: whatever is unknown, doubled or unreadable is refused by name.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use edge::Problem;
use poem::{Request, http::header};
use projections::Paging;
use serde_json::json;
use uuid::Uuid;

use crate::{
    cursor::fingerprint,
    feed::Aggregate,
    operation::{Filter, Kind, Operation},
};

/// Rows in a page unless asked otherwise.
pub const DEFAULT_LIMIT: u32 = 50;
/// Rows in a page at most.
pub const MAX_LIMIT: u32 = Paging::MOST;
const MAX_TEXT: usize = 200;
const MAX_TYPES: usize = 4000;

/// How the list is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
}

/// What was asked.
#[derive(Debug, Clone)]
pub struct Parameters {
    pub limit: u32,
    /// As it came: whether it is one can only be told beside the database's incarnation.
    pub cursor: Option<String>,
    /// One of the operation's sorts.
    pub sort: &'static str,
    pub format: Format,
    pub filters: Vec<(Filter, String)>,
    /// The fingerprint that a cursor of this list must have.
    pub question: u64,
}

impl Parameters {
    /// Reads a request's query.
    pub fn read(operation: &Operation, request: &Request) -> Result<Self, Problem> {
        let accept = request.header(header::ACCEPT);
        Self::parse(operation, request.uri().query().unwrap_or_default(), accept)
    }

    fn parse(operation: &Operation, query: &str, accept: Option<&str>) -> Result<Self, Problem> {
        let mut found = Self {
            limit: DEFAULT_LIMIT,
            cursor: None,
            sort: operation.sorts.first().copied().unwrap_or_default(),
            format: if operation.is_list() && accept.is_some_and(prefers_csv) { Format::Csv } else { Format::Json },
            filters: Vec::new(),
            question: 0,
        };
        let mut seen: Vec<String> = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(name).ok_or_else(|| Problem::malformed("a query parameter's name is not UTF-8"))?;
            let value = decode(value).ok_or_else(|| {
                Problem::malformed(format!("the value of `{name}` is not UTF-8")).with("parameter", json!(name))
            })?;
            if seen.contains(&name) {
                return Err(refused(&name, "is given twice"));
            }
            found.take(operation, &name, value)?;
            seen.push(name);
        }
        found.filters.sort_by_key(|(filter, _)| filter.name);
        found.question = fingerprint(
            [operation.path, found.sort]
                .into_iter()
                .chain(found.filters.iter().flat_map(|(filter, value)| [filter.name, value.as_str()])),
        );
        Ok(found)
    }

    /// The filter's text, which has passed its check.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(filter, _)| filter.name == name).map(|(_, value)| value.as_str())
    }

    /// The filter's value.
    pub fn value<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// The sort's name without its direction, and whether it is descending.
    pub fn order(&self) -> (&'static str, bool) {
        self.sort.strip_prefix('-').map_or((self.sort, false), |name| (name, true))
    }

    fn take(&mut self, operation: &Operation, name: &str, value: String) -> Result<(), Problem> {
        if let Some(filter) = operation.filters.iter().find(|filter| filter.name == name) {
            check(filter, &value).map_err(|why| refused(name, &why))?;
            self.filters.push((*filter, value));
            return Ok(());
        }
        match name {
            "limit" if operation.is_list() => {
                self.limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                    .ok_or_else(|| refused(name, &format!("must be a whole number from 1 to {MAX_LIMIT}")))?;
            }
            "cursor" if operation.is_list() => self.cursor = Some(value),
            "sort" if operation.is_list() => self.sort = sort(operation, &value)?,
            "format" if operation.is_list() => {
                self.format = match value.as_str() {
                    "json" => Format::Json,
                    "csv" => Format::Csv,
                    _ => return Err(refused(name, "must be `json` or `csv`")),
                };
            }
            _ => return Err(unknown(operation, name)),
        }
        Ok(())
    }
}

fn sort(operation: &Operation, value: &str) -> Result<&'static str, Problem> {
    operation
        .sorts
        .iter()
        .find(|sort| **sort == value)
        .copied()
        .ok_or_else(|| refused("sort", &format!("must be one of {}", operation.sorts.join(", "))))
}

fn check(filter: &Filter, value: &str) -> Result<(), String> {
    let fits = match filter.kind {
        Kind::Id => value.parse::<Uuid>().is_ok(),
        Kind::Text => !value.trim().is_empty() && value.chars().count() <= MAX_TEXT && !value.contains('\0'),
        // The years that PostgreSQL and ISO 8601 write alike.
        Kind::Date => {
            value.len() == 10 && value.parse::<NaiveDate>().is_ok_and(|date| (1..=9999).contains(&date.year()))
        }
        Kind::Time => value.parse::<DateTime<Utc>>().is_ok_and(|time| (1..=9999).contains(&time.year())),
        Kind::Flag => ["true", "false"].contains(&value),
        Kind::Number => number(value),
        Kind::Cursor => value == "head" || number(value),
        // Whether they are known is told apart.
        Kind::Types => !value.trim().is_empty() && value.len() <= MAX_TYPES,
        Kind::Aggregate => Aggregate::parse(value).is_some(),
        Kind::Choice(choices) => choices.contains(&value),
    };
    if fits {
        return Ok(());
    }
    Err(match filter.kind {
        Kind::Id => "must be a UUID".to_owned(),
        Kind::Text => format!("must be a text of 1 to {MAX_TEXT} characters"),
        Kind::Date => "must be a date such as 2026-01-31".to_owned(),
        Kind::Time => "must be a time such as 2026-01-31T12:00:00Z".to_owned(),
        Kind::Flag => "must be `true` or `false`".to_owned(),
        Kind::Number => "must be a whole number from 0".to_owned(),
        Kind::Cursor => "must be a position, a whole number from 0, or `head`".to_owned(),
        Kind::Types => format!("must be types separated by commas, at most {MAX_TYPES} bytes"),
        Kind::Aggregate => "must be a kind of aggregate such as `invoice`, or one such as `invoice/…`".to_owned(),
        Kind::Choice(choices) => format!("must be one of {}", choices.join(", ")),
    })
}

/// As we write it ourselves: digits alone.
fn number(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit()) && value.parse::<i64>().is_ok()
}

pub fn refused(name: &str, why: &str) -> Problem {
    Problem::invalid("invalid-parameter", format!("`{name}` {why}")).with("parameter", json!(name))
}

fn unknown(operation: &Operation, name: &str) -> Problem {
    let common: &[&str] = if operation.is_list() { &["limit", "cursor", "sort", "format"] } else { &[] };
    let known: Vec<&str> = common.iter().copied().chain(operation.filters.iter().map(|filter| filter.name)).collect();
    let detail = if known.is_empty() {
        format!("`{name}` is not known here; this query takes no parameters")
    } else {
        format!("`{name}` is not known here; there are {}", known.join(", "))
    };
    Problem::invalid("unknown-parameter", detail).with("parameter", json!(name))
}

fn prefers_csv(accept: &str) -> bool {
    accept.split(',').next().is_some_and(|first| first.split(';').next().is_some_and(|kind| kind.trim() == "text/csv"))
}

/// Strict where the usual decoders replace what they cannot read.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoice::LIST;

    fn refusal(query: &str) -> (u16, String) {
        let problem = Parameters::parse(&LIST, query, None).expect_err(query);
        (problem.status(), problem.to_string())
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        let (status, text) = refusal("colour=red");
        assert_eq!(status, 422);
        assert!(text.contains("`colour`"), "{text}");
    }

    #[test]
    fn bad_values_are_refused_by_their_parameters_name() {
        for (query, name) in [
            ("limit=0", "limit"),
            ("limit=501", "limit"),
            ("limit=-1", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("limit=", "limit"),
            ("limit=1&limit=1", "limit"),
            ("sort=colour", "sort"),
            ("sort=due_on,-total", "sort"),
            ("sort=", "sort"),
            ("format=xml", "format"),
            ("status=Openly", "status"),
            ("property_id=1", "property_id"),
            ("search=%00", "search"),
            ("due_from=99999-01-01", "due_from"),
            ("due_from=-999-01-01", "due_from"),
        ] {
            let (status, text) = refusal(query);
            assert_eq!(status, 422, "{query}");
            assert!(text.contains(&format!("`{name}`")), "{query}: {text}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_malformed() {
        for query in ["search=%ff", "%ff=1", "search=%2", "search=%zz"] {
            assert_eq!(refusal(query).0, 400, "{query}");
        }
    }

    #[test]
    fn a_sort_has_a_direction() -> Result<(), Problem> {
        assert_eq!(Parameters::parse(&LIST, "sort=-total", None)?.order(), ("total", true));
        assert_eq!(Parameters::parse(&LIST, "", None)?.order(), ("due_on", false));
        Ok(())
    }

    #[test]
    fn the_question_is_the_same_in_any_order_of_its_filters() -> Result<(), Problem> {
        let question = |query| Ok::<_, Problem>(Parameters::parse(&LIST, query, None)?.question);
        assert_eq!(question("status=Open&search=a")?, question("search=a&status=Open&limit=3")?);
        assert_ne!(question("status=Open")?, question("status=Paid")?);
        assert_ne!(question("sort=-total")?, question("sort=total")?);
        Ok(())
    }

    #[test]
    fn csv_is_asked_for_by_header_or_parameter() -> Result<(), Problem> {
        assert_eq!(Parameters::parse(&LIST, "", Some("text/csv;q=1, */*"))?.format, Format::Csv);
        assert_eq!(Parameters::parse(&LIST, "format=csv", Some("application/json"))?.format, Format::Csv);
        assert_eq!(Parameters::parse(&LIST, "", Some("*/*"))?.format, Format::Json);
        Ok(())
    }
}
