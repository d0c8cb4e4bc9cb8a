//! Texts through Twilio's Messages API.

mod errors;
pub mod webhook;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use events::payment::UnknownCause;
use processes::ports::{Outcome, OutgoingText, Refused, TextProblem, TextSnapshot, TextStatus, Texts};
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderValue},
};
use serde::{Deserialize, Serialize};

use crate::{
    Secret, SettingsError,
    http::{self, Answer, Lost},
};

pub use errors::problem;

/// How long to wait when Twilio does not say.
const AFTER_CONNECT_FAILURE: Duration = Duration::from_secs(5);
const AFTER_RATE_LIMIT: Duration = Duration::from_secs(5);
const AFTER_FULL_QUEUE: Duration = Duration::from_secs(60);
/// Wrong credentials are a mistake of ours, which somebody has to find and mend: nothing is lost meanwhile.
const AFTER_NO_ENTRY: Duration = Duration::from_secs(60);
/// A text whose request was cut off shows in the list within seconds; this leaves a wide margin.
const APPEARS_WITHIN: Duration = Duration::from_secs(15 * 60);
/// Texts to one number are few; further back than this nobody looks.
const PAGE: u32 = 50;
const PAGES: usize = 6;

/// Where Twilio is, whose texts they are, and how long it may take.
#[derive(Debug, Clone)]
pub struct TwilioSettings {
    /// `https://api.twilio.com`, or the sandbox.
    pub api_base: String,
    /// `AC…`.
    pub account_sid: String,
    pub auth_token: Secret,
    /// `MG…`: the service whose numbers texts come from.
    pub messaging_service: String,
    /// Where Twilio reaches us, without a trailing slash.
    pub public_url: String,
    pub connect_timeout: Duration,
    /// For one call, body included.
    pub timeout: Duration,
}

/// Twilio's API for one account and one messaging service.
pub struct TwilioTexts {
    http: reqwest::Client,
    /// `…/2010-04-01/Accounts/AC…`.
    account: String,
    messaging_service: String,
    authorization: HeaderValue,
    public_url: String,
}

impl fmt::Debug for TwilioTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioTexts").field("account", &self.account).finish_non_exhaustive()
    }
}

/// `AC` or `MG`, and what makes up an id. It becomes part of addresses.
fn sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

impl TwilioTexts {
    /// Opens no connection yet. The process must have installed a rustls provider.
    pub fn try_new(settings: &TwilioSettings) -> Result<Self, SettingsError> {
        let base = http::base(&settings.api_base)?;
        if !sid(&settings.account_sid, "AC") {
            return Err(SettingsError::Credential("account sid"));
        }
        if !sid(&settings.messaging_service, "MG") {
            return Err(SettingsError::Credential("messaging service sid"));
        }
        Ok(Self {
            http: http::client(&base, settings.connect_timeout, settings.timeout)?,
            account: format!("{}/2010-04-01/Accounts/{}", base.as_str().trim_end_matches('/'), settings.account_sid),
            messaging_service: settings.messaging_service.clone(),
            authorization: basic(&settings.account_sid, &settings.auth_token)?,
            public_url: settings.public_url.trim_end_matches('/').to_owned(),
        })
    }

    async fn read(&self, address: &str) -> Result<Answer, Outcome<Never>> {
        let request = self.http.get(address).header(AUTHORIZATION, self.authorization.clone());
        http::send(request).await.map_err(|lost| match lost {
            Lost::NotSent(why) | Lost::TimedOut(why) | Lost::Broken(why) => {
                Outcome::Retry { after: AFTER_CONNECT_FAILURE, why }
            }
        })
    }
}

/// What reading never comes back with: reading changes nothing, so a lost answer is asked for again.
enum Never {}

impl Never {
    fn of<T>(outcome: Outcome<Self>) -> Outcome<T> {
        match outcome {
            Outcome::Done(never) => match never {},
            Outcome::Refused(refused) => Outcome::Refused(refused),
            Outcome::Retry { after, why } => Outcome::Retry { after, why },
            Outcome::Unknown { cause, why } => Outcome::Unknown { cause, why },
        }
    }
}

