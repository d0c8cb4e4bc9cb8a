//! Erasure: the keys are destroyed, what they sealed reads as erased from then on, and a timer sees to what the law keeps for now.

use chrono::{NaiveDate, NaiveTime};
use domain::resident::EndRetention;
use event_store::replay;
use events::{OrganizationId, Purpose, ResidentId};
use serde_json::Value;
use uuid::Uuid;

use super::Effects;
use crate::{
    Fault, intake,
    outbox::{Done, Task},
};

/// Where texts from unknown senders are kept.
const INSTALLATION: OrganizationId = OrganizationId(Uuid::nil());
/// Texts that are looked at together.
const TOGETHER: usize = 500;
/// Digits that make a telephone number, without its country.
const NUMBER: usize = 10;

/// Destroys keys, and empties what names the resident elsewhere. Safe to repeat, and to do beside another who does it.
pub async fn destroy(
    effects: &Effects,
    organization: OrganizationId,
    id: ResidentId,
    purposes: &[Purpose],
) -> Result<(), Fault> {
    let store = effects.engine.store();
    if purposes.contains(&Purpose::Contact) {
        if let Some(list) = effects.erasures.clone() {
            let path = list.path().display().to_string();
            let listed = tokio::task::spawn_blocking(move || list.add(organization, id.0)).await;
            listed.map_err(std::io::Error::other).flatten().map_err(|source| Fault::List { path, source })?;
        }
        // While it can still be read what to look for: a repeat after the keys are gone finds that it was done.
        let known = known_of(effects, organization, id).await?;
        intake::forget(store.pool(), store.keyring(), &known).await?;
        forget_unknown(effects, &known).await?;
    }
    if purposes.contains(&Purpose::Consent) {
        for stream in event_store::erasure::own_streams(store.pool(), organization, id.0).await? {
            store.keyring().destroy(organization, stream, &[Purpose::Consent]).await?;
        }
    }
    store.keyring().destroy(organization, id.0, purposes).await?;
    Ok(())
}

/// Texts that came from the resident's numbers before anybody knew whose they were.
async fn forget_unknown(effects: &Effects, known: &[String]) -> Result<(), Fault> {
    let store = effects.engine.store();
    if known.is_empty() {
        return Ok(());
    }
    let unknown = event_store::erasure::unknown_senders(store.pool()).await?;
    for some in unknown.chunks(TOGETHER) {
        let streams: Vec<(&str, Uuid)> = some.iter().map(|id| ("inbound-text", *id)).collect();
        for event in replay::of_streams(store, INSTALLATION, &streams, i64::MAX, i64::MAX).await? {
            let mut numbers = Vec::new();
            collect(event.payload.pointer("/UnknownSenderReceived/number").unwrap_or(&Value::Null), &mut numbers);
            if numbers.iter().any(|number| known.contains(number)) {
                store.keyring().destroy(INSTALLATION, event.stream_id, &[Purpose::Message]).await?;
            }
        }
    }
    Ok(())
}

/// Ends what is due, and says so; the event has the keys destroyed.
pub async fn end_retention(effects: &Effects, task: &Task, id: ResidentId, until: NaiveDate) -> Result<Done, Fault> {
    let when = until.and_time(NaiveTime::MIN).and_utc();
    if effects.engine.clock().now() < when {
        return Ok(Done::At { when, why: "kept by law until then" });
    }
    effects.engine.execute(EndRetention { resident_id: id }, &effects.ask(task)).await?;
    Ok(Done::Finished)
}

/// The addresses and numbers by which notices of providers may name the resident.
async fn known_of(effects: &Effects, organization: OrganizationId, id: ResidentId) -> Result<Vec<String>, Fault> {
    let consent = Uuid::new_v5(&id.0, b"sms-consent");
    let streams = [("resident", id.0), ("sms-consent", consent)];
    let events = replay::of_streams(effects.engine.store(), organization, &streams, i64::MAX, i64::MAX).await?;
    let mut known = Vec::new();
    for event in &events {
        collect(&event.payload, &mut known);
    }
    known.sort_unstable();
    known.dedup();
    Ok(known)
}

/// Opened e-mail addresses in lower case, and numbers as digits.
fn collect(value: &Value, known: &mut Vec<String>) {
    match value {
        Value::Object(map) => match map.get("$clear").and_then(|clear| clear.get("value")) {
            Some(Value::String(text)) if text.contains('@') => known.push(text.to_lowercase()),
            Some(Value::String(text)) => {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                // The country may be written or not; the number is the same.
                known.extend(digits.len().checked_sub(NUMBER).map(|start| digits[start..].to_owned()));
            }
            Some(_) => {}
            None => map.values().for_each(|inner| collect(inner, known)),
        },
        Value::Array(list) => list.iter().for_each(|inner| collect(inner, known)),
        _ => {}
    }
}
