//! The command half of the `OpenAPI` document, generated from the registry.

use events::Role;
use serde_json::{Map, Value, json};

use crate::Registry;

/// Adds the commands' operations and schemas to a document that has `paths` and `components`.
pub fn merge(document: &mut Value, registry: &Registry) {
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for entry in registry.iter().filter(|entry| entry.is_public()) {
        let mut schema = entry.schema.clone().to_value();
        adopt_definitions(&mut schema, &mut schemas);
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
        schemas.insert(entry.name.to_owned(), schema);
        let roles: Vec<&str> =
            entry.roles.iter().filter(|role| Role::PEOPLE.contains(role)).map(|role| role.name()).collect();
        paths.insert(
            format!("/v1/commands/{}", entry.name),
            json!({ "post": {
            "operationId": entry.name,
            "tags": ["Commands"],
            "summary": summary(&description),
            "description": format!("{description}\n\nFor {}.", roles.join(", ")),
            "parameters": [
                { "$ref": "#/components/parameters/IdempotencyKey" },
                { "$ref": "#/components/parameters/IfMatch" },
            ],
            "requestBody": { "required": true, "content": { "application/json": {
                "schema": { "$ref": format!("#/components/schemas/{}", entry.name) },
                "example": entry.example,
            } } },
            "responses": responses(entry.stream),
        } }),
        );
    }
    schemas.insert("CommandAnswer".into(), answer_schema());
    schemas.insert("Problem".into(), problem_schema());
    insert_all(document, "/paths", paths);
    insert_all(document, "/paths", edge_operations());
    insert_all(document, "/components/schemas", schemas);
    insert_all(document, "/components/parameters", parameters());
}

fn insert_all(document: &mut Value, pointer: &str, values: Map<String, Value>) {
    let mut place = document;
    for name in pointer.trim_start_matches('/').split('/') {
        if !place.is_object() {
            *place = json!({});
        }
        let Value::Object(object) = place else { return };
        place = object.entry(name).or_insert_with(|| json!({}));
    }
    if let Value::Object(object) = place {
        for (name, value) in values {
            match (object.get_mut(&name), value) {
                // A path may already have the methods of the query side.
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                (_, value) => {
                    object.insert(name, value);
                }
            }
        }
    }
}

/// Moves a schema's own definitions to the document's, where references find them.
fn adopt_definitions(schema: &mut Value, schemas: &mut Map<String, Value>) {
    let Value::Object(object) = schema else { return };
    object.remove("$schema");
    object.remove("title");
    if let Some(Value::Object(definitions)) = object.remove("$defs") {
        for (name, mut definition) in definitions {
            repoint(&mut definition);
            schemas.insert(name, definition);
        }
    }
    repoint(schema);
}

fn repoint(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map.iter_mut() {
                match inner {
                    Value::String(target) if name == "$ref" => {
                        *target = target.replace("#/$defs/", "#/components/schemas/");
                    }
                    _ => repoint(inner),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(repoint),
        _ => {}
    }
}

fn summary(description: &str) -> &str {
    description.split_inclusive('.').next().unwrap_or(description).trim_end_matches('.')
}

fn responses(stream: &str) -> Value {
    let problem = |description: &str| {
        json!({ "description": description, "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" }
        } } })
    };
    json!({
        "200": {
            "description": format!("Accepted: durable in the {stream}'s stream. `events` is empty when nothing had to change."),
            "headers": {
                "ETag": { "description": "The stream's version.", "schema": { "type": "string" } },
                "Propty-Position": {
                    "description": "The consistency token; send it as Propty-Min-Position to read what was written.",
                    "schema": { "type": "string" }
                }
            },
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/CommandAnswer" } } }
        },
        "400": problem("The request cannot be read."),
        "401": problem("No valid token or session."),
        "403": problem("The caller's role may not."),
        "404": problem("There is no such thing, or it is not the caller's."),
        "409": problem("Not possible as things stand."),
        "412": problem("If-Match names another version than the current one."),
        "413": problem("The body is too large."),
        "415": problem("The body is not application/json."),
        "422": problem("The command is wrong; `at` names the field."),
    })
}

