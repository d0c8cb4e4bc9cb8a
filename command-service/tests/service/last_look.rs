//! The last look before a charge: whatever happened since the timer was set wins over the charge.

use chrono::TimeDelta;
use domain::{Invoice, Payment, autopay::Status, payment::Phase};
use events::payment::CancelReason;
use serde_json::json;
use uuid::Uuid;

use crate::{
    household::CHARGED,
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::{ACCOUNT, PROPERTY, RESIDENT, World},
};

async fn granted(world: &World, amount: i64) {
    let fields = json!({
        "property_id": PROPERTY, "resident_id": RESIDENT, "grant_id": Uuid::now_v7(), "amount": world.money(amount)
    });
    world.manage("GrantCredit", world.body("GrantCredit", fields)).await;
}

#[tokio::test]
async fn what_was_paid_a_second_before_is_not_charged() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(5).await;
    world.reach(world.due(invoice).await - TimeDelta::seconds(2)).await;
    world.paid_by_hand(invoice, 10_000).await;
    world.live_until(world.due(invoice).await).await;
    world.is_not_charged(invoice).await;
    // Of what was paid in part, the rest is charged.
    let invoice = world.due_in(5).await;
    world.reach(world.due(invoice).await - TimeDelta::seconds(2)).await;
    world.paid_by_hand(invoice, 4_000).await;
    world.live_until(world.due(invoice).await).await;
    assert_eq!((world.charges(invoice).await, world.balance(invoice).await), ((1, 1), 0));
    assert_eq!(world.stripe.intents(world.newest(invoice).await.0)[0].amount, 6_000);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn what_was_voided_is_not_charged() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(5).await;
    world.reach(world.due(invoice).await - TimeDelta::seconds(2)).await;
    world.manage("VoidInvoice", json!({ "invoice_id": invoice, "reason": "Billed twice" })).await;
    world.live_until(world.due(invoice).await).await;
    world.is_not_charged(invoice).await;
    assert_eq!(world.waiting_tasks("ChargeWhenDue", invoice).await, 0);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn nothing_is_charged_after_a_cancel() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(5).await;
    world.reach(world.due(invoice).await - TimeDelta::seconds(2)).await;
    world.resident_does("CancelAutopay", json!({})).await;
    world.live_until(world.due(invoice).await).await;
    world.is_not_charged(invoice).await;
    assert_eq!(world.autopay().await.status(), Status::Cancelled);
    repeats_change_nothing(&world).await;
}

/// Something that comes between the claim and the enrollment's word: the payment is given up, the claim released.
async fn gives_up(world: &World, between: impl AsyncFn()) -> Uuid {
    let invoice = world.published_due(world.today(), 10_000).await;
    world.react().await;
    for _ in 0..2 {
        world.worker().drain().await.expect("work");
        world.react().await;
    }
    between().await;
    world.settle_at_last().await;
    let payment = world.payments(invoice).await[0];
    assert!(world.stripe.intents(payment).is_empty(), "stripe was never asked");
    let state: Payment = world.state(payment).await;
    assert_eq!(state.phase, Phase::Canceled);
    let reason = world.told(payment, "PaymentCanceled").await["reason"].clone();
    let reason: CancelReason = serde_json::from_value(reason).expect("a reason");
    assert!(matches!(reason, CancelReason::NotAuthorized { .. }), "{reason:?}");
    assert_eq!(world.times(invoice, "PaymentReleased").await, 1);
    invoice
}

