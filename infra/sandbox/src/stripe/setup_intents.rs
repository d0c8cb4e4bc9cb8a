//! Setup intents: a person keeps a card or a bank account for later, without paying now.

use serde_json::{Value, json};

use super::confirmation_tokens;
use super::context::{Context, PLATFORM};
use super::errors::StripeError;
use super::magic::{AUTHENTICATION_FAILED, Behaviour, Decline};
use super::mandates;
use super::microdeposits;
use super::params::Params;
use super::payment_methods::{self, Method, is_bank};
use crate::ids;
use crate::store::{Store, Table};

const WRITABLE: [&str; 16] = [
    "allowed_payment_method_types",
    "automatic_payment_methods",
    "confirm",
    "confirmation_token",
    "customer",
    "description",
    "excluded_payment_method_types",
    "flow_directions",
    "mandate_data",
    "metadata",
    "payment_method",
    "payment_method_data",
    "payment_method_options",
    "return_url",
    "usage",
    "use_stripe_sdk",
];
const CONFIRM: [&str; 10] = [
    "_stripe_account",
    "client_secret",
    "confirmation_token",
    "key",
    "mandate_data",
    "payment_method",
    "payment_method_data",
    "payment_method_options",
    "return_url",
    "use_stripe_sdk",
];
/// What a publishable key may not see.
const PRIVATE: [&str; 4] = ["application", "customer", "mandate", "metadata"];

pub(crate) fn create(context: &mut Context<'_>, params: &Params) -> Result<Value, StripeError> {
    params.allow(&WRITABLE)?;
    let customer = params.text("customer").map(str::to_owned);
    if let Some(id) = &customer
        && context.get(Table::Customers, id).is_none()
    {
        return Err(StripeError::missing("customer", id, "customer"));
    }
    let metadata = params.metadata(&json!({}))?;
    let (allowed, types) = payment_methods::types(params)?;
    let id = context.store.new_id("seti_");
    let mut intent = json!({
        "allowed_payment_method_types": allowed,
        "application": if context.account == PLATFORM { Value::Null } else { json!("ca_sandbox") },
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": true},
        "cancellation_reason": null,
        "client_secret": format!("{id}_secret_{}", ids::random(20)),
        "created": context.now(),
        "customer": customer,
        "customer_account": null,
        "description": params.text("description"),
        "excluded_payment_method_types": null,
        "flow_directions": null,
        "id": id,
        "last_setup_error": null,
        "latest_attempt": null,
        "livemode": false,
        "mandate": null,
        "metadata": metadata,
        "next_action": null,
        "object": "setup_intent",
        "on_behalf_of": null,
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": {"us_bank_account": {"verification_method": wanted(params).unwrap_or("automatic")}},
        "payment_method_types": types,
        "single_use_mandate": null,
        "status": "requires_payment_method",
        "usage": params.text("usage").unwrap_or("off_session"),
    });
    let method = payment_methods::named(context, &intent, params)?;
    if params.flag("confirm") && method.is_none() {
        return Err(unexpected(
            &intent,
            "You cannot confirm this SetupIntent because it's missing a payment method; its status is",
        ));
    }
    if let (Some(method), false) = (&method, params.flag("confirm")) {
        intent["payment_method"] = json!(method.id());
        intent["status"] = json!("requires_confirmation");
    }
    context.put(Table::SetupIntents, &intent);
    context.emit("setup_intent.created", &intent);
    match method {
        Some(method) if params.flag("confirm") => settle(context, intent, &method, params),
        _ => Ok(intent),
    }
}

fn wanted(params: &Params) -> Option<&str> {
    params.0["payment_method_options"]["us_bank_account"]["verification_method"].as_str()
}

pub(crate) fn find(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context.get(Table::SetupIntents, id).ok_or_else(|| StripeError::not_found("setupintent", id, "intent"))
}

/// A browser proves itself by the client secret.
pub(crate) fn admitted(context: &Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    let intent = find(context, id)?;
    let secret = params.text("client_secret");
    let wrong = secret.is_some_and(|secret| intent["client_secret"] != json!(secret));
    if wrong || (context.publishable && secret.is_none()) {
        return Err(StripeError::invalid(
            "The client_secret provided does not match any associated SetupIntent on this account.",
        )
        .param("client_secret"));
    }
    Ok(intent)
}

pub(crate) fn visible(context: &Context<'_>, mut intent: Value) -> Value {
    if context.publishable
        && let Some(fields) = intent.as_object_mut()
    {
        fields.retain(|name, _| !PRIVATE.contains(&name.as_str()));
    }
    intent
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&["client_secret", "key", "_stripe_account"])?;
    Ok(visible(context, admitted(context, id, params)?))
}

pub(crate) fn confirm(context: &mut Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&CONFIRM)?;
    let intent = admitted(context, id, params)?;
    if !open(&intent) {
        return Err(unexpected(&intent, "You cannot confirm this SetupIntent because it has a status of"));
    }
    let method = payment_methods::named(context, &intent, params)?.ok_or_else(|| {
        unexpected(&intent, "You cannot confirm this SetupIntent because it's missing a payment method; its status is")
    })?;
    let confirmed = settle(context, intent, &method, params)?;
    Ok(visible(context, confirmed))
}

fn open(intent: &Value) -> bool {
    matches!(intent["status"].as_str(), Some("requires_payment_method" | "requires_confirmation" | "requires_action"))
}

