//! Resend's e-mail API: sending once per key, fates by magic recipient, and a suppression list.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use poem::http::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::config::Provider;
use crate::faults::FaultKind;
use crate::http::{Call, Reply};
use crate::idempotency::{self, Conflict, Key, Outcome};
use crate::shared::Shared;
use crate::store::{NewEvent, Store, Table};

const KEY_CHARACTERS: usize = 256;
const RECIPIENTS: usize = 50;
/// The account of every row; Resend has one team per key.
const TEAM: &str = "team";

pub(crate) fn refusal(status: u16, name: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"statusCode": status, "name": name, "message": message}))
}

pub(crate) async fn serve(shared: &Arc<Shared>, call: &Call, fault: Option<&FaultKind>) -> Reply {
    match call.bearer() {
        None => return refusal(401, "missing_api_key", "Missing API key in the authorization header"),
        Some(key) if !key.starts_with("re_") || key.contains("invalid") => {
            return refusal(403, "invalid_api_key", "API key is invalid");
        }
        Some(_) => {}
    }
    let given_key = call.header("idempotency-key").filter(|_| call.method == Method::POST);
    if given_key.is_some_and(|key| key.is_empty() || key.len() > KEY_CHARACTERS) {
        return refusal(400, "invalid_idempotency_key", "The idempotency key must be between 1-256 characters.");
    }
    let body = if call.method == Method::POST {
        match serde_json::from_slice::<Value>(&call.body) {
            Ok(body) => body,
            Err(_) => return refusal(422, "validation_error", "The request body is not valid JSON."),
        }
    } else {
        Value::Null
    };
    let key = given_key.map(|key| Key {
        scope: format!("resend/{TEAM}/{key}"),
        path: call.path.clone(),
        fingerprint: idempotency::fingerprint(&body),
    });
    idempotency::execute(
        shared,
        key,
        fault,
        // Unlike Stripe, Resend keeps only what succeeded under the key.
        Outcome { reply: refusal(500, "internal_server_error", "An unexpected error occurred."), save: false },
        |conflict| match conflict {
            Conflict::InFlight => refusal(
                409,
                "concurrent_idempotent_requests",
                "Another request with the same idempotency key is currently in progress.",
            ),
            Conflict::OtherBody | Conflict::OtherPath(_) => refusal(
                409,
                "invalid_idempotent_request",
                "This idempotency key has been used on a different request payload.",
            ),
        },
        |store| {
            let reply = route(store, call, &body);
            Outcome { save: reply.status < 300, reply }
        },
    )
    .await
}

fn route(store: &mut Store, call: &Call, body: &Value) -> Reply {
    match (&call.method, call.segments().as_slice()) {
        (&Method::POST, ["emails"]) => send(store, body),
        (&Method::GET, ["emails"]) => list(store, &call.query),
        (&Method::GET, ["emails", id]) => match store.get(Table::Emails, id) {
            Some(row) => Reply::json(200, &shown(row)),
            None => refusal(404, "not_found", "Email not found"),
        },
        (&Method::GET, ["suppressions"]) => {
            let data: Vec<Value> = store.all(Table::Suppressions).map(|(_, row)| row.clone()).collect();
            Reply::json(200, &json!({"object": "list", "has_more": false, "data": data}))
        }
        (&Method::GET, ["suppressions", which]) => match suppressed(store, which) {
            Some((_, row)) => Reply::json(200, &row),
            None => refusal(404, "not_found", "Suppression not found"),
        },
        (&Method::DELETE, ["suppressions", which]) => match suppressed(store, which) {
            Some((address, row)) => {
                store.remove(Table::Suppressions, &address);
                Reply::json(200, &json!({"object": "suppression", "id": row["id"], "deleted": true}))
            }
            None => refusal(404, "not_found", "Suppression not found"),
        },
        _ => refusal(404, "not_found", "The sandbox knows only what Propty uses of Resend."),
    }
}

