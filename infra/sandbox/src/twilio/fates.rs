//! What becomes of a text, by its recipient: Twilio's own magic numbers, fictitious numbers with a fate, and what was scripted.

use serde_json::{Value, json};

use crate::store::{Store, Table};

/// What happens to a text.
pub(super) struct Fate {
    /// Refused with this code before anything happens.
    pub refused: Option<u32>,
    /// The statuses that callbacks tell, in this order.
    pub statuses: Vec<String>,
    /// Told with `undelivered` and `failed`.
    pub error: Option<u32>,
}

/// Numbers of 555-0150 to 555-0169, in any area, have a fate of their own.
const UNDELIVERED: [(&str, &str, u32); 10] = [
    ("5550150", "undelivered", 30003),
    ("5550151", "undelivered", 30005),
    ("5550152", "undelivered", 30006),
    ("5550153", "undelivered", 30007),
    ("5550154", "undelivered", 30008),
    ("5550155", "undelivered", 30034),
    ("5550156", "failed", 30036),
    ("5550157", "undelivered", 30022),
    ("5550158", "failed", 30001),
    ("5550159", "undelivered", 21610),
];
const REFUSED: [(&str, u32); 6] = [
    ("5550160", 21610),
    ("5550161", 21211),
    ("5550162", 21611),
    ("5550163", 21612),
    ("5550164", 21614),
    ("5550165", 30034),
];
/// Accepted, and nothing is ever heard of it.
const SILENT: &str = "5550169";

impl Fate {
    pub(super) fn of(store: &Store, to: &str) -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let delivered = Self { refused: None, statuses: words(&["sent", "delivered"]), error: None };
        if let Some(script) = store.get(Table::TextScripts, to) {
            let code = |name: &str| script[name].as_u64().and_then(|code| u32::try_from(code).ok());
            let statuses = script["statuses"]
                .as_array()
                .map_or(delivered.statuses, |told| told.iter().filter_map(Value::as_str).map(str::to_owned).collect());
            return Self { refused: code("refuse"), statuses, error: code("error_code") };
        }
        // Twilio's own.
        let magic = match to {
            "+15005550001" => Some(21211),
            "+15005550002" => Some(21612),
            "+15005550004" => Some(21610),
            "+15005550009" => Some(21614),
            _ => REFUSED.iter().find(|(number, _)| to.ends_with(number)).map(|(_, code)| *code),
        };
        if magic.is_some() {
            return Self { refused: magic, ..delivered };
        }
        if to.ends_with(SILENT) {
            return Self { statuses: Vec::new(), ..delivered };
        }
        match UNDELIVERED.iter().find(|(number, ..)| to.ends_with(number)) {
            // What never left Twilio was never sent.
            Some((_, "failed", code)) => Self { statuses: words(&["failed"]), error: Some(*code), refused: None },
            Some((_, status, code)) => Self { statuses: words(&["sent", status]), error: Some(*code), refused: None },
            None => delivered,
        }
    }
}

pub(super) fn is_status(word: &str) -> bool {
    matches!(word, "queued" | "sending" | "sent" | "delivered" | "undelivered" | "failed" | "read" | "canceled")
}

/// `{"statuses": [..], "error_code": 30003}` or `{"refuse": 21610}`, until `{}` takes it back.
pub(super) fn script(store: &mut Store, number: &str, script: &Value) -> Result<Value, String> {
    let known = |name: &String| matches!(name.as_str(), "statuses" | "error_code" | "refuse");
    let fields = script.as_object().filter(|fields| fields.keys().all(known)).ok_or("not a script of a number")?;
    let told = script["statuses"].as_array().into_iter().flatten();
    if !told.into_iter().all(|word| word.as_str().is_some_and(is_status)) {
        return Err("unknown status of a message".to_owned());
    }
    if fields.is_empty() {
        store.remove(Table::TextScripts, number);
    } else {
        store.put(Table::TextScripts, number, script.clone());
    }
    Ok(json!({"number": number, "script": script}))
}

/// Twilio's words for a code.
pub(super) const fn message(code: u32) -> &'static str {
    match code {
        20429 => "Too Many Requests",
        21211 => "The 'To' number is not a valid phone number.",
        21610 => "Attempt to send to unsubscribed recipient",
        21611 => "This 'From' number has exceeded the maximum number of queued messages",
        21612 => "The message cannot be routed to the 'To' number.",
        21614 => "The 'To' number is not a valid mobile number.",
        30001 => "Queue overflow",
        30003 => "Unreachable destination handset",
        30005 => "Unknown destination handset",
        30006 => "Landline or unreachable carrier",
        30007 => "Message filtered",
        30008 => "Unknown error",
        30022 => "US A2P 10DLC - Rate Limits Exceeded",
        30034 => "US A2P 10DLC - Message from an Unregistered Number",
        30036 => "Validity Period Expired",
        _ => "Error",
    }
}
