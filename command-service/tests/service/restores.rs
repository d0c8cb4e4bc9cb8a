//! A history that came from a backup: nobody works until it is accepted, and what was lost is looked for before it is done again.

use std::time::Duration;

use command_service::quarantine;
use domain::email::Phase;
use events::{PaymentId, payment::FrozenIntent};
use processes::ports::{Outcome, PaymentTags, Stripe};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{fakes::Trouble, household::autopay_id, proofs::repeats_change_nothing, world::World};

/// As if the database were another than the one in which the history was begun.
async fn comes_from_elsewhere(world: &World) {
    world.sql("update engine.installation set cluster = 'another/1'").await;
}

#[tokio::test]
async fn a_history_that_is_where_it_was_begun_is_worked_on_at_once() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(quarantine::since(world.pool()).await.expect("an answer"), None);
    }
    let (_stop, told) = watch::channel(false);
    assert!(quarantine::over(world.pool(), told).await);
    assert_eq!(quarantine::accept(world.pool()).await.expect("an answer"), None, "there is nothing to accept");
}

#[tokio::test]
async fn elsewhere_work_waits_for_a_persons_word_however_often_it_is_started() {
    let world = World::new().await;
    quarantine::since(world.pool()).await.expect("an answer");
    for by_hand in [false, true] {
        if by_hand {
            quarantine::begin(world.pool()).await.expect("an answer");
        } else {
            comes_from_elsewhere(&world).await;
        }
        let first = quarantine::since(world.pool()).await.expect("an answer").expect("since when");
        assert_eq!(quarantine::since(world.pool()).await.expect("an answer"), Some(first));
        let (stop, told) = watch::channel(false);
        let waiting = quarantine::over(world.pool(), told);
        stop.send(true).expect("somebody listens");
        assert!(!waiting.await, "told to stop before it was over");
        let before: i64 = world.count("select incarnation::bigint from engine.installation").await;
        let accepted = quarantine::accept(world.pool()).await.expect("an answer").expect("something to accept");
        assert_eq!(i64::from(accepted.incarnation), before + 1);
        let (_stop, told) = watch::channel(false);
        assert!(quarantine::over(world.pool(), told).await);
        assert_eq!(quarantine::accept(world.pool()).await.expect("an answer"), None, "once");
    }
}

/// As if a standby had been promoted at the same address: the same database, whose history has forked.
async fn fails_over(world: &World) {
    world.sql("update engine.installation set cluster = split_part(cluster, '/', 1) || '/0'").await;
}