/// `Basic …`, kept out of every debug output.
fn basic(user: &str, token: &Secret) -> Result<HeaderValue, SettingsError> {
    if token.expose().trim().is_empty() {
        return Err(SettingsError::Credential("auth token"));
    }
    let pair = STANDARD.encode(format!("{user}:{}", token.expose()));
    let mut value =
        HeaderValue::from_str(&format!("Basic {pair}")).map_err(|_| SettingsError::Credential("auth token"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A send, with the words of Twilio's form.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Send<'a> {
    to: &'a str,
    messaging_service_sid: &'a str,
    body: &'a str,
    status_callback: String,
    validity_period: u32,
}

/// What is read of a message; the rest may be of any form.
#[derive(Deserialize)]
struct Message {
    sid: String,
    status: String,
    #[serde(default)]
    error_code: Option<u32>,
    #[serde(default)]
    num_segments: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    direction: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Message>,
    #[serde(default)]
    next_page_uri: Option<String>,
}

#[derive(Default, Deserialize)]
struct Problem {
    /// The message beside it stays unread: it can quote the number.
    code: Option<u32>,
}

/// A status by Twilio's name.
fn status(name: &str) -> TextStatus {
    match name {
        "accepted" | "scheduled" | "queued" | "sending" => TextStatus::Accepted,
        "sent" => TextStatus::Sent,
        "delivered" | "read" | "partially_delivered" => TextStatus::Delivered,
        "undelivered" => TextStatus::Undelivered,
        "failed" | "canceled" => TextStatus::Failed,
        _ => TextStatus::Unrecognized,
    }
}

impl From<Message> for TextSnapshot {
    fn from(message: Message) -> Self {
        Self {
            status: status(&message.status),
            id: message.sid,
            error: message.error_code,
            // A service counts later, and says 0 until then.
            segments: message.num_segments.and_then(|count| count.parse().ok()).filter(|count| *count > 0),
        }
    }
}

#[async_trait]
impl Texts for TwilioTexts {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn sender(&self) -> &str {
        &self.messaging_service
    }

    async fn send(&self, text: &OutgoingText) -> Outcome<TextSnapshot> {
        let form = Send {
            to: &text.to,
            messaging_service_sid: &self.messaging_service,
            body: &text.body,
            status_callback: webhook::status_callback(&self.public_url, text.organization, text.reference),
            validity_period: text.valid_for.clamp(1, 36_000),
        };
        let request = self
            .http
            .post(format!("{}/Messages.json", self.account))
            .header(AUTHORIZATION, self.authorization.clone())
            .form(&form);
        let answer = match http::send(request).await {
            Ok(answer) => answer,
            Err(Lost::NotSent(why)) => return Outcome::Retry { after: AFTER_CONNECT_FAILURE, why },
            Err(lost) => return unknown(UnknownCause::TimedOut, lost.why()),
        };
        let code = answer.status;
        tracing::debug!(text.id = %text.reference, http.status = code, "twilio answered");
        if (200..300).contains(&code) {
            return match answer.body {
                Ok(body) => match serde_json::from_slice::<Message>(&body) {
                    Ok(message) => Outcome::Done(message.into()),
                    Err(_) => unknown(UnknownCause::Undecodable, format!("{code} without a message")),
                },
                Err(Lost::TimedOut(why)) => unknown(UnknownCause::TimedOut, why),
                Err(lost) => unknown(UnknownCause::Undecodable, lost.why()),
            };
        }
        refusal(&answer)
    }

    async fn find(&self, to: &str, short_reference: &str) -> Outcome<Option<TextSnapshot>> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("To", to)
            .append_pair("PageSize", &PAGE.to_string())
            .finish();
        let mut address = format!("{}/Messages.json?{query}", self.account);
        for _ in 0..PAGES {
            let answer = match self.read(&address).await {
                Ok(answer) => answer,
                Err(outcome) => return Never::of(outcome),
            };
            let page = match read_json::<Page>(&answer) {
                Ok(page) => page,
                Err(outcome) => return Never::of(outcome),
            };
            // What came in has an author who may write any reference.
            let ours = |message: &Message| {
                message.direction.as_deref().is_some_and(|way| way.starts_with("outbound"))
                    && message.body.as_deref().is_some_and(|body| body.contains(short_reference))
            };
            if let Some(message) = page.messages.into_iter().find(ours) {
                return Outcome::Done(Some(message.into()));
            }
            let next = page.next_page_uri.and_then(|next| self.beside(&next));
            let Some(next) = next else { return Outcome::Done(None) };
            address = next;
        }
        Outcome::Done(None)
    }

    async fn text(&self, id: &str) -> Outcome<TextSnapshot> {
        if !sid(id, "SM") && !sid(id, "MM") {
            return Outcome::Refused(Refused { code: "20404".to_owned(), why: "not an id of a text".to_owned() });
        }
        match self.read(&format!("{}/Messages/{id}.json", self.account)).await {
            Ok(answer) => match read_json::<Message>(&answer) {
                Ok(message) => Outcome::Done(message.into()),
                Err(outcome) => Never::of(outcome),
            },
            Err(outcome) => Never::of(outcome),
        }
    }

    fn appears_within(&self) -> Duration {
        APPEARS_WITHIN
    }
}

impl TwilioTexts {
    /// The next page lies below the same account, or is not asked for: the answer must not send our token elsewhere.
    fn beside(&self, path: &str) -> Option<String> {
        let url = Url::parse(&self.account).ok()?;
        let next = path.get(path.find("/2010-04-01/")?..)?;
        let (before, _) = self.account.split_once("/2010-04-01/")?;
        let next = Url::parse(&format!("{before}{next}")).ok()?;
        (next.origin() == url.origin() && next.path().starts_with(&format!("{}/", url.path()))).then(|| next.into())
    }
}

/// An answer that is JSON, or what to make of it where it is not.
fn read_json<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, Outcome<Never>> {
    let again = |why: String| Outcome::Retry { after: AFTER_CONNECT_FAILURE, why };
    if (200..300).contains(&answer.status) {
        let Ok(body) = &answer.body else { return Err(again("the answer broke off".to_owned())) };
        return serde_json::from_slice(body).map_err(|_| again("the answer cannot be read".to_owned()));
    }
    Err(match refusal(answer) {
        Outcome::Unknown { why, .. } => again(why),
        other => other,
    })
}

/// What an answer other than a success means.
fn refusal<T>(answer: &Answer) -> Outcome<T> {
    let status = answer.status;
    // The status alone decides where the body was cut off; it only adds the code.
    let body = answer.body.as_ref().map(bytes::Bytes::as_ref).unwrap_or_default();
    let code = serde_json::from_slice::<Problem>(body).unwrap_or_default().code;
    let why = code.map_or_else(|| format!("{status} without a code"), |code| format!("{status} {code}"));
    let retry = |after| Outcome::Retry { after: http::retry_after(&answer.headers).unwrap_or(after), why: why.clone() };
    match status {
        429 => retry(AFTER_RATE_LIMIT),
        401 | 403 if code.is_none_or(errors::is_about_access) => retry(AFTER_NO_ENTRY),
        // A time-out or conflict of its own says nothing of what was done.
        408 | 409 => unknown(UnknownCause::Conflict, why),
        400..=499 => match code.map(problem) {
            Some(TextProblem::BackOff) => retry(AFTER_FULL_QUEUE),
            _ => Outcome::Refused(Refused {
                code: code.map_or_else(|| status.to_string(), |code| code.to_string()),
                why,
            }),
        },
        _ => unknown(UnknownCause::ProviderError, why),
    }
}

const fn unknown<T>(cause: UnknownCause, why: String) -> Outcome<T> {
    Outcome::Unknown { cause, why }
}
