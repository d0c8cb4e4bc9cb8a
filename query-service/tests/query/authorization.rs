//! Each role on each operation, and what a stranger can tell.

use events::Role;
use query_service::{OPERATIONS, Operation};

use crate::community::{
    ACCOUNT, AUTOPAY, DRAFT, HARBOR, INVOICE, JOB, LUCIA, MEADOW, MESSAGE, ORGANIZATION, PAULS_INVOICE, PAYMENT,
    SIGN_IN, TEXT, UNIT, WEBHOOK, community, id,
};

/// The operation's path with the id of something that everybody it admits may see.
fn path(operation: &Operation) -> String {
    let parts: Vec<_> = operation.path.split('/').collect();
    let named = if parts.get(2) == Some(&"audit") { parts.get(3) } else { parts.get(2) };
    let thing = match named.copied() {
        Some("invoices") => INVOICE,
        Some("payments") => PAYMENT,
        Some("residents") => LUCIA,
        Some("units") => UNIT,
        Some("properties") => HARBOR,
        Some("messages") => MESSAGE,
        Some("texts") => TEXT,
        Some("jobs") => JOB,
        Some("autopay") => AUTOPAY,
        Some("webhooks") => WEBHOOK,
        _ => ACCOUNT,
    };
    operation.path.replace("{id}", &id(thing)).replace("{number}", "%2B13125550143")
}

#[tokio::test]
async fn every_operation_admits_exactly_the_roles_of_its_table() {
    let world = community().await;
    let cookie = world.cookie(SIGN_IN);
    let callers = [
        (Role::OrganizationManager, "manager"),
        (Role::PropertyAdmin, "admin"),
        (Role::PropertyManager, "harbor"),
        (Role::Resident, cookie.as_str()),
        (Role::ComplianceAuditor, "auditor"),
        (Role::Integrator, "integrator"),
    ];
    for operation in OPERATIONS {
        for (role, who) in callers {
            let answer = world.get(who, &path(operation)).await;
            let expected = if operation.roles.contains(&role) { 200 } else { 403 };
            assert_eq!(answer.status, expected, "{} as {role:?}: {}", operation.path, answer.text);
            if expected == 403 {
                assert_eq!(answer.json()["type"], "urn:propty:problem:forbidden");
            }
        }
    }
}

