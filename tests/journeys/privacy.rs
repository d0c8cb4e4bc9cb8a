//! Where personal data may be and where not, no card number anywhere, and erasure that leaves every proof valid.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Client, Options, Resident, World};

/// Words that occur nowhere but in personal data of this journey's people.
const NAMES: [&str; 4] = ["zephyrine", "quillfeather", "vandersloot", "oktawian"];
const CONTACTS: [&str; 6] = [
    "zephyrine.q@example.com",
    "z.vandersloot@example.net",
    "bounce.oktawian@example.com",
    "305 555 0187",
    "305 555 0188",
    "305 555 0199",
];
/// Words of a manager to a resident: in our own log, but none of Stripe's business.
const WORDS: [&str; 3] = ["ultramarine gutter", "peregrine nest", "kingfisher"];

/// Every row of a schema's tables as text, with the table's name before it.
pub async fn rows(world: &World, schema: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname like $1 order by 1",
    )
    .bind(schema)
    .fetch_all(&world.database)
    .await
    .expect("tables");
    assert!(!tables.is_empty(), "there are no tables in {schema}");
    let mut rows = Vec::new();
    for table in tables {
        let found: Vec<String> = sqlx::query_scalar(&format!("select '{table}: ' || row::text from {table} row"))
            .fetch_all(&world.database)
            .await
            .expect("rows");
        rows.extend(found);
    }
    rows
}

fn hex(text: &str) -> String {
    text.bytes()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// Fails if any text has any of the words, in the clear or as a binary column shows it.
pub fn assert_without(what: &str, texts: &[String], words: &[String]) {
    for text in texts {
        let lower = text.to_lowercase();
        for word in words {
            let word = word.to_lowercase();
            assert!(!lower.contains(&word) && !lower.contains(&hex(&word)), "{what} has {word} in the clear: {text}");
        }
    }
}

pub fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The check digit of card numbers.
fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') * if place % 2 == 1 { 2 } else { 1 };
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// What looks like a card number: 13 to 19 digits by themselves, as issuers number, with the right check digit.
fn card_number(text: &str) -> Option<&str> {
    // Hexadecimal texts and ids have long runs of digits by chance, but never by themselves.
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).find(|word| {
        (13..=19).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_digit())
            && matches!(word.as_bytes()[0], b'2'..=b'6')
            && passes_luhn(word)
    })
}

fn assert_no_card(what: &str, texts: &[String]) {
    for text in texts {
        assert_eq!(card_number(text), None, "{what} has a card number: {text}");
        for known in ["4242424242424242", "4242 4242 4242 4242", "4242-4242-4242-4242", "4000000000000002"] {
            assert!(!text.contains(known), "{what} has a card number: {text}");
        }
    }
}

#[test]
fn the_scan_for_card_numbers_finds_them() {
    for text in ["{\"number\":\"4242424242424242\"}", "a 378282246310005 b", "card[number]=5555555555554444&x"] {
        assert!(card_number(text).is_some(), "{text}");
    }
    for text in ["4242424242424241", "1732300000000", "0195a4242424242424242", "f4242424242424242f", "+13055550187"] {
        assert_eq!(card_number(text), None, "{text}");
    }
}

