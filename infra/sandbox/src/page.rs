//! The page that shows what was sent; everything foreign in it is escaped.

use std::fmt::Write as _;

use serde_json::Value;

use crate::shared::{Shared, hold};
use crate::store::{Store, Table};

/// The newest of each kind; the switchboard has the rest.
const SHOWN: usize = 50;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222;\
background:#fafafa}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%;\
background:#fff}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e4e4e4;vertical-align:top}\
th{font-weight:600;color:#666}iframe{width:100%;height:22rem;border:1px solid #ddd;background:#fff}pre{white-space:pre-wrap;\
overflow-wrap:anywhere;background:#f2f2f2;padding:.6rem}code{font-size:.85em}.none{color:#888}\
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}table{background:#202020}td,th{border-color:#333}\
pre{background:#252525}}";

pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escape(text),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => escape(&other.to_string()),
    }
}

fn money(object: &Value, field: &str) -> String {
    let cents = object[field].as_i64().unwrap_or(0);
    let sign = if cents < 0 { "-" } else { "" };
    let (whole, part) = (cents.abs() / 100, cents.abs() % 100);
    format!("{sign}{whole}.{part:02} {}", shown(&object["currency"]).to_uppercase())
}

fn table(out: &mut String, title: &str, columns: &[&str], rows: &[Vec<String>]) {
    // Writing to a string cannot fail, here and below.
    let _ = write!(out, "<h2>{title}</h2>");
    if rows.is_empty() {
        out.push_str("<p class=none>none yet</p>");
        return;
    }
    out.push_str("<table><tr>");
    for column in columns {
        let _ = write!(out, "<th>{column}</th>");
    }
    out.push_str("</tr>");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{cell}</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>");
}

pub(crate) fn render(shared: &Shared) -> String {
    let mut out = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Sandbox</title><meta name=viewport \
         content=\"width=device-width\"><style>{STYLE}</style></head><body><h1>What the sandbox was asked to do</h1>\
         <p>Stripe, Resend and Twilio stop here: nothing on this page left the machine.</p>"
    );
    shared.read(|store| {
        emails(&mut out, store);
        messages(&mut out, store);
        payments(&mut out, store);
        refunds(&mut out, store);
        setups(&mut out, store);
        disputes(&mut out, store);
        payouts(&mut out, store);
        accounts(&mut out, store);
    });
    webhooks(&mut out, shared);
    faults(&mut out, shared);
    out.push_str("<p>As JSON: <a href=\"/switchboard\">/switchboard</a>, <a href=\"/switchboard/journal\">journal</a></p></body></html>");
    out
}

fn emails(out: &mut String, store: &Store) {
    let rows: Vec<_> = store
        .all(Table::Emails)
        .rev()
        .take(SHOWN)
        .map(|(_, mail)| {
            let html = mail["html"].as_str().map_or_else(String::new, |html| {
                // Sandboxed without any permission: no scripts, no forms, no way to this page's origin.
                format!("<iframe sandbox loading=lazy srcdoc=\"{}\"></iframe>", escape(html))
            });
            let text = mail["text"].as_str().map_or_else(String::new, |text| format!("<pre>{}</pre>", escape(text)));
            vec![
                shown(&mail["created_at"]),
                shown(&mail["to"]),
                format!("<details><summary>{}</summary>{html}{text}</details>", shown(&mail["subject"])),
                shown(&mail["last_event"]),
            ]
        })
        .collect();
    table(out, "E-mails", &["sent", "to", "subject", "status"], &rows);
}

fn messages(out: &mut String, store: &Store) {
    let mut newest: Vec<&Value> = store.all(Table::Messages).map(|(_, row)| row).collect();
    newest.sort_by_key(|row| std::cmp::Reverse(row["created"].as_i64()));
    let rows: Vec<_> = newest
        .into_iter()
        .take(SHOWN)
        .map(|row| {
            let text = &row["message"];
            let phone = if text["direction"] == "inbound" { &text["from"] } else { &text["to"] };
            let link = format!("<a href=\"/phone/{0}\">{0}</a>", shown(phone));
            let [sent, body, direction, status] =
                ["date_created", "body", "direction", "status"].map(|name| shown(&text[name]));
            vec![sent, link, body, direction, status]
        })
        .collect();
    table(out, "Texts", &["sent", "phone", "text", "direction", "status"], &rows);
}

fn newest(store: &Store, kind: Table) -> Vec<(&str, &Value)> {
    let mut rows: Vec<(&str, &Value)> =
        store.all(kind).filter_map(|(key, row)| Some((key.split_once('/')?.0, row))).collect();
    rows.sort_by(|(_, a), (_, b)| b["id"].as_str().cmp(&a["id"].as_str()));
    rows.truncate(SHOWN);
    rows
}

