//! Every command of the registry × every role: whoever is bound to a property or a residence stays within it.

use command_service::{Ask, Fault};
use domain::Actor;
use events::{PropertyId, ResidentId, Role};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::World;

/// What changed anything. That somebody tried to opt a resident in who may not is kept, and changes nothing.
const CHANGES: &str = "select count(*) from log.events where event_type <> 'OptInRefused'";

/// Everything that the examples name exists.
async fn populated() -> World {
    let world = World::new().await;
    world.community().await;
    for name in ["DraftInvoice", "DraftInvoices", "PublishInvoices"] {
        let due_on = (chrono::Utc::now() + chrono::Days::new(20)).date_naive();
        let fields = if name == "PublishInvoices" { json!({}) } else { json!({ "due_on": due_on }) };
        world.manage(name, world.body(name, fields)).await;
        world.settle().await;
    }
    world.manage("PublishInvoice", world.body("PublishInvoice", json!({}))).await;
    let quote = world.body("QuotePayment", json!({}));
    world.execute(world.resident(), "QuotePayment", quote).await.expect("a quote");
    let process = Ask::internal(world.organization, Role::Process, "process:texts", Uuid::now_v7());
    let text_id = world.body("DecideTextOutcome", json!({}))["text_id"].take();
    let text = json!({
        "text_id": text_id, "resident_id": crate::world::RESIDENT, "property_id": crate::world::PROPERTY,
        "content": { "ConsentConfirmed": {} }, "language": "en", "fallback": false, "template": 1, "cause": "none",
    });
    world.execute(process, "RequestText", text).await.expect("a text");
    world.settle().await;
    world
}

const BOUND: [Role; 3] = [Role::PropertyAdmin, Role::PropertyManager, Role::Resident];

#[tokio::test]
async fn nobody_reaches_beyond_their_property_or_residence_by_any_command() {
    let world = populated().await;
    let registry = world.effects.registry.clone();
    let before = world.count(CHANGES).await;
    let elsewhere = [
        Actor { property: Some(PropertyId(Uuid::now_v7())), ..Actor::of(Role::PropertyAdmin) },
        Actor { property: Some(PropertyId(Uuid::now_v7())), ..Actor::of(Role::PropertyManager) },
        Actor { resident: Some(ResidentId(Uuid::now_v7())), ..Actor::of(Role::Resident) },
        Actor::of(Role::PropertyAdmin),
        Actor::of(Role::PropertyManager),
        Actor::of(Role::Resident),
    ];
    let mut reached = 0;
    for entry in registry.iter().filter(|entry| entry.is_public()) {
        for actor in &elsewhere {
            let answer = world.execute(world.ask(actor.clone()), entry.name, entry.example.clone()).await;
            match answer {
                Err(Fault::Missing) if entry.roles.contains(&actor.role) => reached += 1,
                Err(Fault::Role { .. }) if !entry.roles.contains(&actor.role) => {}
                other => panic!("{} as {actor:?}: {other:?}", entry.name),
            }
        }
    }
    assert!(reached > 60, "{reached}");
    assert_eq!(world.count(CHANGES).await, before);
}

#[tokio::test]
async fn readers_may_ask_for_nothing_and_people_not_for_what_is_internal() {
    let world = populated().await;
    let registry = world.effects.registry.clone();
    let before = world.count(CHANGES).await;
    for entry in registry.iter() {
        for role in Role::PEOPLE.into_iter().chain([Role::Operator]) {
            if entry.roles.contains(&role) {
                continue;
            }
            let answer = world.execute(world.ask(Actor::of(role)), entry.name, entry.example.clone()).await;
            assert!(matches!(answer, Err(Fault::Role { .. })), "{} as {role:?}: {answer:?}", entry.name);
        }
        assert!(!entry.roles.contains(&Role::ComplianceAuditor) && !entry.roles.contains(&Role::Integrator));
        if !entry.is_public() && !entry.roles.contains(&Role::Operator) {
            assert_eq!(entry.example, Value::Null, "{}", entry.name);
        }
    }
    assert_eq!(world.count(CHANGES).await, before);
}

#[tokio::test]
async fn what_is_admitted_within_a_property_is_not_taken_for_foreign() {
    let world = populated().await;
    let registry = world.effects.registry.clone();
    for entry in registry.iter() {
        for role in BOUND.into_iter().filter(|role| entry.roles.contains(role)) {
            let actor = Actor { role, property: Some(crate::world::PROPERTY), resident: Some(crate::world::RESIDENT) };
            let answer = world.execute(world.ask(actor), entry.name, entry.example.clone()).await;
            // Some of the examples' things do not exist, which looks the same.
            let absent = ["ResendEmail", "CloseSession", "RefundPayment", "DiscardDraft"].contains(&entry.name);
            assert!(
                absent || !matches!(answer, Err(Fault::Missing | Fault::Role { .. })),
                "{} as {role:?}",
                entry.name
            );
        }
    }
}
