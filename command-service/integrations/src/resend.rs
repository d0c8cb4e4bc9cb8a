//! E-mail through Resend's HTTP API.

mod lookup;
pub mod webhook;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::payment::UnknownCause;
use processes::ports::{Mail, MailPromise, Outcome, OutgoingEmail, Refused};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Secret, SettingsError,
    http::{self, Lost},
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Tags by which a webhook names our message.
mod tag {
    pub const MESSAGE: &str = "message";
    pub const KIND: &str = "kind";
}

/// Resend keeps a key for 24 hours; the last of them is left as a margin for clocks and queues.
const KEY_WINDOW: Duration = Duration::from_secs(23 * 3600);

/// How long to wait when Resend does not say.
const AFTER_CONNECT_FAILURE: Duration = Duration::from_secs(5);
const AFTER_RATE_LIMIT: Duration = Duration::from_secs(2);
const AFTER_QUOTA: Duration = Duration::from_secs(15 * 60);
const AFTER_CONCURRENT: Duration = Duration::from_secs(2);

/// Where Resend is and how long it may take.
#[derive(Debug, Clone)]
pub struct ResendSettings {
    /// `https://api.resend.com`, or the sandbox.
    pub api_base: String,
    pub api_key: Secret,
    pub connect_timeout: Duration,
    /// For one call, body included.
    pub timeout: Duration,
}

/// Resend's API for one team.
pub struct ResendMail {
    http: reqwest::Client,
    emails: String,
    authorization: HeaderValue,
}

impl fmt::Debug for ResendMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResendMail").field("emails", &self.emails).finish_non_exhaustive()
    }
}

impl ResendMail {
    /// Opens no connection yet. The process must have installed a rustls provider.
    pub fn try_new(settings: &ResendSettings) -> Result<Self, SettingsError> {
        let base = http::base(&settings.api_base)?;
        Ok(Self {
            http: http::client(&base, settings.connect_timeout, settings.timeout)?,
            emails: format!("{}/emails", base.as_str().trim_end_matches('/')),
            authorization: http::bearer(&settings.api_key)?,
        })
    }
}

/// A send, in an order of fields that never changes: the same key with other bytes would be refused.
#[derive(Serialize)]
struct Send<'a> {
    from: String,
    to: [&'a str; 1],
    subject: String,
    html: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    headers: Headers,
    tags: [Tag; 2],
}

#[derive(Serialize)]
struct Headers {
    #[serde(rename = "X-Message-Ref")]
    reference: Uuid,
}

#[derive(Serialize)]
struct Tag {
    name: &'static str,
    value: String,
}

#[derive(Deserialize)]
struct Sent {
    id: String,
}

#[derive(Default, Deserialize)]
struct Problem {
    /// A stable code. The message beside it stays unread: it can quote the address.
    name: Option<String>,
}

#[async_trait]
impl Mail for ResendMail {
    fn name(&self) -> &'static str {
        "resend"
    }

    fn promise(&self) -> MailPromise {
        MailPromise::Idempotent { window: KEY_WINDOW }
    }

    async fn find(&self, email: &OutgoingEmail, since: DateTime<Utc>) -> Option<Outcome<Option<String>>> {
        Some(self.look_up(email, since).await)
    }

    async fn send(&self, email: &OutgoingEmail, idempotency_key: &str) -> Outcome<Option<String>> {
        let key = match HeaderValue::from_str(idempotency_key) {
            Ok(key) if (1..=256).contains(&key.len()) => key,
            _ => return refused("invalid_key", "the idempotency key is not usable".to_owned()),
        };
        let request = self
            .http
            .post(&self.emails)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(IDEMPOTENCY_KEY, key)
            .json(&body(email));
        let answer = match http::send(request).await {
            Ok(answer) => answer,
            Err(Lost::NotSent(why)) => return Outcome::Retry { after: AFTER_CONNECT_FAILURE, why },
            Err(lost) => return unknown(UnknownCause::TimedOut, lost.why()),
        };
        let status = answer.status;
        tracing::debug!(message.id = %email.reference, http.status = status, "resend answered");
        let body = match answer.body {
            Ok(body) => body,
            Err(Lost::TimedOut(why)) if (200..300).contains(&status) => return unknown(UnknownCause::TimedOut, why),
            Err(lost) if (200..300).contains(&status) => return unknown(UnknownCause::Undecodable, lost.why()),
            // The status alone decides; the body only adds the code.
            Err(_) => bytes::Bytes::new(),
        };
        if (200..300).contains(&status) {
            return match serde_json::from_slice::<Sent>(&body) {
                Ok(sent) => Outcome::Done(Some(sent.id)),
                Err(_) => unknown(UnknownCause::Undecodable, format!("{status} without an id")),
            };
        }
        let name = serde_json::from_slice::<Problem>(&body).unwrap_or_default().name.map(|name| token(&name));
        let name = name.filter(|name| !name.is_empty());
        let why = format!("{status} {}", name.as_deref().unwrap_or("without a name"));
        match (status, name.as_deref()) {
            (429, name) => {
                let quota = name.is_some_and(|name| name.contains("quota"));
                let default = if quota { AFTER_QUOTA } else { AFTER_RATE_LIMIT };
                Outcome::Retry { after: http::retry_after(&answer.headers).unwrap_or(default), why }
            }
            (409, Some("concurrent_idempotent_requests")) => {
                Outcome::Retry { after: http::retry_after(&answer.headers).unwrap_or(AFTER_CONCURRENT), why }
            }
            (409, None) => unknown(UnknownCause::Conflict, why),
            (400..=499, _) if !matches!(status, 408 | 424) => {
                refused(name.as_deref().unwrap_or(&status.to_string()), why)
            }
            _ => unknown(UnknownCause::ProviderError, why),
        }
    }
}

fn body(email: &OutgoingEmail) -> Send<'_> {
    Send {
        from: mailbox(&email.from_name, &email.from_address),
        to: [&email.to],
        subject: one_line(&email.subject),
        html: &email.html,
        text: &email.text,
        reply_to: email.reply_to.as_deref(),
        headers: Headers { reference: email.reference },
        tags: [
            Tag { name: tag::MESSAGE, value: email.reference.to_string() },
            Tag { name: tag::KIND, value: token(&email.kind) },
        ],
    }
}

/// `"Name" <address>` with everything in the name that could end it made harmless.
fn mailbox(name: &str, address: &str) -> String {
    let name = one_line(name);
    if name.is_empty() {
        return address.to_owned();
    }
    format!("\"{}\" <{address}>", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// One line: a line break in a name or subject could begin a header of its own.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

/// What a tag of Resend may hold.
fn token(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).take(256).collect()
}

fn refused<T>(code: &str, why: String) -> Outcome<T> {
    Outcome::Refused(Refused { code: code.to_owned(), why })
}

const fn unknown<T>(cause: UnknownCause, why: String) -> Outcome<T> {
    Outcome::Unknown { cause, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_mailbox_or_its_header() {
        assert_eq!(mailbox("Cedar \"Row\" \\", "hoa@example.com"), r#""Cedar \"Row\" \\" <hoa@example.com>"#);
        assert_eq!(
            mailbox("Cedar\r\nBcc: all@example.org", "hoa@example.com"),
            r#""Cedar Bcc: all@example.org" <hoa@example.com>"#
        );
        assert_eq!(mailbox(" \n ", "hoa@example.com"), "hoa@example.com");
    }
}