#[tokio::test]
async fn nobody_is_told_anything_without_a_valid_token() {
    let world = community().await;
    for operation in OPERATIONS {
        for who in ["nobody", "", "propty_session=forged.x"] {
            let answer = world.get(who, &path(operation)).await;
            assert_eq!(answer.status, 401, "{} as {who:?}", operation.path);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test]
async fn what_is_foreign_looks_like_what_is_missing() {
    let world = community().await;
    let cookie = world.cookie(SIGN_IN);
    for operation in OPERATIONS.iter().filter(|operation| operation.path.contains("{id}")) {
        let missing = operation.path.replace("{id}", &id(0xdead));
        // What is for residents alone shows a resident nothing of the property next door.
        let for_managers = operation.roles.contains(&Role::OrganizationManager);
        let who = if for_managers { "stranger" } else { cookie.as_str() };
        let truly = world.get(who, &missing).await;
        let there = if for_managers { path(operation) } else { operation.path.replace("{id}", &id(MEADOW)) };
        let foreign = world.get(who, &there).await;
        assert_eq!(foreign.status, 404, "{}", operation.path);
        assert_eq!(foreign.text, truly.text);
        for text in ["1", "not-an-id", "%00", "%ff"] {
            let who = if for_managers { "manager" } else { who };
            let unreadable = world.get(who, &operation.path.replace("{id}", text)).await;
            assert!([400, 404].contains(&unreadable.status), "{} {text}: {}", operation.path, unreadable.text);
            assert_eq!(unreadable.header("content-type"), "application/problem+json");
        }
        if operation.roles.contains(&Role::PropertyManager) {
            let answer = world.get("meadow", &path(operation)).await;
            assert_eq!(answer.status, 404, "{} from the other property: {}", operation.path, answer.text);
            assert_eq!(answer.text, truly.text);
        }
    }
}

#[tokio::test]
async fn lists_hold_nothing_of_another_organization_or_property() {
    let world = community().await;
    for operation in OPERATIONS.iter().filter(|operation| operation.is_list() && !operation.path.contains("{id}")) {
        let ours = world.get("manager", operation.path).await.json();
        assert!(ours["items"].as_array().is_some_and(|items| !items.is_empty()), "{} is empty", operation.path);
        let theirs = world.get("stranger", operation.path).await.text;
        for foreign in [HARBOR, UNIT, LUCIA, INVOICE, PAYMENT, MESSAGE, JOB, ACCOUNT] {
            assert!(!theirs.contains(&id(foreign)), "{} shows {foreign:x} to a stranger", operation.path);
        }
        if operation.roles.contains(&Role::PropertyManager) {
            let other = world.get("meadow", operation.path).await.text;
            assert!(!other.contains(&id(HARBOR)), "{} shows another property", operation.path);
        }
    }
}

#[tokio::test]
async fn a_resident_sees_their_own_without_drafts() {
    let world = community().await;
    let lucia = world.cookie(SIGN_IN);
    let invoices = world.get(&lucia, "/v1/invoices").await;
    assert_eq!(invoices.items("invoice_id").len(), 13);
    assert!(!invoices.text.contains(&id(DRAFT)) && !invoices.text.contains(&id(PAULS_INVOICE)));
    for hidden in [DRAFT, PAULS_INVOICE] {
        assert_eq!(world.get(&lucia, &format!("/v1/invoices/{}", id(hidden))).await.status, 404);
    }
    assert_eq!(world.get("manager", &format!("/v1/invoices/{}", id(DRAFT))).await.status, 200);
    assert_eq!(world.get(&lucia, "/v1/properties").await.items("name"), ["Harbor Point"]);
    assert_eq!(world.get(&lucia, "/v1/units").await.items("label"), ["2"]);
    let me = world.get(&lucia, "/v1/me").await.json();
    assert_eq!((me["resident"]["first_name"].as_str(), me["role"].as_str()), (Some("Lucía"), Some("Resident")));
}

#[tokio::test]
async fn a_residents_own_card_speaks_their_language_and_holds_the_secret_alone() {
    let world = community().await;
    let lucia = world.cookie(SIGN_IN);
    let path = format!("/v1/autopay/{}", id(AUTOPAY));
    let card = world.get(&lucia, &format!("/v1/properties/{}/autopay", id(HARBOR))).await.json();
    assert_eq!(card["enrollment"]["client_secret"], "seti_example_secret");
    assert_eq!((&card["texts"]["badge"], &card["texts"]["reason"]), (&"En pausa".into(), &"Tarjeta rechazada".into()));
    let mine = world.get(&lucia, &path).await;
    assert_eq!(mine.json()["client_secret"], "seti_example_secret");
    // Whoever found the card should not read here that it was reported.
    assert!(!mine.text.contains("lost_card") && !card.to_string().contains("lost_card"));
    for who in ["manager", "admin", "harbor"] {
        let theirs = world.get(who, &path).await;
        assert_eq!(theirs.status, 200);
        assert!(!theirs.text.contains("secret"), "{who}");
        assert_eq!(theirs.json()["reason"]["detail"], "lost_card");
    }
    let listed = world.get(&lucia, "/v1/autopay").await;
    assert_eq!(listed.items("autopay_id"), [id(AUTOPAY)]);
    assert!(!listed.text.contains("secret"));
    assert_eq!(world.get(&lucia, "/v1/credits").await.items("resident_id"), [id(LUCIA)]);
}

#[tokio::test]
async fn payout_totals_are_for_those_who_may_see_the_account() {
    let world = community().await;
    let path = format!("/v1/properties/{}/dashboard", id(HARBOR));
    let arrived = serde_json::json!({ "PayoutRecorded": {
        "payout": "po_now", "amount": { "amount": 1, "currency": "USD" }, "status": "Paid",
        "arrives_on": world.today(),
    } });
    world.append::<events::StripeAccountEvent>(ORGANIZATION, ACCOUNT, 6, &[arrived]).await;
    world.settle().await;
    for (who, seen) in [("manager", 1), ("admin", 1), ("harbor", 0)] {
        let payouts = world.get(who, &path).await.json()["payouts"].as_array().map(Vec::len);
        assert_eq!(payouts, Some(seen), "{who}");
    }
}

#[tokio::test]
async fn the_client_secret_goes_to_the_paying_resident_alone() {
    let world = community().await;
    let path = format!("/v1/payments/{}", id(PAYMENT));
    let mine = world.get(&world.cookie(SIGN_IN), &path).await.json();
    assert_eq!(mine["client_secret"], "pi_example_secret");
    assert_eq!(mine["stripe_account"], "acct_example");
    for who in ["manager", "admin", "harbor"] {
        let theirs = world.get(who, &path).await;
        assert_eq!(theirs.status, 200);
        assert!(!theirs.text.contains("secret"), "{who}");
    }
    let invoice = world.get(&world.cookie(SIGN_IN), &format!("/v1/invoices/{}", id(INVOICE))).await;
    assert!(!invoice.text.contains("secret"));
}
