//! Whoever leaves has autopay ended for them: with the reason, the method forgotten, what is in flight completed.

use domain::autopay::Status;
use events::payment::PaymentMethodKind::{BankDebit, Card};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    fakes::stripe::Manner,
    household::autopay_id,
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::{PROPERTY, RESIDENT, UNIT, World},
};

async fn moves_out(world: &World, unit: Uuid) {
    let fields = json!({ "resident_id": RESIDENT, "unit_id": unit, "on": world.today() });
    world.manage("MoveResidentOut", fields).await;
}

async fn moves_in(world: &World, unit: Uuid) {
    let home = json!({ "property_id": PROPERTY, "unit_id": unit, "tenure": "Owner", "on": world.today() });
    world.manage("MoveResidentIn", json!({ "resident_id": RESIDENT, "home": home })).await;
}

async fn is_ended(world: &World, method: &str, because: &str) {
    assert_eq!(world.autopay().await.status(), Status::Cancelled);
    assert_eq!(world.told(autopay_id().0, "AutopayCancelled").await["because"], because);
    assert!(world.stripe.is_detached(method));
}

#[tokio::test]
async fn whoever_moves_out_of_the_last_unit_is_enrolled_no_more_and_nothing_is_charged() {
    let (world, method) = World::with_autopay().await;
    let invoice = world.due_in(3).await;
    moves_out(&world, UNIT).await;
    world.settle_at_last().await;
    is_ended(&world, &method, "MovedOut").await;
    world.live_until(world.due(invoice).await).await;
    world.is_not_charged(invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn whoever_keeps_a_unit_of_the_property_keeps_autopay_for_it() {
    let (world, _) = World::with_autopay().await;
    let other = Uuid::now_v7();
    world.manage("AddUnit", world.body("AddUnit", json!({ "unit_id": other, "label": "Second" }))).await;
    moves_in(&world, other).await;
    let (stays, leaves) = {
        let leaves = world.due_in(3).await;
        let fields = json!({
            "invoice_id": Uuid::now_v7(), "unit_id": other, "due_on": world.in_days(3),
            "lines": [{ "description": "Condo fee", "amount": world.money(10_000) }]
        });
        let body = world.body("DraftInvoice", fields);
        let stays: Uuid = body["invoice_id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        world.manage("DraftInvoice", body).await;
        world.publish(stays, false).await;
        (stays, leaves)
    };
    moves_out(&world, UNIT).await;
    world.settle_at_last().await;
    assert_eq!(world.autopay().await.status(), Status::Active);
    world.live_until(world.due(stays).await).await;
    world.is_charged_once(stays).await;
    world.is_not_charged(leaves).await;
}

#[tokio::test]
async fn whoever_is_back_before_it_was_ended_keeps_it() {
    let (world, _) = World::with_autopay().await;
    moves_out(&world, UNIT).await;
    moves_in(&world, UNIT).await;
    world.settle_at_last().await;
    assert_eq!((world.autopay().await.status(), world.has("AutopayCancelled").await), (Status::Active, 0));
}

#[tokio::test]
async fn a_deactivation_and_an_erasure_end_it_with_their_reason() {
    let acts: [(&str, Value, &str); 2] = [
        ("ChangeResidentStatus", json!({ "resident_id": RESIDENT, "status": "Inactive" }), "Deactivated"),
        ("EraseResident", json!({ "resident_id": RESIDENT }), "Erased"),
    ];
    for (name, fields, because) in acts {
        let (world, method) = World::with_autopay().await;
        let invoice = world.due_in(3).await;
        world.manage(name, fields).await;
        world.settle_at_last().await;
        is_ended(&world, &method, because).await;
        world.live_until(world.due(invoice).await).await;
        world.is_not_charged(invoice).await;
        repeats_change_nothing(&world).await;
    }
}

#[tokio::test]
async fn a_debit_that_is_on_its_way_when_the_resident_leaves_is_completed_and_then_the_method_is_forgotten() {
    let world = World::in_dollars().await;
    let method = world.enabled(BankDebit).await;
    world.stripe.next_charge(Manner::Processes);
    let invoice = world.due_in(0).await;
    let (payment, intent) = world.newest(invoice).await;
    moves_out(&world, UNIT).await;
    world.settle_at_last().await;
    assert_eq!(world.autopay().await.status(), Status::Cancelled);
    assert!(!world.stripe.is_detached(&method), "the bank is still at work");
    world.stripe.pay(&intent);
    world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    is_ended(&world, &method, "MovedOut").await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_departure_ends_autopay_once_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    let prepare = async || {
        world.enabled(Card).await;
        moves_out(&world, UNIT).await;
        world.react().await;
        RESIDENT.0
    };
    survives_death_at_every_point(&world, prepare, async |_| {
        assert_eq!(world.autopay().await.status(), Status::Cancelled);
        moves_in(&world, UNIT).await;
        world.settle_at_last().await;
    })
    .await;
    let ended = "select count(*) from log.events where event_type = 'AutopayCancelled'";
    let left = "select count(*) from log.events where event_type = 'ResidentMovedOut'";
    assert_eq!(world.count(ended).await, world.count(left).await);
}
