//! Connected accounts, their links, and what happens to them at Stripe.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::params::Params;
use crate::store::{Store, Table};

const OUTSTANDING: [&str; 5] =
    ["business_profile.url", "business_type", "external_account", "tos_acceptance.date", "tos_acceptance.ip"];
const LINK_SECONDS: i64 = 300;

pub(crate) fn create(context: &mut Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[
        "business_profile",
        "business_type",
        "capabilities",
        "controller",
        "country",
        "default_currency",
        "email",
        "metadata",
        "settings",
        "type",
    ])?;
    if params.text("type").is_some() && params.nested("controller").is_some() {
        return Err(StripeError::invalid(
            "You may not provide the `type` parameter and the `controller` parameter together",
        )
        .param("type"));
    }
    let id = context.store.new_id("acct_");
    let mut object = blank(&id, context.now());
    object["metadata"] = params.metadata(&json!({}))?;
    apply(&mut object, params);
    context.store.put(Table::Accounts, &id, json!({"object": object}));
    Ok(object)
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    let row = context.store.get(Table::Accounts, id).ok_or_else(|| no_access(id))?;
    if row["deauthorized"] == json!(true) {
        return Err(no_access(id));
    }
    Ok(row["object"].clone())
}

pub(crate) fn update(context: &mut Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&["business_profile", "business_type", "capabilities", "email", "metadata", "settings"])?;
    let mut object = retrieve(context, id)?;
    object["metadata"] = params.metadata(&object["metadata"])?;
    apply(&mut object, params);
    replace(context.store, id, &object);
    context.emit_for(id, "account.updated", &object);
    Ok(object)
}

pub(crate) fn no_access(id: &str) -> StripeError {
    StripeError::invalid(format!(
        "The provided key 'sk_test_***' does not have access to account '{id}' (or that account does not exist). \
             Application access may have been revoked."
    ))
    .code("account_invalid")
    .status(403)
}

