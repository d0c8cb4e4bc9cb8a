//! Claims: one holder at a time, taken over when its lease runs out, and never done again once finished.

use std::time::Duration;

use command_service::outbox::{self, Done, Lane, Task};
use serde_json::json;
use uuid::Uuid;

use crate::world::World;

/// The task of sending one e-mail, ready to be claimed.
async fn waiting() -> (World, Uuid) {
    let world = World::by_smtp().await;
    world.community().await;
    let invoice = world.draft().await;
    world.publish(invoice, true).await;
    world.react().await;
    world.worker().drain().await.expect("a composed message");
    world.react().await;
    let message = world.message(invoice).await;
    (world, message)
}

async fn claim(world: &World) -> Vec<Task> {
    let now = world.effects.engine.clock().now();
    outbox::claim(world.pool(), Uuid::now_v7(), now, Lane::Prompt, 10).await.expect("claims")
}

async fn expire(world: &World) {
    world.sql("update engine.outbox set lease_until = '-infinity' where lease_until is not null").await;
}

#[tokio::test]
async fn a_claimed_row_is_the_holders_until_the_lease_runs_out() {
    let (world, _) = waiting().await;
    let held = claim(&world).await;
    assert_eq!(held.len(), 1);
    assert!(claim(&world).await.is_empty());
    expire(&world).await;
    let taken = claim(&world).await;
    assert_eq!((taken.len(), taken[0].attempts), (1, 2));
    // The first holder's word counts no more, neither a call nor an outcome.
    assert_eq!(outbox::calling(world.pool(), &held[0]).await.expect("an answer"), None);
    outbox::finish(world.pool(), &held[0], &Done::Finished).await.expect("an answer");
    assert!(outbox::calling(world.pool(), &taken[0]).await.expect("an answer").is_some());
    outbox::finish(world.pool(), &taken[0], &Done::Finished).await.expect("an answer");
    expire(&world).await;
    assert!(claim(&world).await.is_empty(), "finished for good");
}

#[tokio::test]
async fn a_slow_worker_that_lost_its_claim_sends_nothing_beside_the_next() {
    let (world, message) = waiting().await;
    let (slow, next) = (world.worker(), world.worker());
    let held = slow.claim(10).await.expect("claims");
    expire(&world).await;
    let taken = next.claim(10).await.expect("claims");
    next.carry_out(&taken[0]).await;
    slow.carry_out(&held[0]).await;
    assert_eq!(world.mail.times(message), 1);
    let (world, message) = waiting().await;
    let (slow, next) = (world.worker(), world.worker());
    let held = slow.claim(10).await.expect("claims");
    expire(&world).await;
    let taken = next.claim(10).await.expect("claims");
    slow.carry_out(&held[0]).await;
    next.carry_out(&taken[0]).await;
    assert_eq!(world.mail.times(message), 1);
}

#[tokio::test]
async fn only_what_is_under_way_is_renewed() {
    let (world, _) = waiting().await;
    let held = claim(&world).await;
    expire(&world).await;
    outbox::renew(world.pool(), held[0].holder, &[]).await.expect("an answer");
    assert_eq!(claim(&world).await.len(), 1, "claimed and lost sight of");
    let held = {
        expire(&world).await;
        claim(&world).await
    };
    expire(&world).await;
    outbox::renew(world.pool(), held[0].holder, std::slice::from_ref(&held[0].key)).await.expect("an answer");
    assert!(claim(&world).await.is_empty());
}

