//! From events to rows, model by model.

use events::{
    EmailMessageEvent, OrganizationEvent, PaymentEvent, ResidentEvent, StripeAccountEvent, SuppressionEvent, text,
};
use projections::{Visibility, invoice, message, payment, resident};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    story::{Story, contact, name, start},
    world::World,
};

/// The parts of a row that matter here.
fn part(row: Option<Value>, expected: &Value) -> Value {
    let row = row.expect("a row");
    let names = expected.as_object().expect("an object");
    names.keys().map(|name| (name.clone(), row.get(name).cloned().unwrap_or_default())).collect()
}

macro_rules! row_is {
    ($world:expr, $model:literal, $key:expr, $expected:tt) => {{
        let expected = json!($expected);
        assert_eq!(part($world.row($model, $key).await, &expected), expected);
    }};
}

#[tokio::test]
async fn who_lives_where_follows_from_the_events() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let own = story.organization;
    let renamed = OrganizationEvent::OrganizationRenamed { name: text::Name::parse("Oak Homes").expect("a name") };
    world.add(own, own.0, start(), renamed).await;
    let zoe = story.residents[0];
    world.add(own, zoe, start(), ResidentEvent::ResidentRenamed { name: contact(zoe, name("Zoë", "Ruiz")) }).await;
    let left = ResidentEvent::ResidentMovedOut {
        property_id: events::PropertyId(story.property),
        unit_id: events::UnitId(story.units[0]),
        on: "2026-01-20".parse().expect("a date"),
    };
    world.add(own, zoe, start(), left).await;
    world.drain().await;
    row_is!(world, "organization", own.0, { "name": "Oak Homes", "version": 2 });
    row_is!(world, "property", story.property, {
        "name": "Rosewood", "city": "Toronto", "time_zone": "America/Toronto", "currency": "CAD",
        "contact": "office@example.com", "stripe_account_id": story.account, "version": 2,
    });
    row_is!(world, "unit", story.units[1], { "label": "10", "label_key": "0000000010", "property_id": story.property });
    row_is!(world, "resident", zoe, {
        "first_name": "Zoë", "last_name": "Ruiz", "email": "resident0@example.com", "sort_name": "ruiz zoe",
        "search": "zoe ruiz resident0@example.com", "homes": [], "property_ids": [], "status": "Active", "version": 4,
    });
    row_is!(world, "resident", story.residents[1], { "property_ids": [story.property] });
    let stay = Uuid::new_v5(&zoe, story.units[0].as_bytes());
    row_is!(world, "residency", stay, {
        "tenure": "Owner", "moved_in_on": "2026-01-05", "moved_out_on": "2026-01-20", "unit_id": story.units[0],
    });
    let mut tenant = world.tenant(own).await;
    let detail = resident::detail(&mut tenant, Visibility::default(), zoe).await.expect("an answer").expect("Zoë");
    assert_eq!(detail.stays[0].unit_label.as_deref(), Some("2"));
}

#[tokio::test]
async fn a_paid_and_partly_refunded_invoice_shows_everything_that_touched_it() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let (paid, online, mail) = story.goes_on(&mut world).await;
    world.drain().await;
    assert_eq!(world.stalled().await, []);
    row_is!(world, "payment", online, {
        "kind": "Online", "phase": "Succeeded", "status": "Succeeded", "method": "Card", "card_last4": "4242", "amount": 22_500,
        "fee": 823, "total": 23_323, "refunded": 1_000, "reversed": 1_000, "client_secret": null, "unresolved": false,
    });
    row_is!(world, "message", mail, {
        "status": "Bounced", "bounce_kind": "Permanent", "opened": true, "provider_id": "m1", "kind": "invoice-published",
    });
    let mut tenant = world.tenant(story.organization).await;
    let whole = Visibility::default();
    let found = invoice::detail(&mut tenant, whole, start(), paid).await.expect("an answer").expect("the invoice");
    assert_eq!((found.invoice.status.as_str(), found.invoice.invoice.balance), ("Open", 1_000));
    assert_eq!(found.invoice.resident_name.as_deref(), Some("Zoë Álvarez"));
    assert_eq!((found.payments.len(), found.messages.len()), (1, 1));
    assert_eq!(found.payments[0].payment.method_label(), "Visa ****4242");
    assert_eq!(found.messages[0].timeline.len(), 5);
    // Four of the invoice, seven of the payment, five of the message.
    assert_eq!(found.history.len(), 16);
    assert!(found.history.is_sorted_by_key(|event| event.position));
    let applied = found.history.iter().find(|event| event.event_type == "PaymentApplied").expect("the payment");
    assert_eq!(applied.facts.get("balance"), Some(&json!({ "amount": 0, "currency": "CAD" })));
    let shown = format!("{:?}", found.history);
    assert!(!shown.contains("example.com") && !shown.contains("secret"), "{shown}");
    let log = message::detail(&mut tenant, whole, mail).await.expect("an answer").expect("the message");
    assert_eq!(log.timeline, found.messages[0].timeline);
}

#[tokio::test]
async fn payments_by_hand_are_rows_like_any_other() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let bill = story.publishes(&mut world, 1, 30_000, "2026-01-31").await;
    let check = story.pays_by_hand(&mut world, 1, bill, (10_000, 20_000), "2026-01-04", start()).await;
    world.drain().await;
    let row = Uuid::new_v5(&bill, check.as_bytes());
    row_is!(world, "payment", row, {
        "payment_id": check, "kind": "Offline", "status": "Succeeded", "method": "Check", "reference": "No. 17", "received_on": "2026-01-04",
        "invoice_id": bill, "total": 10_000,
    });
    story.corrects(&mut world, bill, check, (10_000, 30_000), start()).await;
    world.drain().await;
    row_is!(world, "payment", row, { "status": "Failed", "reversed": 10_000 });
    row_is!(world, "invoice", bill, { "balance": 30_000, "paid": 0, "settled_at": null });
    let mut tenant = world.tenant(story.organization).await;
    let found = payment::detail(&mut tenant, Visibility::default(), check).await.expect("an answer").expect("it");
    assert_eq!(found.payment.property_id, Some(story.property));
}

