//! A resident's phone as a page: what it received, and a field to answer in.

use std::fmt::Write as _;
use std::sync::Arc;

use poem::http::Method;
use serde_json::{Value, json};

use super::is_number;
use crate::form;
use crate::http::{Call, Reply};
use crate::page::escape;
use crate::shared::Shared;
use crate::store::Table;
use crate::switchboard::{Switchboard, SwitchboardError};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:2rem auto;padding:0 1rem}\
p{border-radius:1rem;padding:.5rem .9rem;margin:.5rem 0;white-space:pre-wrap;overflow-wrap:anywhere}\
.in{background:#e8e8ec;margin-right:3rem}.out{background:#d5ecd9;margin-left:3rem}small{color:#666}\
input,button{font:inherit;padding:.4rem}input{width:70%}.wrong{color:#b00020}";
/// No script, and nothing from elsewhere; the form goes back here.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'";

/// `/phone/{number}`, with or without the plus.
pub(crate) fn serve(shared: &Arc<Shared>, call: &Call, number: &str) -> Reply {
    let number = format!("+{}", number.trim_start_matches("%2B").trim_start_matches("%2b").trim_start_matches('+'));
    if !is_number(&number) {
        return Reply::html(404, "<h1>No such phone</h1>".to_owned());
    }
    if call.method == Method::POST {
        let told = form::tree(&call.body);
        let sent = Switchboard::new(shared.clone()).incoming_text(&number, told["body"].as_str().unwrap_or_default());
        return match sent {
            Ok(_) => Reply::html(303, String::new()).with("Location", format!("/phone/{number}")),
            Err(error @ SwitchboardError::State(_)) => Reply::json(500, &json!({"message": error.to_string()})),
            Err(error) => shown(shared, &number, &error.to_string()),
        };
    }
    shown(shared, &number, "")
}

fn shown(shared: &Shared, number: &str, problem: &str) -> Reply {
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style><h1>{0}</h1>",
        escape(number)
    );
    shared.read(|store| {
        let mut rows: Vec<&Value> = store
            .all(Table::Messages)
            .map(|(_, row)| row)
            .filter(|row| row["message"]["to"] == json!(number) || row["message"]["from"] == json!(number))
            .collect();
        rows.sort_by_key(|row| row["created"].as_i64());
        for row in rows {
            let message = &row["message"];
            let text = |name: &str| escape(message[name].as_str().unwrap_or_default());
            let class = if message["direction"] == "inbound" { "out" } else { "in" };
            // Writing to a string cannot fail.
            let _ = write!(
                out,
                "<p class={class}>{}</p><small>{} {}</small>",
                text("body"),
                text("date_created"),
                text("status")
            );
        }
    });
    let _ = write!(
        out,
        "<form method=post><input name=body autocomplete=off placeholder=STOP> <button>Send</button></form>\
         <div class=wrong>{}</div>",
        escape(problem)
    );
    Reply::html(200, out).with("Content-Security-Policy", POLICY)
}
