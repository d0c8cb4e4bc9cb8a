//! A sandbox, a receiver of its webhooks, and short ways to speak to both.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poem::listener::TcpAcceptor;
use poem::{Endpoint, Request, Response};
use sandbox::{Sandbox, SandboxConfig, Switchboard, WebhookTarget};
use serde_json::{Value, json};

pub type Failure = Box<dyn std::error::Error>;
pub type Tested = Result<(), Failure>;

pub const STRIPE_SECRET: &str = "whsec_stripe_test";
pub const RESEND_SECRET: &str = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0";

#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Clone, Default)]
pub struct Inbox {
    received: Arc<Mutex<Vec<Received>>>,
    refuse: Arc<AtomicUsize>,
}

impl Inbox {
    pub fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.all().iter().map(Received::kind).collect()
    }

    pub fn count(&self, kind: &str) -> usize {
        self.kinds().iter().filter(|found| *found == kind).count()
    }

    pub fn first(&self, kind: &str) -> Result<Received, Failure> {
        let found = self.all().into_iter().find(|one| one.kind() == kind);
        found.ok_or_else(|| format!("no {kind} among {:?}", self.kinds()).into())
    }

    pub fn refuse(&self, times: usize) {
        self.refuse.store(times, Ordering::SeqCst);
    }
}

impl Endpoint for Inbox {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (parts, body) = request.into_parts();
        let body = body.into_string().await?;
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let path = parts.uri.path().to_owned();
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push(Received { path, headers, body });
        let refused = self.refuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let status = if refused { 503_u16 } else { 200 };
        Ok(Response::builder().status(poem::http::StatusCode::from_u16(status).unwrap_or_default()).finish())
    }
}

pub struct World {
    pub sandbox: Sandbox,
    pub board: Switchboard,
    pub http: reqwest::Client,
    pub inbox: Inbox,
    pub inbox_url: String,
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

async fn read(response: reqwest::Response) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, headers, body })
}

pub async fn start() -> Result<World, Failure> {
    start_with(SandboxConfig::default()).await
}

pub async fn start_with(config: SandboxConfig) -> Result<World, Failure> {
    let inbox = Inbox::default();
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let inbox_url = format!("http://{}", listener.local_addr()?);
    let server = poem::Server::new_with_acceptor(TcpAcceptor::from_tokio(listener)?);
    tokio::spawn(server.run(inbox.clone()));
    let sandbox = Sandbox::start(SandboxConfig {
        stripe_webhooks: Some(WebhookTarget { url: format!("{inbox_url}/stripe"), secret: STRIPE_SECRET.to_owned() }),
        resend_webhooks: Some(WebhookTarget { url: format!("{inbox_url}/resend"), secret: RESEND_SECRET.to_owned() }),
        ..config
    })
    .await?;
    Ok(World {
        board: sandbox.switchboard(),
        sandbox,
        http: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?,
        inbox,
        inbox_url,
    })
}

impl World {
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.url())
    }

    pub fn stripe(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(&format!("/stripe/v1{path}"))).bearer_auth("sk_test_sandbox")
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer, Failure> {
        read(self.stripe(reqwest::Method::POST, path).form(form).send().await?).await
    }

    pub async fn post_keyed(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Result<Answer, Failure> {
        let request = self.stripe(reqwest::Method::POST, path).header("Idempotency-Key", key);
        read(request.form(form).send().await?).await
    }

    pub async fn post_as(&self, account: &str, path: &str, form: &[(&str, &str)]) -> Result<Answer, Failure> {
        let request = self.stripe(reqwest::Method::POST, path).header("Stripe-Account", account);
        read(request.form(form).send().await?).await
    }

    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        read(self.stripe(reqwest::Method::GET, path).send().await?).await
    }

    pub async fn get_as(&self, account: &str, path: &str) -> Result<Answer, Failure> {
        let request = self.stripe(reqwest::Method::GET, path).header("Stripe-Account", account);
        read(request.send().await?).await
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
        read(request.send().await?).await
    }

    pub async fn switch(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        read(self.http.post(self.url(&format!("/switchboard{path}"))).json(body).send().await?).await
    }

    pub async fn look(&self, path: &str) -> Result<Answer, Failure> {
        read(self.http.get(self.url(&format!("/switchboard{path}"))).send().await?).await
    }

    pub async fn pay(&self, amount: &str, method: &str) -> Result<Answer, Failure> {
        let form = [("amount", amount), ("currency", "usd"), ("confirm", "true"), ("payment_method", method)];
        self.post("/payment_intents", &form).await
    }

    pub async fn flush(&self) -> Tested {
        let left = self.board.flush(Duration::from_secs(10)).await;
        if left == 0 { Ok(()) } else { Err(format!("{left} webhooks are still on their way").into()) }
    }

    pub async fn fault(&self, body: Value) -> Tested {
        let answer = self.switch("/faults", &body).await?;
        if answer.status == 200 { Ok(()) } else { Err(answer.body.to_string().into()) }
    }

    pub async fn mail(&self, to: &str, key: Option<&str>) -> Result<Answer, Failure> {
        let body = json!({"from": "Oak Court <office@example.com>", "to": [to], "subject": "Invoice", "text": "Hello"});
        let mut request = self.http.post(self.url("/resend/emails")).bearer_auth("re_test").json(&body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.send(request).await
    }
}
