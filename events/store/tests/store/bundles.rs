//! Bundles: whole, checkable by two programs, and worthless once anything is left out or changed.

use std::{path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use event_store::{
    CommandContext,
    append::{NewEvent, append},
    disclosure::{self, DisclosureError, Document},
    signing,
};
use events::{OrganizationId, Purpose, Role};
use serde_json::{Value, json};
use transparency::{
    Checkpoint, KeyPair, Note, Vkey, bundle,
    hash::{hex, sha256},
    note::sign,
};
use uuid::Uuid;

use crate::{
    checkpoints::{checkpointer, log, sign as checkpoint},
    world::{World, context, organization},
};

const RESIDENT: Uuid = Uuid::from_u128(0xa1);
const NEIGHBOUR: Uuid = Uuid::from_u128(0xa2);
const TEXT: Uuid = Uuid::from_u128(0x7e);

const DISCLOSURE: &str = "We text you.\n";

/// The stream of the resident's consents.
fn consent() -> Uuid {
    Uuid::new_v5(&RESIDENT, b"sms-consent")
}

fn clear(subject: Uuid, purpose: &str, value: &str) -> Value {
    json!({ "$clear": { "subject": subject, "purpose": purpose, "value": value } })
}

fn by(organization: OrganizationId, role: Role, address: &str) -> CommandContext {
    let mut context = context(organization);
    context.metadata.role = role;
    context.metadata.client_address = Some(address.into());
    context
}

/// Appends one event as the command side would.
async fn tell(
    world: &World,
    context: &CommandContext,
    stream: &'static str,
    id: Uuid,
    version: i64,
    name: &'static str,
    body: Value,
) {
    let organization = context.metadata.organization;
    let mut payload = json!({ name: body });
    world.store.keyring().seal(organization, &mut payload).await.expect("a sealed payload");
    let mut address = clear(id, "contact", context.metadata.client_address.as_deref().unwrap_or_default());
    world.store.keyring().seal(organization, &mut address).await.expect("a sealed address");
    let event = NewEvent { stream, stream_id: id, version, event_type: name, event_version: 1, payload };
    append(world.pool(), context, Some(&address), &[event], &json!({})).await.expect("an event");
}

/// A resident with consent, a text and a STOP, among others' events; signed.
async fn household() -> (World, OrganizationId) {
    let world = World::new().await;
    let organization = organization();
    let manager = by(organization, Role::PropertyManager, "192.0.2.1");
    let resident = by(organization, Role::Resident, "192.0.2.2");
    let process = by(organization, Role::Process, "");
    for (id, name) in [(RESIDENT, "Ifeoma Okafor"), (NEIGHBOUR, "Paul Example")] {
        tell(&world, &manager, "resident", id, 1, "ResidentRegistered", json!({ "name": clear(id, "contact", name) }))
            .await;
    }
    log(&world, organization, 4).await;
    let number = || clear(RESIDENT, "consent", "+12125550123");
    tell(
        &world,
        &resident,
        "sms-consent",
        consent(),
        1,
        "ConsentGranted",
        json!({ "resident_id": RESIDENT, "number": number(), "disclosure": hex(&sha256(DISCLOSURE.as_bytes())) }),
    )
    .await;
    tell(&world, &process, "text", TEXT, 1, "TextRequested", json!({ "resident_id": RESIDENT, "to": number() })).await;
    tell(
        &world,
        &process,
        "text",
        TEXT,
        2,
        "TextSent",
        json!({ "body": clear(TEXT, "message", "Your balance is $ 0") }),
    )
    .await;
    let others = json!({ "resident_id": NEIGHBOUR, "number": clear(NEIGHBOUR, "consent", "+12125550124") });
    tell(&world, &manager, "sms-consent", Uuid::from_u128(0xc2), 1, "ConsentGranted", others).await;
    let seen_by =
        json!({ "resident_id": RESIDENT, "number": number(), "by": clear(NEIGHBOUR, "contact", "Paul Example") });
    tell(&world, &process, "sms-consent", consent(), 2, "ConsentRevoked", seen_by).await;
    log(&world, organization, 2).await;
    checkpoint(&world, &checkpointer(&world, None)).await;
    (world, organization)
}

async fn bundle_of(world: &World, organization: OrganizationId) -> String {
    let documents = [Document { name: "disclosure.txt".into(), text: DISCLOSURE.into() }];
    let mut out = Vec::new();
    disclosure::bundle(&world.store, organization, RESIDENT, &documents, &mut out).await.expect("a bundle");
    String::from_utf8(out).expect("a text")
}

async fn key(world: &World, organization: OrganizationId) -> (Vkey, KeyPair) {
    let id = signing::current(world.pool(), world.store.keyring()).await.expect("a key");
    let pair = signing::open(world.pool(), world.store.keyring(), id).await.expect("a key pair");
    let mut connection = world.pool().acquire().await.expect("a connection");
    let origin = signing::origin(&mut connection, organization).await.expect("an origin");
    (Vkey { name: origin, public: pair.public() }, pair)
}

/// What this program and the one in Python say: nothing, or what is wrong.
fn verdicts(text: &str, pinned: Option<&Vkey>) -> [Result<String, String>; 2] {
    verdicts_knowing(text, pinned, &[])
}

/// The same by somebody who has kept checkpoints.
fn verdicts_knowing(text: &str, pinned: Option<&Vkey>, known: &[&str]) -> [Result<String, String>; 2] {
    let kept: Vec<Checkpoint> = known
        .iter()
        .map(|note| Checkpoint::parse(Note::parse(note).expect("a note").text()).expect("a checkpoint"))
        .collect();
    let ours = bundle::verify(text.as_bytes(), pinned, &kept);
    let ours = ours.map(|found| format!("{found:?}")).map_err(|error| error.to_string());
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("a bundle");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify_bundle.py");
    let mut python = Command::new("python3");
    python.arg(program);
    if let Some(key) = pinned {
        python.arg("--key").arg(key.to_string());
    }
    let checkpoints = tempfile::NamedTempFile::new().expect("a file");
    if !known.is_empty() {
        let lines: Vec<String> = known.iter().map(|note| json!({ "checkpoint": note }).to_string()).collect();
        std::fs::write(checkpoints.path(), lines.join("\n")).expect("checkpoints");
        python.arg("--checkpoints").arg(checkpoints.path());
    }
    let output = python.arg(file.path()).output().expect("Python 3 runs");
    let told = String::from_utf8(output.stdout).expect("a text");
    let trouble = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(trouble, "");
    let theirs = match output.status.code() {
        Some(0) => Ok(told),
        Some(1) => Err(told),
        other => panic!("{other:?}: {told}"),
    };
    [ours, theirs]
}

/// Seals a changed bundle anew, as whoever holds the key can.
fn resealed(lines: &[String], origin: &str, key: &KeyPair) -> String {
    let body = lines.join("\n") + "\n";
    let hash = STANDARD.encode(transparency::hash::sha256(body.as_bytes()));
    let note = sign(&format!("propty-bundle-v1\n{origin}\n{hash}\n"), origin, &[key]);
    format!("{body}{}\n", json!({ "type": "seal", "note": note }))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn place(lines: &[String], what: &str) -> usize {
    lines.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("no line has {what}"))
}

#[tokio::test]
async fn the_verifier_in_python_passes_its_own_test() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify_bundle.py");
    let output = Command::new("python3").arg(program).arg("--self-test").output().expect("Python 3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_bundle_is_sound_whole_and_shows_nobody_elses_data() {
    let (world, organization) = household().await;
    let text = bundle_of(&world, organization).await;
    let (vkey, _) = key(&world, organization).await;
    for pinned in [None, Some(&vkey)] {
        for verdict in verdicts(&text, pinned) {
            let told = verdict.expect("a sound bundle");
            assert!(told.contains(&vkey.to_string()) || told.contains("keys: [Vkey"), "{told}");
        }
    }
    let found = bundle::verify(text.as_bytes(), Some(&vkey), &[]).expect("a sound bundle");
    assert_eq!((found.size, found.streams, found.events, found.documents), (13, 3, 5, 1));
    // Withheld: where the manager and the processes sat, and the neighbour's name.
    assert_eq!((found.opened, found.erased, found.withheld), (6, 0, 5));
    for shown in ["Ifeoma Okafor", "+12125550123", "Your balance", "192.0.2.2", "We text you."] {
        assert!(text.contains(shown), "{shown}");
    }
    for hidden in ["Paul Example", "+12125550124", "192.0.2.1"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    assert_eq!(bundle_of(&world, organization).await, text, "two of the same checkpoint are equal");
}

#[tokio::test]
async fn leaving_out_the_latest_stop_fails_whoever_seals_it() {
    let (world, organization) = household().await;
    let whole = lines(&bundle_of(&world, organization).await);
    let (vkey, pair) = key(&world, organization).await;
    let whole = &whole[..whole.len() - 1];
    let stop = place(whole, "\"event_type\":\"ConsentRevoked\"");
    let position = serde_json::from_str::<Value>(&whole[stop]).expect("JSON")["position"].as_u64().expect("a number");
    let event = place(whole, &format!("\"type\":\"event\",\"position\":{position},"));
    let without = |places: &[usize]| -> Vec<String> {
        whole.iter().enumerate().filter(|(place, _)| !places.contains(place)).map(|(_, line)| line.clone()).collect()
    };
    let renumbered: Vec<String> = without(&[stop, event])
        .into_iter()
        .map(|line| {
            let mut value: Value = serde_json::from_str(&line).expect("JSON");
            if value["position"].as_u64().is_some_and(|found| found > position) {
                value["position"] = (value["position"].as_u64().unwrap_or_default() - 1).into();
            }
            value.to_string()
        })
        .collect();
    let last_headers: Vec<usize> = (0..whole.len())
        .filter(|place| {
            let value: Value = serde_json::from_str(&whole[*place]).expect("JSON");
            value["position"].as_u64().is_some_and(|found| found >= position)
        })
        .collect();
    for (what, changed, reason) in [
        (
            "the event",
            without(&[event]),
            format!("position {position}, sms-consent/{}/2, is disclosed but has no event", consent()),
        ),
        ("the header", without(&[stop]), format!("position {position} is missing")),
        ("event and header", without(&[stop, event]), format!("position {position} is missing")),
        (
            "event and header, renumbered",
            renumbered,
            "the headers end at position 12, the checkpoint covers 13".to_owned(),
        ),
        ("everything since", without(&last_headers), format!("the headers end at position {}", position - 1)),
    ] {
        for verdict in verdicts(&resealed(&changed, &vkey.name, &pair), None) {
            let told = verdict.expect_err(what);
            assert!(told.contains(&reason), "{what}: {told}");
        }
    }
    for verdict in verdicts(&resealed(&hiding(whole, "sms-consent", consent()), &vkey.name, &pair), Some(&vkey)) {
        let told = verdict.expect_err("the stream hidden altogether");
        assert!(told.contains("are not disclosed"), "{told}");
    }
}

/// A bundle's lines without anything of one stream but its headers.
fn hiding(whole: &[String], stream: &str, id: Uuid) -> Vec<String> {
    let listed = format!("{{\"stream\":\"{stream}\",\"stream_id\":\"{id}\"}}");
    let positions: Vec<String> = whole
        .iter()
        .filter(|line| {
            line.contains(&format!("\"stream\":\"{stream}\",\"stream_id\":\"{id}\"")) && line.contains("header")
        })
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["position"].to_string())
        .collect();
    let is_hidden = |line: &str| {
        positions.iter().any(|position| line.contains(&format!("\"type\":\"event\",\"position\":{position},")))
    };
    let kept = whole.iter().filter(|line| !is_hidden(line));
    kept.map(|line| line.replace(&format!("{listed},"), "").replace(&format!(",{listed}"), "")).collect()
}

#[tokio::test]
async fn a_text_that_consent_let_go_cannot_be_hidden_by_whoever_seals() {
    let (world, organization) = household().await;
    let process = by(organization, Role::Process, "");
    let leave = json!({ "resident_id": RESIDENT, "text_id": TEXT });
    tell(&world, &process, "sms-consent", consent(), 3, "TextAuthorized", leave).await;
    log(&world, organization, 1).await;
    checkpoint(&world, &checkpointer(&world, None)).await;
    let text = bundle_of(&world, organization).await;
    for verdict in verdicts(&text, None) {
        verdict.expect("a sound bundle");
    }
    let (vkey, pair) = key(&world, organization).await;
    let whole = lines(&text);
    for verdict in verdicts(&resealed(&hiding(&whole[..whole.len() - 1], "text", TEXT), &vkey.name, &pair), Some(&vkey))
    {
        let told = verdict.expect_err("a text is hidden");
        assert!(told.contains(&format!("lets text/{TEXT} be sent, which is not disclosed")), "{told}");
    }
}

#[tokio::test]
async fn who_kept_a_checkpoint_is_not_given_an_older_log_or_another() {
    let (world, organization) = household().await;
    let (vkey, _) = key(&world, organization).await;
    let note = async || {
        let mut connection = world.pool().acquire().await.expect("a connection");
        let latest = event_store::checkpoints::latest(&mut connection, organization, None).await.expect("an answer");
        latest.expect("a checkpoint").note
    };
    let (older, kept) = (bundle_of(&world, organization).await, note().await);
    log(&world, organization, 3).await;
    checkpoint(&world, &checkpointer(&world, None)).await;
    let (newer, later) = (bundle_of(&world, organization).await, note().await);
    for known in [&[kept.as_str()][..], &[&kept, &later]] {
        for verdict in verdicts_knowing(&newer, Some(&vkey), known) {
            verdict.expect("it goes on from what is known");
        }
    }
    for verdict in verdicts_knowing(&older, Some(&vkey), &[&kept, &later]) {
        let told = verdict.expect_err("it leaves out what came later");
        assert!(told.contains("the bundle ends at position 13, a checkpoint known from elsewhere covers 16"), "{told}");
    }
    let root = STANDARD.encode(sha256(b"another log"));
    let found = Checkpoint::parse(Note::parse(&kept).expect("a note").text()).expect("a checkpoint");
    let other = kept.replace(&STANDARD.encode(found.root), &root);
    for verdict in verdicts_knowing(&newer, Some(&vkey), &[&other]) {
        let told = verdict.expect_err("two histories");
        assert!(told.contains("position 13: a checkpoint known from elsewhere has another root"), "{told}");
    }
}

#[tokio::test]
async fn a_document_that_no_event_refers_to_is_no_evidence() {
    let (world, organization) = household().await;
    let made_up = [Document { name: "disclosure.txt".into(), text: "We never text you.\n".into() }];
    let mut out = Vec::new();
    disclosure::bundle(&world.store, organization, RESIDENT, &made_up, &mut out).await.expect("a bundle");
    for verdict in verdicts(&String::from_utf8(out).expect("a text"), None) {
        let told = verdict.expect_err("a made-up document");
        assert!(told.contains("no disclosed event refers to the document disclosure.txt"), "{told}");
    }
}

#[tokio::test]
async fn every_change_to_a_bundle_is_refused_and_its_line_named() {
    let (world, organization) = household().await;
    let text = bundle_of(&world, organization).await;
    let (vkey, pair) = key(&world, organization).await;
    let whole = lines(&text);
    let body = &whole[..whole.len() - 1];
    let stranger = KeyPair::from_seed(&[9; 32]).expect("a seed");
    let changed = |what: &str, from: &str, to: &str| {
        let mut changed = body.to_vec();
        let place = place(body, what);
        assert!(changed[place].contains(from), "{from} is not in {}", changed[place]);
        changed[place] = changed[place].replacen(from, to, 1);
        (place + 1, resealed(&changed, &vkey.name, &pair))
    };
    let event = "\"type\":\"event\",\"position\":7,";
    for (what, (line, text)) in [
        ("a payload", changed(event, "ConsentGranted", "ConsentGrantet")),
        ("metadata", changed(event, "token:writer", "token:winner")),
        ("an opened number", changed(event, "+12125550123", "+12125550129")),
        ("a salt", changed(event, "\"salt\":\"", "\"salt\":\"AA")),
        ("a field said to be erased", changed(event, "\"commitment\":\"", "\"commitment\":\"A")),
        ("a document", changed("\"type\":\"document\"", "We text", "We call")),
        ("a position", changed("\"type\":\"header\",\"position\":3,", "\"position\":3", "\"position\":4")),
        ("a version", changed("\"event_type\":\"ConsentRevoked\"", "\"version\":2", "\"version\":3")),
        (
            "a hash that is none",
            changed("\"type\":\"header\",\"position\":5,", "\"payload_sha256\":\"", "\"payload_sha256\":\"x"),
        ),
        ("an unknown kind", changed("\"type\":\"header\",\"position\":5,", "\"header\"", "\"footer\"")),
        (
            "a resident",
            changed(
                "\"type\":\"bundle\"",
                &format!("\"resident\":\"{RESIDENT}\""),
                &format!("\"resident\":\"{NEIGHBOUR}\""),
            ),
        ),
    ] {
        for verdict in verdicts(&text, None) {
            let told = verdict.expect_err(what);
            assert!(told.contains(&format!("line {line}:")), "{what} in line {line}: {told}");
        }
    }
    let headed = place(body, "\"type\":\"event\"") + 1;
    for (what, (_, text)) in [
        ("a header's time", changed("\"type\":\"header\",\"position\":2,", "Z\",\"payload", "1Z\",\"payload")),
        ("a header's type", changed("\"type\":\"header\",\"position\":4,", "\"Written\"", "\"Signed\"")),
        ("a header's stream", changed("\"type\":\"header\",\"position\":4,", "\"note\"", "\"invoice\"")),
    ] {
        for verdict in verdicts(&text, None) {
            let told = verdict.expect_err(what);
            assert!(told.contains(&format!("line {headed}:")) && told.contains("do not hash to"), "{what}: {told}");
        }
    }
    let mut swapped = body.to_vec();
    let three = place(body, "\"type\":\"header\",\"position\":3,");
    swapped.swap(three, three + 1);
    let twice: Vec<String> = body.iter().chain([&body[headed - 1]]).cloned().collect();
    let cut = text[..text.len() - 1].to_owned();
    for (what, text) in [
        ("two headers swapped", resealed(&swapped, &vkey.name, &pair)),
        ("an event twice", resealed(&twice, &vkey.name, &pair)),
        ("no seal", body.join("\n") + "\n"),
        ("a stranger's seal", resealed(body, &vkey.name, &stranger)),
        ("cut off", cut),
        ("something behind it", format!("{text}{}\n", body[0])),
        ("nothing", String::new()),
        ("no JSON", "hello\n".to_owned()),
        ("unsealed change", text.replacen("disclosure.txt", "disclosure.doc", 1)),
    ] {
        for verdict in verdicts(&text, None) {
            assert!(verdict.is_err(), "{what}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_known_from_elsewhere_tells_a_log_from_another() {
    let (world, organization) = household().await;
    let (vkey, _) = key(&world, organization).await;
    let text = bundle_of(&world, organization).await;
    // The same organization, with the same events, run by somebody else.
    let stranger = Vkey { name: vkey.name.clone(), public: KeyPair::from_seed(&[9; 32]).expect("a seed").public() };
    for verdict in verdicts(&text, Some(&stranger)) {
        assert!(verdict.expect_err("another's key").contains("no key that is known"));
    }
    let renamed = Vkey { name: "propty/another".into(), ..vkey };
    for verdict in verdicts(&text, Some(&renamed)) {
        assert!(verdict.is_err());
    }
}

#[tokio::test]
async fn after_a_rotation_the_former_key_still_checks_and_so_does_the_new() {
    let (world, organization) = household().await;
    let (former, _) = key(&world, organization).await;
    signing::rotate(world.pool(), world.store.keyring()).await.expect("another key");
    checkpoint(&world, &checkpointer(&world, None)).await;
    let (latter, _) = key(&world, organization).await;
    let text = bundle_of(&world, organization).await;
    for pinned in [None, Some(&former), Some(&latter)] {
        for verdict in verdicts(&text, pinned) {
            verdict.expect("a sound bundle");
        }
    }
}

#[tokio::test]
async fn after_erasure_proofs_stand_and_what_was_erased_is_named_as_such() {
    let (world, organization) = household().await;
    let before = bundle_of(&world, organization).await;
    let purposes = [Purpose::Contact, Purpose::Message];
    world.store.keyring().destroy(organization, RESIDENT, &purposes).await.expect("an erasure");
    let after = bundle_of(&world, organization).await;
    for verdict in verdicts(&after, None) {
        verdict.expect("a sound bundle");
    }
    let (before, after) = (
        bundle::verify(before.as_bytes(), None, &[]).expect("a sound bundle"),
        (bundle::verify(after.as_bytes(), None, &[]).expect("a sound bundle"), after),
    );
    assert_eq!((after.0.root, after.0.events), (before.root, before.events));
    assert_eq!((after.0.opened, after.0.erased), (before.opened - 1, 1));
    assert!(!after.1.contains("Ifeoma Okafor"));
    // Consent evidence outlives it.
    assert!(after.1.contains("+12125550123"));
    let report = event_store::audit::verify(&world.store, &event_store::audit::Known::default(), &mut |_| {}).await;
    assert_eq!(report.expect("an audit").findings, []);
}

#[tokio::test]
async fn there_is_no_bundle_of_what_is_not_signed_or_not_there_or_tampered_with() {
    let (world, organization) = household().await;
    let bundle = async |of: OrganizationId, resident: Uuid| {
        disclosure::bundle(&world.store, of, resident, &[], Vec::new()).await
    };
    assert!(matches!(bundle(organization, Uuid::from_u128(1)).await, Err(DisclosureError::NoSuchResident)));
    assert!(matches!(bundle(crate::world::organization(), RESIDENT).await, Err(DisclosureError::NoCheckpoint)));
    let forge = "update log.events set recorded_at = recorded_at + interval '1 second'
                 where aggregate_id = (select aggregate_id from log.entries where position = 4)";
    crate::checkpoints::tamper(&world, forge).await;
    assert!(matches!(bundle(organization, RESIDENT).await, Err(DisclosureError::Tampered(4))));
}
