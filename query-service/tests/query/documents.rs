//! The specification and the reference page.

use query_service::{FEED, OPERATIONS, authorization_table, openapi, reference_page};

#[test]
fn the_specification_and_its_page_describe_every_operation() {
    let spec = openapi("http://127.0.0.1:8080");
    let paths = spec["paths"].as_object().expect("paths").values();
    let described: usize = paths.filter_map(|path| path.as_object()).map(serde_json::Map::len).sum();
    assert_eq!(described, OPERATIONS.len() + FEED.len(), "an operation is missing from the table or from the API");
    for operation in OPERATIONS {
        let known = &spec["paths"][operation.path][operation.method.to_lowercase()];
        assert_eq!(known["summary"], operation.summary, "{}", operation.path);
        assert!(known["responses"]["403"].is_object());
        if operation.is_document() {
            continue;
        }
        let content = &known["responses"]["200"]["content"]["application/json; charset=utf-8"];
        assert!(content["example"].is_object(), "{}: {known}", operation.path);
    }
    insta::assert_json_snapshot!("specification", spec);
    let page = reference_page(&spec);
    for operation in OPERATIONS {
        assert!(page.contains(operation.path), "{}", operation.path);
    }
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("<link"));
    insta::assert_snapshot!("reference page", page);
    insta::assert_snapshot!("authorization", authorization_table());
}
