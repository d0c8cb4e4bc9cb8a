//! The bodies as callers get them.

use events::Role;
use query_service::OPERATIONS;
use serde_json::Value;

use crate::community::{
    ACCOUNT, AUTOPAY, DRAFT, HARBOR, INVOICE, JOB, LUCIA, MESSAGE, PAYMENT, SIGN_IN, TEXT, UNIT, WEBHOOK, community, id,
};

/// The names of all fields, nested ones included, so that an example can be compared with an answer.
fn fields(value: &Value, path: &str, found: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if name != "facts" {
                    found.insert(format!("{path}.{name}"));
                    fields(value, &format!("{path}.{name}"), found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, path, found)),
        _ => {}
    }
}

#[tokio::test]
async fn bodies_are_as_they_were() {
    let world = community().await;
    for (name, path) in [
        ("invoice", format!("/v1/invoices/{}", id(INVOICE))),
        ("draft", format!("/v1/invoices/{}", id(DRAFT))),
        ("invoices", "/v1/invoices?limit=2".to_owned()),
        ("payment", format!("/v1/payments/{}", id(PAYMENT))),
        ("payments", "/v1/payments".to_owned()),
        ("resident", format!("/v1/residents/{}", id(LUCIA))),
        ("unit", format!("/v1/units/{}", id(UNIT))),
        ("property", format!("/v1/properties/{}", id(HARBOR))),
        ("message", format!("/v1/messages/{}", id(MESSAGE))),
        ("text", format!("/v1/texts/{}", id(TEXT))),
        ("texts from residents", "/v1/inbound-texts".to_owned()),
        ("consents", "/v1/sms-consents".to_owned()),
        ("consent", format!("/v1/residents/{}/sms-consent", id(LUCIA))),
        ("job", format!("/v1/jobs/{}", id(JOB))),
        ("stripe account", format!("/v1/stripe-accounts/{}", id(ACCOUNT))),
        ("autopay", format!("/v1/autopay/{}", id(AUTOPAY))),
        ("autopays", "/v1/autopay?sort=next_attempt_at".to_owned()),
        ("credits", format!("/v1/credits?property_id={}", id(HARBOR))),
        ("payouts", "/v1/payouts?sort=amount".to_owned()),
        ("suppressions", "/v1/suppressions".to_owned()),
        ("tokens", "/v1/tokens".to_owned()),
        ("me", "/v1/me".to_owned()),
        ("missing", format!("/v1/invoices/{}", id(0xdead))),
        ("unknown parameter", "/v1/invoices?colour=red".to_owned()),
    ] {
        let answer = world.get("manager", &path).await;
        let mut body = answer.json();
        if let Some(cursor) = body.get_mut("next_cursor") {
            *cursor = "…".into();
        }
        insta::assert_json_snapshot!(name, body);
    }
    let resident = world.get(&world.cookie(SIGN_IN), &format!("/v1/invoices/{}", id(INVOICE))).await.json();
    insta::assert_json_snapshot!("invoice for its resident", resident);
    let card = world.get(&world.cookie(SIGN_IN), &format!("/v1/properties/{}/autopay", id(HARBOR))).await.json();
    insta::assert_json_snapshot!("autopay card", card);
    let mut run =
        world.get("manager", &format!("/v1/autopay/run?due_on=2020-01-31&property_id={}", id(HARBOR))).await.json();
    // This follows the clock.
    run["at"] = "…".into();
    insta::assert_json_snapshot!("autopay run", run);
    let mut dashboard = world.get("manager", &format!("/v1/properties/{}/dashboard", id(HARBOR))).await.json();
    // These follow the clock.
    dashboard["at"] = "…".into();
    dashboard["this_month"] = "…".into();
    dashboard["payouts"] = "…".into();
    insta::assert_json_snapshot!("dashboard", dashboard);
}

#[tokio::test]
async fn examples_have_the_fields_of_real_answers() {
    let world = community().await;
    let cookie = world.cookie(SIGN_IN);
    for operation in OPERATIONS.iter().filter(|operation| !operation.is_document()) {
        let things = [INVOICE, PAYMENT, LUCIA, UNIT, HARBOR, MESSAGE, TEXT, JOB, ACCOUNT, AUTOPAY, WEBHOOK];
        let who = if operation.roles.contains(&Role::OrganizationManager) { "manager" } else { cookie.as_str() };
        let mut real = std::collections::BTreeSet::new();
        for thing in things {
            let answer = world.get(who, &operation.path.replace("{id}", &id(thing))).await;
            if answer.status == 200 {
                let body = answer.json();
                fields(if operation.is_list() { &body["items"] } else { &body }, "", &mut real);
            }
        }
        let mut example = std::collections::BTreeSet::new();
        fields(&serde_json::from_str(operation.example).expect("JSON"), "", &mut example);
        // These come and go with the clock, with what has happened to a payment, or with the type of an event.
        let varies = [".this_month.", ".payouts.", ".refunds.", ".settlement.", ".data."];
        let fixed = |field: &&String| !varies.iter().any(|part| field.contains(part));
        let unknown: Vec<_> = example.difference(&real).filter(fixed).collect();
        assert!(unknown.is_empty(), "{}: the example has {unknown:?}", operation.path);
        let absent: Vec<_> = real.difference(&example).filter(fixed).collect();
        assert!(absent.is_empty(), "{}: the example lacks {absent:?}", operation.path);
    }
}