fn payments(out: &mut String, store: &Store) {
    let rows: Vec<_> = newest(store, Table::PaymentIntents)
        .into_iter()
        .map(|(account, intent)| {
            let trouble = &intent["last_payment_error"];
            vec![
                format!("<code>{}</code>", shown(&intent["id"])),
                escape(account),
                money(intent, "amount"),
                shown(&intent["description"]),
                format!("{} {}", shown(&intent["status"]), shown(&trouble["decline_code"])),
            ]
        })
        .collect();
    table(out, "Payments", &["id", "account", "amount", "for", "status"], &rows);
}

fn refunds(out: &mut String, store: &Store) {
    let rows: Vec<_> = newest(store, Table::Refunds)
        .into_iter()
        .map(|(account, refund)| {
            vec![
                format!("<code>{}</code>", shown(&refund["id"])),
                escape(account),
                money(refund, "amount"),
                format!("<code>{}</code>", shown(&refund["payment_intent"])),
                shown(&refund["status"]),
            ]
        })
        .collect();
    table(out, "Refunds", &["id", "account", "amount", "of", "status"], &rows);
}

fn setups(out: &mut String, store: &Store) {
    let rows: Vec<_> = newest(store, Table::SetupIntents)
        .into_iter()
        .map(|(account, intent)| {
            let trouble = &intent["last_setup_error"];
            vec![
                format!("<code>{}</code>", shown(&intent["id"])),
                escape(account),
                shown(&intent["payment_method_types"]),
                format!("<code>{}</code>", shown(&intent["payment_method"])),
                format!("{} {}", shown(&intent["status"]), shown(&trouble["code"])),
            ]
        })
        .collect();
    table(out, "Kept methods", &["id", "account", "kind", "method", "status"], &rows);
}

fn disputes(out: &mut String, store: &Store) {
    let rows: Vec<_> = newest(store, Table::Disputes)
        .into_iter()
        .map(|(account, dispute)| {
            vec![
                format!("<code>{}</code>", shown(&dispute["id"])),
                escape(account),
                money(dispute, "amount"),
                shown(&dispute["reason"]),
                shown(&dispute["status"]),
            ]
        })
        .collect();
    table(out, "Disputes and returns", &["id", "account", "amount", "reason", "status"], &rows);
}

fn payouts(out: &mut String, store: &Store) {
    let rows: Vec<_> = newest(store, Table::Payouts)
        .into_iter()
        .map(|(account, payout)| {
            vec![
                format!("<code>{}</code>", shown(&payout["id"])),
                escape(account),
                money(payout, "amount"),
                format!("{} {}", shown(&payout["status"]), shown(&payout["failure_code"])),
            ]
        })
        .collect();
    table(out, "Payouts", &["id", "account", "amount", "status"], &rows);
}

fn accounts(out: &mut String, store: &Store) {
    let rows: Vec<_> = store
        .all(Table::Accounts)
        .take(SHOWN)
        .map(|(id, row)| {
            let account = &row["object"];
            vec![
                format!("<code>{}</code>", escape(id)),
                shown(&account["business_profile"]["name"]),
                shown(&account["charges_enabled"]),
                shown(&account["payouts_enabled"]),
                if row["deauthorized"] == Value::Bool(true) { "deauthorized".to_owned() } else { String::new() },
            ]
        })
        .collect();
    table(out, "Connected accounts", &["id", "name", "charges", "payouts", ""], &rows);
}

fn webhooks(out: &mut String, shared: &Shared) {
    let journal = hold(&shared.journal);
    let rows: Vec<_> = journal
        .entries()
        .rev()
        .filter(|entry| entry["direction"] != "received")
        .take(SHOWN)
        .map(|entry| {
            let result = if entry["direction"] == "dropped" {
                "dropped by a fault".to_owned()
            } else {
                format!("{}{}", shown(&entry["status"]), shown(&entry["error"]))
            };
            vec![
                shown(&entry["at"]),
                shown(&entry["provider"]),
                shown(&entry["event_type"]),
                shown(&entry["attempt"]),
                shown(&entry["fault"]),
                result,
            ]
        })
        .collect();
    table(out, "Webhooks", &["at", "from", "event", "attempt", "fault", "answer"], &rows);
}

fn faults(out: &mut String, shared: &Shared) {
    let rows: Vec<_> = hold(&shared.faults)
        .listed()
        .iter()
        .map(|entry| vec![shown(&entry["id"]), shown(&entry["fault"]), shown(&entry["left"]), shown(&entry["struck"])])
        .collect();
    table(out, "Faults", &["id", "fault", "left", "struck"], &rows);
}
