//! The contract as an `AsyncAPI` 3 document.

use serde_json::{Map, Value, json};

use crate::{
    catalogue::example,
    schema::{self, TypeSchema},
};

/// The document, for a server at this address.
pub fn document(public_url: &str) -> Value {
    let (protocol, host) = public_url.split_once("://").unwrap_or(("https", public_url));
    let mut messages = Map::new();
    let mut components = Map::new();
    for TypeSchema { declared, schema, .. } in schema::all() {
        components.insert(
            declared.kind.to_owned(),
            json!({
                "name": declared.kind,
                "title": declared.name,
                "summary": schema["description"],
                "description": format!("When: {}", declared.when),
                "contentType": "application/cloudevents+json",
                "payload": { "schemaFormat": "application/schema+json;version=draft-2020-12", "schema": envelope_of(declared.kind, &schema) },
                "examples": [{ "payload": example(declared) }],
            }),
        );
        messages
            .insert(declared.kind.to_owned(), json!({ "$ref": format!("#/components/messages/{}", declared.kind) }));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Propty events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What happened in an organization, in one dense order, from any position since the beginning.",
        },
        "defaultContentType": "application/json",
        "servers": { "propty": { "host": host, "protocol": protocol, "security": [{ "$ref": "#/components/securitySchemes/bearer" }] } },
        "channels": {
            "stream": {
                "address": "/v1/events/stream",
                "title": "Live, as server-sent events",
                "description": "`id:` is the position; go on with `Last-Event-ID`. `data:` is one CloudEvent in JSON.",
                "messages": messages,
            },
            "pages": {
                "address": "/v1/events",
                "title": "Pages, or everything as NDJSON",
                "description": "The same events on request, in JSON pages, CloudEvents batches or lines.",
                "messages": messages,
            },
        },
        "operations": {
            "follow": { "action": "send", "channel": { "$ref": "#/channels/stream" }, "summary": "Propty sends what happens as it happens." },
            "page": { "action": "send", "channel": { "$ref": "#/channels/pages" }, "summary": "Propty answers what happened after a position." },
        },
        "components": {
            "messages": components,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn envelope_of(kind: &str, data: &Value) -> Value {
    let mut envelope = schema::envelope();
    let mut data = data.clone();
    for schema in [&mut envelope, &mut data] {
        if let Value::Object(object) = schema {
            object.remove("$schema");
            object.remove("$id");
        }
    }
    envelope["properties"]["type"] = json!({ "const": kind });
    envelope["properties"]["data"] = data;
    envelope
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document("https://propty.example.com");
        let mut open = vec![&document];
        let mut references = 0;
        while let Some(value) = open.pop() {
            match value {
                Value::Object(map) => {
                    if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                        let pointer = reference.trim_start_matches('#');
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                        references += 1;
                    }
                    open.extend(map.values());
                }
                Value::Array(list) => open.extend(list),
                _ => {}
            }
        }
        assert!(references > 2 * crate::types().count());
        assert_eq!(document["servers"]["propty"]["host"], "propty.example.com");
    }
}
