//! The event feed: every position once, to whom it may concern, from wherever somebody wants to go on.

use std::{collections::BTreeSet, time::Duration};

use events::{InvoiceEvent, PropertyEvent, ResidentEvent, Role, UnitEvent};
use futures_util::StreamExt;
use query_service::FEED;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    community::{HARBOR, INVOICE, LUCIA, MEADOW, ORGANIZATION, OTHER, PAUL, SIGN_IN, UNIT, community, id},
    world::{Reader, World},
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn page(world: &World, who: &str, query: &str) -> Value {
    let answer = world.get(who, &format!("/v1/events{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    assert_eq!(answer.header("propty-position"), answer.json()["complete_up_to"].to_string());
    answer.json()
}

/// All events by following `next`, and how many pages that took.
async fn follow(world: &World, who: &str, query: &str) -> (Vec<Value>, usize) {
    let (mut events, mut pages) = (Vec::new(), 0);
    let mut path = format!("/v1/events{query}");
    loop {
        let answer = world.get(who, &path).await.json();
        events.extend(answer["events"].as_array().expect("events").clone());
        pages += 1;
        assert!(answer["complete_up_to"].as_i64() <= answer["head"].as_i64());
        if answer["complete_up_to"] == answer["head"] {
            return (events, pages);
        }
        answer["next"].as_str().expect("a next page").clone_into(&mut path);
    }
}

fn positions(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["position"].as_i64().expect("a position")).collect()
}

/// The positions of what is told of an organization, as the log has it.
async fn told(world: &World, organization: u128) -> Vec<i64> {
    let names: Vec<&str> = public_events::Selection::default().stored();
    // The e-mail with a sign-in link is not told of; there is none in these communities.
    sqlx::query_scalar(
        "select position from log.entries where organization_id = $1 and event_type = any($2) order by position",
    )
    .bind(uuid::Uuid::from_u128(organization))
    .bind(names)
    .fetch_all(&world.database.engine)
    .await
    .expect("the log")
}

/// Reads events from a stream until there are as many as wanted.
async fn read(reader: &mut Reader, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    while found.len() < count {
        let message = timeout(PATIENCE, reader.message()).await.expect("in time").expect("no end");
        if let Some(data) = message.data {
            let event: Value = serde_json::from_str(&data).expect("JSON");
            assert_eq!(message.id, Some(event["position"].as_i64().expect("a position")));
            found.push(event);
        }
    }
    assert_eq!(found.len(), count);
    found
}

/// Relabels a unit so many times: an event each.
async fn happen(world: &World, version: i64, count: i64) {
    let events: Vec<Value> =
        (0..count).map(|number| json!({ "UnitRelabelled": { "label": format!("{}", version + number) } })).collect();
    world.append::<UnitEvent>(ORGANIZATION, UNIT, version, &events).await;
    world.order().await;
}

#[tokio::test]
async fn pages_tell_every_public_event_once_and_in_order() {
    let world = community().await;
    let all = told(&world, ORGANIZATION).await;
    let head = page(&world, "manager", "").await["head"].as_i64().expect("a head");
    assert!(all.len() > 40 && i64::try_from(all.len()).expect("few") < head, "some events are not public");
    for limit in [1, 7, 1000] {
        let (events, pages) = follow(&world, "integrator", &format!("?limit={limit}")).await;
        assert_eq!(positions(&events), all, "limit {limit}");
        assert!(limit > 1 || pages >= all.len());
        let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
        assert_eq!(ids.len(), all.len(), "ids are unique");
    }
    let (events, _) = follow(&world, "manager", "").await;
    for event in &events {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], format!("urn:propty:organization:{}", id(ORGANIZATION)));
        assert!(
            event["dataschema"].as_str().expect("a schema").starts_with("https://propty.example.com/schemas/public/")
        );
        assert!(
            event["data"].is_object() && event["time"].is_string() && event["correlationid"].is_string(),
            "{event}"
        );
    }
    let published = events.iter().find(|event| event["type"] == "org.propty.invoice.published.v1").expect("published");
    assert_eq!((&published["property"], &published["version"]), (&json!(id(HARBOR)), &json!(2)), "{published}");
    let after = page(&world, "manager", &format!("?after={head}")).await;
    assert_eq!((after["events"].clone(), after["complete_up_to"].clone()), (json!([]), json!(head)));
    assert_eq!(page(&world, "manager", "?after=head").await["complete_up_to"], head);
}