#[tokio::test]
async fn whether_a_provider_may_have_been_reached_is_remembered() {
    let again = || Done::Again { after: Duration::ZERO, why: "busy".to_owned() };
    let unsure = || Done::Unsure { after: Duration::ZERO, why: "lost".to_owned() };
    let (world, _) = waiting().await;
    for (done, interrupted) in [(again(), false), (unsure(), true), (again(), true)] {
        let task = claim(&world).await.remove(0);
        outbox::calling(world.pool(), &task).await.expect("an answer");
        outbox::finish(world.pool(), &task, &done).await.expect("an answer");
        world.hurry().await;
        let next = claim(&world).await.remove(0);
        assert_eq!(next.interrupted, interrupted, "{done:?}");
        outbox::finish(world.pool(), &next, &again()).await.expect("an answer");
        world.hurry().await;
    }
    // A person's word does not make it forgotten.
    let task = claim(&world).await.remove(0);
    outbox::finish(world.pool(), &task, &Done::Unresolved("lost".to_owned())).await.expect("an answer");
    assert!(claim(&world).await.is_empty());
    assert!(world.retry(&task.key).await);
    assert!(!world.retry(&task.key).await, "only what is unresolved or refused");
    let task = claim(&world).await.remove(0);
    assert_eq!((task.interrupted, task.attempts), (true, 1));
}

#[tokio::test]
async fn what_cannot_be_read_is_left_to_a_person() {
    let (world, _) = waiting().await;
    world.sql("update engine.outbox set body = '{\"Fly\":{}}' where name = 'SendEmail'").await;
    world.settle().await;
    let unresolved = "select count(*) from engine.outbox where state = 'unresolved'";
    assert_eq!(world.count(unresolved).await, 1);
}

#[tokio::test]
async fn a_command_that_overtakes_what_it_builds_on_waits_for_it() {
    let world = World::new().await;
    world.community().await;
    let payment = world.paid().await;
    let refund = Uuid::now_v7();
    world.manage("RefundPayment", json!({ "payment_id": payment, "refund_id": refund })).await;
    world.settle().await;
    let state: domain::Payment = world.state(payment).await;
    let invoice = state.quote.expect("a quote").invoice.0;
    assert_eq!(world.history(invoice).await.last().map(String::as_str), Some("PaymentReversed"));
    // The same step for an invoice where the payment is not booked.
    let other = world.invoice().await;
    world
        .sql(&format!(
            "insert into engine.outbox (key, organization_id, kind, name, lane, body, correlation, causation, due_at)
             select key || '/again', organization_id, kind, name, lane, replace(body::text, '{invoice}', '{other}')::json,
                    correlation, causation, due_at
             from engine.outbox where name = 'ReversePayment'"
        ))
        .await;
    world.settle().await;
    assert_eq!(world.row("ReversePayment", other).await.1, "ready");
    for _ in 0..4 {
        world.settle_at_last().await;
    }
    assert_eq!(world.row("ReversePayment", other).await.1, "refused", "in the end somebody has to look");
}

#[tokio::test]
async fn an_operators_word_on_what_waits_for_a_person_is_an_event_of_its_own() {
    let (world, message) = waiting().await;
    world.mail.script.next("send", crate::fakes::Trouble::LostAfter);
    world.settle().await;
    let (key, state) = world.row("SendEmail", message).await;
    assert_eq!(state, "unresolved");
    let engine = &world.effects.engine;
    let organization = world.organization.0;
    for times in 1..3 {
        assert!(outbox::resume(engine, &key).await.expect("an answer"));
        assert!(!outbox::resume(engine, &key).await.expect("an answer"), "it does not wait any more");
        assert_eq!(world.told(organization, "TaskResumed").await["times"], times);
        world.sql("update engine.outbox set state = 'unresolved' where name = 'SendEmail'").await;
    }
    assert!(outbox::drop_for_good(engine, &key).await.expect("an answer"));
    assert_eq!(world.told(organization, "TaskDropped").await["key"], key.as_str());
    assert_eq!(world.row("SendEmail", message).await.1, "dropped");
    for gone in [key.as_str(), "1/nothing/of/the/kind"] {
        assert!(!outbox::drop_for_good(engine, gone).await.expect("an answer"));
        assert!(!outbox::resume(engine, gone).await.expect("an answer"));
    }
    assert_eq!(
        (world.times(organization, "TaskResumed").await, world.times(organization, "TaskDropped").await),
        (2, 1)
    );
}
