//! Webhooks out, as integrators live with them: registered over HTTP, killed under, looked at; and what strangers see of them.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use poem::{
    EndpointExt, Request, Response, Server,
    endpoint::make,
    http::StatusCode,
    listener::{Acceptor, Listener, TcpListener},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    events::there,
    world::{Client, Options, World},
};

/// How often propty is killed under what is being sent.
const KILLS: usize = 4;
/// A killed worker's webhooks rest for their lease.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone)]
struct Got {
    headers: [String; 3],
    body: Vec<u8>,
    event: Value,
    taken: bool,
}

type Log = Arc<Mutex<Vec<Got>>>;

/// A receiver that refuses every third request.
async fn receiver() -> (String, Log) {
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a port");
    let address = acceptor.local_addr()[0].as_socket_addr().copied().expect("an address");
    let log = Log::default();
    let kept = log.clone();
    let app = make(move |mut request: Request| {
        let kept = kept.clone();
        async move {
            let body = request.take_body().into_vec().await?;
            let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"]
                .map(|name| request.header(name).unwrap_or_default().to_owned());
            let event: Value = serde_json::from_slice(&body).unwrap_or_default();
            let mut log = kept.lock().expect("a log");
            let taken = log.len() % 3 != 2 || !event["position"].is_number();
            log.push(Got { headers, body, event, taken });
            let status = if taken { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE };
            Ok::<_, poem::Error>(Response::builder().status(status).finish())
        }
    })
    .map_to_response();
    tokio::spawn(async move { Server::new_with_acceptor(acceptor).run(app).await });
    (format!("http://{address}/hook"), log)
}

fn got(log: &Log) -> Vec<Got> {
    log.lock().expect("a log").clone()
}

