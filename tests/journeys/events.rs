//! The event stream, followed by many through kills and restarts: each position once, for whoever may see it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use public_events::Selection;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::world::{Client, Options, Process, World, binary};

const PATIENCE: Duration = Duration::from_secs(120);
/// How often propty is killed under its readers.
const KILLS: u64 = 8;

/// The positions of what is told of an organization, as the log has it; sign-in letters, which are not told of, do not occur here.
async fn told(world: &World, organization: Uuid) -> Vec<i64> {
    sqlx::query_scalar(
        "select position from log.entries where organization_id = $1 and event_type = any($2) order by position",
    )
    .bind(organization)
    .bind(Selection::default().stored())
    .fetch_all(&world.database)
    .await
    .expect("the log")
}

/// What a reader has seen, in the order in which it came.
#[derive(Debug, Default)]
struct Seen {
    positions: Mutex<Vec<i64>>,
}

impl Seen {
    fn take(&self, event: &Value) -> i64 {
        let position = event["position"].as_i64().expect("a position");
        self.positions.lock().expect("a list").push(position);
        position
    }

    fn positions(&self) -> Vec<i64> {
        self.positions.lock().expect("a list").clone()
    }
}

/// Follows the stream, and goes on with `Last-Event-ID` whenever the connection ends.
async fn follow(client: Client, query: &str, seen: Arc<Seen>) {
    let mut last: Option<i64> = None;
    loop {
        let mut request = client.request(Method::GET, &format!("/v1/events/stream{query}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last.to_string());
        }
        if let Ok(mut answer) = request.timeout(Duration::from_secs(600)).send().await
            && answer.status().is_success()
        {
            let mut text = String::new();
            while let Ok(Some(piece)) = answer.chunk().await {
                text.push_str(std::str::from_utf8(&piece).expect("whole characters, for it is all ASCII"));
                while let Some(end) = text.find("\n\n") {
                    let block: String = text.drain(..end + 2).collect();
                    if let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) {
                        last = Some(seen.take(&serde_json::from_str(data).expect("JSON")));
                    }
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads page after page, by `next`.
async fn leaf_through(client: Client, limit: usize, seen: Arc<Seen>) {
    let mut path = format!("/v1/events?limit={limit}");
    loop {
        if let Ok(answer) = client.try_send(client.request(Method::GET, &path)).await
            && answer.status == 200
            && answer.body.is_object()
        {
            for event in answer.body["events"].as_array().expect("events") {
                seen.take(event);
            }
            answer.body["next"].as_str().expect("what to ask next").clone_into(&mut path);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks until a command is accepted, whatever happens to propty meanwhile.
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

/// Publishes invoices to everybody, until told to stop.
async fn write(world: &World, over: &AtomicBool) {
    let first = &world.first;
    for resident in first.residents.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let draft = first.draft_body(resident, 12_300);
        insist(&first.manager, "DraftInvoice", &draft).await;
        insist(&first.manager, "PublishInvoice", &json!({ "invoice_id": draft["invoice_id"], "notify": true })).await;
    }
}

/// Waits until a reader has seen as much as there is, and proves that it is exactly that.
async fn assert_exactly_once(name: &str, expected: &[i64], seen: impl Fn() -> Vec<i64>) {
    let started = Instant::now();
    while seen().len() < expected.len() && started.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = seen();
    let twice = found.len() - found.iter().collect::<BTreeSet<_>>().len();
    let missing: Vec<i64> = expected.iter().copied().filter(|position| !found.contains(position)).collect();
    assert!(found == expected, "{name}: {twice} twice, missing {missing:?}, {} of {}", found.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_position_is_told_exactly_once_through_kills_and_restarts() {
    let world = Arc::new(World::start(Options::default()).await);
    let here = world.first.property("Maple Court").id;
    let (_, integrator) = world.first.token("Integrator", None).await;
    let (_, scoped) = world.first.token("PropertyManager", Some(here)).await;
    integrator.until("/v1/events", |page| page["head"].is_i64()).await;
    scoped.until("/v1/events", |page| page["head"].is_i64()).await;

    let mut readers = JoinSet::new();
    let mut all = Vec::new();
    for number in 0..8 {
        let (seen, client) = (Arc::new(Seen::default()), integrator.clone());
        all.push((format!("stream {number}"), seen.clone()));
        readers.spawn(async move { follow(client, "", seen).await });
    }
    for limit in [3, 100, 1000] {
        let (seen, client) = (Arc::new(Seen::default()), integrator.clone());
        all.push((format!("pages of {limit}"), seen.clone()));
        readers.spawn(async move { leaf_through(client, limit, seen).await });
    }
    let (invoices, property) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    let (client, seen) = (integrator.clone(), invoices.clone());
    readers.spawn(async move { follow(client, "?types=invoice.published", seen).await });
    let (client, seen) = (scoped.clone(), property.clone());
    readers.spawn(async move { follow(client, "", seen).await });

    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (world, over) = (world.clone(), over.clone());
            tokio::spawn(async move { write(&world, &over).await })
        })
        .collect();
    for kill in 0..KILLS {
        // However slow the machine is, something happens in each life.
        let (before, started) = (told(&world, world.first.id).await.len(), Instant::now());
        while told(&world, world.first.id).await.len() < before + 15 {
            assert!(started.elapsed() < PATIENCE, "nothing happens:\n{}", world.propty_log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(kill * 170 % 400)).await;
        world.kill9();
        world.restart().await;
    }
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("a writer that ends well");
    }
    world.settle().await;

    let expected = told(&world, world.first.id).await;
    assert!(expected.len() > 100, "too little happened: {}", expected.len());
    for (name, seen) in &all {
        assert_exactly_once(name, &expected, || seen.positions()).await;
    }
    let published: Vec<i64> = sqlx::query_scalar(
        "select position from log.entries where organization_id = $1 and event_type = 'InvoicePublished' order by position",
    )
    .bind(world.first.id)
    .fetch_all(&world.database)
    .await
    .expect("the log");
    assert_exactly_once("one type", &published, || invoices.positions()).await;
    let page = scoped.get("/v1/events?limit=1000").await;
    assert_eq!(page["head"], integrator.get("/v1/events").await["head"]);
    let theirs: Vec<i64> = scoped
        .look("/v1/events?format=ndjson")
        .await
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["position"].as_i64().expect("a position"))
        .collect();
    assert!(theirs.len() > 20 && theirs.len() < expected.len(), "a property sees a part: {}", theirs.len());
    assert_exactly_once("a property", &theirs, || property.positions()).await;
    readers.shutdown().await;
    world.assert_invariants().await;
}

fn consumer(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/consumers").join(name)
}

/// A consumer of the documentation as a process, whose output is appended to a file.
fn consume(world: &World, token: &str, name: &str, program: &[&str], last: &str) -> (Process, PathBuf) {
    let out = world.folder().join(format!("{name}.out"));
    let mut command = Command::new("sh");
    command.args(["-c", "out=$0; exec \"$@\" >>\"$out\""]).arg(&out).args(program).arg(world.folder().join(last));
    command.env("PROPTY_URL", &world.url).env("PROPTY_TOKEN", token).env("PYTHONUNBUFFERED", "1");
    (Process::new(command, world.folder().join(format!("{name}.stderr"))), out)
}

/// Lines of `position id type subject`, the first time that each id occurs.
fn first_lines(file: &Path) -> Vec<i64> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut ids = BTreeSet::new();
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.split('\t').count() == 4) {
        let mut fields = line.split('\t');
        let position = fields.next().and_then(|field| field.parse::<i64>().ok());
        if ids.insert(fields.next().unwrap_or_default().to_owned()) {
            found.extend(position);
        }
    }
    found
}

/// Whether a program is there; a run of CI must have it.
pub fn there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    let required = std::env::var_os("PROPTY_REQUIRE_CONSUMERS").is_some() || std::env::var_os("CI").is_some();
    assert!(there || !required, "{program} is missing, and with it a documented consumer cannot be shown to work");
    if !there {
        eprintln!("NOT SHOWN: {program} is missing; the consumer that needs it was not run");
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_consumers_go_on_from_their_checkpoints() {
    let world = Arc::new(World::start(Options::default()).await);
    let answer = world.first.manager.post("/v1/tokens", &json!({ "label": "accounting", "role": "Integrator" })).await;
    let token = answer.body["token"].as_str().expect("a token").to_owned();
    world.visitor().with_token(&token).until("/v1/events", |page| page["head"].is_i64()).await;
    let mut consumers = Vec::new();
    let script = consumer("consume.sh").display().to_string();
    if there("bash") && there("curl") && there("jq") {
        consumers.push(("sh", consume(&world, &token, "sh", &["bash", &script], "sh.checkpoint")));
    }
    let program = consumer("consume.py").display().to_string();
    let database = world.folder().join("py.sqlite");
    if there("python3") {
        consumers.push(("py", consume(&world, &token, "py", &["python3", &program], "py.sqlite")));
    }
    let text = std::fs::read_to_string(consumer("consume.ts")).expect("the consumer");
    if there("node") {
        let program = ["node", "--input-type=module", "-e", &text];
        consumers.push(("ts", consume(&world, &token, "ts", &program, "ts.checkpoint")));
    }
    for (_, (process, _)) in &consumers {
        process.start();
    }
    let over = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (world, over) = (world.clone(), over.clone());
        async move { write(&world, &over).await }
    });
    tokio::time::sleep(Duration::from_millis(2500)).await;
    world.kill9();
    for (_, (process, _)) in &consumers {
        process.kill9();
    }
    world.restart().await;
    for (_, (process, _)) in &consumers {
        process.start();
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    over.store(true, Ordering::Relaxed);
    writer.await.expect("a writer that ends well");
    world.settle().await;
    let expected = told(&world, world.first.id).await;
    for (name, (process, out)) in &consumers {
        assert!(!process.has_ended(), "{name} ended: {}", process.log());
        if *name == "py" {
            let read = || {
                let query = "import sqlite3, sys; [print(row[0]) for row in sqlite3.connect(sys.argv[1]).execute(\
                             'select position from happened order by rowid')]";
                let output = Command::new("python3").args(["-c", query]).arg(&database).output().expect("python3");
                String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect()
            };
            assert_exactly_once(name, &expected, read).await;
        } else {
            assert_exactly_once(name, &expected, || first_lines(out)).await;
        }
        assert_eq!(process.log(), "", "{name} complains of nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_exports_and_follows_with_a_token_and_without() {
    let world = World::start(Options::default()).await;
    let organization = world.first.id.to_string();
    let ana = world.first.resident("Ana").clone();
    world.first.publish(&ana, 10_000, false).await;
    world.settle().await;
    let expected = told(&world, world.first.id).await;
    let file = world.folder().join("events.ndjson");
    let read = |text: &str| -> Vec<i64> {
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["position"].as_i64().expect("a position"))
            .collect()
    };
    let here = world
        .propty(&["events", "export", "--organization", &organization, "--out", &file.display().to_string()])
        .await;
    let complaint = String::from_utf8_lossy(&here.stderr).into_owned();
    assert!(here.status.success() && complaint.contains("complete up to position"), "{complaint}");
    let exported = std::fs::read_to_string(&file).expect("the export");
    assert_eq!(read(&exported), expected);
    let there = world.propty(&["events", "export", "--token", &world.first.token, "--url", &world.url]).await;
    assert!(there.status.success(), "{}", String::from_utf8_lossy(&there.stderr));
    assert_eq!(read(&String::from_utf8_lossy(&there.stdout)), expected);
    let some = world
        .propty(&[
            "events",
            "export",
            "--organization",
            &organization,
            "--types",
            "invoice.*",
            "--after",
            &expected[0].to_string(),
        ])
        .await;
    let some = read(&String::from_utf8_lossy(&some.stdout));
    assert!(!some.is_empty() && some.len() < expected.len(), "{some:?}");
    for wrong in [["--types", "invoices"], ["--aggregate", "nothing"], ["--after", "999999"]] {
        let refused =
            world.propty(&[&["events", "export", "--organization", &organization], wrong.as_slice()].concat()).await;
        assert!(!refused.status.success() && !refused.stderr.is_empty(), "{wrong:?}");
    }

    let mut tails = Vec::new();
    for (name, args) in [
        ("tail-here", vec!["--organization", organization.as_str()]),
        ("tail-there", vec!["--token", world.first.token.as_str(), "--url", world.url.as_str()]),
    ] {
        let mut inner = binary(world.folder());
        inner.env("DATABASE_URL", &world.database_url);
        let out = world.folder().join(format!("{name}.out"));
        let mut command = Command::new("sh");
        command.args(["-c", "out=$0; exec \"$@\" >>\"$out\""]).arg(&out).arg(inner.get_program());
        command.args(["events", "tail", "--after", &expected[expected.len() - 1].to_string()]).args(args);
        for (key, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        let process = Process::new(command, world.folder().join(format!("{name}.stderr")));
        process.start();
        tails.push((name, process, out));
    }
    world.first.publish(&ana, 11_000, false).await;
    world.kill9();
    world.restart().await;
    world.first.publish(&ana, 12_000, false).await;
    world.settle().await;
    let news = told(&world, world.first.id).await.split_off(expected.len());
    assert_eq!(news.len(), 4);
    for (name, process, out) in &tails {
        assert_exactly_once(name, &news, || {
            let text = std::fs::read_to_string(out).unwrap_or_default();
            let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
            read(whole)
        })
        .await;
        assert!(!process.has_ended(), "{name}: {}", process.log());
        assert!(process.stop("TERM").await || *name == "tail-there", "{name}: {}", process.log());
    }
}

#[test]
fn a_change_that_would_break_readers_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let schemas = folder.path().join("schemas");
    let write = |check: bool| {
        let mut command = binary(folder.path());
        command.arg("schemas").arg(&schemas).args(check.then_some("--check"));
        let output = command.output().expect("an output");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert!(write(false).0 && write(true).0);
    let file = schemas.join("public/invoice.published.v1.json");
    let published = std::fs::read_to_string(&file).expect("a schema");
    let more = published.replacen("\"properties\": {", "\"properties\": { \"gone\": { \"type\": \"string\" },", 1);
    assert_ne!(more, published);
    for check in [true, false] {
        std::fs::write(&file, &more).expect("a schema");
        let (written, told) = write(check);
        assert!(!written && told.contains("data.gone would be gone"), "{told}");
        assert_eq!(std::fs::read_to_string(&file).expect("a schema"), more, "it stays as it was published");
    }
    // What is not told any more is missed.
    std::fs::write(&file, &published).expect("a schema");
    std::fs::write(schemas.join("public/old.thing.v1.json"), &published).expect("a schema");
    let (written, told) = write(false);
    assert!(!written && told.contains("old.thing.v1.json would be gone"), "{told}");
}

#[tokio::test]
async fn an_erasure_is_told_and_changes_nothing_of_what_was_told() {
    let world = World::start(Options::default()).await;
    let carol = world.first.resident("Carol").clone();
    world.first.publish(&carol, 10_000, true).await;
    world.settle().await;
    let before = world.first.manager.look("/v1/events?format=ndjson").await.text;
    assert!(!before.is_empty());
    for word in ["carol", "whitfield", "example.com/"] {
        assert!(!before.to_lowercase().contains(word), "{word}");
    }
    world.first.manager.command("EraseResident", &json!({ "resident_id": carol.id })).await;
    world.settle().await;
    let after = world.first.manager.look("/v1/events?format=ndjson").await.text;
    let news = after.strip_prefix(before.as_str()).expect("what was told stays as it was");
    let erased: Vec<Value> = news
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|event| event["type"] == "org.propty.resident.erased.v1")
        .collect();
    assert_eq!(erased.len(), 1, "{news}");
    assert_eq!(erased[0]["data"]["resident_id"], json!(carol.id));
    assert!(erased[0]["data"]["purposes"].as_array().is_some_and(|purposes| !purposes.is_empty()), "{}", erased[0]);
    let schema = world.visitor().get("/schemas/public/resident.erased.v1.json").await;
    assert_eq!(schema["title"], "org.propty.resident.erased.v1");
    assert_eq!(erased[0]["dataschema"], format!("{}/schemas/public/resident.erased.v1.json", world.url));
    assert_eq!(world.visitor().get("/asyncapi.json").await["asyncapi"], "3.0.0");
    world.visitor().look("/schemas/public/../sql/0001_roles.sql").await.assert_problem(404);
    world.assert_invariants().await;
}
