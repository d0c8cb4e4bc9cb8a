//! Erasure and what the law keeps: evidence outlives the request, is shown to auditors only, sends nothing, and goes on its day.

use std::{io::Write, os::unix::fs::PermissionsExt, process::Stdio};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    privacy::{assert_without, move_in, owned, rows},
    texts::{afternoon, agrees, phone, until_text},
    world::{Client, Options, Resident, World},
};

const NUMBER: &str = "+12125550147";
/// What only the erased resident's data has.
const WORDS: [&str; 4] = ["isidora", "wrenfield", "isidora.w@example.com", "2125550147"];

/// Agrees to texts, gets one, writes two.
async fn texted(world: &World) -> Resident {
    afternoon(world).await;
    let person = json!({
        "name": { "first": "Isidora", "last": "Wrenfield" }, "email": "isidora.w@example.com", "language": "en"
    });
    let isidora = move_in(world, "Attic 9", person).await;
    let first = &world.first;
    let on = json!({ "property_id": isidora.property, "kind": "invoice-published", "on": true });
    first.manager.command("SwitchTextKind", &on).await;
    // Before anybody knows whose number it is.
    world.sandbox.act("/twilio/inbound", &json!({ "from": NUMBER, "body": "is the kingfisher in?" })).await;
    world.settle().await;
    let unknown = "select count(*) from log.events where event_type = 'UnknownSenderReceived'";
    assert_eq!(world.count(unknown).await, 1);
    agrees(world, &isidora, NUMBER).await;
    let invoice = first.publish(&isidora, 12_300, true).await;
    until_text(world, NUMBER, &format!("/invoices/{invoice}")).await;
    first.until_message(invoice, "invoice-published", "Delivered").await;
    for body in ["the kingfisher is back", "HELP"] {
        world.sandbox.act("/twilio/inbound", &json!({ "from": NUMBER, "body": body })).await;
    }
    let path = format!("/v1/inbound-texts?resident_id={}", isidora.id);
    first.manager.until_list(&path, |list| list.len() == 2).await;
    world.settle().await;
    isidora
}

async fn erase(world: &World, who: &Resident) -> Value {
    let answer = world.first.manager.command("EraseResident", &json!({ "resident_id": who.id })).await;
    let path = format!("/v1/residents/{}", who.id);
    world.first.manager.until(&path, |resident| resident["erased_at"].is_string()).await;
    world.settle().await;
    answer
}

/// `propty privacy verify-erased`, with what is to be looked for.
async fn verified(world: &World, args: &[&str], needles: &[&str]) -> (bool, String) {
    let mut all = vec!["privacy", "verify-erased"];
    all.extend(args);
    if !needles.is_empty() {
        all.push("--needle");
    }
    let mut command = world.command(&all);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = needles.join("\n");
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("a process");
        child.stdin.take().expect("an input").write_all(input.as_bytes()).expect("needles");
        child.wait_with_output().expect("an output")
    });
    let output = output.await.expect("an end");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), told)
}

