//! Credit of residents, with or without autopay: it settles what is open, and nobody has to ask for it.

use events::Money;
use serde_json::json;
use uuid::Uuid;

use crate::{
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::{PROPERTY, RESIDENT, World},
};

async fn granted(world: &World, amount: i64) {
    let fields = json!({
        "property_id": PROPERTY, "resident_id": RESIDENT, "grant_id": Uuid::now_v7(), "amount": world.money(amount)
    });
    world.manage("GrantCredit", world.body("GrantCredit", fields)).await;
}

async fn credit(world: &World) -> i64 {
    let credit: domain::Credit = world.state(domain::credit::credit_id(PROPERTY, RESIDENT).0).await;
    credit.balance.map_or(0, Money::amount)
}

async fn community() -> World {
    let world = World::new().await;
    world.community().await;
    world
}

#[tokio::test]
async fn what_was_overpaid_settles_the_next_invoice_as_it_is_published() {
    let world = community().await;
    let first = world.invoice().await;
    let cash = json!({
        "invoice_id": first, "payment_id": Uuid::now_v7(), "amount": world.money(15_000), "excess_to_credit": true,
        "received_on": world.today(),
    });
    world.manage("RecordOfflinePayment", world.body("RecordOfflinePayment", cash)).await;
    world.settle_at_last().await;
    assert_eq!((world.balance(first).await, credit(&world).await), (0, 5_000));
    let next = world.invoice().await;
    world.settle_at_last().await;
    assert_eq!((world.balance(next).await, credit(&world).await), (5_000, 0));
    // The rest is asked for.
    let payment = Uuid::now_v7();
    let quote = json!({ "payment_id": payment, "invoice_id": next });
    world.execute(world.resident(), "QuotePayment", quote).await.expect("a quote");
    let quoted = world.state::<domain::Payment>(payment).await.quote.expect("a quote");
    assert_eq!(quoted.amount.amount(), 5_000);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn credit_that_comes_settles_what_is_open_in_the_order_of_the_due_days() {
    let world = community().await;
    let late = world.due_in(9).await;
    let soon = world.due_in(4).await;
    let later = world.due_in(12).await;
    granted(&world, 15_000).await;
    world.settle_at_last().await;
    let balances = [world.balance(soon).await, world.balance(late).await, world.balance(later).await];
    assert_eq!((balances, credit(&world).await), ([0, 5_000, 10_000], 0));
    // One that is raised uses what is left over.
    granted(&world, 17_000).await;
    world.settle_at_last().await;
    assert_eq!(credit(&world).await, 2_000);
    world.edit(soon, world.in_days(4), 11_500).await;
    world.settle_at_last().await;
    assert_eq!((world.balance(soon).await, credit(&world).await), (0, 500));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn credit_waits_while_a_payment_is_in_flight_and_is_used_when_that_comes_to_nothing() {
    let world = community().await;
    let invoice = world.invoice().await;
    let payment = world.payment(invoice).await;
    world.settle().await;
    granted(&world, 4_000).await;
    world.settle_at_last().await;
    assert_eq!((world.balance(invoice).await, credit(&world).await), (10_000, 4_000));
    world.execute(world.resident(), "CancelPayment", json!({ "payment_id": payment })).await.expect("a cancellation");
    world.settle_at_last().await;
    assert_eq!((world.balance(invoice).await, credit(&world).await), (6_000, 0));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn credit_is_spent_once_without_autopay_wherever_the_worker_dies() {
    let world = community().await;
    let prepare = async || {
        granted(&world, 1_000).await;
        world.settle_at_last().await;
        let invoice = world.published_due(world.in_days(5), 10_000).await;
        world.react().await;
        invoice
    };
    survives_death_at_every_point(&world, prepare, async |invoice| {
        assert_eq!((world.balance(invoice).await, world.times(invoice, "CreditApplied").await), (9_000, 1));
        assert_eq!(credit(&world).await, 0);
        // The next credit is for the next one.
        world.paid_by_hand(invoice, 9_000).await;
        world.settle().await;
    })
    .await;
    repeats_change_nothing(&world).await;
}