/// The subjects of what was taken, each with the positions in the order in which they came first.
fn arrived(log: &Log) -> BTreeMap<String, Vec<i64>> {
    let mut found = BTreeMap::<String, Vec<i64>>::new();
    for one in got(log).into_iter().filter(|one| one.taken) {
        let (Some(subject), Some(position)) = (one.event["subject"].as_str(), one.event["position"].as_i64()) else {
            continue;
        };
        let positions = found.entry(subject.to_owned()).or_default();
        if !positions.contains(&position) {
            positions.push(position);
        }
    }
    found
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn insist(client: &Client, name: &str, body: &Value) {
    let key = Uuid::now_v7().to_string();
    let started = Instant::now();
    loop {
        match client.try_command(name, body, Some(&key)).await {
            Ok(answer) if answer.status == 200 => return,
            Ok(answer) => assert!(answer.status >= 500 || answer.problem() == "contention", "{name}: {}", answer.text),
            Err(_) => {}
        }
        assert!(started.elapsed() < PATIENCE, "{name} is not accepted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether it names who acted.
fn is_somebody(name: &Value) -> bool {
    name.as_str().and_then(|name| name.split_once(':')).is_some_and(|(_, id)| Uuid::parse_str(id).is_ok())
}

/// Whether the script of the documentation believes it.
fn is_believed(secret: &str, got: &Got, body: &[u8]) -> bool {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/consumers/verify_webhook.py");
    let mut child = Command::new("python3")
        .arg(script)
        .arg(secret)
        .args(&got.headers)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3");
    child.stdin.take().expect("its input").write_all(body).expect("a body");
    child.wait().expect("an end").success()
}

#[tokio::test]
async fn everything_arrives_at_least_once_and_in_order_whatever_is_killed() {
    let options = Options { env: vec![("PROPTY_WEBHOOK_TARGETS".into(), "any".into())], ..Options::default() };
    let world = World::start(options).await;
    let (url, log) = receiver().await;
    let (first, manager) = (&world.first, &world.first.manager);
    let registration = json!({ "url": url, "types": ["unit.*"], "notice_email": "ops@example.com", "from": 1 });
    let made = manager.post("/v1/webhooks", &registration).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let (id, secret) = (crate::world::id(&made.body["webhook_id"]), made.body["secret"].as_str().expect("a secret"));

    let units: Vec<Uuid> = ["Ana", "Benoit", "Carol"].iter().map(|name| first.resident(name).unit).collect();
    for round in 0..KILLS {
        for (place, unit) in units.iter().enumerate() {
            insist(manager, "RelabelUnit", &json!({ "unit_id": unit, "label": format!("{place}-{round}") })).await;
        }
        let before = got(&log).len();
        until("something is sent", || got(&log).len() > before).await;
        world.kill9();
        world.restart().await;
        // What failed is due again, for every other life.
        world.pass_time(400).await;
    }
    let expected: Vec<(String, i64)> = sqlx::query_as(
        "select aggregate_type || '/' || aggregate_id, position from log.entries
         where organization_id = $1 and event_type in ('UnitAdded', 'UnitRelabelled') order by position",
    )
    .bind(first.id)
    .fetch_all(&world.database)
    .await
    .expect("the log");
    let mut wanted = BTreeMap::<String, Vec<i64>>::new();
    for (subject, position) in expected {
        wanted.entry(subject).or_default().push(position);
    }
    // What was taken but not written down when propty was killed is posted again, and may be refused then: it waits, too.
    let (path, nothing_waits) = (format!("/v1/webhooks/{id}"), |webhook: &Value| webhook["waiting"] == 0);
    for _ in 0..8 {
        let started = Instant::now();
        let mut waits = true;
        while waits && started.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            waits = arrived(&log) != wanted || !nothing_waits(&manager.get(&path).await);
        }
        if !waits {
            break;
        }
        world.pass_time(20_000).await;
    }
    assert_eq!(arrived(&log), wanted, "each at least once, and each aggregate's in its order");

    let one = got(&log).into_iter().last().expect("a webhook");
    if there("python3") {
        assert!(is_believed(secret, &one, &one.body));
        assert!(!is_believed(secret, &one, b"{}"), "another body");
        assert!(!is_believed("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &one, &one.body), "another secret");
    }

    // A test event, a look at it, and what others see.
    manager.command("SendTestWebhook", &json!({ "webhook_id": id })).await;
    until("the test arrives", || got(&log).iter().any(|one| one.event["type"] == "org.propty.webhook.test.v1")).await;
    let shown = manager.until(&path, nothing_waits).await;
    assert_eq!((&shown["state"], &shown["types"]), (&json!("Enabled"), &json!(["unit.*"])));
    assert_eq!((is_somebody(&shown["registered_by"]), &shown["changed_by"]), (true, &Value::Null));
    manager.command("ChangeWebhook", &json!({ "webhook_id": id, "description": "Accounting" })).await;
    let shown = manager.until(&path, |webhook| webhook["description"] == "Accounting").await;
    assert_eq!(shown["changed_by"], shown["registered_by"]);
    let deliveries = format!("/v1/webhooks/{id}/deliveries");
    let attempts = manager.until_list(&deliveries, |list| {
        list.iter().any(|one| one["event_type"] == "org.propty.webhook.test.v1" && one["outcome"] == "delivered")
    });
    let attempts = attempts.await;
    assert!(attempts.iter().any(|one| one["outcome"] == "failed" && one["status"] == 503), "{attempts:?}");
    assert!(!json!([shown, attempts, manager.list("/v1/webhooks").await]).to_string().contains("whsec_"));
    let (_, integrator) = first.token("Integrator", None).await;
    let (_, bound) = first.token("Integrator", Some(first.property("Cedar Row").id)).await;
    world.settle().await;
    assert_eq!(integrator.list("/v1/webhooks").await.len(), 1);
    assert!(bound.list("/v1/webhooks").await.is_empty(), "it is no property's");
    assert!(world.second.manager.list("/v1/webhooks").await.is_empty());
    for path in [format!("/v1/webhooks/{id}"), format!("/v1/webhooks/{id}/deliveries")] {
        bound.look(&path).await.assert_problem(404);
        world.second.manager.look(&path).await.assert_problem(404);
    }
    world.second.manager.refused("RemoveWebhook", &json!({ "webhook_id": id }), 404).await;
    let rotation = format!("/v1/webhooks/{id}/secret");
    world.second.manager.post(&rotation, &json!({})).await.assert_problem(404);
    let rotated = manager.post(&rotation, &json!({ "overlap_hours": 0 })).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    assert_ne!(rotated.body["secret"], made.body["secret"]);
}

#[tokio::test]
async fn what_is_not_on_the_public_internet_is_refused_when_it_is_registered() {
    let world = World::start(Options::default()).await;
    let manager = &world.first.manager;
    let body = |url: &str| json!({ "url": url, "notice_email": "ops@example.com" });
    for url in [
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://0x7f.1/",
        "https://10.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:192.168.0.1]/",
        "https://localhost/",
        "https://user:secret@hooks.example.com/",
        "ftp://hooks.example.com/",
    ] {
        manager.post("/v1/webhooks", &body(url)).await.assert_problem(422);
    }
    let unknown =
        json!({ "url": "https://hooks.example.com/", "notice_email": "ops@example.com", "types": ["no.such"] });
    manager.post("/v1/webhooks", &unknown).await.assert_problem(422);
    let made = manager.post("/v1/webhooks", &body("https://hooks.example.com/")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = &made.body["webhook_id"];
    for _ in 1..20 {
        assert_eq!(manager.post("/v1/webhooks", &body("https://hooks.example.com/")).await.status, 201);
    }
    let one_more = manager.post("/v1/webhooks", &body("https://hooks.example.com/")).await;
    assert_eq!((one_more.status, one_more.problem()), (409, "too-many-webhooks"), "{}", one_more.text);
    for change in [json!({ "url": "https://192.168.1.1/" }), json!({ "types": ["no.such"] })] {
        let mut change = change;
        change["webhook_id"] = id.clone();
        manager.refused("ChangeWebhook", &change, 422).await;
    }
    for role in ["Integrator", "ComplianceAuditor"] {
        let (_, client) = world.first.token(role, None).await;
        client.post("/v1/webhooks", &body("https://hooks.example.com/")).await.assert_problem(403);
    }
    world.assert_invariants().await;
}
