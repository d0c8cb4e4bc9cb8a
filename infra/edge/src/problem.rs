//! Errors as `application/problem+json` (RFC 9457): what is wrong, where, and what to do.

use poem::{IntoResponse, Response, error::ResponseError, http::StatusCode};
use serde_json::{Map, Value, json};

/// One problem. The only module that knows HTTP status codes by name.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: String,
    title: &'static str,
    detail: String,
    members: Map<String, Value>,
    retry_after: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, code: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), title, detail: detail.into(), members: Map::new(), retry_after: None }
    }

    /// The input is wrong; `detail` says where and what to do.
    pub fn invalid(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, "The request is not acceptable", detail)
    }

    /// The request could not be read at all.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "The request cannot be read", detail)
    }

    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
            format!("at most {limit} bytes are accepted"),
        )
    }

    pub fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The request has the wrong content type",
            "send the body as application/json",
        )
    }

    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "Who is calling is not known",
            "send a valid token as `Authorization: Bearer …`, or sign in",
        )
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This is not allowed", detail)
    }

    /// There is no such thing, or it is not the caller's to see: the two look the same.
    pub fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", what)
    }

    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "This is not possible as things stand", detail)
    }

    /// `If-Match` named another version.
    pub fn stale(current: i64) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "stale",
            "It has changed meanwhile",
            "read it again and decide anew; the expected version is not the current one",
        )
        .with("current_version", json!(current))
    }

    pub fn too_many(seconds: u64) -> Self {
        let mut problem =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", "wait a little");
        problem.retry_after = Some(seconds);
        problem
    }

    /// A position older than a restore, or otherwise gone.
    pub fn gone(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, code, "It is gone", detail)
    }

    /// Not now; the same request may succeed soon.
    pub fn unavailable(code: &str, detail: impl Into<String>, seconds: u64) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "Not available at the moment", detail);
        problem.retry_after = Some(seconds);
        problem
    }

    /// Our fault. The cause goes to the log, never to the caller.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut causes = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            causes = format!("{causes}: {cause}");
            source = cause.source();
        }
        tracing::error!(error = causes, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here",
            "nothing is known to have changed; the same request with the same Idempotency-Key can be sent again",
        )
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// Whatever the framework refused: an unknown path, a wrong method, an unreadable parameter.
    pub fn of(error: &poem::Error) -> Self {
        let status = error.status();
        if status.is_server_error() {
            return Self::internal(&Opaque(error.to_string()));
        }
        let (code, title) = match status {
            StatusCode::NOT_FOUND => ("not-found", "There is no such thing"),
            StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "This method is not offered here"),
            StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "The request is too large"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "The request has the wrong content type"),
            _ => ("malformed", "The request cannot be read"),
        };
        let status =
            if status == StatusCode::NOT_ACCEPTABLE || status.is_success() { StatusCode::BAD_REQUEST } else { status };
        Self::new(status, code, title, error.to_string())
    }

    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    pub fn code(&self) -> &str {
        &self.code
    }

    fn respond(&self) -> Response {
        let mut body = self.members.clone();
        body.insert("type".into(), format!("urn:propty:problem:{}", self.code).into());
        body.insert("title".into(), self.title.into());
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("detail".into(), self.detail.clone().into());
        let mut response = Response::builder().status(self.status).content_type("application/problem+json");
        if let Some(seconds) = self.retry_after {
            response = response.header("Retry-After", seconds);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response = response.header("WWW-Authenticate", "Bearer");
        }
        response.body(Value::Object(body).to_string())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Opaque(String);

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn as_response(&self) -> Response {
        self.respond()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.respond()
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::PoolClosed => {
                tracing::error!(%error, "the database is not reachable");
                Self::unavailable("database", "the database is not reachable; try again", 2)
            }
            // It stops or starts, or a replica gave up on a query that lay in the way of what it has to repeat.
            sqlx::Error::Database(ref told)
                if told.code().is_some_and(|code| code.starts_with("57P0") || code == "40001") =>
            {
                tracing::warn!(%error, "the database gave up on a query");
                Self::unavailable("database", "the database could not answer just now; try again", 1)
            }
            error => Self::internal(&error),
        }
    }
}
