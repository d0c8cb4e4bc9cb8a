//! Webhooks out, as <https://www.standardwebhooks.com> has them: signed, posted once, and never to where only we can reach.

mod address;
mod lookup;

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use reqwest::{
    Client, Url,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    redirect,
};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};

use crate::{Secret, SettingsError, http};

use lookup::Filtered;

pub use address::is_public;
pub use lookup::Lookup;

const CONNECT: Duration = Duration::from_secs(5);
/// For the whole answer.
const ANSWER: Duration = Duration::from_secs(15);
/// How much of an answer is kept.
const EXCERPT: usize = 1024;
/// The mark before a secret in base64.
const PREFIX: &str = "whsec_";

/// Where webhooks may be sent to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Targets {
    /// By https, to addresses of the public internet.
    #[default]
    Public,
    /// Anywhere, also by http: for tests and trials on one machine.
    Any,
}

/// Why an address is not sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetProblem {
    #[error("the address cannot be read")]
    Unreadable,
    #[error("webhooks are sent by https only")]
    NotHttps,
    #[error("the address must not have a user or a password")]
    Credentials,
    #[error("the address is not one of the public internet")]
    NotPublic,
}

/// Reads an address, and refuses what can be seen to be wrong without asking anybody. Names are judged when they are connected to.
pub fn check(address: &str, targets: Targets) -> Result<Url, TargetProblem> {
    let url = Url::parse(address).map_err(|_| TargetProblem::Unreadable)?;
    if !matches!(url.scheme(), "https" | "http") || url.cannot_be_a_base() {
        return Err(TargetProblem::Unreadable);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TargetProblem::Credentials);
    }
    if targets == Targets::Any {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err(TargetProblem::NotHttps);
    }
    // `Url` has read every spelling of a number by now: 0x7f.1 is 127.0.0.1.
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
    let local =
        host.trim_end_matches('.').rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"));
    if local || literal.is_ok_and(|address| !is_public(address)) {
        return Err(TargetProblem::NotPublic);
    }
    Ok(url)
}

/// 32 random bytes with the mark before them.
pub fn new_secret() -> Option<Secret> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(Secret::new(format!("{PREFIX}{}", STANDARD.encode(bytes))))
}

/// `v1,…` for each secret, separated by spaces; a secret that cannot be read signs nothing.
pub fn sign(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let sign = |secret: &Secret| {
        let key = STANDARD.decode(secret.expose().strip_prefix(PREFIX)?).ok().filter(|key| !key.is_empty())?;
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        Some(format!("v1,{}", STANDARD.encode(context.sign())))
    };
    secrets.iter().filter_map(sign).collect::<Vec<_>>().join(" ")
}

/// What is posted.
#[derive(Debug, Clone, Copy)]
pub struct Post<'a> {
    pub url: &'a str,
    /// `webhook-id`: the same at each attempt.
    pub id: &'a str,
    /// Machine clock: receivers compare it with theirs.
    pub at: DateTime<Utc>,
    pub secrets: &'a [Secret],
    /// One `CloudEvent` in JSON.
    pub body: &'a [u8],
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Absent: there was no answer.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub excerpt: Option<String>,
    /// What the receiver asked for, in seconds.
    pub retry_after: Option<Duration>,
    pub took: Duration,
}

/// Posts webhooks.
#[derive(Debug, Clone)]
pub struct WebhookSender {
    client: Client,
    targets: Targets,
}

impl WebhookSender {
    /// Names are looked up as the system does.
    pub fn try_new(targets: Targets) -> Result<Self, SettingsError> {
        Self::looking_up(targets, lookup::system())
    }

    /// Names are looked up in another way.
    pub fn looking_up(targets: Targets, lookup: Lookup) -> Result<Self, SettingsError> {
        let client = Client::builder()
            .user_agent(concat!("propty/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(redirect::Policy::none())
            // A proxy would do the connecting, and nothing would be known of where to.
            .no_proxy()
            .https_only(targets == Targets::Public)
            .dns_resolver(Arc::new(Filtered { lookup, targets }))
            .build()
            .map_err(SettingsError::Http)?;
        Ok(Self { client, targets })
    }

    pub const fn targets(&self) -> Targets {
        self.targets
    }

    /// Posts once, and reads no more of the answer than is kept.
    pub async fn post(&self, post: &Post<'_>) -> Posted {
        let begun = Instant::now();
        let failed = |error: String| Posted {
            status: None,
            error: Some(error),
            excerpt: None,
            retry_after: None,
            took: begun.elapsed(),
        };
        // Each time: an address that was registered under other rules is not sent to under these.
        let url = match check(post.url, self.targets) {
            Ok(url) => url,
            Err(problem) => return failed(problem.to_string()),
        };
        let timestamp = post.at.timestamp();
        let signature = sign(post.secrets, post.id, timestamp, post.body);
        let Ok(mut signature) = HeaderValue::from_str(&signature) else {
            return failed("the signature is no header".to_owned());
        };
        if signature.is_empty() {
            return failed("there is no secret to sign with".to_owned());
        }
        signature.set_sensitive(true);
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/cloudevents+json")
            .header("webhook-id", post.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(post.body.to_vec());
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return failed(told(error)),
        };
        let (status, retry_after) = (response.status().as_u16(), http::text(response.headers(), RETRY_AFTER));
        // Uncapped, unlike a provider's: how much patience is enough is the courier's business.
        let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let mut bytes = Vec::new();
        // The status is the answer; how the rest of it arrives matters to nobody.
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= EXCERPT {
                bytes.truncate(EXCERPT);
                break;
            }
        }
        let excerpt = (!bytes.is_empty()).then(|| plain(&String::from_utf8_lossy(&bytes)));
        Posted { status: Some(status), error: None, excerpt, retry_after, took: begun.elapsed() }
    }
}

/// An error and what it follows from, without the address.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    plain(&text.chars().take(400).collect::<String>())
}

/// Without what databases and terminals take badly.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_the_specification_shows() {
        // The vector of the reference libraries' tests.
        let secret = Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signed = sign(std::slice::from_ref(&secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let both = sign(&[secret.clone(), secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(both, format!("{signed} {signed}"));
        for none in ["", "whsec_", "whsec_###", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(sign(&[Secret::from(none)], "msg_1", 1, body), "", "{none}");
        }
    }

    #[test]
    fn a_secret_is_32_bytes_and_no_two_are_equal() {
        let (one, other) = (new_secret().expect("a secret"), new_secret().expect("a secret"));
        assert_ne!(one.expose(), other.expose());
        let bytes = STANDARD.decode(one.expose().strip_prefix(PREFIX).expect("the mark")).expect("base64");
        assert_eq!(bytes.len(), 32);
    }

    #[test]
    fn what_is_not_public_is_refused_however_it_is_spelled() {
        for bad in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://10.1.2.3:8443/x",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://localhost/",
            "https://api.localhost./",
        ] {
            assert_eq!(check(bad, Targets::Public), Err(TargetProblem::NotPublic), "{bad}");
            assert!(check(bad, Targets::Any).is_ok(), "{bad}");
        }
        assert_eq!(check("http://example.com/", Targets::Public), Err(TargetProblem::NotHttps));
        for targets in [Targets::Public, Targets::Any] {
            assert_eq!(check("https://user@example.com/", targets), Err(TargetProblem::Credentials));
            assert_eq!(check("ftp://example.com/", targets), Err(TargetProblem::Unreadable));
            assert_eq!(check("https://", targets), Err(TargetProblem::Unreadable));
            assert!(check("https://example.com:8443/x?y=z", targets).is_ok());
        }
    }
}
