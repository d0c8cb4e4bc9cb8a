//! Cursor pages, newest first.

use serde_json::{Value, json};

use super::errors::StripeError;
use super::params::Params;

pub(crate) const CURSOR: [&str; 4] = ["limit", "starting_after", "ending_before", "created"];
const DEFAULT_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 100;

/// `objects` come oldest first; ids sort by creation, so a cursor is a comparison.
pub(crate) fn page(
    params: &Params,
    url: &str,
    objects: impl DoubleEndedIterator<Item = Value>,
) -> Result<Value, StripeError> {
    let limit = params.integer("limit")?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(StripeError::invalid("Limit must be between 1 and 100").param("limit"));
    }
    let limit = usize::try_from(limit).unwrap_or(1);
    let created = Created::read(params)?;
    let id = |object: &Value| object["id"].as_str().unwrap_or_default().to_owned();
    let matching = objects.filter(|object| created.admits(object["created"].as_i64().unwrap_or(0)));
    let (data, has_more) = if let Some(cursor) = params.text("ending_before") {
        let mut newer: Vec<Value> = matching.filter(|object| id(object).as_str() > cursor).take(limit + 1).collect();
        let more = newer.len() > limit;
        newer.truncate(limit);
        newer.reverse();
        (newer, more)
    } else {
        let cursor = params.text("starting_after");
        let mut older: Vec<Value> = matching
            .rev()
            .filter(|object| cursor.is_none_or(|cursor| id(object).as_str() < cursor))
            .take(limit + 1)
            .collect();
        let more = older.len() > limit;
        older.truncate(limit);
        (older, more)
    };
    Ok(json!({"object": "list", "data": data, "has_more": has_more, "url": url}))
}

#[derive(Default)]
pub(crate) struct Created {
    from: Option<i64>,
    until: Option<i64>,
}

impl Created {
    pub fn read(params: &Params) -> Result<Self, StripeError> {
        let Some(given) = params.0.get("created") else {
            return Ok(Self::default());
        };
        if given.is_string() {
            let exact = params.integer("created")?;
            return Ok(Self { from: exact, until: exact });
        }
        let inner = Params(given.clone());
        inner.allow(&["gt", "gte", "lt", "lte"])?;
        let above = inner.integer("gt")?.map(|second| second.saturating_add(1));
        let below = inner.integer("lt")?.map(|second| second.saturating_sub(1));
        Ok(Self {
            from: inner.integer("gte")?.max(above),
            until: match (inner.integer("lte")?, below) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        })
    }

    pub fn admits(&self, second: i64) -> bool {
        self.from.is_none_or(|from| second >= from) && self.until.is_none_or(|until| second <= until)
    }
}
