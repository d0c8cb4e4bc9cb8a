//! Twilio's webhooks: whether to believe one, what became of which text, and what people answer.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use processes::ports::TextStatus;
use reqwest::Url;
use ring::{digest, hmac};
use serde_json::Value;
use uuid::Uuid;

use super::status;
use crate::{Secret, SignatureProblem};

/// Where callbacks about texts arrive, and where texts of people do.
pub const STATUS_PATH: &str = "/webhooks/twilio/status";
pub const INBOUND_PATH: &str = "/webhooks/twilio/inbound";

const ORGANIZATION: &str = "organization";
const TEXT: &str = "text";
/// How a body that is no form is bound to the signed address.
const BODY_HASH: &str = "bodySHA256";

/// The address of a text's callbacks: it names our text, so that one that comes before the answer to our call is bound all the same.
pub fn status_callback(public_url: &str, organization: Uuid, text: Uuid) -> String {
    format!("{public_url}{STATUS_PATH}?{ORGANIZATION}={organization}&{TEXT}={text}")
}

/// A webhook as it arrived.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    /// The configured public address, and behind it path and query as they arrived: what Twilio called, whatever a proxy made of it.
    pub address: &'a str,
    pub content_type: Option<&'a str>,
    /// `X-Twilio-Signature`.
    pub signature: Option<&'a str>,
    pub body: &'a [u8],
}

impl std::fmt::Debug for Received<'_> {
    /// Bodies hold what people write.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Received(…)")
    }
}

/// Believes a signature over the address and the sorted parameters, or over an address that holds the body's hash, made with any of the
/// tokens (two during a rotation). The address is tried with and without its port, since senders differ in that.
///
/// The scheme knows no time: a repeat is recognized by the message's id and status.
pub fn verify(received: &Received<'_>, tokens: &[Secret]) -> Result<(), SignatureProblem> {
    let signature = received.signature.ok_or(SignatureProblem::Missing)?;
    let signature = STANDARD.decode(signature.trim()).map_err(|_| SignatureProblem::Malformed)?;
    let url = Url::parse(received.address).map_err(|_| SignatureProblem::Malformed)?;
    let parameters = match url.query_pairs().find(|(name, _)| name == BODY_HASH) {
        // The address is signed, and the body by it.
        Some((_, expected)) => {
            if !is_hash_of(&expected, received.body) {
                return Err(SignatureProblem::Mismatch);
            }
            String::new()
        }
        None if is_form(received.content_type) => sorted(received.body),
        // Without a hash nothing would bind the body.
        None if !received.body.is_empty() => return Err(SignatureProblem::Malformed),
        None => String::new(),
    };
    let addresses = addresses(received.address, &url);
    let matches = |token: &Secret| {
        // The scheme is Twilio's; SHA-1 is not ours to change.
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.expose().as_bytes());
        let signed =
            |address: &String| hmac::verify(&key, format!("{address}{parameters}").as_bytes(), &signature).is_ok();
        // Everybody knows the empty key.
        !token.expose().is_empty() && addresses.iter().any(signed)
    };
    if tokens.iter().any(matches) { Ok(()) } else { Err(SignatureProblem::Mismatch) }
}

fn is_form(content_type: Option<&str>) -> bool {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Names and values in the names' order; a value that comes twice counts once, as in Twilio's own libraries.
fn sorted(body: &[u8]) -> String {
    let mut sorted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        sorted.entry(name.into_owned()).or_default().insert(value.into_owned());
    }
    let mut text = String::new();
    for (name, values) in sorted {
        for value in values {
            text.push_str(&name);
            text.push_str(&value);
        }
    }
    text
}

/// The address as it is, without a port, and with the one that its scheme stands for.
fn addresses(written: &str, url: &Url) -> Vec<String> {
    let mut all = vec![written.to_owned()];
    let Some((scheme, rest)) = written.split_once("://") else { return all };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // Behind the last bracket of an IPv6 address.
    let host_ends = authority.rfind(']').map_or(0, |at| at + 1);
    let host = match authority.get(host_ends..).and_then(|tail| tail.find(':')) {
        Some(colon) => authority.get(..host_ends + colon).unwrap_or(authority),
        None => authority,
    };
    all.push(format!("{scheme}://{host}{path}"));
    if let Some(port) = url.port_or_known_default() {
        all.push(format!("{scheme}://{host}:{port}{path}"));
    }
    all
}

/// Whoever sees a hash has the body: there is nothing to learn from how long comparing takes.
fn is_hash_of(expected: &str, body: &[u8]) -> bool {
    hash(body).eq_ignore_ascii_case(expected)
}

