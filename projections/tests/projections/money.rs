//! Money that comes, goes, comes back and is given up: quotes, settlements, disputes, credit, write-offs, payouts.

use events::{CreditEvent, InvoiceEvent, PaymentEvent, PropertyEvent, StripeAccountEvent};
use projections::{
    Paging, Visibility, credit,
    dashboard::{Collected, PayoutTotal, dashboard},
    invoice, payment, payout,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    story::{Story, cad, start},
    world::{World, at},
};

/// The parts of a row that matter here.
async fn part(world: &World, model: &str, key: Uuid, names: &[&str]) -> Value {
    let row = world.row(model, key).await.expect("a row");
    names.iter().map(|name| ((*name).to_owned(), row[name].clone())).collect()
}

macro_rules! row_is {
    ($world:expr, $model:literal, $key:expr, $expected:tt) => {{
        let expected = json!($expected);
        let names: Vec<&str> = expected.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(part(&$world, $model, $key, &names).await, expected);
    }};
}

#[tokio::test]
async fn a_quote_for_a_card_that_was_shown_says_what_was_waived() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let bill = story.publishes(&mut world, 0, 10_000, "2026-01-31").await;
    let (shown, refused) = (Uuid::now_v7(), Uuid::now_v7());
    for id in [shown, refused] {
        let previewed = json!({ "PaymentPreviewRequested": {
            "invoice_id": bill, "property_id": story.property, "resident_id": story.residents[0],
            "stripe_account_id": story.account, "amount": cad(10_000), "confirmation_token": "ctoken_1",
        } });
        story.tell::<PaymentEvent>(&mut world, id, start(), previewed).await;
    }
    world.drain().await;
    row_is!(world, "payment", shown, { "phase": "Previewing", "status": "Pending", "amount": 10_000, "resident_id": story.residents[0] });
    let quoted = json!({ "PaymentQuoted": {
        "invoice_id": bill, "property_id": story.property, "resident_id": story.residents[0],
        "stripe_account_id": story.account, "method": "Card", "amount": cad(10_000), "fee": cad(0), "total": cad(10_000),
        "fees": events::property::FeePolicy::STANDARD, "mode": "PassToResident", "expires_at": start(),
        "confirmation_token": "ctoken_1", "funding": "debit", "waiver": { "Funding": { "funding": "debit" } },
    } });
    story.tell::<PaymentEvent>(&mut world, shown, start(), quoted).await;
    story
        .tell::<PaymentEvent>(
            &mut world,
            refused,
            start(),
            json!({ "PaymentPreviewFailed": { "code": "expired_card" } }),
        )
        .await;
    world.drain().await;
    row_is!(world, "payment", shown, {
        "phase": "Quoted", "method": "Card", "method_kind": "Card", "funding": "debit", "fee": 0,
        "waiver": { "Funding": { "funding": "debit" } }, "autopay_id": null,
    });
    row_is!(world, "payment", refused, { "phase": "PreviewFailed", "status": "Failed", "failure_code": "expired_card" });
    // Nobody went on to pay yet.
    let mut tenant = world.tenant(story.organization).await;
    let (all, paging) = (payment::Filter::default(), Paging::default());
    let listed = payment::list(&mut tenant, &all, payment::SortBy::Amount, false, &paging).await;
    assert_eq!(listed.expect("payments").items.len(), 0);
}

/// A bank debit by autopay that succeeded and was settled.
async fn debited(world: &mut World, story: &Story, bill: Uuid) -> Uuid {
    let autopay = story.enrolls(world, 0).await;
    let id = story.charges(world, 0, autopay, bill, 10_000).await;
    let succeeded = json!({ "PaymentSucceeded": {
        "invoice_id": bill, "amount": cad(10_000), "charge": "py_1", "bank": { "bank_name": "Example Bank", "last4": "6789" },
        "autopay_id": autopay,
    } });
    story.tell::<PaymentEvent>(world, id, start(), succeeded).await;
    story.applies(world, 0, bill, id, (10_000, 0), start()).await;
    let settled = json!({ "PaymentSettled": {
        "property_id": story.property, "stripe_account_id": story.account, "balance_transaction": "txn_1",
        "gross": cad(10_000), "fee": cad(100), "net": cad(9_900), "available_at": "2026-01-09T00:00:00Z",
    } });
    story.tell::<PaymentEvent>(world, id, start(), settled).await;
    id
}

