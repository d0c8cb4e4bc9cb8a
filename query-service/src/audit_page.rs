//! The audit trail for spreadsheets, and for print.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    audit_trail::{Trail, shown},
    csv,
    reference::escape,
};

const COLUMNS: &[&str] = &[
    "position",
    "at",
    "stream",
    "stream_id",
    "version",
    "event",
    "actor",
    "role",
    "command",
    "cause",
    "body.resident_id",
    "body.number",
    "body.source",
    "body.scope",
    "body.cause",
    "body.disclosure.version",
    "body.disclosure.sha256",
    "body.checkbox.before",
    "body.checkbox.after",
    "body.evidence.actor",
    "body.evidence.session.session_id",
    "body.evidence.session.method",
    "body.evidence.address",
    "body.evidence.user_agent",
    "body.evidence.at",
    "body.evidence.zone",
    "body.evidence.locale",
    "body.reading",
    "body.body",
    "body.text_id",
    "body.consent",
    "body.authority",
    "body.grounds.consent",
    "body.grounds.policy",
    "body.grounds.local_time",
    "body.reason",
    "body.segments",
    "body.provider_id",
    "body.code",
];

/// A line per event.
pub fn csv(trail: &Trail) -> String {
    trail
        .events
        .iter()
        .map(|event| csv::line(COLUMNS, &shown(event)))
        .fold(csv::header(COLUMNS), |all, line| all + &line)
}

const STYLE: &str = "body{font:14px/1.4 Georgia,serif;margin:2rem;color:#111}table{border-collapse:collapse;width:100%;margin:1rem 0}\
td,th{border:1px solid #999;padding:.25rem .4rem;text-align:left;vertical-align:top;font-size:12px}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:11px;margin:0}@media print{tr{break-inside:avoid}}";

/// A page that needs nothing from elsewhere.
pub fn html(about: &Value, trail: &Trail, since: Option<DateTime<Utc>>) -> String {
    let mut page = String::new();
    let whole = trail.json(about, since);
    let subject = escape(about["subject"].as_str().unwrap_or_default());
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Consent and texts: {subject}</title>\
         <style>{STYLE}</style></head><body><h1>Consent and texts: {subject}</h1><p>As of position {} of the log",
        about["position"]
    );
    if let Some(at) = about["at"].as_str() {
        let _ = write!(page, ", up to {}", escape(at));
    }
    page.push_str(". Times are UTC.</p>");
    let list = |page: &mut String, title: &str, rows: &Value, columns: &[&str]| {
        let _ = write!(page, "<h2>{title}</h2><table><tr>");
        for column in columns {
            let _ = write!(page, "<th>{}</th>", column.replace('_', " "));
        }
        page.push_str("</tr>");
        for row in rows.as_array().into_iter().flatten() {
            page.push_str("<tr>");
            for column in columns {
                let _ = write!(page, "<td>{}</td>", cell(&row[*column]));
            }
            page.push_str("</tr>");
        }
        page.push_str("</table>");
    };
    list(
        &mut page,
        "Consent",
        &whole["state"]["consents"],
        &[
            "resident_id",
            "badge",
            "status",
            "number",
            "granted_at",
            "source",
            "ended_at",
            "end_source",
            "end_cause",
            "disclosure_version",
            "disclosure_sha256",
        ],
    );
    list(
        &mut page,
        "Texts",
        &whole["state"]["texts"],
        &[
            "text_id",
            "kind",
            "class",
            "status",
            "reason",
            "consent",
            "policy",
            "local_time",
            "submitted_at",
            "delivered_at",
            "cause",
        ],
    );
    if since.is_some() {
        list(&mut page, "Changes", &whole["differences"]["changes"], &["stream", "id", "field", "before", "after"]);
    }
    list(&mut page, "Events", &whole["events"], &["position", "at", "event", "version", "actor", "role", "body"]);
    page + "</body></html>\n"
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escape(text),
        Value::Object(_) | Value::Array(_) => {
            format!("<pre>{}</pre>", escape(&serde_json::to_string_pretty(value).unwrap_or_default()))
        }
        other => other.to_string(),
    }
}
