//! A checker for exactly the JSON Schema keywords that the event types give rise to; any other keyword is an error.
//!
//! Of the published validators `jsonschema` switches on `serde_json/float_roundtrip`, so that `cargo test` would build half the
//! workspace again, and it and `boon` bring a licence that `deny.toml` does not list (MIT-0). Refusing unknown keywords keeps
//! this one honest: nothing in a schema goes unread.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate};
use serde_json::{Map, Value};
use uuid::Uuid;

const ANNOTATIONS: [&str; 7] = ["$schema", "$id", "$defs", "title", "description", "default", "examples"];

/// A schema, and the properties in it that checked values have used.
#[derive(Debug)]
pub struct Checker<'a> {
    root: &'a Value,
    seen: BTreeSet<String>,
}

impl<'a> Checker<'a> {
    pub const fn new(root: &'a Value) -> Self {
        Self { root, seen: BTreeSet::new() }
    }

    pub fn check(&mut self, value: &Value) -> Result<(), String> {
        self.at(value, self.root, "#")
    }

    /// The properties that checked values have used.
    pub const fn used(&self) -> &BTreeSet<String> {
        &self.seen
    }

    /// The properties that no checked value has used.
    pub fn unused(&self) -> Vec<String> {
        let mut places = BTreeSet::new();
        walk(self.root, "#", &mut places);
        places.difference(&self.seen).cloned().collect()
    }

    fn at(&mut self, value: &Value, schema: &'a Value, place: &str) -> Result<(), String> {
        let schema = schema.as_object().ok_or_else(|| format!("{place} is no object"))?;
        for (keyword, wanted) in schema {
            let holds = match keyword.as_str() {
                "$ref" => {
                    let target = wanted.as_str().ok_or("a $ref is text")?;
                    let found = self.root.pointer(target.trim_start_matches('#'));
                    self.at(value, found.ok_or_else(|| format!("{target} is missing"))?, target)?;
                    true
                }
                "type" => match wanted {
                    Value::Array(types) => types.iter().any(|wanted| is(value, wanted)),
                    wanted => is(value, wanted),
                },
                "const" => value == wanted,
                "enum" => wanted.as_array().is_some_and(|words| words.contains(value)),
                "format" => format_holds(value, wanted.as_str().unwrap_or_default()),
                "minimum" => at_least(value, wanted),
                "maximum" => at_least(wanted, value),
                "minLength" => length(value).is_none_or(|length| Some(length) >= wanted.as_u64()),
                "maxLength" => length(value).is_none_or(|length| Some(length) <= wanted.as_u64()),
                "maxItems" => value.as_array().is_none_or(|list| Some(list.len() as u64) <= wanted.as_u64()),
                "required" => {
                    let names = wanted.as_array().into_iter().flatten().filter_map(Value::as_str);
                    value.as_object().is_none_or(|object| names.into_iter().all(|name| object.contains_key(name)))
                }
                "additionalProperties" if *wanted == Value::Bool(false) => {
                    let known = schema.get("properties").and_then(Value::as_object);
                    value.as_object().is_none_or(|object| {
                        object.keys().all(|name| known.is_some_and(|known| known.contains_key(name)))
                    })
                }
                "properties" => {
                    for (name, inner) in wanted.as_object().into_iter().flatten() {
                        if let Some(value) = value.get(name) {
                            let place = format!("{place}/properties/{name}");
                            self.at(value, inner, &place)?;
                            self.seen.insert(place);
                        }
                    }
                    true
                }
                "items" => {
                    for value in value.as_array().into_iter().flatten() {
                        self.at(value, wanted, &format!("{place}/items"))?;
                    }
                    true
                }
                "oneOf" => self.matching(value, wanted, &format!("{place}/oneOf")) == 1,
                "anyOf" => self.matching(value, wanted, &format!("{place}/anyOf")) >= 1,
                known if ANNOTATIONS.contains(&known) => true,
                unknown => return Err(format!("{place} has the keyword {unknown}, which this checker does not know")),
            };
            if !holds {
                return Err(format!("{value} breaks {keyword}: {wanted} at {place}"));
            }
        }
        Ok(())
    }

    /// How many alternatives hold; what a failing one touched does not count as used.
    fn matching(&mut self, value: &Value, alternatives: &'a Value, place: &str) -> usize {
        let mut count = 0;
        for (index, schema) in alternatives.as_array().into_iter().flatten().enumerate() {
            let before = self.seen.clone();
            if self.at(value, schema, &format!("{place}/{index}")).is_ok() {
                count += 1;
            } else {
                self.seen = before;
            }
        }
        count
    }
}

