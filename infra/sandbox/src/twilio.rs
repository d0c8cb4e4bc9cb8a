//! Twilio's Messages API: accepted texts, their status callbacks in the order that their number's fate says, and opt-outs.

mod fates;
pub(crate) mod inbound;
mod list;
pub(crate) mod phone;

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
use fates::Fate;

const BODY_CHARACTERS: usize = 1_600;
const LONGEST_VALIDITY: u32 = 36_000;
/// The number that a messaging service sends from, whichever service it is.
pub(crate) const SENDER: &str = "+15555550199";

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
        (&Method::GET, ["Messages.json"]) => list::page(store, account, &form::tree(call.query.as_bytes())),
        _ => refusal(404, 20404, "The requested resource was not found"),
    }
}

/// A number as Twilio writes it.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
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
    let validity = text("ValidityPeriod").map(str::parse::<u32>);
    if validity.is_some_and(|period| !period.is_ok_and(|period| (1..=LONGEST_VALIDITY).contains(&period))) {
        return refusal(400, 21714, "The ValidityPeriod must be between 1 and 36000 seconds.");
    }
    if text("StatusCallback").is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        return refusal(400, 21609, "The 'StatusCallback' URL is not a valid URL.");
    }
    if !is_number(to) {
        return refusal(400, 21211, "The 'To' number is not a valid phone number.");
    }
    let fate = Fate::of(store, to);
    if inbound::is_opted_out(store, to) {
        return refusal(400, 21610, "Attempt to send to unsubscribed recipient");
    }
    if let Some(code) = fate.refused {
        let status = if code == 20429 { 429 } else { 400 };
        return refusal(status, code, fates::message(code));
    }
    let mut message = message(store, account, "outbound-api", to, from.unwrap_or_default(), body);
    message["messaging_service_sid"] = json!(service);
    message["from"] = json!(from);
    message["status"] = json!(if service.is_some() { "accepted" } else { "queued" });
    message["num_segments"] = json!(if service.is_some() { "0" } else { "1" });
    let sid = message["sid"].as_str().unwrap_or_default().to_owned();
    let mut row = json!({"message": message, "callback": text("StatusCallback"), "created": store.now()});
    for status in &fate.statuses {
        advance(store, &mut row, status, fate.error.filter(|_| matches!(status.as_str(), "undelivered" | "failed")));
    }
    store.put(Table::Messages, &sid, row);
    // Whom people write to from now on.
    store.put(Table::Settings, "text_sender", json!({"account": account, "service": service}));
    Reply::json(201, &message)
}

/// A message of either direction.
fn message(store: &Store, account: &str, direction: &str, to: &str, from: &str, body: &str) -> Value {
    let sid = format!("SM{}", ids::hexadecimal());
    let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}");
    let now = moment(store.now());
    json!({
        "account_sid": account,
        "api_version": "2010-04-01",
        "body": body,
        "date_created": now,
        "date_sent": null,
        "date_updated": now,
        "direction": direction,
        "error_code": null,
        "error_message": null,
        "from": from,
        "messaging_service_sid": null,
        "num_media": "0",
        "num_segments": "1",
        "price": null,
        "price_unit": "USD",
        "sid": sid,
        "status": "received",
        "subresource_uris": {"media": format!("{uri}/Media.json")},
        "to": to,
        "uri": format!("{uri}.json"),
    })
}

fn advance(store: &mut Store, row: &mut Value, status: &str, error: Option<u32>) {
    let now = store.now();
    let message = &mut row["message"];
    message["status"] = json!(status);
    message["error_code"] = json!(error);
    message["error_message"] = json!(error.map(fates::message));
    message["date_updated"] = json!(moment(now));
    if message["from"].is_null() {
        message["from"] = json!(SENDER);
    }
    message["num_segments"] = json!("1");
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
    if !fates::is_status(status) {
        return Some(Err("unknown status of a message".to_owned()));
    }
    advance(store, &mut row, status, error);
    store.put(Table::Messages, sid, row.clone());
    Some(Ok(row["message"].clone()))
}

/// Scripts what happens to texts to a number from now on; an empty script takes that back.
pub(crate) fn script(store: &mut Store, number: &str, script: &Value) -> Result<Value, String> {
    fates::script(store, number, script)
}

fn moment(seconds: i64) -> String {
    DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default().to_rfc2822()
}
