//! Customers: made, changed, found.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::lists;
use super::params::Params;
use crate::store::Table;

const WRITABLE: [&str; 7] = ["address", "description", "email", "metadata", "name", "phone", "preferred_locales"];

pub(crate) fn create(context: &mut Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&WRITABLE)?;
    let metadata = params.metadata(&json!({}))?;
    let id = context.store.new_id("cus_");
    let mut object = json!({
        "address": null,
        "balance": 0,
        "created": context.now(),
        "currency": null,
        "customer_account": null,
        "default_source": null,
        "delinquent": false,
        "description": null,
        "discount": null,
        "email": null,
        "id": id,
        "invoice_prefix": crate::ids::random(8).to_uppercase(),
        "invoice_settings": {
            "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null,
        },
        "livemode": false,
        "metadata": metadata,
        "name": null,
        "next_invoice_sequence": 1,
        "object": "customer",
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    });
    apply(&mut object, params);
    context.put(Table::Customers, &object);
    context.emit("customer.created", &object);
    Ok(object)
}

pub(crate) fn update(context: &mut Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&WRITABLE)?;
    let mut object = retrieve(context, id)?;
    object["metadata"] = params.metadata(&object["metadata"])?;
    apply(&mut object, params);
    context.put(Table::Customers, &object);
    context.emit("customer.updated", &object);
    Ok(object)
}

fn apply(object: &mut Value, params: &Params) {
    for name in ["description", "email", "name", "phone"] {
        if params.0.get(name).is_some() {
            object[name] = params.text_or_null(name);
        }
    }
    if let Some(locales) = params.0.get("preferred_locales").filter(|given| given.is_array()) {
        object["preferred_locales"] = locales.clone();
    }
    if let Some(given) = params.nested("address") {
        let field = |name: &str| given.get(name).cloned().unwrap_or(Value::Null);
        object["address"] = json!({
            "city": field("city"), "country": field("country"), "line1": field("line1"), "line2": field("line2"),
            "postal_code": field("postal_code"), "state": field("state"),
        });
    }
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context.get(Table::Customers, id).ok_or_else(|| StripeError::not_found("customer", id, "id"))
}

pub(crate) fn list(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[&lists::CURSOR[..], &["email"]].concat())?;
    let email = params.text("email");
    let objects = context
        .store
        .of(Table::Customers, context.account)
        .map(|(_, object)| object)
        .filter(|object| email.is_none_or(|email| object["email"] == json!(email)))
        .cloned();
    lists::page(params, "/v1/customers", objects)
}