fn settle(
    context: &mut Context<'_>,
    mut intent: Value,
    method: &Method,
    params: &Params,
) -> Result<Value, StripeError> {
    intent["payment_method"] = json!(method.id());
    intent["last_setup_error"] = Value::Null;
    intent["next_action"] = Value::Null;
    if let Some(token) = params.text("confirmation_token") {
        confirmation_tokens::used(context, token, &intent);
    }
    match method.behaviour {
        Behaviour::Declines(decline) => Err(fail(context, intent, method, &decline)),
        Behaviour::Authenticates | Behaviour::AuthenticatesOnSetup => {
            let id = intent["id"].as_str().unwrap_or_default();
            let url = format!("{}/pages/authenticate/{id}", context.base_url);
            let back = json!({"return_url": params.text("return_url"), "url": url});
            Ok(ask(context, intent, json!({"redirect_to_url": back, "type": "redirect_to_url"})))
        }
        Behaviour::Debits(_) => {
            let chosen = wanted(params).map(str::to_owned).or_else(|| {
                intent["payment_method_options"]["us_bank_account"]["verification_method"].as_str().map(str::to_owned)
            });
            let verified = match chosen.as_deref() {
                Some("microdeposits") => false,
                Some("instant" | "skip") => true,
                _ => method.is("verified"),
            };
            if verified {
                return Ok(succeed(context, intent, method));
            }
            let next = microdeposits::announce(context, &intent);
            Ok(ask(context, intent, next))
        }
        _ => Ok(succeed(context, intent, method)),
    }
}

fn ask(context: &mut Context<'_>, mut intent: Value, next: Value) -> Value {
    intent["next_action"] = next;
    intent["status"] = json!("requires_action");
    context.put(Table::SetupIntents, &intent);
    context.emit("setup_intent.requires_action", &intent);
    intent
}

pub(crate) fn succeed(context: &mut Context<'_>, mut intent: Value, method: &Method) -> Value {
    payment_methods::mark(context, method.id(), |row| {
        row["set_up"] = json!(true);
        row["verified"] = json!(true);
    });
    if is_bank(&method.object) {
        intent["mandate"] = mandates::grant(context, method)["id"].clone();
    }
    if let Some(customer) = intent["customer"].as_str().map(str::to_owned) {
        payment_methods::keep(context, method, &customer);
    }
    intent["next_action"] = Value::Null;
    intent["status"] = json!("succeeded");
    context.put(Table::SetupIntents, &intent);
    context.emit("setup_intent.succeeded", &intent);
    intent
}

pub(crate) fn fail(context: &mut Context<'_>, mut intent: Value, method: &Method, decline: &Decline) -> StripeError {
    let error = json!({
        "advice_code": decline.advice_code,
        "code": decline.code,
        "decline_code": decline.reason,
        "doc_url": format!("https://docs.stripe.com/error-codes/{}", decline.code.replace('_', "-")),
        "message": decline.message,
        "payment_method": method.object,
        "type": if is_bank(&method.object) { "invalid_request_error" } else { "card_error" },
    });
    intent["last_setup_error"] = error.clone();
    intent["payment_method"] = Value::Null;
    intent["next_action"] = Value::Null;
    intent["status"] = json!("requires_payment_method");
    context.put(Table::SetupIntents, &intent);
    context.emit("setup_intent.setup_failed", &intent);
    let mut refusal = StripeError::new(402, "card_error", decline.message).executed();
    for (name, value) in error.as_object().into_iter().flatten() {
        refusal = refusal.with(name, value.clone());
    }
    refusal.with("setup_intent", visible(context, intent))
}

pub(crate) fn cancel(context: &mut Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&["cancellation_reason"])?;
    let mut intent = find(context, id)?;
    if !open(&intent) {
        return Err(unexpected(&intent, "You cannot cancel this SetupIntent because it has a status of"));
    }
    intent["status"] = json!("canceled");
    intent["cancellation_reason"] = params.text_or_null("cancellation_reason");
    intent["next_action"] = Value::Null;
    context.put(Table::SetupIntents, &intent);
    context.emit("setup_intent.canceled", &intent);
    Ok(intent)
}

pub(crate) fn unexpected(intent: &Value, message: &str) -> StripeError {
    let status = intent["status"].as_str().unwrap_or_default();
    StripeError::invalid(format!("{message} {status}."))
        .code("setup_intent_unexpected_state")
        .with("setup_intent", intent.clone())
        .executed()
}

/// What the person does on the bank's page; for a bank account, whether the small amounts are told rightly.
pub(crate) fn outside(store: &mut Store, id: &str, well: bool) -> Option<Result<Value, String>> {
    let (account, intent) = store.find(Table::SetupIntents, id)?;
    let status = intent["status"].as_str().unwrap_or_default();
    if status != "requires_action" {
        return Some(Err(format!("the setup intent is {status}, not requires_action")));
    }
    let mut context = Context::internal(store, &account, "");
    let name = intent["payment_method"].as_str().unwrap_or_default().to_owned();
    let Ok(method) = payment_methods::resolve(&mut context, &name) else {
        return Some(Err("the setup intent has no payment method".to_owned()));
    };
    if well {
        return Some(Ok(succeed(&mut context, intent, &method)));
    }
    let decline = if is_bank(&method.object) {
        microdeposits::FAILED
    } else {
        Decline { code: "setup_intent_authentication_failure", ..AUTHENTICATION_FAILED }
    };
    fail(&mut context, intent, &method, &decline);
    Some(Ok(context.get(Table::SetupIntents, id).unwrap_or_default()))
}