#[tokio::test]
async fn the_forms_hold_the_same_events() {
    let world = community().await;
    let (events, _) = follow(&world, "manager", "?limit=1000").await;
    let batch =
        world.get_with("manager", "/v1/events?limit=1000", &[("Accept", "application/cloudevents-batch+json")]).await;
    assert_eq!(batch.header("content-type"), "application/cloudevents-batch+json");
    assert_eq!(batch.json(), json!(events));
    assert!(batch.header("link").ends_with("rel=\"next\""));
    let lines = world.get_with("manager", "/v1/events", &[("Accept", "application/x-ndjson")]).await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let read: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(read, events);
    assert_eq!(lines.header("propty-position"), page(&world, "manager", "").await["head"].to_string());
    let some = world.get("manager", "/v1/events?format=ndjson&limit=3").await;
    assert_eq!(some.text.lines().count(), 3);
    assert_eq!(some.header("propty-position"), events[2]["position"].to_string());
    let one = world.get("manager", &format!("/v1/events/{}", events[2]["position"])).await;
    assert_eq!((one.header("content-type"), one.json()), ("application/cloudevents+json", events[2].clone()));
    for nothing in ["0", "-1", "x", "999999", "99999999999999999999"] {
        assert_eq!(world.get("manager", &format!("/v1/events/{nothing}")).await.status, 404, "{nothing}");
    }
}

