//! `propty events` with a token: asks a service, and goes on where it was when the service was away.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, header};
use serde_json::Value;

use super::events::Output;
use crate::{cli::EventSource, failure::Failure};

const AGAIN: Duration = Duration::from_secs(1);
/// A stream that does not even send a sign of life is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// How often in a row a service may be away.
const TRIES: u32 = 60;

/// A service and what is asked of it.
pub struct Service {
    http: Client,
    url: String,
    token: String,
    /// Parameters, each with a `&` before it.
    filters: String,
}

impl Service {
    pub fn new(url: &str, token: &str, source: &EventSource) -> Result<Self, Failure> {
        let http = Client::builder().connect_timeout(Duration::from_secs(10)).read_timeout(SILENCE).build()?;
        let mut filters = String::new();
        let property = source.property.map(|id| id.to_string());
        for (name, value) in [("types", &source.types), ("aggregate", &source.aggregate), ("property", &property)] {
            if let Some(value) = value {
                filters.push('&');
                filters.push_str(name);
                filters.push('=');
                // They have passed the checks: letters, digits and signs that a query may have.
                filters.push_str(&value.replace(' ', ""));
            }
        }
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token: token.to_owned(), filters })
    }

    fn get(&self, path: &str, after: &str, accept: &str) -> RequestBuilder {
        let url = format!("{}{path}?after={after}{}", self.url, self.filters);
        self.http.get(url).bearer_auth(&self.token).header(header::ACCEPT, accept)
    }

    /// Where the log ends.
    async fn head(&self) -> Result<i64, Failure> {
        let answer = self.get("/v1/events", "head", "application/json").send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        body["head"].as_i64().filter(|_| status.is_success()).ok_or_else(|| refused(status, &body))
    }
}

fn refused(status: StatusCode, problem: &Value) -> Failure {
    let detail = problem["detail"].as_str().unwrap_or("the service gave no reason");
    Failure::Told(format!("{}: {detail}", status.as_u16()))
}

/// Whether asking again may help.
fn passes(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// Complete lines of what comes in pieces, and the last event's position.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that the piece completes.
    fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(piece);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.rest.drain(..end).collect()
    }
}

fn position(line: &[u8]) -> Option<i64> {
    serde_json::from_slice::<Value>(line).ok()?["position"].as_i64()
}

fn last_position(lines: &[u8]) -> Option<i64> {
    position(lines.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?)
}

/// Everything up to now, each line once, however often the answer breaks off.
pub async fn export_from(service: &Service, after: i64, mut out: Output) -> Result<(), Failure> {
    let (mut at, mut tries) = (after, 0);
    loop {
        match export_once(service, &mut at, &mut out).await {
            Ok(Some(complete)) => {
                eprintln!("complete up to position {complete}");
                return Ok(());
            }
            Ok(None) => return Ok(()),
            Err(Failure::Http(error)) if tries < TRIES && !error.is_builder() => {
                tries += 1;
                tokio::time::sleep(AGAIN).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// One answer, to its end: up to which position it is complete, or nothing when nobody reads any more.
async fn export_once(service: &Service, at: &mut i64, out: &mut Output) -> Result<Option<i64>, Failure> {
    let mut answer = service.get("/v1/events", &at.to_string(), "application/x-ndjson").send().await?;
    let status = answer.status();
    if !status.is_success() {
        answer = if passes(status) { answer.error_for_status()? } else { answer };
        return Err(refused(status, &answer.json().await?));
    }
    let complete = answer.headers().get("propty-position").and_then(|value| value.to_str().ok()?.parse().ok());
    let mut lines = Lines::default();
    while let Some(piece) = answer.chunk().await? {
        let whole = lines.take(&piece);
        if !out.put(&whole)? {
            return Ok(None);
        }
        *at = last_position(&whole).unwrap_or(*at);
    }
    Ok(Some(complete.unwrap_or(*at)))
}

/// What happens, until interrupted.
pub async fn tail_from(service: &Service, after: Option<i64>, mut out: Output) -> Result<(), Failure> {
    // From now on means from now on, also when the first connection breaks before anything happened.
    let mut at = match after {
        Some(after) => after,
        None => service.head().await?,
    };
    let mut tries = 0;
    loop {
        let before = at;
        match follow_once(service, &mut at, &mut out).await {
            Ok(true) => tries = 0,
            Ok(false) => return Ok(()),
            Err(Failure::Http(error)) if tries < TRIES && !error.is_builder() => {
                tries = if at > before { 0 } else { tries + 1 };
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// One connection, until it ends; false when nobody reads any more.
async fn follow_once(service: &Service, at: &mut i64, out: &mut Output) -> Result<bool, Failure> {
    let mut answer = service.get("/v1/events/stream", &at.to_string(), "text/event-stream").send().await?;
    let status = answer.status();
    if !status.is_success() {
        answer = if passes(status) { answer.error_for_status()? } else { answer };
        return Err(refused(status, &answer.json().await?));
    }
    let mut lines = Lines::default();
    while let Some(piece) = answer.chunk().await? {
        for line in lines.take(&piece).split(|byte| *byte == b'\n') {
            if let Some(data) = line.strip_prefix(b"data: ") {
                if !out.put(data)? || !out.put(b"\n")? {
                    return Ok(false);
                }
                *at = position(data).unwrap_or(*at);
            } else if let Some(id) = line.strip_prefix(b"id: ") {
                // Of an event, its `id:` comes first: only what follows from its data counts.
                let told = std::str::from_utf8(id).ok().and_then(|id| id.parse::<i64>().ok());
                *at = told.map_or(*at, |told| (*at).max(told - 1));
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_together_to_lines() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"{\"position\":1}\n{\"posi"), b"{\"position\":1}\n");
        assert_eq!(lines.take(b"tion\":2"), b"");
        let whole = lines.take(b"}\n{\"position\":3}\n");
        assert_eq!(last_position(&whole), Some(3));
        assert_eq!(last_position(b""), None);
    }
}
