//! Whatever is sent, the answer says what is wrong, and nobody else notices.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Answer, Client, Options, World};

/// Sends bytes as they are, and returns what comes back.
async fn raw(world: &World, bytes: Vec<u8>) -> String {
    let address = world.url.trim_start_matches("http://").to_owned();
    let talk = move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        // The server may refuse before it has read everything.
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::task::spawn_blocking(talk).await.expect("an answer")
}

async fn post(client: &Client, path: &str, kind: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
    let request = client.request(Method::POST, path).body(body);
    let request = match kind {
        Some(kind) => request.header("content-type", kind),
        None => request,
    };
    client.send(request).await
}

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_and_the_neighbour_is_served() {
    let world = World::start(Options::default()).await;
    let (first, path) = (&world.first, "/v1/commands/DraftInvoice");
    let manager = &first.manager;
    let good = first.draft_body(first.resident("Ana"), 100).to_string();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_field =
        good.replacen("\"Monthly fee\"", &format!("{}{}", "{\"a\":".repeat(50_000), "}".repeat(50_000)), 1);
    let huge = good.replacen("Monthly fee", &"x".repeat(5 * 1024 * 1024), 1);
    let mut not_text = good.clone().into_bytes();
    let place = good.find("Monthly").expect("a place");
    not_text[place] = 0xff;
    let head = world.head(first.id).await;
    let bad: Vec<(u16, Option<&str>, Vec<u8>)> = vec![
        (400, JSON, Vec::new()),
        (400, JSON, b"{".to_vec()),
        (400, JSON, b"{\"invoice_id\": }".to_vec()),
        (400, JSON, good.clone().into_bytes()[..40].to_vec()),
        (400, JSON, [good.as_bytes(), b"}"].concat()),
        (400, JSON, not_text),
        (400, JSON, good.replace("Monthly fee", "Monthly\\u0000fee").into_bytes()),
        (400, JSON, good.replace("Monthly fee", "\\ud800").into_bytes()),
        (400, JSON, deep.into_bytes()),
        (400, JSON, deep_field.into_bytes()),
        (413, JSON, huge.clone().into_bytes()),
        (415, Some("text/plain"), good.clone().into_bytes()),
        (415, Some("application/x-www-form-urlencoded"), b"invoice_id=1".to_vec()),
        (415, None, good.clone().into_bytes()),
        (422, JSON, b"null".to_vec()),
        (422, JSON, b"[]".to_vec()),
        (422, JSON, b"\"DraftInvoice\"".to_vec()),
        (422, JSON, b"{}".to_vec()),
        (422, JSON, good.replace("Monthly fee", "").into_bytes()),
        (422, JSON, good.replace("Monthly fee", &"x".repeat(10_000)).into_bytes()),
        (422, JSON, good.replacen('{', "{\"surprise\": 1,", 1).into_bytes()),
        (422, JSON, good.replace("USD", "ZZZ").into_bytes()),
        (422, JSON, good.replace("USD", "EUR").into_bytes()),
    ];
    let neighbours = async {
        for _ in 0..10 {
            let invoice = first.draft(first.resident("Benoit"), 100).await;
            manager.until(&format!("/v1/invoices/{invoice}"), |shown| shown["status"] == "Draft").await;
        }
    };
    let attacks = async {
        for _ in 0..3 {
            let answers = join_all(bad.iter().map(|(_, kind, body)| post(manager, path, *kind, body.clone()))).await;
            for ((status, kind, body), answer) in bad.iter().zip(answers) {
                let shown: String = String::from_utf8_lossy(body).chars().take(60).collect();
                assert_eq!(answer.status, *status, "{kind:?} {shown}: {}", answer.text);
                answer.assert_problem(*status);
            }
        }
    };
    tokio::join!(neighbours, attacks);
    world.settle().await;
    assert_eq!(world.head(first.id).await, head + 10, "only the neighbour wrote");
    world.assert_invariants().await;
}