fn answer_schema() -> Value {
    json!({
        "type": "object",
        "required": ["stream", "id", "version", "events", "position", "consistency_token", "repeated"],
        "properties": {
            "stream": { "type": "string", "description": "The kind of stream, like `invoice`." },
            "id": { "type": "string", "format": "uuid" },
            "version": { "type": "integer", "description": "The stream's version afterwards." },
            "events": { "type": "array", "items": { "type": "object", "properties": {
                "type": { "type": "string" }, "version": { "type": "integer" }
            } } },
            "position": { "type": ["integer", "null"], "description": "The organization's log position of the last event; null when it is not known yet." },
            "consistency_token": { "type": "string", "description": "What to send as Propty-Min-Position to read what was written: the position, or the event while it has none." },
            "repeated": { "type": "boolean", "description": "The same key was answered before." }
        },
        "example": {
            "stream": "invoice", "id": "01935c2e-0000-7000-8000-000000000301", "version": 2,
            "events": [{ "type": "InvoicePublished", "version": 2 }], "position": 1042, "consistency_token": "1042", "repeated": false
        }
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "description": "Stable: `urn:propty:problem:…`." },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What is wrong and what to do." },
            "at": { "type": "string", "description": "The field." }
        },
        "example": {
            "type": "urn:propty:problem:DueInThePast", "title": "The request is not acceptable", "status": 422,
            "detail": "the due date is past; today is 2026-12-02 at the property"
        }
    })
}

fn parameters() -> Map<String, Value> {
    let mut parameters = Map::new();
    parameters.insert(
        "IdempotencyKey".into(),
        json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same key with the same body is executed once and answered again; kept 30 days.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 }
        }),
    );
    parameters.insert(
        "IfMatch".into(),
        json!({
            "name": "If-Match", "in": "header", "required": false,
            "description": "The stream's version that the caller builds on, as a strong ETag.",
            "schema": { "type": "string", "example": "\"3\"" }
        }),
    );
    parameters
}

