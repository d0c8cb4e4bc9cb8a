//! Somebody who talks to the API: a manager with a token, a resident with a session, or nobody.

use std::time::{Duration, Instant};

use reqwest::{
    Method, RequestBuilder,
    header::{self, HeaderMap},
};
use serde_json::{Value, json};

/// How long anything may take before a journey is considered stuck.
pub const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    pub base: String,
    identity: Identity,
}

#[derive(Debug, Clone)]
enum Identity {
    Nobody,
    Token(String),
    Session(String),
}

/// An answer of whatever status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// `null` when it is not JSON.
    pub body: Value,
}

impl Answer {
    async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap_or_default();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Self { status, headers, text, body }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The last part of a problem's type, like `not-found`; empty when it is no problem.
    pub fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.rsplit(':').next().unwrap_or_default()
    }

    /// Fails unless this is a problem as every error must be.
    pub fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        assert_eq!(self.body["status"], status, "{}", self.text);
        assert!(
            self.body["type"].as_str().is_some_and(|kind| kind.starts_with("urn:propty:problem:")),
            "{}",
            self.text
        );
        assert!(self.body["detail"].is_string() && self.body["title"].is_string(), "{}", self.text);
    }
}

/// An HTTP client that opens a connection for each request: servers are killed here.
pub fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(60))
        .build()
        .expect("an HTTP client")
}

impl Client {
    pub fn nobody(base: &str) -> Self {
        Self { http: http(), base: base.to_owned(), identity: Identity::Nobody }
    }

    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { identity: Identity::Token(token.to_owned()), ..self.clone() }
    }

    #[must_use]
    pub fn with_session(&self, cookie: &str) -> Self {
        Self { identity: Identity::Session(cookie.to_owned()), ..self.clone() }
    }

    /// A request as this caller; add what it needs and hand it to [`Client::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.identity {
            Identity::Nobody => request,
            Identity::Token(token) => request.bearer_auth(token),
            Identity::Session(cookie) => request.header(header::COOKIE, cookie),
        }
    }

    /// An error is one of the connection: the server was killed.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        Ok(Answer::of(request.send().await?).await)
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    /// Posts JSON; any answer.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// A command; any answer.
    pub async fn ask(&self, name: &str, body: &Value) -> Answer {
        self.post(&format!("/v1/commands/{name}"), body).await
    }

    /// A command under an idempotency key; an error is one of the connection.
    pub async fn try_command(&self, name: &str, body: &Value, key: Option<&str>) -> Result<Answer, reqwest::Error> {
        let mut request = self.request(Method::POST, &format!("/v1/commands/{name}")).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.try_send(request).await
    }

    /// A command that must be accepted.
    pub async fn command(&self, name: &str, body: &Value) -> Value {
        let answer = self.ask(name, body).await;
        assert_eq!(answer.status, 200, "{name} {body}: {}", answer.text);
        answer.body
    }

    /// A command that must be refused so.
    pub async fn refused(&self, name: &str, body: &Value, status: u16) -> Answer {
        let answer = self.ask(name, body).await;
        assert_eq!(answer.status, status, "{name} {body}: {}", answer.text);
        answer.assert_problem(status);
        answer
    }

    /// Any answer to a query.
    pub async fn look(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// A query that must be answered.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.look(path).await;
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text);
        answer.body
    }

    /// All pages of a list.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mark = if path.contains('?') { '&' } else { '?' };
        let mut page = format!("{path}{mark}limit=500");
        loop {
            let answer = self.get(&page).await;
            items.extend(answer["items"].as_array().cloned().unwrap_or_default());
            match answer["next_cursor"].as_str() {
                Some(next) => page = format!("{path}{mark}limit=500&cursor={next}"),
                None => return items,
            }
        }
    }

    /// Asks until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until_within(path, PATIENCE, wanted).await
    }

    /// The same with more patience than usual.
    pub async fn until_within(&self, path: &str, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let answer = self.try_send(self.request(Method::GET, path)).await;
            if let Ok(answer) = &answer
                && answer.status == 200
                && wanted(&answer.body)
            {
                return answer.body.clone();
            }
            assert!(started.elapsed() < patience, "{path} did not become as expected; last: {answer:?}");
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// Lists until there are as many as wanted, and as wanted.
    pub async fn until_list(&self, path: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let items = self.list(path).await;
            if wanted(&items) {
                return items;
            }
            assert!(started.elapsed() < PATIENCE, "{path} did not become as expected; last: {}", json!(items));
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// Trades the secret of a sign-in link for a session; nothing when it is not valid.
    pub async fn open_session(&self, link: &str) -> Option<Self> {
        let answer = self.post("/v1/sessions", &json!({ "link": link })).await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        (answer.status == 201).then(|| self.with_session(&cookie))
    }
}
