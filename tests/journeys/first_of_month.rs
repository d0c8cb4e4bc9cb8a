//! The first of the month: many charges fall due at midnight in three zones while Stripe allows only so many calls and people pay by hand.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use events::{AutopayId, PropertyId, ResidentId, TimeZone};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Options, Resident, World, id};

/// A property in each zone; the names are in the order of their midnights.
const PLACES: [(&str, &str); 3] = [
    ("Atlantic Court", "America/New_York"),
    ("Central Court", "America/Chicago"),
    ("Mountain Court", "America/Denver"),
];
/// Homes of each, every one with an invoice that autopay takes.
const HOMES: usize = 50;
const ALL: usize = HOMES * PLACES.len();
const DUES: i64 = 31_250;
/// Charges a second that propty may begin: each takes about four calls.
const PACE: u64 = 10;
/// Calls a second that Stripe allows at first: far too few.
const SCARCE: u64 = 6;
/// And later: what the pace takes, and room for people.
const ENOUGH: u64 = 70;
/// What somebody who pays by hand may have to wait while the run goes on. A build without optimisations on a busy machine.
const BY_HAND: Duration = Duration::from_secs(15);
/// What the memory may grow by within a run, in MB.
const GROWTH: u64 = 80;
const RUN: &str = "/v1/autopay/run";

#[tokio::test]
async fn on_the_first_of_the_month_everyone_is_charged_once_and_people_pay_by_hand_meanwhile() {
    let pace = ("PROPTY_CHARGES_PER_SECOND".to_owned(), PACE.to_string());
    let mut world = World::start_in_the_afternoon(Options { env: vec![pace], ..Options::default() }).await;
    let residents = move_in(&mut world).await;
    let due_on = world.now().await.date_naive() + TimeDelta::days(2);
    enroll(&world, &residents).await;
    let invoices: Vec<Uuid> = stream::iter(&residents)
        .map(|resident| world.publish_due(resident, DUES, due_on))
        .buffer_unordered(8)
        .collect()
        .await;
    let ana = world.first.resident("Ana").clone();
    let ana_pays = world.sign_in(&ana).await;
    let by_hand = world.first.publish(&ana, 9_900, false).await;
    world.settle().await;

    let manager = &world.first.manager;
    world.sandbox.act("/stripe/rate_limit", &json!({ "per_second": SCARCE })).await;
    world.pass_until(midnight(due_on, PLACES[0].1) - TimeDelta::seconds(2)).await;
    assert_eq!(manager.get(RUN).await["charged"], 0, "nothing before midnight");
    for (number, (_, zone)) in (1..).zip(PLACES) {
        world.pass_until(midnight(due_on, zone)).await;
        let run = manager.until(RUN, |run| run["total"] == HOMES * number).await;
        assert_eq!(run["failed"], 0, "{run}");
    }
    until_refused(&world).await;
    world.sandbox.act("/stripe/rate_limit", &json!({ "per_second": ENOUGH })).await;
    let memory = world.memory();

    manager.until(RUN, |run| run["charged"].as_u64() > Some(5)).await;
    let started = Instant::now();
    world.pay(&ana_pays, by_hand, None).await;
    let waited = started.elapsed();
    let run = manager.get(RUN).await;
    assert!(run["charged"].as_u64() < Some(ALL as u64), "the run was over before the payment by hand: {run}");
    assert!(waited < BY_HAND, "who paid by hand waited {waited:?}: {run}");
    assert_progress_is_shown(&world).await;

    manager.until(RUN, |run| run["charged"].as_u64() >= Some(ALL as u64 / 3)).await;
    if let (Some(before), Some(now)) = (memory, world.memory()) {
        assert!(now < before + GROWTH, "propty grew from {before} MB to {now} MB");
    }
    world.kill9();
    world.restart().await;
    let memory = world.memory();
    let run = manager.until_within(RUN, Duration::from_secs(60), |run| run["charged"] == ALL).await;
    assert_eq!((&run["failed"], &run["in_flight"], &run["total"]), (&json!(0), &json!(0), &json!(ALL)), "{run}");
    if let (Some(before), Some(now)) = (memory, world.memory()) {
        assert!(now < before + GROWTH, "propty grew from {before} MB to {now} MB");
    }

    assert_each_charged_once(&world, &invoices).await;
    let rate = world.sandbox.look("/stripe/rate_limit").await;
    assert!(rate["peak"].as_u64() <= Some(ENOUGH), "{rate}");
    world.assert_invariants().await;
}

