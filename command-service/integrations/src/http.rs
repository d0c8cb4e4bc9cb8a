//! Pooled HTTP with time-outs, and the one question that matters after a failure: was anything sent?

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Client, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect,
};

use crate::{Secret, SettingsError};

/// No answer of a provider comes near this; more is a fault that must not fill the memory.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// A provider that asks for more patience than this is asked again anyway.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The head of an answer, and its body unless that was cut off.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Result<Bytes, Lost>,
}

/// An answer that never came, or only in part.
pub(crate) enum Lost {
    /// Nothing left this machine.
    NotSent(String),
    TimedOut(String),
    /// The connection broke after the request was, or may have been, sent.
    Broken(String),
}

impl Lost {
    fn new(error: reqwest::Error) -> Self {
        let (connect, timeout) = (error.is_connect() || error.is_builder(), error.is_timeout());
        // The address is left out: ids belong into fields, not into sentences.
        let mut why = error.without_url().to_string();
        if timeout {
            why.push_str(" (time-out)");
        }
        match (connect, timeout) {
            (true, _) => Self::NotSent(why),
            (false, true) => Self::TimedOut(why),
            (false, false) => Self::Broken(why),
        }
    }

    pub fn why(self) -> String {
        match self {
            Self::NotSent(why) | Self::TimedOut(why) | Self::Broken(why) => why,
        }
    }
}

/// An absolute HTTP address without its closing slash.
pub(crate) fn base(address: &str) -> Result<Url, SettingsError> {
    let refuse = |why| SettingsError::Address(address.to_owned(), why);
    let url = Url::parse(address).map_err(|_| refuse("not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(refuse("not HTTP or HTTPS"));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(SettingsError::Address(
            url.host_str().unwrap_or_default().to_owned(),
            "only scheme, host, port and path",
        ));
    }
    Ok(url)
}

/// A client for one provider.
pub(crate) fn client(base: &Url, connect: Duration, total: Duration) -> Result<Client, SettingsError> {
    let mut builder = Client::builder()
        .user_agent(concat!("propty/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect)
        .timeout(total)
        // An API that redirects is not the API we meant, and must not see our key.
        .redirect(redirect::Policy::none());
    if matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(SettingsError::Http)
}

/// `Bearer …`, kept out of every debug output.
pub(crate) fn bearer(key: &Secret) -> Result<HeaderValue, SettingsError> {
    let refuse = || SettingsError::Credential("secret key");
    if key.expose().trim().is_empty() {
        return Err(refuse());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(|_| refuse())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Sends once.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Result<Answer, Lost> {
    let mut response = request.send().await.map_err(Lost::new)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    let body = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST_BODY => {
                break Err(Lost::Broken("the answer is too large".to_owned()));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break Ok(Bytes::from(body)),
            Err(error) => break Err(Lost::new(error)),
        }
    };
    Ok(Answer { status, headers, body })
}

/// The text of a header, where it is text.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `Retry-After` in seconds, the only form our providers use.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = text(headers, reqwest::header::RETRY_AFTER)?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}
