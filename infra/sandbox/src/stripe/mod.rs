//! Stripe's API as far as Propty uses it: who calls, under which key, and which file answers.

pub(crate) mod accounts;
mod balance;
mod charges;
pub(crate) mod confirm;
mod confirmation_tokens;
pub(crate) mod context;
mod customers;
mod errors;
mod events;
mod expand;
mod lists;
mod params;
mod payment_intents;
mod payment_methods;
pub(crate) mod payouts;
pub(crate) mod refunds;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use poem::http::Method;
use serde_json::Value;

use self::context::{API_VERSION, Context, PLATFORM};
use self::errors::StripeError;
use self::params::Params;
use crate::faults::FaultKind;
use crate::http::{Call, Reply};
use crate::idempotency::{self, Conflict, Key, Outcome};
use crate::shared::Shared;
use crate::store::Table;
use crate::{form, ids};

const KEY_CHARACTERS: usize = 255;

struct Caller {
    account: String,
    publishable: bool,
}

pub(crate) async fn serve(shared: &Arc<Shared>, call: &Call, fault: Option<&FaultKind>) -> Reply {
    if call.method == Method::OPTIONS {
        return open_to_browsers(Reply::text(204, String::new()))
            .with("Access-Control-Allow-Methods", "GET, POST")
            .with(
                "Access-Control-Allow-Headers",
                "authorization, content-type, stripe-account, idempotency-key, stripe-version",
            );
    }
    let request_id = format!("req_{}", ids::random(14));
    let reply = answer(shared, call, fault, &request_id).await;
    let mut reply = open_to_browsers(reply).with("Stripe-Version", API_VERSION);
    if !reply.headers.iter().any(|(name, _)| *name == "Request-Id") {
        reply = reply.with("Request-Id", &request_id);
    }
    reply
}

/// Stripe's own script calls from the browser, and so does the demo's page.
fn open_to_browsers(reply: Reply) -> Reply {
    reply.with("Access-Control-Allow-Origin", "*")
}

async fn answer(shared: &Arc<Shared>, call: &Call, fault: Option<&FaultKind>, request_id: &str) -> Reply {
    let params = match read(call) {
        Ok(params) => params,
        Err(error) => return error.into_reply(request_id),
    };
    let caller = match admit(shared, call, &params) {
        Ok(caller) => caller,
        Err(error) => return error.into_reply(request_id),
    };
    let given_key = call.header("idempotency-key").filter(|_| call.method == Method::POST);
    if given_key.is_some_and(|key| key.is_empty() || key.len() > KEY_CHARACTERS) {
        return StripeError::invalid(format!("Idempotency keys must have between 1 and {KEY_CHARACTERS} characters."))
            .into_reply(request_id);
    }
    let key = given_key.map(|key| Key {
        scope: format!("stripe/{}/{key}", caller.account),
        path: call.path.clone(),
        fingerprint: idempotency::fingerprint(&params.0),
    });
    let broken = StripeError::new(500, "api_error", "An unknown error occurred").into_reply(request_id);
    idempotency::execute(
        shared,
        key,
        fault,
        Outcome { reply: broken.with("Request-Id", request_id), save: true },
        |conflict| refusal(&conflict, given_key.unwrap_or_default()).into_reply(request_id),
        |store| {
            let mut context = Context {
                store,
                account: &caller.account,
                base_url: &shared.base_url,
                request_id: Some(request_id),
                idempotency_key: given_key,
                publishable: caller.publishable,
            };
            let result = route(&mut context, call, &params).and_then(|mut answer| {
                expand::apply(&context, &params, &mut answer)?;
                Ok(answer)
            });
            let (reply, save) = match result {
                Ok(answer) => (Reply::json(200, &answer), true),
                Err(error) => {
                    let save = error.executed;
                    (error.into_reply(request_id), save)
                }
            };
            Outcome { reply: reply.with("Request-Id", request_id), save }
        },
    )
    .await
}

