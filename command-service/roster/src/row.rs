//! What a roster holds once it is read, with personal data kept out of `Debug`.

use std::fmt;

use crate::header::{IgnoredColumn, ReadColumn};
use crate::problem::{RowNote, RowProblem};
use crate::table::Delimiter;
use crate::text::Encoding;

/// The language a resident is written to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    English,
    French,
    Spanish,
}

impl Language {
    pub const ALL: [Self; 3] = [Self::English, Self::French, Self::Spanish];

    /// The ISO 639-1 code: `en`, `fr` or `es`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
            Self::Spanish => "es",
        }
    }
}

/// By what right a resident lives in, or stands behind, a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tenure {
    Owner,
    Tenant,
    Occupant,
}

impl Tenure {
    pub const ALL: [Self; 3] = [Self::Owner, Self::Tenant, Self::Occupant];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Tenant => "tenant",
            Self::Occupant => "occupant",
        }
    }
}

/// How many digits the property's currency has behind its decimal mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MinorDigits {
    /// Yen, Chilean peso: the unit is the minor unit.
    Zero,
    /// Dollar, euro: hundredths.
    Two,
}

impl MinorDigits {
    /// `None` for a number of digits that no supported currency has.
    pub const fn from_digits(digits: u8) -> Option<Self> {
        match digits {
            0 => Some(Self::Zero),
            2 => Some(Self::Two),
            _ => None,
        }
    }
}

/// What the file itself does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// For rows whose language is empty, or files without that column.
    pub language: Language,
    /// For rows whose tenure is empty, or files without that column.
    pub tenure: Tenure,
    /// Of the currency the opening balances are in.
    pub minor_digits: MinorDigits,
}

impl Default for Options {
    fn default() -> Self {
        Self { language: Language::English, tenure: Tenure::Owner, minor_digits: MinorDigits::Two }
    }
}

/// One resident in one unit; a person with two units has two rows.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The physical line, counted from 1, where the record starts.
    pub line: u64,
    /// `None` where the file has no such column or the cell is empty.
    pub property: Option<String>,
    pub unit: String,
    /// Empty for a company or a single name; then `last_name` holds all of it. Never are both empty.
    pub first_name: String,
    pub last_name: String,
    /// As typed, with the domain in lower case.
    pub email: Option<String>,
    /// E.164 where the number is a valid North American or an explicitly international one, else as typed. Never a consent.
    pub phone: Option<String>,
    pub language: Language,
    pub tenure: Tenure,
    /// In minor units; negative is a credit. `None` where nothing is written, which is not the same as zero.
    pub opening_balance: Option<i64>,
    /// An ISO date, `YYYY-MM-DD`.
    pub move_in: Option<String>,
    /// Whether the file claims that this person agreed to texts. Nobody agrees by a spreadsheet: it is there to be refused.
    pub claims_opt_in: bool,
}

impl Row {
    /// "First Last", or the one name there is.
    pub fn full_name(&self) -> String {
        if self.first_name.is_empty() {
            self.last_name.clone()
        } else if self.last_name.is_empty() {
            self.first_name.clone()
        } else {
            format!("{} {}", self.first_name, self.last_name)
        }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("line", &self.line)
            .field("property", &self.property)
            .field("unit", &self.unit)
            .field("first_name", &"[redacted]")
            .field("last_name", &"[redacted]")
            .field("email", &self.email.as_ref().map(|_| "[redacted]"))
            .field("phone", &self.phone.as_ref().map(|_| "[redacted]"))
            .field("language", &self.language)
            .field("tenure", &self.tenure)
            .field("opening_balance", &self.opening_balance)
            .field("move_in", &self.move_in)
            .field("claims_opt_in", &self.claims_opt_in)
            .finish()
    }
}

/// A file, read: rows in the order of the file, and everything that kept others out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// Rows without any problem.
    pub rows: Vec<Row>,
    /// Every problem of every row that was left out; a row can have several.
    pub problems: Vec<RowProblem>,
    /// What a person should look at, about rows that were kept.
    pub notes: Vec<RowNote>,
    pub encoding: Encoding,
    pub delimiter: Delimiter,
    /// Which header was read as what, in the order of the file.
    pub columns: Vec<ReadColumn>,
    /// Columns nothing was read from, in the order of the file.
    pub ignored: Vec<IgnoredColumn>,
}

impl Roster {
    /// How many rows of the file were left out.
    pub fn rows_left_out(&self) -> usize {
        let mut lines: Vec<u64> = self.problems.iter().map(|problem| problem.line).collect();
        lines.dedup();
        lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_no_personal_data_in_debug() {
        let row = Row {
            line: 7,
            property: Some("Maple Court".into()),
            unit: "101".into(),
            first_name: "Zoé".into(),
            last_name: "Lavoie".into(),
            email: Some("zoe@example.com".into()),
            phone: Some("+15145550101".into()),
            language: Language::French,
            tenure: Tenure::Owner,
            opening_balance: Some(1250),
            move_in: None,
            claims_opt_in: true,
        };
        let shown = format!("{row:?}");
        for secret in ["Zoé", "Lavoie", "zoe@", "5550101"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("101") && shown.contains("email: Some(\"[redacted]\")"));
    }
}
