//! One execution per key: replay for the same request, refusal for another, conflict while the first runs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::faults::FaultKind;
use crate::http::Reply;
use crate::shared::{Shared, hold, unsaved};
use crate::store::{Store, Table};

/// Both Stripe and Resend forget a key after a day.
const KEPT_SECONDS: i64 = 24 * 60 * 60;
const SWEEP_EVERY: usize = 1_000;

pub(crate) struct Key {
    /// Provider, account and key, so that accounts never meet.
    pub scope: String,
    pub path: String,
    pub fingerprint: String,
}

pub(crate) enum Conflict {
    OtherBody,
    OtherPath(String),
    InFlight,
}

pub(crate) struct Outcome {
    pub reply: Reply,
    /// Requests refused before they execute leave no trace under the key.
    pub save: bool,
}

struct InFlight<'a> {
    shared: &'a Shared,
    scope: &'a str,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        hold(&self.shared.in_flight).remove(self.scope);
    }
}

enum Found {
    Nothing,
    Answer(Reply),
    Conflict(Conflict),
}

fn lookup(store: &Store, key: &Key) -> Found {
    let Some(row) = store.get(Table::Idempotency, &key.scope) else {
        return Found::Nothing;
    };
    if store.now() - row["created"].as_i64().unwrap_or(0) >= KEPT_SECONDS {
        return Found::Nothing;
    }
    let path = row["path"].as_str().unwrap_or_default();
    if path != key.path {
        return Found::Conflict(Conflict::OtherPath(path.to_owned()));
    }
    if row["fingerprint"].as_str() != Some(&key.fingerprint) {
        return Found::Conflict(Conflict::OtherBody);
    }
    let status = row["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let body = row["body"].as_str().unwrap_or_default().to_owned();
    let mut reply = Reply::text(status.unwrap_or(500), body).with("Idempotent-Replayed", "true");
    if let Some(original) = row["request_id"].as_str().filter(|id| !id.is_empty()) {
        reply = reply.with("Original-Request", original);
    }
    Found::Answer(reply)
}

fn save(store: &mut Store, key: &Key, reply: &Reply) {
    let request_id = reply.headers.iter().find(|(name, _)| *name == "Request-Id").map(|(_, value)| value.clone());
    let row = json!({
        "path": key.path,
        "fingerprint": key.fingerprint,
        "status": reply.status,
        "body": String::from_utf8_lossy(&reply.body),
        "request_id": request_id,
        "created": store.now(),
    });
    store.put(Table::Idempotency, &key.scope, row);
    if store.len(Table::Idempotency).is_multiple_of(SWEEP_EVERY) {
        sweep(store);
    }
}

fn sweep(store: &mut Store) {
    let now = store.now();
    let old: Vec<String> = store
        .all(Table::Idempotency)
        .filter(|(_, row)| now - row["created"].as_i64().unwrap_or(0) >= KEPT_SECONDS)
        .map(|(key, _)| key.clone())
        .collect();
    for key in old {
        store.remove(Table::Idempotency, &key);
    }
}

/// `broken` stands for a scripted 500, which is executed instead of `work`.
pub(crate) async fn execute(
    shared: &Arc<Shared>,
    key: Option<Key>,
    fault: Option<&FaultKind>,
    broken: Outcome,
    conflict: impl Fn(Conflict) -> Reply,
    work: impl FnOnce(&mut Store) -> Outcome,
) -> Reply {
    let found = key.as_ref().map_or(Found::Nothing, |key| {
        shared.read(|store| {
            let found = lookup(store, key);
            // Marked while the store is held: no answer can be saved between the look and the mark.
            if matches!(found, Found::Nothing) && !hold(&shared.in_flight).insert(key.scope.clone()) {
                return Found::Conflict(Conflict::InFlight);
            }
            found
        })
    });
    match found {
        Found::Answer(reply) => return reply,
        Found::Conflict(kind) => return conflict(kind),
        Found::Nothing => {}
    }
    let _mark = key.as_ref().map(|key| InFlight { shared, scope: &key.scope });
    let pause = shared.config.latency / 2;
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    match fault {
        Some(FaultKind::Slow { ms }) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Some(FaultKind::TimeoutBeforeCommit { hold_ms }) => {
            tokio::time::sleep(Duration::from_millis(*hold_ms)).await;
            return broken.reply;
        }
        _ => {}
    }
    let reply = shared
        .change(|store| {
            let outcome = if matches!(fault, Some(FaultKind::ServerError)) { broken } else { work(store) };
            if let Some(key) = key.as_ref().filter(|_| outcome.save) {
                save(store, key, &outcome.reply);
            }
            outcome.reply
        })
        .unwrap_or_else(|error| unsaved(&error));
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    reply
}

/// A form's or object's content without the order in which it was written.
pub(crate) fn fingerprint(content: &Value) -> String {
    // `serde_json` maps are sorted here, so equal content is equal text.
    content.to_string()
}
