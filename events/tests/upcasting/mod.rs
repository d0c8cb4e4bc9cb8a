//! How an old shape is brought to today's, shown on a version 0 that never was: residents' names used to be one text.

use cqrs_es::persist::{EventUpcaster, SemanticVersionEventUpcaster};
use events::ResidentEvent;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{stored, upcast};

/// Version 1 split the name; what was erased before stays erased.
fn names_in_two_parts() -> Box<dyn EventUpcaster> {
    Box::new(SemanticVersionEventUpcaster::new(
        "ResidentRegistered",
        "1",
        Box::new(|mut payload| {
            if let Some(name) = payload.pointer_mut("/ResidentRegistered/name/$clear/value") {
                let parts = name.as_str().and_then(|text| text.split_once(' '));
                *name = match parts {
                    Some((first, last)) => json!({ "first": first, "last": last }),
                    None => json!({ "last": name }),
                };
            }
            payload
        }),
    ))
}

/// A later step that renames a field, to show a chain.
fn language_called_tongue() -> Box<dyn EventUpcaster> {
    Box::new(SemanticVersionEventUpcaster::new(
        "ResidentRegistered",
        "2",
        Box::new(|mut payload| {
            if let Some(body) = payload.get_mut("ResidentRegistered").and_then(Value::as_object_mut)
                && let Some(language) = body.remove("language")
            {
                body.insert("tongue".to_owned(), language);
            }
            payload
        }),
    ))
}

fn old(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn clear() -> Value {
    old(include_str!("ResidentRegistered.v0.json"))
}

fn erased() -> Value {
    old(include_str!("ResidentRegistered.v0.erased.json"))
}

#[test]
fn an_old_file_cannot_be_read_without_its_upcaster() {
    assert!(ResidentEvent::deserialize(&clear()).is_err());
}

#[test]
fn an_old_file_is_brought_to_todays_shape() {
    let event = upcast(&[names_in_two_parts()], stored("resident", "ResidentRegistered", 0, clear()));
    let name = event.payload.pointer("/ResidentRegistered/name/$clear/value");
    assert_eq!(name, Some(&json!({ "first": "Marisol", "last": "Vega" })));
    assert_eq!(event.event_version, "1.0.0");
    let Ok(ResidentEvent::ResidentRegistered { name, email, .. }) = ResidentEvent::deserialize(&event.payload) else {
        panic!("{} is not today's shape", event.payload)
    };
    assert_eq!(name.value().map(ToString::to_string).as_deref(), Some("Marisol Vega"));
    assert!(email.is_some_and(|email| email.value().is_some()), "the other fields stay as they were");
}

#[test]
fn an_erased_field_of_an_old_file_stays_erased() {
    let event = upcast(&[names_in_two_parts()], stored("resident", "ResidentRegistered", 0, erased()));
    assert_eq!(event.payload, erased());
    let Ok(ResidentEvent::ResidentRegistered { name, .. }) = ResidentEvent::deserialize(&event.payload) else {
        panic!("{} is not today's shape", event.payload)
    };
    assert_eq!(name.value(), None);
}

#[test]
fn a_chain_runs_every_step_once_from_the_version_that_was_stored() {
    let chain = [names_in_two_parts(), language_called_tongue()];
    let from_0 = upcast(&chain, stored("resident", "ResidentRegistered", 0, clear()));
    assert_eq!(from_0.event_version, "2.0.0");
    assert_eq!(from_0.payload.pointer("/ResidentRegistered/name/$clear/value/last"), Some(&json!("Vega")));
    assert_eq!(from_0.payload.pointer("/ResidentRegistered/tongue"), Some(&json!("es")));

    let v1 = upcast(&chain[..1], stored("resident", "ResidentRegistered", 0, clear())).payload;
    let from_1 = upcast(&chain, stored("resident", "ResidentRegistered", 1, v1));
    assert_eq!(from_1.payload, from_0.payload);
    let from_2 = upcast(&chain, stored("resident", "ResidentRegistered", 2, from_0.payload.clone()));
    assert_eq!((from_2.event_version.as_str(), from_2.payload), ("2", from_0.payload));
}

#[test]
fn whole_numbers_are_compared_as_numbers_and_other_events_are_left_alone() {
    let tenth = SemanticVersionEventUpcaster::new("ResidentRegistered", "10", Box::new(|payload| payload));
    for (version, older) in [("1", true), ("9", true), ("9.0.0", true), ("10", false), ("10.0.0", false), ("11", false)]
    {
        assert_eq!(tenth.can_upcast("ResidentRegistered", version), older, "{version}");
    }
    assert!(!tenth.can_upcast("ResidentRenamed", "1"));
    assert!(!tenth.can_upcast("ResidentRegistered", "not a number"));
}
