//! Consent to texts end to end: agreed to in a session, confirmed by the code, ended by a word; and everybody who may not grant it.

use command_service::{Ask, Fault, recipients};
use domain::{
    Actor, Kind, SmsConsent,
    sign_in::{OpenSession, RequestSignInLink},
    sms_consent::{AuthorizeText, RecordInboundText},
};
use events::{InboundId, NumberKey, OrganizationId, Phone, Role, SignInId, TextId, text_message::TextContent};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{PROPERTY, RESIDENT, World};

const PHONE: &str = "+13055550143";

fn phone() -> Phone {
    Phone::parse(PHONE).expect("a number")
}

/// Ana, signed in.
async fn signed_in(world: &World) -> Ask {
    let id = SignInId(Uuid::now_v7());
    let edge = Ask::internal(world.organization, Role::Process, "sign-in", Uuid::now_v7());
    let engine = &world.effects.engine;
    engine.execute(RequestSignInLink { sign_in_id: id, resident_id: RESIDENT }, &edge).await.expect("a link");
    engine.execute(OpenSession { sign_in_id: id }, &edge).await.expect("a session");
    Ask {
        actor_name: format!("session:{id}"),
        client_address: Some("203.0.113.7".to_owned()),
        user_agent: Some("Browser/1".to_owned()),
        ..world.resident()
    }
}

async fn consent(world: &World) -> SmsConsent {
    world.effects.engine.state(world.organization, SmsConsent::id(RESIDENT)).await.expect("a state")
}

fn number_key(world: &World, organization: OrganizationId) -> NumberKey {
    NumberKey(world.store().keyring().digest(organization, PHONE))
}

/// Shown, ticked, saved.
async fn ask_for_texts(world: &World, session: &Ask) {
    for name in ["ShowDisclosure", "RecordSmsConsent"] {
        world.execute(session.clone(), name, world.body(name, json!({}))).await.expect(name);
    }
}

async fn opt_in(world: &World, session: &Ask) {
    ask_for_texts(world, session).await;
    let (keyring, organization) = (world.store().keyring().clone(), world.organization);
    let blind = domain::Blind::new(move |value| keyring.digest(organization, value));
    let code = SmsConsent::code(&blind, RESIDENT, 1);
    let body = json!({ "resident_id": RESIDENT, "code": code });
    world.execute(session.clone(), "ConfirmSmsConsent", body).await.expect("confirmed");
}

async fn events(world: &World, event_type: &str) -> Vec<Value> {
    sqlx::query_scalar("select payload from log.events where event_type = $1 order by recorded_at, sequence")
        .bind(event_type)
        .fetch_all(world.pool())
        .await
        .expect("events")
}

fn news() -> TextContent {
    TextContent::ConsentConfirmed {}
}

