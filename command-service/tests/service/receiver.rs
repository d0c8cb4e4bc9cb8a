//! A receiver of webhooks on a real socket: it keeps what arrives, verifies signatures by itself, and answers as it is told.

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{
    EndpointExt, Request, Response, Server,
    endpoint::make,
    http::StatusCode,
    listener::{Acceptor, Listener, TcpListener},
};
use ring::hmac;
use serde_json::Value;
use tokio::{sync::Notify, task::JoinHandle};

use crate::fakes::lock;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Got {
    pub id: String,
    pub timestamp: String,
    pub signatures: String,
    pub content_type: String,
    pub raw: Vec<u8>,
    pub event: Value,
    /// What was answered.
    pub status: u16,
}

impl Got {
    /// Whether a secret made one of the signatures.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("the mark")).expect("base64");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = [format!("{}.{}.", self.id, self.timestamp).as_bytes(), &self.raw].concat();
        self.signatures.split(' ').any(|one| {
            let (version, signature) = one.split_once(',').expect("a version");
            let signature = STANDARD.decode(signature).expect("base64");
            version == "v1" && hmac::verify(&key, &signed, &signature).is_ok()
        })
    }

    pub fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap_or_default()
    }

    pub fn subject(&self) -> &str {
        self.event["subject"].as_str().unwrap_or_default()
    }

    pub fn position(&self) -> i64 {
        self.event["position"].as_i64().unwrap_or_default()
    }
}

type Answers = dyn FnMut(&Got) -> (u16, &'static str) + Send;

type Which = dyn Fn(&Got) -> bool + Send;

struct Shared {
    got: Mutex<Vec<Got>>,
    answers: Mutex<Box<Answers>>,
    /// What had to wait.
    held: Mutex<Vec<Got>>,
    holds: Mutex<Box<Which>>,
    changed: Notify,
}

pub struct Receiver {
    pub url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    /// Takes everything until it is told otherwise.
    pub async fn start() -> Self {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a port");
        let address = acceptor.local_addr()[0].as_socket_addr().copied().expect("an address");
        let shared = Arc::new(Shared {
            got: Mutex::default(),
            answers: Mutex::new(Box::new(|_: &Got| (200, ""))),
            held: Mutex::default(),
            holds: Mutex::new(Box::new(|_: &Got| false)),
            changed: Notify::new(),
        });
        let kept = shared.clone();
        let app = make(move |request| take(kept.clone(), request)).map_to_response();
        let server = tokio::spawn(async move {
            Server::new_with_acceptor(acceptor).run(app).await.expect("a server");
        });
        Self { url: format!("http://{address}/hook"), shared, server }
    }

    /// How it answers from now on.
    pub fn answer(&self, how: impl FnMut(&Got) -> (u16, &'static str) + Send + 'static) {
        *lock(&self.shared.answers) = Box::new(how);
    }

    /// What it lets wait from now on, and what it lets wait no longer.
    pub fn hold(&self, which: impl Fn(&Got) -> bool + Send + 'static) {
        *lock(&self.shared.holds) = Box::new(which);
        self.shared.changed.notify_waiters();
    }

    /// Everything that it ever let wait, as it arrived.
    pub fn held(&self) -> Vec<Got> {
        lock(&self.shared.held).clone()
    }

    pub fn got(&self) -> Vec<Got> {
        lock(&self.shared.got).clone()
    }

    /// What it has accepted.
    pub fn taken(&self) -> Vec<Got> {
        self.got().into_iter().filter(|got| (200..300).contains(&got.status)).collect()
    }

    pub fn forget(&self) {
        lock(&self.shared.got).clear();
    }
}

async fn take(shared: Arc<Shared>, mut request: Request) -> poem::Result<Response> {
    let raw = request.take_body().into_vec().await?;
    let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
    let mut got = Got {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signatures: header("webhook-signature"),
        content_type: header("content-type"),
        event: serde_json::from_slice(&raw).unwrap_or_default(),
        raw,
        status: 0,
    };
    if (lock(&shared.holds))(&got) {
        lock(&shared.held).push(got.clone());
    }
    loop {
        let changed = shared.changed.notified();
        if !(lock(&shared.holds))(&got) {
            break;
        }
        changed.await;
    }
    let (status, text) = (lock(&shared.answers))(&got);
    got.status = status;
    lock(&shared.got).push(got);
    let answer = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    let answer = match status {
        300..400 => answer.header("location", text),
        429 => answer.header("retry-after", text),
        _ => answer,
    };
    Ok(answer.body(text))
}
