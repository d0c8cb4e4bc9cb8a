//! E-mail and postal addresses.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{Line, Name};

/// An e-mail address: as typed, and comparable whatever the case of its domain. Personal: stored sealed, never logged.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "email"))]
pub struct EmailAddress(String);

/// The text is no e-mail address that mail servers would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address; expected something like name@example.com")]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// Accepts the practical subset of RFC 5321: an ASCII dot-atom, `@`, and a host name with at least two labels.
    pub fn parse(text: &str) -> Result<Self, InvalidEmailAddress> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmailAddress)?;
        let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
        let local_ok = !local.is_empty()
            && local.len() <= 64
            && local.chars().all(atom)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_ok = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let domain_ok = domain.len() <= 189 && domain.contains('.') && domain.split('.').all(label_ok);
        if local_ok && domain_ok {
            Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
        } else {
            Err(InvalidEmailAddress)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form under which two spellings are the same mailbox for suppression and sign-in.
    pub fn normalized(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmailAddress;

    fn try_from(text: String) -> Result<Self, InvalidEmailAddress> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

/// Where a property stands. Public, as it is on its door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostalAddress {
    pub street: Line<200>,
    pub city: Name,
    /// State, province or region, as the post writes it (`QC`, `FL`).
    pub region: Line<60>,
    pub postal_code: Line<20>,
    /// ISO 3166-1 alpha-2.
    pub country: Line<2>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_mail_servers_refuse_are_refused() {
        for bad in
            ["", "a", "@b.co", "a@b", "a b@c.co", "a@b..co", ".a@b.co", "a@-b.co", "a@b.co\r\nBcc: x@y.zz", "é@b.co"]
        {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_domain_is_folded_and_the_mailbox_kept() {
        let address = EmailAddress::parse(" Ana.Ruiz@Example.COM ").map(String::from);
        assert_eq!(address, Ok("Ana.Ruiz@example.com".to_owned()));
    }

    #[test]
    fn debug_shows_no_address() {
        assert_eq!(format!("{:?}", EmailAddress::parse("a@example.com")), "Ok(EmailAddress(…))");
    }
}
