//! The list of messages, newest first, by recipient and sender, a page at a time.

use serde_json::{Value, json};

use crate::http::Reply;
use crate::store::{Store, Table};

const PAGE_SIZE: usize = 50;
const LARGEST_PAGE: usize = 1_000;

pub(super) fn page(store: &Store, account: &str, query: &Value) -> Reply {
    let text = |name: &str| query[name].as_str().filter(|text| !text.is_empty());
    let number = |name: &str| text(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("PageSize").unwrap_or(PAGE_SIZE).clamp(1, LARGEST_PAGE);
    let page = number("Page").unwrap_or(0);
    let mut rows: Vec<&Value> = store
        .all(Table::Messages)
        .map(|(_, row)| row)
        .filter(|row| {
            let message = &row["message"];
            message["account_sid"] == json!(account)
                && text("To").is_none_or(|to| message["to"] == json!(to))
                && text("From").is_none_or(|from| message["from"] == json!(from))
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row["created"].as_i64()));
    let start = page.saturating_mul(size);
    let messages: Vec<&Value> = rows.iter().skip(start).take(size).map(|row| &row["message"]).collect();
    let uri = |page: usize| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for name in ["To", "From"] {
            if let Some(value) = text(name) {
                query.append_pair(name, value);
            }
        }
        query.append_pair("PageSize", &size.to_string()).append_pair("Page", &page.to_string());
        format!("/2010-04-01/Accounts/{account}/Messages.json?{}", query.finish())
    };
    let next = (start + messages.len() < rows.len()).then(|| uri(page + 1));
    let previous = page.checked_sub(1).map(uri);
    Reply::json(
        200,
        &json!({"messages": messages, "page": page, "page_size": size, "start": start,
            "end": (start + messages.len()).saturating_sub(1), "first_page_uri": uri(0), "next_page_uri": next,
            "previous_page_uri": previous, "uri": uri(page)}),
    )
}
