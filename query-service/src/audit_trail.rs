//! What the events of consents and texts amount to: the state as of a moment, each text with what it stood on, differences.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use events::{Recorded, SmsConsentEvent, TextMessageEvent, text_message::TextClass};
use projections::{
    FoldError, ReadModel,
    sms_consent::{SmsConsentRow, SmsConsents},
    text_message::{TextMessages, TextRow},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The history in order and its state.
#[derive(Debug)]
pub struct Trail {
    pub events: Vec<Recorded>,
    pub state: State,
}

/// What stands after some events.
#[derive(Debug, Default)]
pub struct State {
    pub consents: BTreeMap<Uuid, SmsConsentRow>,
    pub texts: BTreeMap<Uuid, TextRow>,
}

impl State {
    fn apply(&mut self, event: &Recorded) -> Result<(), FoldError> {
        let id = event.stream_id;
        if event.stream == "sms-consent" {
            let row = SmsConsents::fold(self.consents.remove(&id), id, event)?;
            self.consents.extend(row.map(|row| (id, row)));
        } else if event.stream == "text" {
            let row = TextMessages::fold(self.texts.remove(&id), id, event)?;
            self.texts.extend(row.map(|row| (id, row)));
        }
        Ok(())
    }

    fn after<'a>(events: impl Iterator<Item = &'a Recorded>) -> Result<Self, FoldError> {
        let mut state = Self::default();
        for event in events {
            state.apply(event)?;
        }
        Ok(state)
    }

    fn json(&self) -> Value {
        json!({
            "consents": self.consents.values().map(consent).collect::<Vec<_>>(),
            "texts": self.texts.values().map(text).collect::<Vec<_>>(),
        })
    }
}

/// Without the place where numbers are looked up.
fn consent(row: &SmsConsentRow) -> Value {
    let mut shown = serde_json::to_value(row).unwrap_or_default();
    if let Some(fields) = shown.as_object_mut() {
        for hidden in ["organization_id", "number_key", "pending_key"] {
            fields.remove(hidden);
        }
        let badge = if row.status == "Granted" { "Opted In" } else { "Not Opted In" };
        fields.insert("badge".to_owned(), badge.into());
    }
    shown
}

fn text(row: &TextRow) -> Value {
    let mut shown = serde_json::to_value(row).unwrap_or_default();
    if let Some(fields) = shown.as_object_mut() {
        for hidden in ["organization_id", "number_key"] {
            fields.remove(hidden);
        }
    }
    shown
}

/// Of the residents' records only what was erased, what is kept, by which rule and until when.
pub fn keep_erasures(events: &mut Vec<Recorded>) {
    events.retain(|event| event.stream != "resident" || event.event_type == "ResidentErased");
}

/// What is personal of these residents reads as erased, although its key is kept: what is sealed for themselves, or for the
/// stream of their consent.
pub fn withhold(events: &mut [Recorded], erased: &BTreeSet<Uuid>) {
    let subjects: BTreeSet<String> = erased
        .iter()
        .flat_map(|resident| [*resident, Uuid::new_v5(resident, b"sms-consent")])
        .map(|subject| subject.to_string())
        .collect();
    for event in events.iter_mut().filter(|_| !subjects.is_empty()) {
        withhold_value(&mut event.payload, &subjects);
    }
}

