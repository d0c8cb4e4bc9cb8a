//! The pages on which a person pays, keeps a card or a bank account, tells small deposits, or answers the bank.

use std::fmt::Write as _;
use std::sync::Arc;

use poem::http::Method;
use serde_json::{Value, json};

use crate::form;
use crate::http::{Call, Reply};
use crate::page::escape;
use crate::shared::{Shared, unsaved};
use crate::store::{Store, Table};
use crate::stripe::context::Context;
use crate::stripe::errors::StripeError;
use crate::stripe::params::Params;
use crate::stripe::{confirm, confirmation_tokens, microdeposits, setup_intents};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:2rem auto;padding:0 1rem}\
label{display:block;margin:.6rem 0}input,select,button{font:inherit;padding:.4rem;width:100%;box-sizing:border-box}\
input[type=checkbox]{width:auto}.wrong{color:#b00020}";

const CARDS: [(&str, &str); 9] = [
    ("4242424242424242", "pays"),
    ("4000056655665556", "pays, debit"),
    ("4000002500003155", "asks to authenticate"),
    ("4000000000000341", "can be kept, is declined later"),
    ("4000000000009995", "has no money"),
    ("4000000000000069", "has expired"),
    ("4000000000009987", "was lost"),
    ("4000000000000002", "is declined"),
    ("4000000000000259", "pays and is disputed"),
];
const ACCOUNTS: [(&str, &str); 6] = [
    ("000123456789", "pays"),
    ("000222222227", "has no money"),
    ("000111111113", "is closed"),
    ("000333333335", "forbids debits"),
    ("000555555559", "pays and is returned"),
    ("000222222228", "pays and is returned for want of money"),
];

pub(crate) fn serve(shared: &Arc<Shared>, call: &Call) -> Reply {
    let query = Params(form::tree(call.query.as_bytes()));
    let back = query.text("return_url").filter(|url| url.starts_with("http")).unwrap_or_default().to_owned();
    let segments = call.segments();
    let [_, page, id] = segments.as_slice() else {
        return Reply::html(404, "<h1>No such page</h1>".to_owned());
    };
    let post = call.method == Method::POST;
    let told = Params(form::tree(&call.body));
    match (*page, post) {
        ("setup" | "pay", false) => shown(shared, id, &query, |intent| form_of(intent, "")),
        ("setup" | "pay", true) => given(shared, page, id, &query, &told, &back),
        ("token", false) => Reply::html(200, token_form("")),
        ("token", true) => token(shared, id, &told, &back),
        ("authenticate", false) => Reply::html(
            200,
            page_of(
                "Your bank asks",
                "<button name=outcome value=succeeded>It is me</button> <button name=outcome value=failed>It is not me</button>",
            ),
        ),
        ("authenticate", true) => answered(shared, id, told.text("outcome") != Some("failed"), &back),
        ("microdeposits", false) => shown(shared, id, &query, |_| deposits_form("")),
        ("microdeposits", true) => deposits(shared, id, &query, &told, &back),
        _ => Reply::html(404, "<h1>No such page</h1>".to_owned()),
    }
}

fn page_of(title: &str, inner: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>{0}</title>\
         <style>{STYLE}</style><h1>{0}</h1><p>This stands in for Stripe's form; only test numbers work.</p>\
         <form method=post>{inner}</form>",
        escape(title)
    )
}

fn choices(id: &str, of: &[(&str, &str)]) -> String {
    let mut out = format!("<datalist id={id}>");
    for (number, what) in of {
        // Writing to a string cannot fail.
        let _ = write!(out, "<option value=\"{number}\">{what}</option>");
    }
    out + "</datalist>"
}