#[tokio::test]
async fn a_declined_payment_can_still_succeed_and_an_unknown_one_is_unresolved() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let bill = story.publishes(&mut world, 0, 5_000, "2026-01-31").await;
    let id = story.opens_form(&mut world, 0, bill, 5_000, 0).await;
    let own = story.organization;
    world.drain().await;
    row_is!(world, "payment", id, { "phase": "Pending", "status": "Pending", "client_secret": "pi_secret" });
    let mut tenant = world.tenant(own).await;
    let mine = Visibility { resident: Some(story.residents[0]), property: None };
    let own_view = payment::detail(&mut tenant, mine, id).await.expect("an answer").expect("the payment");
    assert_eq!(own_view.payment.client_secret.as_deref(), Some("pi_secret"));
    let other = payment::detail(&mut tenant, Visibility::default(), id).await.expect("an answer").expect("the payment");
    assert_eq!(other.payment.client_secret, None);
    drop(tenant);
    world
        .add(own, id, start(), PaymentEvent::PaymentOutcomeUnknown { cause: events::payment::UnknownCause::TimedOut })
        .await;
    world.drain().await;
    row_is!(world, "payment", id, { "phase": "Unknown", "unresolved": true });
    world
        .add(
            own,
            id,
            start(),
            PaymentEvent::PaymentDeclined {
                code: "card_declined".into(),
                decline_code: Some("insufficient_funds".into()),
                advice: None,
                charge: None,
                autopay_id: None,
            },
        )
        .await;
    world.drain().await;
    row_is!(world, "payment", id, {
        "phase": "Declined", "status": "Failed", "decline_code": "insufficient_funds", "unresolved": false,
    });
    story
        .tell::<PaymentEvent>(
            &mut world,
            id,
            start(),
            json!({ "PaymentDeclined": { "code": "card_declined", "decline_code": "stolen_card" } }),
        )
        .await;
    world.drain().await;
    let mut tenant = world.tenant(own).await;
    for (visibility, told) in [(mine, "generic_decline"), (Visibility::default(), "stolen_card")] {
        let view = payment::detail(&mut tenant, visibility, id).await.expect("an answer").expect("the payment");
        assert_eq!(view.payment.decline_code.as_deref(), Some(told));
    }
    drop(tenant);
    story.succeeds(&mut world, 0, bill, id, (5_000, 0)).await;
    world.drain().await;
    row_is!(world, "payment", id, { "phase": "Succeeded", "decline_code": null, "client_secret": null });
    story.refunds(&mut world, bill, id, 5_000, 5_000, 5_000).await;
    world.drain().await;
    row_is!(world, "payment", id, { "status": "Refunded" });
}

#[tokio::test]
async fn jobs_accounts_tokens_and_suppressions_have_their_rows() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let own = story.organization;
    let bill = story.drafts(&mut world, 0, 5_000, "2026-01-31").await;
    let other = story.drafts(&mut world, 1, 5_000, "2026-01-31").await;
    let job = story.runs_job(&mut world, &[bill, other]).await;
    let mail = story.writes(&mut world, 0, bill).await;
    let entry = story.bounces(&mut world, 0, mail).await;
    story.signs_in(&mut world, 1).await;
    let disconnected = StripeAccountEvent::StripeAccountDisconnected { at_provider: true };
    world.add(own, story.account, start(), disconnected).await;
    let complained = EmailMessageEvent::EmailDelivered {};
    world.add(own, mail, start(), complained).await;
    world.drain().await;
    row_is!(world, "job", job, { "kind": "PublishInvoices", "total": 2, "done": 2, "refused": 1, "state": "Completed" });
    let item = |invoice: Uuid| Uuid::new_v5(&job, invoice.as_bytes());
    row_is!(world, "job_item", item(bill), { "ordinal": 1, "state": "Refused", "refusal": "it is published" });
    row_is!(world, "job_item", item(other), { "ordinal": 2, "state": "Done", "refusal": null });
    row_is!(world, "stripe_account", story.account, { "status": "Active", "badge": "Disconnected" });
    // A late delivery does not undo a bounce.
    row_is!(world, "message", mail, { "status": "Bounced" });
    row_is!(world, "suppression", entry, { "address": "resident@example.com", "lifted_at": null, "cause": "HardBounce" });
    let lifted = SuppressionEvent::SuppressionLifted { note: text::Line::parse("a typing error").expect("a note") };
    world.add(own, entry, start(), lifted).await;
    world.add(own, story.account, start(), StripeAccountEvent::StripeReconnectionRequested {}).await;
    world.drain().await;
    row_is!(world, "suppression", entry, { "note": "a typing error", "version": 2 });
    row_is!(world, "stripe_account", story.account, { "badge": "Connected", "status": "PendingVerification" });
    let mut tenant = world.tenant(own).await;
    let paging = projections::Paging::default();
    let tokens = projections::access_token::list(&mut tenant, Visibility::default(), &paging).await.expect("tokens");
    assert_eq!((tokens.items.len(), tokens.items[0].label.as_str()), (1, "Front desk"));
}
