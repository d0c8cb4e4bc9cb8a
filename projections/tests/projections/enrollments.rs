//! Enrollments: what the Autopay card shows from the first set-up to the cancel, and how far a day's charges are.

use events::{AutopayEvent, InvoiceEvent, PaymentEvent, ResidentEvent, StripeAccountEvent};
use projections::{
    Paging, Visibility,
    autopay::{self, Buttons, Run},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    story::{Story, cad, start, visa},
    world::{World, at},
};

/// What the rest of a test needs again and again.
struct Scene {
    world: World,
    story: Story,
    id: Uuid,
}

impl Scene {
    async fn enrolled() -> Self {
        let mut world = World::new().await;
        let story = Story::begin(&mut world).await;
        let id = story.enrolls(&mut world, 0).await;
        world.drain().await;
        Self { world, story, id }
    }

    async fn tell(&mut self, event: Value) {
        self.story.tell::<AutopayEvent>(&mut self.world, self.id, start(), event).await;
    }

    async fn row(&self, names: &[&str]) -> Value {
        let row = self.world.row("autopay", self.id).await.expect("an enrollment");
        names.iter().map(|name| ((*name).to_owned(), row[name].clone())).collect()
    }

    async fn view(&self, visibility: Visibility) -> autopay::AutopayView {
        let mut tenant = self.world.tenant(self.story.organization).await;
        autopay::detail(&mut tenant, visibility, self.id).await.expect("an answer").expect("the enrollment")
    }

    async fn fails(&mut self, payment: Uuid, invoice: Uuid, reason: Value, retry: Option<&str>, left: u32) {
        let retry = retry.map(|at| json!({ "attempt": 4 - left, "at": at }));
        let mut failed = json!({ "ChargeFailed": {
            "payment_id": payment, "invoice_id": invoice, "due_on": "2026-01-31", "amount": cad(700), "reason": reason,
            "retries_left": left,
        } });
        if let Some(retry) = retry {
            failed["ChargeFailed"]["retry"] = retry;
        }
        self.tell(failed).await;
    }
}

fn insufficient() -> Value {
    json!({ "Declined": { "code": "insufficient_funds" } })
}

