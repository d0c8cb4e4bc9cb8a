//! Refusals in Stripe's shape.

use serde_json::{Value, json};

use crate::http::Reply;

#[derive(Debug)]
pub(crate) struct StripeError {
    pub status: u16,
    /// Whether the endpoint had begun its work; only then is the answer kept under the idempotency key.
    pub executed: bool,
    body: Value,
}

impl StripeError {
    pub fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        Self { status, executed: false, body: json!({"type": kind, "message": message.into()}) }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub fn missing(what: &str, id: &str, param: &str) -> Self {
        Self::invalid(format!("No such {what}: '{id}'")).code("resource_missing").with("param", json!(param))
    }

    /// The address names nothing: the same refusal, as 404.
    pub fn not_found(what: &str, id: &str, param: &str) -> Self {
        Self::missing(what, id, param).status(404)
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn code(self, code: &str) -> Self {
        let documented = format!("https://docs.stripe.com/error-codes/{}", code.replace('_', "-"));
        self.with("code", json!(code)).with("doc_url", json!(documented))
    }

    pub fn param(self, param: &str) -> Self {
        self.with("param", json!(param))
    }

    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.body[field] = value;
        self
    }

    pub fn executed(mut self) -> Self {
        self.executed = true;
        self
    }

    pub fn into_reply(mut self, request_id: &str) -> Reply {
        let log = format!("https://dashboard.stripe.com/test/logs/{request_id}");
        self.body["request_log_url"] = json!(log);
        Reply::json(self.status, &json!({"error": self.body}))
    }
}