fn withhold_value(value: &mut Value, subjects: &BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let subject = map.get("$clear").and_then(|clear| clear.get("subject")).and_then(Value::as_str);
            if subject.is_some_and(|subject| subjects.contains(subject)) {
                *value = json!({ "$erased": true });
                return;
            }
            map.values_mut().for_each(|inner| withhold_value(inner, subjects));
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| withhold_value(inner, subjects)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Trail {
    /// The events up to an instant; of one number only what concerns it.
    pub fn of(mut events: Vec<Recorded>, number: Option<Uuid>, at: Option<DateTime<Utc>>) -> Result<Self, FoldError> {
        events.retain(|event| at.is_none_or(|at| event.recorded_at <= at));
        if let Some(number) = number {
            events.retain(|event| named(event).is_none_or(|other| other == number));
            // Texts that went to another of the resident's numbers.
            let elsewhere: Vec<Uuid> = {
                let state = State::after(events.iter().filter(|event| event.stream == "text"))?;
                let sent = state.texts.values().filter(|text| text.number_key.is_some_and(|key| key != number));
                sent.map(|text| text.text_id).collect()
            };
            events.retain(|event| event.stream != "text" || !elsewhere.contains(&event.stream_id));
        }
        let state = State::after(events.iter())?;
        Ok(Self { events, state })
    }

    pub fn json(&self, about: &Value, since: Option<DateTime<Utc>>) -> Value {
        json!({
            "about": about,
            "state": self.state.json(),
            "differences": since.map(|since| self.differences(since)),
            "events": self.events.iter().map(shown).collect::<Vec<_>>(),
        })
    }

    /// Field by field what is another since then.
    pub fn differences(&self, since: DateTime<Utc>) -> Value {
        let before = State::after(self.events.iter().filter(|event| event.recorded_at <= since)).unwrap_or_default();
        let mut changes = Vec::new();
        for (id, row) in &self.state.consents {
            compare("sms-consent", *id, before.consents.get(id).map(consent), consent(row), &mut changes);
        }
        for (id, row) in &self.state.texts {
            compare("text", *id, before.texts.get(id).map(text), text(row), &mut changes);
        }
        let events = self.events.iter().filter(|event| event.recorded_at > since).count();
        json!({ "since": since, "events": events, "before": before.json(), "changes": changes })
    }
}

fn compare(stream: &str, id: Uuid, before: Option<Value>, after: Value, changes: &mut Vec<Value>) {
    let before = before.unwrap_or_default();
    let Value::Object(after) = after else { return };
    for (field, now) in after {
        let was = before.get(&field).cloned().unwrap_or_default();
        if was != now {
            changes.push(json!({ "stream": stream, "id": id, "field": field, "before": was, "after": now }));
        }
    }
}

/// An event as auditors see it: whole, with what is personal as far as its key still stands.
pub fn shown(event: &Recorded) -> Value {
    let mut body = event.payload.get(&event.event_type).cloned().unwrap_or_default();
    open(&mut body);
    json!({
        "position": event.position,
        "at": event.recorded_at,
        "stream": event.stream,
        "stream_id": event.stream_id,
        "version": event.version,
        "event": event.event_type,
        "actor": event.metadata.actor,
        "role": event.metadata.role,
        "command": event.metadata.command,
        "cause": event.metadata.causation,
        "body": body,
    })
}

/// Replaces `$clear` by its value; what was erased says so.
fn open(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(clear) = map.get_mut("$clear") {
                let inner = clear.get_mut("value").map(Value::take).unwrap_or_default();
                *value = inner;
                return;
            }
            map.remove("number_key");
            map.values_mut().for_each(open);
        }
        Value::Array(list) => list.iter_mut().for_each(open),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The number that an event of a consent is about.
fn named(event: &Recorded) -> Option<Uuid> {
    (event.stream == "sms-consent").then_some(())?;
    let key = event.payload.get(&event.event_type)?.get("number_key")?;
    key.as_str()?.parse().ok()
}

/// What a control found.
#[derive(Debug, Default)]
pub struct Control {
    pub checked: usize,
    /// Texts of the programme that went out without a consent that stood.
    pub without: Vec<Value>,
}

/// Checks each text of the programme that was sent against the consent's own stream: there must be leave for it, under a grant of
/// this number that nothing had ended before.
pub fn control(events: &[Recorded]) -> Result<Control, FoldError> {
    let mut consents: Consents = BTreeMap::new();
    let mut classes: BTreeMap<Uuid, TextClass> = BTreeMap::new();
    let mut found = Control::default();
    for event in events {
        if let Some(change) = event.event::<SmsConsentEvent>()? {
            consents.entry(format!("sms-consent/{}", event.stream_id)).or_default().push((
                event.version,
                event.position,
                change,
            ));
        }
    }
    for event in events {
        match event.event::<TextMessageEvent>()? {
            Some(TextMessageEvent::TextRequested { content, .. }) => {
                classes.insert(event.stream_id, content.class());
            }
            Some(TextMessageEvent::TextSending { number_key, authority, grounds, .. })
                if classes.get(&event.stream_id) == Some(&TextClass::Programme) =>
            {
                found.checked += 1;
                let why = unlawful(&consents, event, number_key.0, &authority, grounds.consent.as_deref());
                if let Some(why) = why {
                    let (text_id, position) = (event.stream_id, event.position);
                    found.without.push(json!({ "text_id": text_id, "position": position, "why": why }));
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Each consent's stream: version, position, event.
type Consents = BTreeMap<String, Vec<(i64, i64, SmsConsentEvent)>>;

fn unlawful(
    consents: &Consents,
    sending: &Recorded,
    number: Uuid,
    authority: &str,
    consent: Option<&str>,
) -> Option<&'static str> {
    let Some((stream, version)) = authority.rsplit_once('/') else { return Some("it names no leave") };
    let Ok(leave) = version.parse::<i64>() else { return Some("it names no leave") };
    let Some(history) = consents.get(stream) else { return Some("there is no such consent") };
    let of = |wanted: i64| history.iter().find(|(version, ..)| *version == wanted).map(|(.., event)| event);
    let Some(SmsConsentEvent::TextAuthorized { text_id, number_key, consent: Some(granted), expires_at, .. }) =
        of(leave)
    else {
        return Some("the event that it names gave no leave");
    };
    if text_id.0 != sending.stream_id || number_key.0 != number {
        return Some("the leave was for another text or number");
    }
    if consent != Some(&format!("{stream}/{granted}")) {
        return Some("it names another consent than its leave");
    }
    let Some(SmsConsentEvent::ConsentGranted { number_key, .. } | SmsConsentEvent::ConsentRestored { number_key, .. }) =
        of(*granted)
    else {
        return Some("the event that it stands on granted nothing");
    };
    if number_key.0 != number {
        return Some("the consent was for another number");
    }
    if sending.recorded_at > *expires_at {
        return Some("the leave had expired");
    }
    // Up to the sending itself: an end between leave and sending counts as well.
    let ended = history.iter().any(|(version, position, event)| {
        let (SmsConsentEvent::ConsentRevoked { number_key, .. }
        | SmsConsentEvent::ConsentInvalidated { number_key, .. }) = event
        else {
            return false;
        };
        *version > *granted && *position < sending.position && number_key.0 == number
    });
    ended.then_some("the consent had ended before it was sent")
}