#[tokio::test]
async fn the_card_follows_the_enrollment_from_the_first_set_up_to_the_cancel() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let mut scene = Scene { world, story, id: Uuid::now_v7() };
    let setup = Uuid::now_v7();
    let requested = json!({ "AutopaySetupRequested": {
        "setup_id": setup, "property_id": scene.story.property, "resident_id": scene.story.residents[0],
        "stripe_account_id": scene.story.account, "kind": "BankDebit", "purpose": "Enable",
    } });
    scene.tell(requested.clone()).await;
    scene.tell(json!({ "AutopaySetupActionRequired": { "setup_id": setup, "microdeposits": true } })).await;
    let submitted = json!({ "AutopaySetupSubmitted": {
        "setup_id": setup, "setup_intent": "seti_1", "customer": "cus_1", "account": "acct_1",
        "client_secret": { "$clear": { "subject": scene.story.residents[0], "purpose": "finance", "value": "seti_secret" } },
    } });
    scene.tell(submitted).await;
    scene.world.drain().await;
    let row = scene.row(&["status", "client_secret", "method"]).await;
    assert_eq!(row, json!({ "status": "SetupPending", "client_secret": "seti_secret", "method": null }));
    let view = scene.view(Visibility::default()).await;
    let pending = view.autopay.setup.as_ref().expect("a set-up");
    assert_eq!(
        (pending.state.as_str(), pending.microdeposits, pending.kind.as_str()),
        ("ActionRequired", true, "BankDebit")
    );
    assert_eq!(view.buttons(), Buttons { enable: true, cancel: true, ..Buttons::default() });

    scene.tell(json!({ "AutopaySetupFailed": { "setup_id": setup, "code": "microdeposits_failed" } })).await;
    scene.world.drain().await;
    let row = scene.row(&["status", "client_secret", "setup", "setup_failure"]).await;
    let expected =
        json!({ "status": "None", "client_secret": null, "setup": null, "setup_failure": "microdeposits_failed" });
    assert_eq!(row, expected);

    let again = Uuid::now_v7();
    let mut requested = requested;
    requested["AutopaySetupRequested"]["setup_id"] = json!(again);
    scene.tell(requested).await;
    let bank = json!({
        "payment_method": "pm_2", "customer": "cus_1", "kind": "BankDebit", "mandate": "mandate_1",
        "bank": { "bank_name": "Example Bank", "last4": "6789", "account_type": "checking" },
    });
    scene.tell(json!({ "AutopayActivated": { "setup_id": again, "method": bank } })).await;
    scene.tell(json!({ "AutopayCapChanged": { "cap": cad(50_000) } })).await;
    scene.world.drain().await;
    let row = scene.row(&["status", "method", "kind", "cap", "cap_currency", "setup_failure"]).await;
    let expected = json!({
        "status": "Active", "method": "Bank ****6789", "kind": "BankDebit", "cap": 50_000, "cap_currency": "CAD",
        "setup_failure": null,
    });
    assert_eq!(row, expected);
    let buttons = scene.view(Visibility::default()).await.buttons();
    assert_eq!(buttons, Buttons { update: true, cancel: true, ..Buttons::default() });

    let bill = scene.story.publishes(&mut scene.world, 0, 700, "2026-01-31").await;
    let payment = scene.story.charges(&mut scene.world, 0, scene.id, bill, 700).await;
    scene.tell(json!({ "AutopayCancelled": { "payment_method": "pm_2" } })).await;
    scene.world.drain().await;
    let row = scene.row(&["status", "method", "payment_method", "cap"]).await;
    assert_eq!(row, json!({ "status": "Cancelled", "method": null, "payment_method": null, "cap": 50_000 }));
    let view = scene.view(Visibility::default()).await;
    assert_eq!(view.charges.iter().map(|charge| charge.payment_id).collect::<Vec<_>>(), [payment]);
    assert_eq!(view.charges[0].phase.as_deref(), Some("Pending"));
    assert_eq!(view.buttons(), Buttons { enable: true, ..Buttons::default() });
    scene.tell(json!({ "ChargeSucceeded": { "payment_id": payment, "invoice_id": bill } })).await;
    scene.world.drain().await;
    assert_eq!(scene.row(&["status", "in_flight"]).await, json!({ "status": "Cancelled", "in_flight": [] }));
}

