//! Stripe's API as far as Propty uses it: who calls, under which key, and which file answers.

pub(crate) mod accounts;
mod amounts;
pub(crate) mod balance;
mod charges;
pub(crate) mod confirm;
pub(crate) mod confirmation_tokens;
pub(crate) mod context;
mod customers;
pub(crate) mod disputes;
pub(crate) mod due;
pub(crate) mod errors;
mod events;
mod expand;
mod faces;
mod lists;
pub(crate) mod magic;
pub(crate) mod mandates;
pub(crate) mod microdeposits;
pub(crate) mod params;
pub(crate) mod payment_intents;
pub(crate) mod payment_methods;
pub(crate) mod payouts;
pub(crate) mod refunds;
mod routes;
pub(crate) mod setup_intents;

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

/// Answers a request; the business clock is looked at first.
async fn answer(shared: &Arc<Shared>, call: &Call, fault: Option<&FaultKind>, request_id: &str) -> Reply {
    due::arrive(shared);
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
            let result = routes::route(&mut context, call, &params).and_then(|mut answer| {
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
