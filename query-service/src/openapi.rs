//! The query half of `OpenAPI`: what poem-openapi knows of the answers, joined with what the table of operations says.

use poem_openapi::OpenApiService;
use serde_json::{Map, Value, json};

use crate::{
    api::Api,
    operation::{FEED, Filter, Kind, OPERATIONS, Operation},
    parameters::{DEFAULT_LIMIT, MAX_LIMIT},
    reading::MIN_POSITION,
};

const DESCRIPTION: &str = "What happened, as managers, residents and auditors look at it. Every list is paged by `cursor`, \
narrowed by its filters, sorted by `sort`, and given whole as CSV with `Accept: text/csv` or `?format=csv`. Times are UTC; \
`time_zone` names the zone of the property. Every error is `application/problem+json`.";

/// The specification, for a server at this address. Commands are merged in by whoever serves both.
pub fn openapi(server_url: &str) -> Value {
    let service =
        OpenApiService::new(Api, "Propty", env!("CARGO_PKG_VERSION")).description(DESCRIPTION).server(server_url);
    // poem-openapi writes what it holds as JSON; reading that back cannot fail.
    let mut spec: Value = serde_json::from_str(&service.spec()).unwrap_or_default();
    for operation in OPERATIONS.iter().chain(FEED) {
        let method = operation.method.to_lowercase();
        if let Some(known) = spec["paths"][operation.path][&method].as_object_mut() {
            describe(known, operation);
        }
    }
    for schema in spec["components"]["schemas"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        say_what_may_be_null(schema);
    }
    spec["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http", "scheme": "bearer",
            "description": "A token that `propty token` or an Organization Manager has issued.",
        },
        "session": {
            "type": "apiKey", "in": "cookie", "name": edge::caller::SESSION_COOKIE,
            "description": "A resident's session, opened by the link in the sign-in e-mail.",
        },
    });
    spec["tags"] = tags();
    spec
}

/// What is absent in the model is `null` in the answer, which poem-openapi does not say.
fn say_what_may_be_null(schema: &mut Value) {
    let required = schema["required"].take();
    let names: Vec<&str> = required.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object_mut().into_iter().flatten() {
        if !names.contains(&name.as_str()) {
            property["nullable"] = true.into();
        }
    }
    if required.is_null() {
        schema.as_object_mut().map(|schema| schema.remove("required"));
    } else {
        schema["required"] = required;
    }
}

fn tags() -> Value {
    let mut names: Vec<&str> = Vec::new();
    for operation in OPERATIONS {
        if !names.contains(&operation.tag) {
            names.push(operation.tag);
        }
    }
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

fn describe(known: &mut Map<String, Value>, operation: &Operation) {
    let roles: Vec<&str> = operation.roles.iter().map(|role| role.name()).collect();
    known.insert("summary".into(), operation.summary.into());
    known.insert("description".into(), format!("{}\n\nFor {}.", operation.reach, roles.join(", ")).into());
    known.insert("tags".into(), json!([operation.tag]));
    known.insert("x-roles".into(), json!(roles));
    known.insert("security".into(), json!([{ "bearer": [] }, { "session": [] }]));
    known.insert("parameters".into(), parameters(operation));
    if let Some(content) = known.get_mut("responses").and_then(|responses| responses.pointer_mut("/200/content")) {
        for (kind, media) in content.as_object_mut().into_iter().flatten() {
            if kind.starts_with("application/json") {
                media["example"] = example(operation);
            }
        }
    }
}

/// A fictitious answer.
pub fn example(operation: &Operation) -> Value {
    let one: Value = serde_json::from_str(operation.example).unwrap_or_default();
    if operation.is_list() {
        json!({ "items": [one], "meta": { "position": 4711, "head": 4712, "lag": 1 } })
    } else {
        one
    }
}

fn parameters(operation: &Operation) -> Value {
    let mut all = Vec::new();
    if operation.path.contains("{id}") {
        all.push(json!({
            "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" },
            "example": "01980a3c-5b1e-7c52-9d7e-0c2f6d1b7a01",
        }));
    }
    all.extend(operation.filters.iter().map(filter));
    if operation.is_list() {
        let orders = json!({ "type": "string", "enum": operation.sorts, "default": operation.sorts.first() });
        let last = operation.sorts.last().copied().unwrap_or_default();
        all.push(query("sort", "The order; a `-` in front puts the largest first.", &orders, last));
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT });
        all.push(query("limit", "Rows in a page.", &limit, "100"));
        let cursor = json!({ "type": "string" });
        all.push(query("cursor", "`next_cursor` of the page before; the other parameters stay the same.", &cursor, ""));
        let format = json!({ "type": "string", "enum": ["json", "csv"], "default": "json" });
        all.push(query("format", "`csv` gives the complete list.", &format, ""));
    } else if !operation.is_document() && !operation.is_feed() {
        all.push(header("If-None-Match", "The version that the caller has; 304 when nothing has changed.", "\"7\""));
    }
    if operation.is_feed() {
        return Value::Array(all);
    }
    all.push(header(
        MIN_POSITION,
        "The answer shows at least this position, or the event of a command's consistency token; waits up to 2 s, then 503.",
        "4711",
    ));
    Value::Array(all)
}

fn filter(filter: &Filter) -> Value {
    let schema = match filter.kind {
        Kind::Id => json!({ "type": "string", "format": "uuid" }),
        Kind::Text => json!({ "type": "string", "minLength": 1, "maxLength": 200 }),
        Kind::Date => json!({ "type": "string", "format": "date" }),
        Kind::Time => json!({ "type": "string", "format": "date-time" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Number => json!({ "type": "integer", "minimum": 0 }),
        Kind::Cursor | Kind::Types | Kind::Aggregate => json!({ "type": "string" }),
        Kind::Choice(choices) => json!({ "type": "string", "enum": choices }),
    };
    query(filter.name, filter.description, &schema, filter.example)
}

fn query(name: &str, description: &str, schema: &Value, example: &str) -> Value {
    parameter(name, "query", description, schema, example)
}

fn header(name: &str, description: &str, example: &str) -> Value {
    parameter(name, "header", description, &json!({ "type": "string" }), example)
}

fn parameter(name: &str, place: &str, description: &str, schema: &Value, example: &str) -> Value {
    let mut parameter =
        json!({ "name": name, "in": place, "required": false, "description": description, "schema": schema });
    if !example.is_empty() {
        parameter["example"] = example.into();
    }
    parameter
}
