//! Payment intents: made, read, listed, canceled. Paying is in `confirm`.

use serde_json::{Value, json};

use super::accounts;
use super::amounts::{amount, currency, fee};
use super::confirm;
use super::context::{Context, PLATFORM};
use super::errors::StripeError;
use super::lists;
use super::mandates;
use super::params::Params;
use super::payment_methods;
use crate::ids;
use crate::store::Table;

const WRITABLE: [&str; 31] = [
    "allowed_payment_method_types",
    "amount",
    "amount_details",
    "application_fee_amount",
    "automatic_payment_methods",
    "capture_method",
    "confirm",
    "confirmation_method",
    "confirmation_token",
    "currency",
    "customer",
    "description",
    "error_on_requires_action",
    "excluded_payment_method_types",
    "mandate",
    "mandate_data",
    "metadata",
    "off_session",
    "on_behalf_of",
    "payment_method",
    "payment_method_data",
    "payment_method_options",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
    "use_stripe_sdk",
];
/// What a publishable key may see of an intent.
const PUBLIC: [&str; 20] = [
    "amount",
    "amount_details",
    "automatic_payment_methods",
    "canceled_at",
    "cancellation_reason",
    "capture_method",
    "client_secret",
    "confirmation_method",
    "created",
    "currency",
    "description",
    "id",
    "last_payment_error",
    "livemode",
    "next_action",
    "object",
    "payment_method",
    "payment_method_types",
    "processing",
    "status",
];

pub(crate) fn create(context: &mut Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&WRITABLE)?;
    let amount = amount(params)?;
    let currency = currency(params.required("currency")?)?;
    let fee = fee(context, params, amount)?;
    let customer = params.text("customer");
    if let Some(id) = customer
        && context.get(Table::Customers, id).is_none()
    {
        return Err(StripeError::missing("customer", id, "customer"));
    }
    let metadata = params.metadata(&json!({}))?;
    for later in ["confirmation_token", "mandate", "mandate_data", "off_session", "return_url"] {
        if params.text(later).is_some() && !params.flag("confirm") {
            return Err(StripeError::invalid(format!(
                "You can only set `{later}` if `confirm` is true on the same request."
            ))
            .param(later));
        }
    }
    let (allowed, types) = payment_methods::types(params)?;
    let id = context.store.new_id("pi_");
    let mut intent = json!({
        "allowed_payment_method_types": allowed,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": if context.account == PLATFORM { Value::Null } else { json!("ca_sandbox") },
        "application_fee_amount": fee,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": true},
        "canceled_at": null,
        "cancellation_reason": null,
        "capture_method": "automatic_async",
        "client_secret": format!("{id}_secret_{}", ids::random(20)),
        "confirmation_method": "automatic",
        "created": context.now(),
        "currency": currency,
        "customer": customer,
        "customer_account": null,
        "description": params.text("description"),
        "excluded_payment_method_types": null,
        "id": id,
        "last_payment_error": null,
        "latest_charge": null,
        "livemode": false,
        "metadata": metadata,
        "next_action": null,
        "object": "payment_intent",
        "on_behalf_of": null,
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": {
            "card": {"installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic"},
        },
        "payment_method_types": types,
        "processing": null,
        "receipt_email": params.text("receipt_email"),
        "review": null,
        "setup_future_usage": params.text("setup_future_usage"),
        "shipping": null,
        "source": null,
        "statement_descriptor": params.text("statement_descriptor"),
        "statement_descriptor_suffix": params.text("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": null,
        "transfer_group": params.text("transfer_group"),
    });
    // Whatever can be refused is refused before the intent exists.
    let method = payment_methods::named(context, &intent, params)?;
    if params.flag("confirm") {
        confirmable(context, &intent)?;
        match &method {
            None => return Err(confirm::without_method(&intent)),
            Some(method) => mandates::admit(context, method, params.text("mandate"))?,
        }
    } else if let Some(method) = &method {
        intent["payment_method"] = json!(method.id());
        intent["status"] = json!("requires_confirmation");
    }
    context.put(Table::PaymentIntents, &intent);
    if let Some(customer) = customer {
        let key = format!("{}/{customer}/{id}", context.account);
        context.store.put(Table::PaymentIntentsByCustomer, &key, json!(true));
    }
    context.emit("payment_intent.created", &intent);
    match method {
        Some(method) if params.flag("confirm") => confirm::confirm(context, intent, &method, params),
        _ => Ok(intent),
    }
}

pub(crate) fn find(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context.get(Table::PaymentIntents, id).ok_or_else(|| StripeError::not_found("payment_intent", id, "intent"))
}

