//! What was ever stored stays readable: a golden file per event and version, as the event store hands it on after opening.
//!
//! `<Event>.v<version>.json` has every field; `.erased` the same with its personal fields erased; other endings show further
//! variants. `words.json` lists the plain words of the enums. Files of old versions are never edited and never deleted.

mod json_schema;
mod upcasting;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use events::{
    AccessTokenEvent, AuditReadEvent, AutopayEvent, CreditEvent, DisclosureEvent, EmailMessageEvent, Event,
    InboundTextEvent, InvoiceEvent, JobEvent, OrganizationEvent, PaymentEvent, PropertyEvent, ResidentEvent,
    SignInEvent, SmsConsentEvent, StripeAccountEvent, SuppressionEvent, TextMessageEvent, UnitEvent, WebhookEvent,
    schema,
};
use json_schema::Checker;
use serde_json::{Value, json};

/// One aggregate's events: how they are read, and written again.
struct Kind {
    stream: &'static str,
    names: &'static [(&'static str, u32)],
    read: fn(&Value) -> serde_json::Result<(&'static str, Value)>,
}

fn kind<E: Event>() -> Kind {
    Kind {
        stream: E::STREAM,
        names: E::NAMES,
        read: |payload| {
            let event = E::deserialize(payload)?;
            Ok((event.name(), serde_json::to_value(&event)?))
        },
    }
}

fn kinds() -> [Kind; 20] {
    [
        kind::<OrganizationEvent>(),
        kind::<PropertyEvent>(),
        kind::<UnitEvent>(),
        kind::<ResidentEvent>(),
        kind::<InvoiceEvent>(),
        kind::<PaymentEvent>(),
        kind::<AutopayEvent>(),
        kind::<CreditEvent>(),
        kind::<StripeAccountEvent>(),
        kind::<EmailMessageEvent>(),
        kind::<SuppressionEvent>(),
        kind::<DisclosureEvent>(),
        kind::<SmsConsentEvent>(),
        kind::<TextMessageEvent>(),
        kind::<InboundTextEvent>(),
        kind::<AuditReadEvent>(),
        kind::<AccessTokenEvent>(),
        kind::<SignInEvent>(),
        kind::<JobEvent>(),
        kind::<WebhookEvent>(),
    ]
}

fn current() -> BTreeMap<&'static str, u32> {
    kinds().iter().flat_map(|kind| kind.names).copied().collect()
}

/// A golden file.
struct Golden {
    file: String,
    name: String,
    version: u32,
    case: Option<String>,
    payload: Value,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn json_in(file: &str) -> Value {
    let text = fs::read_to_string(folder().join(file)).expect("a readable file");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file} is no JSON: {error}"))
}

/// `ResidentErased.v1.json`, or `ResidentRegistered.v1.erased.json` with the case `erased`.
fn parts(file: &str) -> Option<(String, u32, Option<String>)> {
    let mut parts = file.strip_suffix(".json")?.split('.');
    let (name, version, case) = (parts.next()?, parts.next()?.strip_prefix('v')?.parse().ok()?, parts.next());
    parts.next().is_none().then(|| (name.to_owned(), version, case.map(ToOwned::to_owned)))
}

fn goldens() -> Vec<Golden> {
    let entries = fs::read_dir(folder()).expect("the folder of goldens");
    let mut files: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name")).collect();
    files.retain(|file| file != "words.json");
    files.sort();
    let golden = |file: String| {
        let (name, version, case) =
            parts(&file).unwrap_or_else(|| panic!("{file} is not named <Event>.v<version>.json"));
        Golden { name, version, case, payload: json_in(&file), file }
    };
    files.into_iter().map(golden).collect()
}

fn stored(stream: &str, name: &str, version: u32, payload: Value) -> SerializedEvent {
    let id = "0192f3c4-0010-7a01-8b1e-4d5c6f7a0001";
    SerializedEvent::new(id.into(), 1, stream.into(), name.into(), version.to_string(), payload, json!({}))
}