async fn taken_back(world: &mut World, story: &Story, bill: Uuid, payment: Uuid, returned: bool) {
    let disputed = json!({ "PaymentDisputed": {
        "dispute": "du_1", "invoice_id": bill, "property_id": story.property, "stripe_account_id": story.account,
        "amount": cad(10_000), "reversed": cad(10_000), "reason": "insufficient_funds", "returned": returned,
    } });
    story.tell::<PaymentEvent>(world, payment, start(), disputed).await;
    let reason = if returned {
        json!({ "Return": { "dispute": "du_1", "code": "R01" } })
    } else {
        json!({ "Dispute": { "dispute": "du_1" } })
    };
    let reversed = json!({ "PaymentReversed": { "payment_id": payment, "amount": cad(10_000), "balance": cad(10_000), "reason": reason } });
    story.tell::<InvoiceEvent>(world, bill, start(), reversed).await;
}

#[tokio::test]
async fn a_bank_debit_shows_its_account_and_what_stripe_kept_to_managers_only() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let bill = story.publishes(&mut world, 0, 10_000, "2026-01-31").await;
    let id = debited(&mut world, &story, bill).await;
    world.drain().await;
    row_is!(world, "payment", id, {
        "status": "Succeeded", "method": "Bank", "bank_name": "Example Bank", "bank_last4": "6789",
        "processor_fee": 100, "settled_net": 9_900, "settled_currency": "CAD", "balance_transaction": "txn_1",
    });
    let mut tenant = world.tenant(story.organization).await;
    let mine = Visibility { resident: Some(story.residents[0]), property: None };
    let own = payment::detail(&mut tenant, mine, id).await.expect("an answer").expect("the payment").payment;
    assert_eq!(own.method_label(), "Bank ****6789");
    assert_eq!((own.processor_fee, own.settled_net, own.balance_transaction), (None, None, None));
    let by_autopay = |autopay| payment::Filter { autopay: Some(autopay), ..Default::default() };
    for (filter, count) in [(by_autopay(true), 1), (by_autopay(false), 0)] {
        let found = payment::list(&mut tenant, &filter, payment::SortBy::Amount, false, &Paging::default()).await;
        assert_eq!(found.expect("payments").items.len(), count);
    }
    let board = dashboard(&mut tenant, Visibility::default(), None, start()).await.expect("a dashboard");
    assert_eq!((board.this_month[0].collected, board.this_month[0].processing_fees), (10_000, 100));
}

#[tokio::test]
async fn a_returned_debit_failed_and_a_dispute_is_pending_until_it_is_decided() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let bill = story.publishes(&mut world, 0, 10_000, "2026-01-31").await;
    let id = debited(&mut world, &story, bill).await;
    taken_back(&mut world, &story, bill, id, true).await;
    world.drain().await;
    row_is!(world, "payment", id, { "phase": "Succeeded", "status": "Failed", "dispute_status": "Returned", "disputed": 10_000, "reversed": 10_000 });
    row_is!(world, "invoice", bill, { "balance": 10_000, "paid": 0, "settled_at": null });

    let other = story.publishes(&mut world, 0, 10_000, "2026-01-31").await;
    let card = story.opens_form(&mut world, 0, other, 10_000, 383).await;
    story.succeeds(&mut world, 0, other, card, (10_000, 0)).await;
    taken_back(&mut world, &story, other, card, false).await;
    world.drain().await;
    row_is!(world, "payment", card, { "status": "Pending", "dispute_status": "Open", "dispute": "du_1" });
    let won = json!({ "PaymentDisputeClosed": { "dispute": "du_1", "invoice_id": other, "won": true, "amount": cad(10_000), "reversed": cad(10_000) } });
    story.tell::<PaymentEvent>(&mut world, card, start(), won).await;
    let reinstated = json!({ "PaymentReinstated": { "payment_id": card, "amount": cad(10_000), "balance": cad(0), "dispute": "du_1" } });
    story.tell::<InvoiceEvent>(&mut world, other, start(), reinstated).await;
    world.drain().await;
    row_is!(world, "payment", card, { "status": "Succeeded", "dispute_status": "Won", "reversed": 0, "dispute_reversed": 0 });
    row_is!(world, "invoice", other, { "balance": 0, "paid": 10_000 });
    let mut tenant = world.tenant(story.organization).await;
    let board = dashboard(&mut tenant, Visibility::default(), None, start()).await.expect("a dashboard");
    let expected = Collected {
        currency: "CAD".into(),
        collected: 10_000,
        received: 30_000,
        reversed: 20_000,
        // Once, although the money came twice.
        fees: 383,
        processing_fees: 100,
    };
    assert_eq!(board.this_month, [expected]);
    let filter = payment::Filter { disputed: true, ..Default::default() };
    let found = payment::list(&mut tenant, &filter, payment::SortBy::Amount, false, &Paging::default()).await;
    assert_eq!(found.expect("payments").items.len(), 2);

    let lost = json!({ "PaymentDisputeClosed": { "dispute": "du_1", "invoice_id": bill, "won": false, "amount": cad(10_000), "reversed": cad(10_000) } });
    drop(tenant);
    story.tell::<PaymentEvent>(&mut world, id, start(), lost).await;
    world.drain().await;
    row_is!(world, "payment", id, { "status": "Failed", "dispute_status": "Lost" });
}