fn read(call: &Call) -> Result<Params, StripeError> {
    if call.method != Method::POST {
        return Ok(Params(form::tree(call.query.as_bytes())));
    }
    let kind = call.header("content-type").unwrap_or_default();
    if !call.body.is_empty() && !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(StripeError::invalid(format!(
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded): {kind}"
        )));
    }
    Ok(Params(form::tree(&call.body)))
}

fn admit(shared: &Shared, call: &Call, params: &Params) -> Result<Caller, StripeError> {
    let unauthorized = |message: String| StripeError::invalid(message).status(401);
    let basic = || {
        let encoded = call.header("authorization")?.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        text.split(':').next().map(str::to_owned)
    };
    let key = call
        .bearer()
        .map(str::to_owned)
        .or_else(basic)
        .or_else(|| params.text("key").filter(|key| key.starts_with("pk_")).map(str::to_owned))
        .ok_or_else(|| {
            unauthorized(
                "You did not provide an API key. Provide it in the Authorization header, using Bearer auth.".to_owned(),
            )
        })?;
    if key.contains("_live_") {
        return Err(unauthorized(
            "This is the sandbox: a live key has no business here. Use a key like sk_test_sandbox.".to_owned(),
        ));
    }
    let publishable = key.starts_with("pk_");
    let known = publishable || key.starts_with("sk_") || key.starts_with("rk_");
    if !known || key.contains("invalid") {
        return Err(unauthorized("Invalid API Key provided: ***".to_owned()));
    }
    if key.contains("expired") {
        return Err(unauthorized("Expired API Key provided: ***".to_owned()).code("api_key_expired"));
    }
    let account =
        call.header("stripe-account").or_else(|| params.text("_stripe_account")).filter(|account| !account.is_empty());
    if let Some(account) = account {
        let usable = shared.read(|store| {
            store.get(Table::Accounts, account).is_some_and(|row| row["deauthorized"] != Value::Bool(true))
        });
        if !usable {
            return Err(accounts::no_access(account));
        }
    }
    Ok(Caller { account: account.unwrap_or(PLATFORM).to_owned(), publishable })
}

fn refusal(conflict: &Conflict, key: &str) -> StripeError {
    match conflict {
        Conflict::OtherBody => StripeError::new(
            400,
            "idempotency_error",
            format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                 Try using a key other than '{key}' if you meant to execute a different request."
            ),
        ),
        Conflict::OtherPath(path) => StripeError::new(
            400,
            "idempotency_error",
            format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for \
                 ('{path}'). Try using a key other than '{key}' if you meant to execute a different request."
            ),
        ),
        Conflict::InFlight => StripeError::new(
            409,
            "idempotency_error",
            format!(
                "There is currently another in-progress request using this Idempotent Key: {key}. That probably means \
                 you submitted twice, and the other request is still going through."
            ),
        )
        .code("idempotency_key_in_use"),
    }
}

fn route(context: &mut Context<'_>, call: &Call, params: &Params) -> Result<Value, StripeError> {
    let post = call.method == Method::POST;
    let segments = call.segments();
    let path = segments.strip_prefix(&["v1"]).unwrap_or_default();
    let for_browsers =
        matches!((post, path), (false, ["payment_intents", _]) | (true, ["payment_intents", _, "confirm"]));
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
        (false, ["payment_methods", id]) => payment_methods::retrieve(context, id),
        (true, ["refunds"]) => refunds::create(context, params),
        (false, ["refunds"]) => refunds::list(context, params),
        (false, ["refunds", id]) => refunds::retrieve(context, id),
        (false, ["charges"]) => charges::list(context, params),
        (false, ["charges", id]) => charges::retrieve(context, id),
        (false, ["balance_transactions"]) => balance::list(context, params),
        (false, ["balance_transactions", id]) => balance::retrieve(context, id),
        (true, ["test_helpers", "confirmation_tokens"]) => confirmation_tokens::create(context, params),
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