#[tokio::test]
async fn a_pause_knows_its_next_attempt_and_what_waits_behind_it() {
    let mut scene = Scene::enrolled().await;
    let first = scene.story.publishes(&mut scene.world, 0, 700, "2026-01-31").await;
    let second = scene.story.publishes(&mut scene.world, 0, 800, "2026-02-28").await;
    let paid = scene.story.publishes(&mut scene.world, 0, 900, "2026-02-01").await;
    let payment = scene.story.charges(&mut scene.world, 0, scene.id, first, 700).await;
    scene.fails(payment, first, insufficient(), Some("2026-02-01T15:00:00Z"), 3).await;
    scene.tell(json!({ "AutopayPaused": { "reason": insufficient(), "new_method_required": false } })).await;
    for (invoice, due_on) in [(second, "2026-02-28"), (paid, "2026-02-01")] {
        scene.tell(json!({ "ChargeDeferred": { "invoice_id": invoice, "due_on": due_on } })).await;
    }
    scene.story.pays_by_hand(&mut scene.world, 0, paid, (900, 0), "2026-02-02", start()).await;
    scene.world.drain().await;
    let row = scene.row(&["status", "next_attempt_at", "new_method_required", "pause"]).await;
    let expected = json!({
        "status": "Paused", "next_attempt_at": "2026-02-01T15:00:00+00:00", "new_method_required": false,
        "pause": insufficient(),
    });
    assert_eq!(row, expected);
    let view = scene.view(Visibility::default()).await;
    assert_eq!(view.waiting_invoices.iter().map(|waiting| waiting.invoice_id).collect::<Vec<_>>(), [second]);
    assert_eq!(view.autopay.last_failure.as_ref().map(|failure| failure.invoice_id), Some(first));
    assert_eq!(view.buttons(), Buttons { update: true, reactivate: true, cancel: true, ..Buttons::default() });

    // The retry is under way, and fails for good.
    let retry = scene.story.charges(&mut scene.world, 0, scene.id, first, 700).await;
    scene.world.drain().await;
    assert_eq!(scene.row(&["next_attempt_at"]).await, json!({ "next_attempt_at": null }));
    let lost = json!({ "DeclinedForGood": { "code": "lost_card" } });
    scene.fails(retry, first, lost.clone(), None, 0).await;
    scene.tell(json!({ "AutopayPaused": { "reason": lost, "new_method_required": true } })).await;
    scene.world.drain().await;
    let view = scene.view(Visibility::default()).await;
    assert!(view.new_method_required() && view.autopay.next_attempt_at.is_none());
    assert_eq!(view.autopay.paused_for.as_ref().map(|failed| failed.retries_left), Some(0));

    // The set-up that was under way all the time succeeds.
    scene.tell(json!({ "AutopayActivated": { "setup_id": Uuid::from_u128(2), "method": visa("pm_2", "1881"), "replaces": "pm_1" } })).await;
    scene.tell(json!({ "AutopayResumed": { "because": "NewMethod", "waiting": [first, second] } })).await;
    scene.world.drain().await;
    let row = scene.row(&["status", "method", "pause", "paused_for", "waiting", "setup", "client_secret"]).await;
    let expected = json!({
        "status": "Active", "method": "Visa ****1881", "pause": null, "paused_for": null, "waiting": [], "setup": null,
        "client_secret": null,
    });
    assert_eq!(row, expected);
    assert_eq!(scene.world.stalled().await, []);
}

#[tokio::test]
async fn a_second_failure_during_a_pause_waits_and_leaves_the_first_ones_retry_alone() {
    let mut scene = Scene::enrolled().await;
    let first = scene.story.publishes(&mut scene.world, 0, 700, "2026-01-31").await;
    let second = scene.story.publishes(&mut scene.world, 0, 800, "2026-01-31").await;
    let third = scene.story.publishes(&mut scene.world, 0, 900, "2026-01-31").await;
    let charges = [
        scene.story.charges(&mut scene.world, 0, scene.id, first, 700).await,
        scene.story.charges(&mut scene.world, 0, scene.id, second, 800).await,
        scene.story.charges(&mut scene.world, 0, scene.id, third, 900).await,
    ];
    scene.fails(charges[0], first, insufficient(), Some("2026-02-01T15:00:00Z"), 3).await;
    scene.tell(json!({ "AutopayPaused": { "reason": insufficient(), "new_method_required": false } })).await;
    scene.fails(charges[1], second, insufficient(), Some("2026-02-01T15:00:01Z"), 3).await;
    scene.tell(json!({ "ChargeWithdrawn": { "payment_id": charges[2], "invoice_id": third } })).await;
    scene.world.drain().await;
    let view = scene.view(Visibility::default()).await;
    assert_eq!(view.autopay.next_attempt_at, Some(at("2026-02-01T15:00:00Z")));
    assert_eq!(view.autopay.paused_for.as_ref().map(|failed| failed.invoice_id), Some(first));
    assert_eq!(view.waiting_invoices.len(), 2);
    assert_eq!(view.charges, []);
}

