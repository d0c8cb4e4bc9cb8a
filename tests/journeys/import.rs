//! A community from the spreadsheet that a manager really has.

use std::process::Output;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Options, World};

fn sample(name: &str) -> String {
    format!("{}/infra/sample/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The new organization's id, and its manager.
async fn manager(world: &World, output: &Output) -> crate::world::Client {
    let said = said(output);
    let line = said.lines().find_map(|line| line.strip_prefix("organization ")).expect("an id");
    let token = world.propty(&["token", "--organization", line]).await;
    assert!(token.status.success(), "{}", self::said(&token));
    let client = world.visitor().with_token(String::from_utf8_lossy(&token.stdout).trim());
    client.until("/v1/me", |_| true).await;
    client
}

async fn events(world: &World) -> i64 {
    world.count("select count(*) from log.events").await
}

#[tokio::test]
async fn the_sample_community_comes_in_whole_and_a_second_time_changes_nothing() {
    let world = World::start(Options::default()).await;
    let (file, name) = (sample("community.csv"), "Sample Communities");
    let before = events(&world).await;
    let rehearsal = world.propty(&["import", &file, "--organization-name", name, "--dry-run"]).await;
    assert!(rehearsal.status.success());
    assert!(
        said(&rehearsal).contains("would bring in 169 residents and 148 units; nothing was changed"),
        "{}",
        said(&rehearsal)
    );
    assert_eq!(events(&world).await, before, "a rehearsal changes nothing");

    let import = world.propty(&["import", &file, "--organization-name", name]).await;
    assert!(import.status.success(), "{}", said(&import));
    let client = manager(&world, &import).await;
    let residents = client.until_list("/v1/residents", |list| list.len() == 169).await;
    assert_eq!(client.until_list("/v1/units", |list| list.len() == 148).await.len(), 148);
    let found = |first: &str, last: &str| {
        residents.iter().find(|row| row["first_name"] == first && row["last_name"] == last).expect("a resident")
    };
    assert_eq!(found("Marie-Ève", "Charbonneau")["language"], "fr");
    assert_eq!(found("Alejandro", "Villaseñor")["language"], "es");
    assert!(!json!(residents).to_string().contains("consent"));
    // What somebody has in credit has no place yet, and that is said.
    assert!(said(&import).contains("line 4: the credit of 385.00"), "{}", said(&import));
    // What somebody owed before is an invoice, published without a letter.
    let open = client.until_list("/v1/invoices?status=Open", |list| !list.is_empty()).await;
    let genevieve = found("Geneviève", "Beauséjour")["resident_id"].clone();
    let balance = open.iter().find(|invoice| invoice["resident_id"] == genevieve).expect("an opening balance");
    assert_eq!(balance["balance"]["amount"], 38_500);
    world.settle().await;
    assert_eq!(client.list("/v1/messages").await.len(), 0, "nobody is written to because of an import");

    let after = events(&world).await;
    let again = world.propty(&["import", &file, "--organization-name", name]).await;
    assert!(again.status.success(), "{}", said(&again));
    assert!(said(&again).contains("0 things were changed"), "{}", said(&again));
    assert_eq!(events(&world).await, after, "a second time changes nothing");
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_french_export_in_windows_1252_is_read_as_it_was_meant() {
    let world = World::start(Options::default()).await;
    let file = sample("community-windows1252.csv");
    let import = world
        .propty(&[
            "import",
            &file,
            "--organization-name",
            "Syndicat",
            "--currency",
            "CAD",
            "--time-zone",
            "America/Toronto",
        ])
        .await;
    assert!(import.status.success(), "{}", said(&import));
    assert!(said(&import).contains("Windows-1252, separated by semicolon"));
    let client = manager(&world, &import).await;
    let residents = client.until_list("/v1/residents", |list| list.len() == 12).await;
    let named =
        |first: &str, last: &str| residents.iter().any(|row| row["first_name"] == first && row["last_name"] == last);
    assert!(named("Hélène", "Gagné") && named("Maëlle", "Côté") && named("Cédric", "Bœuf"), "{}", json!(residents));
    let open = client.until_list("/v1/invoices?status=Open", |list| !list.is_empty()).await;
    let owed = |amount: i64| open.iter().any(|row| row["balance"] == json!({ "amount": amount, "currency": "CAD" }));
    assert!(owed(125_050), "1 250,50 $ is 1250.50: {}", json!(open));
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_file_with_mistakes_is_refused_whole_with_its_lines_or_brought_in_without_them() {
    let world = World::start(Options::default()).await;
    let file = sample("community-with-mistakes.csv");
    let before = events(&world).await;
    let refused = world.propty(&["import", &file, "--organization-name", "Mistaken"]).await;
    assert!(!refused.status.success());
    let text = said(&refused);
    for line in 3..=22 {
        assert!(text.contains(&format!("bad row: line {line}")), "line {line}: {text}");
    }
    assert!(!text.contains("bad row: line 2,") && text.contains("20 bad rows"), "{text}");
    assert_eq!(events(&world).await, before, "nothing is half brought in");

    let partly = world.propty(&["import", &file, "--organization-name", "Mistaken", "--skip-bad-rows"]).await;
    assert!(partly.status.success(), "{}", said(&partly));
    let client = manager(&world, &partly).await;
    let residents = client.until_list("/v1/residents", |list| list.len() == 3).await;
    let names: Vec<&Value> = residents.iter().map(|row| &row["last_name"]).collect();
    assert!(names.contains(&&json!("Whitfield")) && names.contains(&&json!("Halvorsen")), "{names:?}");
    // Exported again, a cell that looks like a formula is not one.
    let request = client.request(reqwest::Method::GET, "/v1/residents").header("accept", "text/csv");
    let csv = client.send(request).await;
    assert!(csv.header("content-type").starts_with("text/csv"), "{}", csv.text);
    assert!(
        csv.text.contains("Whitfield") && !csv.text.contains(",=SUM") && !csv.text.contains("\n=SUM"),
        "{}",
        csv.text
    );

    for args in [
        ["import", "/nowhere/at-all.csv", "--organization-name", "Mistaken"],
        ["import", file.as_str(), "--time-zone", "Mars/Olympus"],
        ["import", file.as_str(), "--currency", "XXX1"],
        ["import", file.as_str(), "--contact", "nobody"],
    ] {
        let output = world.propty(&args).await;
        assert!(!output.status.success() && !said(&output).contains("panicked"), "{args:?}: {}", said(&output));
    }
    world.assert_invariants().await;
}

#[tokio::test]
async fn what_was_corrected_by_hand_is_not_undone_by_the_next_import() {
    let world = World::start(Options::default()).await;
    let first = &world.first;
    let file = world.folder().join("first.csv");
    let ana = first.resident("Ana").clone();
    first
        .manager
        .command("RenameResident", &json!({ "resident_id": ana.id, "name": { "first": "Ana María", "last": "Ruiz" } }))
        .await;
    first.manager.command("ChangeResidentLanguage", &json!({ "resident_id": ana.id, "language": "en" })).await;
    first.manager.command("RenameOrganization", &json!({ "name": "Evergreen and Company" })).await;
    world.settle().await;
    let head = world.head(first.id).await;
    std::fs::write(&file, crate::world::FIRST).expect("a file");
    let path = file.to_str().expect("a path");
    let id = first.id.to_string();
    let import =
        world.propty(&["import", path, "--organization", &id, "--organization-name", "Evergreen Communities"]).await;
    assert!(import.status.success(), "{}", said(&import));
    assert_eq!(world.head(first.id).await, head);
    assert_eq!(first.manager.get(&format!("/v1/residents/{}", ana.id)).await["language"], "en");
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_consent_that_a_spreadsheet_claims_is_refused_on_record_and_counts_for_nothing() {
    let world = World::start(Options::default()).await;
    let file = world.folder().join("claims.csv");
    let rows = "Unit,Name,E-mail,Phone,SMS consent\n\
                1,Ada Byron,ada@example.com,212-555-0141,yes\n\
                2,Bo Carter,bo@example.com,212-555-0142,no\n\
                3,Cy Dunne,cy@example.com,,x\n";
    std::fs::write(&file, rows).expect("a file");
    let path = file.display().to_string();
    let import = world.propty(&["import", &path, "--organization-name", "Claims"]).await;
    assert!(import.status.success() && said(&import).contains("2 rows claim a consent to texts"), "{}", said(&import));
    assert!(said(&import).contains("1 claims of a consent to texts were put on record"), "{}", said(&import));
    let client = manager(&world, &import).await;
    let consents = client.until_list("/v1/sms-consents", |list| list.len() == 3).await;
    assert!(consents.iter().all(|row| row["badge"] != "Opted In"), "{}", json!(consents));
    let refused =
        "select count(*) from log.events where event_type = 'OptInRefused' and payload::text like '%ClaimedByImport%'";
    assert_eq!(world.count(refused).await, 1, "the claim with a number is on record");
    assert_eq!(world.count("select count(*) from log.events where event_type = 'ConsentGranted'").await, 0);

    let after = events(&world).await;
    let again = world.propty(&["import", &path, "--organization-name", "Claims"]).await;
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(events(&world).await, after, "the same file again claims nothing new");
    world.assert_invariants().await;
}

#[tokio::test]
async fn an_imported_residents_id_is_not_found_by_guessing_names_and_one_from_before_is_kept() {
    let world = World::start(Options::default()).await;
    let file = world.folder().join("guessed.csv");
    let path = file.display().to_string();
    let (ada, bo) = ("1,Ada Byron,ada@example.com\n", "2,Bo Carter,bo@example.com\n");
    let bring_in = async |rows: &str| {
        std::fs::write(&file, format!("Unit,Name,E-mail\n{rows}")).expect("a file");
        let import = world.propty(&["import", &path, "--organization-name", "Guessed"]).await;
        assert!(import.status.success(), "{}", said(&import));
        import
    };
    let import = bring_in(ada).await;
    let client = manager(&world, &import).await;
    let listed = client.until_list("/v1/residents", |list| list.len() == 1).await;
    let text = said(&import);
    let after = |word: &str| -> Uuid {
        let line = text.lines().find_map(|line| line.strip_prefix(word)).expect("an id");
        line.split(' ').next().and_then(|id| id.parse().ok()).expect("an id")
    };
    let (organization, property) = (after("organization "), after("property "));
    // What anybody can compute who guesses a name and an address.
    let guessed = async |key: &str| {
        let digest: Vec<u8> = sqlx::query_scalar("select sha256(convert_to($1, 'UTF8'))")
            .bind(format!("{organization}/{key}"))
            .fetch_one(&world.database)
            .await
            .expect("a hash");
        Uuid::new_v5(&organization, format!("resident/{digest:02x?}").as_bytes())
    };
    assert_ne!(listed[0]["resident_id"], json!(guessed("ada/byron/ada@example.com").await));

    // Bo came in when ids were still made so.
    let (unit, id) = (Uuid::now_v7(), guessed("bo/carter/bo@example.com").await);
    client.command("AddUnit", &json!({ "unit_id": unit, "property_id": property, "label": "Attic" })).await;
    let home = json!({ "property_id": property, "unit_id": unit, "tenure": "Owner", "on": "2026-01-01" });
    let name = json!({ "first": "Bo", "last": "Carter" });
    let bo_then = json!({ "resident_id": id, "name": name, "email": "bo@example.com", "home": home });
    client.command("RegisterResident", &bo_then).await;
    bring_in(&format!("{ada}{bo}")).await;
    world.settle().await;
    let mut ids: Vec<_> = client.list("/v1/residents").await.iter().map(|one| one["resident_id"].to_string()).collect();
    let mut expected = vec![listed[0]["resident_id"].to_string(), json!(id).to_string()];
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected, "nobody came in twice");
    world.assert_invariants().await;
}
