//! What is served, held against the schemas that are served with it.

use std::collections::BTreeSet;

use query_service::contract;
use serde_json::Value;

use crate::{community::community, world::World};

#[path = "../../../events/tests/json_schema/mod.rs"]
#[allow(dead_code, reason = "the golden files ask more of it")]
mod json_schema;

use json_schema::Checker;

const PUBLIC_URL: &str = "https://propty.example.com";

fn document(path: &str) -> Value {
    let text = contract(path, PUBLIC_URL).unwrap_or_else(|| panic!("there is no {path}"));
    serde_json::from_str(&text).expect("JSON")
}

async fn served(world: &World) -> Vec<Value> {
    let answer = world.get("integrator", "/v1/events?limit=1000").await;
    answer.json()["events"].as_array().expect("events").clone()
}

#[tokio::test]
async fn every_event_is_as_the_schemas_that_are_served_say() {
    let world = community().await;
    let (events, envelope) = (served(&world).await, document("public/envelope.json"));
    let mut kinds = BTreeSet::new();
    for event in &events {
        assert_eq!(Checker::new(&envelope).check(event), Ok(()), "{event}");
        let address = event["dataschema"].as_str().expect("an address");
        let path = address.strip_prefix(&format!("{PUBLIC_URL}/schemas/")).expect("an address of ours");
        let schema = document(path);
        assert_eq!(schema["title"], event["type"]);
        assert_eq!(Checker::new(&schema).check(&event["data"]), Ok(()), "{event}");
        kinds.insert(event["type"].as_str().expect("a type").to_owned());
    }
    assert!(kinds.len() > 15, "many types were looked at: {kinds:?}");

    // What is not as they say is found.
    let mut event = events[0].clone();
    event.as_object_mut().expect("an object").remove("position");
    assert!(Checker::new(&envelope).check(&event).is_err());
    let published = events.iter().find(|event| event["type"] == "org.propty.invoice.published.v1").expect("published");
    let schema = document("public/invoice.published.v1.json");
    for name in schema["required"].as_array().expect("required fields") {
        let mut data = published["data"].clone();
        data.as_object_mut().expect("an object").remove(name.as_str().expect("a name"));
        assert!(Checker::new(&schema).check(&data).is_err(), "without {name}");
    }
}
