//! Webhook intake: verify over the raw bytes, store, acknowledge. Understanding comes later.

use chrono::Utc;
use edge::Problem;
use integrations::{resend, stripe, twilio};
use poem::{Body, Request, Response, handler, http::StatusCode, web::Data};
use serde_json::json;

use super::{CommandState, LARGEST_WEBHOOK, STRANGERS, respond};
use crate::intake;

#[handler]
pub async fn from_stripe(state: Data<&CommandState>, request: &Request, body: Body) -> Result<Response, Problem> {
    let raw = STRANGERS.bytes(body, LARGEST_WEBHOOK).await?;
    let providers = &state.effects.providers;
    stripe::webhook::verify(&raw, request.header("stripe-signature"), &providers.stripe_webhook_secrets, Utc::now())
        .map_err(|problem| Problem::malformed(format!("the signature is not accepted: {problem}")))?;
    // Signed but of no form we know: kept under its own hash, so that it can be looked at.
    let id = stripe::webhook::parse(&raw).map_or_else(|_| digest(&raw), |notice| notice.id);
    accept(&state, "stripe", &id, &raw).await
}

#[handler]
pub async fn from_resend(state: Data<&CommandState>, request: &Request, body: Body) -> Result<Response, Problem> {
    let raw = STRANGERS.bytes(body, LARGEST_WEBHOOK).await?;
    let providers = &state.effects.providers;
    let headers = resend::webhook::SvixHeaders {
        id: request.header("svix-id"),
        timestamp: request.header("svix-timestamp"),
        signature: request.header("svix-signature"),
    };
    resend::webhook::verify(&raw, &headers, &providers.resend_webhook_secrets, Utc::now())
        .map_err(|problem| Problem::malformed(format!("the signature is not accepted: {problem}")))?;
    let id = headers.id.map_or_else(|| digest(&raw), ToOwned::to_owned);
    accept(&state, "resend", &id, &raw).await
}

/// Callbacks about texts, and texts of people. The answer is empty in Twilio's own language: we answer texts ourselves.
#[handler]
pub async fn from_twilio(state: Data<&CommandState>, request: &Request, body: Body) -> Result<Response, Problem> {
    let raw = STRANGERS.bytes(body, LARGEST_WEBHOOK).await?;
    let providers = &state.effects.providers;
    let path_and_query = request.uri().path_and_query().map_or("/", |known| known.as_str());
    let received = twilio::webhook::Received {
        // What Twilio called, whatever a proxy made of host and scheme.
        address: &format!("{}{path_and_query}", providers.public_url),
        content_type: request.content_type(),
        signature: request.header("x-twilio-signature"),
        body: &raw,
    };
    twilio::webhook::verify(&received, &providers.twilio_webhook_tokens)
        .map_err(|problem| Problem::malformed(format!("the signature is not accepted: {problem}")))?;
    let kept = twilio::webhook::envelope(path_and_query, request.content_type(), &raw);
    let id = twilio::webhook::identity(&kept).unwrap_or_else(|| digest(&kept));
    accept(&state, "twilio", &id, &kept).await?;
    let empty = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";
    Ok(Response::builder().status(StatusCode::OK).content_type("text/xml; charset=utf-8").body(empty))
}

async fn accept(state: &CommandState, provider: &str, id: &str, raw: &[u8]) -> Result<Response, Problem> {
    let new = intake::store(&state.effects, provider, id, raw).await?;
    if new {
        state.work.notify_one();
    }
    Ok(respond(StatusCode::OK, &json!({ "received": true, "repeated": !new })))
}

fn digest(raw: &[u8]) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::nil(), raw).to_string()
}
