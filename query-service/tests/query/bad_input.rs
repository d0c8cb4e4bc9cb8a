//! Whatever is sent, the answer is a problem that says what is wrong.

use events::Role;
use query_service::{OPERATIONS, Operation};

use crate::community::{SIGN_IN, community, id, listed};

#[tokio::test]
async fn bad_parameters_are_refused_by_name_on_every_list() {
    let world = community().await;
    let huge = "9".repeat(4000);
    for operation in OPERATIONS.iter().filter(|operation| operation.is_list()) {
        let path = listed(operation.path);
        for (query, status, name) in [
            ("limit=0", 422, "limit"),
            ("limit=501", 422, "limit"),
            ("limit=-5", 422, "limit"),
            (&*format!("limit={huge}"), 422, "limit"),
            ("limit=1e3", 422, "limit"),
            ("limit=%00", 422, "limit"),
            ("sort=nothing", 422, "sort"),
            ("sort=%00", 422, "sort"),
            ("format=pdf", 422, "format"),
            ("cursor=nonsense", 422, "cursor"),
            ("cursor=", 422, "cursor"),
            ("colour=red", 422, "colour"),
            ("colour", 422, "colour"),
            ("LIMIT=1", 422, "LIMIT"),
            ("limit=1&limit=2", 422, "limit"),
            ("limit=%ff", 400, "limit"),
            ("limit=%4", 400, "limit"),
        ] {
            let answer = world.get("manager", &format!("{path}?{query}")).await;
            assert_eq!(answer.status, status, "{path}?{query}: {}", answer.text);
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.json()["parameter"], name, "{path}?{query}");
        }
        for filter in operation.filters {
            for value in ["%00", "", &huge, "%F0%9F%98%80%00"] {
                let answer = world.get("manager", &format!("{path}?{}={value}", filter.name)).await;
                assert_eq!(answer.status, 422, "{path}?{}={value}: {}", filter.name, answer.text);
                assert_eq!(answer.json()["parameter"], filter.name);
            }
        }
    }
}

#[tokio::test]
async fn a_forged_cursor_is_a_mistake_and_never_a_fault() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let world = community().await;
    for operation in OPERATIONS.iter().filter(|operation| operation.is_list()) {
        let path = listed(operation.path);
        let first = world.get("manager", &format!("{path}?limit=1")).await.json();
        let Some(cursor) = first["next_cursor"].as_str() else { continue };
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).expect("base64")).expect("UTF-8");
        let mut token: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for value in ["\0", "not a date", "99999-99-99", "9999999999999999999999", "", "infinity"] {
            token["at"]["value"] = value.into();
            let forged = URL_SAFE_NO_PAD.encode(token.to_string());
            let answer = world.get("manager", &format!("{path}?limit=1&cursor={forged}")).await;
            assert!([200, 422].contains(&answer.status), "{path} {value:?}: {} {}", answer.status, answer.text);
        }
    }
}

#[tokio::test]
async fn details_take_no_parameters() {
    let world = community().await;
    let cookie = world.cookie(SIGN_IN);
    let limited = |operation: &Operation| operation.filters.iter().any(|filter| filter.name == "limit");
    for operation in OPERATIONS.iter().filter(|operation| !operation.is_list() && !limited(operation)) {
        let path = operation.path.replace("{id}", &id(0x10)).replace("{number}", "%2B13125550143");
        let for_managers = operation.roles.contains(&Role::OrganizationManager);
        let who = if for_managers { "manager" } else { cookie.as_str() };
        let answer = world.get(who, &format!("{path}?limit=1")).await;
        assert_eq!((answer.status, answer.json()["parameter"].as_str()), (422, Some("limit")), "{path}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let world = community().await;
    for path in ["/v1/nothing", "/v1", "/", "/v1/invoices/1/2/3", "/v1/invoices/"] {
        let answer = world.get("manager", path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}
