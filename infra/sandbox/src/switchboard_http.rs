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

fn refused(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"message": message}))
}

fn done(result: Result<Value, SwitchboardError>) -> Reply {
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
        "messages" => Some("twilio"),
        "accounts"
        | "balance_transactions"
        | "charges"
        | "confirmation_tokens"
        | "customers"
        | "events"
        | "payment_intents"
        | "payment_methods"
        | "payouts"
        | "refunds" => Some("stripe"),
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
        _ => return refused(404, "nothing to delete there"),
    }
    Reply::json(200, &json!({}))
}

fn act(board: &Switchboard, path: &[&str], body: &Value) -> Reply {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let well = !matches!(text("outcome"), "failed" | "fail" | "failure");
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
        ["clock"] => match body["offset_seconds"].as_i64() {
            Some(seconds) => done(board.set_clock_offset(seconds).map(|()| json!({"offset_seconds": seconds}))),
            None => refused(400, "offset_seconds is missing"),
        },
        ["stripe", "accounts", id] => done(board.update_account(id, body)),
        ["stripe", "accounts", id, "onboard"] => done(board.finish_onboarding(id)),
        ["stripe", "accounts", id, "deauthorize"] => done(board.deauthorize(id).map(|()| json!({}))),
        ["stripe", "payment_intents", id, "authenticate"] => done(board.authenticate(id, well)),
        ["stripe", "payment_intents", id, "settle"] => done(board.settle(id, well)),
        ["stripe", "refunds", id] => done(board.settle_refund(id, text("status"), text("failure_reason"))),
        ["stripe", "payouts"] => match body["amount"].as_i64() {
            Some(amount) => done(board.pay_out(text("account"), amount, body["currency"].as_str().unwrap_or("usd"))),
            None => refused(400, "amount is missing"),
        },
        ["stripe", "payouts", id] => done(board.settle_payout(id, text("status"), text("failure_code"))),
        ["resend", "emails", id] => done(board.email_event(id, text("event"))),
        ["twilio", "messages", sid] => {
            let code = body["error_code"].as_u64().and_then(|code| u32::try_from(code).ok());
            done(board.message_status(sid, text("status"), code))
        }
        _ => refused(404, "no such switch"),
    }
}