fn hash(body: &[u8]) -> String {
    digest::digest(&digest::SHA256, body).as_ref().iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a webhook tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TwilioNotice {
    Status(StatusNotice),
    Inbound(InboundNotice),
}

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusNotice {
    /// `SM…`.
    pub sid: String,
    pub status: TextStatus,
    /// Twilio's word for it.
    pub word: String,
    pub error: Option<u32>,
    /// Whose text it is, by the address that we gave.
    pub organization: Option<Uuid>,
    pub text: Option<Uuid>,
}

/// What somebody wrote to one of our numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundNotice {
    pub sid: String,
    /// The account whose number it was written to.
    pub account: Option<String>,
    /// E.164, as are all numbers of Twilio.
    pub from: String,
    pub to: String,
    pub service: Option<String>,
    pub body: String,
    /// Twilio has answered it itself, and will refuse (or take again) texts to this number.
    pub answered: Option<Answered>,
}

impl std::fmt::Debug for InboundNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InboundNotice({})", self.sid)
    }
}

/// Which words Twilio answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    Stop,
    Help,
    Start,
}

/// The bytes are no webhook of Twilio at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("neither a form nor JSON")]
    Body,
    #[error("no {0}")]
    Missing(&'static str),
    #[error("stored in a form that is not known")]
    Envelope,
}

/// What is kept of a verified webhook: path and query, content type, and the body, each as it arrived.
pub fn envelope(path_and_query: &str, content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    let line = |text: &str| text.replace(['\r', '\n'], " ");
    let head = format!("{}\n{}\n", line(path_and_query), line(content_type.unwrap_or_default()));
    [head.as_bytes(), body].concat()
}

/// Reads what [`envelope`] wrote. Parameters that are not known are left alone.
pub fn parse(kept: &[u8]) -> Result<TwilioNotice, Unreadable> {
    let mut parts = kept.splitn(3, |byte| *byte == b'\n');
    let mut text = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
    let (Some(address), Some(content_type)) = (text(), text()) else { return Err(Unreadable::Envelope) };
    let body = parts.next().ok_or(Unreadable::Envelope)?;
    let told = parameters(content_type, body)?;
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    if path.ends_with(STATUS_PATH) { status_notice(&told, query) } else { inbound_notice(&told) }
}

/// The id under which a webhook is known: the same when it is delivered again.
pub fn identity(kept: &[u8]) -> Option<String> {
    match parse(kept).ok()? {
        TwilioNotice::Status(notice) => Some(format!("status/{}/{}", notice.sid, notice.word)),
        TwilioNotice::Inbound(notice) => Some(format!("inbound/{}", notice.sid)),
    }
}

type Parameters = BTreeMap<String, String>;

/// Without NUL, which anybody can put into a text and the database holds in no text: what was written around it is to be read.
fn parameters(content_type: &str, body: &[u8]) -> Result<Parameters, Unreadable> {
    let clean = |(name, value): (String, String)| (name, value.replace('\0', ""));
    if is_form(Some(content_type)) {
        return Ok(form_urlencoded::parse(body).into_owned().map(clean).collect());
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return Err(Unreadable::Body) };
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    Ok(fields.into_iter().filter_map(|(name, value)| Some(clean((name, text(value)?)))).collect())
}

fn of(told: &Parameters, names: [&'static str; 2]) -> Result<String, Unreadable> {
    let found = names.iter().find_map(|name| told.get(*name).filter(|value| !value.is_empty()));
    found.cloned().ok_or(Unreadable::Missing(names[0]))
}

fn status_notice(told: &Parameters, query: &str) -> Result<TwilioNotice, Unreadable> {
    let id = |wanted: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == wanted).and_then(|(_, value)| Uuid::try_parse(&value).ok())
    };
    let word = of(told, ["MessageStatus", "SmsStatus"])?;
    Ok(TwilioNotice::Status(StatusNotice {
        sid: of(told, ["MessageSid", "SmsSid"])?,
        status: status(&word),
        word,
        error: told.get("ErrorCode").and_then(|code| code.parse().ok()).filter(|code| *code != 0),
        organization: id(ORGANIZATION),
        text: id(TEXT),
    }))
}

fn inbound_notice(told: &Parameters) -> Result<TwilioNotice, Unreadable> {
    let body = told.get("Body").cloned().unwrap_or_default();
    let answered = match told.get("OptOutType").map(String::as_str) {
        Some("STOP") => Some(Answered::Stop),
        Some("HELP") => Some(Answered::Help),
        Some("START") => Some(Answered::Start),
        Some(_) => None,
        None => by_default(&body),
    };
    Ok(TwilioNotice::Inbound(InboundNotice {
        sid: of(told, ["MessageSid", "SmsSid"])?,
        account: told.get("AccountSid").cloned(),
        from: of(told, ["From", "From"])?,
        to: told.get("To").cloned().unwrap_or_default(),
        service: told.get("MessagingServiceSid").filter(|service| !service.is_empty()).cloned(),
        answered,
        body,
    }))
}

/// Twilio's own words where nothing else is set up: the whole text is one of them.
fn by_default(body: &str) -> Option<Answered> {
    match body.trim().to_ascii_uppercase().as_str() {
        "STOP" | "UNSUBSCRIBE" | "END" | "QUIT" | "STOPALL" | "REVOKE" | "OPTOUT" | "CANCEL" => Some(Answered::Stop),
        "HELP" | "INFO" => Some(Answered::Help),
        "START" | "YES" | "UNSTOP" => Some(Answered::Start),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