#[tokio::test]
async fn filters_narrow_what_is_told_and_not_how_far_it_is_complete() {
    let world = community().await;
    let (all, _) = follow(&world, "manager", "").await;
    let invoice = id(INVOICE);
    for (query, wanted) in [
        (
            "types=invoice.published",
            Box::new(|event: &Value| event["type"] == "org.propty.invoice.published.v1") as Box<dyn Fn(&Value) -> bool>,
        ),
        (
            "types=unit.*,job.started",
            Box::new(|event| {
                let kind = event["type"].as_str().unwrap_or_default();
                kind.starts_with("org.propty.unit.") || kind == "org.propty.job.started.v1"
            }),
        ),
        (
            "aggregate=payment",
            Box::new(|event| event["subject"].as_str().is_some_and(|subject| subject.starts_with("payment/"))),
        ),
        (
            &format!("aggregate=invoice/{invoice}"),
            Box::new(|event| event["subject"] == format!("invoice/{}", id(INVOICE))),
        ),
    ] {
        let expected: Vec<Value> = all.iter().filter(|event| wanted(event)).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{query}");
        for limit in [2, 1000] {
            let (found, _) = follow(&world, "manager", &format!("?{query}&limit={limit}")).await;
            assert_eq!(found, expected, "{query}");
        }
    }
    let here = page(&world, "manager", &format!("?property={}&limit=1000", id(HARBOR))).await;
    assert_eq!(here["complete_up_to"], here["head"]);
    for event in here["events"].as_array().expect("events") {
        let about_a_resident = event["subject"].as_str().is_some_and(|subject| subject.starts_with("resident/"));
        assert!(event["property"] == id(HARBOR) || about_a_resident, "{event}");
    }
    for (query, parameter) in [
        ("types=invoice", "types"),
        ("types=InvoicePublished", "types"),
        ("aggregate=sign-in", "aggregate"),
        ("aggregate=invoice/1", "aggregate"),
        ("property=1", "property"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("after=-1", "after"),
        ("after=1e3", "after"),
        ("after=%2B1", "after"),
        ("format=xml", "format"),
        ("colour=red", "colour"),
    ] {
        let answer = world.get("manager", &format!("/v1/events?{query}")).await;
        assert_eq!((answer.status, answer.json()["parameter"].clone()), (422, json!(parameter)), "{query}");
    }
}

#[tokio::test]
async fn a_propertys_token_sees_its_own_and_is_as_complete_as_everybody() {
    let world = community().await;
    let (all, _) = follow(&world, "manager", "").await;
    let head = page(&world, "manager", "").await["head"].clone();
    for (who, property, resident, other) in [("harbor", HARBOR, LUCIA, PAUL), ("meadow", MEADOW, PAUL, LUCIA)] {
        let (mine, _) = follow(&world, who, "?limit=9").await;
        assert_eq!(page(&world, who, "?limit=1000").await["complete_up_to"], head);
        assert!(mine.len() > 5 && mine.len() < all.len());
        assert!(mine.iter().all(|event| all.contains(event)), "a scope changes no event");
        assert!(!mine.iter().any(|event| event["subject"] == format!("resident/{}", id(other))), "{who}");
        let moved = mine.iter().find(|event| event["type"] == "org.propty.resident.moved_in.v1").expect("a move");
        assert_eq!(moved["subject"], format!("resident/{}", id(resident)));
        assert!(mine.iter().all(|event| event["property"] == id(property) || event["property"].is_null()), "{who}");
        assert_eq!(page(&world, who, &format!("?property={}", id(if property == HARBOR { MEADOW } else { HARBOR }))).await["events"]
            .as_array()
            .map(|events| events.iter().filter(|event| !event["property"].is_null()).count()), Some(0));
        let foreign = all.iter().find(|event| !mine.contains(event)).expect("a foreign event");
        assert_eq!(world.get(who, &format!("/v1/events/{}", foreign["position"])).await.status, 404);
    }
    // What a resident does before moving in is not the property's; from then on it is.
    let moved = [
        json!({ "ResidentPhoneChanged": {} }),
        json!({ "ResidentMovedIn": { "property_id": id(MEADOW), "unit_id": id(UNIT + 1), "tenure": "Owner", "on": "2026-02-01" } }),
        json!({ "ResidentErased": { "purposes": ["contact"], "retained": [] } }),
    ];
    world.append::<ResidentEvent>(ORGANIZATION, LUCIA, 2, &moved).await;
    world.order().await;
    let after = head.as_i64().expect("a head");
    let news = page(&world, "meadow", &format!("?after={after}")).await;
    assert_eq!(positions(news["events"].as_array().expect("events")), [after + 2, after + 3]);
    assert_eq!(news["events"][1]["type"], "org.propty.resident.erased.v1");
    // Where somebody has moved to is nothing for those who manage a former home.
    let former = page(&world, "harbor", &format!("?after={after}")).await;
    assert_eq!(positions(former["events"].as_array().expect("events")), [after + 1, after + 3]);
}

#[tokio::test]
async fn an_organization_hears_nothing_of_another() {
    let world = community().await;
    let (ours, _) = follow(&world, "manager", "").await;
    let (theirs, _) = follow(&world, "stranger", "").await;
    assert_eq!(positions(&theirs), told(&world, OTHER).await);
    assert!(theirs.iter().all(|event| event["source"] == format!("urn:propty:organization:{}", id(OTHER))));
    assert!(!theirs.iter().any(|event| ours.contains(event)));
    let theirs = world.get("stranger", &format!("/v1/events?aggregate=invoice/{}", id(INVOICE))).await.json();
    assert_eq!(theirs["events"], json!([]));
    let mut reader = world.reader("stranger", "/v1/events/stream?after=head", &[]).await;
    happen(&world, 1, 3).await;
    let property = json!({ "PropertyDetailsChanged": {
        "name": "Other Place II",
        "address": { "street": "1 Elm", "city": "Springfield", "region": "IL", "postal_code": "62701", "country": "US" },
        "contact": crate::community::clear(0x1f, "contact", &json!("office@example.com")), "sender": "Other Place",
    } });
    world.append::<PropertyEvent>(OTHER, 0x1f, 1, &[property]).await;
    world.order().await;
    let heard = read(&mut reader, 1).await;
    assert_eq!(heard[0]["type"], "org.propty.property.details_changed.v1");
}

#[tokio::test]
async fn a_token_for_some_types_is_told_of_no_others_however_it_asks() {
    let world = community().await;
    let (all, _) = follow(&world, "integrator", "?limit=1000").await;
    let allowed = |event: &Value| {
        let kind = event["type"].as_str().expect("a type");
        kind.starts_with("org.propty.invoice.") || kind == "org.propty.unit.added.v1"
    };
    let (seen, hidden): (Vec<Value>, Vec<Value>) = all.iter().cloned().partition(allowed);
    assert!(seen.iter().any(|event| event["type"] == "org.propty.unit.added.v1") && !hidden.is_empty());

    let (events, _) = follow(&world, "accounting", "?limit=3").await;
    assert_eq!(events, seen, "pages");
    let head = page(&world, "integrator", "").await["head"].clone();
    assert_eq!(page(&world, "accounting", "?after=head").await["complete_up_to"], head, "the log is as long as it is");
    let lines = world.get("accounting", "/v1/events?format=ndjson").await;
    let told: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told, seen, "lines");
    let mut stream = world.reader("accounting", "/v1/events/stream", &[]).await;
    assert_eq!(read(&mut stream, seen.len()).await, seen, "the stream");
    for event in &all {
        let answer = world.get("accounting", &format!("/v1/events/{}", event["position"])).await;
        assert_eq!(answer.status, if allowed(event) { 200 } else { 404 }, "{event}");
    }
    // Asking for more gives no more, and for less gives less.
    let narrow = page(&world, "accounting", "?types=unit.*,payment.*&limit=1000").await;
    let narrow = narrow["events"].as_array().expect("events").clone();
    assert!(!narrow.is_empty() && narrow.iter().all(|event| event["type"] == "org.propty.unit.added.v1"), "{narrow:?}");
    assert_eq!(page(&world, "accounting", "?types=payment.*&limit=1000").await["events"], json!([]));
    for list in ["/v1/invoices", "/v1/units", "/v1/residents"] {
        assert_eq!(world.get("accounting", list).await.status, 403, "{list}");
    }
    let tokens = world.get("manager", "/v1/tokens").await.json();
    let shown = tokens["items"].as_array().expect("tokens").iter().find(|token| token["label"] == "accounting");
    assert_eq!(shown.expect("the token")["types"], json!(["invoice.*", "unit.added"]));
}

