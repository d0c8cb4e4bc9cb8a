//! The one door: reads a request whole, journals it, lets faults strike, and hands it to its provider.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures_util::stream;
use poem::http::{Method, StatusCode};
use poem::web::RemoteAddr;
use poem::{Body, Endpoint, Request, Response};
use serde_json::json;

use crate::config::Provider;
use crate::faults::FaultKind;
use crate::http::{Call, Reply};
use crate::shared::{Shared, hold};
use crate::wires::Wires;
use crate::{hosted, journal, page, pages, resend, stripe, switchboard_http, twilio};

/// Resend admits 40 MB of attachments.
const BODY_LIMIT: usize = 48 * 1024 * 1024;

/// The frames with e-mails inherit it: no script runs and no picture tells its sender that someone looked.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

pub(crate) struct Front {
    pub shared: Arc<Shared>,
    pub wires: Wires,
}

impl Endpoint for Front {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let peer = request.remote_addr().clone();
        let (parts, body) = request.into_parts();
        let Ok(body) = body.into_bytes_limit(BODY_LIMIT).await else {
            return Ok(Reply::json(413, &json!({"message": "the body is too large or broke off"})).into_response());
        };
        let path = parts.uri.path();
        let (provider, rest) = split(path);
        let call = Call {
            method: parts.method.clone(),
            path: rest.to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body: body.to_vec(),
        };
        let Some(provider) = provider else {
            return Ok(self.own(&call).await.into_response());
        };
        Ok(self.provider(provider, &call, &peer).await)
    }
}

fn split(path: &str) -> (Option<Provider>, &str) {
    for provider in [Provider::Stripe, Provider::Resend, Provider::Twilio] {
        let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(provider.name()));
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            return (Some(provider), rest);
        }
    }
    (None, path)
}

impl Front {
    async fn own(&self, call: &Call) -> Reply {
        match (&call.method, call.segments().as_slice()) {
            (&Method::GET, []) => {
                Reply::html(200, page::render(&self.shared)).with("Content-Security-Policy", PAGE_POLICY)
            }
            (_, ["switchboard", ..]) => switchboard_http::serve(&self.shared, call).await,
            (_, ["connect", ..]) => hosted::serve(&self.shared, call),
            (_, ["pages", ..]) => pages::serve(&self.shared, call),
            (_, ["phone", number]) => twilio::phone::serve(&self.shared, call, number),
            _ => Reply::json(404, &json!({"message": "nothing here; try / or /switchboard"})),
        }
    }

    async fn provider(&self, provider: Provider, call: &Call, peer: &RemoteAddr) -> Response {
        let shared = &self.shared;
        let line = if call.query.is_empty() {
            format!("{} {}", call.method, call.path)
        } else {
            format!("{} {}?{}", call.method, call.path, call.query)
        };
        let account = call.header("stripe-account").unwrap_or("platform");
        let hurried = provider == Provider::Stripe && !hold(&shared.pace).admit(account, Utc::now().timestamp());
        let fault = if hurried { None } else { hold(&shared.faults).for_request(provider, &line) };
        let entry = hold(&shared.journal).add(json!({
            "at": Utc::now().to_rfc3339(), "direction": "received", "provider": provider,
            "method": call.method.as_str(), "path": call.path, "query": call.query, "fault": fault,
            "headers": journal::headers(&call.headers), "body": journal::body(&call.body),
        }));
        if hurried {
            hold(&shared.journal).amend(entry, "status", json!(429));
            return rate_limited(provider).into_response();
        }
        if let Some(FaultKind::RateLimit { retry_after }) = &fault {
            hold(&shared.journal).amend(entry, "status", json!(429));
            return rate_limited(provider).with("Retry-After", retry_after.to_string()).into_response();
        }
        let reply = match provider {
            Provider::Stripe => stripe::serve(shared, call, fault.as_ref()).await,
            Provider::Resend => resend::serve(shared, call, fault.as_ref()).await,
            Provider::Twilio => twilio::serve(shared, call, fault.as_ref()).await,
        };
        // Where the connection is cut, no status was ever seen.
        if !matches!(fault, Some(FaultKind::TimeoutBeforeCommit { .. } | FaultKind::TimeoutAfterCommit { .. })) {
            hold(&shared.journal).amend(entry, "status", json!(reply.status));
        }
        match fault {
            Some(FaultKind::TimeoutBeforeCommit { .. }) => {
                self.wires.cut(peer);
                reply.into_response()
            }
            Some(FaultKind::TimeoutAfterCommit { hold_ms }) => {
                tokio::time::sleep(Duration::from_millis(hold_ms)).await;
                self.wires.cut(peer);
                reply.into_response()
            }
            Some(FaultKind::Truncate) => {
                let length = reply.body.len();
                let mut half = reply.body;
                half.truncate(length / 2);
                half_sent(half, length)
            }
            Some(FaultKind::Garble) => {
                Reply { body: reply.body.iter().rev().copied().collect(), ..reply }.into_response()
            }
            _ => reply.into_response(),
        }
    }
}

fn rate_limited(provider: Provider) -> Reply {
    match provider {
        Provider::Stripe => Reply::json(
            429,
            &json!({"error": {"type": "invalid_request_error", "code": "rate_limit",
                "message": "Request rate limit exceeded. Learn more about rate limits at https://docs.stripe.com/rate-limits."}}),
        )
        .with("Stripe-Should-Retry", "true")
        .with("Stripe-Rate-Limited-Reason", "global-rate"),
        Provider::Resend => resend::refusal(
            429,
            "rate_limit_exceeded",
            "Too many requests. You can only make 2 requests per second.",
        ),
        Provider::Twilio => twilio::refusal(429, 20429, "Too Many Requests"),
    }
}

/// A body that breaks off before its announced length makes the server end the connection.
fn half_sent(half: Vec<u8>, announced: usize) -> Response {
    let pieces = stream::unfold(Some(half), |half| async move {
        let half = half?;
        if half.is_empty() {
            // The first half must have left before the connection breaks.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Some((Err(io::Error::other("truncated")), None));
        }
        Some((Ok(half), Some(Vec::new())))
    });
    Response::builder()
        .status(StatusCode::OK)
        .content_type("application/json")
        .header("content-length", announced)
        .body(Body::from_bytes_stream(pieces))
}
