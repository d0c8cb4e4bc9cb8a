//! The catalogue page: every public type with its meaning, when it happens, its fields and an example.

use std::fmt::Write;

use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Belongs, Declared, Envelope, Writer, belongs,
    schema::{self, TypeSchema},
    tell, types,
};

/// Fictitious ids of the examples.
const ORGANIZATION: Uuid = Uuid::from_u128(0x0192_f3c4_0010_7a01_8b1e_4d5c_6f7a_0001);
const PROPERTY: Uuid = Uuid::from_u128(0x0192_f3c4_0011_7a01_8b1e_4d5c_6f7a_0001);
const SUBJECT: Uuid = Uuid::from_u128(0x0192_f3c4_0099_7a01_8b1e_4d5c_6f7a_0001);
const CORRELATION: Uuid = Uuid::from_u128(0x0192_f3c4_00ff_7a01_8b1e_4d5c_6f7a_0001);

/// An example of a type, made as the feed makes its events; null if there were none.
pub fn example(declared: &Declared) -> Value {
    let stream = types().find(|(_, one)| one.kind == declared.kind).map(|(stream, _)| stream).unwrap_or_default();
    let id = if belongs(stream) == Belongs::Itself { PROPERTY } else { SUBJECT };
    let Ok(told) = tell(stream, id, declared.from, "1", declared.golden) else { return Value::Null };
    let Some(event) = told.event else { return Value::Null };
    let envelope = Envelope {
        organization: ORGANIZATION,
        position: 4711,
        leaf: &[0x9f, 0x86, 0xd0, 0x81, 0x88, 0x4c, 0x7d, 0x65],
        stream,
        stream_id: id,
        version: 1,
        time: DateTime::from_timestamp(1_767_625_445, 123_456_000).unwrap_or_default(),
        property: match belongs(stream) {
            Belongs::Itself | Belongs::Opening => Some(PROPERTY),
            Belongs::Residency => told.property,
            Belongs::Organization => None,
        },
        correlation: CORRELATION,
        causation: None,
    };
    let mut bytes = Vec::new();
    let written = Writer::new("https://propty.example.com").write(&envelope, &event, &mut bytes);
    written.ok().and_then(|()| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// The page.
pub fn page() -> String {
    let mut text = String::from(
        "# Public events\n\n\
         Written by `UPDATE_DOCS=1 cargo test -p public-events`, from what the code declares. How to read them, and what may change, is in\n\
         [event-stream.md](event-stream.md). The examples are made by the code that feeds use, from stored events of fictitious people.\n\
Below, each shows its `data`; around it stands the envelope:\n\n",
    );
    let schemas = schema::all();
    if let Some(one) = schemas.iter().find(|one| one.declared.name == "invoice.published") {
        let _ =
            write!(text, "```json\n{:#}\n```\n\n| field | kind | meaning |\n|---|---|---|\n", example(one.declared));
    }
    fields(&mut text, "", &schema::envelope());
    text.push_str("\n| type | meaning |\n|---|---|\n");
    for TypeSchema { declared, schema, .. } in &schemas {
        let anchor = declared.kind.replace('.', "");
        let _ = writeln!(text, "| [`{}`](#{anchor}) | {} |", declared.kind, meaning(schema));
    }
    for TypeSchema { stream, declared, schema } in &schemas {
        let reach = match belongs(stream) {
            Belongs::Itself | Belongs::Opening => "its property's",
            Belongs::Residency => "every property's that the resident had moved into by then",
            Belongs::Organization => "the whole organization's only",
        };
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n*When:* {} *Subject:* `{stream}/…`. *Readers:* {reach}. *Schema:* [{}](../schemas/public/{}).\n\n\
             | field | kind | meaning |\n|---|---|---|\n",
            declared.kind,
            meaning(schema),
            declared.when,
            declared.schema_file,
            declared.schema_file,
        );
        fields(&mut text, "", schema);
        let _ = write!(text, "\n```json\n{:#}\n```\n", example(declared)["data"]);
    }
    text
}

fn meaning(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn fields(text: &mut String, before: &str, schema: &Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let optional = if required.iter().any(|one| one == name) { "" } else { ", optional" };
        let kind = kind(property);
        let mut told = meaning(property);
        if told.is_empty() {
            told = customary(name);
        }
        for alternative in property["oneOf"].as_array().into_iter().flatten() {
            if let (Some(word), Some(about)) = (alternative["const"].as_str(), alternative["description"].as_str()) {
                let _ = write!(told, " `{word}`: {}", about.replace('\n', " "));
            }
        }
        let _ = writeln!(text, "| `{before}{name}` | {kind}{optional} | {} |", told.trim());
        fields(text, &format!("{before}{name}."), property);
        if let Some(items) = property.get("items") {
            fields(text, &format!("{before}{name}[]."), items);
        }
    }
}

/// What fields mean that are called so everywhere.
fn customary(name: &str) -> String {
    match name {
        "name" => "As people read it.".to_owned(),
        "amount" => "How much.".to_owned(),
        "total" => "The sum of the lines.".to_owned(),
        "due_on" => "The last day to pay, in the property's zone.".to_owned(),
        "on" => "The day.".to_owned(),
        "arrives_on" => "The day on which it reaches the bank.".to_owned(),
        "available_at" => "From when it can be paid out.".to_owned(),
        "from" => "The beginning of what was compared.".to_owned(),
        "until" => "The end of what was compared.".to_owned(),
        "has_email" => "Whether there is an address now.".to_owned(),
        "has_phone" => "Whether there is a number now.".to_owned(),
        "retries_left" => "How many attempts are left.".to_owned(),
        "reason" | "because" | "cause" => "Why.".to_owned(),
        "specversion" => "`1.0`.".to_owned(),
        "datacontenttype" => "`application/json`.".to_owned(),
        "message_id" => "The e-mail.".to_owned(),
        "source" => "By which way the wish came.".to_owned(),
        "account_id" | "stripe_account_id" => "The Stripe account, by our id.".to_owned(),
        other => other.strip_suffix("_id").map(|noun| format!("The {}.", noun.replace('_', " "))).unwrap_or_default(),
    }
}

fn kind(schema: &Value) -> String {
    if schema.get("const").is_some() {
        return "string".to_owned();
    }
    if let Some(format) = schema["format"].as_str().filter(|format| !format.contains("int")) {
        return format.to_owned();
    }
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let words: Vec<String> = schema["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(alternatives.clone().filter_map(|one| one.get("const")))
        .chain(alternatives.filter_map(|one| one["enum"].as_array()).flatten())
        .filter_map(Value::as_str)
        .map(|word| format!("`{word}`"))
        .collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", self::kind(&schema["items"])),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => "value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_example_holds_anything_personal_or_secret() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden");
        let schemas = events::schema::all();
        for entry in std::fs::read_dir(folder).expect("the goldens") {
            let path = entry.expect("an entry").path();
            let name =
                path.file_name().unwrap_or_default().to_string_lossy().split('.').next().unwrap_or_default().to_owned();
            let Some(schema) = schemas.iter().find(|schema| schema.name == name) else { continue };
            let payload = std::fs::read_to_string(&path).expect("a golden");
            let Ok(told) = tell(schema.stream, SUBJECT, &name, "1", &payload) else { continue };
            let text = serde_json::to_string(&told.event).expect("JSON");
            for secret in [
                "@", "marisol", "vega", "555", "pi_", "pm_", "ch_", "cus_", "seti_", "secret", "last4", "4242",
                "$clear", "hash",
            ] {
                assert!(!text.to_lowercase().contains(secret), "{name} tells {secret}: {text}");
            }
        }
    }
}