#[tokio::test]
async fn nobody_but_managers_and_integrators_is_admitted_to_the_stream() {
    let world = community().await;
    let lucia = world.cookie(SIGN_IN);
    for operation in FEED {
        let path = operation.path.replace("{position}", "1");
        for (who, role) in [
            ("manager", Role::OrganizationManager),
            ("admin", Role::PropertyAdmin),
            ("harbor", Role::PropertyManager),
            ("integrator", Role::Integrator),
            ("auditor", Role::ComplianceAuditor),
            (lucia.as_str(), Role::Resident),
        ] {
            let status = world.reader(who, &path, &[]).await.status;
            let admitted = operation.roles.contains(&role);
            // A property's token is shown nothing of the organization's first event.
            assert_eq!(status == 403, !admitted, "{who} on {path}: {status}");
        }
        assert_eq!(world.reader("nobody", &path, &[]).await.status, 401);
    }
}

#[tokio::test]
async fn a_position_that_the_log_does_not_know_is_gone() {
    let world = community().await;
    let head = page(&world, "manager", "").await["head"].as_i64().expect("a head");
    let beyond = head + 1;
    for path in [
        format!("/v1/events?after={beyond}"),
        format!("/v1/events?after={}", i64::MAX),
        format!("/v1/events?after={beyond}&format=ndjson"),
        format!("/v1/events/stream?after={beyond}"),
        format!("/v1/events?after={head}&incarnation=2"),
        "/v1/events/stream?after=0&incarnation=7".to_owned(),
    ] {
        let answer = world.get("manager", &path).await;
        assert_eq!(answer.status, 410, "{path}: {}", answer.text);
        assert_eq!(answer.json()["type"], "urn:propty:problem:position-gone");
        assert_eq!((answer.json()["head"].clone(), answer.json()["incarnation"].clone()), (json!(head), json!(1)));
    }
    let answer = world.get_with("manager", "/v1/events/stream", &[("Last-Event-ID", &beyond.to_string())]).await;
    assert_eq!(answer.status, 410);
    for forged in ["x", "-1", "1.5", "99999999999999999999"] {
        let answer = world.get_with("manager", "/v1/events/stream", &[("Last-Event-ID", forged)]).await;
        assert_eq!((answer.status, answer.json()["parameter"].clone()), (400, json!("Last-Event-ID")), "{forged}");
    }
    // A restore that was accepted: the old cursor leads nowhere, even though the log has grown past it.
    sqlx::query("update engine.installation set incarnation = 2").execute(&world.database.engine).await.expect("done");
    assert_eq!(world.get("manager", &format!("/v1/events?after={head}&incarnation=1")).await.status, 410);
    let now = page(&world, "manager", &format!("?after={head}&incarnation=2")).await;
    assert_eq!(now["next"], format!("/v1/events?after={head}&incarnation=2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_begins_where_it_is_asked_to_and_goes_on_live() {
    let world = community().await;
    let all = told(&world, ORGANIZATION).await;
    let mut from_the_beginning = world.reader("integrator", "/v1/events/stream", &[]).await;
    assert_eq!(from_the_beginning.status, 200);
    assert_eq!(positions(&read(&mut from_the_beginning, all.len()).await), all);
    let half = all[all.len() / 2];
    let last = half.to_string();
    let mut resumed = world.reader("manager", "/v1/events/stream?after=0", &[("Last-Event-ID", &last)]).await;
    let rest: Vec<i64> = all.iter().copied().filter(|position| *position > half).collect();
    assert_eq!(positions(&read(&mut resumed, rest.len()).await), rest);
    let mut units = world.reader("manager", "/v1/events/stream?after=head&types=unit.*", &[]).await;
    let mut elsewhere = world.reader("meadow", "/v1/events/stream?after=head", &[]).await;
    happen(&world, 1, 5).await;
    let news: Vec<i64> = told(&world, ORGANIZATION).await.split_off(all.len());
    assert_eq!(news.len(), 5);
    for reader in [&mut from_the_beginning, &mut resumed, &mut units] {
        assert_eq!(positions(&read(reader, 5).await), news);
    }
    let meadow = [json!({ "UnitAdded": { "property_id": id(MEADOW), "label": "77" } })];
    world.append::<UnitEvent>(ORGANIZATION, 0x2f, 0, &meadow).await;
    world.order().await;
    let heard = read(&mut elsewhere, 1).await;
    assert_eq!(heard[0]["subject"], format!("unit/{}", id(0x2f)), "nothing of the other property");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_slows_nobody_and_misses_nothing() {
    let world = community().await;
    let before = told(&world, ORGANIZATION).await.len();
    let mut slow = world.reader("manager", "/v1/events/stream?after=head", &[]).await;
    let mut readers = Vec::new();
    for _ in 0..30 {
        readers.push(world.reader("integrator", "/v1/events/stream?after=head", &[]).await);
    }
    let (rounds, each) = (12, 600);
    for round in 0..rounds {
        happen(&world, 1 + round * each, each).await;
        for reader in &mut readers {
            let heard = read(reader, usize::try_from(each).expect("few")).await;
            assert_eq!(heard.len(), 600);
        }
    }
    // By now it is behind what is remembered, and reads the log for itself.
    let expected = told(&world, ORGANIZATION).await.split_off(before);
    assert_eq!(expected.len(), 7200);
    assert_eq!(positions(&read(&mut slow, expected.len()).await), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_when_the_token_is_revoked_and_when_the_service_stops() {
    let world = community().await;
    let mut revoked = world.reader("integrator", "/v1/events/stream?after=head", &[]).await;
    let mut other = world.reader("manager", "/v1/events/stream?after=head", &[]).await;
    world.append::<events::AccessTokenEvent>(ORGANIZATION, 0x806, 1, &[json!({ "AccessTokenRevoked": {} })]).await;
    world.settle().await;
    let ended = async { while revoked.message().await.is_some() {} };
    timeout(PATIENCE, ended).await.expect("an end");
    happen(&world, 1, 1).await;
    read(&mut other, 1).await;
    world.stop.send(true).expect("a listener");
    let ended = async { while other.message().await.is_some() {} };
    timeout(PATIENCE, ended).await.expect("an end");
}

#[tokio::test]
async fn a_snapshot_names_a_position_that_the_lists_have_reached() {
    let world = community().await;
    let title = json!({ "InvoiceVoided": { "reason": "entered twice" } });
    world.append::<InvoiceEvent>(ORGANIZATION, INVOICE + 2, 2, &[title]).await;
    world.order().await;
    let snapshot = world.get("manager", "/v1/events/snapshot").await.json();
    assert_eq!(snapshot["meta"]["lag"], 1);
    let position = snapshot["position"].as_i64().expect("a position");
    let listed = world.get("manager", "/v1/invoices").await.json();
    assert!(listed["meta"]["position"].as_i64() >= Some(position));
    let next = world.get("manager", snapshot["next"].as_str().expect("a path")).await.json();
    assert_eq!(next["events"][0]["type"], "org.propty.invoice.voided.v1");
    assert_eq!(next["events"][0]["position"], position + 1);
    for path in snapshot["state"].as_array().expect("lists") {
        assert_eq!(world.get("manager", path.as_str().expect("a path")).await.status, 200, "{path}");
    }
    assert_eq!(world.get("integrator", "/v1/events/snapshot").await.json()["state"], json!([]));
}

#[tokio::test]
async fn an_export_goes_on_from_slice_to_slice_without_a_gap() {
    let world = community().await;
    happen(&world, 1, 4500).await;
    let all = told(&world, ORGANIZATION).await;
    assert!(all.len() > 4500);
    for (who, query) in [("manager", ""), ("integrator", "&types=unit.*"), ("manager", "&aggregate=unit")] {
        let export = world.get(who, &format!("/v1/events?format=ndjson{query}")).await.text;
        let events: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let (pages, _) = follow(&world, who, &format!("?limit=1000{query}")).await;
        assert_eq!(positions(&events), positions(&pages), "{query}");
        assert!(query.is_empty() || events.len() > 4500, "{query}");
        assert!(events.iter().filter(|event| event["version"] == 4500).all(|event| event["property"].is_string()));
        if query.is_empty() {
            assert_eq!(positions(&events), all);
        }
    }
}

#[tokio::test]
async fn exports_that_nobody_reads_are_limited_and_make_room_when_they_are_dropped() {
    let world = community().await;
    let mut open = Vec::new();
    for _ in 0..10 {
        let reader = world.reader("manager", "/v1/events?format=ndjson", &[]).await;
        assert_eq!(reader.status, 200);
        open.push(reader);
    }
    let refused = world.get("integrator", "/v1/events?format=ndjson").await;
    assert_eq!((refused.status, refused.header("content-type")), (429, "application/problem+json"));
    assert_eq!(world.get("stranger", "/v1/events?format=ndjson").await.status, 200, "another organization has room");
    assert_eq!(world.get("integrator", "/v1/events").await.status, 200, "pages hold nothing");
    open.pop();
    assert_eq!(world.get("integrator", "/v1/events?format=ndjson").await.status, 200);
}

#[tokio::test]
async fn nothing_personal_is_told() {
    let world = community().await;
    let text = world.get("manager", "/v1/events?format=ndjson").await.text.to_lowercase();
    for word in [
        "lucía",
        "example.com\"",
        "lucia@",
        "@example",
        "4242",
        "pm_example",
        "cus_",
        "secret",
        "lost_card",
        "pool was closed",
        "assessment",
    ] {
        assert!(!text.contains(word), "{word}");
    }
}

impl Reader {
    /// The next message with what it says; `None` at the end.
    async fn message(&mut self) -> Option<Message> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(ToOwned::to_owned);
                return Some(Message { id: field("id: ").and_then(|id| id.parse().ok()), data: field("data: ") });
            }
            let piece = self.body.next().await?.ok()?;
            self.text.push_str(std::str::from_utf8(&piece).expect("text"));
        }
    }
}

struct Message {
    id: Option<i64>,
    data: Option<String>,
}
