//! Connected accounts: opened once, read again, whatever fails on the way.

use domain::StripeAccount;
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::{PASSING, Trouble},
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::{ACCOUNT, World},
};

/// An account whose opening is the only thing to do.
async fn requested(world: &World) -> Uuid {
    let account = Uuid::now_v7();
    let body = world.body("ConnectStripeAccount", json!({ "stripe_account_id": account }));
    world.manage("ConnectStripeAccount", body).await;
    world.react().await;
    account
}

async fn is_open_once(world: &World, account: Uuid) {
    assert_eq!(world.stripe.accounts(account), 1);
    assert!(world.state::<StripeAccount>(account).await.takes_payments());
}

#[tokio::test]
async fn an_account_is_opened_once_wherever_the_worker_dies() {
    let world = World::new().await;
    survives_death_at_every_point(
        &world,
        async || requested(&world).await,
        async |account| is_open_once(&world, account).await,
    )
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_account_is_opened_once_however_the_call_fails() {
    let world = World::new().await;
    for trouble in PASSING {
        let account = requested(&world).await;
        world.stripe.script.next("create_account", trouble);
        world.stripe.script.next("create_account", Trouble::LostAfter);
        world.settle_at_last().await;
        is_open_once(&world, account).await;
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn after_the_keys_time_no_second_account_is_opened() {
    let world = World::new().await;
    let account = requested(&world).await;
    world.stripe.script.next("create_account", Trouble::LostAfter);
    world.settle().await;
    world.stripe.forget_keys();
    world.sql("update engine.outbox set first_called_at = now() - interval '25 hours' where calling").await;
    world.settle_at_last().await;
    assert_eq!(world.stripe.accounts(account), 1);
    assert_eq!(world.row("OpenStripeAccount", account).await.1, "unresolved");

    // Nor by a row that is done again after all this time, though its account is known.
    let known = requested(&world).await;
    world.settle().await;
    world.stripe.forget_keys();
    repeats_change_nothing(&world).await;
    is_open_once(&world, known).await;
}

#[tokio::test]
async fn two_organizations_with_the_same_ids_have_two_accounts() {
    let mut world = World::new().await;
    let account = requested(&world).await;
    world.settle().await;
    let first = world.state::<StripeAccount>(account).await.external().map(ToOwned::to_owned);
    world.organization = events::OrganizationId(Uuid::now_v7());
    let body = world.body("ConnectStripeAccount", json!({ "stripe_account_id": account }));
    world.manage("ConnectStripeAccount", body).await;
    world.settle().await;
    let second = world.state::<StripeAccount>(account).await.external().map(ToOwned::to_owned);
    assert!(first.is_some() && second.is_some() && first != second);
    assert_eq!(world.stripe.accounts(account), 2);
}

#[tokio::test]
async fn a_refused_account_is_said_to_be() {
    let world = World::new().await;
    world.stripe.script.next("create_account", Trouble::Refused("country_unsupported"));
    let account = requested(&world).await;
    world.settle().await;
    assert_eq!(world.times(account, "StripeConnectionFailed").await, 1);
    assert_eq!(world.stripe.accounts(account), 0);
}

#[tokio::test]
async fn a_reconnected_account_is_read_before_it_takes_payments() {
    let world = World::new().await;
    world.community().await;
    for trouble in PASSING {
        world.manage("DisconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
        world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
        world.stripe.script.next("account", trouble);
        world.settle_at_last().await;
        is_open_once(&world, ACCOUNT).await;
    }
    repeats_change_nothing(&world).await;
    world.manage("DisconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.stripe.script.next("account", Trouble::Refused("account_invalid"));
    world.settle().await;
    let refused = "select count(*) from engine.outbox where name = 'ReadStripeAccount' and state = 'refused'";
    assert_eq!(world.count(refused).await, 1, "somebody sees that access was withdrawn");
}
