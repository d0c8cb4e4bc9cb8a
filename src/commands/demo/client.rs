//! The demo's HTTP client: a manager with a token, or a resident with a session.

use std::time::{Duration, Instant};

use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};

use crate::failure::Failure;

/// How long anything may take before the story is considered broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who talks to the API.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    identity: Identity,
}

#[derive(Clone)]
enum Identity {
    Nobody,
    Token(String),
    Session(String),
}

/// An accepted command, as it is told.
pub struct Accepted {
    pub name: String,
    pub events: Vec<String>,
    pub position: Option<i64>,
}

impl std::fmt::Display for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let events = if self.events.is_empty() { "nothing to change".to_owned() } else { self.events.join(", ") };
        match self.position {
            Some(position) => write!(f, "{} → {events} (position {position})", self.name),
            None => write!(f, "{} → {events}", self.name),
        }
    }
}

impl Client {
    pub fn nobody(base: &str) -> Self {
        Self { http: reqwest::Client::new(), base: base.to_owned(), identity: Identity::Nobody }
    }

    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { identity: Identity::Token(token.to_owned()), ..self.clone() }
    }

    fn identify(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.identity {
            Identity::Nobody => request,
            Identity::Token(token) => request.bearer_auth(token),
            Identity::Session(cookie) => request.header(header::COOKIE, cookie),
        }
    }

    /// Sends a command; a refusal is a failure with its problem.
    pub async fn command(&self, name: &str, body: &Value) -> Result<Accepted, Failure> {
        let answer = self.post(&format!("/v1/commands/{name}"), body).await?;
        let events = answer["events"].as_array().into_iter().flatten();
        Ok(Accepted {
            name: name.to_owned(),
            events: events.filter_map(|event| event["type"].as_str().map(ToOwned::to_owned)).collect(),
            position: answer["position"].as_i64(),
        })
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let response = self.identify(request).send().await?;
        let status = response.status();
        let answer: Value = response.json().await.unwrap_or(Value::Null);
        if status.is_success() {
            Ok(answer)
        } else {
            Err(Failure::Told(format!("POST {path}: {status}: {}", answer["detail"].as_str().unwrap_or("no details"))))
        }
    }

    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let response = self.identify(self.http.get(format!("{}{path}", self.base))).send().await?;
        let status = response.status();
        let answer: Value = response.json().await.unwrap_or(Value::Null);
        if status.is_success() {
            Ok(answer)
        } else {
            Err(Failure::Told(format!("GET {path}: {status}: {}", answer["detail"].as_str().unwrap_or("no details"))))
        }
    }

    /// All pages of a list.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                Some(cursor) => format!("{path}{mark}limit=500&cursor={cursor}"),
                None => format!("{path}{mark}limit=500"),
            };
            let answer = self.get(&page).await?;
            items.extend(answer["items"].as_array().cloned().unwrap_or_default());
            match answer["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }

    /// Asks until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value, Failure> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(40);
        loop {
            let answer = self.get(path).await;
            if let Ok(answer) = &answer
                && wanted(answer)
            {
                return Ok(answer.clone());
            }
            if started.elapsed() > PATIENCE {
                let last = answer.map_or_else(|failure| failure.explain(), |answer| answer.to_string());
                return Err(Failure::Told(format!("{path} did not become as expected; last: {last}")));
            }
            tokio::time::sleep(pause).await;
            // Whoever waits for long must not keep those busy that are waited for.
            pause = (pause * 3 / 2).min(Duration::from_millis(300));
        }
    }

    /// Follows a sign-in link: a client with the session's cookie.
    pub async fn sign_in(&self, link: &str) -> Result<Self, Failure> {
        let request = self.http.post(format!("{}/v1/sessions", self.base)).json(&json!({ "link": link }));
        let response = request.send().await?.error_for_status()?;
        let cookie = response
            .headers()
            .get(header::SET_COOKIE)
            .and_then(|value| value.to_str().ok()?.split(';').next().map(ToOwned::to_owned))
            .ok_or_else(|| Failure::Told("the session came without a cookie".to_owned()))?;
        Ok(Self { identity: Identity::Session(cookie), ..self.clone() })
    }
}
