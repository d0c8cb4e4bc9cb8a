//! Which file answers which request.

use poem::http::Method;
use serde_json::Value;

use super::context::Context;
use super::errors::StripeError;
use super::params::Params;
use super::{
    accounts, balance, charges, confirm, confirmation_tokens, customers, disputes, events, mandates, microdeposits,
    payment_intents, payment_methods, payouts, refunds, setup_intents,
};
use crate::http::Call;

pub(crate) fn route(context: &mut Context<'_>, call: &Call, params: &Params) -> Result<Value, StripeError> {
    let post = call.method == Method::POST;
    let segments = call.segments();
    let path = segments.strip_prefix(&["v1"]).unwrap_or_default();
    let for_browsers = match path {
        ["payment_intents" | "setup_intents", _] => !post,
        ["payment_intents" | "setup_intents", _, "confirm"]
        | ["setup_intents", _, "verify_microdeposits"]
        | ["payment_methods" | "confirmation_tokens"] => post,
        _ => false,
    };
    if context.publishable && !for_browsers {
        return Err(StripeError::invalid(
            "This API call cannot be made with a publishable API key. Please use a secret API key.",
        )
        .code("secret_key_required")
        .status(401));
    }
    if !post && call.method != Method::GET {
        return Err(unknown(call));
    }
    match (post, path) {
        (true, ["accounts"]) => accounts::create(context, params),
        (true, ["accounts", id]) => accounts::update(context, id, params),
        (false, ["accounts", id]) => accounts::retrieve(context, id),
        (true, ["accounts", id, "login_links"]) => accounts::login_link(context, id),
        (true, ["account_links"]) => accounts::link(context, params),
        (true, ["customers"]) => customers::create(context, params),
        (false, ["customers"]) => customers::list(context, params),
        (true, ["customers", id]) => customers::update(context, id, params),
        (false, ["customers", id]) => customers::retrieve(context, id),
        (true, ["payment_intents"]) => payment_intents::create(context, params),
        (false, ["payment_intents"]) => payment_intents::list(context, params),
        (false, ["payment_intents", id]) => payment_intents::retrieve(context, id, params),
        (true, ["payment_intents", id]) => payment_intents::update(context, id, params),
        (true, ["payment_intents", id, "confirm"]) => confirm::by_request(context, id, params),
        (true, ["payment_intents", id, "cancel"]) => payment_intents::cancel(context, id, params),
        (true, ["setup_intents"]) => setup_intents::create(context, params),
        (false, ["setup_intents", id]) => setup_intents::retrieve(context, id, params),
        (true, ["setup_intents", id, "confirm"]) => setup_intents::confirm(context, id, params),
        (true, ["setup_intents", id, "verify_microdeposits"]) => microdeposits::verify(context, id, params),
        (true, ["setup_intents", id, "cancel"]) => setup_intents::cancel(context, id, params),
        (true, ["payment_methods"]) => payment_methods::create(context, params),
        (false, ["payment_methods"]) => payment_methods::list(context, params),
        (false, ["payment_methods", id]) => payment_methods::retrieve(context, id),
        (true, ["payment_methods", id, "attach"]) => payment_methods::attach(context, id, params),
        (true, ["payment_methods", id, "detach"]) => payment_methods::detach(context, id, params),
        (false, ["mandates", id]) => mandates::retrieve(context, id),
        (false, ["disputes"]) => disputes::list(context, params),
        (false, ["disputes", id]) => disputes::retrieve(context, id),
        (true, ["refunds"]) => refunds::create(context, params),
        (false, ["refunds"]) => refunds::list(context, params),
        (false, ["refunds", id]) => refunds::retrieve(context, id),
        (false, ["charges"]) => charges::list(context, params),
        (false, ["charges", id]) => charges::retrieve(context, id),
        (false, ["balance"]) => balance::now(context, params),
        (false, ["balance_transactions"]) => balance::list(context, params),
        (false, ["balance_transactions", id]) => balance::retrieve(context, id),
        (true, ["confirmation_tokens"] | ["test_helpers", "confirmation_tokens"]) => {
            confirmation_tokens::create(context, params)
        }
        (false, ["confirmation_tokens", id]) => confirmation_tokens::retrieve(context, id),
        (false, ["events"]) => events::list(context, params),
        (false, ["events", id]) => events::retrieve(context, id),
        (false, ["payouts"]) => payouts::list(context, params),
        (false, ["payouts", id]) => payouts::retrieve(context, id),
        _ => Err(unknown(call)),
    }
}

fn unknown(call: &Call) -> StripeError {
    StripeError::invalid(format!(
        "Unrecognized request URL ({}: {}). The sandbox knows only what Propty uses.",
        call.method, call.path
    ))
    .status(404)
}
