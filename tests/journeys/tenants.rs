//! Who somebody is: tokens that end, links that are good once, one mailbox in two organizations.

use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;

use crate::world::{Client, Options, World, link};

/// Waits until a caller is not known any more; how long that took.
async fn until_unknown(client: &Client) -> Duration {
    let started = Instant::now();
    loop {
        let answer = client.look("/v1/me").await;
        if answer.status == 401 {
            answer.assert_problem(401);
            return started.elapsed();
        }
        assert!(started.elapsed() < Duration::from_secs(20), "still known: {}", answer.text);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_token_ends_when_it_is_revoked_and_when_its_time_is_over() {
    let world = World::start(Options::default()).await;
    let first = &world.first;
    let (revoked, client) = first.token("PropertyManager", Some(first.property("Cedar Row").id)).await;
    assert_eq!(client.get("/v1/me").await["role"], "PropertyManager");
    let listed = first.manager.list("/v1/tokens").await;
    assert!(!json!(listed).to_string().contains("propty_"), "a list shows no secret");
    first.manager.command("RevokeAccessToken", &json!({ "token_id": revoked })).await;
    assert!(until_unknown(&client).await < Duration::from_secs(5));
    client.ask("RenameOrganization", &json!({ "name": "Mine" })).await.assert_problem(401);

    let soon = chrono::Utc::now() + chrono::TimeDelta::minutes(30);
    let body = json!({ "label": "for a visit", "role": "ComplianceAuditor", "expires_at": soon });
    let made = first.manager.post("/v1/tokens", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let client = world.visitor().with_token(made.body["token"].as_str().expect("a token"));
    assert_eq!(client.look("/v1/me").await.status, 200);
    world.pass_time(31 * 60).await;
    until_unknown(&client).await;
    for body in [
        json!({ "label": "late", "role": "ComplianceAuditor", "expires_at": "2020-01-01T00:00:00Z" }),
        json!({ "label": "nobody's", "role": "Operator" }),
        json!({ "label": "a resident's", "role": "Resident" }),
        json!({ "label": "of no property", "role": "PropertyManager" }),
        json!({ "label": "of a foreign property", "role": "PropertyManager", "property_id": world.second.properties[0].id }),
    ] {
        let answer = first.manager.post("/v1/tokens", &body).await;
        assert!((400..500).contains(&answer.status), "{body}: {}", answer.text);
        answer.assert_problem(answer.status);
    }
    world.assert_invariants().await;
}

#[tokio::test]
async fn a_sign_in_link_is_good_once_and_briefly_and_tells_nothing_to_strangers() {
    let world = World::start(Options::default()).await;
    let (first, visitor) = (&world.first, world.visitor());
    let ana = first.resident("Ana").clone();
    let ask = |email: &str| json!({ "email": email });
    let known = visitor.post("/v1/sign-in-links", &ask("ANA.ruiz@example.com")).await;
    let unknown = visitor.post("/v1/sign-in-links", &ask("nobody.at.all@example.com")).await;
    assert_eq!((known.status, &known.body), (202, &unknown.body), "the answer tells nothing");
    let letters = world.sandbox.until_letters(&ana.email, 0).await;
    let secret = link(&letters[0]).expect("a link");
    let client = visitor.open_session(&secret).await.expect("a session");
    let me = client.get("/v1/me").await;
    assert_eq!((&me["role"], &me["organization_id"]), (&json!("Resident"), &json!(first.id)));
    assert!(visitor.open_session(&secret).await.is_none(), "a link is good once");
    let mut wrong = secret.clone();
    wrong.replace_range(wrong.len() - 4.., "AAAA");
    for link in [wrong.as_str(), "", ".", "x", "00000000000000000000000000000000.AAAA"] {
        let answer = visitor.post("/v1/sessions", &json!({ "link": link })).await;
        answer.assert_problem(422);
    }
    let again = visitor.post("/v1/sign-in-links", &ask(&ana.email)).await;
    assert_eq!(again.status, 202);
    let letters = world.sandbox.until_letters(&ana.email, 1).await;
    world.pass_time(3600).await;
    assert!(visitor.open_session(&link(&letters[0]).expect("a link")).await.is_none(), "a link is good briefly");
    assert_eq!(world.sandbox.letters("nobody.at.all").await.len(), 0);

    // A session ends by signing out, and when the resident is not one any more.
    let out = client.send(client.request(reqwest::Method::DELETE, "/v1/sessions/current")).await;
    assert_eq!(out.status, 204, "{}", out.text);
    assert!(until_unknown(&client).await < Duration::from_secs(5));
    let benoit = first.resident("Benoit").clone();
    let client = world.sign_in(&benoit).await;
    first.manager.command("ChangeResidentStatus", &json!({ "resident_id": benoit.id, "status": "Inactive" })).await;
    assert!(until_unknown(&client).await < Duration::from_secs(5));
    world.assert_invariants().await;
}

#[tokio::test]
async fn one_mailbox_in_two_organizations_opens_each_by_a_link_of_its_own() {
    let world = World::start(Options::default()).await;
    let (first, second) = (&world.first, &world.second);
    let (ana, maria) = (first.resident("Ana").clone(), second.resident("Maria").clone());
    second.manager.command("ChangeResidentEmail", &json!({ "resident_id": maria.id, "email": ana.email })).await;
    second.manager.until(&format!("/v1/residents/{}", maria.id), |shown| shown["email"] == ana.email).await;
    let asked = world.visitor().post("/v1/sign-in-links", &json!({ "email": ana.email })).await;
    assert_eq!(asked.status, 202);
    world.sandbox.until_letters(&ana.email, 1).await;
    let mut seen = Vec::new();
    for letter in world.sandbox.letters(&ana.email).await {
        let client = world.visitor().open_session(&link(&letter).expect("a link")).await.expect("a session");
        let me = client.get("/v1/me").await;
        let organization = crate::world::id(&me["organization_id"]);
        let invoices = client.list("/v1/invoices").await;
        assert_eq!(invoices.len(), usize::from(organization == second.id), "each sees their own: {invoices:?}");
        seen.push(organization);
    }
    seen.sort();
    let mut both = vec![first.id, second.id];
    both.sort();
    assert_eq!(seen, both);
    world.settle().await;
    world.remember_second().await;
    world.assert_invariants().await;
}

#[tokio::test]
async fn two_organizations_use_the_same_keys_and_names_without_meeting() {
    let world = World::start(Options::default()).await;
    let (first, second) = (&world.first, &world.second);
    let key = "monthly-fee-2026-12";
    let mut invoices = Vec::new();
    for organization in [first, second] {
        let body = organization.draft_body(&organization.residents[0], 5_000);
        let answer = organization.manager.try_command("DraftInvoice", &body, Some(key)).await.expect("an answer");
        assert_eq!((answer.status, &answer.body["repeated"]), (200, &json!(false)), "{}", answer.text);
        invoices.push(body["invoice_id"].clone());
    }
    // Whatever becomes of an id that another organization has, the other's invoice stays as it is.
    let path = format!("/v1/invoices/{}", invoices[0].as_str().expect("an id"));
    // The invoice and its history are read models of their own: one may be seen before the other.
    world.settle().await;
    let before = first.manager.until(&path, |_| true).await;
    let mut taken = second.draft_body(&second.residents[0], 7_000);
    taken["invoice_id"] = invoices[0].clone();
    let answer = second.manager.ask("DraftInvoice", &taken).await;
    assert!(matches!(answer.status, 200 | 404), "{}", answer.text);
    world.settle().await;
    assert_eq!(first.manager.get(&path).await, before);
    let theirs = second.manager.look(&path).await;
    assert_eq!(theirs.status, answer.status, "each sees their own or nothing: {}", theirs.text);
    assert!(!theirs.text.contains(&first.residents[0].id.to_string()));
    // Nor can an own invoice be written about somebody else's resident, unit or property.
    let neighbour = &first.residents[0];
    for (field, foreign) in
        [("resident_id", neighbour.id), ("unit_id", neighbour.unit), ("property_id", neighbour.property)]
    {
        let mut body = second.draft_body(&second.residents[0], 7_000);
        body[field] = json!(foreign);
        let foreign = second.manager.ask("DraftInvoice", &body).await;
        body[field] = json!(Uuid::now_v7());
        let missing = second.manager.ask("DraftInvoice", &body).await;
        assert_eq!((foreign.status, foreign.body), (missing.status, missing.body), "{field}");
        assert!((400..500).contains(&missing.status));
    }
    world.settle().await;
    world.assert_log().await;
    world.assert_money().await;
    world.assert_letters().await;
}
