//! Short human text: trimmed, bounded, without control characters; and a person's name, which is never logged.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("the text is empty")]
    Empty,
    #[error("the text is longer than {0} characters")]
    TooLong(usize),
    #[error("the text has a control character")]
    ControlCharacter,
}

fn parse(text: &str, max: usize, multiline: bool) -> Result<String, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().count() > max {
        return Err(TextError::TooLong(max));
    }
    if text.chars().any(|c| c.is_control() && !(multiline && matches!(c, '\n' | '\r' | '\t'))) {
        return Err(TextError::ControlCharacter);
    }
    Ok(text.to_owned())
}

/// A label or title of at most `MAX` characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Line<const MAX: usize>(String);

impl<const MAX: usize> Line<MAX> {
    pub fn parse(text: &str) -> Result<Self, TextError> {
        parse(text, MAX, false).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<String> for Line<MAX> {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        Self::parse(&text)
    }
}

impl<const MAX: usize> From<Line<MAX>> for String {
    fn from(line: Line<MAX>) -> Self {
        line.0
    }
}

impl<const MAX: usize> fmt::Display for Line<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name of an organization, property or sender.
pub type Name = Line<100>;
/// A unit's label as on the door.
pub type Label = Line<40>;
/// An invoice's title or the text of one of its lines.
pub type Title = Line<200>;

/// Several lines of text, at most 4,000 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Paragraphs(String);

impl Paragraphs {
    pub fn parse(text: &str) -> Result<Self, TextError> {
        parse(text, 4000, true).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Paragraphs {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        Self::parse(&text)
    }
}

impl From<Paragraphs> for String {
    fn from(text: Paragraphs) -> Self {
        text.0
    }
}

/// A person's given and family name. Personal: stored sealed, never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersonName {
    /// Given name; may be absent, people have one name too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Name>,
    pub last: Name,
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.first {
            Some(first) => write!(f, "{first} {}", self.last),
            None => self.last.fmt(f),
        }
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_bounded_and_free_of_control_characters() {
        assert_eq!(Label::parse(" 12 B ").map(String::from), Ok("12 B".into()));
        assert_eq!(Label::parse("  "), Err(TextError::Empty));
        assert_eq!(Label::parse(&"x".repeat(41)), Err(TextError::TooLong(40)));
        assert_eq!(Label::parse("a\0b"), Err(TextError::ControlCharacter));
        assert!(Paragraphs::parse("two\nlines").is_ok());
    }
}
