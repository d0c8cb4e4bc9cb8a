//! Mandates: a person's leave to debit a bank account, until the person or a bank takes it back.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::payment_methods::{self, Method};
use crate::store::{Store, Table};

pub(crate) fn grant(context: &mut Context<'_>, method: &Method) -> Value {
    let id = context.store.new_id("mandate_");
    let mandate = json!({
        "customer_acceptance": {
            "accepted_at": context.now(), "online": {"ip_address": "192.0.2.1", "user_agent": "sandbox"}, "type": "online",
        },
        "id": id,
        "livemode": false,
        "multi_use": {},
        "object": "mandate",
        "payment_method": method.id(),
        "payment_method_details": {"type": "us_bank_account", "us_bank_account": {}},
        "status": "active",
        "type": "multi_use",
    });
    context.put(Table::Mandates, &mandate);
    payment_methods::mark(context, method.id(), |row| row["mandate"] = json!(id));
    mandate
}

pub(crate) fn end(context: &mut Context<'_>, id: &str) -> Option<Value> {
    let mut mandate = context.get(Table::Mandates, id)?;
    if mandate["status"] == json!("inactive") {
        return Some(mandate);
    }
    mandate["status"] = json!("inactive");
    context.put(Table::Mandates, &mandate);
    context.emit_changed("mandate.updated", &mandate, &json!({"status": "active"}));
    Some(mandate)
}

/// By the mandate's id or its payment method's.
pub(crate) fn revoke(store: &mut Store, id: &str) -> Option<Value> {
    let (account, mandate) = if let Some(found) = store.find(Table::Mandates, id) {
        found
    } else {
        let (account, row) = store.find(Table::PaymentMethods, id)?;
        let mandate = store.get(Table::Mandates, &format!("{account}/{}", row["mandate"].as_str()?))?.clone();
        (account, mandate)
    };
    end(&mut Context::internal(store, &account, ""), mandate["id"].as_str()?)
}

/// Refuses a debit whose mandate has ended, or that names a mandate of another account.
pub(crate) fn admit(context: &Context<'_>, method: &Method, named: Option<&str>) -> Result<(), StripeError> {
    let active =
        |id: &str| context.get(Table::Mandates, id).is_some_and(|mandate| mandate["status"] == json!("active"));
    let ours = named.is_none_or(|named| method.mandate() == Some(named));
    if ours && method.mandate().is_none_or(active) {
        return Ok(());
    }
    Err(StripeError::invalid("The provided mandate is invalid and can not be used for the payment intent.")
        .code("payment_intent_mandate_invalid")
        .param("mandate"))
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context.get(Table::Mandates, id).ok_or_else(|| StripeError::not_found("mandate", id, "mandate"))
}
