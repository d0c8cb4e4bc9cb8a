//! Stripe's part of the switchboard over HTTP.

use serde_json::{Value, json};

use crate::http::Reply;
use crate::switchboard::Switchboard;
use crate::switchboard_http::{done, refused};

/// `path` is what follows `/switchboard/stripe/`.
pub(crate) fn act(board: &Switchboard, path: &[&str], body: &Value) -> Reply {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let well = !matches!(text("outcome"), "failed" | "fail" | "failure");
    let currency = body["currency"].as_str().unwrap_or("usd");
    match path {
        ["accounts", id] => done(board.update_account(id, body)),
        ["accounts", id, "onboard"] => done(board.finish_onboarding(id)),
        ["accounts", id, "deauthorize"] => done(board.deauthorize(id).map(|()| json!({}))),
        ["accounts", id, "reauthorize"] => done(board.reauthorize(id)),
        ["payment_intents" | "setup_intents", id, "authenticate"] => done(board.authenticate(id, well)),
        ["payment_intents", id, "settle"] if !text("failure_code").is_empty() => {
            done(board.fail_debit(id, text("failure_code")))
        }
        ["payment_intents", id, "settle"] => done(board.settle(id, well)),
        ["payment_intents" | "charges", id, "dispute"] => done(board.dispute(id, body)),
        ["disputes", id] => done(board.settle_dispute(id, text("status"))),
        ["refunds", id] => done(board.settle_refund(id, text("status"), text("failure_reason"))),
        ["payouts"] => match body["amount"].as_i64() {
            Some(amount) => done(board.pay_out(text("account"), amount, currency)),
            None => done(board.pay_out_available(text("account"), currency)),
        },
        ["payouts", id] => done(board.settle_payout(id, text("status"), text("failure_code"))),
        ["payment_methods", id, "card"] => done(board.update_card(id, body)),
        ["payment_methods", id, "detach"] => done(board.detach_method(id)),
        ["payment_methods", id, "behave"] => {
            done(board.behave(id, text("as"), body["times"].as_i64()).map(|()| json!({})))
        }
        ["payment_methods" | "mandates", id, "revoke"] => done(board.revoke_mandate(id)),
        ["balance_transactions"] => done(board.plant_balance_transaction(text("account"), body)),
        ["balance_transactions", id] => done(board.falsify_balance_transaction(id, body)),
        ["rate_limit"] => {
            board.limit_rate(body["per_second"].as_u64());
            Reply::json(200, &board.rate())
        }
        ["ach"] => match body["days"].as_i64().filter(|days| *days >= 0) {
            Some(days) => done(board.set_ach_days(days).map(|()| json!({"days": days}))),
            None => refused(400, "days is missing"),
        },
        _ => refused(404, "no such switch"),
    }
}
