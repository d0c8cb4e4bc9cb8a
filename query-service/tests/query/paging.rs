//! Paging, sorting, filters and CSV.

use std::collections::BTreeSet;

use query_service::OPERATIONS;
use serde_json::Value;

use crate::{
    community::{INVOICE, INVOICES, JOB, ORGANIZATION, PAULS_INVOICE, SIGN_IN, UNIT, community, id, listed},
    world::World,
};

/// All pages of a list.
async fn pages(world: &World, who: &str, path: &str, query: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(who, &format!("{path}?limit={limit}{query}{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let page = page.json();
        let found = page["items"].as_array().expect("items").clone();
        assert!(found.len() <= limit);
        items.extend(found);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

#[tokio::test]
async fn paging_through_every_sort_of_every_list_gives_each_row_once() {
    let world = community().await;
    for operation in OPERATIONS.iter().filter(|operation| operation.is_list()) {
        let path = listed(operation.path);
        let whole = pages(&world, "manager", &path, "", 500).await;
        let rows = |items: &[Value]| items.iter().map(Value::to_string).collect::<BTreeSet<_>>();
        for sort in operation.sorts {
            for limit in [1, 2, 5] {
                let paged = pages(&world, "manager", &path, &format!("&sort={sort}"), limit).await;
                assert_eq!(paged.len(), whole.len(), "{path} by {sort}");
                assert_eq!(rows(&paged), rows(&whole), "{path} by {sort}");
            }
        }
    }
}

#[tokio::test]
async fn invoices_come_in_the_order_that_was_asked_for() {
    let world = community().await;
    let totals = |items: Vec<Value>| items.iter().map(|item| item["total"]["amount"].as_i64()).collect::<Vec<_>>();
    let up = totals(pages(&world, "manager", "/v1/invoices", "&sort=total", 4).await);
    let down = totals(pages(&world, "manager", "/v1/invoices", "&sort=-total", 4).await);
    assert!(up.is_sorted());
    assert_eq!(down, up.into_iter().rev().collect::<Vec<_>>());
    let units = world.get("manager", &format!("/v1/units?property_id={}", id(0x10))).await;
    assert_eq!(units.items("label"), ["2", "10"]);
}

#[tokio::test]
async fn filters_narrow() {
    let world = community().await;
    let harbor = id(0x10);
    for (query, count) in [
        (String::new(), INVOICES + 2),
        ("?status=Overdue".into(), 4),
        ("?status=Open".into(), INVOICES - 4 + 1),
        ("?status=Draft".into(), 1),
        ("?status=Void".into(), 0),
        (format!("?property_id={harbor}&status=Open"), INVOICES - 4),
        (format!("?unit_id={}", id(UNIT + 2)), 1),
        (format!("?resident_id={}", id(0x31)), 1),
        ("?due_until=2020-01-31".into(), 4),
        ("?due_from=2020-02-01&due_until=2098-01-01".into(), 2),
        ("?search=assessment%2012".into(), 1),
        ("?search=%25".into(), 0),
    ] {
        let found = world.get("manager", &format!("/v1/invoices{query}")).await;
        assert_eq!(found.items("invoice_id").len(), usize::try_from(count).expect("small"), "{query}");
    }
    for (path, count) in [
        ("/v1/residents?search=munoz+lucia", 1),
        ("/v1/residents?search=nobody", 0),
        ("/v1/payments?kind=Offline", 1),
        ("/v1/payments?status=Pending", 1),
        ("/v1/payments?from=2026-01-06T00:00:00Z", 0),
        ("/v1/messages?status=Delivered&kind=invoice-published", 1),
        ("/v1/payments?autopay=true", 0),
        ("/v1/payments?autopay=false&disputed=false", 2),
        ("/v1/payments?disputed=true", 0),
        ("/v1/autopay?status=Paused", 1),
        ("/v1/autopay?status=Cancelled", 0),
        ("/v1/credits?available=true", 2),
        ("/v1/payouts?status=Failed&arrives_until=2026-01-09", 1),
        ("/v1/payouts?arrives_from=2026-01-10", 0),
        ("/v1/jobs?state=Running", 0),
        ("/v1/suppressions?lifted=false", 1),
        ("/v1/suppressions?lifted=true", 0),
        ("/v1/properties?search=harbor", 1),
        ("/v1/texts?status=Delivered&kind=invoice-published", 1),
        ("/v1/texts?status=Suppressed", 0),
        ("/v1/inbound-texts?status=Held&reading=MayMeanStop", 1),
        ("/v1/inbound-texts?reading=Stop", 0),
        ("/v1/sms-consents?opted_in=true&held=true", 1),
        ("/v1/sms-consents?opted_in=false", 1),
        ("/v1/sms-consents?held=false", 1),
    ] {
        let found = world.get("manager", path).await;
        assert_eq!(found.json()["items"].as_array().map(Vec::len), Some(count), "{path}");
    }
    let items = world.get("manager", &format!("/v1/jobs/{}/items?refused=true", id(JOB))).await;
    assert_eq!(items.items("refusal"), ["it is void"]);
}

#[tokio::test]
async fn csv_is_the_whole_list_and_reads_back() {
    let world = community().await;
    for operation in OPERATIONS.iter().filter(|operation| operation.is_list()) {
        let path = listed(operation.path);
        let whole = pages(&world, "manager", &path, "", 500).await;
        let csv = world.get("manager", &format!("{path}?format=csv&limit=1")).await;
        assert_eq!(csv.status, 200, "{}", csv.text);
        assert!(csv.header("content-type").starts_with("text/csv"));
        assert!(!csv.header("propty-position").is_empty());
        let mut reader = csv::Reader::from_reader(csv.text.as_bytes());
        let headers = reader.headers().expect("headers").clone();
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("rows");
        assert_eq!(rows.len(), whole.len(), "{path}");
        for (row, item) in rows.iter().zip(&whole) {
            for (name, cell) in headers.iter().zip(row) {
                let value = name.split('.').try_fold(item, |value, part| value.get(part)).unwrap_or(&Value::Null);
                let expected = match value {
                    Value::String(text) => text.clone(),
                    Value::Null => String::new(),
                    other => other.to_string(),
                };
                assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), expected, "{path} {name}");
            }
        }
        insta::assert_snapshot!(
            format!("csv header of {}", operation.path.replace('/', " ")),
            csv.text.lines().next().unwrap_or_default()
        );
    }
    let residents = world.get_with("manager", "/v1/residents", &[("Accept", "text/csv")]).await;
    assert!(residents.text.contains("'=Example"), "{}", residents.text);
    let invoices = world.get("manager", "/v1/invoices?format=csv").await;
    assert!(invoices.text.contains("\"Paul's, \"\"quoted\"\"\""), "{}", invoices.text);
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_given_whole_as_csv() {
    let world = community().await;
    for number in 0..1001_u128 {
        let added = serde_json::json!({ "UnitAdded": { "property_id": id(0x10), "label": format!("T{number}") } });
        world.append::<events::UnitEvent>(ORGANIZATION, 0x1_0000 + number, 0, &[added]).await;
    }
    world.settle().await;
    let csv = world.get("manager", "/v1/units?format=csv&search=T").await;
    let labels: BTreeSet<&str> = csv.text.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!((csv.text.lines().count(), labels.len()), (1002, 1001));
}

#[tokio::test]
async fn a_cursor_belongs_to_its_question_and_its_history() {
    let world = community().await;
    let first = world.get("manager", "/v1/invoices?limit=2&sort=total").await.json();
    let cursor = first["next_cursor"].as_str().expect("a cursor").to_owned();
    for other in ["sort=-total", "sort=total&status=Open", ""] {
        let refused = world.get("manager", &format!("/v1/invoices?{other}&cursor={cursor}")).await;
        assert_eq!(refused.status, 422, "{other}: {}", refused.text);
        assert_eq!(refused.json()["parameter"], "cursor");
    }
    let elsewhere = world.get("manager", &format!("/v1/payments?cursor={cursor}")).await;
    assert_eq!(elsewhere.status, 422);
    let same = format!("/v1/invoices?limit=2&sort=total&cursor={cursor}");
    assert_eq!(world.get("manager", &same).await.status, 200);
    // Another caller's view of the same list: the cursor says where, not what.
    assert_eq!(world.get(&world.cookie(SIGN_IN), &same).await.status, 200);
    sqlx::query("update engine.installation set incarnation = incarnation + 1")
        .execute(&world.database.engine)
        .await
        .expect("a restore");
    let gone = world.get("manager", &same).await;
    assert_eq!((gone.status, gone.json()["type"].as_str()), (410, Some("urn:propty:problem:cursor-gone")));
}

#[tokio::test]
async fn rows_that_appear_between_pages_push_none_away() {
    let world = community().await;
    let first = world.get("manager", "/v1/invoices?limit=5&sort=-total").await;
    let mut seen = first.items("invoice_id");
    let draft = serde_json::json!({ "InvoiceDiscarded": {} });
    world.append::<events::InvoiceEvent>(ORGANIZATION, 0x190, 1, &[draft]).await;
    world.settle().await;
    let cursor = first.json()["next_cursor"].as_str().expect("a cursor").to_owned();
    let rest = world.get("manager", &format!("/v1/invoices?limit=500&sort=-total&cursor={cursor}")).await;
    seen.extend(rest.items("invoice_id"));
    let unique: BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), unique.len()), (14, 14));
    assert!(seen.contains(&id(INVOICE)) && seen.contains(&id(PAULS_INVOICE)));
}
