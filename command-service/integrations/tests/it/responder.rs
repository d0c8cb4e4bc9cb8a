//! An HTTP server that gives prepared answers, one per connection, and remembers what it was sent.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Debug, Clone)]
pub enum Reply {
    /// Status, further headers, body.
    Answer(u16, &'static str, String),
    /// A head that promises more than follows.
    Truncated(u16),
    /// Reads the request and never answers.
    Silence,
    /// Reads the request and hangs up.
    HangUp,
}

impl Reply {
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Answer(status, "content-type: application/json\r\n", body.to_string())
    }
}

#[derive(Debug)]
pub struct Responder {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Request line and headers, in lower case.
    pub head: String,
    pub line: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Responder {
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (replies, log) = (replies.into_iter().collect::<Vec<_>>(), Arc::clone(&seen));
        tokio::spawn(async move {
            for reply in replies {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(serve(stream, reply, Arc::clone(&log)));
            }
        });
        Self { url, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut stream: TcpStream, reply: Reply, log: Arc<Mutex<Vec<Seen>>>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let line = head.lines().next().unwrap_or_default().to_owned();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    log.lock().unwrap_or_else(PoisonError::into_inner).push(Seen {
        headers,
        head: head.to_ascii_lowercase(),
        line,
        body,
    });
    match reply {
        Reply::Answer(status, headers, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all(format!("{head}{body}").as_bytes()).await?;
            stream.shutdown().await
        }
        Reply::Truncated(status) => {
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: 900\r\n\r\n{{\"id\":\"pi_1\",");
            stream.write_all(text.as_bytes()).await?;
            stream.shutdown().await
        }
        Reply::Silence => {
            tokio::time::sleep(std::time::Duration::from_secs(30)).await;
            Ok(())
        }
        Reply::HangUp => Ok(()),
    }
}