fn apply(object: &mut Value, params: &Params) {
    for name in ["business_type", "country", "default_currency", "email"] {
        if let Some(text) = params.text(name) {
            object[name] = json!(text);
        }
    }
    for name in ["business_profile", "settings"] {
        if let Some(given) = params.nested(name) {
            merge(&mut object[name], given);
        }
    }
    if let Some(Value::Object(wanted)) = params.nested("capabilities") {
        for name in wanted.keys() {
            if object["capabilities"].get(name).is_none() {
                object["capabilities"][name] = json!("inactive");
            }
        }
    }
    if let Some(given) = params.nested("controller") {
        merge(&mut object["controller"], given);
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn replace(store: &mut Store, id: &str, object: &Value) {
    let mut row = store.get(Table::Accounts, id).cloned().unwrap_or_else(|| json!({}));
    row["object"] = object.clone();
    store.put(Table::Accounts, id, row);
}

pub(crate) fn link(context: &mut Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&["account", "collect", "collection_options", "refresh_url", "return_url", "type"])?;
    let id = params.required("account")?;
    let kind = params.required("type")?;
    retrieve(context, id)?;
    if !matches!(kind, "account_onboarding" | "account_update") {
        return Err(StripeError::invalid(format!(
            "Invalid type: must be one of account_onboarding or account_update, not {kind}"
        ))
        .param("type"));
    }
    params.required("refresh_url")?;
    let back = params.required("return_url")?;
    if let Some(mut row) = context.store.get(Table::Accounts, id).cloned() {
        row["return_url"] = json!(back);
        context.store.put(Table::Accounts, id, row);
    }
    let now = context.now();
    Ok(json!({
        "created": now,
        "expires_at": now + LINK_SECONDS,
        "object": "account_link",
        "url": format!("{}/connect/setup/{id}", context.base_url),
    }))
}

pub(crate) fn login_link(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    retrieve(context, id)?;
    Ok(json!({
        "created": context.now(),
        "object": "login_link",
        "url": format!("{}/connect/express/{id}", context.base_url),
    }))
}

/// Whether the account may take payments now.
pub(crate) fn may_charge(context: &Context<'_>) -> Result<(), StripeError> {
    let enabled = context
        .store
        .get(Table::Accounts, context.account)
        .is_none_or(|row| row["object"]["charges_enabled"] == json!(true));
    if enabled {
        return Ok(());
    }
    Err(StripeError::invalid(
        "Your account cannot currently make charges. Finish onboarding and resolve its requirements first.",
    )
    .executed())
}

/// The state after a person has finished onboarding.
pub(crate) fn onboarded() -> Value {
    json!({
        "business_type": "non_profit",
        "charges_enabled": true,
        "payouts_enabled": true,
        "details_submitted": true,
        "capabilities": {"card_payments": "active", "transfers": "active", "us_bank_account_ach_payments": "active"},
        "requirements": {"currently_due": [], "eventually_due": [], "past_due": [], "disabled_reason": null},
    })
}

/// Changes an account as Stripe or its owner would, and announces it; `None` when there is no such account.
pub(crate) fn patch(store: &mut Store, id: &str, change: &Value) -> Option<Value> {
    let mut object = store.get(Table::Accounts, id)?["object"].clone();
    merge(&mut object, change);
    object["id"] = json!(id);
    replace(store, id, &object);
    Context::internal(store, id, "").emit("account.updated", &object);
    Some(object)
}

/// An account with a chosen id, for scripts that must know it beforehand.
pub(crate) fn ensure(store: &mut Store, id: &str) {
    if store.get(Table::Accounts, id).is_none() {
        let object = blank(id, store.now());
        replace(store, id, &object);
    }
}

pub(crate) fn deauthorize(store: &mut Store, id: &str) -> Option<()> {
    let mut row = store.get(Table::Accounts, id)?.clone();
    row["deauthorized"] = json!(true);
    store.put(Table::Accounts, id, row);
    let application = json!({"id": "ca_sandbox", "object": "application", "name": "Propty sandbox"});
    Context::internal(store, id, "").emit("account.application.deauthorized", &application);
    Some(())
}

/// The owner lets the platform in again.
pub(crate) fn reauthorize(store: &mut Store, id: &str) -> Option<Value> {
    let mut row = store.get(Table::Accounts, id)?.clone();
    row["deauthorized"] = json!(false);
    store.put(Table::Accounts, id, row);
    patch(store, id, &json!({}))
}

fn blank(id: &str, now: i64) -> Value {
    let address =
        json!({"city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null});
    json!({
        "business_profile": {
            "annual_revenue": null, "estimated_worker_count": null, "mcc": null, "name": null,
            "product_description": null, "support_address": address, "support_email": null, "support_phone": null,
            "support_url": null, "url": null, "minority_owned_business_designation": null,
        },
        "business_type": null,
        "capabilities": {"card_payments": "inactive", "transfers": "inactive"},
        "charges_enabled": false,
        "controller": {
            "fees": {"payer": "account"}, "is_controller": true, "losses": {"payments": "stripe"},
            "requirement_collection": "stripe", "stripe_dashboard": {"type": "full"}, "type": "application",
        },
        "country": "US",
        "created": now,
        "default_currency": "usd",
        "details_submitted": false,
        "email": null,
        "external_accounts": {
            "data": [], "has_more": false, "object": "list", "url": format!("/v1/accounts/{id}/external_accounts"),
        },
        "future_requirements": {
            "alternatives": [], "current_deadline": null, "currently_due": [], "disabled_reason": null, "errors": [],
            "eventually_due": [], "past_due": [], "pending_verification": [],
        },
        "id": id,
        "metadata": {},
        "object": "account",
        "payouts_enabled": false,
        "requirements": {
            "alternatives": [], "current_deadline": null, "currently_due": OUTSTANDING,
            "disabled_reason": "requirements.past_due", "errors": [], "eventually_due": OUTSTANDING,
            "past_due": OUTSTANDING, "pending_verification": [],
        },
        "settings": {
            "bacs_debit_payments": {"display_name": null, "service_user_number": null},
            "branding": {"icon": null, "logo": null, "primary_color": null, "secondary_color": null},
            "card_issuing": {"tos_acceptance": {"date": null, "ip": null}},
            "card_payments": {
                "decline_on": {"avs_failure": false, "cvc_failure": false}, "statement_descriptor_prefix": null,
                "statement_descriptor_prefix_kana": null, "statement_descriptor_prefix_kanji": null,
            },
            "dashboard": {"display_name": null, "timezone": "Etc/UTC"},
            "invoices": {"default_account_tax_ids": null, "hosted_payment_method_save": null},
            "payments": {
                "statement_descriptor": null, "statement_descriptor_kana": null, "statement_descriptor_kanji": null,
                "statement_descriptor_prefix_kana": null, "statement_descriptor_prefix_kanji": null,
            },
            "payouts": {
                "debit_negative_balances": true, "schedule": {"delay_days": 2, "interval": "daily"},
                "statement_descriptor": null,
            },
            "sepa_debit_payments": {},
        },
        "tos_acceptance": {"date": null, "ip": null, "user_agent": null},
        "type": "standard",
    })
}
