//! `kill -9` at each boundary of a charge by autopay, chosen and not hit by chance: every one ends in exactly one charge.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::Executor;
use uuid::Uuid;

use crate::{
    crash::drain,
    world::{Options, PATIENCE, Resident, World},
};

/// What becomes of the statement that was under way at the moment of the kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statement {
    /// Its connection goes down with propty, and nothing of it stays.
    Broken,
    /// The database goes on with it, and nobody hears of the end.
    Finished,
}

/// Holds whoever writes such a row, until they are let go or taken down.
async fn hold(world: &World, table: &str, when: &str) {
    let (schema, name) = table.split_once('.').expect("a schema");
    let statements = format!(
        "create or replace function public.hold_still() returns trigger language plpgsql as
             $$ begin perform pg_sleep(4); return new; end $$;
         grant execute on function public.hold_still() to public;
         create trigger hold_still before {} on {schema}.{name} for each row when ({when}) execute function public.hold_still()",
        if name == "webhooks" { "update" } else { "insert" }
    );
    world.database.execute(&*statements).await.expect("a trigger");
}

const HELD: &str =
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";

async fn until_held(world: &World) {
    let started = Instant::now();
    while world.count(HELD).await == 0 {
        assert!(started.elapsed() < PATIENCE, "nobody comes to the boundary");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Kills propty while it is held there.
async fn killed_there(world: &World, table: &str, statement: Statement) {
    until_held(world).await;
    world.kill9();
    if statement == Statement::Broken {
        let down = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where datname = current_database() and wait_event = 'PgSleep'";
        assert!(world.count(down).await > 0, "somebody was still there");
    }
    let started = Instant::now();
    while world.count(HELD).await > 0 {
        assert!(started.elapsed() < PATIENCE, "the database lets nobody go");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.database.execute(&*format!("drop trigger hold_still on {table}")).await.expect("no trigger any more");
}

async fn due_now(world: &World, resident: &Resident) -> Uuid {
    let today = world.now().await.date_naive();
    world.publish_due(resident, 12_300, today).await
}

async fn is_charged_once(world: &World, invoice: Uuid, at: &str) {
    world.restart().await;
    drain(world).await;
    world.first.until_status(invoice, "Paid").await;
    assert_eq!(world.charged(invoice).await, (1, 12_300), "killed at {at}");
    world.first.until_message(invoice, "autopay-charged", "Delivered").await;
    assert_eq!(world.letters_about(invoice, "autopay-charged").await, 1, "killed at {at}");
    assert_eq!(world.count("select count(*) from engine.outbox where state = 'unresolved'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_boundary_of_a_charge_propty_charges_exactly_once() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let ana = world.first.resident("Ana").clone();
    world.enroll(&ana, "pm_card_visa").await;
    // An hour at which it is the same day everywhere.
    world.pass_days(1).await;
    for (event, statement) in [
        ("PaymentRequested", Statement::Broken),
        ("PaymentReserved", Statement::Finished),
        ("ChargeAuthorized", Statement::Broken),
        ("ChargeAuthorized", Statement::Finished),
        ("PaymentSubmitting", Statement::Broken),
        ("PaymentSubmitting", Statement::Finished),
        ("PaymentSucceeded", Statement::Broken),
        ("PaymentApplied", Statement::Broken),
        ("ChargeSucceeded", Statement::Finished),
    ] {
        hold(&world, "log.events", &format!("new.event_type = '{event}'")).await;
        let invoice = due_now(&world, &ana).await;
        killed_there(&world, "log.events", statement).await;
        is_charged_once(&world, invoice, &format!("{event}, {statement:?}")).await;
    }
    world.assert_invariants().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_stripe_holds_the_call_or_with_its_webhook_unread_propty_charges_exactly_once() {
    let world = World::start_in_the_afternoon(Options::default()).await;
    let ana = world.first.resident("Ana").clone();
    world.enroll(&ana, "pm_card_visa").await;
    // An hour at which it is the same day everywhere.
    world.pass_days(1).await;
    for kind in ["timeout_before_commit", "timeout_after_commit"] {
        let fault = json!({ "kind": kind, "hold_ms": 20_000 });
        let fault = world.request_fault("stripe", "POST /v1/payment_intents", fault).await;
        let invoice = due_now(&world, &ana).await;
        let started = Instant::now();
        while world.sandbox.struck(fault).await == 0 {
            assert!(started.elapsed() < PATIENCE, "the fault does not strike");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.kill9();
        is_charged_once(&world, invoice, kind).await;
    }
    // The answer never comes, and the webhook that would tell of the charge is stored when propty dies.
    let lost = json!({ "kind": "timeout_after_commit", "hold_ms": 20_000 });
    world.request_fault("stripe", "POST /v1/payment_intents", lost).await;
    hold(&world, "engine.webhooks", "true").await;
    let invoice = due_now(&world, &ana).await;
    killed_there(&world, "engine.webhooks", Statement::Broken).await;
    assert!(world.count("select count(*) from engine.webhooks where state = 'received'").await > 0, "stored, not read");
    is_charged_once(&world, invoice, "a webhook received").await;
    world.assert_invariants().await;
}