/// As the event store does it.
fn upcast(upcasters: &[Box<dyn EventUpcaster>], event: SerializedEvent) -> SerializedEvent {
    upcasters.iter().fold(event, |event, upcaster| {
        if upcaster.can_upcast(&event.event_type, &event.event_version) { upcaster.upcast(event) } else { event }
    })
}

/// The golden in today's shape, and the kind that it belongs to.
fn today(golden: &Golden) -> (Kind, SerializedEvent) {
    let event = upcast(&events::upcast::all(), stored("", &golden.name, golden.version, golden.payload.clone()));
    let of = kinds().into_iter().find(|kind| kind.names.iter().any(|(name, _)| *name == event.event_type));
    (of.unwrap_or_else(|| panic!("{} is astray: no event is called {}", golden.file, event.event_type)), event)
}

/// Replaces every `$clear`.
fn replace(value: &Value, with: &impl Fn(&Value) -> Value) -> Value {
    match value {
        Value::Object(map) => map
            .get("$clear")
            .map_or_else(|| map.iter().map(|(name, inner)| (name.clone(), replace(inner, with))).collect(), with),
        Value::Array(list) => list.iter().map(|inner| replace(inner, with)).collect(),
        plain => plain.clone(),
    }
}

fn erased(value: &Value) -> Value {
    replace(value, &|_| json!({ "$erased": true }))
}

/// As at rest, with made-up ciphertext.
fn sealed(value: &Value) -> Value {
    replace(value, &|clear| {
        json!({ "$sealed": {
            "subject": clear["subject"],
            "purpose": clear["purpose"],
            "key": "0192f3c4-00ff-7a01-8b1e-4d5c6f7a00ff",
            "nonce": "AAECAwQFBgcICQoL",
            "ciphertext": "c2VhbGVkLCBhcyBpdCBpcyBzdG9yZWQ=",
            "commitment": "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
        } })
    })
}

#[test]
fn every_event_and_version_has_a_golden_file_and_none_is_astray() {
    let goldens = goldens();
    let have: BTreeSet<_> = goldens.iter().filter(|g| g.case.is_none()).map(|g| (g.name.as_str(), g.version)).collect();
    let current = current();
    for (name, newest) in &current {
        for version in 1..=*newest {
            assert!(have.contains(&(*name, version)), "events/tests/golden/{name}.v{version}.json is missing");
        }
    }
    for golden in &goldens {
        let newest = current.get(golden.name.as_str()).copied().unwrap_or(u32::MAX);
        assert!((1..=newest).contains(&golden.version), "{} is of a version that never was", golden.file);
        assert!(have.contains(&(golden.name.as_str(), golden.version)), "{} has no full file beside it", golden.file);
    }
}

#[test]
fn the_enums_here_are_all_that_there_are() {
    let here: Vec<_> = kinds().iter().flat_map(|k| k.names.iter().map(|(name, v)| (k.stream, *name, *v))).collect();
    let there: Vec<_> = schema::all().iter().map(|s| (s.stream, s.name, s.version)).collect();
    assert_eq!(here, there);
}

#[test]
fn every_golden_file_is_read_as_todays_event() {
    for golden in goldens() {
        let (kind, event) = today(&golden);
        let (name, _) = (kind.read)(&event.payload).unwrap_or_else(|error| panic!("{}: {error}", golden.file));
        assert_eq!(name, event.event_type, "{}", golden.file);
    }
}

#[test]
fn a_golden_file_of_the_current_version_is_written_back_as_it_was() {
    let current = current();
    for golden in goldens() {
        if current.get(golden.name.as_str()) == Some(&golden.version) {
            let (kind, _) = today(&golden);
            let (_, again) = (kind.read)(&golden.payload).unwrap_or_else(|error| panic!("{}: {error}", golden.file));
            assert_eq!(again, golden.payload, "{}", golden.file);
        }
    }
}

