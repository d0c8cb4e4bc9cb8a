//! A telephone number that texts can go to, in E.164; personal, so never logged.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The text is no telephone number in international form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a telephone number in international form; expected + and the country's code, as +1 305 555 0143")]
pub struct NotAPhone;

/// A telephone number in E.164, `+13055550143`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", example = "+13055550143")]
pub struct Phone(String);

impl Phone {
    /// Blanks, dots, hyphens, slashes and brackets are left out. The country's code is never guessed: a text to a guessed country is a
    /// text to a stranger.
    pub fn parse(text: &str) -> Result<Self, NotAPhone> {
        let rest = text.trim().strip_prefix('+').ok_or(NotAPhone)?;
        let separator = |letter: char| matches!(letter, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' | '–' | '‑');
        let digits: String = rest.chars().filter(|letter| !separator(*letter)).collect();
        let length_fits = (8..=15).contains(&digits.len());
        if !length_fits || digits.starts_with('0') || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(NotAPhone);
        }
        if digits.starts_with('1') && !north_american(&digits[1..]) {
            return Err(NotAPhone);
        }
        Ok(Self(format!("+{digits}")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The three digits after +1, which in North America tell the region that gave the number out.
    pub fn area_code(&self) -> Option<&str> {
        self.0.strip_prefix("+1")?.get(..3)
    }
}

/// Area code and exchange begin with 2 to 9.
fn north_american(digits: &str) -> bool {
    let begins_well = |at: usize| digits.as_bytes().get(at).is_some_and(|digit| (b'2'..=b'9').contains(digit));
    digits.len() == 10 && begins_well(0) && begins_well(3)
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(…)")
    }
}

impl TryFrom<String> for Phone {
    type Error = NotAPhone;

    fn try_from(text: String) -> Result<Self, NotAPhone> {
        Self::parse(&text)
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_kept_in_one_form() {
        for typed in ["+13055550143", " +1 305 555 0143", "+1 (305) 555-0143", "+1.305.555.0143", "+1/305/555/0143"] {
            assert_eq!(Phone::parse(typed).map(String::from), Ok("+13055550143".into()), "{typed}");
        }
        assert_eq!(Phone::parse("+52 55 5555 0123").map(String::from), Ok("+525555550123".into()));
        assert_eq!(Phone::parse("+13055550143").ok().as_ref().and_then(Phone::area_code), Some("305"));
        assert_eq!(Phone::parse("+525555550123").ok().as_ref().and_then(Phone::area_code), None);
    }

    #[test]
    fn what_may_be_another_number_is_refused() {
        for typed in [
            "",
            "+",
            "3055550143",
            "13055550143",
            "0013055550143",
            "+1305555014",
            "+130555501433",
            "+1 105 555 0143",
            "+1 305 055 0143",
            "+0123456789",
            "+1234567",
            "+1234567890123456",
            "+1305555O143",
            "+1305555014३",
            "+1 305 555 0143 x12",
            "++13055550143",
            "tel:+13055550143",
        ] {
            assert_eq!(Phone::parse(typed), Err(NotAPhone), "{typed}");
        }
    }

    #[test]
    fn a_number_shows_nowhere_by_itself() {
        assert_eq!(Phone::parse("+13055550143").map(|phone| format!("{phone:?}")), Ok("Phone(…)".into()));
    }
}