async fn text_of(client: &Client, path: &str) -> String {
    let answer = client.look(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.text
}

async fn proofs_hold(world: &World, who: Uuid, name: &str) -> String {
    let whole = world.propty(&["audit", "verify"]).await;
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stdout));
    let file = world.folder().join(name).display().to_string();
    // Whatever its file was before: a bundle is not for everybody to read.
    std::fs::write(&file, "").expect("a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let bundle = world.propty(&["audit", "bundle", "--resident", &who.to_string(), "--out", &file]).await;
    assert!(bundle.status.success(), "{}", String::from_utf8_lossy(&bundle.stderr));
    let sound = world.propty(&["audit", "verify", &file]).await;
    assert!(sound.status.success(), "{}", String::from_utf8_lossy(&sound.stdout));
    assert_eq!(std::fs::metadata(&file).expect("a bundle").permissions().mode() & 0o777, 0o600);
    std::fs::read_to_string(&file).expect("a bundle")
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_consent_outlives_an_erasure_for_auditors_only_and_goes_on_its_day() {
    let world = World::start(Options::default()).await;
    let isidora = texted(&world).await;
    let (manager, id) = (&world.first.manager, isidora.id);
    let (_, auditor) = world.first.token("ComplianceAuditor", None).await;
    let texts = phone(&world, NUMBER).await.len();
    let letters = world.sandbox.letters("isidora.w").await.len();
    let by_number = format!("/v1/audit/numbers/{}", NUMBER.replace('+', "%2B"));
    assert!(text_of(&auditor, &by_number).await.contains("ConsentGranted"));
    let answer = erase(&world, &isidora).await;

    // The answer says what is kept, why, and until when; so do the resident's record and a second request.
    assert_eq!(answer["erasure"]["destroyed"], json!(["contact", "message"]), "{answer}");
    assert_eq!(answer["erasure"]["pending"], json!([]), "it is said when it is so: {answer}");
    let kept = answer["erasure"]["retained"].as_array().expect("a list").clone();
    let consent = kept.iter().find(|kept| kept["purpose"] == "consent").expect("consent is kept");
    assert_eq!(consent["rule"], "ConsentEvidence");
    assert!(consent["reason"].as_str().is_some_and(|reason| reason.contains("five years")), "{consent}");
    let shown = manager.get(&format!("/v1/residents/{id}")).await;
    assert_eq!(shown["retained"], json!(kept), "{shown}");
    let again = manager.command("EraseResident", &json!({ "resident_id": id })).await;
    assert_eq!((&again["events"], &again["erasure"]), (&json!([]), &answer["erasure"]));

    // Managers see no word and no number of it, not even where they may replay; auditors see the evidence.
    let erased = "select min(entry.position) from log.entries entry where event_type = 'ResidentErased'";
    let before = world.count(erased).await - 1;
    for path in [
        "/v1/sms-consents".to_owned(),
        "/v1/texts".to_owned(),
        "/v1/inbound-texts".to_owned(),
        "/v1/messages".to_owned(),
        "/v1/events?types=sms_consent.*&limit=100".to_owned(),
        format!("/v1/residents/{id}"),
        format!("/v1/audit/residents/{id}"),
        format!("/v1/audit/residents/{id}?format=csv"),
        format!("/v1/audit/residents/{id}?position=1000000"),
        format!("/v1/audit/residents/{id}?position={before}"),
        format!("/v1/audit/properties/{}?format=html", isidora.property),
    ] {
        let text = text_of(manager, &path).await;
        assert_without(&path, &[text], &owned(&[WORDS.as_slice(), &["kingfisher"]].concat()));
    }
    let trail = text_of(&auditor, &format!("/v1/audit/residents/{id}")).await;
    assert!(trail.contains(NUMBER) && trail.contains("ResidentErased") && trail.contains("ConsentEvidence"), "{trail}");
    assert_without("the trail", &[trail], &owned(&["wrenfield", "kingfisher"]));
    auditor.refused("EraseResident", &json!({ "resident_id": id }), 403).await;

    // Nothing is sent any more, neither of itself nor as an answer; and what still comes is not kept.
    let invoice = world.first.publish(&isidora, 4_500, true).await;
    world.first.until_message(invoice, "invoice-published", "Suppressed").await;
    let path = format!("/v1/texts?invoice_id={invoice}");
    manager.until_list(&path, |list| list.len() == 1 && list[0]["status"] == "Suppressed").await;
    for body in ["START", "HELP", "the ultramarine kingfisher"] {
        world.sandbox.act("/twilio/inbound", &json!({ "from": NUMBER, "body": body })).await;
    }
    let path = format!("/v1/inbound-texts?resident_id={id}");
    // Two from before, START and HELP; what else they write is not the resident's any more.
    let inbound = manager.until_list(&path, |list| list.len() == 4).await;
    assert!(inbound.iter().all(|text| text["body"].is_null() && text["reply"].is_null() || text["reading"] == "Help"));
    world.settle().await;
    // Words that the provider answers by itself are its own.
    let own = phone(&world, NUMBER).await;
    let ours =
        own.iter().filter(|text| text["direction"] != "outbound-reply" && text["direction"] != "inbound").count();
    assert!(ours <= texts, "a text went to an erased resident: {own:?}");
    assert_eq!(world.sandbox.letters("isidora.w").await.len(), letters);
    assert_without("read models", &rows(&world, "rm_%").await, &owned(&["ultramarine", "kingfisher", WORDS[3]]));

    let argument = ["--resident", &id.to_string()];
    let (clean, told) = verified(&world, &argument, &WORDS).await;
    assert!(clean && told.contains("kept until") && told.contains("16 CFR 310.5"), "{told}");
    let bundle = proofs_hold(&world, id, "held.bundle").await;
    assert!(bundle.contains(NUMBER) && !bundle.contains("Wrenfield"), "the evidence is in the bundle, the name is not");

    // Five years and a day later a timer ends it.
    let held = "select count(*) from vault.data_keys where purpose = 'consent' and wrapped is not null and subject = ";
    let held = format!("{held}'{id}'");
    assert_eq!(world.count(&held).await, 1);
    world.pass_time((5 * 365 + 3) * 86_400).await;
    let until = std::time::Instant::now();
    while world.count(&held).await > 0 {
        assert!(until.elapsed() < crate::world::PATIENCE, "the evidence's retention does not end");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let hashes = ["sms_number", "sms_consent", "text_message"].map(|model| {
        format!("select count(*) from read.{model} where number_key is not null and resident_id = '{id}'")
    });
    for hashed in &hashes {
        while world.count(hashed).await > 0 {
            assert!(until.elapsed() < crate::world::PATIENCE, "a number's hash outlives its evidence: {hashed}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    let (clean, told) = verified(&world, &argument, &WORDS).await;
    assert!(clean && told.contains("contact, message, consent gone"), "{told}");
    let bundle = proofs_hold(&world, id, "ended.bundle").await;
    assert!(!bundle.contains(NUMBER), "the number cannot be disclosed any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resident_who_never_agreed_has_no_evidence_to_keep() {
    let world = World::start(Options::default()).await;
    let person = json!({ "name": { "first": "Isidora", "last": "Wrenfield" }, "email": "isidora.w@example.com" });
    let isidora = move_in(&world, "Attic 9", person).await;
    // What is asked for is looked for, also where nobody was erased; and a mistyped organization is not a clean one.
    let (clean, told) = verified(&world, &[], &WORDS[..1]).await;
    assert!(!clean && told.contains("can be opened"), "{told}");
    let (clean, told) = verified(&world, &["--organization", &Uuid::now_v7().to_string()], &[]).await;
    assert!(!clean && told.contains("no organization"), "{told}");
    let answer = erase(&world, &isidora).await;
    assert_eq!(answer["erasure"]["destroyed"], json!(["contact", "message", "consent"]), "{answer}");
    let (clean, told) = verified(&world, &[], &WORDS[..3]).await;
    assert!(clean && told.contains("1 erased residents: nothing readable is left"), "{told}");
    let (clean, told) = verified(&world, &["--resident", &Uuid::now_v7().to_string()], &[]).await;
    assert!(!clean && told.contains("no erasure of this resident"), "{told}");
    world.assert_invariants().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_left_of_an_erased_resident_is_found_and_its_place_named() {
    let world = World::start(Options::default()).await;
    let isidora = texted(&world).await;
    erase(&world, &isidora).await;
    let id = isidora.id;
    let (clean, told) = verified(&world, &[], &WORDS).await;
    assert!(clean, "{told}");

    let table: String = sqlx::query_scalar(
        "select format('rm_resident_g%s.resident', generation) from engine.read_models where name = 'resident' and state = 'live'",
    )
    .fetch_one(&world.database)
    .await
    .expect("a table");
    let planted = [
        (format!("update {table} set email = 'isidora.w@example.com' where resident_id = '{id}'"), "not empty: email", false),
        (
            "update engine.outbox set last_error = 'no mailbox of Isidora' where key = (select min(key) from engine.outbox)".to_owned(),
            "one of the texts stands in last_error",
            true,
        ),
        (
            "insert into log.idempotency (organization_id, actor, command, key, body, answer, permanent)
             values (gen_random_uuid(), 'token:1', 'X', 'k', '', '\"\u{c9}LODIE\"', false)"
                .to_owned(),
            "one of the texts stands in answer",
            true,
        ),
        (
            format!("update vault.data_keys set wrapped = '\\x00', destroyed_at = null where subject = '{id}' and purpose = 'contact'"),
            "the key for contact is still there",
            false,
        ),
        (
            format!("delete from vault.data_keys where subject = '{id}' and purpose = 'message'"),
            "no mark keeps a new key for message from being made",
            false,
        ),
    ];
    for (statement, what, needs_needles) in planted {
        sqlx::query(&statement).execute(&world.database).await.expect("a planted leftover");
        let needles = [WORDS.as_slice(), &["\u{e9}lodie"]].concat();
        let (clean, told) = verified(&world, &[], if needs_needles { &needles } else { &[] }).await;
        let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("LEFT  ")).collect();
        assert!(!clean && lines.iter().any(|line| line.contains(what)), "{what}: {told}");
        assert_without("the report", std::slice::from_ref(&told), &owned(&WORDS[..3]));
    }
    // Asked again, what should be gone goes. (A key that was put there by hand opens nothing, so it is taken away first.)
    let planted = format!("delete from vault.data_keys where subject = '{id}' and purpose = 'contact'");
    sqlx::query(&planted).execute(&world.database).await.expect("no mark");
    let again = world.first.manager.command("EraseResident", &json!({ "resident_id": id })).await;
    assert_eq!(
        (&again["erasure"]["destroyed"], &again["erasure"]["pending"]),
        (&json!(["contact", "message"]), &json!([]))
    );
    let (_, told) = verified(&world, &[], &[]).await;
    assert!(!told.contains("vault.data_keys"), "{told}");
}