/// Enters a person in a unit of their own.
pub async fn move_in(world: &World, label: &str, person: Value) -> Resident {
    let property = world.first.property("Maple Court").clone();
    let (unit, id) = (Uuid::now_v7(), Uuid::now_v7());
    let manager = &world.first.manager;
    manager.command("AddUnit", &json!({ "unit_id": unit, "property_id": property.id, "label": label })).await;
    let mut body = person;
    body["resident_id"] = json!(id);
    body["home"] = json!({ "property_id": property.id, "unit_id": unit, "tenure": "Owner", "on": "2026-01-01" });
    manager.command("RegisterResident", &body).await;
    manager.until(&format!("/v1/residents/{id}"), |resident| resident["homes"][0].is_object()).await;
    Resident {
        id,
        unit,
        property: property.id,
        currency: property.currency,
        first_name: body["name"]["first"].as_str().unwrap_or_default().to_owned(),
        email: body["email"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Zephyrine moves in, is renamed, gets bills, signs in, pays one by card, is refunded a little, pays one by check.
async fn live(world: &World) -> (Resident, Client, Uuid) {
    let manager = &world.first.manager;
    let mut zephyrine = move_in(
        world,
        "Attic 7",
        json!({
            "name": { "first": "Zephyrine", "last": "Quillfeather" }, "email": "zephyrine.q@example.com",
            "phone": "+1 305 555 0187", "language": "fr"
        }),
    )
    .await;
    let id = zephyrine.id;
    let invoice = world.first.publish(&zephyrine, 11_000, true).await;
    world.first.until_message(invoice, "invoice-published", "Delivered").await;
    manager
        .command(
            "RenameResident",
            &json!({ "resident_id": id, "name": { "first": "Zephyrine", "last": "Vandersloot" } }),
        )
        .await;
    manager.command("ChangeResidentEmail", &json!({ "resident_id": id, "email": "z.vandersloot@example.net" })).await;
    manager.command("ChangeResidentPhone", &json!({ "resident_id": id, "phone": "+1 305 555 0188" })).await;
    "z.vandersloot@example.net".clone_into(&mut zephyrine.email);
    let path = format!("/v1/residents/{id}");
    manager.until(&path, |resident| resident["email"] == "z.vandersloot@example.net").await;

    let client = world.sign_in(&zephyrine).await;
    let mut body = world.first.draft_body(&zephyrine, 26_000);
    body["title"] = json!("Ultramarine gutter repair");
    body["description"] = json!("Removal of a peregrine nest.");
    manager.command("DraftInvoice", &body).await;
    let invoice = crate::world::id(&body["invoice_id"]);
    manager.command("PublishInvoice", &json!({ "invoice_id": invoice, "notify": true })).await;
    let payment = world.start_payment(&client, invoice, None).await;
    world.confirm(&payment, "pm_card_chargeDeclined").await;
    world.confirm(&payment, "pm_card_visa").await;
    world.first.until_status(invoice, "Paid").await;
    world.first.until_message(invoice, "payment-received", "Delivered").await;
    let refund = json!({
        "payment_id": payment.id, "refund_id": Uuid::now_v7(), "note": "kingfisher season",
        "amount": { "amount": 1_000, "currency": zephyrine.currency }
    });
    manager.command("RefundPayment", &refund).await;
    world.first.until_payment(payment.id, "Succeeded").await;
    (zephyrine, client, payment.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_sealed_and_card_numbers_are_nowhere() {
    let debug = ("PROPTY_LOG".to_owned(), "debug".to_owned());
    let world = World::start(Options { env: vec![debug], ..Options::default() }).await;
    live(&world).await;
    // An address that bounces comes back from the provider, and goes onto the suppression list.
    let oktawian = move_in(
        &world,
        "Attic 8",
        json!({ "name": { "first": "Oktawian", "last": "Oktawian" }, "email": "bounce.oktawian@example.com", "phone": "+1 305 555 0199" }),
    )
    .await;
    let invoice = world.first.publish(&oktawian, 7_000, true).await;
    world.first.until_message(invoice, "invoice-published", "Bounced").await;
    world.first.manager.until_list("/v1/suppressions", |list| !list.is_empty()).await;
    // A refusal quotes nothing either.
    let refused = json!({ "resident_id": oktawian.id, "email": "zephyrine.q@example.com", "colour": "blue" });
    world.first.manager.refused("ChangeResidentEmail", &refused, 422).await;
    world.settle().await;

    let mut personal = owned(&NAMES);
    personal.extend(owned(&CONTACTS));
    personal.extend(CONTACTS.iter().map(|contact| contact.replace(' ', "")));
    personal.extend(world.first.residents.iter().chain(&world.second.residents).map(|one| one.email.clone()));
    personal.retain(|word| !word.is_empty());
    for schema in ["log", "engine", "vault"] {
        assert_without(schema, &rows(&world, schema).await, &personal);
    }
    // Whoever asks is sealed as well.
    assert_without("log.events", &rows(&world, "log").await, &["127.0.0.1".to_owned()]);
    let log: Vec<String> = world.propty_log().lines().map(ToOwned::to_owned).collect();
    assert!(log.len() > 20, "there is hardly any log");
    assert_without("the log", &log, &personal);

    let journal = world.sandbox.journal().await;
    let of = |provider: &str| -> Vec<String> {
        journal.iter().filter(|entry| entry["provider"] == provider).map(ToString::to_string).collect()
    };
    let stripe = of("stripe");
    assert!(stripe.iter().any(|entry| entry.contains("/v1/payment_intents")), "no traffic with Stripe was seen");
    assert_without("the traffic with Stripe", &stripe, &personal);
    assert_without("the traffic with Stripe", &stripe, &owned(&WORDS));
    // The scan sees what it looks for, where it belongs: in the letters, and in the read models of contacts.
    assert!(of("resend").iter().any(|entry| entry.contains("z.vandersloot@example.net")), "no letter was seen");
    assert!(rows(&world, "rm_resident%").await.iter().any(|row| row.contains("Vandersloot")), "no contact was seen");

    for schema in ["log", "engine", "vault", "rm_%"] {
        assert_no_card(schema, &rows(&world, schema).await);
    }
    assert_no_card("the log", &log);
    assert_no_card("the traffic", &journal.iter().map(ToString::to_string).collect::<Vec<_>>());
    world.assert_invariants().await;
}

/// Computes each leaf anew from the stored rows, in SQL: another implementation than the one that wrote them.
async fn assert_leaves(world: &World) {
    let (count, wrong): (i64, i64) = sqlx::query_as(
        r#"with texts as (
             select entry.leaf, 'propty-leaf-v1' || e'\n' || event.organization_id || e'\n'
                 || event.aggregate_type || '/' || event.aggregate_id || e'\n' || event.sequence || e'\n'
                 || event.event_type || ' v' || event.event_version || e'\n'
                 || to_char(event.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || e'\n'
                 || encode(sha256(convert_to(event.payload::text, 'UTF8')), 'hex') || e'\n'
                 || encode(sha256(convert_to(event.metadata::text, 'UTF8')), 'hex') || e'\n' as text
             from log.entries entry join log.events event
                 using (organization_id, aggregate_type, aggregate_id, sequence))
           select count(*), count(*) filter (where leaf <> sha256('\x00'::bytea || convert_to(text, 'UTF8'))) from texts"#,
    )
    .fetch_one(&world.database)
    .await
    .expect("leaves");
    assert_eq!(wrong, 0, "of {count} leaves {wrong} are not what their rows say");
    assert_eq!(count, world.count("select count(*) from log.entries").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_resident_is_gone_everywhere_and_every_proof_holds() {
    let world = World::start(Options::default()).await;
    let (zephyrine, client, payment) = live(&world).await;
    let manager = &world.first.manager;
    let id = zephyrine.id;
    let open = world.first.draft(&zephyrine, 14_000).await;
    world.settle().await;
    let leaves: Vec<Vec<u8>> = sqlx::query_scalar("select leaf from log.entries order by global_position")
        .fetch_all(&world.database)
        .await
        .expect("leaves");

    manager.command("EraseResident", &json!({ "resident_id": id })).await;
    let path = format!("/v1/residents/{id}");
    let shown = manager.until(&path, |resident| resident["erased_at"].is_string()).await;
    for field in ["first_name", "last_name", "email", "phone"] {
        assert_eq!(shown[field], Value::Null, "{field}: {shown}");
    }
    assert!(manager.list("/v1/residents?search=vandersloot").await.is_empty());
    world.settle().await;
    let destroyed: i64 = sqlx::query_scalar(
        "select count(*) from vault.data_keys where subject = $1 and purpose in ('contact', 'message')
         and wrapped is null and destroyed_at is not null",
    )
    .bind(id)
    .fetch_one(&world.database)
    .await
    .expect("a number");
    assert_eq!(destroyed, 2, "the keys of contact and message are destroyed");
    let mut personal = owned(&NAMES[..3]);
    personal.extend(owned(&CONTACTS[..2]));
    personal.extend(owned(&["305 555 0187", "305 555 0188"]));
    assert_without("read models", &rows(&world, "rm_%").await, &personal);

    // Commands about them are refused, a repeat changes nothing, and nobody signs in as them.
    for (name, body) in [
        ("RenameResident", json!({ "resident_id": id, "name": { "first": "Zephyrine", "last": "Vandersloot" } })),
        ("ChangeResidentEmail", json!({ "resident_id": id, "email": "z.vandersloot@example.net" })),
        ("ChangeResidentPhone", json!({ "resident_id": id, "phone": null })),
        ("ChangeResidentLanguage", json!({ "resident_id": id, "language": "en" })),
        ("ChangeResidentStatus", json!({ "resident_id": id, "status": "Inactive" })),
    ] {
        let refused = manager.refused(name, &body, 409).await;
        assert!(refused.text.contains("erased"), "{}", refused.text);
    }
    let again = manager.command("EraseResident", &json!({ "resident_id": id })).await;
    assert_eq!(again["events"], json!([]), "{again}");
    let letters = world.sandbox.letters("vandersloot").await.len();
    let asked = world.visitor().post("/v1/sign-in-links", &json!({ "email": "z.vandersloot@example.net" })).await;
    assert_eq!(asked.status, 202);
    let started = Instant::now();
    while client.look("/v1/me").await.status != 401 {
        assert!(started.elapsed() < Duration::from_secs(10), "the session of an erased resident goes on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // What the organization must still do, it does, and writes to nobody.
    manager.command("PublishInvoice", &json!({ "invoice_id": open, "notify": true })).await;
    let suppressed = world.first.until_message(open, "invoice-published", "Suppressed").await;
    assert_eq!(suppressed["suppression"], "ResidentErased", "{suppressed}");
    let refund = json!({ "payment_id": payment, "refund_id": Uuid::now_v7() });
    manager.command("RefundPayment", &refund).await;
    world.first.until_payment(payment, "Refunded").await;
    let check = json!({
        "invoice_id": open, "payment_id": Uuid::now_v7(), "method": "Cash", "received_on": chrono::Utc::now().date_naive() - chrono::Days::new(1),
        "amount": { "amount": 14_000, "currency": zephyrine.currency }
    });
    manager.command("RecordOfflinePayment", &check).await;
    world.first.until_status(open, "Paid").await;
    let receipt = world.first.until_message(open, "payment-received", "Suppressed").await;
    assert_eq!(receipt["suppression"], "ResidentErased", "{receipt}");
    world.settle().await;
    assert_eq!(world.sandbox.letters("vandersloot").await.len(), letters, "letters to an erased resident");

    // The log is as it was, proves what it proved, and a rebuild agrees.
    let now: Vec<Vec<u8>> = sqlx::query_scalar("select leaf from log.entries order by global_position")
        .fetch_all(&world.database)
        .await
        .expect("leaves");
    assert_eq!(now[..leaves.len()], leaves[..], "leaves changed");
    assert_leaves(&world).await;
    let verified = world.propty(&["rebuild", "--verify"]).await;
    let told = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success() && !told.contains("DIFFERENT"), "{told}");
    assert_without("rebuilt read models", &rows(&world, "rm_%").await, &personal);
    assert_eq!(manager.get(&path).await["first_name"], Value::Null);
    // A start from nothing in memory reads the erased fields, too.
    world.stop().await;
    world.restart().await;
    assert_eq!(manager.get(&path).await["email"], Value::Null);
    world.assert_invariants().await;
}
