//! Twilio's Messages API: accepted texts, their status callbacks, and a few refusing numbers.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use poem::http::Method;
use serde_json::{Value, json};

use crate::config::Provider;
use crate::faults::FaultKind;
use crate::form;
use crate::http::{Call, Reply};
use crate::idempotency::{self, Outcome};
use crate::ids;
use crate::shared::{Shared, hold};
use crate::store::{NewEvent, Store, Table};

const BODY_CHARACTERS: usize = 1_600;

pub(crate) fn refusal(status: u16, code: u32, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({"code": code, "message": message, "more_info": format!("https://www.twilio.com/docs/errors/{code}"), "status": status}),
    )
}

pub(crate) async fn serve(shared: &Arc<Shared>, call: &Call, fault: Option<&FaultKind>) -> Reply {
    let segments = call.segments();
    let ["2010-04-01", "Accounts", account, rest @ ..] = segments.as_slice() else {
        return refusal(404, 20404, "The requested resource was not found");
    };
    if !admit(shared, call, account) {
        return refusal(401, 20003, "Authenticate");
    }
    idempotency::execute(
        shared,
        None,
        fault,
        Outcome { reply: refusal(500, 20500, "Internal server error"), save: false },
        // Twilio has no idempotency keys, so nothing can conflict.
        |_| refusal(500, 20500, "Internal server error"),
        |store| Outcome { reply: route(store, call, account, rest), save: false },
    )
    .await
}

fn admit(shared: &Shared, call: &Call, account: &str) -> bool {
    let credentials = call
        .header("authorization")
        .and_then(|header| header.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((user, token)) = credentials.as_deref().and_then(|text| text.split_once(':')) else {
        return false;
    };
    if user != account || token.is_empty() {
        return false;
    }
    if let Some(only) = &shared.config.twilio {
        return only.account_sid == account && only.auth_token == token;
    }
    hold(&shared.twilio_tokens).insert(account.to_owned(), token.to_owned());
    true
}

fn route(store: &mut Store, call: &Call, account: &str, rest: &[&str]) -> Reply {
    match (&call.method, rest) {
        (&Method::POST, ["Messages.json"]) => send(store, account, &form::tree(&call.body)),
        (&Method::GET, ["Messages", file]) => {
            let sid = file.strip_suffix(".json").unwrap_or(file);
            match store.get(Table::Messages, sid) {
                Some(row) if row["message"]["account_sid"] == json!(account) => Reply::json(200, &row["message"]),
                _ => refusal(404, 20404, "The requested resource was not found"),
            }
        }
        (&Method::GET, ["Messages.json"]) => {
            let messages: Vec<Value> = store
                .all(Table::Messages)
                .rev()
                .map(|(_, row)| row["message"].clone())
                .filter(|message| message["account_sid"] == json!(account))
                .collect();
            let uri = format!("/2010-04-01/Accounts/{account}/Messages.json");
            Reply::json(
                200,
                &json!({"messages": messages, "page": 0, "page_size": messages.len(), "start": 0,
                    "end": messages.len().saturating_sub(1), "first_page_uri": uri, "next_page_uri": null,
                    "previous_page_uri": null, "uri": uri}),
            )
        }
        _ => refusal(404, 20404, "The requested resource was not found"),
    }
}

fn send(store: &mut Store, account: &str, form: &Value) -> Reply {
    let text = |name: &str| form[name].as_str().filter(|text| !text.is_empty());
    let Some(to) = text("To") else {
        return refusal(400, 21604, "A 'To' phone number is required.");
    };
    let service = text("MessagingServiceSid");
    let from = text("From");
    if service.is_none() && from.is_none() {
        return refusal(400, 21603, "A 'From' phone number is required.");
    }
    let Some(body) = text("Body") else {
        return refusal(400, 21602, "Message body is required.");
    };
    if body.chars().count() > BODY_CHARACTERS {
        return refusal(400, 21617, "The concatenated message body exceeds the 1600 character limit.");
    }
    let digits = to.strip_prefix('+').unwrap_or_default();
    let international = (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    // Twilio's own magic numbers.
    match to {
        _ if !international => return refusal(400, 21211, "The 'To' number is not a valid phone number."),
        "+15005550001" => return refusal(400, 21211, "The 'To' number is not a valid phone number."),
        "+15005550002" => return refusal(400, 21612, "The message cannot be routed to the 'To' number."),
        "+15005550004" => return refusal(400, 21610, "Attempt to send to unsubscribed recipient"),
        "+15005550009" => return refusal(400, 21614, "The 'To' number is not a valid mobile number."),
        _ => {}
    }
    let sid = format!("SM{}", ids::hexadecimal());
    let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}");
    let now = moment(store.now());
    let first = if service.is_some() { "accepted" } else { "queued" };
    let message = json!({
        "account_sid": account,
        "api_version": "2010-04-01",
        "body": body,
        "date_created": now,
        "date_sent": null,
        "date_updated": now,
        "direction": "outbound-api",
        "error_code": null,
        "error_message": null,
        "from": from,
        "messaging_service_sid": service,
        "num_media": "0",
        "num_segments": if service.is_some() { "0" } else { "1" },
        "price": null,
        "price_unit": "USD",
        "sid": sid,
        "status": first,
        "subresource_uris": {"media": format!("{uri}/Media.json")},
        "to": to,
        "uri": format!("{uri}.json"),
    });
    let mut row = json!({"message": message, "callback": text("StatusCallback"), "created": store.now()});
    for status in ["sent", "delivered"] {
        advance(store, &mut row, status, None);
    }
    store.put(Table::Messages, &sid, row);
    Reply::json(201, &message)
}

fn advance(store: &mut Store, row: &mut Value, status: &str, error: Option<u32>) {
    let now = store.now();
    let message = &mut row["message"];
    message["status"] = json!(status);
    message["error_code"] = json!(error);
    message["date_updated"] = json!(moment(now));
    if status == "sent" {
        message["date_sent"] = json!(moment(now));
    }
    let Some(url) = row["callback"].as_str() else { return };
    let message = &row["message"];
    let field = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let account = field("account_sid");
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("AccountSid", &account)
        .append_pair("ApiVersion", "2010-04-01")
        .append_pair("MessageSid", &field("sid"))
        .append_pair("MessageStatus", status)
        .append_pair("SmsSid", &field("sid"))
        .append_pair("SmsStatus", status)
        .append_pair("To", &field("to"));
    for (name, value) in [("From", field("from")), ("MessagingServiceSid", field("messaging_service_sid"))] {
        if !value.is_empty() {
            body.append_pair(name, &value);
        }
    }
    if let Some(code) = error {
        body.append_pair("ErrorCode", &code.to_string());
    }
    let id = store.new_id("tw_");
    store.record(&NewEvent {
        provider: Provider::Twilio,
        id,
        account,
        kind: format!("message.{status}"),
        created: now,
        body: body.finish(),
        callback: Some(json!({"url": url})),
    });
}

/// What the carrier says later: any status, with an error code where it fails.
pub(crate) fn later(store: &mut Store, sid: &str, status: &str, error: Option<u32>) -> Option<Result<Value, String>> {
    let mut row = store.get(Table::Messages, sid)?.clone();
    if !matches!(status, "queued" | "sending" | "sent" | "delivered" | "undelivered" | "failed" | "read") {
        return Some(Err("unknown status of a message".to_owned()));
    }
    advance(store, &mut row, status, error);
    store.put(Table::Messages, sid, row.clone());
    Some(Ok(row["message"].clone()))
}

fn moment(seconds: i64) -> String {
    DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default().to_rfc2822()
}