#[tokio::test]
async fn a_failover_is_noticed_by_whoever_is_at_work_before_anybody_looks() {
    let world = World::new().await;
    world.community().await;
    assert_eq!(quarantine::since(world.pool()).await.expect("an answer"), None);
    let invoice = world.invoice().await;
    let payment = world.payment(invoice).await;
    world.react().await;
    world.worker().drain().await.expect("a claim on the invoice");
    world.react().await;
    let worker = world.worker();
    let claimed = worker.claim(10).await.expect("tasks");
    assert_eq!(claimed.iter().map(|task| task.name.as_str()).collect::<Vec<_>>(), ["SubmitPayment"]);
    fails_over(&world).await;
    worker.carry_out(&claimed[0]).await;
    assert!(world.stripe.intents(payment).is_empty(), "what was claimed before is not called any more");
    // Nor is anything taken up: no task, no notice, no reaction.
    world.hurry().await;
    world.notice("payment_intent.succeeded", "pi_1", Some(payment)).await;
    let rows: i64 = world.count("select count(*) from engine.outbox").await;
    world.publish(world.draft().await, false).await;
    world.react().await;
    assert_eq!(world.worker().drain().await.expect("an answer"), 0);
    assert_eq!(world.count("select count(*) from engine.outbox").await, rows);
    assert_eq!(world.count("select count(*) from engine.webhooks where state = 'received'").await, 1);
    assert!(world.stripe.intents(payment).is_empty());
    // It is noted and waits for a person, whose word lets everything go on.
    assert!(quarantine::since(world.pool()).await.expect("an answer").is_some());
    quarantine::accept(world.pool()).await.expect("an answer").expect("something to accept");
    world.settle_at_last().await;
    assert_eq!(world.stripe.intents(payment).len(), 1);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn processes_that_were_at_work_go_on_under_the_new_incarnation() {
    let world = World::new().await;
    world.community().await;
    assert_eq!(quarantine::since(world.pool()).await.expect("an answer"), None);
    let (stop, told) = watch::channel(false);
    let (pool, looks) = (world.pool().clone(), told.clone());
    let looking = tokio::spawn(async move { quarantine::watch(&pool, looks).await });
    let reactor = world.reactor();
    let reacting = tokio::spawn(async move { reactor.run(told).await });
    let until = async |what: &str, query: &str| {
        let holds = async { while world.count(query).await == 0 {} };
        tokio::time::timeout(Duration::from_secs(60), holds).await.expect(what);
    };
    let timer = |invoice: Uuid, incarnation: u32| {
        format!(
            "select count(*) from engine.outbox
             where name = 'ChargeWhenDue' and key like '{incarnation}/%' and body::text like '%{invoice}%'"
        )
    };
    let before = world.draft().await;
    world.publish(before, false).await;
    world.sequence().await;
    until("a reaction", &timer(before, 1)).await;
    fails_over(&world).await;
    let after = world.draft().await;
    world.publish(after, false).await;
    world.sequence().await;
    until("a note", "select count(*) from engine.installation where quarantined_since is not null").await;
    quarantine::accept(world.pool()).await.expect("an answer").expect("something to accept");
    until("a reaction", &timer(after, 2)).await;
    assert_eq!(world.count(&timer(after, 1)).await, 0);
    stop.send(true).expect("somebody listens");
    looking.await.expect("an end");
    reacting.await.expect("an end");
}

/// What a worker did in the time that was lost: the charge that the waiting timer is going to make, under the same name.
async fn charged_in_the_lost_time(world: &World, invoice: Uuid) -> Uuid {
    let (key, _) = world.row("ChargeWhenDue", invoice).await;
    let payment = PaymentId::derived(autopay_id().0, &format!("{key}/0"));
    let method = world.autopay().await.method().expect("a method").clone();
    let request = FrozenIntent {
        account: world.account().await,
        amount: 10_000,
        currency: "cad".to_owned(),
        idempotency_key: "forgotten since".to_owned(),
        description: "Invoice".to_owned(),
        kind: method.kind,
        customer: Some(method.customer),
        payment_method: Some(method.payment_method),
        confirmation_token: None,
    };
    let tags = PaymentTags { organization: world.organization.0, payment: payment.0, invoice };
    assert!(matches!(world.stripe.create_payment_intent(&request, &tags).await, Outcome::Done(_)));
    world.stripe.forget_keys();
    payment.0
}

#[tokio::test]
async fn a_charge_that_only_stripe_remembers_is_found_and_not_made_again() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(3).await;
    let payment = charged_in_the_lost_time(&world, invoice).await;
    comes_from_elsewhere(&world).await;
    assert!(quarantine::since(world.pool()).await.expect("an answer").is_some());
    quarantine::accept(world.pool()).await.expect("an answer").expect("something to accept");
    // The look fails in passing, too.
    world.stripe.script.next("find_payment_intent", Trouble::LostBefore);
    world.live_until(world.due(invoice).await).await;
    world.settle_at_last().await;
    assert_eq!(world.payments(invoice).await, [payment], "the same payment of the same timer");
    assert_eq!(world.stripe.intents(payment).len(), 1, "charged once");
    world.is_charged_once(invoice).await;
    // What nobody charged is charged as ever.
    let other = world.due_in(0).await;
    world.settle_at_last().await;
    world.is_charged_once(other).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_letter_that_only_the_provider_remembers_is_found_and_not_sent_again() {
    let world = World::new().await;
    world.community().await;
    let invoice = world.draft().await;
    world.publish(invoice, true).await;
    world.react().await;
    world.worker().drain().await.expect("a composed message");
    world.react().await;
    let message = world.message(invoice).await;
    // It was sent in the time that was lost, longer ago than keys are kept.
    world.mail.script.next("send", Trouble::LostAfter);
    world.settle().await;
    assert_eq!(world.mail.times(message), 1);
    world.mail.forget_keys();
    world
        .sql(
            "update engine.outbox set calling = false, first_called_at = null where name = 'SendEmail';
             update engine.outbox set created_at = now() - interval '30 hours';
             update engine.webhooks set received_at = now() - interval '30 hours'",
        )
        .await;
    comes_from_elsewhere(&world).await;
    quarantine::since(world.pool()).await.expect("an answer");
    let accepted = quarantine::accept(world.pool()).await.expect("an answer").expect("something to accept");
    assert_eq!(accepted.doubtful, 1);
    world.settle_at_last().await;
    assert_eq!(world.mail.times(message), 1);
    assert_eq!(world.state::<domain::EmailMessage>(message).await.phase, Phase::Accepted);
    repeats_change_nothing(&world).await;
}
