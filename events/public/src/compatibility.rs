//! What may change in a published version, and what needs a new one.

use serde_json::Value;

/// How a schema breaks what was promised; empty when readers of the old one can read the new.
///
/// A published type may gain fields and words of a list. It may not lose a field, change a field's kind, or demand one that was
/// optional; and a field that was always there stays so.
pub fn breaks(published: &Value, wanted: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("data", published, wanted, &mut found);
    found
}

fn compare(path: &str, published: &Value, wanted: &Value, found: &mut Vec<String>) {
    for keyword in ["type", "format", "const"] {
        if published.get(keyword) != wanted.get(keyword) {
            found.push(format!(
                "{path} was {} {} and would be {}",
                keyword,
                shown(published.get(keyword)),
                shown(wanted.get(keyword))
            ));
        }
    }
    let (before, after) = (names(published), names(wanted));
    let known = |schema: &Value, name: &str| schema["properties"].get(name).is_some();
    for name in before.iter().filter(|name| !after.contains(name) && known(wanted, name)) {
        found.push(format!("{path}.{name} was always there and would be optional"));
    }
    for name in after.iter().filter(|name| !before.contains(name)) {
        found.push(format!("{path}.{name} would be required and was not"));
    }
    for (name, old) in published["properties"].as_object().into_iter().flatten() {
        match wanted["properties"].get(name) {
            Some(new) => compare(&format!("{path}.{name}"), old, new, found),
            None => found.push(format!("{path}.{name} would be gone")),
        }
    }
    match (published.get("items"), wanted.get("items")) {
        (Some(old), Some(new)) => compare(&format!("{path}[]"), old, new, found),
        (None, None) => {}
        _ => found.push(format!("{path} would hold other items")),
    }
    let (old, new) = (words(published), words(wanted));
    found.extend(
        old.iter().filter(|word| !new.contains(word)).map(|word| format!("{path} would not know {word} any more")),
    );
    if old.is_empty() && !new.is_empty() {
        found.push(format!("{path} would be bound to a list of words"));
    }
}

fn names(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The words of a list: `enum`, or one `const` per alternative where each has a meaning of its own.
fn words(schema: &Value) -> Vec<String> {
    let listed = schema["enum"].as_array().into_iter().flatten().cloned();
    let alternatives = ["oneOf", "anyOf"].into_iter().filter_map(|name| schema[name].as_array()).flatten();
    let alternatives = alternatives.flat_map(|one| {
        one.get("const").cloned().into_iter().chain(one["enum"].as_array().into_iter().flatten().cloned())
    });
    listed.chain(alternatives).map(|word| word.to_string()).collect()
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["id", "kind", "lines"],
            "properties": {
                "id": { "type": "string", "format": "uuid" },
                "kind": { "oneOf": [{ "type": "string", "const": "A" }, { "type": "string", "enum": ["B", "C"] }] },
                "lines": { "type": "array", "items": { "type": "object", "properties": { "amount": { "type": "integer" } } } },
                "note": { "type": "string" },
            },
        })
    }

    fn changed(pointer: &str, value: Value) -> Vec<String> {
        let mut wanted = schema();
        *wanted.pointer_mut(pointer).expect("a place") = value;
        breaks(&schema(), &wanted)
    }

    #[test]
    fn fields_and_words_may_be_added_and_texts_changed() {
        let mut wanted = schema();
        wanted["description"] = json!("other words");
        wanted["properties"]["more"] = json!({ "type": "string" });
        wanted["properties"]["kind"]["oneOf"][1]["enum"] = json!(["B", "C", "D"]);
        assert_eq!(breaks(&schema(), &wanted), Vec::<String>::new());
    }

    #[test]
    fn what_a_reader_relies_on_stays() {
        for (pointer, value) in [
            ("/properties", json!({ "id": { "type": "string", "format": "uuid" } })),
            ("/properties/id/type", json!("integer")),
            ("/properties/id/format", json!("date")),
            ("/properties/note/type", json!(["string", "null"])),
            ("/required", json!(["id", "kind", "lines", "note"])),
            ("/required", json!(["id", "lines"])),
            ("/properties/lines/items/properties/amount/type", json!("number")),
            ("/properties/lines/items", json!({ "type": "object" })),
            ("/properties/kind/oneOf/1/enum", json!(["B"])),
        ] {
            assert!(!changed(pointer, value.clone()).is_empty(), "{pointer} {value}");
        }
    }
}
