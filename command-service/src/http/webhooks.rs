//! Webhook intake: verify over the raw bytes, store, acknowledge. Understanding comes later.

use chrono::Utc;
use edge::Problem;
use integrations::{resend, stripe};
use poem::{Body, Request, Response, handler, http::StatusCode, web::Data};
use serde_json::json;

use super::{CommandState, LARGEST_WEBHOOK, bytes, respond};
use crate::intake;

#[handler]
pub async fn from_stripe(state: Data<&CommandState>, request: &Request, body: Body) -> Result<Response, Problem> {
    let raw = bytes(body, LARGEST_WEBHOOK).await?;
    let providers = &state.effects.providers;
    stripe::webhook::verify(&raw, request.header("stripe-signature"), &providers.stripe_webhook_secrets, Utc::now())
        .map_err(|problem| Problem::malformed(format!("the signature is not accepted: {problem}")))?;
    // Signed but of no form we know: kept under its own hash, so that it can be looked at.
    let id = stripe::webhook::parse(&raw).map_or_else(|_| digest(&raw), |notice| notice.id);
    accept(&state, "stripe", &id, &raw).await
}

#[handler]
pub async fn from_resend(state: Data<&CommandState>, request: &Request, body: Body) -> Result<Response, Problem> {
    let raw = bytes(body, LARGEST_WEBHOOK).await?;
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
