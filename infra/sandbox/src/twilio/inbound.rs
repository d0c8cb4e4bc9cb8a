//! What people text to us, and the words that Twilio answers itself: it keeps who opted out, and refuses texts to them.

use serde_json::{Value, json};

use super::{SENDER, advance, is_number, message};
use crate::config::Provider;
use crate::store::{NewEvent, Store, Table};

/// A text from a phone.
pub(crate) struct Incoming<'a> {
    pub from: &'a str,
    pub to: Option<&'a str>,
    pub body: &'a str,
    pub account: &'a str,
    pub service: Option<&'a str>,
    /// Where the messaging service's incoming texts go.
    pub url: Option<&'a str>,
}

/// Whether Twilio refuses texts to a number.
pub(super) fn is_opted_out(store: &Store, number: &str) -> bool {
    store.get(Table::OptOuts, number).is_some()
}

/// Whether Twilio answers stop words itself, and tells so with `OptOutType`: set up, by default only (it says nothing), or off.
pub(crate) fn answer_words(store: &mut Store, mode: &str) -> Result<Value, String> {
    if !matches!(mode, "advanced" | "default" | "off") {
        return Err("answers are advanced, default or off".to_owned());
    }
    store.put(Table::Settings, "opt_out_answers", json!(mode));
    Ok(json!({"mode": mode}))
}

fn kind(word: &str) -> Option<&'static str> {
    match word.trim().to_ascii_uppercase().as_str() {
        "STOP" | "UNSUBSCRIBE" | "END" | "QUIT" | "STOPALL" | "REVOKE" | "OPTOUT" | "CANCEL" => Some("STOP"),
        "HELP" | "INFO" => Some("HELP"),
        "START" | "YES" | "UNSTOP" => Some("START"),
        _ => None,
    }
}

const fn answer(kind: &str) -> &'static str {
    match kind.as_bytes() {
        b"STOP" => {
            "You have successfully been unsubscribed. You will not receive any more messages from this number. Reply START to \
             resubscribe."
        }
        b"START" => {
            "You have successfully been re-subscribed to messages from this number. Reply HELP for help. Reply STOP to \
             unsubscribe. Msg&Data Rates May Apply."
        }
        _ => "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    }
}

/// Somebody's phone sends a text: it is kept, announced, and answered where Twilio does so itself.
pub(crate) fn receive(store: &mut Store, incoming: &Incoming<'_>) -> Result<Value, String> {
    let to = incoming.to.unwrap_or(SENDER);
    if !is_number(incoming.from) || !is_number(to) {
        return Err("a number looks like +15555550100".to_owned());
    }
    let mode = store.get(Table::Settings, "opt_out_answers").and_then(Value::as_str).unwrap_or("advanced").to_owned();
    let answered = kind(incoming.body).filter(|_| mode != "off");
    match answered {
        Some("STOP") => store.put(Table::OptOuts, incoming.from, json!({"since": store.now()})),
        Some("START") => {
            store.remove(Table::OptOuts, incoming.from);
        }
        Some(_) | None => {}
    }
    let mut arrived = message(store, incoming.account, "inbound", to, incoming.from, incoming.body);
    arrived["messaging_service_sid"] = json!(incoming.service);
    let sid = arrived["sid"].as_str().unwrap_or_default().to_owned();
    store.put(Table::Messages, &sid, json!({"message": arrived, "callback": null, "created": store.now()}));
    if let Some(url) = incoming.url {
        let told = answered.filter(|_| mode == "advanced");
        announce(store, &arrived, url, told);
    }
    if let Some(kind) = answered {
        let mut reply = message(store, incoming.account, "outbound-reply", incoming.from, to, answer(kind));
        reply["messaging_service_sid"] = json!(incoming.service);
        let sid = reply["sid"].as_str().unwrap_or_default().to_owned();
        let mut row = json!({"message": reply, "callback": null, "created": store.now()});
        advance(store, &mut row, "sent", None);
        advance(store, &mut row, "delivered", None);
        store.put(Table::Messages, &sid, row);
    }
    Ok(arrived)
}

fn announce(store: &mut Store, arrived: &Value, url: &str, opt_out: Option<&str>) {
    let field = |name: &str| arrived[name].as_str().unwrap_or_default().to_owned();
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("ToCountry", "US")
        .append_pair("ToState", "")
        .append_pair("SmsMessageSid", &field("sid"))
        .append_pair("NumMedia", "0")
        .append_pair("FromCountry", "US")
        .append_pair("SmsSid", &field("sid"))
        .append_pair("SmsStatus", "received")
        .append_pair("Body", &field("body"))
        .append_pair("To", &field("to"))
        .append_pair("NumSegments", "1")
        .append_pair("MessageSid", &field("sid"))
        .append_pair("AccountSid", &field("account_sid"))
        .append_pair("From", &field("from"))
        .append_pair("ApiVersion", "2010-04-01");
    if arrived["messaging_service_sid"].is_string() {
        body.append_pair("MessagingServiceSid", &field("messaging_service_sid"));
    }
    if let Some(kind) = opt_out {
        body.append_pair("OptOutType", kind);
    }
    let id = store.new_id("tw_");
    store.record(&NewEvent {
        provider: Provider::Twilio,
        id,
        account: field("account_sid"),
        kind: "message.received".to_owned(),
        created: store.now(),
        body: body.finish(),
        callback: Some(json!({"url": url})),
    });
}
