//! Paying an intent: success, decline, authentication, and bank debits that settle later.

use serde_json::{Value, json};

use super::charges;
use super::confirmation_tokens;
use super::context::Context;
use super::disputes;
use super::due;
use super::errors::StripeError;
use super::magic::{self, AUTHENTICATION_FAILED, AUTHENTICATION_REQUIRED, Behaviour, Debit, Decline};
use super::mandates;
use super::params::Params;
use super::payment_intents::{admitted, confirmable, unexpected, visible};
use super::payment_methods::{self, Method};
use crate::store::{Store, Table};

const CONFIRM: [&str; 19] = [
    "_stripe_account",
    "amount_details",
    "capture_method",
    "client_secret",
    "confirmation_token",
    "error_on_requires_action",
    "key",
    "mandate",
    "mandate_data",
    "off_session",
    "payment_method",
    "payment_method_data",
    "payment_method_options",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "shipping",
    "use_stripe_sdk",
    "payment_method_types",
];

/// A late return comes this long after the success.
const RETURNING: i64 = 2 * 24 * 60 * 60;

pub(crate) fn by_request(context: &mut Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&CONFIRM)?;
    let intent = admitted(context, id, params)?;
    confirmable(context, &intent)?;
    let method = payment_methods::named(context, &intent, params)?.ok_or_else(|| without_method(&intent))?;
    mandates::admit(context, &method, params.text("mandate"))?;
    let confirmed = confirm(context, intent, &method, params)?;
    Ok(visible(context, confirmed))
}

pub(crate) fn without_method(intent: &Value) -> StripeError {
    unexpected(intent, "You cannot confirm this PaymentIntent because it's missing a payment method; its status is")
}

pub(crate) fn confirm(
    context: &mut Context<'_>,
    mut intent: Value,
    method: &Method,
    params: &Params,
) -> Result<Value, StripeError> {
    if let Some(email) = params.text("receipt_email") {
        intent["receipt_email"] = json!(email);
    }
    intent["payment_method"] = json!(method.id());
    intent["last_payment_error"] = Value::Null;
    intent["next_action"] = Value::Null;
    if let Some(token) = params.text("confirmation_token") {
        confirmation_tokens::used(context, token, &intent);
    }
    payment_methods::used(context, method);
    let absent = params.flag("off_session") || params.flag("error_on_requires_action");
    match method.behaviour {
        Behaviour::AuthenticatesOnSetup if absent && method.is("set_up") => Ok(succeed(context, intent, method)),
        Behaviour::Succeeds | Behaviour::RefundPends | Behaviour::RefundFails | Behaviour::Disputes(_) => {
            Ok(succeed(context, intent, method))
        }
        Behaviour::Declines(decline) | Behaviour::DeclinesCharges(decline) => {
            Err(fail(context, intent, method, &decline))
        }
        Behaviour::Authenticates | Behaviour::AuthenticatesOnSetup if absent => {
            Err(fail(context, intent, method, &AUTHENTICATION_REQUIRED))
        }
        Behaviour::Authenticates | Behaviour::AuthenticatesOnSetup => Ok(ask(context, intent, params)),
        Behaviour::Debits(debit) => Ok(process(context, intent, method, debit)),
    }
}

fn ask(context: &mut Context<'_>, mut intent: Value, params: &Params) -> Value {
    let id = intent["id"].as_str().unwrap_or_default();
    let url = format!("{}/pages/authenticate/{id}", context.base_url);
    intent["next_action"] = json!({
        "redirect_to_url": {"return_url": params.text("return_url"), "url": url},
        "type": "redirect_to_url",
    });
    intent["status"] = json!("requires_action");
    context.put(Table::PaymentIntents, &intent);
    context.emit("payment_intent.requires_action", &intent);
    intent
}

fn process(context: &mut Context<'_>, mut intent: Value, method: &Method, debit: Debit) -> Value {
    let charge = charges::pending(context, &intent, method);
    intent["latest_charge"] = charge["id"].clone();
    intent["status"] = json!("processing");
    if !matches!(debit, Debit::Stays) {
        let at = context.now().saturating_add(context.store.ach_seconds());
        due::put(context, at, due::Step::Settle, intent["id"].as_str().unwrap_or_default());
    }
    context.put(Table::PaymentIntents, &intent);
    context.emit("payment_intent.processing", &intent);
    context.emit("charge.pending", &charge);
    intent
}