/// Newest first, without their contents; `after` is the last id of the page before.
fn list(store: &Store, query: &str) -> Reply {
    let parameter = |name: &str| {
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let limit = match parameter("limit").map_or(Ok(20), str::parse::<usize>) {
        Ok(limit) if (1..=100).contains(&limit) => limit,
        _ => return refusal(422, "validation_error", "The `limit` must be between 1 and 100."),
    };
    let mut rows: Vec<&Value> = store.all(Table::Emails).map(|(_, row)| row).collect();
    // Ids carry their time.
    rows.sort_unstable_by(|one, other| other["id"].as_str().cmp(&one["id"].as_str()));
    let start = match parameter("after") {
        None => 0,
        Some(after) => match rows.iter().position(|row| row["id"] == json!(after)) {
            Some(place) => place + 1,
            None => return refusal(422, "validation_error", "There is no such e-mail to list after."),
        },
    };
    let rest = &rows[start..];
    let data: Vec<Value> = rest
        .iter()
        .take(limit)
        .map(|row| {
            let mut listed = shown(row);
            if let Some(fields) = listed.as_object_mut() {
                fields.retain(|name, _| !matches!(name.as_str(), "html" | "text" | "object"));
            }
            listed
        })
        .collect();
    Reply::json(200, &json!({"object": "list", "has_more": rest.len() > limit, "data": data}))
}

fn suppressed(store: &Store, which: &str) -> Option<(String, Value)> {
    let decoded = which.replace("%40", "@").replace("%2B", "+").to_lowercase();
    store
        .all(Table::Suppressions)
        .find(|(address, row)| **address == decoded || row["id"] == json!(which))
        .map(|(address, row)| (address.clone(), row.clone()))
}

fn addresses(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// `Name <local@domain>` or `local@domain`.
fn bare(address: &str) -> Option<String> {
    let inner = match address.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>')?,
        None => address,
    };
    let (local, domain) = inner.trim().split_once('@')?;
    let odd = |text: &str| text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
    (!odd(local) && !odd(domain)).then(|| inner.trim().to_lowercase())
}

fn tags(body: &Value) -> Result<Map<String, Value>, Reply> {
    let mut tags = Map::new();
    for tag in body["tags"].as_array().into_iter().flatten() {
        let field = |name: &str| tag[name].as_str().unwrap_or_default();
        let plain = |text: &str| {
            (1..=256).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        if !plain(field("name")) || !plain(field("value")) {
            return Err(refusal(
                422,
                "validation_error",
                "Tags should only contain ASCII letters, numbers, underscores, or dashes.",
            ));
        }
        tags.insert(field("name").to_owned(), json!(field("value")));
    }
    Ok(tags)
}

fn send(store: &mut Store, body: &Value) -> Reply {
    let missing = |name: &str| refusal(422, "missing_required_field", &format!("Missing `{name}` field."));
    let Some(from) = body["from"].as_str() else {
        return missing("from");
    };
    let to = addresses(&body["to"]);
    if to.is_empty() {
        return missing("to");
    }
    let Some(subject) = body["subject"].as_str() else {
        return missing("subject");
    };
    if !body["html"].is_string() && !body["text"].is_string() {
        return refusal(422, "missing_required_field", "Missing `html` or `text` field.");
    }
    if to.len() > RECIPIENTS {
        return refusal(422, "validation_error", "The `to` field must not exceed 50 recipients.");
    }
    let parsed: Option<Vec<String>> = to.iter().map(|address| bare(address)).collect();
    let (Some(bare_to), Some(_)) = (parsed, bare(from)) else {
        return refusal(
            422,
            "validation_error",
            "Invalid `to` or `from` field. The email address needs to follow the `email@example.com` or `Name <email@example.com>` format.",
        );
    };
    let tags = match tags(body) {
        Ok(tags) => tags,
        Err(reply) => return reply,
    };
    let id = Uuid::now_v7().to_string();
    let mut row = json!({
        "object": "email",
        "id": id,
        "message_id": format!("<{id}@sandbox.example.com>"),
        "from": from,
        "to": to,
        "created_at": moment(store.now()),
        "subject": subject,
        "html": body["html"],
        "text": body["text"],
        "bcc": addresses(&body["bcc"]),
        "cc": addresses(&body["cc"]),
        "reply_to": addresses(&body["reply_to"]),
        "last_event": "sent",
        "_tags": tags,
        "_headers": body["headers"],
        "_events": [],
    });
    for step in fate(store, &bare_to) {
        note(store, &mut row, step);
    }
    store.put(Table::Emails, &id, row);
    Reply::json(200, &json!({"id": id}))
}

fn fate(store: &Store, to: &[String]) -> &'static [&'static str] {
    let any = |prefix: &str| to.iter().any(|address| address.starts_with(prefix));
    let listed = to.iter().any(|address| store.get(Table::Suppressions, address).is_some());
    if listed || any("suppressed") {
        &["suppressed"]
    } else if any("bounce") {
        &["sent", "bounced"]
    } else if any("softbounce") {
        &["sent", "soft_bounced"]
    } else if any("complain") {
        &["sent", "delivered", "complained"]
    } else if any("delay") {
        &["sent", "delivery_delayed"]
    } else {
        &["sent", "delivered"]
    }
}

/// Enters a step into the e-mail's history and announces it.
fn note(store: &mut Store, row: &mut Value, step: &str) {
    let word = if step == "soft_bounced" { "bounced" } else { step };
    let kind = format!("email.{word}");
    let now = store.now();
    let mut details = json!({
        "email_id": row["id"], "message_id": row["message_id"], "created_at": row["created_at"], "from": row["from"],
        "to": row["to"], "subject": row["subject"], "tags": row["_tags"],
    });
    if let Some(headers) = row["_headers"].as_object() {
        let listed: Vec<Value> = headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        details["headers"] = json!(listed);
    }
    match step {
        "bounced" => {
            details["bounce"] = json!({
                "type": "Permanent", "subType": "General", "message": "The recipient's mail server rejected the e-mail.",
                "diagnosticCode": ["smtp; 550 5.1.1 user unknown"],
            });
            suppress(store, row, "bounce");
        }
        "soft_bounced" => {
            details["bounce"] = json!({
                "type": "Transient", "subType": "MailboxFull", "message": "The recipient's mailbox is full.",
                "diagnosticCode": ["smtp; 452 4.2.2 mailbox full"],
            });
        }
        "complained" => suppress(store, row, "complaint"),
        "suppressed" => {
            details["suppressed"] = json!({
                "type": "OnAccountSuppressionList", "reason": "previous_bounce",
                "message": "The address is on the suppression list.", "diagnosticCode": [],
            });
        }
        "failed" => details["failed"] = json!({"reason": "reached_daily_quota"}),
        "clicked" => {
            details["click"] = json!({
                "ipAddress": "192.0.2.1", "link": "https://example.com", "timestamp": moment(now), "userAgent": "sandbox",
            });
        }
        _ => {}
    }
    row["last_event"] = json!(word);
    if let Some(history) = row["_events"].as_array_mut() {
        history.push(json!({"type": kind, "at": moment(now)}));
    }
    let body = json!({"type": kind, "created_at": moment(now), "data": details});
    let id = store.new_id("msg_");
    store.record(&NewEvent {
        provider: Provider::Resend,
        id,
        account: TEAM.to_owned(),
        kind,
        created: now,
        body: body.to_string(),
        callback: None,
    });
}

fn suppress(store: &mut Store, row: &Value, origin: &str) {
    for address in addresses(&row["to"]).iter().filter_map(|address| bare(address)) {
        let entry = json!({
            "object": "suppression", "id": Uuid::new_v4(), "email": address, "origin": origin, "source_id": row["id"],
            "created_at": moment(store.now()),
        });
        store.put(Table::Suppressions, &address, entry);
    }
}

/// What the world does with an e-mail later: `opened`, `clicked`, `delivered`, `bounced`, `soft_bounced`, `complained`,
/// `delivery_delayed`, `failed`, `suppressed`.
pub(crate) fn later(store: &mut Store, id: &str, step: &str) -> Option<Result<Value, String>> {
    let mut row = store.get(Table::Emails, id)?.clone();
    let known = matches!(
        step,
        "opened"
            | "clicked"
            | "delivered"
            | "bounced"
            | "soft_bounced"
            | "complained"
            | "delivery_delayed"
            | "failed"
            | "suppressed"
    );
    if !known {
        return Some(Err("unknown event of an e-mail".to_owned()));
    }
    note(store, &mut row, step);
    store.put(Table::Emails, id, row.clone());
    Some(Ok(shown(&row)))
}

/// As the API shows it, without the sandbox's own notes.
fn shown(row: &Value) -> Value {
    let mut row = row.clone();
    if let Some(fields) = row.as_object_mut() {
        fields.retain(|name, _| !name.starts_with('_'));
    }
    row
}

fn moment(seconds: i64) -> String {
    DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