fn method_fields(card: bool, bank: bool) -> String {
    let mut out = String::new();
    if card {
        let _ = write!(
            out,
            "<label>Card number <input name=number list=cards inputmode=numeric autocomplete=off></label>{}\
             <label>Month and year <input name=expiry value=\"12/2034\"></label>",
            choices("cards", &CARDS)
        );
    }
    if bank {
        let _ = write!(
            out,
            "<label>Bank account number <input name=account list=accounts inputmode=numeric autocomplete=off></label>{}\
             <label><input type=checkbox name=linked value=1 checked> Log in at the bank (else two small deposits prove the \
             account)</label>",
            choices("accounts", &ACCOUNTS)
        );
    }
    out
}

fn wrong(problem: &str) -> String {
    if problem.is_empty() { String::new() } else { format!("<p class=wrong role=alert>{}</p>", escape(problem)) }
}

fn form_of(intent: &Value, problem: &str) -> String {
    let admits =
        |kind: &str| intent["payment_method_types"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind)));
    let fields = method_fields(admits("card"), admits("us_bank_account"));
    let (title, button) = match intent["amount"].as_i64() {
        Some(cents) => (format!("Pay {}.{:02}", cents / 100, cents % 100), "Pay"),
        None => ("Keep a way to pay".to_owned(), "Keep"),
    };
    page_of(&title, &format!("{}{fields}<p><button>{button}</button></p>", wrong(problem)))
}

fn token_form(problem: &str) -> String {
    page_of("How do you pay?", &format!("{}{}<p><button>Go on</button></p>", wrong(problem), method_fields(true, true)))
}

fn deposits_form(problem: &str) -> String {
    let fields = "<label>First amount in cents <input name=first inputmode=numeric></label>\
                  <label>Second amount in cents <input name=second inputmode=numeric></label>\
                  <p>32 and 45 are right.</p><p><button>Verify</button></p>";
    page_of("Two small deposits", &format!("{}{fields}", wrong(problem)))
}

fn table(id: &str) -> Table {
    if id.starts_with("seti_") { Table::SetupIntents } else { Table::PaymentIntents }
}

/// An intent, to whoever holds its secret.
fn admitted(store: &Store, id: &str, query: &Params) -> Option<(String, Value)> {
    let (account, intent) = store.find(table(id), id)?;
    let secret = query.text("client_secret")?;
    (intent["client_secret"] == json!(secret)).then_some((account, intent))
}

fn shown(shared: &Arc<Shared>, id: &str, query: &Params, render: impl FnOnce(&Value) -> String) -> Reply {
    match shared.read(|store| admitted(store, id, query)) {
        Some((_, intent)) => Reply::html(200, render(&intent)),
        None => Reply::html(404, "<h1>No such intent, or not yours</h1>".to_owned()),
    }
}

/// What the person typed, as the parameters of Stripe's own script.
fn data(told: &Params) -> Value {
    if let Some(account) = told.text("account") {
        let mut bank =
            json!({"account_holder_type": "individual", "account_number": account, "routing_number": "110000000"});
        if told.text("linked").is_some() {
            bank["financial_connections_account"] = json!("fca_sandbox");
        }
        return json!({"type": "us_bank_account", "us_bank_account": bank});
    }
    let (month, year) = told.text("expiry").and_then(|text| text.split_once('/')).unwrap_or(("12", "2034"));
    let number = told.text("number").unwrap_or_default();
    json!({"type": "card", "card": {"number": number, "exp_month": month.trim(), "exp_year": year.trim()}})
}

fn go(back: &str, found: &[(&str, &str)], text: &str) -> Reply {
    if back.is_empty() {
        return Reply::html(200, page_of(text, ""));
    }
    let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(found).finish();
    let joint = if back.contains('?') { '&' } else { '?' };
    Reply::html(303, String::new()).with("Location", format!("{back}{joint}{pairs}"))
}

/// The words of a refusal, for the person.
fn words(refusal: StripeError) -> String {
    let reply = refusal.into_reply("req_page");
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    body["error"]["message"].as_str().unwrap_or("It did not work.").to_owned()
}

