//! Events, listed so that polling finds what a lost webhook did not tell.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::lists;
use super::params::Params;
use crate::store::Table;

fn of_account(context: &Context<'_>, row: &Value) -> bool {
    row["provider"] == json!("stripe") && row["account"] == json!(context.account)
}

fn parsed(row: &Value) -> Option<Value> {
    serde_json::from_str(row["body"].as_str()?).ok()
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context
        .store
        .get(Table::Events, id)
        .filter(|row| of_account(context, row))
        .and_then(parsed)
        .ok_or_else(|| StripeError::not_found("event", id, "id"))
}

pub(crate) fn list(context: &Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&[&lists::CURSOR[..], &["type", "types", "delivery_success"]].concat())?;
    let mut kinds: Vec<&str> = params.text("type").into_iter().collect();
    if let Some(Value::Array(several)) = params.0.get("types") {
        kinds.extend(several.iter().filter_map(Value::as_str));
    }
    // `payment_intent.*` is Stripe's own notation for a family of types.
    let wanted = |kind: &str| {
        kinds.is_empty()
            || kinds.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(family) => kind.starts_with(family),
                None => *pattern == kind,
            })
    };
    let created = lists::Created::read(params)?;
    let objects = context
        .store
        .all(Table::Events)
        .map(|(_, row)| row)
        .filter(|row| {
            // Bodies are text; the row's own fields spare parsing those that are not asked for.
            of_account(context, row)
                && wanted(row["type"].as_str().unwrap_or_default())
                && created.admits(row["created"].as_i64().unwrap_or(0))
        })
        .filter_map(parsed);
    lists::page(params, "/v1/events", objects)
}
