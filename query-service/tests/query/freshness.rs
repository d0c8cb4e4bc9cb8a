//! Positions, waiting for them, and entity tags.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use crate::community::{HARBOR, INVOICE, LUCIA, MESSAGE, ORGANIZATION, PAYMENT, UNIT, community, id};

#[tokio::test]
async fn every_answer_says_as_of_which_position_it_is() {
    let world = community().await;
    let list = world.get("manager", "/v1/units").await;
    let meta = &list.json()["meta"];
    assert_eq!(list.header("propty-position"), meta["position"].to_string());
    assert_eq!((meta["head"].clone(), meta["lag"].clone()), (meta["position"].clone(), json!(0)));
    let detail = world.get("manager", &format!("/v1/units/{}", id(UNIT))).await;
    assert_eq!(detail.header("propty-position"), meta["position"].to_string());

    let relabelled = json!({ "UnitRelabelled": { "label": "2A" } });
    world.append::<events::UnitEvent>(ORGANIZATION, UNIT, 1, &[relabelled]).await;
    world.order().await;
    let behind = world.get("manager", "/v1/units").await.json();
    assert_eq!(
        (behind["meta"]["position"].clone(), behind["meta"]["lag"].clone()),
        (meta["position"].clone(), json!(1))
    );
    let theirs = world.get("stranger", "/v1/units").await.json();
    assert_eq!(theirs["meta"]["lag"], 0, "another organization's events are nobody's business");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_waits_for_the_position_that_it_must_show() {
    let world = Arc::new(community().await);
    let head = world.get("manager", "/v1/units").await.json()["meta"]["head"].as_i64().expect("a head");
    let relabelled = json!({ "UnitRelabelled": { "label": "2A" } });
    world.append::<events::UnitEvent>(ORGANIZATION, UNIT, 1, &[relabelled]).await;
    let token = format!("unit/{}/2", id(UNIT));
    let path = format!("/v1/units/{}", id(UNIT));
    let waiting: Vec<_> = [(head + 1).to_string(), token]
        .into_iter()
        .map(|wanted| {
            let (world, path) = (world.clone(), path.clone());
            tokio::spawn(async move { world.get_with("manager", &path, &[("Propty-Min-Position", &wanted)]).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.settle().await;
    for answer in waiting {
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.json()["label"], "2A");
    }
    let past = world.get_with("manager", &path, &[("Propty-Min-Position", "1")]).await;
    assert_eq!(past.status, 200);
}

#[tokio::test]
async fn a_position_that_does_not_come_is_unavailable_for_now() {
    let world = community().await;
    let since = Instant::now();
    let answer = world.get_with("manager", "/v1/units", &[("Propty-Min-Position", "999999")]).await;
    assert!((2..6).contains(&since.elapsed().as_secs()));
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.header("content-type"), "application/problem+json");
    for malformed in ["-1", "x", "", "1.5", "99999999999999999999"] {
        let answer = world.get_with("manager", "/v1/units", &[("Propty-Min-Position", malformed)]).await;
        assert_eq!(answer.status, 400, "{malformed}");
        assert_eq!(answer.json()["parameter"], "Propty-Min-Position");
    }
}

#[tokio::test]
async fn details_carry_their_streams_version_and_are_not_sent_twice() {
    let world = community().await;
    for (path, tag) in [
        (format!("/v1/properties/{}", id(HARBOR)), "\"4\""),
        (format!("/v1/residents/{}", id(LUCIA)), "\"2\""),
        (format!("/v1/payments/{}", id(PAYMENT)), "\"3\""),
        (format!("/v1/messages/{}", id(MESSAGE)), "\"4\""),
    ] {
        let fresh = world.get("manager", &path).await;
        assert_eq!(fresh.header("etag"), tag, "{path}");
        let same = world.get_with("manager", &path, &[("If-None-Match", tag)]).await;
        assert_eq!((same.status, same.text.as_str(), same.header("etag")), (304, "", tag), "{path}");
        let other = world.get_with("manager", &path, &[("If-None-Match", "\"1\"")]).await;
        assert_eq!((other.status, other.text), (200, fresh.text), "{path}");
    }
}

#[tokio::test]
async fn an_invoice_whose_message_moved_is_sent_again_though_its_version_is_the_same() {
    let world = community().await;
    let path = format!("/v1/invoices/{}", id(INVOICE + 2));
    let tag = world.get("manager", &path).await.header("etag").to_owned();
    assert_eq!(tag, "\"2\"");
    assert_eq!(world.get_with("manager", &path, &[("If-None-Match", &tag)]).await.status, 304);
    let renamed = json!({ "ResidentStatusChanged": { "status": "Inactive" } });
    world.append::<events::ResidentEvent>(ORGANIZATION, LUCIA, 2, &[renamed]).await;
    world.settle().await;
    assert_eq!(world.get_with("manager", &path, &[("If-None-Match", &tag)]).await.status, 200);
}