fn succeed(context: &mut Context<'_>, mut intent: Value, method: &Method) -> Value {
    let charge = charges::succeeded(context, &intent, method);
    intent["amount_received"] = intent["amount"].clone();
    intent["latest_charge"] = charge["id"].clone();
    intent["status"] = json!("succeeded");
    intent["processing"] = Value::Null;
    intent["next_action"] = Value::Null;
    context.put(Table::PaymentIntents, &intent);
    context.emit("charge.succeeded", &charge);
    context.emit("payment_intent.succeeded", &intent);
    let amount = charge["amount"].as_i64().unwrap_or(0);
    match method.behaviour {
        Behaviour::Disputes(reason) => {
            disputes::open(context, &charge, reason, amount, "needs_response");
        }
        Behaviour::Debits(Debit::Returns(_)) => {
            let at = context.now() + RETURNING;
            due::put(context, at, due::Step::Return, charge["id"].as_str().unwrap_or_default());
        }
        _ => {}
    }
    intent
}

/// The days of a debit have passed.
pub(crate) fn arrive(context: &mut Context<'_>, id: &str) {
    let Some(intent) = context.get(Table::PaymentIntents, id).filter(|intent| intent["status"] == json!("processing"))
    else {
        return;
    };
    let name = intent["payment_method"].as_str().unwrap_or_default().to_owned();
    let Ok(method) = payment_methods::resolve(context, &name) else { return };
    match method.behaviour {
        Behaviour::Debits(Debit::Fails(decline)) => {
            fail(context, intent, &method, &decline);
        }
        Behaviour::Debits(Debit::Stays) => {}
        _ => {
            succeed(context, intent, &method);
        }
    }
}

fn fail(context: &mut Context<'_>, mut intent: Value, method: &Method, decline: &Decline) -> StripeError {
    let charge = charges::failed(context, &intent, method, decline);
    let mut error = json!({
        "advice_code": decline.advice_code,
        "charge": charge["id"],
        "code": decline.code,
        "decline_code": decline.reason,
        "doc_url": format!("https://docs.stripe.com/error-codes/{}", decline.code.replace('_', "-")),
        "message": decline.message,
        "network_decline_code": decline.network_code,
        "type": "card_error",
    });
    error["payment_method"] = method.object.clone();
    intent["last_payment_error"] = error.clone();
    intent["latest_charge"] = charge["id"].clone();
    intent["payment_method"] = Value::Null;
    intent["next_action"] = Value::Null;
    intent["processing"] = Value::Null;
    intent["status"] = json!("requires_payment_method");
    context.put(Table::PaymentIntents, &intent);
    context.emit("charge.failed", &charge);
    context.emit("payment_intent.payment_failed", &intent);
    if let Some(mandate) = method.mandate().filter(|_| magic::ends_mandate(decline.code)) {
        mandates::end(context, mandate);
    }
    let mut refusal = StripeError::new(402, "card_error", decline.message).executed();
    if let Some(fields) = error.as_object() {
        for (name, value) in fields {
            refusal = refusal.with(name, value.clone());
        }
    }
    refusal.with("payment_intent", visible(context, intent))
}

/// What the person does on the authentication page, or what the bank answers days later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Authenticate,
    Settle,
}

/// `None` when there is no such intent; an `Err` text when its state does not wait for this.
pub(crate) fn outside(
    store: &mut Store,
    id: &str,
    step: Step,
    well: bool,
    failure: &str,
) -> Option<Result<Value, String>> {
    let (account, intent) = store.find(Table::PaymentIntents, id)?;
    let waits_for = match step {
        Step::Authenticate => "requires_action",
        Step::Settle => "processing",
    };
    let status = intent["status"].as_str().unwrap_or_default();
    if status != waits_for {
        return Some(Err(format!("the payment intent is {status}, not {waits_for}")));
    }
    let mut context = Context::internal(store, &account, "");
    let name = intent["payment_method"].as_str().unwrap_or_default().to_owned();
    let Ok(method) = payment_methods::resolve(&mut context, &name) else {
        return Some(Err("the payment intent has no payment method".to_owned()));
    };
    if well {
        return Some(Ok(succeed(&mut context, intent, &method)));
    }
    let decline = match step {
        Step::Authenticate => AUTHENTICATION_FAILED,
        Step::Settle if failure.is_empty() => magic::BANK_EMPTY,
        Step::Settle => match magic::bank_refusal(failure) {
            Some(decline) => decline,
            None => return Some(Err(format!("the sandbox knows no failure {failure}"))),
        },
    };
    fail(&mut context, intent, &method, &decline);
    Some(Ok(context.get(Table::PaymentIntents, id).unwrap_or_default()))
}