#[tokio::test]
async fn an_invoice_above_the_cap_is_asked_about_until_it_is_approved_or_settled() {
    let mut scene = Scene::enrolled().await;
    let asked = scene.story.publishes(&mut scene.world, 0, 70_000, "2026-01-31").await;
    let voided = scene.story.publishes(&mut scene.world, 0, 80_000, "2026-01-31").await;
    for (invoice, amount) in [(asked, 70_000), (voided, 80_000)] {
        let held = json!({ "ChargeHeld": { "invoice_id": invoice, "due_on": "2026-01-31", "amount": cad(amount), "cap": cad(50_000) } });
        scene.tell(held).await;
    }
    scene
        .story
        .tell::<InvoiceEvent>(&mut scene.world, voided, start(), json!({ "InvoiceVoided": { "reason": "a slip" } }))
        .await;
    scene.world.drain().await;
    let view = scene.view(Visibility::default()).await;
    let held = &view.held_invoices;
    assert_eq!((held.len(), held[0].invoice_id, held[0].amount, held[0].cap), (1, asked, 70_000, 50_000));
    assert_eq!(held[0].title, "January fees");
    assert_eq!(view.buttons(), Buttons { update: true, cancel: true, approve: true, ..Buttons::default() });
    scene.tell(json!({ "ChargeApproved": { "invoice_id": asked, "amount": cad(70_000) } })).await;
    scene.world.drain().await;
    assert_eq!(scene.view(Visibility::default()).await.held_invoices, []);
}

#[tokio::test]
async fn the_client_secret_is_for_the_resident_alone() {
    let scene = Scene::enrolled().await;
    let mine = Visibility { resident: Some(scene.story.residents[0]), property: None };
    assert_eq!(scene.view(mine).await.autopay.client_secret.as_deref(), Some("seti_secret_2"));
    let property = Visibility { property: Some(scene.story.property), resident: None };
    for other in [Visibility::default(), property] {
        assert_eq!(scene.view(other).await.autopay.client_secret, None);
    }
    let mut tenant = scene.world.tenant(scene.story.organization).await;
    let filter = autopay::Filter { visibility: mine, ..Default::default() };
    let listed = autopay::list(&mut tenant, &filter, autopay::SortBy::ChangedAt, true, &Paging::default()).await;
    let listed = listed.expect("a list").items;
    assert_eq!((listed.len(), listed[0].autopay.client_secret.as_deref()), (1, None));
    let neighbour = Visibility { resident: Some(scene.story.residents[1]), property: None };
    assert!(autopay::detail(&mut tenant, neighbour, scene.id).await.expect("an answer").is_none());
    let history = autopay::history(&mut tenant, scene.id).await.expect("a history");
    assert_eq!(history.len(), 5);
    let shown = format!("{history:?}");
    assert!(!shown.contains("secret_") && !shown.contains("4242"), "{shown}");
}

#[tokio::test]
async fn the_button_to_set_up_follows_residency_and_the_stripe_account() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    world.drain().await;
    let card = async |world: &World, resident| {
        let mut tenant = world.tenant(story.organization).await;
        autopay::card(&mut tenant, resident, story.property).await.expect("an answer")
    };
    let ben = card(&world, story.residents[1]).await.expect("a card");
    assert_eq!((ben.language.as_str(), &ben.enrollment), ("en", &None));
    assert_eq!(ben.buttons(), Buttons { enable: true, ..Buttons::default() });
    assert_eq!(card(&world, Uuid::now_v7()).await, None);

    let left =
        json!({ "ResidentMovedOut": { "property_id": story.property, "unit_id": story.units[1], "on": "2026-01-20" } });
    story.tell::<ResidentEvent>(&mut world, story.residents[1], start(), left).await;
    story.enrolls(&mut world, 0).await;
    let restricted = json!({ "StripeAccountStatusChanged": { "status": "Restricted" } });
    world.drain().await;
    assert_eq!(card(&world, story.residents[1]).await.expect("a card").buttons(), Buttons::default());
    let zoe = card(&world, story.residents[0]).await.expect("a card");
    assert_eq!(zoe.buttons(), Buttons { update: true, cancel: true, ..Buttons::default() });
    assert_eq!(zoe.enrollment.expect("an enrollment").autopay.client_secret.as_deref(), Some("seti_secret_2"));
    story.tell::<StripeAccountEvent>(&mut world, story.account, start(), restricted).await;
    world.drain().await;
    let zoe = card(&world, story.residents[0]).await.expect("a card");
    assert_eq!(zoe.buttons(), Buttons { cancel: true, ..Buttons::default() });
}

