//! What an erasure destroys and empties, wherever it stands, and what cannot be dropped of it.

use command_service::{Fault, effects, intake, outbox};
use domain::{EmailMessage, email::Phase, resident::ChangeResidentLanguage};
use event_store::{
    erasure::list::{self, ErasureList},
    keyring::sha256,
};
use events::{Language, Purpose};
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::Trouble,
    world::{RESIDENT, World},
};

/// The number of the record, as the commands' examples have it.
const NUMBER: &str = "+13055550143";

async fn body_of(world: &World, id: &str) -> Vec<u8> {
    sqlx::query_scalar("select body from engine.webhooks where external_id = $1")
        .bind(id)
        .fetch_one(world.pool())
        .await
        .expect("a notice")
}

#[tokio::test]
async fn notices_that_were_given_up_and_texts_of_nobody_go_with_the_resident_and_one_unreadable_notice_hinders_nothing()
{
    let world = World::new().await;
    world.community().await;
    world.hears(NUMBER, "is anybody there", None).await;
    world.hears("+14165550177", "not the resident", None).await;
    for (id, body) in [
        ("given-up", r#"{"data":{"to":["\u0041NA@example.com"]}}"#),
        ("another's", r#"{"data":{"to":["somebody@example.com"]}}"#),
        ("unreadable", "{}"),
    ] {
        intake::store(&world.effects, "resend", id, body.as_bytes()).await.expect("a stored notice");
    }
    world.sql("update engine.webhooks set state = 'failed' where provider = 'resend'").await;
    world.sql("update engine.webhooks set body = '\\x0011' where external_id = 'unreadable'").await;
    world.settle().await;
    let unknown = "select count(*) from vault.data_keys
                   where organization_id = '00000000-0000-0000-0000-000000000000' and wrapped is not null";
    assert_eq!(world.count(unknown).await, 2);
    world.manage("EraseResident", json!({ "resident_id": RESIDENT })).await;
    world.settle().await;
    assert_eq!(world.row("DestroyKeys", RESIDENT.0).await.1, "done");
    assert_eq!(world.count(unknown).await, 1, "the resident's word stays readable, or another's does not");
    assert!(body_of(&world, "given-up").await.is_empty(), "a notice that was given up is kept");
    assert!(!body_of(&world, "another's").await.is_empty());
    // What was given up goes after its days as well.
    world.sql("update engine.webhooks set received_at = now() - interval '8 days'").await;
    intake::forget_old(world.pool()).await.expect("an answer");
    assert!(body_of(&world, "another's").await.is_empty(), "a notice that was given up is kept for good");
}

#[tokio::test]
async fn an_erasure_that_waits_for_a_person_cannot_be_dropped_and_ends_when_it_is_asked_for_again() {
    let world = World::new().await;
    world.community().await;
    world.manage("EraseResident", json!({ "resident_id": RESIDENT })).await;
    world.react().await;
    world.sql("update engine.outbox set state = 'unresolved' where name in ('DestroyKeys', 'EndRetention')").await;
    for name in ["DestroyKeys", "EndRetention"] {
        let (key, _) = world.row(name, RESIDENT.0).await;
        let dropped = outbox::drop_for_good(&world.effects.engine, &key).await;
        assert!(matches!(dropped, Err(Fault::Refused { code: "ErasureUndone", .. })), "{name}: {dropped:?}");
    }
    let destroyed =
        async || world.store().keyring().destroyed(world.organization, RESIDENT.0).await.expect("an answer");
    assert_eq!(destroyed().await, []);
    let gone = [Purpose::Contact, Purpose::Message, Purpose::Consent];
    effects::destroy(&world.effects, world.organization, RESIDENT, &gone).await.expect("an erasure");
    assert_eq!(destroyed().await.len(), 3);
}

#[tokio::test]
async fn a_message_that_waits_for_its_provider_does_not_go_out_after_its_resident_was_erased() {
    let world = World::new().await;
    world.community().await;
    let invoice = world.draft().await;
    world.publish(invoice, true).await;
    world.mail.script.next("send", Trouble::Retry);
    world.settle().await;
    let message = world.message(invoice).await;
    let phase = async || world.state::<EmailMessage>(message).await.phase;
    assert_eq!((world.mail.times(message), phase().await), (0, Phase::Submitting));
    world.manage("EraseResident", json!({ "resident_id": RESIDENT })).await;
    // The letter's turn comes before that of the keys.
    world.hurry().await;
    world.worker().drain().await.expect("work");
    assert_eq!((world.mail.times(message), phase().await), (0, Phase::Failed));
    world.settle_at_last().await;
    assert_eq!((world.mail.times(message), phase().await), (0, Phase::Failed));
}

#[tokio::test]
async fn a_commands_body_leaves_no_hash_that_could_be_tried_against_a_guess() {
    let world = World::new().await;
    world.community().await;
    let command = ChangeResidentLanguage { resident_id: RESIDENT, language: Language::Fr };
    let ask = world.manager().keyed("once");
    let engine = &world.effects.engine;
    engine.execute(command.clone(), &ask).await.expect("an accepted command");
    let kept: Vec<u8> = sqlx::query_scalar("select body from log.idempotency where key = 'once'")
        .fetch_one(world.pool())
        .await
        .expect("a key");
    assert_ne!(kept, sha256(&serde_json::to_vec(&command).expect("JSON")));
    assert!(engine.execute(command.clone(), &ask).await.expect("the same answer").repeated);
    let other = ChangeResidentLanguage { resident_id: RESIDENT, language: Language::Es };
    assert!(matches!(engine.execute(other, &ask).await, Err(Fault::KeyReused)));
    // As the migration leaves those from before.
    world.sql("update log.idempotency set body = ''").await;
    assert!(engine.execute(command, &ask).await.expect("the same answer").repeated);
}

#[tokio::test]
async fn a_history_from_before_an_erasure_is_told_whom_it_brings_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = ErasureList::new(folder.path().join("erasures"));
    let mut world = World::new().await;
    world.effects.erasures = Some(kept.clone());
    world.community().await;
    let listed = kept.read().expect("no file");
    assert_eq!(list::undone(world.pool(), &listed).await.expect("an answer"), []);
    world.manage("EraseResident", json!({ "resident_id": RESIDENT })).await;
    world.settle().await;
    let listed = kept.read().expect("a file");
    assert_eq!(listed.iter().map(|one| one.resident).collect::<Vec<_>>(), [RESIDENT.0]);
    assert_eq!(list::undone(world.pool(), &listed).await.expect("an answer"), []);
    // Another database stands for the one that was restored to before.
    let restored = World::new().await;
    let back = list::undone(restored.pool(), &listed).await.expect("an answer");
    assert_eq!(
        back.iter().map(|one| (one.organization, one.resident)).collect::<Vec<(Uuid, Uuid)>>(),
        [(world.organization.0, RESIDENT.0)]
    );
}
