//! JSON Schemas of the public types, one document per type and version at a stable URL.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::{Declared, told};

/// A public type's contract.
#[derive(Debug, Clone)]
pub struct TypeSchema {
    pub stream: &'static str,
    pub declared: &'static Declared,
    pub schema: Value,
}

/// The schemas of all public types in the order of their declaration.
pub fn all() -> Vec<TypeSchema> {
    let mut schemas = Vec::new();
    for (stream, types, root) in told::schemas() {
        let shapes = root.get("anyOf").and_then(Value::as_array).cloned().unwrap_or_default();
        for (declared, mut schema) in types.iter().zip(shapes) {
            never_null(&mut schema);
            if let Value::Object(object) = &mut schema {
                object.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
                object.insert("$id".into(), format!("urn:{}", declared.kind.replace('.', ":")).into());
                object.insert("title".into(), declared.kind.into());
            }
            schemas.push(TypeSchema { stream, declared, schema });
        }
    }
    schemas
}

/// The schema of the envelope around every event.
pub fn envelope() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let id = |description: &str| json!({ "type": "string", "format": "uuid", "description": description });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:org:propty:envelope",
        "title": "Envelope",
        "description": "A CloudEvents 1.0 event as Propty writes it.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "position",
            "version", "correlationid", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": text("The position and the beginning of the event's hash, `4711-9f86d081884c7d65`: the same whenever and wherever it is read."),
            "source": text("The organization, `urn:propty:organization:…`."),
            "type": text("The public type with its version, `org.propty.invoice.published.v1`."),
            "subject": text("The aggregate, `invoice/…`."),
            "time": { "type": "string", "format": "date-time", "description": "When it was recorded." },
            "datacontenttype": { "const": "application/json" },
            "dataschema": { "type": "string", "format": "uri", "description": "The JSON Schema of `data`." },
            "position": { "type": "integer", "description": "The event's place in the organization's log." },
            "version": { "type": "integer", "description": "The event's number in its aggregate's stream, from 1." },
            "property": id("The property that it belongs to; absent for what belongs to the organization, and for residents' own records."),
            "correlationid": id("Shared by everything that one outside cause set in motion."),
            "causationid": text("The event that it follows from, as `subject/version`; that one need not be public."),
            "data": { "type": "object", "description": "As the type's schema says." },
        },
    })
}

/// The shapes of an aggregate's types, nothing left to a reference.
pub(crate) fn root<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// What is optional is absent, never null; the derivation cannot know that.
fn never_null(value: &mut Value) {
    if let Value::Object(object) = value {
        let null = json!({ "type": "null" });
        if let Some(kinds) = object.get_mut("type")
            && let Some(list) = kinds.as_array()
        {
            let left: Vec<Value> = list.iter().filter(|kind| **kind != "null").cloned().collect();
            if let [only] = left.as_slice() {
                *kinds = only.clone();
            }
        }
        if let Some(Value::Array(words)) = object.get_mut("enum") {
            words.retain(|word| !word.is_null());
        }
        if let Some(Value::Array(mut choices)) = object.remove("anyOf") {
            choices.retain(|choice| *choice != null);
            if let [Value::Object(only)] = choices.as_slice() {
                for (name, inner) in only {
                    object.entry(name).or_insert_with(|| inner.clone());
                }
            } else {
                object.insert("anyOf".to_owned(), choices.into());
            }
        }
        object.values_mut().for_each(never_null);
    } else if let Value::Array(list) = value {
        list.iter_mut().for_each(never_null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_schema_that_says_what_it_means_and_names_its_fields() {
        let schemas = all();
        assert_eq!(schemas.len(), crate::types().count());
        for TypeSchema { declared, schema, .. } in &schemas {
            assert!(schema["description"].as_str().is_some_and(|text| text.ends_with('.')), "{}", declared.kind);
            assert!(schema["properties"].is_object() && schema["type"] == "object", "{}: {schema}", declared.kind);
            assert!(!schema.to_string().contains("$ref"), "{}", declared.kind);
            assert!(!schema.to_string().contains("null"), "{}: {schema}", declared.kind);
            assert!(schema.get("additionalProperties").is_none(), "{} may grow", declared.kind);
        }
    }

    #[test]
    fn a_schema_stands_beside_the_type_whose_example_it_describes() {
        for TypeSchema { declared, schema, .. } in all() {
            let example = crate::catalogue::example(declared);
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for name in required.iter().filter_map(Value::as_str) {
                assert!(example["data"].get(name).is_some(), "{} lacks {name}", declared.kind);
            }
            for name in example["data"].as_object().expect("data").keys() {
                assert!(schema["properties"].get(name).is_some(), "{} does not know {name}", declared.kind);
            }
        }
    }
}
