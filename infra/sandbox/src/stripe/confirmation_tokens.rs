//! Confirmation tokens, with which a browser shows a payment method before paying.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::params::Params;
use super::payment_methods;
use crate::store::Table;

const LIFE_SECONDS: i64 = 12 * 60 * 60;

/// By a test's secret key, or by Stripe's form in the browser with what the person typed.
pub(crate) fn create(context: &mut Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[
        "_stripe_account",
        "key",
        "payment_method",
        "payment_method_data",
        "return_url",
        "setup_future_usage",
        "shipping",
    ])?;
    let method = match params.nested("payment_method_data") {
        Some(data) => payment_methods::from_data(context, data)?,
        None => payment_methods::resolve(context, params.required("payment_method")?)?,
    };
    let mut preview = method.object.clone();
    if let Some(fields) = preview.as_object_mut() {
        for hidden in ["id", "object", "created", "livemode", "metadata"] {
            fields.remove(hidden);
        }
    }
    let id = context.store.new_id("ctoken_");
    let now = context.now();
    let token = json!({
        "created": now,
        "expires_at": now + LIFE_SECONDS,
        "id": id,
        "livemode": false,
        "mandate_data": null,
        "object": "confirmation_token",
        "payment_intent": null,
        "payment_method_options": null,
        "payment_method_preview": preview,
        "return_url": params.text("return_url"),
        "setup_future_usage": params.text("setup_future_usage"),
        "setup_intent": null,
        "shipping": null,
        "use_stripe_sdk": true,
    });
    let row = json!({"object": token, "payment_method": method.id()});
    context.put_row(Table::ConfirmationTokens, &id, row);
    Ok(token)
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context
        .get(Table::ConfirmationTokens, id)
        .map(|row| row["object"].clone())
        .ok_or_else(|| StripeError::not_found("confirmation_token", id, "confirmation_token"))
}

/// The payment method behind a token that can still be used.
pub(crate) fn admitted(context: &Context<'_>, id: &str) -> Result<String, StripeError> {
    let param = "confirmation_token";
    let row = context
        .get(Table::ConfirmationTokens, id)
        .ok_or_else(|| StripeError::missing("ConfirmationToken", id, param))?;
    let token = &row["object"];
    if !token["payment_intent"].is_null() || !token["setup_intent"].is_null() {
        return Err(StripeError::invalid(format!("The ConfirmationToken {id} has already been used.")).param(param));
    }
    if token["expires_at"].as_i64().is_some_and(|end| end <= context.now()) {
        return Err(StripeError::invalid(format!("The ConfirmationToken {id} has expired.")).param(param));
    }
    Ok(row["payment_method"].as_str().unwrap_or_default().to_owned())
}

/// A token serves one intent.
pub(crate) fn used(context: &mut Context<'_>, id: &str, intent: &Value) {
    if let Some(mut row) = context.get(Table::ConfirmationTokens, id) {
        let kind = intent["object"].as_str().unwrap_or("payment_intent").to_owned();
        row["object"][kind] = intent["id"].clone();
        context.put_row(Table::ConfirmationTokens, id, row);
    }
}