#[tokio::test]
async fn a_days_charges_are_counted_once_each() {
    let mut scene = Scene::enrolled().await;
    let (id, day) = (scene.id, "2026-01-31");
    let mut bills = vec![];
    for _ in 0..6 {
        bills.push(scene.story.publishes(&mut scene.world, 0, 700, day).await);
    }
    // Another day, another resident without autopay, a draft: none of them counts.
    scene.story.publishes(&mut scene.world, 0, 700, "2026-02-01").await;
    scene.story.publishes(&mut scene.world, 1, 700, day).await;
    scene.story.drafts(&mut scene.world, 0, 700, day).await;
    let charged = scene.story.charges(&mut scene.world, 0, id, bills[0], 700).await;
    scene.story.succeeds(&mut scene.world, 0, bills[0], charged, (700, 0)).await;
    scene.tell(json!({ "ChargeSucceeded": { "payment_id": charged, "invoice_id": bills[0] } })).await;
    let lost = scene.story.charges(&mut scene.world, 0, id, bills[1], 700).await;
    let unknown = json!({ "PaymentOutcomeUnknown": { "cause": "TimedOut" } });
    scene.story.tell::<PaymentEvent>(&mut scene.world, lost, start(), unknown).await;
    scene.story.pays_by_hand(&mut scene.world, 0, bills[2], (700, 0), "2026-01-30", start()).await;
    let held = json!({ "ChargeHeld": { "invoice_id": bills[3], "due_on": day, "amount": cad(700), "cap": cad(600) } });
    scene.tell(held).await;
    scene.world.drain().await;
    let run = async |scene: &Scene, day: Option<&str>, now: &str| {
        let mut tenant = scene.world.tenant(scene.story.organization).await;
        let day = day.map(|day| day.parse().expect("a date"));
        let property = Some(scene.story.property);
        autopay::run(&mut tenant, Visibility::default(), property, day, at(now)).await.expect("a run")
    };
    let expected = Run {
        total: 6,
        charged: 1,
        in_flight: 1,
        unresolved: 1,
        held: 1,
        not_yet: 2,
        settled_otherwise: 1,
        ..Run::default()
    };
    assert_eq!(run(&scene, Some(day), "2026-01-05T00:00:00Z").await, expected);

    let declined = scene.story.charges(&mut scene.world, 0, id, bills[4], 700).await;
    for event in [
        json!({ "PaymentDeclined": { "code": "card_declined", "decline_code": "insufficient_funds", "autopay_id": id } }),
        json!({ "PaymentCanceled": { "invoice_id": bills[4], "reason": { "Declined": { "code": "insufficient_funds" } }, "reserved": true, "autopay_id": id } }),
    ] {
        scene.story.tell::<PaymentEvent>(&mut scene.world, declined, start(), event).await;
    }
    scene.fails(declined, bills[4], insufficient(), Some("2026-02-01T15:00:00Z"), 3).await;
    scene.tell(json!({ "AutopayPaused": { "reason": insufficient(), "new_method_required": false } })).await;
    scene.tell(json!({ "ChargeDeferred": { "invoice_id": bills[5], "due_on": day } })).await;
    scene.world.drain().await;
    let expected = Run { not_yet: 0, failed: 1, waiting: 1, ..expected };
    assert_eq!(run(&scene, Some(day), "2026-01-05T00:00:00Z").await, expected);
    // Without a day it is the property's today: still the 31st in Toronto.
    assert_eq!(run(&scene, None, "2026-02-01T04:30:00Z").await, expected);
    assert_eq!(run(&scene, None, "2026-02-01T05:30:00Z").await.total, 1);
    let mut tenant = scene.world.tenant(scene.story.organization).await;
    for visibility in [
        Visibility { property: Some(Uuid::now_v7()), resident: None },
        Visibility { property: None, resident: Some(scene.story.residents[0]) },
    ] {
        let day = day.parse().ok();
        let none = autopay::run(&mut tenant, visibility, None, day, start()).await.expect("a run");
        assert_eq!(none, Run::default());
    }
}
