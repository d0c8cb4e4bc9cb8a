//! Webhooks out within their limits: an organization's share, its secrets, a receiver's patience, and what is looked for at all.

use chrono::TimeDelta;
use command_service::{Ask, Courier, Fault, courier::rows, courier::secrets};
use domain::webhook::{RegisterWebhook, RotateWebhookSecret};
use events::{Language, OrganizationId, SecretId, WebhookId};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{
    receiver::Receiver,
    webhooks::{NOTICE, value},
    webhooks_trouble::{run, until},
    world::World,
};

#[tokio::test]
async fn one_organization_s_silent_receivers_hold_up_no_other_organization() {
    let (mut world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", silent.local_addr().expect("an address"));
    let _running = run(Courier::with_places(world.effects.clone(), world.reader(), 4));
    for _ in 0..6 {
        world.webhook(&url, &["unit.*"], false, Some(1)).await;
    }
    world.add_units(10).await;
    until("one is sent", async || {
        world.count("select count(*) from engine.webhook_endpoints where holder is not null").await > 0
    })
    .await;
    world.organization = OrganizationId(Uuid::now_v7());
    let register = world.body("RegisterOrganization", json!({}));
    world.execute(Ask::operator(world.organization), "RegisterOrganization", register).await.expect("an organization");
    world.webhook(&receiver.url, &[], false, Some(1)).await;
    let property = world.body("AddProperty", json!({ "property_id": Uuid::now_v7() }));
    world.execute(Ask::operator(world.organization), "AddProperty", property).await.expect("a property");
    world.settle().await;
    until("it arrives", async || !receiver.taken().is_empty()).await;
    let answered = world.count("select count(*) from engine.webhook_attempts where outcome <> 'delivered'").await;
    assert_eq!(answered, 0, "before any of the silent ones was given up");
}

#[tokio::test]
async fn an_organization_has_twenty_webhooks_at_most_however_many_are_asked_for_at_once() {
    let world = World::new().await;
    world.community().await;
    let first_secret = async || {
        let webhook_id = WebhookId(Uuid::now_v7());
        let made = secrets::make_first(world.store(), world.organization, webhook_id).await.expect("an answer");
        made.map(|(secret_id, _)| (webhook_id, secret_id))
    };
    let made = futures_util::future::join_all((0..24).map(|_| first_secret())).await;
    let made: Vec<(WebhookId, SecretId)> = made.into_iter().flatten().collect();
    assert_eq!(made.len(), 20);
    assert!(first_secret().await.is_none());
    for (webhook_id, secret_id) in &made[..19] {
        let command = registration(*webhook_id, *secret_id);
        secrets::name(&world.effects.engine, command, &world.manager(), *secret_id).await.expect("a webhook");
    }
    // One was never registered.
    world.sql("update vault.webhook_secrets set created_at = created_at - interval '1 hour'").await;
    assert!(first_secret().await.is_some());
    assert!(first_secret().await.is_none());
    let foreign = OrganizationId(Uuid::now_v7());
    let elsewhere = secrets::make_first(world.store(), foreign, WebhookId(Uuid::now_v7())).await.expect("an answer");
    assert!(elsewhere.is_some(), "another organization's do not count");
}

fn registration(webhook_id: WebhookId, secret_id: SecretId) -> RegisterWebhook {
    RegisterWebhook {
        webhook_id,
        url: value("https://hooks.example.com/propty"),
        description: None,
        types: vec![],
        property_id: None,
        notice_email: value(NOTICE),
        language: Language::En,
        secret_id,
        from: None,
    }
}

#[tokio::test]
async fn a_secret_is_forgotten_when_its_command_is_refused_and_kept_when_the_answer_is_lost() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook_id, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    let rotate = async |overlap_hours| {
        let (secret_id, _) = secrets::make(world.store(), world.organization, webhook_id).await.expect("a secret");
        let command = RotateWebhookSecret { webhook_id, secret_id, overlap_hours };
        let answer = secrets::name(&world.effects.engine, command, &world.manager(), secret_id).await;
        let kept =
            world.count(&format!("select count(*) from vault.webhook_secrets where secret_id = '{secret_id}'")).await;
        (answer.map(|_| ()), kept)
    };
    let (refused, kept) = rotate(Some(500)).await;
    assert!(matches!(refused, Err(Fault::Refused { .. })), "{refused:?}");
    assert_eq!(kept, 0);
    world
        .sql(
            "create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
             create trigger refuse before insert on log.events for each row execute function public.refuse()",
        )
        .await;
    let (lost, kept) = rotate(None).await;
    assert!(lost.is_err_and(|fault| !fault.is_final()));
    assert_eq!(kept, 1, "an event may name it");
    world.sql("drop trigger refuse on log.events").await;
    assert_eq!((rotate(None).await.1, world.count("select count(*) from vault.webhook_secrets").await), (1, 3));
}

