//! JSON Schemas of the events, one per name and version.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::{
    AccessTokenEvent, AuditReadEvent, AutopayEvent, CreditEvent, DisclosureEvent, EmailMessageEvent, Event,
    InboundTextEvent, InvoiceEvent, JobEvent, OrganizationEvent, PaymentEvent, PropertyEvent, ResidentEvent,
    SignInEvent, SmsConsentEvent, StripeAccountEvent, SuppressionEvent, TextMessageEvent, UnitEvent, WebhookEvent,
};

/// One event's contract.
#[derive(Debug, Clone)]
pub struct EventSchema {
    pub stream: &'static str,
    pub name: &'static str,
    pub version: u32,
    pub schema: Value,
}

/// The schemas of all events in the order of their declaration.
pub fn all() -> Vec<EventSchema> {
    let mut schemas = Vec::new();
    of::<OrganizationEvent>(&mut schemas);
    of::<PropertyEvent>(&mut schemas);
    of::<UnitEvent>(&mut schemas);
    of::<ResidentEvent>(&mut schemas);
    of::<InvoiceEvent>(&mut schemas);
    of::<PaymentEvent>(&mut schemas);
    of::<AutopayEvent>(&mut schemas);
    of::<CreditEvent>(&mut schemas);
    of::<StripeAccountEvent>(&mut schemas);
    of::<EmailMessageEvent>(&mut schemas);
    of::<SuppressionEvent>(&mut schemas);
    of::<DisclosureEvent>(&mut schemas);
    of::<SmsConsentEvent>(&mut schemas);
    of::<TextMessageEvent>(&mut schemas);
    of::<InboundTextEvent>(&mut schemas);
    of::<AuditReadEvent>(&mut schemas);
    of::<AccessTokenEvent>(&mut schemas);
    of::<SignInEvent>(&mut schemas);
    of::<JobEvent>(&mut schemas);
    of::<WebhookEvent>(&mut schemas);
    schemas
}

fn of<E: Event>(schemas: &mut Vec<EventSchema>) {
    let root = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<E>().to_value();
    let definitions = root.get("$defs").cloned();
    for (name, version) in E::NAMES {
        let body =
            root.get("oneOf").and_then(Value::as_array).into_iter().flatten().find_map(|variant| {
                Some((variant.pointer(&format!("/properties/{name}"))?, variant.get("description")))
            });
        let Some((body, description)) = body else { continue };
        let mut schema = body.clone();
        if let Value::Object(object) = &mut schema {
            object.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
            object.insert("title".into(), (*name).into());
            if let Some(description) = description {
                object.insert("description".into(), description.clone());
            }
            if let Some(definitions) = &definitions {
                object.insert("$defs".into(), used(definitions, body));
            }
        }
        schemas.push(EventSchema { stream: E::STREAM, name, version: *version, schema });
    }
}

/// The definitions that `body` reaches, so that an event's file does not change with its neighbours.
fn used(definitions: &Value, body: &Value) -> Value {
    let mut kept = serde_json::Map::new();
    let mut texts = vec![body.to_string()];
    while let Some(text) = texts.pop() {
        for (name, definition) in definitions.as_object().into_iter().flatten() {
            if !kept.contains_key(name) && text.contains(&format!("\"#/$defs/{name}\"")) {
                kept.insert(name.clone(), definition.clone());
                texts.push(definition.to_string());
            }
        }
    }
    kept.sort_keys();
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_schema_with_a_description() {
        let schemas = all();
        assert!(schemas.len() > 50, "{}", schemas.len());
        for schema in schemas {
            assert!(schema.schema.get("description").is_some(), "{} lacks a description", schema.name);
        }
    }
}
