//! The pages Stripe hosts: onboarding of a connected account and its dashboard.

use std::sync::Arc;

use poem::http::Method;
use serde_json::json;

use crate::http::{Call, Reply};
use crate::page::escape;
use crate::shared::{Shared, unsaved};
use crate::store::Table;
use crate::stripe::accounts;

pub(crate) fn serve(shared: &Arc<Shared>, call: &Call) -> Reply {
    match (&call.method, call.segments().as_slice()) {
        (&Method::GET, ["connect", "setup", account]) => form(shared, account),
        (&Method::POST, ["connect", "setup", account]) => finish(shared, account),
        (&Method::GET, ["connect", "express", account]) => {
            let text = format!("<h1>Dashboard of {}</h1><p><a href=\"/\">What was sent</a></p>", escape(account));
            Reply::html(200, text)
        }
        _ => Reply::json(404, &json!({"message": "no such page"})),
    }
}

fn form(shared: &Arc<Shared>, account: &str) -> Reply {
    if shared.read(|store| store.get(Table::Accounts, account).is_none()) {
        return Reply::html(404, "<h1>No such account</h1>".to_owned());
    }
    Reply::html(
        200,
        format!(
            "<!doctype html><meta charset=\"utf-8\"><title>Onboarding</title>\
             <h1>Onboarding of {}</h1><p>Stripe would ask for documents here.</p>\
             <form method=\"post\"><button>Finish onboarding</button></form>",
            escape(account)
        ),
    )
}

fn finish(shared: &Arc<Shared>, account: &str) -> Reply {
    let done = shared.change(|store| {
        let back = store.get(Table::Accounts, account).and_then(|row| row["return_url"].as_str().map(str::to_owned));
        accounts::patch(store, account, &accounts::onboarded()).map(|_| back)
    });
    match done {
        Err(error) => unsaved(&error),
        Ok(None) => Reply::html(404, "<h1>No such account</h1>".to_owned()),
        Ok(Some(Some(back))) if back.starts_with("http") => Reply::html(303, String::new()).with("Location", back),
        Ok(Some(_)) => Reply::html(200, "<h1>Onboarding is finished</h1>".to_owned()),
    }
}
