//! The execute loop: keys, versions, contention, and other organizations.

use command_service::{Ask, Expect, Fault};
use domain::Kind;
use events::OrganizationId;
use futures_util::future::join_all;
use serde_json::json;
use uuid::Uuid;

use crate::world::{PROPERTY, RESIDENT, UNIT, World};

fn keyed(ask: Ask, key: &str) -> Ask {
    ask.keyed(key)
}

fn refusal(fault: &Fault) -> (Kind, &'static str) {
    match fault {
        Fault::Refused { kind, code, .. } => (*kind, *code),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_same_key_with_the_same_body_gives_the_same_answer() {
    let world = World::new().await;
    world.community().await;
    let label = |label: &str| json!({ "unit_id": UNIT, "label": label });
    let ask = || keyed(world.manager(), "k1");
    let first = world.execute(ask(), "RelabelUnit", label("5C")).await.expect("accepted");
    // Somebody else's change in between makes no difference: the answer is of then.
    world.manage("RelabelUnit", label("6D")).await;
    let again = world.execute(ask(), "RelabelUnit", label("5C")).await.expect("repeated");
    assert_eq!((first.repeated, again.repeated), (false, true));
    assert_eq!(first.appended, again.appended);
    assert_eq!(world.times(UNIT, "UnitRelabelled").await, 2);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let world = World::new().await;
    world.community().await;
    let ask = || keyed(world.manager(), "k1");
    world.execute(ask(), "RelabelUnit", json!({ "unit_id": UNIT, "label": "5C" })).await.expect("accepted");
    for label in ["5C ", "6D"] {
        let other = world.execute(ask(), "RelabelUnit", json!({ "unit_id": UNIT, "label": label })).await;
        match (label, other) {
            // Read, it is the same body.
            ("5C ", Ok(answer)) => assert!(answer.repeated),
            ("6D", Err(Fault::KeyReused)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.times(UNIT, "UnitRelabelled").await, 1);
}

#[tokio::test]
async fn a_key_is_the_callers_own() {
    let world = World::new().await;
    world.community().await;
    let other = Ask { actor_name: "token:other".to_owned(), ..world.manager() };
    for (ask, label) in [(world.manager(), "5C"), (other, "6D")] {
        let body = json!({ "unit_id": UNIT, "label": label });
        assert!(!world.execute(keyed(ask, "k1"), "RelabelUnit", body).await.expect("accepted").repeated);
    }
    // Nor does one command's key stand for another's.
    let body = json!({ "name": "Evergreen" });
    assert!(!world.execute(keyed(world.manager(), "k1"), "RenameOrganization", body).await.expect("accepted").repeated);
}

#[tokio::test]
async fn what_changed_nothing_is_remembered_and_what_was_refused_is_not() {
    let world = World::new().await;
    world.community().await;
    let label = |label: &str| json!({ "unit_id": UNIT, "label": label });
    let nothing = world.execute(keyed(world.manager(), "k1"), "RelabelUnit", label("4B")).await.expect("accepted");
    assert!(nothing.appended.events.is_empty() && !nothing.repeated);
    world.manage("RelabelUnit", label("5C")).await;
    let again = world.execute(keyed(world.manager(), "k1"), "RelabelUnit", label("4B")).await.expect("repeated");
    assert_eq!((again.repeated, &again.appended), (true, &nothing.appended));
    assert!(matches!(
        world.execute(keyed(world.manager(), "k1"), "RelabelUnit", label("6D")).await,
        Err(Fault::KeyReused)
    ));

    let unit = Uuid::now_v7();
    let relabel = json!({ "unit_id": unit, "label": "7E" });
    let ask = || keyed(world.manager(), "k2");
    let refused = world.execute(ask(), "RelabelUnit", relabel.clone()).await.expect_err("no such unit");
    assert_eq!(refusal(&refused).0, Kind::Missing);
    world.manage("AddUnit", json!({ "unit_id": unit, "property_id": PROPERTY, "label": "7D" })).await;
    assert!(!world.execute(ask(), "RelabelUnit", relabel).await.expect("accepted").repeated);
}

#[tokio::test]
async fn many_calls_with_the_same_key_are_one() {
    let world = World::new().await;
    world.community().await;
    for round in 0..10 {
        let invoice = world.draft().await;
        let discard = || {
            let body = json!({ "invoice_id": invoice });
            world.execute(keyed(world.manager(), &format!("k{round}")), "DiscardDraft", body)
        };
        let answers: Vec<_> = join_all((0..6).map(|_| discard())).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("one answer for all")).collect();
        assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
        assert!(answers.iter().all(|answer| answer.appended == answers[0].appended));
        assert_eq!(world.times(invoice, "InvoiceDiscarded").await, 1);
    }
    // Different bodies under one key: one is accepted, the others are told.
    let labels = join_all((0..6).map(|number| {
        let body = json!({ "unit_id": UNIT, "label": format!("{number}X") });
        world.execute(keyed(world.manager(), "label"), "RelabelUnit", body)
    }))
    .await;
    assert_eq!(labels.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(labels.iter().all(|answer| matches!(answer, Ok(_) | Err(Fault::KeyReused))));
}

#[tokio::test]
async fn a_version_that_is_gone_is_refused_with_the_present_one() {
    let world = World::new().await;
    world.community().await;
    let label = |label: &str| json!({ "unit_id": UNIT, "label": label });
    let at = |expect| Ask { expect, ..world.manager() };
    for (expect, accepted) in
        [(Expect::Version(2), false), (Expect::Version(0), false), (Expect::Nothing, false), (Expect::Version(1), true)]
    {
        match world.execute(at(expect), "RelabelUnit", label("5C")).await {
            Ok(answer) => assert!(accepted && answer.appended.version == 2),
            Err(Fault::Stale { current: 1 }) => assert!(!accepted),
            Err(other) => panic!("{other:?}"),
        }
    }
    let answers = join_all(
        (0..6).map(|number| world.execute(at(Expect::Version(2)), "RelabelUnit", label(&format!("{number}X")))),
    )
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for answer in answers {
        assert!(matches!(answer, Ok(_) | Err(Fault::Stale { current: 3 })), "{answer:?}");
    }
    // A repeat of what was accepted is answered, though its version is gone.
    let ask = || Ask { expect: Expect::Version(3), ..keyed(world.manager(), "k1") };
    world.execute(ask(), "RelabelUnit", label("9Z")).await.expect("accepted");
    assert!(world.execute(ask(), "RelabelUnit", label("9Z")).await.expect("repeated").repeated);
}

#[tokio::test]
async fn what_must_not_exist_yet_is_made_once() {
    let world = World::new().await;
    world.community().await;
    let unit = Uuid::now_v7();
    let add = || {
        let ask = Ask { expect: Expect::Nothing, ..world.manager() };
        world.execute(ask, "AddUnit", json!({ "unit_id": unit, "property_id": PROPERTY, "label": "8F" }))
    };
    let answers = join_all((0..4).map(|_| add())).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(Fault::Stale { current: 1 }))));
}

#[tokio::test]
async fn who_names_no_version_does_not_notice_others() {
    let world = World::new().await;
    world.community().await;
    let answers = join_all((0..6).map(|number| {
        let body = json!({ "unit_id": UNIT, "label": format!("{number}X") });
        world.execute(world.manager(), "RelabelUnit", body)
    }))
    .await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(world.times(UNIT, "UnitRelabelled").await, 6);
}

#[tokio::test]
async fn another_organizations_things_are_as_if_they_were_not() {
    let world = World::new().await;
    world.community().await;
    let draft = world.draft().await;
    let stranger = || Ask { organization: OrganizationId(Uuid::now_v7()), ..world.manager() };
    for (name, id, field) in [
        ("DiscardDraft", draft, "invoice_id"),
        ("PublishInvoice", draft, "invoice_id"),
        ("EraseResident", RESIDENT.0, "resident_id"),
        ("UnassignStripeAccount", PROPERTY.0, "property_id"),
        ("DisconnectStripeAccount", crate::world::ACCOUNT, "stripe_account_id"),
    ] {
        let foreign = world.execute(stranger(), name, json!({ field: id })).await.expect_err("foreign");
        let absent = world.execute(stranger(), name, json!({ field: Uuid::now_v7() })).await.expect_err("absent");
        assert_eq!(format!("{foreign:?}"), format!("{absent:?}"), "{name}");
    }
    // What a decision looks at besides is missing, too.
    let unit = json!({ "unit_id": Uuid::now_v7(), "property_id": PROPERTY, "label": "1A" });
    let fault = world.execute(stranger(), "AddUnit", unit).await.expect_err("a foreign property");
    assert_eq!(refusal(&fault).1, "NoSuchProperty");
    // And the same id is another thing there.
    let property = world.body("AddProperty", json!({ "name": "Pine Court" }));
    let added = world.execute(stranger(), "AddProperty", property).await.expect("a property of their own");
    assert_eq!(added.appended.version, 1);
    assert_eq!(
        world.state::<domain::Property>(PROPERTY.0).await.details.map(|known| String::from(known.name)),
        Some("Maple Court".to_owned())
    );
    assert_eq!(world.history(draft).await, ["InvoiceDrafted"]);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_says_where() {
    let world = World::new().await;
    let body = json!({ "unit_id": "nonsense", "label": "4B" });
    match world.execute(world.manager(), "RelabelUnit", body).await {
        Err(Fault::Body { path, .. }) => assert_eq!(path, "unit_id"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(world.execute(world.manager(), "FlyAway", json!({})).await, Err(Fault::UnknownCommand)));
}