#[tokio::test]
async fn amounts_ids_and_dates_beyond_reason_are_refused_by_field() {
    let world = World::start(Options::default()).await;
    let first = &world.first;
    let manager = &first.manager;
    let body = first.draft_body(first.resident("Ana"), 100);
    let with = |pointer: &str, value: Value| {
        let mut changed = body.clone();
        *changed.pointer_mut(pointer).expect("a place") = value;
        changed
    };
    let amount = "/lines/0/amount/amount";
    for (wrong, status) in [
        (with(amount, json!(0)), 422),
        (with(amount, json!(-100)), 422),
        (with(amount, json!(i64::MAX)), 422),
        (with(amount, json!(i64::MIN)), 422),
        (with(amount, json!(u64::MAX)), 422),
        (with(amount, json!(1e300)), 422),
        (with(amount, json!(10.5)), 422),
        (with(amount, json!("100")), 422),
        (with(amount, json!(null)), 422),
        (with("/lines", json!([])), 422),
        (with("/lines", json!(vec![body["lines"][0].clone(); 5_000])), 422),
        (with("/lines", json!({})), 422),
        (with("/due_on", json!("2026-02-30")), 422),
        (with("/due_on", json!("1999-01-01")), 422),
        (with("/due_on", json!("9999-12-31")), 422),
        (with("/due_on", json!(20_261_231)), 422),
        (with("/invoice_id", json!("not-an-id")), 422),
        (with("/invoice_id", json!("")), 422),
        (with("/invoice_id", json!(7)), 422),
        (with("/resident_id", json!(Uuid::now_v7())), 422),
        (with("/unit_id", json!(Uuid::now_v7())), 422),
        (with("/property_id", json!(Uuid::now_v7())), 422),
        (with("/resident_id", json!(world.second.residents[0].id)), 422),
        (with("/title", json!("\u{202e}\u{7}")), 422),
    ] {
        let answer = manager.ask("DraftInvoice", &wrong).await;
        let shown: String = wrong.to_string().chars().take(300).collect();
        assert_eq!(answer.status, status, "{shown}: {}", answer.text);
        answer.assert_problem(status);
    }
    let huge = format!("{}0", "9".repeat(400));
    let text = body.to_string().replace("\"amount\":100", &format!("\"amount\":{huge}"));
    let answer = post(manager, "/v1/commands/DraftInvoice", JSON, text).await;
    assert!(matches!(answer.status, 400 | 422), "{}", answer.text);
    answer.assert_problem(answer.status);
    let wrong = manager.ask("DraftInvoice", &with("/lines/0/amount/currency", json!("DOLLARS"))).await;
    wrong.assert_problem(422);
    assert_eq!(wrong.body["at"], "lines[0].amount.currency", "{}", wrong.text);
    world.assert_invariants().await;
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_answered_with_a_problem() {
    let world = World::start(Options::default()).await;
    let manager = &world.first.manager;
    for (path, statuses) in [
        ("/nowhere", vec![404]),
        ("/v1/nowhere", vec![404]),
        ("/v1/commands/DraftInvoice", vec![404, 405]),
        ("/v1/invoices/not-an-id", vec![400, 404]),
        ("/v1/invoices/%FF%FE", vec![400, 404]),
        ("/v1/invoices/..%2F..%2Fetc", vec![400, 404]),
        ("/v1/invoices/00000000-0000-0000-0000-000000000000", vec![404]),
        ("/v1/invoices?limit=0", vec![400, 422]),
        ("/v1/invoices?limit=-1", vec![400, 422]),
        ("/v1/invoices?limit=99999999999999999999", vec![400, 422]),
        ("/v1/invoices?limit=many", vec![400, 422]),
        ("/v1/invoices?cursor=garbage", vec![400, 422]),
        ("/v1/invoices?sort=password", vec![400, 422]),
        ("/v1/invoices?status=Imaginary", vec![400, 422]),
        ("/v1/invoices?property_id=1", vec![400, 422]),
        ("/v1/invoices?due_from=yesterday", vec![400, 422]),
        ("/v1/invoices?search=%00", vec![400, 422]),
        ("/v1/invoices?search=%FF", vec![400, 422]),
        ("/v1/invoices?surprise=1", vec![400, 422]),
        ("/v1/invoices?status=Open&status=Paid", vec![400, 422]),
        ("/v1/invoices?format=xml", vec![400, 422]),
        ("/v1/residents?search=%27%3B%20drop%20table%20log.events%3B--", vec![200]),
    ] {
        let answer = manager.look(path).await;
        assert!(statuses.contains(&answer.status), "{path}: {} {}", answer.status, answer.text);
        if answer.status != 200 {
            answer.assert_problem(answer.status);
        }
    }
    let long = "x".repeat(201);
    manager.look(&format!("/v1/residents?search={long}")).await;
    for name in
        ["Nothing", "draftinvoice", "SubmitPayment", "RecordIntent", "RegisterOrganization", "%00", &"x".repeat(4_000)]
    {
        manager.ask(name, &json!({})).await.assert_problem(404);
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = manager.send(manager.request(method.clone(), "/v1/invoices").body("{}")).await;
        assert!(matches!(answer.status, 404 | 405), "{method}: {}", answer.text);
        answer.assert_problem(answer.status);
    }
    for value in ["Bearer", "Bearer ", "Basic eDp5", "Bearer \u{e9}", "bearer x y z"] {
        let visitor = world.visitor();
        let request = visitor.request(Method::GET, "/v1/me").header("authorization", value.as_bytes());
        visitor.send(request).await.assert_problem(401);
    }
    let request = manager.request(Method::GET, "/v1/me").header("Propty-Min-Position", "minus one");
    let answer = manager.send(request).await;
    answer.assert_problem(answer.status);
    assert!((400..500).contains(&answer.status));
    world.assert_invariants().await;
}

#[tokio::test]
async fn raw_bytes_that_are_hardly_http_end_their_own_connection_only() {
    let world = World::start(Options::default()).await;
    let token = &world.first.token;
    let start = format!(
        "POST /v1/commands/DraftInvoice HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Connection: close\r\n"
    );
    let chunk = format!("40000\r\n{}\r\n", "x".repeat(0x40000)).repeat(20);
    let good = world.first.draft_body(world.first.resident("Ana"), 100).to_string();
    for (what, bytes, expected) in [
        ("chunked and endless", format!("{start}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"), " 413 "),
        (
            "chunked and good",
            format!("{start}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{good}\r\n0\r\n\r\n", good.len()),
            " 200 ",
        ),
        ("a length that is no number", format!("{start}Content-Length: many\r\n\r\n{good}"), " 400 "),
        ("two lengths", format!("{start}Content-Length: 4\r\nContent-Length: 5\r\n\r\n{good}"), " 400 "),
        ("no HTTP", "HELO there\r\n\r\n".to_owned(), " 400 "),
        ("a header without end", format!("GET /v1/me HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1_000_000)), " 431 "),
    ] {
        let answer = raw(&world, bytes.into_bytes()).await;
        let line = answer.lines().next().unwrap_or_default();
        // Some are cut off before an answer can be read.
        assert!(line.contains(expected) || (answer.is_empty() && expected != " 200 "), "{what}: {line}");
    }
    // A hundred who never finish their sentence.
    let address = world.url.trim_start_matches("http://").to_owned();
    let idle: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).expect("a connection");
            stream.write_all(b"POST /v1/commands/DraftInvoice HTTP/1.1\r\nContent-Len").expect("a beginning");
            stream
        })
        .collect();
    let invoice = world.first.publish(world.first.resident("Carol"), 100, true).await;
    world.first.until_message(invoice, "invoice-published", "Delivered").await;
    drop(idle);
    world.assert_invariants().await;
}
