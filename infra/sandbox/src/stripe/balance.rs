//! Balance transactions with Stripe's fees, in integer cents.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::lists;
use super::params::Params;
use super::payment_methods::is_bank;
use crate::store::{Store, Table};

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
    let bank = is_bank(&charge["payment_method_details"]);
    let stripe = if bank { bank_fee(amount) } else { card_fee(amount) };
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
    let kind = if bank { "payment" } else { "charge" };
    let entry = Entry { amount, fee, details: json!(details), kind, category: "charge", later: SETTLING };
    record(context, charge, &entry)
}

pub(crate) fn of_refund(context: &mut Context<'_>, refund: &Value) -> Value {
    let amount = refund["amount"].as_i64().unwrap_or(0);
    let bank = refund["destination_details"]["type"] == json!("us_bank_transfer");
    let kind = if bank { "payment_refund" } else { "refund" };
    record(context, refund, &Entry::plain(-amount, kind, "refund"))
}

pub(crate) fn of_failed_refund(context: &mut Context<'_>, refund: &Value) -> Value {
    let amount = refund["amount"].as_i64().unwrap_or(0);
    record(context, refund, &Entry::plain(amount, "refund_failure", "refund_failure"))
}

pub(crate) fn of_dispute(
    context: &mut Context<'_>,
    dispute: &Value,
    amount: i64,
    fee: i64,
    category: &'static str,
) -> Value {
    let details = if fee == 0 {
        json!([])
    } else {
        json!([{"amount": fee, "application": null, "currency": dispute["currency"], "description": "Dispute fee",
            "type": "stripe_fee"}])
    };
    record(context, dispute, &Entry { fee, details, ..Entry::plain(amount, "adjustment", category) })
}

/// `payout` (money leaves), `payout_failure` or `payout_cancel` (it comes back).
pub(crate) fn of_payout(context: &mut Context<'_>, payout: &Value, kind: &'static str) -> Value {
    let amount = payout["amount"].as_i64().unwrap_or(0);
    let amount = if kind == "payout" { -amount } else { amount };
    record(context, payout, &Entry::plain(amount, kind, if kind == "payout" { "payout" } else { "payout_reversal" }))
}

const SETTLING: i64 = 2 * 24 * 60 * 60;

struct Entry {
    amount: i64,
    fee: i64,
    details: Value,
    kind: &'static str,
    category: &'static str,
    /// Seconds until it is available.
    later: i64,
}

impl Entry {
    fn plain(amount: i64, kind: &'static str, category: &'static str) -> Self {
        Self { amount, fee: 0, details: json!([]), kind, category, later: 0 }
    }
}

fn record(context: &mut Context<'_>, source: &Value, entry: &Entry) -> Value {
    let id = context.store.new_id("txn_");
    let now = context.now();
    let transaction = json!({
        "amount": entry.amount,
        "available_on": now + entry.later,
        "balance_type": "payments",
        "created": now,
        "currency": source["currency"],
        "description": source["description"],
        "exchange_rate": null,
        "fee": entry.fee,
        "fee_details": entry.details,
        "id": id,
        "net": entry.amount - entry.fee,
        "object": "balance_transaction",
        "reporting_category": entry.category,
        "source": source["id"],
        "status": if entry.later > 0 { "pending" } else { "available" },
        "type": entry.kind,
    });
    context.put(Table::BalanceTransactions, &transaction);
    transaction
}

/// As Stripe shows it now: what was pending becomes available when its day has come.
pub(crate) fn shown(mut transaction: Value, now: i64) -> Value {
    let available = transaction["available_on"].as_i64().is_none_or(|day| day <= now);
    transaction["status"] = json!(if available { "available" } else { "pending" });
    transaction
}

/// A movement that no object of ours explains, as a test of the reconciliation plants it.
pub(crate) fn plant(store: &mut Store, account: &str, wish: &Value) -> Result<Value, String> {
    let Some(amount) = wish["amount"].as_i64() else { return Err("amount is missing".to_owned()) };
    let fee = wish["fee"].as_i64().unwrap_or(0);
    let text = |name: &str, other: &str| wish[name].as_str().unwrap_or(other).to_owned();
    let mut context = Context::internal(store, account, "");
    let source = json!({"currency": text("currency", "usd"), "description": wish["description"], "id": wish["source"]});
    let mut planted =
        record(&mut context, &source, &Entry { fee, ..Entry::plain(amount, "adjustment", "other_adjustment") });
    planted["type"] = json!(text("type", "adjustment"));
    if let Some(created) = wish["created"].as_i64() {
        planted["created"] = json!(created);
        planted["available_on"] = json!(created);
    }
    context.put(Table::BalanceTransactions, &planted);
    Ok(planted)
}

/// Falsifies a movement: its amount, fee, currency, source or day.
pub(crate) fn falsify(store: &mut Store, id: &str, change: &Value) -> Option<Value> {
    let (account, mut transaction) = store.find(Table::BalanceTransactions, id)?;
    for name in ["amount", "fee", "currency", "source", "created", "available_on", "type"] {
        if let Some(value) = change.get(name) {
            transaction[name] = value.clone();
        }
    }
    let net = transaction["amount"].as_i64().unwrap_or(0) - transaction["fee"].as_i64().unwrap_or(0);
    transaction["net"] = json!(net);
    Context::internal(store, &account, "").put(Table::BalanceTransactions, &transaction);
    Some(transaction)
}

/// Makes a movement vanish, as if Stripe had never booked it.
pub(crate) fn hide(store: &mut Store, id: &str) -> Option<Value> {
    let (account, _) = store.find(Table::BalanceTransactions, id)?;
    store.remove(Table::BalanceTransactions, &format!("{account}/{id}"))
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context
        .get(Table::BalanceTransactions, id)
        .map(|transaction| shown(transaction, context.now()))
        .ok_or_else(|| StripeError::not_found("balance transaction", id, "id"))
}

pub(crate) fn list(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[&lists::CURSOR[..], &["source", "type", "currency", "payout"]].concat())?;
    let wanted = |object: &Value, name: &str| params.text(name).is_none_or(|text| object[name] == json!(text));
    let payout = params.text("payout");
    let left_with = |key: &str| {
        payout.is_none_or(|payout| context.store.get(Table::PaidOut, key).is_some_and(|found| *found == json!(payout)))
    };
    let now = context.now();
    let objects = context
        .store
        .of(Table::BalanceTransactions, context.account)
        .filter(|(key, _)| left_with(key))
        .map(|(_, object)| object)
        .filter(|object| wanted(object, "source") && wanted(object, "type") && wanted(object, "currency"))
        .map(|object| shown(object.clone(), now));
    lists::page(params, "/v1/balance_transactions", objects)
}

/// `GET /v1/balance`: everything booked, split by whether its day has come.
pub(crate) fn now(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[])?;
    let (mut available, mut pending) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
    for (_, transaction) in context.store.of(Table::BalanceTransactions, context.account) {
        let ripe = transaction["available_on"].as_i64().is_none_or(|day| day <= context.now());
        let currency = transaction["currency"].as_str().unwrap_or("usd").to_owned();
        let side = if ripe { &mut available } else { &mut pending };
        *side.entry(currency).or_default() += transaction["net"].as_i64().unwrap_or(0);
    }
    let side = |sums: BTreeMap<String, i64>| -> Vec<Value> {
        sums.into_iter()
            .map(|(currency, amount)| json!({"amount": amount, "currency": currency, "source_types": {"card": amount}}))
            .collect()
    };
    Ok(json!({
        "available": side(available), "livemode": false, "object": "balance", "pending": side(pending),
    }))
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
