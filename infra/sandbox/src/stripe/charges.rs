//! Charges, which payments leave behind.

use serde_json::{Value, json};

use super::balance;
use super::context::{Context, PLATFORM};
use super::errors::StripeError;
use super::lists;
use super::magic::Decline;
use super::params::Params;
use super::payment_methods::{Method, is_bank};
use crate::store::Table;

pub(crate) fn succeeded(context: &mut Context<'_>, intent: &Value, method: &Method) -> Value {
    let mut charge = pending_of(context, intent).unwrap_or_else(|| draft(context, intent, method));
    let transaction = balance::of_charge(context, &charge);
    charge["amount_captured"] = charge["amount"].clone();
    charge["balance_transaction"] = transaction["id"].clone();
    charge["captured"] = json!(true);
    charge["outcome"] = outcome(None);
    charge["paid"] = json!(true);
    charge["status"] = json!("succeeded");
    if context.account != PLATFORM && charge["application_fee_amount"].is_i64() {
        charge["application_fee"] = json!(context.store.new_id("fee_"));
    }
    context.put(Table::Charges, &charge);
    charge
}

pub(crate) fn pending(context: &mut Context<'_>, intent: &Value, method: &Method) -> Value {
    let mut charge = draft(context, intent, method);
    charge["amount_captured"] = charge["amount"].clone();
    charge["captured"] = json!(true);
    charge["status"] = json!("pending");
    context.put(Table::Charges, &charge);
    charge
}

pub(crate) fn failed(context: &mut Context<'_>, intent: &Value, method: &Method, decline: &Decline) -> Value {
    let mut charge = pending_of(context, intent).unwrap_or_else(|| draft(context, intent, method));
    charge["failure_code"] = json!(decline.code);
    charge["failure_message"] = json!(decline.message);
    charge["outcome"] = outcome(Some(decline));
    charge["paid"] = json!(false);
    charge["captured"] = json!(false);
    charge["amount_captured"] = json!(0);
    charge["status"] = json!("failed");
    context.put(Table::Charges, &charge);
    charge
}

/// A bank debit's charge was made when it began.
fn pending_of(context: &Context<'_>, intent: &Value) -> Option<Value> {
    context.get(Table::Charges, intent["latest_charge"].as_str()?).filter(|charge| charge["status"] == json!("pending"))
}

fn outcome(decline: Option<&Decline>) -> Value {
    match decline {
        None => json!({
            "advice_code": null, "network_advice_code": null, "network_decline_code": null,
            "network_status": "approved_by_network", "reason": null, "risk_level": "normal",
            "seller_message": "Payment complete.", "type": "authorized",
        }),
        Some(decline) => json!({
            "advice_code": decline.advice_code, "network_advice_code": null,
            "network_decline_code": decline.network_code, "network_status": "declined_by_network",
            "reason": decline.reason.unwrap_or(decline.code), "risk_level": "normal",
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        }),
    }
}

fn draft(context: &mut Context<'_>, intent: &Value, method: &Method) -> Value {
    let bank = is_bank(&method.object);
    let id = context.store.new_id(if bank { "py_" } else { "ch_" });
    let details = if bank {
        let bank = &method.object["us_bank_account"];
        json!({"type": "us_bank_account", "us_bank_account": {
            "account_holder_type": bank["account_holder_type"], "account_type": bank["account_type"],
            "bank_name": bank["bank_name"], "fingerprint": bank["fingerprint"], "last4": bank["last4"],
            "mandate": method.mandate(), "payment_reference": null, "routing_number": bank["routing_number"],
        }})
    } else {
        let card = &method.object["card"];
        json!({"type": "card", "card": {
            "amount_authorized": intent["amount"], "authorization_code": "123456", "brand": card["brand"],
            "checks": card["checks"], "country": card["country"], "exp_month": card["exp_month"],
            "exp_year": card["exp_year"], "extended_authorization": {"status": "disabled"},
            "fingerprint": card["fingerprint"], "funding": card["funding"],
            "incremental_authorization": {"status": "unavailable"}, "installments": null, "last4": card["last4"],
            "mandate": null, "multicapture": {"status": "unavailable"}, "network": card["brand"],
            "network_token": {"used": false}, "network_transaction_id": null,
            "overcapture": {"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
            "regulated_status": "unregulated", "three_d_secure": null, "transaction_link_id": null, "wallet": null,
        }})
    };
    json!({
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": intent["application"],
        "application_fee": null,
        "application_fee_amount": intent["application_fee_amount"],
        "balance_transaction": null,
        "billing_details": method.object["billing_details"],
        "calculated_statement_descriptor": "PROPTY SANDBOX",
        "captured": false,
        "created": context.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": false,
        "failure_balance_transaction": null,
        "failure_code": null,
        "failure_message": null,
        "fraud_details": {},
        "id": id,
        "livemode": false,
        "metadata": intent["metadata"],
        "object": "charge",
        "on_behalf_of": null,
        "outcome": null,
        "paid": false,
        "payment_intent": intent["id"],
        "payment_method": method.id(),
        "payment_method_details": details,
        "receipt_email": intent["receipt_email"],
        "receipt_number": null,
        "receipt_url": null,
        "refunded": false,
        "refunds": {"data": [], "has_more": false, "object": "list", "url": format!("/v1/charges/{id}/refunds")},
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "pending",
        "transfer_data": null,
        "transfer_group": intent["transfer_group"],
    })
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context.get(Table::Charges, id).ok_or_else(|| StripeError::not_found("charge", id, "id"))
}

pub(crate) fn list(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[&lists::CURSOR[..], &["customer", "payment_intent"]].concat())?;
    let wanted = |object: &Value, name: &str| params.text(name).is_none_or(|id| object[name] == json!(id));
    let objects = context
        .store
        .of(Table::Charges, context.account)
        .map(|(_, object)| object)
        .filter(|object| wanted(object, "customer") && wanted(object, "payment_intent"))
        .cloned();
    lists::page(params, "/v1/charges", objects)
}