#[test]
fn personal_fields_have_an_erased_file_beside_the_clear_one() {
    let goldens = goldens();
    for full in goldens.iter().filter(|golden| golden.case.is_none()) {
        let beside = goldens.iter().find(|golden| {
            (&golden.name, golden.version, golden.case.as_deref()) == (&full.name, full.version, Some("erased"))
        });
        let expected = erased(&full.payload);
        let expected = (expected != full.payload).then_some(&expected);
        assert_eq!(beside.map(|golden| &golden.payload), expected, "beside {}", full.file);
    }
}

#[test]
fn every_golden_file_obeys_the_generated_schema_and_together_they_use_all_of_it() {
    let mut goldens: Vec<_> = goldens().iter().map(|golden| (golden.file.clone(), today(golden).1)).collect();
    let (mut used, mut unused) = (BTreeSet::new(), BTreeSet::new());
    for schema in schema::all() {
        let mut checker = Checker::new(&schema.schema);
        let (of_it, rest): (Vec<_>, Vec<_>) = goldens.into_iter().partition(|(_, g)| g.event_type == schema.name);
        goldens = rest;
        for (file, event) in of_it {
            let body = &event.payload[schema.name];
            checker.check(&sealed(body)).unwrap_or_else(|error| panic!("{file}: {error}"));
            if sealed(body) != *body {
                assert!(checker.check(body).is_err(), "{file}: the schema lets personal data be stored in the clear");
            }
            let required: Vec<_> = schema.schema["required"].as_array().into_iter().flatten().collect();
            for name in required.into_iter().filter_map(Value::as_str) {
                let mut body = sealed(body);
                body.as_object_mut().expect("an object").remove(name);
                assert!(checker.check(&body).is_err(), "{file}: the schema does not miss {name}");
            }
        }
        // An event's own fields are its goldens' business; a definition is shared, any event's golden may show it.
        let (shared, own): (Vec<_>, Vec<_>) =
            checker.unused().into_iter().partition(|place| place.starts_with("#/$defs/"));
        assert_eq!(own, [""; 0], "in no golden file of {}", schema.name);
        used.extend(checker.used().clone());
        unused.extend(shared);
    }
    let unused: Vec<_> = unused.difference(&used).collect();
    assert_eq!(unused, [""; 0], "in no golden file at all");
    assert!(goldens.is_empty());
}

#[test]
fn a_field_that_the_schema_calls_optional_may_be_missing_and_a_required_one_not() {
    let schemas: BTreeMap<_, _> = schema::all().into_iter().map(|schema| (schema.name, schema.schema)).collect();
    for golden in goldens() {
        let (kind, event) = today(&golden);
        let required = schemas[event.event_type.as_str()]["required"].as_array().cloned().unwrap_or_default();
        let fields = event.payload[&event.event_type].as_object().expect("an object");
        for field in fields.keys() {
            let mut without = event.payload.clone();
            without[&event.event_type].as_object_mut().expect("an object").remove(field);
            let needed = required.iter().any(|name| name == field);
            assert_eq!((kind.read)(&without).is_err(), needed, "{} without {field}", golden.file);
        }
    }
}

/// Golden files show one word of an enum; the list holds the others to what was ever stored. Words are added, never taken away.
#[test]
fn the_words_of_enums_are_those_that_were_ever_stored() {
    let mut words = BTreeMap::<String, BTreeSet<String>>::new();
    for schema in schema::all() {
        let definitions = schema.schema["$defs"].as_object().cloned().unwrap_or_default();
        for (name, definition) in definitions {
            let plain = [&definition].into_iter().chain(definition["oneOf"].as_array().into_iter().flatten());
            let found = plain.flat_map(|part| part["enum"].as_array().into_iter().flatten().chain(part.get("const")));
            let found: Vec<_> = found.filter_map(Value::as_str).map(ToOwned::to_owned).collect();
            if !found.is_empty() {
                words.entry(name).or_default().extend(found);
            }
        }
    }
    let golden = serde_json::from_value(json_in("words.json")).expect("lists of words");
    assert_eq!(words, golden);
}
