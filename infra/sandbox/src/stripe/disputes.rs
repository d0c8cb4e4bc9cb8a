//! Disputes: a holder takes a card payment back, a bank returns a debit after it had succeeded.

use serde_json::{Value, json};

use super::balance;
use super::context::Context;
use super::errors::StripeError;
use super::lists;
use super::magic;
use super::mandates;
use super::params::Params;
use super::payment_methods::is_bank;
use crate::store::{Store, Table};

const FEE: i64 = 1_500;
const EVIDENCE_SECONDS: i64 = 9 * 24 * 60 * 60;
const EVIDENCE: [&str; 27] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

/// `status` is `needs_response`, `warning_needs_response` (an inquiry moves no money) or `lost` (as a bank's return is).
pub(crate) fn open(context: &mut Context<'_>, charge: &Value, reason: &str, amount: i64, status: &str) -> Value {
    let id = context.store.new_id("du_");
    let now = context.now();
    let bank = is_bank(&charge["payment_method_details"]);
    let mut evidence: Value = EVIDENCE.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    evidence["enhanced_evidence"] = json!({});
    let mut dispute = json!({
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": evidence,
        "evidence_details": {
            "due_by": if status == "lost" { Value::Null } else { json!(now + EVIDENCE_SECONDS) },
            "enhanced_eligibility": {}, "has_evidence": false, "past_due": false, "submission_count": 0,
        },
        "id": id,
        "is_charge_refundable": status.starts_with("warning"),
        "livemode": false,
        "metadata": {},
        "object": "dispute",
        "payment_intent": charge["payment_intent"],
        "payment_method_details": if bank { Value::Null } else {
            json!({"card": {"brand": "visa", "case_type": "chargeback", "network": "visa", "network_reason_code": "10.4"}, "type": "card"})
        },
        "reason": reason,
        "status": status,
    });
    let mut charge = charge.clone();
    charge["disputed"] = json!(true);
    context.put(Table::Charges, &charge);
    let takes = !status.starts_with("warning");
    if takes {
        withdraw(context, &mut dispute);
    }
    context.put(Table::Disputes, &dispute);
    context.emit("charge.dispute.created", &dispute);
    if takes {
        context.emit("charge.dispute.funds_withdrawn", &dispute);
    }
    if status == "lost" {
        context.emit("charge.dispute.closed", &dispute);
    }
    dispute
}

fn withdraw(context: &mut Context<'_>, dispute: &mut Value) {
    let amount = dispute["amount"].as_i64().unwrap_or(0);
    let moved = balance::of_dispute(context, dispute, -amount, FEE, "dispute");
    if let Some(all) = dispute["balance_transactions"].as_array_mut() {
        all.push(moved);
    }
}

/// A bank returns a debit that had succeeded.
pub(crate) fn come_back(context: &mut Context<'_>, charge: &str) {
    let Some(charge) = context.get(Table::Charges, charge) else { return };
    let method = charge["payment_method"].as_str().unwrap_or_default();
    let reason = match super::payment_methods::resolve(context, method).map(|method| method.behaviour) {
        Ok(magic::Behaviour::Debits(magic::Debit::Returns(reason))) => reason,
        _ => "bank_cannot_process",
    };
    returned(context, &charge, reason);
}

pub(crate) fn returned(context: &mut Context<'_>, charge: &Value, reason: &str) -> Value {
    let amount = charge["amount"].as_i64().unwrap_or(0);
    let dispute = open(context, charge, reason, amount, "lost");
    let mandate = charge["payment_method_details"]["us_bank_account"]["mandate"].as_str();
    if let Some(mandate) = mandate.filter(|_| magic::ends_mandate(reason)) {
        mandates::end(context, mandate);
    }
    dispute
}