#[tokio::test]
async fn credit_pays_invoices_and_is_not_collected_twice() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let first = story.publishes(&mut world, 0, 10_000, "2026-01-31").await;
    let second = story.publishes(&mut world, 0, 8_000, "2026-01-31").await;
    let credit = Uuid::now_v7();
    let check = story.pays_by_hand(&mut world, 0, first, (12_500, -2_500), "2026-01-05", start()).await;
    let excess = json!({ "OverpaymentCredited": {
        "number": 1, "credit_id": credit, "resident_id": story.residents[0], "property_id": story.property,
        "payment_id": check, "amount": cad(2_500), "balance": cad(0),
    } });
    story.tell::<InvoiceEvent>(&mut world, first, start(), excess).await;
    let added = json!({ "CreditAdded": {
        "property_id": story.property, "resident_id": story.residents[0], "amount": cad(2_500), "balance": cad(2_500),
        "source": { "Overpayment": { "invoice_id": first, "payment_id": check, "number": 1 } },
    } });
    story.tell::<CreditEvent>(&mut world, credit, start(), added).await;
    let spent = json!({ "CreditSpent": { "number": 1, "invoice_id": second, "asked": cad(8_000), "amount": cad(2_000), "balance": cad(500) } });
    story.tell::<CreditEvent>(&mut world, credit, start(), spent).await;
    let applied = json!({ "CreditApplied": {
        "credit_id": credit, "number": 1, "resident_id": story.residents[0], "amount": cad(2_000), "balance": cad(6_000),
    } });
    story.tell::<InvoiceEvent>(&mut world, second, start(), applied).await;
    world.drain().await;
    row_is!(world, "invoice", first, { "balance": 0, "paid": 10_000, "credited": 0 });
    row_is!(world, "invoice", second, { "balance": 6_000, "paid": 2_000, "credited": 2_000 });
    row_is!(world, "credit", credit, { "balance": 500, "currency": "CAD", "version": 2 });
    let mut tenant = world.tenant(story.organization).await;
    let board = dashboard(&mut tenant, Visibility::default(), None, start()).await.expect("a dashboard");
    assert_eq!((board.this_month[0].collected, board.this_month[0].received), (12_500, 12_500));
    let mine = Visibility { resident: Some(story.residents[0]), property: None };
    let filter = credit::Filter { visibility: mine, ..Default::default() };
    let found = credit::list(&mut tenant, &filter, credit::SortBy::ChangedAt, true, &Paging::default()).await;
    let found = found.expect("credits").items;
    let kinds: Vec<_> = found[0].credit.entries.iter().map(|entry| (entry.kind.as_str(), entry.amount)).collect();
    assert_eq!(kinds, [("Spent", -2_000), ("Overpayment", 2_500)]);
    let neighbour = Visibility { resident: Some(story.residents[1]), property: None };
    let filter = credit::Filter { visibility: neighbour, ..Default::default() };
    let found = credit::list(&mut tenant, &filter, credit::SortBy::Balance, true, &Paging::default()).await;
    assert_eq!(found.expect("credits").items, []);
}

#[tokio::test]
async fn what_was_written_off_is_void_and_not_overdue_until_money_comes_after_all() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let bill = story.publishes(&mut world, 0, 10_000, "2025-10-31").await;
    let given_up = json!({ "InvoiceWrittenOff": { "amount": cad(10_000), "reason": "moved abroad" } });
    story.tell::<InvoiceEvent>(&mut world, bill, start(), given_up).await;
    world.drain().await;
    row_is!(world, "invoice", bill, { "phase": "Void", "written_off": 10_000, "write_off_reason": "moved abroad", "void_reason": null });
    let status = async |world: &World| {
        let mut tenant = world.tenant(story.organization).await;
        let found = invoice::detail(&mut tenant, Visibility::default(), start(), bill).await.expect("an answer");
        let board = dashboard(&mut tenant, Visibility::default(), None, start()).await.expect("a dashboard");
        (found.expect("the invoice").invoice.status, board.aging.len(), board.by_status[0].balance)
    };
    assert_eq!(status(&world).await, ("Void".to_owned(), 0, 0));
    story.tell::<InvoiceEvent>(&mut world, bill, start(), json!({ "WriteOffUndone": {} })).await;
    story.pays_by_hand(&mut world, 0, bill, (4_000, 6_000), "2026-01-05", start()).await;
    world.drain().await;
    row_is!(world, "invoice", bill, { "phase": "Published", "written_off_at": null, "balance": 6_000 });
    assert_eq!(status(&world).await, ("Overdue".to_owned(), 1, 6_000));
}

