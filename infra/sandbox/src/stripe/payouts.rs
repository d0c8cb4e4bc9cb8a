//! Payouts, which only the switchboard makes.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::lists;
use super::params::Params;
use crate::store::{Store, Table};

pub(crate) fn create(store: &mut Store, account: &str, amount: i64, currency: &str) -> Value {
    let mut context = Context::internal(store, account, "");
    let id = context.store.new_id("po_");
    let now = context.now();
    let payout = json!({
        "amount": amount,
        "application_fee": null,
        "application_fee_amount": null,
        "arrival_date": now + 2 * 24 * 60 * 60,
        "automatic": true,
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
        "reconciliation_status": "in_progress",
        "reversed_by": null,
        "source_type": "card",
        "statement_descriptor": null,
        "status": "in_transit",
        "trace_id": null,
        "type": "bank_account",
    });
    context.put(Table::Payouts, &payout);
    context.emit("payout.created", &payout);
    payout
}

/// `paid`, `failed` or `canceled`.
pub(crate) fn settle(store: &mut Store, id: &str, status: &str, failure: &str) -> Option<Result<Value, String>> {
    let (account, mut payout) = store.find(Table::Payouts, id)?;
    if !matches!(status, "paid" | "failed" | "canceled") {
        return Some(Err("the status must be paid, failed or canceled".to_owned()));
    }
    let mut context = Context::internal(store, &account, "");
    payout["status"] = json!(status);
    if status == "failed" {
        payout["failure_code"] = json!(failure);
    }
    if status == "paid" {
        payout["reconciliation_status"] = json!("completed");
    }
    context.put(Table::Payouts, &payout);
    context.emit(&format!("payout.{status}"), &payout);
    if status == "paid" {
        context.emit("payout.reconciliation_completed", &payout);
    }
    Some(Ok(payout))
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
