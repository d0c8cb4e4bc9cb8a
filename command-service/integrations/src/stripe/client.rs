//! async-stripe's transport, over a pooled client that has time-outs and reads the headers its own client hides.

use std::{fmt::Display, sync::OnceLock, time::Duration};

use bytes::Bytes;
use processes::ports::Outcome;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use stripe_client_core::{CustomizedStripeRequest, StripeClient, StripeClientErr, StripeMethod, VERSION};

use super::{
    StripeSettings,
    outcome::{self, Effect},
};
use crate::{
    SettingsError,
    http::{self, Lost},
};

const STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The connection pool and what every request carries.
pub(super) struct Wire {
    http: reqwest::Client,
    base: String,
    authorization: HeaderValue,
    version: HeaderValue,
}

impl Wire {
    pub fn try_new(settings: &StripeSettings) -> Result<Self, SettingsError> {
        let base = http::base(&settings.api_base)?;
        Ok(Self {
            http: http::client(&base, settings.connect_timeout, settings.timeout)?,
            authorization: http::bearer(&settings.secret_key)?,
            version: HeaderValue::from_str(VERSION.as_str()).map_err(|_| SettingsError::Credential("API version"))?,
            base: base.as_str().trim_end_matches('/').to_owned(),
        })
    }

    pub fn base(&self) -> &str {
        &self.base
    }
}

/// Why there is no object.
#[derive(Debug)]
pub(super) enum CallError {
    /// Nothing left this machine.
    NotSent(String),
    TimedOut(String),
    Broken(String),
    /// A 2xx whose body was cut off.
    Truncated(String),
    /// A 2xx with a whole body that is not what was asked for.
    Undecodable(String),
    Rejected {
        status: u16,
        retry_after: Option<Duration>,
        body: Bytes,
    },
}

impl StripeClientErr for CallError {
    fn deserialize_err(message: impl Display) -> Self {
        Self::Undecodable(message.to_string())
    }
}

impl From<Lost> for CallError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::NotSent(why) => Self::NotSent(why),
            Lost::TimedOut(why) => Self::TimedOut(why),
            Lost::Broken(why) => Self::Broken(why),
        }
    }
}

/// One request and what its answer's head said.
pub(super) struct Call<'a> {
    wire: &'a Wire,
    request_id: OnceLock<String>,
}

impl<'a> Call<'a> {
    pub const fn new(wire: &'a Wire) -> Self {
        Self { wire, request_id: OnceLock::new() }
    }

    /// Brings the result to the words of the port, with Stripe's request id in every reason.
    pub fn outcome<T>(&self, effect: Effect, result: Result<T, CallError>) -> Outcome<T> {
        match result {
            Ok(value) => Outcome::Done(value),
            Err(error) => outcome::of(effect, error, self.request_id.get().map(String::as_str)),
        }
    }
}

impl StripeClient for Call<'_> {
    type Err = CallError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, CallError> {
        let (request, overrides) = request.into_pieces();
        let mut url = format!("{}/v1{}", self.wire.base, request.path);
        if let Some(query) = request.query.filter(|query| !query.is_empty()) {
            url.push('?');
            url.push_str(&query);
        }
        let method = match request.method {
            StripeMethod::Get => reqwest::Method::GET,
            StripeMethod::Post => reqwest::Method::POST,
            StripeMethod::Delete => reqwest::Method::DELETE,
        };
        let mut call = self
            .wire
            .http
            .request(method, url)
            .header(AUTHORIZATION, self.wire.authorization.clone())
            .header(STRIPE_VERSION, self.wire.version.clone());
        if let Some(account) = &overrides.account_id {
            call = call.header(STRIPE_ACCOUNT, account.as_str());
        }
        if let Some(key) = overrides.request_strategy.and_then(|strategy| strategy.get_key()) {
            call = call.header(IDEMPOTENCY_KEY, key.as_str());
        }
        if let Some(timeout) = overrides.timeout {
            call = call.timeout(timeout);
        }
        if let Some(body) = request.body {
            call = call.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(canonical(&body));
        }
        let answer = http::send(call).await?;
        let request_id = http::text(&answer.headers, REQUEST_ID);
        if let Some(id) = request_id {
            // Only ours to show: an odd id from a proxy must not break a log line.
            let id: String = id.chars().filter(char::is_ascii_graphic).take(64).collect();
            let _ = self.request_id.set(id);
        }
        tracing::debug!(
            stripe.request = request_id,
            http.status = answer.status,
            stripe.replayed = http::text(&answer.headers, IDEMPOTENT_REPLAYED) == Some("true"),
            "stripe answered",
        );
        if (200..300).contains(&answer.status) {
            return answer.body.map_err(|lost| match lost {
                Lost::TimedOut(why) => CallError::TimedOut(why),
                Lost::NotSent(why) | Lost::Broken(why) => CallError::Truncated(why),
            });
        }
        Err(CallError::Rejected {
            status: answer.status,
            retry_after: http::retry_after(&answer.headers),
            // The status alone decides; the body only adds the code.
            body: answer.body.unwrap_or_default(),
        })
    }
}

/// Sorts the fields: metadata is a hash map, and a repeat under the same key must be byte-equal.
fn canonical(form: &str) -> String {
    let mut fields: Vec<&str> = form.split('&').collect();
    fields.sort_unstable();
    fields.join("&")
}