fn given(shared: &Arc<Shared>, page: &str, id: &str, query: &Params, told: &Params, back: &str) -> Reply {
    let base = shared.base_url.clone();
    let done = shared.change(|store| {
        let (account, intent) = admitted(store, id, query)?;
        let mut context = Context::internal(store, &account, &base);
        let params = Params(json!({"payment_method_data": data(told), "return_url": back}));
        let confirmed = if page == "setup" {
            setup_intents::confirm(&mut context, id, &params)
        } else {
            confirm::by_request(&mut context, id, &params)
        };
        Some(confirmed.map_err(|refusal| (intent, words(refusal))))
    });
    match done {
        Err(error) => unsaved(&error),
        Ok(None) => Reply::html(404, "<h1>No such intent, or not yours</h1>".to_owned()),
        Ok(Some(Err((intent, problem)))) => Reply::html(402, form_of(&intent, &problem)),
        Ok(Some(Ok(intent))) => {
            let next = &intent["next_action"];
            let url = next["redirect_to_url"]["url"].as_str();
            if let Some(url) = url.or_else(|| next["verify_with_microdeposits"]["hosted_verification_url"].as_str()) {
                return go(url, &[("return_url", back)], "");
            }
            finished(&intent, back)
        }
    }
}

fn finished(intent: &Value, back: &str) -> Reply {
    let status = intent["status"].as_str().unwrap_or_default();
    let kind = intent["object"].as_str().unwrap_or("payment_intent");
    let outcome = if matches!(status, "succeeded" | "processing") { "succeeded" } else { "failed" };
    let secret = intent["client_secret"].as_str().unwrap_or_default();
    let id = intent["id"].as_str().unwrap_or_default();
    go(back, &[(kind, id), (&format!("{kind}_client_secret"), secret), ("redirect_status", outcome)], status)
}

fn token(shared: &Arc<Shared>, account: &str, told: &Params, back: &str) -> Reply {
    let base = shared.base_url.clone();
    let done = shared.change(|store| {
        let mut context = Context::internal(store, account, &base);
        let params = Params(json!({"payment_method_data": data(told), "return_url": back}));
        confirmation_tokens::create(&mut context, &params).map_err(words)
    });
    match done {
        Err(error) => unsaved(&error),
        Ok(Err(problem)) => Reply::html(402, token_form(&problem)),
        Ok(Ok(token)) => {
            let id = token["id"].as_str().unwrap_or_default();
            go(back, &[("confirmation_token", id)], id)
        }
    }
}

fn answered(shared: &Arc<Shared>, id: &str, well: bool, back: &str) -> Reply {
    let done = shared.change(|store| {
        if table(id) == Table::SetupIntents {
            setup_intents::outside(store, id, well)
        } else {
            confirm::outside(store, id, confirm::Step::Authenticate, well, "")
        }
    });
    match done {
        Err(error) => unsaved(&error),
        Ok(None) => Reply::html(404, "<h1>Nothing waits for you here</h1>".to_owned()),
        Ok(Some(Err(why))) => Reply::html(409, page_of(&why, "")),
        Ok(Some(Ok(intent))) => finished(&intent, back),
    }
}

fn deposits(shared: &Arc<Shared>, id: &str, query: &Params, told: &Params, back: &str) -> Reply {
    let amounts = json!([told.text("first").unwrap_or_default(), told.text("second").unwrap_or_default()]);
    let done = shared.change(|store| {
        let (account, _) = admitted(store, id, query)?;
        let mut context = Context::internal(store, &account, "");
        Some(microdeposits::verify(&mut context, id, &Params(json!({"amounts": amounts}))).map_err(words))
    });
    match done {
        Err(error) => unsaved(&error),
        Ok(None) => Reply::html(404, "<h1>No such intent, or not yours</h1>".to_owned()),
        Ok(Some(Err(problem))) => Reply::html(402, deposits_form(&problem)),
        Ok(Some(Ok(intent))) => finished(&intent, back),
    }
}
