//! Everything that came in and went out, newest kept, secrets left out.

use std::collections::VecDeque;

use poem::http::HeaderMap;
use serde_json::{Map, Value, json};

/// Enough for a load test's tail without holding all of its bodies.
const KEPT: usize = 20_000;
const KEPT_BYTES: usize = 64 * 1024 * 1024;
const BODY_LIMIT: usize = 256 * 1024;
const SECRET_HEADERS: [&str; 7] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "stripe-signature",
    "svix-signature",
    "webhook-signature",
    "x-twilio-signature",
];

#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: VecDeque<Value>,
    next: u64,
    bytes: usize,
}

fn size(entry: &Value) -> usize {
    entry["body"].as_str().map_or(0, str::len)
}

impl Journal {
    pub fn add(&mut self, mut entry: Value) -> u64 {
        let sequence = self.next;
        self.next += 1;
        entry["sequence"] = json!(sequence);
        self.bytes += size(&entry);
        self.entries.push_back(entry);
        while self.entries.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= size(&oldest);
        }
        sequence
    }

    pub fn amend(&mut self, sequence: u64, field: &str, value: Value) {
        let first = self.next - self.entries.len() as u64;
        let index = sequence.checked_sub(first).and_then(|offset| usize::try_from(offset).ok());
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) {
            entry[field] = value;
        }
    }

    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.entries.iter()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

pub(crate) fn headers(headers: &HeaderMap) -> Value {
    let mut out = Map::new();
    for (name, value) in headers {
        if !SECRET_HEADERS.contains(&name.as_str()) {
            out.insert(name.as_str().to_owned(), Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned()));
        }
    }
    Value::Object(out)
}

pub(crate) fn body(bytes: &[u8]) -> Value {
    let shown = &bytes[..bytes.len().min(BODY_LIMIT)];
    Value::String(String::from_utf8_lossy(shown).into_owned())
}
