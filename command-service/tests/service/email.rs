//! E-mails: exactly one where the provider knows keys, at most one where it does not, and never one unseen.

use domain::{EmailMessage, email::Phase};
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::{PASSING, Trouble},
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::{RESIDENT, World},
};

/// A message whose sending is the only thing to do.
async fn to_be_sent(world: &World) -> Uuid {
    let invoice = world.draft().await;
    world.publish(invoice, true).await;
    world.react().await;
    world.worker().drain().await.expect("a composed message");
    world.react().await;
    world.message(invoice).await
}

async fn phase(world: &World, message: Uuid) -> Phase {
    world.state::<EmailMessage>(message).await.phase
}

/// Sent and known to be, or unresolved for all to see.
async fn is_sent_or_visible(world: &World, message: Uuid) {
    let state = world.row("SendEmail", message).await.1;
    match phase(world, message).await {
        Phase::Accepted => assert_eq!((world.mail.times(message), state.as_str()), (1, "done")),
        Phase::Unknown => {
            assert!(world.mail.times(message) <= 1);
            assert_eq!(state, "unresolved");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_message_is_composed_once_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    let prepare = async || {
        let invoice = world.draft().await;
        world.publish(invoice, true).await;
        world.react().await;
        invoice
    };
    survives_death_at_every_point(&world, prepare, async |invoice| {
        assert_eq!(world.mail.times(world.message(invoice).await), 1);
    })
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn with_keys_one_message_goes_out_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    survives_death_at_every_point(
        &world,
        async || to_be_sent(&world).await,
        async |message| {
            assert_eq!(world.mail.times(message), 1);
            assert_eq!(phase(&world, message).await, Phase::Accepted);
        },
    )
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn with_keys_one_message_goes_out_however_the_call_fails() {
    let world = World::new().await;
    world.community().await;
    for trouble in PASSING {
        let message = to_be_sent(&world).await;
        world.mail.script.next("send", trouble);
        world.mail.script.next("send", Trouble::LostAfter);
        world.settle_at_last().await;
        assert_eq!((world.mail.times(message), phase(&world, message).await), (1, Phase::Accepted), "{trouble:?}");
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn without_keys_no_second_message_goes_out_wherever_the_worker_dies() {
    let world = World::by_smtp().await;
    world.community().await;
    survives_death_at_every_point(
        &world,
        async || to_be_sent(&world).await,
        async |message| is_sent_or_visible(&world, message).await,
    )
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn without_keys_no_second_message_goes_out_however_the_call_fails() {
    let world = World::by_smtp().await;
    world.community().await;
    for trouble in PASSING {
        let message = to_be_sent(&world).await;
        world.mail.script.next("send", trouble);
        world.settle_at_last().await;
        is_sent_or_visible(&world, message).await;
        let expected = if trouble == Trouble::Retry { Phase::Accepted } else { Phase::Unknown };
        assert_eq!(phase(&world, message).await, expected, "{trouble:?}");
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_call_whose_outcome_could_not_be_written_is_not_made_again_without_keys() {
    let world = World::by_smtp().await;
    world.community().await;
    let message = to_be_sent(&world).await;
    world
        .sql(
            "create function public.no_room() returns trigger language plpgsql as $$ begin raise 'the disk is full'; end $$;
             create trigger no_room before insert on log.events for each row
                 when (new.event_type in ('EmailAccepted', 'EmailOutcomeUnknown')) execute function public.no_room()",
        )
        .await;
    world.settle_at_last().await;
    world.sql("drop trigger no_room on log.events").await;
    world.settle_at_last().await;
    assert_eq!(world.mail.times(message), 1);
    assert_eq!(phase(&world, message).await, Phase::Unknown);
    assert_eq!(world.row("SendEmail", message).await.1, "unresolved");
}

#[tokio::test]
async fn after_the_keys_time_a_lost_message_is_looked_for_before_it_is_sent_again() {
    for (trouble, sent) in [(Trouble::LostAfter, 1), (Trouble::LostBefore, 0)] {
        let world = World::new().await;
        world.community().await;
        let message = to_be_sent(&world).await;
        world.mail.script.next("send", trouble);
        world.settle().await;
        assert_eq!(world.mail.times(message), sent);
        world.mail.forget_keys();
        world.sql("update engine.outbox set first_called_at = now() - interval '25 hours' where calling").await;
        // The look fails in passing, too.
        world.mail.script.next("find", Trouble::LostBefore);
        world.mail.script.next("find", Trouble::Retry);
        world.settle_at_last().await;
        assert_eq!((world.mail.times(message), phase(&world, message).await), (1, Phase::Accepted), "{trouble:?}");
        repeats_change_nothing(&world).await;
    }
}

#[tokio::test]
async fn a_persons_retry_does_not_send_what_may_have_been_sent() {
    for world in [World::by_smtp().await, World::new().await] {
        world.community().await;
        let message = to_be_sent(&world).await;
        world.mail.script.next("send", Trouble::LostAfter);
        // With keys, Resend does not show what it has.
        world.mail.script.next("find", Trouble::Refused("restricted_api_key"));
        world.settle().await;
        // With keys, these are forgotten before anybody asks again.
        world.mail.forget_keys();
        world.sql("update engine.outbox set first_called_at = now() - interval '25 hours' where calling").await;
        world.settle_at_last().await;
        let (key, state) = world.row("SendEmail", message).await;
        assert_eq!((state.as_str(), phase(&world, message).await), ("unresolved", Phase::Unknown));
        assert!(world.retry(&key).await);
        world.settle_at_last().await;
        assert_eq!(world.mail.times(message), 1);

        let again = Uuid::now_v7();
        world.manage("ResendEmail", json!({ "message_id": message, "as_message": again })).await;
        world.settle().await;
        assert_eq!((world.mail.times(message), world.mail.times(again)), (1, 1));
        repeats_change_nothing(&world).await;
    }
}

#[tokio::test]
async fn a_rate_limit_between_does_not_make_an_old_call_forgotten() {
    let world = World::new().await;
    world.community().await;
    let message = to_be_sent(&world).await;
    world.mail.script.next("send", Trouble::LostAfter);
    world.mail.script.next("send", Trouble::Retry);
    world.settle().await;
    world.hurry().await;
    world.settle().await;
    world.mail.forget_keys();
    world.sql("update engine.outbox set first_called_at = now() - interval '25 hours' where name = 'SendEmail'").await;
    world.settle_at_last().await;
    assert_eq!(
        (world.mail.times(message), phase(&world, message).await),
        (1, Phase::Accepted),
        "found, not sent again"
    );
}

/// Case 48.
#[tokio::test]
async fn a_key_that_the_provider_knows_with_another_body_is_surfaced_and_nothing_is_sent_twice() {
    let world = World::new().await;
    world.community().await;
    let message = to_be_sent(&world).await;
    world.mail.script.next("send", Trouble::LostAfter);
    world.settle().await;
    world.mail.knows_other_bodies();
    world.settle_at_last().await;
    let (key, state) = world.row("SendEmail", message).await;
    assert_eq!((world.mail.times(message), phase(&world, message).await), (1, Phase::Unknown));
    let why: String = sqlx::query_scalar("select last_error from engine.outbox where key = $1")
        .bind(&key)
        .fetch_one(world.pool())
        .await
        .expect("a reason");
    assert!(state == "unresolved" && why.contains("invalid_idempotent_request"), "{state}: {why}");
    // Nor is it when a person has it tried again.
    assert!(world.retry(&key).await);
    world.settle_at_last().await;
    assert_eq!((world.mail.times(message), phase(&world, message).await), (1, Phase::Unknown));
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_is_unknown_and_not_failed() {
    let world = World::new().await;
    world.community().await;
    let lost = to_be_sent(&world).await;
    world.mail.script.next("send", Trouble::LostAfter);
    world.mail.script.next("send", Trouble::Refused("validation_error"));
    world.settle_at_last().await;
    assert_eq!(phase(&world, lost).await, Phase::Unknown);
    let refused = to_be_sent(&world).await;
    world.mail.script.next("send", Trouble::Refused("validation_error"));
    world.settle_at_last().await;
    assert_eq!((phase(&world, refused).await, world.mail.times(refused)), (Phase::Failed, 0));
    assert_eq!(world.row("SendEmail", refused).await.1, "refused");
}

#[tokio::test]
async fn what_changed_since_the_request_is_looked_at_before_sending() {
    let world = World::new().await;
    world.community().await;
    let email = |email: Option<&str>| json!({ "resident_id": RESIDENT, "email": email });
    let status = |status: &str| json!({ "resident_id": RESIDENT, "status": status });
    let without = to_be_sent(&world).await;
    world.manage("ChangeResidentEmail", email(None)).await;
    world.settle().await;
    world.manage("ChangeResidentEmail", email(Some("ana@example.com"))).await;
    let inactive = to_be_sent(&world).await;
    world.manage("ChangeResidentStatus", status("Inactive")).await;
    world.settle().await;
    world.manage("ChangeResidentStatus", status("Active")).await;
    let moved = to_be_sent(&world).await;
    world.manage("ChangeResidentEmail", email(Some("ana.ruiz@example.com"))).await;
    world.settle().await;
    for message in [without, inactive] {
        assert_eq!((phase(&world, message).await, world.mail.times(message)), (Phase::Suppressed, 0));
    }
    assert_eq!(
        world.mail.sent().last().map(|sent| (sent.reference, sent.to.clone())),
        Some((moved, "ana.ruiz@example.com".to_owned()))
    );
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_bounced_address_is_suppressed_until_somebody_lifts_it_and_a_repeat_does_not_put_it_back() {
    let world = World::new().await;
    world.community().await;
    let first = to_be_sent(&world).await;
    world.settle().await;
    let bounce = json!({
        "type": "email.bounced", "created_at": "2026-11-22T12:00:00Z",
        "data": {
            "email_id": "mail_1", "tags": [{ "name": "message", "value": first }],
            "bounce": { "type": "Permanent", "subType": "General" }
        }
    });
    for id in ["msg_1", "msg_2"] {
        let raw = bounce.to_string();
        command_service::intake::store(&world.effects, "resend", id, raw.as_bytes()).await.expect("a webhook");
    }
    world.settle().await;
    assert_eq!(phase(&world, first).await, Phase::Bounced);
    let second = to_be_sent(&world).await;
    world.settle().await;
    assert_eq!(phase(&world, second).await, Phase::Suppressed);

    let list: String = sqlx::query_scalar("select aggregate_id from log.events where event_type = 'AddressSuppressed'")
        .fetch_one(world.pool())
        .await
        .expect("one entry");
    world.manage("LiftSuppression", json!({ "suppression_id": list, "note": "The mailbox works again" })).await;
    world.settle().await;
    repeats_change_nothing(&world).await;
    let third = to_be_sent(&world).await;
    world.settle().await;
    assert_eq!(phase(&world, third).await, Phase::Accepted);
}