#[tokio::test]
async fn a_cancel_that_comes_before_the_authorization_wins() {
    let (world, _) = World::with_autopay().await;
    let invoice = gives_up(&world, async || world.resident_does("CancelAutopay", json!({})).await).await;
    assert!(world.state::<Invoice>(invoice).await.claim.is_none());
    world.is_not_charged(invoice).await;
    assert_eq!(world.enrollment().await, ["AutopayActivated", "AutopayCancelled"]);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_cap_that_comes_before_the_authorization_wins() {
    let (world, _) = World::with_autopay().await;
    let cap = async || world.resident_does("SetAutopayCap", json!({ "cap": world.money(5_000) })).await;
    let invoice = gives_up(&world, cap).await;
    world.is_not_charged(invoice).await;
    assert_eq!(world.has("ChargeHeld").await, 1);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_cancel_races_the_charge_at_every_point_and_never_both_win_nor_both_lose() {
    let world = World::new().await;
    world.community().await;
    let prepare = async || {
        world.enabled(events::payment::PaymentMethodKind::Card).await;
        let invoice = world.published_due(world.today(), 10_000).await;
        world.react().await;
        for _ in 0..2 {
            world.worker().drain().await.expect("work");
            world.react().await;
        }
        invoice
    };
    // The worker dies somewhere in the submission, and before the next one goes on the resident cancels.
    for nth in 1..60 {
        let invoice = prepare().await;
        let ended = crate::proofs::dies_at(world.worker().drain(), nth).await;
        let authorized = world.autopay().await.in_flight(events::InvoiceId(invoice)).is_some();
        world.resident_does("CancelAutopay", json!({})).await;
        world.settle_at_last().await;
        assert_eq!(world.charges(invoice).await.1, usize::from(authorized || ended), "at {nth}");
        assert_eq!(world.balance(invoice).await, if authorized || ended { 0 } else { 10_000 });
        assert!(world.state::<Invoice>(invoice).await.claim.is_none());
        if ended {
            break;
        }
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_payment_by_hand_that_is_in_flight_is_waited_for() {
    for completed in [true, false] {
        let (world, _) = World::with_autopay().await;
        let invoice = world.due_in(5).await;
        world.reach(world.due(invoice).await - TimeDelta::seconds(10)).await;
        let payment = world.payment(invoice).await;
        world.settle().await;
        let intent = world.stripe.intents(payment)[0].id.clone();
        world.live_until(world.due(invoice).await).await;
        assert_eq!(world.payments(invoice).await, [payment], "autopay waits");
        if completed {
            world.stripe.pay(&intent);
            world.notice("payment_intent.succeeded", &intent, Some(payment)).await;
        } else {
            world.manage("CancelPayment", json!({ "payment_id": payment })).await;
        }
        world.settle_at_last().await;
        world.settle_at_last().await;
        assert_eq!(world.balance(invoice).await, 0);
        assert_eq!(world.charges(invoice).await, if completed { (1, 1) } else { (2, 1) });
        assert_eq!(world.letters(CHARGED, invoice), usize::from(!completed));
        repeats_change_nothing(&world).await;
    }
}

#[tokio::test]
async fn a_charge_is_held_while_the_account_takes_no_money_and_made_when_it_does_again() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(5).await;
    world.manage("DisconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.live_until(world.due(invoice).await + TimeDelta::days(2)).await;
    world.is_not_charged(invoice).await;
    assert_eq!(world.waiting_tasks("ChargeWhenDue", invoice).await, 1, "held");
    assert_eq!(world.autopay().await.status(), Status::Active);
    world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_account_that_is_disconnected_after_the_claim_gives_the_invoice_back_and_holds_the_charge() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.published_due(world.today(), 10_000).await;
    world.react().await;
    for _ in 0..2 {
        world.worker().drain().await.expect("work");
        world.react().await;
    }
    world.manage("DisconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.settle_at_last().await;
    assert!(world.state::<Invoice>(invoice).await.claim.is_none());
    world.is_not_charged(invoice).await;
    world.manage("ReconnectStripeAccount", json!({ "stripe_account_id": ACCOUNT })).await;
    world.settle_at_last().await;
    world.is_charged_once(invoice).await;
    assert_eq!(world.has("ChargeFailed").await, 0);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn above_the_cap_the_resident_is_asked_and_the_yes_holds_for_that_amount() {
    let (world, _) = World::with_autopay().await;
    world.resident_does("SetAutopayCap", json!({ "cap": world.money(10_000) })).await;
    let within = world.due_in(0).await;
    world.settle_at_last().await;
    world.is_charged_once(within).await;
    let above = world.published_due(world.today(), 10_001).await;
    world.settle_at_last().await;
    world.is_not_charged(above).await;
    assert_eq!(world.letters("autopay-held", above), 1);
    // It grows before the resident answers: the old yes is none.
    world.edit(above, world.today(), 12_000).await;
    world.settle_at_last().await;
    let yes = |amount| json!({ "property_id": PROPERTY, "resident_id": RESIDENT, "invoice_id": above, "amount": world.money(amount) });
    assert!(world.execute(world.resident(), "ApproveCharge", yes(10_001)).await.is_err());
    world.execute(world.resident(), "ApproveCharge", yes(12_000)).await.expect("a yes");
    world.settle_at_last().await;
    world.is_charged_once(above).await;
    assert_eq!(world.letters("autopay-held", above), 2, "one per amount");
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_question_is_asked_once_wherever_the_worker_dies() {
    let (world, _) = World::with_autopay().await;
    world.resident_does("SetAutopayCap", json!({ "cap": world.money(5_000) })).await;
    let prepare = async || {
        let invoice = world.published_due(world.today(), 10_000).await;
        world.react().await;
        invoice
    };
    survives_death_at_every_point(&world, prepare, async |invoice| {
        assert_eq!(world.letters("autopay-held", invoice), 1);
        world.is_not_charged(invoice).await;
    })
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn credit_is_used_before_the_method() {
    let (world, _) = World::with_autopay().await;
    granted(&world, 3_000).await;
    let partly = world.due_in(0).await;
    world.settle_at_last().await;
    assert_eq!((world.charges(partly).await, world.balance(partly).await), ((1, 1), 0));
    assert_eq!(world.stripe.intents(world.newest(partly).await.0)[0].amount, 7_000);
    assert_eq!(world.times(partly, "CreditApplied").await, 1);
    granted(&world, 25_000).await;
    let wholly = world.due_in(0).await;
    world.settle_at_last().await;
    world.is_not_charged(wholly).await;
    assert_eq!(world.balance(wholly).await, 0);
    let credit: domain::Credit = world.state(domain::credit::credit_id(PROPERTY, RESIDENT).0).await;
    assert_eq!(credit.balance.map(events::Money::amount), Some(15_000));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn credit_that_is_still_on_its_way_to_the_invoice_is_waited_for() {
    let (world, _) = World::with_autopay().await;
    granted(&world, 3_000).await;
    let invoice = world.published_due(world.today(), 10_000).await;
    world.react().await;
    // The credit is set aside, and for some time nobody books it.
    for _ in 0..3 {
        world.hurry().await;
        world.worker().drain().await.expect("work");
    }
    assert!(world.payments(invoice).await.is_empty());
    world.settle_at_last().await;
    assert_eq!(world.stripe.intents(world.newest(invoice).await.0)[0].amount, 7_000);
    assert_eq!((world.charges(invoice).await, world.balance(invoice).await), ((1, 1), 0));
}

#[tokio::test]
async fn credit_is_spent_once_wherever_the_worker_dies() {
    let (world, _) = World::with_autopay().await;
    let prepare = async || {
        granted(&world, 1_000).await;
        let invoice = world.published_due(world.today(), 10_000).await;
        world.react().await;
        invoice
    };
    survives_death_at_every_point(&world, prepare, async |invoice| {
        assert_eq!(world.times(invoice, "CreditApplied").await, 1);
        world.is_charged_once(invoice).await;
        assert_eq!(world.stripe.intents(world.newest(invoice).await.0)[0].amount, 9_000);
    })
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn without_autopay_nothing_is_charged() {
    let world = World::new().await;
    world.community().await;
    let invoice = world.due_in(3).await;
    world.live_until(world.due(invoice).await).await;
    world.is_not_charged(invoice).await;
    // Nor when it is set up afterwards: what was due before is the resident's to pay.
    world.enabled(events::payment::PaymentMethodKind::Card).await;
    world.settle_at_last().await;
    world.is_not_charged(invoice).await;
}

#[tokio::test]
async fn credit_that_comes_again_for_the_same_balance_is_used_too() {
    let (world, _) = World::with_autopay().await;
    world.resident_does("SetAutopayCap", json!({ "cap": world.money(5_000) })).await;
    granted(&world, 3_000).await;
    let invoice = world.due_in(0).await;
    world.settle_at_last().await;
    assert_eq!((world.balance(invoice).await, world.times(invoice, "CreditApplied").await), (7_000, 1));
    // The balance is what it was when credit was set aside for it, and there is credit again.
    world.edit(invoice, world.today(), 13_000).await;
    world.settle_at_last().await;
    granted(&world, 2_000).await;
    world.settle_at_last().await;
    assert_eq!((world.balance(invoice).await, world.times(invoice, "CreditApplied").await), (8_000, 2));
    // The yes to the question that was asked before is none to the new amount.
    for amount in [10_000, 8_000] {
        world.is_not_charged(invoice).await;
        let yes = json!({ "invoice_id": invoice, "amount": world.money(amount) });
        world.resident_does("ApproveCharge", yes).await;
        for _ in 0..3 {
            world.settle_at_last().await;
        }
    }
    world.is_charged_once(invoice).await;
    assert_eq!((world.charges(invoice).await, world.balance(invoice).await), ((1, 1), 0));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn whoever_moved_out_is_not_charged_even_before_autopay_was_ended() {
    let (world, _) = World::with_autopay().await;
    let invoice = world.due_in(3).await;
    world.reach(world.due(invoice).await).await;
    let fields = json!({ "resident_id": RESIDENT, "unit_id": crate::world::UNIT, "on": world.today() });
    world.manage("MoveResidentOut", fields).await;
    // The timer comes before anybody has heard of it.
    world.worker().drain().await.expect("work");
    assert_eq!((world.payments(invoice).await.len(), world.autopay().await.status()), (0, Status::Active));
    world.settle_at_last().await;
    world.is_not_charged(invoice).await;
    repeats_change_nothing(&world).await;
}
