//! Balance transactions with Stripe's fees, in integer cents.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::lists;
use super::params::Params;
use crate::store::Table;

/// 2.9 % + 30, rounded half up.
fn card_fee(amount: i64) -> i64 {
    (amount * 29 + 500) / 1_000 + 30
}

/// 0.8 %, at most five dollars.
fn bank_fee(amount: i64) -> i64 {
    ((amount * 8 + 500) / 1_000).min(500)
}

pub(crate) fn of_charge(context: &mut Context<'_>, charge: &Value) -> Value {
    let amount = charge["amount"].as_i64().unwrap_or(0);
    let currency = &charge["currency"];
    let stripe = if charge["payment_method_details"]["type"] == json!("us_bank_account") {
        bank_fee(amount)
    } else {
        card_fee(amount)
    };
    let mut details = vec![json!({
        "amount": stripe, "application": null, "currency": currency, "description": "Stripe processing fees",
        "type": "stripe_fee",
    })];
    let mut fee = stripe;
    if let Some(application) = charge["application_fee_amount"].as_i64().filter(|fee| *fee > 0) {
        fee += application;
        details.push(json!({
            "amount": application, "application": "ca_sandbox", "currency": currency,
            "description": "Propty sandbox application fee", "type": "application_fee",
        }));
    }
    record(context, charge, amount, fee, &json!(details), "charge")
}

pub(crate) fn of_refund(context: &mut Context<'_>, refund: &Value) -> Value {
    let amount = refund["amount"].as_i64().unwrap_or(0);
    record(context, refund, -amount, 0, &json!([]), "refund")
}

pub(crate) fn of_failed_refund(context: &mut Context<'_>, refund: &Value) -> Value {
    let amount = refund["amount"].as_i64().unwrap_or(0);
    record(context, refund, amount, 0, &json!([]), "refund_failure")
}

fn record(context: &mut Context<'_>, source: &Value, amount: i64, fee: i64, details: &Value, kind: &str) -> Value {
    let id = context.store.new_id("txn_");
    let now = context.now();
    let transaction = json!({
        "amount": amount,
        "available_on": now + 2 * 24 * 60 * 60,
        "balance_type": "payments",
        "created": now,
        "currency": source["currency"],
        "description": source["description"],
        "exchange_rate": null,
        "fee": fee,
        "fee_details": details,
        "id": id,
        "net": amount - fee,
        "object": "balance_transaction",
        "reporting_category": kind,
        "source": source["id"],
        "status": "pending",
        "type": kind,
    });
    context.put(Table::BalanceTransactions, &transaction);
    transaction
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context.get(Table::BalanceTransactions, id).ok_or_else(|| StripeError::not_found("balance transaction", id, "id"))
}

pub(crate) fn list(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[&lists::CURSOR[..], &["source", "type", "currency", "payout"]].concat())?;
    let wanted = |object: &Value, name: &str| params.text(name).is_none_or(|text| object[name] == json!(text));
    let objects = context
        .store
        .of(Table::BalanceTransactions, context.account)
        .map(|(_, object)| object)
        .filter(|object| wanted(object, "source") && wanted(object, "type") && wanted(object, "currency"))
        .cloned();
    lists::page(params, "/v1/balance_transactions", objects)
}

#[cfg(test)]
mod tests {
    use super::{bank_fee, card_fee};

    #[test]
    fn fees_round_half_up() {
        assert_eq!(card_fee(25_000), 755);
        assert_eq!(card_fee(50), 31);
        assert_eq!(card_fee(1_000), 59);
        assert_eq!(bank_fee(10_000), 80);
        assert_eq!(bank_fee(10_000_000), 500);
    }
}
