//! Requests that come twice, together, or too late: idempotency keys and versions.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Client, Options, World};

async fn with(client: &Client, name: &str, body: &Value, header: (&str, &str)) -> Answer {
    let request = client.request(Method::POST, &format!("/v1/commands/{name}"));
    client.send(request.json(body).header(header.0, header.1)).await
}

#[tokio::test]
async fn a_key_is_executed_once_answered_again_and_refused_for_another_body() {
    let world = World::start(Options::default()).await;
    let first = &world.first;
    let body = first.draft_body(first.resident("Ana"), 12_000);
    let key = ("Idempotency-Key", "draft-1");
    let answers = join_all((0..10).map(|_| with(&first.manager, "DraftInvoice", &body, key))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.body["repeated"] == false).count(), 1, "{answers:?}");
    for answer in &answers {
        assert_eq!((&answer.body["version"], &answer.body["events"][0]["type"]), (&json!(1), &json!("InvoiceDrafted")));
    }
    let mut other = body.clone();
    other["title"] = "Something else".into();
    with(&first.manager, "DraftInvoice", &other, key).await.assert_problem(422);
    // The same body written in another order is the same body.
    let text = body.as_object().into_iter().flatten().rev().map(|(name, value)| format!("{}: {value}", json!(name)));
    let reordered = format!("{{ {} }}", text.collect::<Vec<_>>().join(", "));
    let request =
        first.manager.request(Method::POST, "/v1/commands/DraftInvoice").header("content-type", "application/json");
    let answer = first.manager.send(request.header(key.0, key.1).body(reordered)).await;
    assert_eq!((answer.status, &answer.body["repeated"]), (200, &json!(true)), "{}", answer.text);
    // Another's key is another key, and another command's too.
    let (_, colleague) = first.token("OrganizationManager", None).await;
    let answer = with(&colleague, "DraftInvoice", &body, key).await;
    assert_eq!(
        (answer.status, &answer.body["repeated"], &answer.body["events"]),
        (200, &json!(false), &json!([])),
        "{}",
        answer.text
    );
    let publish = json!({ "invoice_id": body["invoice_id"], "notify": false });
    assert_eq!(with(&first.manager, "PublishInvoice", &publish, key).await.status, 200);
    // A refusal uses no key up.
    let fresh = first.draft_body(first.resident("Ana"), 0);
    with(&first.manager, "DraftInvoice", &fresh, ("Idempotency-Key", "draft-2")).await.assert_problem(422);
    let good = first.draft_body(first.resident("Ana"), 100);
    assert_eq!(with(&first.manager, "DraftInvoice", &good, ("Idempotency-Key", "draft-2")).await.status, 200);
    // It survives a restart, and must be a key at all.
    world.stop().await;
    world.restart().await;
    let answer = with(&first.manager, "DraftInvoice", &body, key).await;
    assert_eq!((answer.status, &answer.body["repeated"]), (200, &json!(true)), "{}", answer.text);
    for wrong in ["", "  ", "with space", &"x".repeat(256)] {
        with(&first.manager, "DraftInvoice", &body, ("Idempotency-Key", wrong)).await.assert_problem(400);
    }
    let drafted = world.count("select count(*) from log.events where event_type = 'InvoiceDrafted'").await;
    assert_eq!(drafted, 3, "one in the template, two here");
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_decision_on_an_old_version_is_refused_with_the_current_one() {
    let world = World::start(Options::default()).await;
    let first = &world.first;
    let body = first.draft_body(first.resident("Benoit"), 12_000);
    assert_eq!(with(&first.manager, "DraftInvoice", &body, ("If-None-Match", "*")).await.status, 200);
    let taken = with(&first.manager, "DraftInvoice", &body, ("If-None-Match", "*")).await;
    taken.assert_problem(412);
    let edit = |title: &str| json!({ "invoice_id": body["invoice_id"], "title": title, "due_on": body["due_on"], "lines": body["lines"] });
    let edited = with(&first.manager, "EditInvoice", &edit("Second"), ("If-Match", "\"1\"")).await;
    assert_eq!((edited.status, edited.header("etag")), (200, "\"2\""), "{}", edited.text);
    let stale = with(&first.manager, "EditInvoice", &edit("Third"), ("If-Match", "\"1\"")).await;
    stale.assert_problem(412);
    assert_eq!(stale.body["current_version"], 2);
    // Of ten who build on the same version, one comes through.
    let titles: Vec<_> = (0..10).map(|number| edit(&format!("Title {number}"))).collect();
    let answers =
        join_all(titles.iter().map(|body| with(&first.manager, "EditInvoice", body, ("If-Match", "\"2\"")))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.status == 412).count(), 9, "{answers:?}");
    // Who names no version is not hindered by others.
    let answers = join_all(titles.iter().map(|body| first.manager.ask("EditInvoice", body))).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)), "{answers:?}");
    assert!(answers.iter().any(|answer| answer.status == 200));
    for (name, wrong) in [("If-Match", "x"), ("If-Match", "W/\"2\""), ("If-Match", "*"), ("If-None-Match", "\"1\"")] {
        with(&first.manager, "EditInvoice", &edit("Wrong"), (name, wrong)).await.assert_problem(400);
    }

    let path = format!("/v1/invoices/{}", body["invoice_id"].as_str().expect("an id"));
    world.settle().await;
    let shown = first.manager.look(&path).await;
    let request = first.manager.request(Method::GET, &path).header("If-None-Match", shown.header("etag"));
    let same = first.manager.send(request).await;
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    let request = first.manager.request(Method::GET, &path).header("Propty-Min-Position", "999999999");
    first.manager.send(request).await.assert_problem(503);
    world.assert_invariants().await;
}
