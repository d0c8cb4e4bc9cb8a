//! The switchboard as JSON over HTTP.

use std::sync::Arc;
use std::time::Duration;

use poem::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::{Provider, WebhookTarget};
use crate::faults::Fault;
use crate::http::{Call, Reply};
use crate::shared::Shared;
use crate::switchboard::{Switchboard, SwitchboardError};
use crate::switchboard_stripe_http;

const FLUSH_MS: u64 = 30_000;

#[derive(Deserialize)]
struct Aim {
    provider: Provider,
    #[serde(flatten)]
    target: WebhookTarget,
}

pub(crate) async fn serve(shared: &Arc<Shared>, call: &Call) -> Reply {
    let board = Switchboard::new(shared.clone());
    let body = if call.body.is_empty() {
        json!({})
    } else {
        match serde_json::from_slice::<Value>(&call.body) {
            Ok(body) => body,
            Err(error) => return refused(400, &format!("the body is not JSON: {error}")),
        }
    };
    let segments = call.segments();
    let path = segments.get(1..).unwrap_or_default();
    match call.method {
        Method::GET => look(&board, path),
        Method::DELETE => take_back(&board, path),
        Method::POST if path == ["flush"] => {
            let within = body["timeout_ms"].as_u64().unwrap_or(FLUSH_MS);
            let left = board.flush(Duration::from_millis(within)).await;
            Reply::json(200, &json!({"undelivered": left}))
        }
        Method::POST => act(&board, path, &body),
        _ => refused(405, "the switchboard knows GET, POST and DELETE"),
    }
}

pub(crate) fn refused(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"message": message}))
}

pub(crate) fn done(result: Result<Value, SwitchboardError>) -> Reply {
    match result {
        Ok(value) => Reply::json(200, &value),
        Err(error @ SwitchboardError::NotFound(_)) => refused(404, &error.to_string()),
        Err(error @ SwitchboardError::Refused(_)) => refused(409, &error.to_string()),
        Err(error @ SwitchboardError::State(_)) => refused(500, &error.to_string()),
    }
}

fn look(board: &Switchboard, path: &[&str]) -> Reply {
    match path {
        [] => Reply::json(200, &board.state()),
        ["journal"] => Reply::json(200, &json!(board.journal())),
        ["faults"] => Reply::json(200, &json!(board.faults())),
        ["stripe", "rate_limit"] => Reply::json(200, &board.rate()),
        [provider @ ("stripe" | "resend" | "twilio"), kind] if owner(kind) == Some(provider) => {
            match board.objects(kind) {
                Some(objects) => Reply::json(200, &json!(objects)),
                None => refused(404, "no such list"),
            }
        }
        _ => refused(404, "no such page of the switchboard"),
    }
}

fn owner(kind: &str) -> Option<&'static str> {
    match kind {
        "emails" | "suppressions" => Some("resend"),
        "messages" | "opt_outs" => Some("twilio"),
        "accounts"
        | "balance_transactions"
        | "charges"
        | "confirmation_tokens"
        | "customers"
        | "disputes"
        | "events"
        | "mandates"
        | "payment_intents"
        | "payment_methods"
        | "payouts"
        | "refunds"
        | "setup_intents" => Some("stripe"),
        _ => None,
    }
}

fn take_back(board: &Switchboard, path: &[&str]) -> Reply {
    match path {
        ["faults"] => board.clear_faults(),
        ["faults", id] => match id.parse() {
            Ok(id) => board.forget_fault(id),
            Err(_) => return refused(404, "no such fault"),
        },
        ["journal"] => board.clear_journal(),
        ["stripe", "balance_transactions", id] => return done(board.hide_balance_transaction(id)),
        ["stripe", "rate_limit"] => board.limit_rate(None),
        _ => return refused(404, "nothing to delete there"),
    }
    Reply::json(200, &json!({}))
}

fn act(board: &Switchboard, path: &[&str], body: &Value) -> Reply {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    match path {
        ["faults"] => match serde_json::from_value::<Fault>(body.clone()) {
            Ok(fault) => Reply::json(200, &json!({"id": board.script(fault)})),
            Err(error) => refused(400, &format!("not a fault: {error}")),
        },
        ["webhooks", "replay", event] => done(board.replay(event).map(|()| json!({}))),
        ["webhooks", "target"] => match serde_json::from_value::<Aim>(body.clone()) {
            Ok(aim) => {
                board.aim(aim.provider, aim.target);
                Reply::json(200, &json!({}))
            }
            Err(error) => refused(400, &format!("not a target: {error}")),
        },
        ["clock"] => match (body["offset_seconds"].as_i64(), body["advance_seconds"].as_i64()) {
            (Some(seconds), _) => done(board.set_clock_offset(seconds).map(|()| json!({"offset_seconds": seconds}))),
            (None, Some(seconds)) => done(board.advance(seconds).map(|()| board.state()["state"].clone())),
            (None, None) => refused(400, "offset_seconds or advance_seconds is missing"),
        },
        ["stripe", rest @ ..] => switchboard_stripe_http::act(board, rest, body),
        ["resend", "emails", id] => done(board.email_event(id, text("event"))),
        ["twilio", "inbound"] => done(board.incoming_text(text("from"), text("body"))),
        ["twilio", "stop_words"] => done(board.answer_stop_words(text("answered"))),
        ["twilio", "numbers", number] => done(board.script_number(number, body)),
        ["twilio", "messages", sid] => {
            let code = body["error_code"].as_u64().and_then(|code| u32::try_from(code).ok());
            done(board.message_status(sid, text("status"), code))
        }
        _ => refused(404, "no such switch"),
    }
}
