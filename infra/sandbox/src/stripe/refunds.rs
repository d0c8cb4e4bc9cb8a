//! Refunds: partial ones add up to at most the charge; some stay pending or fail later.

use serde_json::{Value, json};

use super::balance;
use super::charges;
use super::context::Context;
use super::disputes;
use super::errors::StripeError;
use super::lists;
use super::magic::Behaviour;
use super::params::Params;
use super::payment_methods;
use crate::store::{Store, Table};

const WRITABLE: [&str; 9] = [
    "amount",
    "charge",
    "currency",
    "instructions_email",
    "metadata",
    "payment_intent",
    "reason",
    "refund_application_fee",
    "reverse_transfer",
];

pub(crate) fn create(context: &mut Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&WRITABLE)?;
    let mut charge = charge(context, params)?;
    let metadata = params.metadata(&json!({}))?;
    let reason = params.text("reason");
    if let Some(other) = reason
        && !matches!(other, "duplicate" | "fraudulent" | "requested_by_customer")
    {
        return Err(StripeError::invalid(format!("Invalid reason: {other}")).param("reason"));
    }
    let total = charge["amount"].as_i64().unwrap_or(0);
    let before = charge["amount_refunded"].as_i64().unwrap_or(0);
    let left = total - before;
    if left <= 0 {
        let id = charge["id"].as_str().unwrap_or_default();
        return Err(StripeError::invalid(format!("Charge {id} has already been refunded."))
            .code("charge_already_refunded")
            .with("charge", json!(id))
            .executed());
    }
    if disputes::holds(context, &charge) {
        let id = charge["id"].as_str().unwrap_or_default();
        return Err(StripeError::invalid(format!("Charge {id} has been charged back; cannot issue a refund."))
            .code("charge_disputed")
            .with("charge", json!(id))
            .executed());
    }
    let amount = params.integer("amount")?.unwrap_or(left);
    if amount < 1 {
        return Err(StripeError::invalid("Invalid positive integer").code("parameter_invalid_integer").param("amount"));
    }
    if amount > left {
        return Err(StripeError::invalid(format!(
            "Refund amount ({}) is greater than unrefunded amount on charge ({})",
            dollars(amount),
            dollars(left)
        ))
        .code("amount_too_large")
        .param("amount")
        .executed());
    }
    let method = charge["payment_method"].as_str().unwrap_or_default().to_owned();
    let behaviour = payment_methods::resolve(context, &method)?.behaviour;
    let bank = charge["payment_method_details"]["type"] == json!("us_bank_account");
    let status = if bank || matches!(behaviour, Behaviour::RefundPends) { "pending" } else { "succeeded" };
    let id = context.store.new_id("re_");
    let mut refund = json!({
        "amount": amount,
        "balance_transaction": null,
        "charge": charge["id"],
        "created": context.now(),
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": null,
        "description": charge["description"],
        "destination_details": if bank {
            json!({"us_bank_transfer": {"reference": null, "reference_status": "pending"}, "type": "us_bank_transfer"})
        } else {
            json!({"card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}, "type": "card"})
        },
        "failure_balance_transaction": null,
        "failure_reason": null,
        "id": id,
        "metadata": metadata,
        "object": "refund",
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": status,
        "transfer_reversal": null,
    });
    let transaction = balance::of_refund(context, &refund);
    refund["balance_transaction"] = transaction["id"].clone();
    charge["amount_refunded"] = json!(before + amount);
    charge["refunded"] = json!(before + amount == total);
    context.put(Table::Refunds, &refund);
    context.put(Table::Charges, &charge);
    let key = format!("{}/{}/{id}", context.account, charge["id"].as_str().unwrap_or_default());
    context.store.put(Table::RefundsByCharge, &key, json!(true));
    context.emit("refund.created", &refund);
    context.emit("charge.refunded", &charge);
    if matches!(behaviour, Behaviour::RefundFails) {
        // As at Stripe: the answer says succeeded, the failure comes by webhook.
        finish(context, refund.clone(), "failed", "expired_or_canceled_card");
    }
    Ok(refund)
}

fn charge(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    let found = match (params.text("charge"), params.text("payment_intent")) {
        (Some(id), None) => context.get(Table::Charges, id).ok_or_else(|| StripeError::missing("charge", id, "id"))?,
        (None, Some(id)) => {
            let intent = context
                .get(Table::PaymentIntents, id)
                .ok_or_else(|| StripeError::missing("payment_intent", id, "payment_intent"))?;
            let charge = intent["latest_charge"].as_str().map(|id| charges::retrieve(context, id));
            charge.transpose()?.unwrap_or_default()
        }
        _ => {
            return Err(StripeError::invalid(
                "One of the following params should be provided for this request: payment_intent or charge.",
            )
            .code("parameter_missing"));
        }
    };
    if found["status"] != json!("succeeded") {
        return Err(StripeError::invalid("This payment does not have a successful charge to refund.")
            .code("charge_not_refundable")
            .executed());
    }
    Ok(found)
}

fn dollars(cents: i64) -> String {
    format!("${}.{:02}", cents / 100, cents % 100)
}

fn finish(context: &mut Context<'_>, mut refund: Value, status: &str, failure: &str) -> Value {
    refund["status"] = json!(status);
    if matches!(status, "failed" | "canceled") {
        let back = balance::of_failed_refund(context, &refund);
        refund["failure_balance_transaction"] = back["id"].clone();
        refund["failure_reason"] = json!(failure);
        let charge = refund["charge"].as_str().unwrap_or_default();
        if let Some(mut charge) = context.get(Table::Charges, charge) {
            let returned = refund["amount"].as_i64().unwrap_or(0);
            let refunded = charge["amount_refunded"].as_i64().unwrap_or(0) - returned;
            charge["amount_refunded"] = json!(refunded);
            charge["refunded"] = json!(false);
            context.put(Table::Charges, &charge);
        }
    }
    context.put(Table::Refunds, &refund);
    context.emit("refund.updated", &refund);
    if status == "failed" {
        context.emit("refund.failed", &refund);
    }
    refund
}

/// The bank's later answer: `succeeded`, `failed` or `canceled`. A refund that did not happen stays so.
pub(crate) fn settle(store: &mut Store, id: &str, status: &str, failure: &str) -> Option<Result<Value, String>> {
    let (account, refund) = store.find(Table::Refunds, id)?;
    if !matches!(status, "succeeded" | "failed" | "canceled") {
        return Some(Err("the status must be succeeded, failed or canceled".to_owned()));
    }
    if matches!(refund["status"].as_str(), Some("failed" | "canceled")) {
        return Some(Err("the refund has already ended".to_owned()));
    }
    let mut context = Context::internal(store, &account, "");
    Some(Ok(finish(&mut context, refund, status, failure)))
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context.get(Table::Refunds, id).ok_or_else(|| StripeError::not_found("refund", id, "id"))
}

pub(crate) fn list(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[&lists::CURSOR[..], &["charge", "payment_intent"]].concat())?;
    let url = "/v1/refunds";
    if let Some(charge) = params.text("charge") {
        let owner = format!("{}/{charge}", context.account);
        let objects = context
            .store
            .of(Table::RefundsByCharge, &owner)
            .filter_map(|(key, _)| context.get(Table::Refunds, key.rsplit('/').next()?));
        return lists::page(params, url, objects);
    }
    let intent = params.text("payment_intent");
    let objects = context
        .store
        .of(Table::Refunds, context.account)
        .map(|(_, object)| object)
        .filter(|object| intent.is_none_or(|intent| object["payment_intent"] == json!(intent)))
        .cloned();
    lists::page(params, url, objects)
}
