//! Webhooks: where an organization's events are sent to.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EmailAddress, Language, PropertyId, Sealed, SecretId, text::Line};

/// An address that events can be posted to: http or https, without a user, password or fragment.
///
/// Whether the network may be asked for it is the sender's business; here it is only an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct TargetUrl(String);

/// The text is no address that events could be posted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address like https://hooks.example.com/propty, without user, password and fragment")]
pub struct InvalidTargetUrl;

impl TargetUrl {
    /// The longest address.
    const LONGEST: usize = 1000;

    pub fn parse(text: &str) -> Result<Self, InvalidTargetUrl> {
        let text = text.trim();
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(InvalidTargetUrl)?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let clean = text.len() <= Self::LONGEST
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && !text.contains(['#', '\\', '<', '>', '"', '`', '{', '}'])
            && !authority.contains('@')
            && !authority.is_empty()
            && !authority.starts_with(':');
        if clean { Ok(Self(text.to_owned())) } else { Err(InvalidTargetUrl) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, with its port where one is named.
    pub fn host(&self) -> &str {
        self.0.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default()
    }
}

impl TryFrom<String> for TargetUrl {
    type Error = InvalidTargetUrl;

    fn try_from(text: String) -> Result<Self, InvalidTargetUrl> {
        Self::parse(&text)
    }
}

impl From<TargetUrl> for String {
    fn from(url: TargetUrl) -> Self {
        url.0
    }
}

/// The name of a public event type or of a family of them, like `invoice.published` or `invoice.*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct TypeName(String);

/// The text is no name of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a type of event like invoice.published or invoice.*")]
pub struct InvalidTypeName;

impl TypeName {
    pub fn parse(text: &str) -> Result<Self, InvalidTypeName> {
        let text = text.trim();
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-*".contains(&byte);
        if (1..=100).contains(&text.len()) && text.bytes().all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTypeName)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TypeName {
    type Error = InvalidTypeName;

    fn try_from(text: String) -> Result<Self, InvalidTypeName> {
        Self::parse(&text)
    }
}

impl From<TypeName> for String {
    fn from(name: TypeName) -> Self {
        name.0
    }
}

/// Why nothing is sent any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DisabledBecause {
    /// A manager said so.
    ByHand,
    /// The receiver answered 410: it is not there any more.
    Gone,
    /// All attempts failed, and nothing arrived in all that time.
    LongFailure { since: DateTime<Utc> },
}

events! {
    /// The life of a webhook.
    pub enum WebhookEvent of "webhook" {
        /// Events are sent to an address from now on.
        WebhookRegistered = 1 {
            url: TargetUrl,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            description: Option<Line<200>>,
            /// Empty: all of them.
            types: Vec<TypeName>,
            /// Absent: the whole organization's events.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            property_id: Option<PropertyId>,
            /// Whom to tell when it is disabled.
            notice: Sealed<EmailAddress>,
            /// In which the notice is written.
            language: Language,
            /// Names the secret that signs; the secret itself is in no event.
            secret_id: SecretId,
            /// The first position that is sent; absent, what follows the registration.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            from: Option<i64>,
        },
        /// What is sent, or where to; absent fields stayed as they were.
        WebhookChanged = 1 {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            url: Option<TargetUrl>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            description: Option<Line<200>>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            types: Option<Vec<TypeName>>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            notice: Option<Sealed<EmailAddress>>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            language: Option<Language>,
        },
        /// Another secret signs; the one before does too for a while.
        WebhookSecretRotated = 1 { secret_id: SecretId, former_until: DateTime<Utc> },
        /// Sending goes on where it stood.
        WebhookEnabled = 1 {},
        /// Nothing is sent any more.
        WebhookDisabled = 1 { because: DisabledBecause },
        /// What was sent from a position on is sent again.
        WebhookReplayRequested = 1 { from: i64 },
        /// A test event was asked for.
        WebhookTestRequested = 1 {},
        /// It is gone for good.
        WebhookRemoved = 1 {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_they_are_and_others_refused() {
        for good in ["https://hooks.example.com/a?b=c", "http://127.0.0.1:8080", "https://[2001:db8::1]/x"] {
            assert_eq!(TargetUrl::parse(good).map(String::from), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "ftp://example.com",
            "https://",
            "https:///path",
            "https://user@example.com",
            "https://user:secret@example.com/",
            "https://example.com/#part",
            "https://example.com/a b",
            "https://example.com\\@10.0.0.1/",
            "https://:443/",
            "javascript:alert(1)",
        ] {
            assert_eq!(TargetUrl::parse(bad), Err(InvalidTargetUrl), "{bad}");
        }
        assert_eq!(
            TargetUrl::parse("https://example.com:8443/x").map(|url| url.host().to_owned()),
            Ok("example.com:8443".into())
        );
    }

    #[test]
    fn names_of_types_are_short_and_plain() {
        assert!(TypeName::parse("org.propty.invoice.published.v1").is_ok() && TypeName::parse("invoice.*").is_ok());
        for bad in ["", "Invoice", "a b", "invoice,unit"] {
            assert_eq!(TypeName::parse(bad), Err(InvalidTypeName), "{bad}");
        }
    }
}
