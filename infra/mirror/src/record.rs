//! A stored event as it is written over there: its id, its type, its payload as it lies in our log, and what we know about it.

use event_store::follower::StoredEvent;
use eventstore::EventData;
use serde_json::{json, value::RawValue};
use uuid::Uuid;

/// Of the ids of mirrored events (UUIDv5).
const NAMESPACE: Uuid = Uuid::from_u128(0x9c0f_8f5e_6a1d_5d0b_9a53_1d1f_3f0e_7a21);

/// The id of an event, from its leaf: organization, stream, version, type, time, payload and metadata all enter it. So it is the same
/// however often the event is sent, and another one where history was rewritten.
pub fn event_id(leaf: &[u8]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, leaf)
}

/// What is sent.
pub(crate) fn event_data(event: &StoredEvent) -> Result<EventData, serde_json::Error> {
    // Not parsed and written again: what is sealed stays sealed, and the text stays the one that the leaf commits to.
    let payload = RawValue::from_string(event.payload.clone())?;
    let known = &event.metadata;
    let metadata = json!({
        "$correlationId": known.correlation,
        "$causationId": known.causation.clone().unwrap_or_else(|| known.command_id.to_string()),
        "organization": event.organization,
        "position": event.position,
        "version": event.version,
        "event_version": event.event_version,
        "recorded_at": event.recorded_at,
        "actor": known.actor,
        "command": known.command,
        "command_id": known.command_id,
        "leaf": hexadecimal(&event.leaf),
    });
    EventData::json(&event.event_type, &payload)?.id(event_id(&event.leaf)).metadata_as_json(&metadata)
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