#[tokio::test]
async fn payouts_and_comparisons_with_stripe_are_mirrored() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    story.pays_out(&mut world, "po_1", 20_000, "Pending", "2026-01-09").await;
    story.pays_out(&mut world, "po_2", 5_000, "Paid", "2026-01-31").await;
    story.pays_out(&mut world, "po_3", 7_000, "Paid", "2026-02-01").await;
    let failed = json!({ "PayoutRecorded": {
        "payout": "po_1", "amount": cad(20_000), "status": "Failed", "arrives_on": "2026-01-12", "failure": "account_closed",
    } });
    story.tell::<StripeAccountEvent>(&mut world, story.account, at("2026-01-12T09:00:00Z"), failed).await;
    let compared = json!({ "AccountReconciled": {
        "from": "2026-01-04T00:00:00Z", "until": "2026-01-05T00:00:00Z", "compared": 12,
        "differences": [{ "kind": "Amount", "reference": "txn_1", "booked": cad(1), "seen": cad(2) }],
    } });
    story.tell::<StripeAccountEvent>(&mut world, story.account, start(), compared).await;
    world.drain().await;
    row_is!(world, "payout", Uuid::new_v5(&story.account, b"po_1"), {
        "status": "Failed", "failure": "account_closed", "arrives_on": "2026-01-12", "amount": 20_000, "currency": "CAD",
        "first_seen_at": "2026-01-05T15:00:00+00:00", "changed_at": "2026-01-12T09:00:00+00:00",
    });
    let account = world.row("stripe_account", story.account).await.expect("an account");
    assert_eq!((&account["badge"], &account["reconciliation"]["compared"]), (&json!("Connected"), &json!(12)));
    assert_eq!(account["reconciliation"]["differences"][0]["reference"], "txn_1");
    let mut tenant = world.tenant(story.organization).await;
    let filter = payout::Filter {
        status: Some("Paid".into()),
        from: "2026-01-31".parse().ok(),
        until: "2026-01-31".parse().ok(),
        ..Default::default()
    };
    let found = payout::list(&mut tenant, &filter, payout::SortBy::ArrivesOn, true, &Paging::default()).await;
    let found = found.expect("payouts").items;
    assert_eq!(
        (found.len(), found[0].payout.payout.as_str(), found[0].account_name.as_deref()),
        (1, "po_2", Some("Main"))
    );
    let total = |status: &str, amount| PayoutTotal { currency: "CAD".into(), status: status.into(), count: 1, amount };
    for property in [None, Some(story.property)] {
        let board = dashboard(&mut tenant, Visibility::default(), property, start()).await.expect("a dashboard");
        assert_eq!(board.payouts, [total("Failed", 20_000), total("Paid", 5_000)]);
    }
    for visibility in [
        Visibility { property: Some(Uuid::now_v7()), resident: None },
        Visibility { property: None, resident: Some(story.residents[0]) },
    ] {
        let board = dashboard(&mut tenant, visibility, None, start()).await.expect("a dashboard");
        assert_eq!(board.payouts, []);
        let filter = payout::Filter { visibility, ..Default::default() };
        let found = payout::list(&mut tenant, &filter, payout::SortBy::Amount, true, &Paging::default()).await;
        assert_eq!(found.expect("payouts").items, []);
    }
}

#[tokio::test]
async fn a_propertys_policies_are_columns() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    world.drain().await;
    row_is!(world, "property", story.property, {
        "billing": { "charge_hour": 0, "reminder_days": 3, "remind_overdue": true, "autopay_notice_days": 2 },
        "surcharges": null, "kinds_off": [], "texts_on": [],
    });
    for event in [
        json!({ "BillingPolicyChanged": { "billing": { "charge_hour": 9, "remind_overdue": false } } }),
        json!({ "SurchargePolicyChanged": { "surcharges": { "cap_basis_points": 240, "forbidden": [] } } }),
        json!({ "EmailKindSwitched": { "kind": "payment-reminder", "on": false } }),
        json!({ "EmailKindSwitched": { "kind": "autopay-notice", "on": false } }),
        json!({ "EmailKindSwitched": { "kind": "payment-reminder", "on": true } }),
    ] {
        story.tell::<PropertyEvent>(&mut world, story.property, start(), event).await;
    }
    world.drain().await;
    row_is!(world, "property", story.property, {
        "billing": { "charge_hour": 9, "remind_overdue": false },
        "surcharges": { "cap_basis_points": 240, "forbidden": [] }, "kinds_off": ["autopay-notice"],
    });
}