/// The operations that are not commands of the registry.
fn edge_operations() -> Map<String, Value> {
    let body = |properties: Value, required: Value, example: Value| {
        json!({ "required": true, "content": { "application/json": {
            "schema": { "type": "object", "additionalProperties": false, "properties": properties, "required": required },
            "example": example
        } } })
    };
    let plain = |status: &str, description: &str| {
        json!({ status: { "description": description }, "default": {
            "description": "A problem.",
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
        } })
    };
    let account =
        json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } }]);
    let mut paths = Map::new();
    paths.insert("/v1/tokens".into(), json!({ "post": {
        "operationId": "IssueToken", "tags": ["Access"], "summary": "Make a bearer token; its secret is shown once",
        "description": "For OrganizationManager.",
        "requestBody": body(
            json!({
                "label": { "type": "string", "maxLength": 100 },
                "role": { "enum": ["OrganizationManager", "PropertyAdmin", "PropertyManager", "ComplianceAuditor", "Integrator"] },
                "property_id": { "type": ["string", "null"], "format": "uuid" },
                "types": { "type": "array", "maxItems": 100, "items": { "type": "string" }, "description": "For an integrator: the types of events that it reads. Empty: all types." },
                "expires_at": { "type": ["string", "null"], "format": "date-time" }
            }),
            json!(["label", "role"]),
            json!({ "label": "Front desk", "role": "PropertyManager", "property_id": "01935c2e-0000-7000-8000-000000000001" }),
        ),
        "responses": plain("201", "The token: `token_id`, `token`, `expires_at`.")
    } }));
    paths.insert("/v1/webhooks".into(), json!({ "post": {
        "operationId": "RegisterWebhook", "tags": ["Webhooks"],
        "summary": "Have events sent to an address; the secret that signs them is shown once",
        "description": "For OrganizationManager.",
        "requestBody": body(
            json!({
                "url": { "type": "string", "format": "uri", "maxLength": 1000 },
                "description": { "type": ["string", "null"], "maxLength": 200 },
                "types": { "type": "array", "maxItems": 100, "items": { "type": "string" }, "description": "Empty: all types." },
                "property_id": { "type": ["string", "null"], "format": "uuid", "description": "Only this property's events." },
                "notice_email": { "type": "string", "format": "email", "description": "Whom to tell when it is disabled for failing." },
                "language": { "enum": ["en", "fr", "es"] },
                "from": { "type": ["integer", "null"], "minimum": 1, "description": "The first position that is sent; what follows the registration by default." }
            }),
            json!(["url", "notice_email"]),
            json!({
                "url": "https://hooks.example.com/propty", "types": ["invoice.published", "payment.*"],
                "notice_email": "ops@example.com"
            }),
        ),
        "responses": plain("201", "The webhook: `webhook_id`, `secret`, `version`, `position`, `consistency_token`.")
    } }));
    paths.insert(
        "/v1/webhooks/{id}/secret".into(),
        json!({ "post": {
        "operationId": "RotateWebhookSecret", "tags": ["Webhooks"],
        "summary": "Make another secret; the one before signs too for a while",
        "description": "For OrganizationManager.",
        "parameters": account,
        "requestBody": body(
            json!({ "overlap_hours": { "type": ["integer", "null"], "minimum": 0, "maximum": 168, "description": "24 by default." } }),
            json!([]),
            json!({ "overlap_hours": 24 }),
        ),
        "responses": plain("201", "The webhook: `webhook_id`, `secret`, `version`, `position`, `consistency_token`.")
    } }),
    );
    paths.insert(
        "/v1/sign-in-links".into(),
        json!({ "post": {
        "operationId": "RequestSignInLink", "tags": ["Access"], "security": [],
        "summary": "Send a sign-in link to a resident's e-mail address",
        "description": "For everyone. The answer does not tell whether the address is known.",
        "requestBody": body(
            json!({ "email": { "type": "string", "format": "email" } }), json!(["email"]),
            json!({ "email": "ana.ruiz@example.com" }),
        ),
        "responses": plain("202", "If the address is known, a link is on its way.")
    } }),
    );
    paths.insert("/v1/sessions".into(), json!({ "post": {
        "operationId": "OpenSession", "tags": ["Access"], "security": [], "summary": "Trade a sign-in link for a session",
        "description": "For everyone who has the link. The session is set as an HttpOnly cookie.",
        "requestBody": body(json!({ "link": { "type": "string" } }), json!(["link"]), json!({ "link": "0193….…" })),
        "responses": plain("201", "Signed in.")
    } }));
    paths.insert(
        "/v1/sessions/current".into(),
        json!({ "delete": {
        "operationId": "CloseSession", "tags": ["Access"], "summary": "Sign out", "description": "For Resident.",
        "responses": plain("204", "Signed out.")
    } }),
    );
    paths.insert(
        "/v1/text-previews".into(),
        json!({ "post": {
        "operationId": "PreviewText", "tags": ["Texts"],
        "summary": "How a text reads, and in how many parts it is sent",
        "description": "For OrganizationManager, PropertyAdmin, PropertyManager. Nothing is sent; codes are shown as zeros, and facts that are left out are made up.",
        "requestBody": body(
            json!({
                "property_id": { "type": "string", "format": "uuid" },
                "kind": { "enum": events::text_message::TextContent::KINDS },
                "language": { "enum": ["en", "fr", "es"] },
                "title": { "type": ["string", "null"] },
                "amount": { "type": ["object", "null"], "description": "`amount` in minor units and `currency`." }
            }),
            json!(["property_id", "kind"]),
            json!({
                "property_id": "01935c2e-0000-7000-8000-000000000001", "kind": "invoice-published", "language": "fr",
                "title": "Charges communes"
            }),
        ),
        "responses": plain("200", "`body`, `encoding` (GSM-7 or UCS-2), `segments`, `units`, `left_in_last_segment`.")
    } }),
    );
    for (path, id, text) in [
        ("onboarding-link", "StripeOnboardingLink", "A single-use link to Stripe's onboarding forms"),
        ("dashboard-link", "StripeDashboardLink", "The account's dashboard at Stripe"),
    ] {
        paths.insert(
            format!("/v1/stripe-accounts/{{id}}/{path}"),
            json!({ "post": {
            "operationId": id, "tags": ["Stripe accounts"], "summary": text, "description": "For OrganizationManager.",
            "parameters": account, "responses": plain("201", "The link: `url`.")
        } }),
        );
    }
    paths
}