/// Midnight as a day begins in a zone.
fn midnight(day: NaiveDate, zone: &str) -> DateTime<Utc> {
    TimeZone::parse(zone).expect("a zone").at_hour(day, 0)
}

/// Brings a community into each of the places, and opens them to online payments. Only receipts are sent: that is enough mail.
async fn move_in(world: &mut World) -> Vec<Resident> {
    for (place, zone) in PLACES {
        let mut csv = "Property,Unit,First name,Last name,E-mail,Language,Owner/Tenant\n".to_owned();
        for home in 0..HOMES {
            let mailbox = format!("resident.{home}.{}@example.com", place.replace(' ', "-").to_lowercase());
            writeln!(csv, "{place},{home},Resident,Number{home},{mailbox},en,Owner").expect("a line");
        }
        let file = world.folder().join("first.csv");
        std::fs::write(&file, csv).expect("a file");
        let (file, organization) = (file.display().to_string(), world.first.id.to_string());
        let output = world.propty(&["import", &file, "--organization", &organization, "--time-zone", zone]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let known = world.first.residents.len();
    world.first.manager.until_list("/v1/residents", |list| list.len() >= known + ALL).await;
    world.first.look_around().await;
    for (place, _) in PLACES {
        let property = world.first.property(place).id;
        let account = json!({ "property_id": property, "stripe_account_id": world.first.stripe_account_id });
        world.first.manager.command("AssignStripeAccount", &account).await;
        let billing = json!({ "charge_hour": 0, "remind_overdue": false });
        let billing = json!({ "property_id": property, "billing": billing });
        world.first.manager.command("ChangeBillingPolicy", &billing).await;
    }
    let ours: Vec<Uuid> = PLACES.iter().map(|(place, _)| world.first.property(place).id).collect();
    world.first.residents.iter().filter(|resident| ours.contains(&resident.property)).cloned().collect()
}

/// Autopay for all of them. What they would click through one by one is written as it would have come about, with a card at Stripe.
async fn enroll(world: &World, residents: &[Resident]) {
    let customer = stripe(world, "customers", "").await["id"].as_str().unwrap_or_default().to_owned();
    let form = format!("customer={customer}&payment_method=pm_card_visa&confirm=true&return_url=https://example.com/");
    let intent = stripe(world, "setup_intents", &form).await;
    let method = json!({
        "payment_method": intent["payment_method"], "customer": customer, "kind": "Card",
        "card": { "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2040, "funding": "credit" },
    });
    let (mut streams, mut versions, mut names, mut payloads) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for resident in residents {
        let autopay = AutopayId::derived(resident.id, &format!("autopay/{}", PropertyId(resident.property)));
        let setup = Uuid::now_v7();
        let requested = json!({ "AutopaySetupRequested": {
            "setup_id": setup, "property_id": resident.property, "resident_id": ResidentId(resident.id),
            "stripe_account_id": world.first.stripe_account_id, "kind": "Card", "purpose": "Enable",
        }});
        let activated = json!({ "AutopayActivated": { "setup_id": setup, "method": method }});
        for (version, name, payload) in
            [(1_i64, "AutopaySetupRequested", requested), (2, "AutopayActivated", activated)]
        {
            streams.push(autopay.0.to_string());
            versions.push(version);
            names.push(name);
            payloads.push(payload.to_string());
        }
    }
    sqlx::query(
        "with added as (
             select id, version, name, payload
             from unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) as added (id, version, name, payload)
         ), stored as (
             insert into log.events (organization_id, aggregate_type, aggregate_id, stream_key, sequence, event_type, event_version,
                                     payload, metadata, recorded_at)
             select $1, 'autopay', id, $1::text || '/' || id, version, name, '1', payload::json, like_others.metadata, now()
             from added cross join (
                 select metadata from log.events where organization_id = $1 and event_type = 'StripeAccountAssigned' limit 1
             ) like_others
         )
         insert into log.pending (organization_id, aggregate_type, aggregate_id, sequence)
         select $1, 'autopay', id, version from added",
    )
    .bind(world.first.id)
    .bind(&streams)
    .bind(&versions)
    .bind(&names)
    .bind(&payloads)
    .execute(&world.database)
    .await
    .expect("enrollments");
}

/// A call of Stripe's API in the organization's account.
async fn stripe(world: &World, path: &str, form: &str) -> Value {
    let client = crate::world::Client::nobody(&world.sandbox.url);
    let request = client
        .request(reqwest::Method::POST, &format!("/stripe/v1/{path}"))
        .bearer_auth("sk_test_sandbox")
        .header("stripe-account", &world.first.account)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.to_owned());
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

/// Waits until Stripe has refused a good number of calls.
async fn until_refused(world: &World) {
    let started = Instant::now();
    loop {
        let rate = world.sandbox.look("/stripe/rate_limit").await;
        if rate["refused"].as_u64() > Some(10) {
            assert!(rate["peak"].as_u64() <= Some(SCARCE), "{rate}");
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "Stripe refused nothing: {rate}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// At the shell and for the monitoring, as in the query.
async fn assert_progress_is_shown(world: &World) {
    let status = world.propty(&["status", "--json"]).await;
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let today = &status["autopay_today"];
    assert_eq!(today["total"], ALL, "{status}");
    assert!(today["charged"].as_u64() > Some(0), "{status}");
    assert!(status["lanes"]["paced"]["oldest_seconds"].is_number(), "{status}");
    let told = world.propty(&["status"]).await;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains(&format!("autopay      today {ALL} due")), "{told}");
    let metrics = world.visitor().look("/metrics").await.text;
    assert!(metrics.contains("propty_autopay_today{state=\"charged\"}"), "{metrics}");
    assert!(metrics.contains("propty_outbox_due{lane=\"paced\"}"), "{metrics}");
}

/// Stripe took the money for each once, at the first attempt, and said so in one letter.
async fn assert_each_charged_once(world: &World, invoices: &[Uuid]) {
    let intents = world.sandbox.objects("stripe/payment_intents").await;
    for invoice in invoices {
        let ours = invoice.to_string();
        let taken: Vec<(&Value, &Value)> = intents
            .iter()
            .filter(|intent| intent["metadata"]["propty_invoice"] == ours)
            .map(|intent| (&intent["status"], &intent["amount_received"]))
            .collect();
        let wanted = world.first.manager.get(&format!("/v1/invoices/{invoice}")).await;
        assert_eq!((&wanted["status"], taken.len()), (&json!("Paid"), 1), "{wanted}: {taken:?}");
        assert_eq!(taken[0].0, "succeeded", "{wanted}");
    }
    for (what, count) in [
        ("select count(*) from log.events where event_type = 'ChargeSucceeded'", ALL),
        ("select count(*) from log.events where event_type in ('ChargeFailed', 'AutopayPaused', 'PaymentDeclined')", 0),
        (
            "select count(*) from log.events where event_type = 'ChargeAuthorized'
             and payload #>> '{ChargeAuthorized,attempt}' <> '0'",
            0,
        ),
    ] {
        assert_eq!(world.count(what).await, i64::try_from(count).expect("a count"), "{what}");
    }
    let receipts = world.first.manager.until_list("/v1/messages?kind=autopay-charged", |list| list.len() == ALL).await;
    let mut told: Vec<Uuid> = receipts.iter().map(|receipt| id(&receipt["invoice_id"])).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), ALL, "each is told of once");
}