/// A browser proves itself by the client secret.
pub(crate) fn admitted(context: &Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    let intent = find(context, id)?;
    let secret = params.text("client_secret");
    let wrong = secret.is_some_and(|secret| intent["client_secret"] != json!(secret));
    if wrong || (context.publishable && secret.is_none()) {
        return Err(StripeError::invalid(
            "The client_secret provided does not match any associated PaymentIntent on this account.",
        )
        .code("payment_intent_invalid_parameter")
        .param("client_secret"));
    }
    Ok(intent)
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&["client_secret"])?;
    Ok(visible(context, admitted(context, id, params)?))
}

pub(crate) fn visible(context: &Context<'_>, mut intent: Value) -> Value {
    if context.publishable
        && let Some(fields) = intent.as_object_mut()
    {
        fields.retain(|name, _| PUBLIC.contains(&name.as_str()));
    }
    intent
}

pub(crate) fn update(context: &mut Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[
        "amount",
        "application_fee_amount",
        "description",
        "metadata",
        "receipt_email",
        "statement_descriptor_suffix",
    ])?;
    let mut intent = find(context, id)?;
    let open = matches!(
        intent["status"].as_str(),
        Some("requires_payment_method" | "requires_confirmation" | "requires_action")
    );
    if !open && (params.text("amount").is_some() || params.text("application_fee_amount").is_some()) {
        return Err(unexpected(&intent, "This PaymentIntent's amount could not be updated because it has a status of"));
    }
    if params.text("amount").is_some() {
        intent["amount"] = json!(amount(params)?);
    }
    let total = intent["amount"].as_i64().unwrap_or(0);
    if let Some(fee) = fee(context, params, total)? {
        intent["application_fee_amount"] = json!(fee);
    }
    for name in ["description", "receipt_email", "statement_descriptor_suffix"] {
        if params.0.get(name).is_some() {
            intent[name] = params.text_or_null(name);
        }
    }
    intent["metadata"] = params.metadata(&intent["metadata"])?;
    context.put(Table::PaymentIntents, &intent);
    Ok(intent)
}

pub(crate) fn list(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[&lists::CURSOR[..], &["customer"]].concat())?;
    let url = "/v1/payment_intents";
    let Some(customer) = params.text("customer") else {
        let objects = context.store.of(Table::PaymentIntents, context.account);
        return lists::page(params, url, objects.map(|(_, object)| object.clone()));
    };
    let owner = format!("{}/{customer}", context.account);
    let objects = context
        .store
        .of(Table::PaymentIntentsByCustomer, &owner)
        .filter_map(|(key, _)| context.get(Table::PaymentIntents, key.rsplit('/').next()?));
    lists::page(params, url, objects)
}

pub(crate) fn cancel(context: &mut Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&["cancellation_reason"])?;
    let reason = params.text("cancellation_reason");
    if let Some(other) = reason
        && !matches!(other, "duplicate" | "fraudulent" | "requested_by_customer" | "abandoned")
    {
        return Err(StripeError::invalid(format!("Invalid cancellation_reason: {other}")).param("cancellation_reason"));
    }
    let mut intent = find(context, id)?;
    match intent["status"].as_str() {
        Some("requires_payment_method" | "requires_confirmation" | "requires_action" | "requires_capture") => {}
        _ => {
            return Err(unexpected(&intent, "You cannot cancel this PaymentIntent because it has a status of"));
        }
    }
    intent["status"] = json!("canceled");
    intent["canceled_at"] = json!(context.now());
    intent["cancellation_reason"] = json!(reason);
    intent["next_action"] = Value::Null;
    context.put(Table::PaymentIntents, &intent);
    context.emit("payment_intent.canceled", &intent);
    Ok(intent)
}

pub(crate) fn unexpected(intent: &Value, message: &str) -> StripeError {
    let status = intent["status"].as_str().unwrap_or_default();
    StripeError::invalid(format!("{message} {status}."))
        .code("payment_intent_unexpected_state")
        .with("payment_intent", intent.clone())
        .executed()
}

/// Refuses what the intent's state or the account's forbids.
pub(crate) fn confirmable(context: &Context<'_>, intent: &Value) -> Result<(), StripeError> {
    match intent["status"].as_str() {
        Some("requires_payment_method" | "requires_confirmation" | "requires_action") => {}
        Some("succeeded") => {
            let done = "You cannot confirm this PaymentIntent because it has already succeeded after being previously \
                        confirmed; its status is";
            return Err(unexpected(intent, done));
        }
        _ => {
            return Err(unexpected(intent, "You cannot confirm this PaymentIntent because it has a status of"));
        }
    }
    accounts::may_charge(context)
}
