//! Payouts, which only the switchboard makes.

use serde_json::{Value, json};

use super::balance;
use super::context::Context;
use super::due;
use super::errors::StripeError;
use super::lists;
use super::params::Params;
use crate::store::{Store, Table};

const ARRIVING: i64 = 2 * 24 * 60 * 60;

/// Pays out the amount, or everything that is available and has not left yet.
pub(crate) fn create(store: &mut Store, account: &str, amount: Option<i64>, currency: &str) -> Result<Value, String> {
    let mut context = Context::internal(store, account, "");
    let (automatic, taken) = (amount.is_none(), if amount.is_none() { ripe(&context, currency) } else { Vec::new() });
    let amount = amount.unwrap_or_else(|| taken.iter().map(|(_, net)| net).sum());
    if amount < 1 {
        return Err(format!("there is nothing to pay out in {currency}: {amount}"));
    }
    let id = context.store.new_id("po_");
    let now = context.now();
    let mut payout = json!({
        "amount": amount,
        "application_fee": null,
        "application_fee_amount": null,
        "arrival_date": now + ARRIVING,
        "automatic": automatic,
        "balance_transaction": null,
        "created": now,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": "ba_sandbox",
        "failure_balance_transaction": null,
        "failure_code": null,
        "failure_message": null,
        "id": id,
        "livemode": false,
        "metadata": {},
        "method": "standard",
        "object": "payout",
        "original_payout": null,
        "payout_method": null,
        "reconciliation_status": if automatic { "in_progress" } else { "not_applicable" },
        "reversed_by": null,
        "source_type": "card",
        "statement_descriptor": null,
        "status": "in_transit",
        "trace_id": null,
        "type": "bank_account",
    });
    let moved = balance::of_payout(&mut context, &payout, "payout");
    payout["balance_transaction"] = moved["id"].clone();
    context.put(Table::Payouts, &payout);
    if automatic {
        let own = moved["id"].as_str().unwrap_or_default().to_owned();
        for transaction in taken.into_iter().map(|(transaction, _)| transaction).chain([own]) {
            context.put_row(Table::PaidOut, &transaction, json!(id));
        }
    }
    due::put(&mut context, now + ARRIVING, due::Step::PayOut, &id);
    context.emit("payout.created", &payout);
    Ok(payout)
}

/// What is available and has not left yet: ids and nets.
fn ripe(context: &Context<'_>, currency: &str) -> Vec<(String, i64)> {
    let now = context.now();
    context
        .store
        .of(Table::BalanceTransactions, context.account)
        .filter(|(key, transaction)| {
            transaction["currency"] == json!(currency)
                && transaction["available_on"].as_i64().is_none_or(|day| day <= now)
                && context.store.get(Table::PaidOut, key).is_none()
        })
        .filter_map(|(_, transaction)| Some((transaction["id"].as_str()?.to_owned(), transaction["net"].as_i64()?)))
        .collect()
}

/// The day has come on which the bank has the money, unless something happened before.
pub(crate) fn arrive(context: &mut Context<'_>, id: &str) {
    if let Some(payout) = context.get(Table::Payouts, id).filter(|payout| payout["status"] == json!("in_transit")) {
        finish(context, payout, "paid", "");
    }
}

/// `paid`, `failed` or `canceled`.
pub(crate) fn settle(store: &mut Store, id: &str, status: &str, failure: &str) -> Option<Result<Value, String>> {
    let (account, payout) = store.find(Table::Payouts, id)?;
    if !matches!(status, "paid" | "failed" | "canceled") {
        return Some(Err("the status must be paid, failed or canceled".to_owned()));
    }
    let before = payout["status"].as_str().unwrap_or_default();
    // A bank may send back even what was paid.
    if matches!(before, "failed" | "canceled") || (before == "paid" && status != "failed") {
        return Some(Err(format!("the payout is {before} already")));
    }
    let mut context = Context::internal(store, &account, "");
    Some(Ok(finish(&mut context, payout, status, failure)))
}

fn finish(context: &mut Context<'_>, mut payout: Value, status: &str, failure: &str) -> Value {
    payout["status"] = json!(status);
    match status {
        "paid" if payout["automatic"] == json!(true) => payout["reconciliation_status"] = json!("completed"),
        "failed" => {
            let code = if failure.is_empty() { "account_closed" } else { failure };
            payout["failure_code"] = json!(code);
            payout["failure_message"] = json!("The bank could not take the payout.");
            payout["failure_balance_transaction"] =
                balance::of_payout(context, &payout, "payout_failure")["id"].clone();
        }
        "canceled" => {
            payout["failure_balance_transaction"] = balance::of_payout(context, &payout, "payout_cancel")["id"].clone();
        }
        _ => {}
    }
    context.put(Table::Payouts, &payout);
    context.emit(&format!("payout.{status}"), &payout);
    if payout["reconciliation_status"] == json!("completed") && status == "paid" {
        context.emit("payout.reconciliation_completed", &payout);
    }
    payout
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context.get(Table::Payouts, id).ok_or_else(|| StripeError::not_found("payout", id, "id"))
}

pub(crate) fn list(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[&lists::CURSOR[..], &["status"]].concat())?;
    let status = params.text("status");
    let objects = context
        .store
        .of(Table::Payouts, context.account)
        .map(|(_, object)| object)
        .filter(|object| status.is_none_or(|status| object["status"] == json!(status)))
        .cloned();
    lists::page(params, "/v1/payouts", objects)
}
