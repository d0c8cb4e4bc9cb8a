//! Rebuilding read models: beside the live ones, while commands go on, twice the same, and without any effect.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Options, World, run};

/// Every read model with its live generation.
async fn generations(world: &World) -> Vec<(String, i32)> {
    sqlx::query_as("select name, generation from engine.read_models where state = 'live' order by name")
        .fetch_all(&world.database)
        .await
        .expect("generations")
}

/// What was sent to the providers so far.
async fn sent(world: &World) -> Vec<Value> {
    let mut journal = world.sandbox.journal().await;
    journal.retain(|entry| entry["direction"] == "received");
    journal
}

/// A journey with a bit of everything: bills, letters, a payment, a refund, a check.
async fn live_a_little(world: &World) {
    let first = &world.first;
    for name in ["Ana", "Benoit", "Greta", "Frank"] {
        first.publish(first.resident(name), 41_000, true).await;
    }
    let ana = first.resident("Ana").clone();
    let client = world.sign_in(&ana).await;
    let invoice = first.publish(&ana, 12_300, true).await;
    let payment = world.pay(&client, invoice, None).await;
    let refund = json!({ "payment_id": payment.id, "refund_id": Uuid::now_v7(), "amount": { "amount": 2_300, "currency": ana.currency } });
    first.manager.command("RefundPayment", &refund).await;
    let henry = first.resident("Henry").clone();
    let invoice = first.publish(&henry, 9_900, true).await;
    let check = json!({
        "invoice_id": invoice, "payment_id": Uuid::now_v7(), "method": "Check", "reference": "1042",
        "amount": { "amount": 9_900, "currency": henry.currency }, "received_on": chrono::Utc::now().date_naive() - chrono::Days::new(1),
    });
    first.manager.command("RecordOfflinePayment", &check).await;
    first.until_status(invoice, "Paid").await;
    world.settle().await;
}

/// Runs a rebuild that must succeed; what it said.
async fn rebuild(world: &World, args: &[&str]) -> String {
    let output = world.propty(&[&["rebuild"], args].concat()).await;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_model_is_rebuilt_byte_equal_and_nothing_is_sent() {
    let world = World::start(Options::default()).await;
    live_a_little(&world).await;
    let (traffic, before) = (sent(&world).await, generations(&world).await);
    let outbox = world.count("select count(*) from engine.outbox").await;
    let head = world.head(world.first.id).await;

    let told = rebuild(&world, &["--verify"]).await;
    assert_eq!(told.matches("two rebuilds are byte-equal").count(), before.len(), "{told}");
    let after = generations(&world).await;
    for ((name, old), (same, new)) in before.iter().zip(&after) {
        assert_eq!((name, *new), (same, old + 2), "a generation each time");
    }
    world.settle().await;
    assert_eq!(sent(&world).await, traffic, "a rebuild sends nothing");
    assert_eq!(world.count("select count(*) from engine.outbox").await, outbox, "a rebuild asks for nothing");
    assert_eq!(world.head(world.first.id).await, head, "a rebuild appends nothing");

    // What queries answer is the same, and goes on from there.
    let ana = world.first.resident("Ana").clone();
    let invoice = world.first.publish(&ana, 5_000, true).await;
    world.first.until_message(invoice, "invoice-published", "Delivered").await;
    let refused = world.propty(&["rebuild", "nonsense"]).await;
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("there is no read model nonsense; there are"), "{text}");
    world.assert_invariants().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_queries_go_on_while_everything_is_rebuilt() {
    let world = Arc::new(World::start(Options::default()).await);
    live_a_little(&world).await;
    let (traffic, before) = (sent(&world).await, generations(&world).await);
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for name in ["Carol", "Jonas"] {
        let (world, over) = (world.clone(), over.clone());
        tasks.spawn(async move {
            let resident = world.first.resident(name).clone();
            let mut published = Vec::new();
            while !over.load(Ordering::Relaxed) {
                // Without a letter, so that nothing is to be sent by anybody.
                published.push(world.first.publish(&resident, 1_500, false).await);
            }
            published
        });
    }
    let (reader, stop) = (world.clone(), over.clone());
    let reading = tokio::spawn(async move {
        let mut seen = 0;
        while !stop.load(Ordering::Relaxed) {
            let count = reader.first.manager.list("/v1/invoices").await.len();
            assert!(count >= seen, "a reader saw {seen} invoices, and then {count}");
            seen = count;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen
    });
    rebuild(&world, &[]).await;
    rebuild(&world, &["invoice", "movement"]).await;
    over.store(true, Ordering::Relaxed);
    let mut published = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        published.extend(ended.expect("a publisher"));
    }
    assert!(reading.await.expect("a reader") > 5);
    assert!(published.len() > 4, "only {} invoices were published meanwhile", published.len());
    world.settle().await;
    let invoices = world.first.manager.list("/v1/invoices").await;
    for id in &published {
        let shown = invoices.iter().find(|invoice| invoice["invoice_id"] == json!(id));
        assert!(shown.is_some_and(|invoice| invoice["status"] == "Open"), "invoice {id}: {shown:?}");
    }
    for ((name, old), (same, new)) in before.iter().zip(&generations(&world).await) {
        let wanted = old + if matches!(name.as_str(), "invoice" | "movement") { 2 } else { 1 };
        assert_eq!((name, *new), (same, wanted));
    }
    assert_eq!(sent(&world).await, traffic, "nothing was sent meanwhile");
    let told = rebuild(&world, &["--verify"]).await;
    assert!(!told.contains("DIFFERENT"), "{told}");
    world.assert_invariants().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_killed_leaves_the_live_generation_alone() {
    let world = World::start(Options::default()).await;
    live_a_little(&world).await;
    let before = generations(&world).await;
    let invoices = world.first.manager.list("/v1/invoices").await;
    for pause in [60, 120, 200, 300] {
        let mut child = world.command(&["rebuild"]).stdout(std::process::Stdio::null()).spawn().expect("a rebuild");
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let _ = child.kill();
        let _ = child.wait();
        assert_eq!(world.first.manager.list("/v1/invoices").await, invoices, "after {pause} ms");
    }
    assert_eq!(run(world.command(&["rebuild"])).await.status.code(), Some(0));
    let after = generations(&world).await;
    assert_eq!(after.len(), before.len());
    assert!(before.iter().zip(&after).all(|(old, new)| old.0 == new.0 && new.1 > old.1), "{before:?} {after:?}");
    let filling = world.count("select count(*) from engine.read_models where state = 'filling'").await;
    assert_eq!(filling, 0, "half a generation is left behind");
    world.assert_invariants().await;
}
