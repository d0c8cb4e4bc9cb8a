//! From stored events to public ones: decided for every event of every aggregate, at compile time.

use std::sync::OnceLock;

use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use events::Event;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Declared, Public, Tell};

macro_rules! aggregates {
    ($( $variant:ident($fact:ty), $belongs:ident );* $(;)?) => {
        /// What is told of an event.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum PublicEvent { $( $variant($fact) ),* }

        impl PublicEvent {
            pub fn declared(&self) -> &'static Declared {
                match self { $( Self::$variant(fact) => fact.declared() ),* }
            }
        }

        /// Every public type, by aggregate, in the order of declaration.
        pub fn types() -> impl Iterator<Item = (&'static str, &'static Declared)> {
            [$( (<<$fact as Tell>::Event as Event>::STREAM, <$fact as Public>::TYPES) ),*]
                .into_iter()
                .flat_map(|(stream, types)| types.iter().map(move |declared| (stream, declared)))
        }

        /// To which property the events of a stream belong.
        pub fn belongs(stream: &str) -> Belongs {
            $( if stream == <<$fact as Tell>::Event as Event>::STREAM { return Belongs::$belongs; } )*
            Belongs::Organization
        }

        pub(crate) fn schemas() -> Vec<(&'static str, &'static [Declared], Value)> {
            vec![$( (
                <<$fact as Tell>::Event as Event>::STREAM,
                <$fact as Public>::TYPES,
                crate::schema::root::<$fact>(),
            ) ),*]
        }

        fn read(stream: &str, id: Uuid, payload: &str) -> Result<Told, serde_json::Error> {
            $( if stream == <<$fact as Tell>::Event as Event>::STREAM {
                let event: <$fact as Tell>::Event = serde_json::from_str(payload)?;
                let property = <$fact as Tell>::property(&event).map(|property| property.0);
                return Ok(Told { event: <$fact as Tell>::tell(id, event).map(PublicEvent::$variant), property });
            } )*
            Ok(Told::default())
        }
    };
}

aggregates! {
    Organization(crate::organization::OrganizationFact), Organization;
    Property(crate::property::PropertyFact), Itself;
    Unit(crate::unit::UnitFact), Opening;
    Resident(crate::resident::ResidentFact), Residency;
    Invoice(crate::invoice::InvoiceFact), Opening;
    Payment(crate::payment::PaymentFact), Opening;
    Autopay(crate::autopay::AutopayFact), Opening;
    Credit(crate::credit::CreditFact), Opening;
    StripeAccount(crate::stripe_account::StripeAccountFact), Organization;
    Email(crate::email::EmailFact), Opening;
    Suppression(crate::suppression::SuppressionFact), Organization;
    SmsConsent(crate::sms_consent::SmsConsentFact), Organization;
    Text(crate::text_message::TextFact), Opening;
    Job(crate::job::JobFact), Opening;
}

/// Aggregates of which nothing is told: who may come in, what strangers write, who read the records, the words
/// beside a box, and to whom events are sent.
pub const UNTOLD: &[&str] = &["access-token", "audit-read", "disclosure", "inbound-text", "sign-in", "webhook"];

/// How an aggregate's events find their property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongs {
    /// The aggregate is the property.
    Itself,
    /// The first event of the stream names it, for good.
    Opening,
    /// A resident's: those that name a property belong to it, and all reach every property that the resident has moved into before.
    Residency,
    /// No property's: only readers of the whole organization see them.
    Organization,
}

/// What is told of a stored event, and the property that the event itself names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    pub event: Option<PublicEvent>,
    pub property: Option<Uuid>,
}

/// A stored event that today's code cannot read.
#[derive(Debug, thiserror::Error)]
#[error("{event_type} of {stream}/{id} cannot be told")]
pub struct Unreadable {
    pub stream: String,
    pub id: Uuid,
    pub event_type: String,
    #[source]
    pub source: serde_json::Error,
}

