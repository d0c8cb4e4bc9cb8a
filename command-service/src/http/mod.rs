//! The HTTP side of commands: the command endpoint, tokens and sign-in, links to Stripe, webhooks.

mod commands;
mod endpoints;
mod links;
mod previews;
mod sign_in;
mod tokens;
mod webhooks;

use std::{sync::Arc, time::Duration};

use edge::{Authenticator, Caller, Problem};
use poem::{Body, Endpoint, EndpointExt, Response, Route, get, http::StatusCode, post};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};
use uuid::Uuid;

use crate::{Ask, Expect, effects::Effects};

pub use sign_in::SignInLimits;
pub use tokens::{Grant, issue_token};

/// The largest command that is read: a job of 5,000 items fits.
const LARGEST: usize = 4 * 1024 * 1024;
/// The largest webhook.
const LARGEST_WEBHOOK: usize = 512 * 1024;
/// How much of a browser's name of itself is kept.
const LONGEST_AGENT: usize = 300;

/// Bodies of one kind of sender that are read at once; more wait their turn.
struct Desk {
    places: Semaphore,
    /// How long a body may take to arrive, and a place to come free.
    slowest: Duration,
}

/// Those who have shown who they are.
static KNOWN: Desk = Desk { places: Semaphore::const_new(64), slowest: Duration::from_secs(20) };
/// Anybody: however many there are, and however slow, they keep nobody else waiting.
static STRANGERS: Desk = Desk { places: Semaphore::const_new(128), slowest: Duration::from_secs(5) };

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct CommandState {
    pub effects: Effects,
    pub authenticator: Authenticator,
    /// Wakes the worker of this process.
    pub work: Arc<Notify>,
    /// Cookies are marked `Secure`.
    pub secure_cookies: bool,
    pub sign_in_limits: SignInLimits,
}

/// The command side's routes, to be mounted at the root.
pub fn routes(state: CommandState) -> impl Endpoint<Output = Response> {
    Route::new()
        .at("/v1/commands/:name", post(commands::execute))
        .at("/v1/tokens", post(tokens::issue))
        .at("/v1/webhooks", post(endpoints::register))
        .at("/v1/webhooks/:id/secret", post(endpoints::rotate))
        .at("/v1/sign-in-links", post(sign_in::request_link))
        .at("/v1/sessions", post(sign_in::open))
        .at("/v1/sessions/current", poem::delete(sign_in::close))
        .at("/v1/stripe-accounts/:id/onboarding-link", post(links::onboarding))
        .at("/v1/stripe-accounts/:id/dashboard-link", post(links::dashboard))
        .at("/sign-in", get(sign_in::page))
        .at("/webhooks/stripe", post(webhooks::from_stripe))
        .at("/webhooks/resend", post(webhooks::from_resend))
        .at(integrations::twilio::webhook::STATUS_PATH, post(webhooks::from_twilio))
        .at(integrations::twilio::webhook::INBOUND_PATH, post(webhooks::from_twilio))
        .at("/v1/text-previews", post(previews::preview))
        .data(state.authenticator.clone())
        .data(state)
        .map_to_response()
}

/// A caller's question, with the conditions that the request's headers set.
fn ask(caller: &Caller, request: &poem::Request) -> Result<Ask, Problem> {
    Ok(Ask {
        organization: caller.organization,
        actor: domain::Actor { role: caller.role, property: caller.property, resident: caller.resident },
        actor_name: caller.name.clone(),
        correlation: Uuid::now_v7(),
        causation: None,
        client_address: caller.address.clone(),
        user_agent: request.header("user-agent").map(|agent| agent.chars().take(LONGEST_AGENT).collect()),
        impersonator: None,
        idempotency_key: idempotency_key(request)?,
        expect: expect(request)?,
        wants_position: true,
    })
}

fn idempotency_key(request: &poem::Request) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > 255 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::malformed("Idempotency-Key must be 1 to 255 visible ASCII characters"));
    }
    Ok(Some(key.to_owned()))
}

fn expect(request: &poem::Request) -> Result<Expect, Problem> {
    if let Some(value) = request.headers().get("if-match") {
        let version = value.to_str().ok().and_then(|text| text.trim().trim_matches('"').parse().ok());
        return version
            .map(Expect::Version)
            .ok_or_else(|| Problem::malformed("If-Match must be the version as a strong ETag, like \"3\""));
    }
    match request.header("if-none-match").map(str::trim) {
        None => Ok(Expect::Anything),
        Some("*") => Ok(Expect::Nothing),
        Some(_) => Err(Problem::malformed("If-None-Match can only be *: the thing must not exist yet")),
    }
}

/// The body as JSON, within bounds.
async fn json(request: &poem::Request, body: Body, desk: &Desk) -> Result<Value, Problem> {
    let kind = request.content_type().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    // Also what keeps a page of another site from sending a form with a session's cookie.
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::unsupported_media_type());
    }
    let bytes = desk.bytes(body, LARGEST).await?;
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))?;
    if has_nul(&value) {
        // PostgreSQL's json type would take it, and its text functions would not.
        return Err(Problem::malformed("the body has a NUL character"));
    }
    Ok(value)
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Desk {
    async fn bytes(&self, body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
        let Ok(Ok(_place)) = timeout(self.slowest, self.places.acquire()).await else {
            return Err(Problem::unavailable("busy", "too many requests are arriving at once; send it again", 1));
        };
        match timeout(self.slowest, body.into_bytes_limit(limit)).await {
            Ok(Ok(bytes)) => Ok(bytes.to_vec()),
            Ok(Err(poem::error::ReadBodyError::PayloadTooLarge)) => Err(Problem::too_large(limit)),
            Ok(Err(error)) => Err(Problem::malformed(error.to_string())),
            Err(_) => Err(Problem::malformed("the body did not arrive in time")),
        }
    }
}

async fn typed<T: DeserializeOwned>(request: &poem::Request, body: Body, desk: &Desk) -> Result<T, Problem> {
    let value = json(request, body, desk).await?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        Problem::invalid("invalid-request", error.inner().to_string()).with("at", error.path().to_string().into())
    })
}

fn respond(status: StatusCode, body: &Value) -> Response {
    Response::builder().status(status).content_type("application/json; charset=utf-8").body(body.to_string())
}
