//! Confirmation tokens, with which a browser shows a payment method before paying.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::params::Params;
use super::payment_methods;
use crate::store::Table;

const LIFE_SECONDS: i64 = 12 * 60 * 60;

pub(crate) fn create(context: &mut Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&["payment_method", "return_url", "setup_future_usage", "shipping"])?;
    let method = payment_methods::resolve(context, params.required("payment_method")?)?;
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