/// Whether a dispute has the charge's money, so that it cannot be refunded too.
pub(crate) fn holds(context: &Context<'_>, charge: &Value) -> bool {
    let taken =
        |dispute: &Value| matches!(dispute["status"].as_str(), Some("needs_response" | "under_review" | "lost"));
    charge["disputed"] == json!(true)
        && context
            .store
            .of(Table::Disputes, context.account)
            .any(|(_, dispute)| dispute["charge"] == charge["id"] && taken(dispute))
}

/// A dispute of a charge or of a payment intent's last charge.
pub(crate) fn by_hand(store: &mut Store, id: &str, wish: &Value) -> Option<Result<Value, String>> {
    let (account, charge) = match store.find(Table::PaymentIntents, id) {
        Some((account, intent)) => {
            let charge =
                store.get(Table::Charges, &format!("{account}/{}", intent["latest_charge"].as_str()?))?.clone();
            (account, charge)
        }
        None => store.find(Table::Charges, id)?,
    };
    if charge["status"] != json!("succeeded") {
        return Some(Err("only a successful charge can be disputed".to_owned()));
    }
    let mut context = Context::internal(store, &account, "");
    let reason = wish["reason"].as_str();
    if is_bank(&charge["payment_method_details"]) {
        return Some(Ok(returned(&mut context, &charge, reason.unwrap_or("insufficient_funds"))));
    }
    let amount = wish["amount"].as_i64().or_else(|| charge["amount"].as_i64()).unwrap_or(0);
    let status = if wish["inquiry"] == json!(true) { "warning_needs_response" } else { "needs_response" };
    Some(Ok(open(&mut context, &charge, reason.unwrap_or("fraudulent"), amount, status)))
}

/// `won`, `lost`, `under_review`, `warning_closed`, or `needs_response` for an inquiry that becomes a dispute.
pub(crate) fn settle(store: &mut Store, id: &str, status: &str) -> Option<Result<Value, String>> {
    let (account, mut dispute) = store.find(Table::Disputes, id)?;
    let before = dispute["status"].as_str().unwrap_or_default().to_owned();
    let inquiry = before.starts_with("warning");
    let fits = match status {
        "won" | "lost" => matches!(before.as_str(), "needs_response" | "under_review"),
        "under_review" => before == "needs_response",
        "warning_closed" | "needs_response" => inquiry && before != "warning_closed",
        _ => false,
    };
    if !fits {
        return Some(Err(format!("a dispute cannot go from {before} to {status}")));
    }
    let mut context = Context::internal(store, &account, "");
    dispute["status"] = json!(status);
    let amount = dispute["amount"].as_i64().unwrap_or(0);
    match status {
        "won" => {
            let moved = balance::of_dispute(&mut context, &dispute, amount, 0, "dispute_reversal");
            if let Some(all) = dispute["balance_transactions"].as_array_mut() {
                all.push(moved);
            }
        }
        "needs_response" => withdraw(&mut context, &mut dispute),
        _ => {}
    }
    context.put(Table::Disputes, &dispute);
    match status {
        "won" => {
            context.emit("charge.dispute.funds_reinstated", &dispute);
            context.emit("charge.dispute.closed", &dispute);
        }
        "lost" | "warning_closed" => context.emit("charge.dispute.closed", &dispute),
        "needs_response" => {
            context.emit("charge.dispute.funds_withdrawn", &dispute);
            context.emit("charge.dispute.updated", &dispute);
        }
        _ => context.emit("charge.dispute.updated", &dispute),
    }
    Some(Ok(dispute))
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context.get(Table::Disputes, id).ok_or_else(|| StripeError::not_found("dispute", id, "dispute"))
}

pub(crate) fn list(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[&lists::CURSOR[..], &["charge", "payment_intent"]].concat())?;
    let wanted = |object: &Value, name: &str| params.text(name).is_none_or(|id| object[name] == json!(id));
    let objects = context
        .store
        .of(Table::Disputes, context.account)
        .map(|(_, object)| object)
        .filter(|object| wanted(object, "charge") && wanted(object, "payment_intent"))
        .cloned();
    lists::page(params, "/v1/disputes", objects)
}