fn walk(schema: &Value, place: &str, places: &mut BTreeSet<String>) {
    let members = |keyword| schema.get(keyword).and_then(Value::as_object).into_iter().flat_map(Map::iter);
    for (name, inner) in members("properties") {
        let place = format!("{place}/properties/{name}");
        walk(inner, &place, places);
        places.insert(place);
    }
    for (name, definition) in members("$defs") {
        walk(definition, &format!("#/$defs/{name}"), places);
    }
    for keyword in ["oneOf", "anyOf"] {
        for (index, inner) in schema.get(keyword).and_then(Value::as_array).into_iter().flatten().enumerate() {
            walk(inner, &format!("{place}/{keyword}/{index}"), places);
        }
    }
    if let Some(items) = schema.get("items") {
        walk(items, &format!("{place}/items"), places);
    }
}

fn is(value: &Value, wanted: &Value) -> bool {
    match wanted.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}

fn format_holds(value: &Value, format: &str) -> bool {
    let within = |max: u64| value.is_null() || value.as_u64().is_some_and(|number| number <= max);
    let text = value.as_str();
    match format {
        "uuid" => text.is_none_or(|text| Uuid::parse_str(text).is_ok()),
        "date" => text.is_none_or(|text| text.parse::<NaiveDate>().is_ok()),
        "date-time" => text.is_none_or(|text| DateTime::parse_from_rfc3339(text).is_ok()),
        "uri" => text.is_none_or(|text| text.starts_with("https://") || text.starts_with("http://")),
        "uint" => within(u64::MAX),
        "int64" => value.is_null() || value.is_i64(),
        "uint8" => within(u8::MAX.into()),
        "uint16" => within(u16::MAX.into()),
        "uint32" => within(u32::MAX.into()),
        _ => false,
    }
}

fn at_least(value: &Value, bound: &Value) -> bool {
    match (value.as_i64(), bound.as_i64()) {
        (Some(value), Some(bound)) => value >= bound,
        _ => true,
    }
}

fn length(value: &Value) -> Option<u64> {
    u64::try_from(value.as_str()?.chars().count()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_keyword_refuses_what_breaks_it() {
        for (schema, good, bad) in [
            (json!({ "type": ["integer", "null"] }), json!(null), json!("1")),
            (json!({ "type": "integer" }), json!(1), json!(1.5)),
            (json!({ "const": "A" }), json!("A"), json!("B")),
            (json!({ "enum": ["A", "B"] }), json!("B"), json!("C")),
            (json!({ "format": "uuid" }), json!("0192f3c4-0010-7a01-8b1e-4d5c6f7a0001"), json!("0192")),
            (json!({ "format": "date" }), json!("2027-02-28"), json!("2027-02-29")),
            (json!({ "format": "date-time" }), json!("2027-02-28T10:00:00Z"), json!("2027-02-28")),
            (json!({ "format": "uri" }), json!("https://example.com/"), json!("example.com")),
            (json!({ "format": "uint" }), json!(0), json!(-1)),
            (json!({ "format": "uint8" }), json!(255), json!(256)),
            (json!({ "minimum": -1, "maximum": 1 }), json!(1), json!(2)),
            (json!({ "minimum": -1, "maximum": 1 }), json!(-1), json!(-2)),
            (json!({ "minLength": 2, "maxLength": 2 }), json!("éé"), json!("é")),
            (json!({ "maxItems": 1 }), json!([1]), json!([1, 2])),
            (json!({ "required": ["a"] }), json!({ "a": 1 }), json!({ "b": 1 })),
            (json!({ "properties": { "a": {} }, "additionalProperties": false }), json!({}), json!({ "b": 1 })),
            (json!({ "properties": { "a": { "type": "string" } } }), json!({ "a": "" }), json!({ "a": 1 })),
            (json!({ "items": { "type": "string" } }), json!(["a"]), json!(["a", 1])),
            (json!({ "oneOf": [{ "type": "string" }, { "const": "A" }] }), json!("B"), json!("A")),
            (json!({ "anyOf": [{ "type": "string" }, { "const": "A" }] }), json!("A"), json!(1)),
            (json!({ "$ref": "#/$defs/A", "$defs": { "A": { "const": 1 } } }), json!(1), json!(2)),
        ] {
            assert_eq!(Checker::new(&schema).check(&good), Ok(()), "{schema}");
            assert!(Checker::new(&schema).check(&bad).is_err(), "{schema} let {bad} pass");
        }
        let unknown = json!({ "patternProperties": {} });
        assert!(Checker::new(&unknown).check(&json!({})).is_err(), "an unknown keyword is no permission");
    }

    #[test]
    fn unused_places_are_told() {
        let schema = json!({ "oneOf": [{ "properties": { "a": {} }, "required": ["a"] }, { "properties": { "b": {} }, "required": ["b"] }] });
        let mut checker = Checker::new(&schema);
        assert_eq!(checker.check(&json!({ "b": 1 })), Ok(()));
        assert_eq!(checker.unused(), ["#/oneOf/0/properties/a"]);
    }
}