#[tokio::test]
async fn only_the_secrets_that_a_webhook_names_are_opened_and_a_damaged_former_one_stops_nothing() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook_id, first) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    for _ in 0..25 {
        secrets::make(world.store(), world.organization, webhook_id).await.expect("a secret that nothing names");
    }
    world.relabel("1").await;
    world.deliver().await;
    let (secret_id, second) = secrets::make(world.store(), world.organization, webhook_id).await.expect("a secret");
    let rotate = RotateWebhookSecret { webhook_id, secret_id, overlap_hours: None };
    world.effects.engine.execute(rotate, &world.manager()).await.expect("a rotation");
    world.sql(&format!("update vault.webhook_secrets set wrapped = '\\x00' where secret_id <> '{secret_id}'")).await;
    world.relabel("2").await;
    world.deliver().await;
    let got = receiver.got();
    let signed: Vec<_> =
        got.iter().map(|got| (got.is_signed_by(first.expose()), got.is_signed_by(second.expose()))).collect();
    assert_eq!(signed, [(true, false), (false, true)]);
}

#[tokio::test]
async fn a_receiver_may_ask_for_hours_of_patience() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.answer(|_| (429, "7200"));
    world.relabel("1").await;
    world.deliver().await;
    let pause = "select extract(epoch from next_at - at)::bigint from engine.webhook_attempts";
    assert_eq!(world.count(pause).await, 7200);
}

#[tokio::test]
async fn a_webhook_that_only_waits_is_left_alone_until_something_is_due() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.community().await;
    let (webhook, _) = world.webhook(&receiver.url, &["unit.*"], false, None).await;
    receiver.answer(|_| (500, ""));
    world.relabel("1").await;
    world.relabel("2").await;
    world.deliver().await;
    let claims = async || {
        let room = rows::Room { places: 9, share: 9 };
        let now = world.effects.engine.clock().now();
        let claimed = rows::claim(world.pool(), room, now, &[]).await.expect("claims");
        for endpoint in &claimed {
            rows::release(world.pool(), endpoint, false).await.expect("a release");
        }
        claimed.len()
    };
    let next = "select count(*) from engine.webhook_endpoints endpoint join engine.webhook_deliveries waiting using (webhook_id)
                where endpoint.next_due_at = waiting.due_at and waiting.attempts = 1";
    assert_eq!((claims().await, world.count(next).await), (0, 1));
    world.advance(TimeDelta::seconds(6)).await;
    assert_eq!(claims().await, 1);
    world.about("DisableWebhook", webhook).await;
    claims().await;
    assert_eq!(claims().await, 0, "disabled, nothing of it is due");
    world.about("SendTestWebhook", webhook).await;
    assert_eq!((claims().await, world.deliver().await), (1, 1));
    assert_eq!(claims().await, 0);
    world.about("EnableWebhook", webhook).await;
    assert_eq!(claims().await, 1);
}