/// Tells a stored event, sealed fields and all: nothing sealed is needed, and no key is at hand here.
pub fn tell(stream: &str, id: Uuid, event_type: &str, version: &str, payload: &str) -> Result<Told, Unreadable> {
    let failed = |source| Unreadable { stream: stream.to_owned(), id, event_type: event_type.to_owned(), source };
    let old = upcasters().iter().any(|upcaster| upcaster.can_upcast(event_type, version));
    if !old && !payload.contains("\"$sealed\"") {
        return read(stream, id, payload).map_err(failed);
    }
    let mut value: Value = serde_json::from_str(payload).map_err(failed)?;
    erase(&mut value);
    let stored = SerializedEvent {
        aggregate_id: id.to_string(),
        sequence: 0,
        aggregate_type: stream.to_owned(),
        event_type: event_type.to_owned(),
        event_version: version.to_owned(),
        payload: value,
        metadata: Value::Null,
    };
    let current = upcasters().iter().fold(stored, |event, upcaster| {
        if upcaster.can_upcast(&event.event_type, &event.event_version) { upcaster.upcast(event) } else { event }
    });
    read(stream, id, &current.payload.to_string()).map_err(failed)
}

fn upcasters() -> &'static [Box<dyn EventUpcaster>] {
    static UPCASTERS: OnceLock<Vec<Box<dyn EventUpcaster>>> = OnceLock::new();
    UPCASTERS.get_or_init(events::upcast::all)
}

/// What is sealed reads as erased, as it will one day for everyone.
fn erase(value: &mut Value) {
    match value {
        Value::Object(map) if map.contains_key("$sealed") => *value = json!({ "$erased": true }),
        Value::Object(map) => map.values_mut().for_each(erase),
        Value::Array(list) => list.iter_mut().for_each(erase),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_aggregate_is_told_or_said_not_to_be() {
        let told: BTreeSet<&str> = types().map(|(stream, _)| stream).chain(UNTOLD.iter().copied()).collect();
        let all: BTreeSet<&str> = events::schema::all().iter().map(|schema| schema.stream).collect();
        assert_eq!(told, all);
    }

    #[test]
    fn every_type_is_told_from_the_event_that_it_names_and_has_a_name_of_its_own() {
        let id = Uuid::from_u128(7);
        let mut kinds = BTreeSet::new();
        for (stream, declared) in types() {
            assert!(kinds.insert(declared.kind), "{} is declared twice", declared.kind);
            let told = tell(stream, id, declared.from, "1", declared.golden).expect("a readable golden");
            assert_eq!(told.event.map(|event| event.declared().kind), Some(declared.kind));
        }
    }

    #[test]
    fn what_is_not_declared_to_be_told_is_not_asked_for() {
        // Readers fetch events by `from`: an event that is told without being named there would never be seen.
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden");
        let known: BTreeSet<&str> = types().map(|(_, declared)| declared.from).collect();
        let schemas = events::schema::all();
        for entry in std::fs::read_dir(folder).expect("the goldens") {
            let path = entry.expect("an entry").path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut parts = file.split('.');
            let (name, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let Some(schema) = schemas.iter().find(|schema| schema.name == name) else { continue };
            let payload = std::fs::read_to_string(&path).expect("a golden");
            let told = tell(schema.stream, Uuid::nil(), name, version.trim_start_matches('v'), &payload);
            let told = told.unwrap_or_else(|error| panic!("{file}: {error:?}"));
            if let Some(event) = told.event {
                assert_eq!(event.declared().from, name, "{file}");
                assert!(known.contains(name), "{file}");
            }
        }
    }

    #[test]
    fn sealed_fields_are_in_nobodys_way() {
        let payload =
            r#"{"ResidentRegistered":{"name":{"$sealed":{"subject":"x"}},"email":{"$sealed":{}},"language":"es"}}"#;
        let told = tell("resident", Uuid::nil(), "ResidentRegistered", "1", payload).expect("told");
        let event = serde_json::to_value(told.event).expect("JSON");
        assert_eq!(event, json!({ "resident_id": Uuid::nil(), "language": "es", "has_email": true }));
    }
}