#[tokio::test]
async fn a_resident_agrees_confirms_and_ends_it_by_a_word() {
    let world = World::new().await;
    world.community().await;
    let session = signed_in(&world).await;
    opt_in(&world, &session).await;
    let (key, number, version) =
        consent(&world).await.standing().map(|(key, number, version)| (key, number.clone(), version)).expect("granted");
    assert_eq!((key, number.value(), version), (number_key(&world, world.organization), Some(&phone()), 4));
    // Nothing of it can be read in the log.
    for stored in events(&world, "ConsentGranted").await {
        let text = stored.to_string();
        assert!(!text.contains("3055550143") && !text.contains("203.0.113.7") && !text.contains("Browser/1"), "{text}");
        assert_eq!(stored["ConsentGranted"]["evidence"]["session"]["method"], "EmailLink");
    }
    // A code and a confirmation were asked for, each once.
    world.settle().await;
    world.settle_at_last().await;
    let requested = events(&world, "TextRequested").await;
    let mut kinds: Vec<_> = requested.iter().map(|event| event["TextRequested"]["content"].to_string()).collect();
    // They are asked for side by side.
    kinds.sort();
    assert_eq!(kinds, [r#"{"ConsentCode":{"challenge":1}}"#, r#"{"ConsentConfirmed":{}}"#]);

    let engine = &world.effects.engine;
    let by_phone = Ask::internal(world.organization, Role::Provider, "provider:twilio", Uuid::now_v7());
    let stop = RecordInboundText {
        resident_id: RESIDENT,
        inbound_id: InboundId::derived(RESIDENT.0, "SM1"),
        number: phone(),
        body: "Arrêt !".to_owned(),
        provider_id: "SM1".to_owned(),
        received_at: engine.clock().now(),
        answered_by_provider: None,
        answers: true,
    };
    // The same webhook twice is one text.
    for _ in 0..2 {
        engine.execute(stop.clone(), &by_phone).await.expect("taken in");
    }
    assert!(consent(&world).await.standing().is_none());
    assert_eq!(events(&world, "InboundReceived").await.len(), 1);
    let worker = Ask::internal(world.organization, Role::Process, "process:texts", Uuid::now_v7());
    let leave = AuthorizeText { resident_id: RESIDENT, text_id: TextId(Uuid::now_v7()), content: news() };
    let refused = engine.execute(leave, &worker).await;
    assert!(matches!(refused, Err(Fault::Refused { code: "ConsentRevoked", .. })), "{refused:?}");
}

/// Case 32.
#[tokio::test]
async fn every_role_that_tries_to_opt_somebody_in_is_refused_and_recorded() {
    let world = World::new().await;
    world.community().await;
    let body = || world.body("RecordSmsConsent", json!({}));
    let mut refused = 0;
    for role in Role::PEOPLE.into_iter().chain([Role::Operator, Role::Process, Role::Provider]) {
        for (property, resident) in [
            (None, None),
            (Some(PROPERTY), None),
            (None, Some(RESIDENT)),
            (None, Some(events::ResidentId(Uuid::now_v7()))),
        ] {
            let actor = Actor { role, property, resident };
            // Also under a key: what was refused is refused again, and is no answer that was given before.
            let ask = Ask { idempotency_key: Some("again".to_owned()), ..world.ask(actor) };
            for _ in 0..2 {
                let answer = world.execute(ask.clone(), "RecordSmsConsent", body()).await;
                let forbidden = matches!(answer, Err(Fault::Role { .. } | Fault::Missing))
                    || matches!(answer, Err(Fault::Refused { kind: Kind::Forbidden, .. }));
                assert!(forbidden, "{role:?} of {property:?} as {resident:?}: {answer:?}");
                refused += 1;
                assert_eq!(events(&world, "OptInRefused").await.len(), refused, "{role:?} as {resident:?}");
            }
        }
    }
    // In somebody else's hands, with the session of the resident.
    let session = Ask { impersonator: Some("token:manager".to_owned()), ..signed_in(&world).await };
    let answer = world.execute(session.clone(), "RecordSmsConsent", body()).await;
    assert!(
        matches!(answer, Err(Fault::Refused { code: "NotWhileImpersonated", kind: Kind::Forbidden, .. })),
        "{answer:?}"
    );
    let last = events(&world, "OptInRefused").await.pop().expect("recorded");
    assert_eq!(last["OptInRefused"]["why"], "Impersonated");
    assert_eq!(last["OptInRefused"]["evidence"]["impersonator"], "token:manager");
    assert!(consent(&world).await.standing().is_none());
    assert_eq!(events(&world, "ConsentRequested").await.len(), 0);
}

/// Case 32.
#[tokio::test]
async fn who_types_a_code_or_asks_for_one_for_somebody_else_is_refused_and_recorded() {
    let world = World::new().await;
    world.community().await;
    let session = signed_in(&world).await;
    ask_for_texts(&world, &session).await;
    let (keyring, organization) = (world.store().keyring().clone(), world.organization);
    let blind = domain::Blind::new(move |value| keyring.digest(organization, value));
    // Even with the right code.
    let confirm = json!({ "resident_id": RESIDENT, "code": SmsConsent::code(&blind, RESIDENT, 1) });
    let neighbour = Actor { resident: Some(events::ResidentId(Uuid::now_v7())), ..Actor::of(Role::Resident) };
    let mut refused = 0;
    for actor in [Actor::of(Role::OrganizationManager), Actor::of(Role::Integrator), neighbour] {
        for (name, body) in [("ConfirmSmsConsent", &confirm), ("RequestSmsCode", &json!({ "resident_id": RESIDENT }))] {
            let answer = world.execute(world.ask(actor.clone()), name, body.clone()).await;
            assert!(matches!(answer, Err(Fault::Role { .. } | Fault::Missing)), "{name}: {answer:?}");
            refused += 1;
            let recorded = events(&world, "OptInRefused").await;
            assert_eq!(recorded.len(), refused, "{name} by {actor:?}");
            assert_eq!(recorded[refused - 1]["OptInRefused"]["why"], "NotTheResident");
        }
    }
    assert!(consent(&world).await.standing().is_none());
    // Nor in somebody else's hands.
    let impersonated = Ask { impersonator: Some("token:manager".to_owned()), ..session.clone() };
    let answer = world.execute(impersonated, "RequestSmsCode", json!({ "resident_id": RESIDENT })).await;
    assert!(matches!(answer, Err(Fault::Refused { code: "NotWhileImpersonated", .. })), "{answer:?}");
    assert_eq!(events(&world, "OptInRefused").await.len(), refused + 1);
    world.execute(session, "ConfirmSmsConsent", confirm).await.expect("the resident's own");
}

#[tokio::test]
async fn a_wrong_code_is_refused_and_recorded_under_any_key() {
    let world = World::new().await;
    world.community().await;
    let session = signed_in(&world).await;
    ask_for_texts(&world, &session).await;
    let wrong = json!({ "resident_id": RESIDENT, "code": "000000" });
    for left in (0..5).rev() {
        let ask = Ask { idempotency_key: Some("k".to_owned()), ..session.clone() };
        let answer = world.execute(ask, "ConfirmSmsConsent", wrong.clone()).await;
        let code = if left == 0 { "NoAttemptsLeft" } else { "WrongCode" };
        assert!(matches!(&answer, Err(Fault::Refused { code: told, .. }) if *told == code), "{answer:?}");
    }
    assert_eq!(events(&world, "CodeRejected").await.len(), 5);
}

#[tokio::test]
async fn a_number_finds_everybody_whom_it_may_speak_for_in_every_organization() {
    let world = World::new().await;
    let (one, other) = (world.organization, OrganizationId(Uuid::now_v7()));
    assert_ne!(
        number_key(&world, one),
        number_key(&world, other),
        "nobody can tell that two tenants know the same number"
    );
    let mut expected = Vec::new();
    for (organization, resident) in [(one, 1), (one, 2), (other, 3)] {
        let resident = events::ResidentId(Uuid::from_u128(resident));
        for _ in 0..2 {
            recipients::remember(world.pool(), organization, number_key(&world, organization), resident)
                .await
                .expect("remembered");
        }
        expected.push((organization, resident));
    }
    expected.sort_unstable();
    let found = recipients::of_number(&world.effects.engine, &phone()).await.expect("an answer");
    assert_eq!(found, expected);
    let nobody = Phone::parse("+13055550199").expect("a number");
    assert_eq!(recipients::of_number(&world.effects.engine, &nobody).await.expect("an answer"), []);
}

/// Case 37.
#[tokio::test]
async fn another_number_in_the_record_or_the_end_of_a_residence_voids_the_consent() {
    let world = World::new().await;
    world.community().await;
    let session = signed_in(&world).await;
    opt_in(&world, &session).await;
    world.manage("ChangeResidentPhone", json!({ "resident_id": RESIDENT, "phone": "+13055550188" })).await;
    // Before the process has come round, too.
    let worker = Ask::internal(world.organization, Role::Process, "process:texts", Uuid::now_v7());
    let leave = AuthorizeText { resident_id: RESIDENT, text_id: TextId(Uuid::now_v7()), content: news() };
    let refused = world.effects.engine.execute(leave, &worker).await;
    assert!(matches!(refused, Err(Fault::Refused { code: "NumberChanged", .. })), "{refused:?}");
    world.settle().await;
    assert!(consent(&world).await.standing().is_none());
    let ended = events(&world, "ConsentInvalidated").await;
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["ConsentInvalidated"]["cause"], json!({ "NumberChanged": {} }));
}
