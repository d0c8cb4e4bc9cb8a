//! What can be wrong with a file or a row, each said with the place, the reason and what to do.

use std::fmt;

use crate::field::Field;
use crate::{MAX_BYTES, MAX_COLUMNS, MAX_ROWS};

/// Why a file was not read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    #[error("the file has {bytes} bytes, more than the {MAX_BYTES} that are read; split it, for instance by property")]
    TooLarge { bytes: usize },
    #[error(
        "the file is empty; its first line must name the columns, for instance: Unit, First name, Last name, E-mail"
    )]
    Empty,
    #[error("the file is a spreadsheet workbook, not text; open it and save it as \"CSV UTF-8 (comma delimited)\"")]
    Workbook,
    #[error("the file is in UTF-16 (often called \"Unicode text\"); save it as \"CSV UTF-8\" instead")]
    Utf16,
    #[error("line {line} holds a NUL byte, so this is not a text file; export it again as \"CSV UTF-8\"")]
    NulByte { line: u64 },
    #[error("line {line} is damaged: the file is in UTF-8, but this line is not; export it again as \"CSV UTF-8\"")]
    DamagedUtf8 { line: u64 },
    #[error(
        "line {line} should name the columns, but a quotation mark opened there is not closed before the next comma, semicolon or tab"
    )]
    BrokenHeader { line: u64 },
    #[error(
        "the header names {columns} columns, more than the {MAX_COLUMNS} that are read; delete those that are not needed"
    )]
    TooManyColumns { columns: usize },
    #[error("the file has more than {MAX_ROWS} rows; split it, for instance by property")]
    TooManyRows,
    #[error("two columns are both called \"{header}\"; rename or delete one of them")]
    ColumnTwice { header: String },
    #[error("{}", say_missing(.missing, .found))]
    MissingColumns {
        /// Each what is missing and the headers that would be understood.
        missing: Vec<Field>,
        /// The headers of the file, shortened.
        found: Vec<String>,
    },
}

fn say_missing(missing: &[Field], found: &[String]) -> String {
    let said = |field: &Field| {
        format!("no column for the {} was found (accepted headers: {}); ", field.name(), field.accepted().join(", "))
    };
    let found: Vec<String> = found.iter().map(|header| format!("\"{header}\"")).collect();
    format!(
        "{}the first line, which must name the columns, has: {}",
        missing.iter().map(said).collect::<String>(),
        found.join(", ")
    )
}

/// Why a row was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the unit is missing")]
    MissingUnit,
    #[error("the name is missing")]
    MissingName,
    #[error("the value has more than {limit} characters")]
    TooLong { limit: usize },
    #[error("the value holds an invisible control character (U+{code:04X})")]
    ControlCharacter { code: u32 },
    #[error("the name has more than one comma, so first and last name cannot be told apart")]
    SeveralCommas,
    #[error("not an e-mail address: {because}")]
    NotAnEmail { because: &'static str },
    #[error("not a telephone number")]
    NotAPhone,
    #[error("the spreadsheet has rounded this telephone number to a power of ten")]
    RoundedPhone,
    #[error("not a language this system writes in")]
    NotALanguage,
    #[error("neither owner, tenant nor occupant")]
    NotATenure,
    #[error("not an amount of money")]
    NotAnAmount,
    #[error("this amount can be read in two ways, with thousands or with three decimals")]
    AmbiguousAmount,
    #[error("the amount has more decimals than the currency")]
    TooManyDecimals,
    #[error("the amount is too large to be true")]
    AmountTooLarge,
    #[error("not a date")]
    NotADate,
    #[error("this date can be read as day/month or as month/day")]
    AmbiguousDate,
    #[error("the calendar has no such day")]
    NoSuchDay,
    #[error("a quotation mark is opened and not closed where the cell ends")]
    BrokenQuotes,
    #[error("the row has {cells} cells, but the header names {headers} columns")]
    TooManyCells { cells: usize, headers: usize },
    #[error("the same person in the same unit stands in line {line} already")]
    Repeated { line: u64 },
}

impl Fault {
    /// What the manager can do about it.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::MissingUnit => "write the unit this person belongs to",
            Self::MissingName => "write at least a first or a last name, or the company's name",
            Self::TooLong { .. } => "shorten it; perhaps several values stand in one cell",
            Self::ControlCharacter { .. } => "delete the cell and type its value again",
            Self::SeveralCommas => "write it as \"Last, First\" or \"First Last\", one person a row",
            Self::NotAnEmail { .. } => "write one address like name@example.com, or leave the cell empty",
            Self::NotAPhone => "write it like 514-555-0123 or +15145550123, or leave the cell empty",
            Self::RoundedPhone => "format the column as text, type the number again and export once more",
            Self::NotALanguage => "write en, fr or es, or leave the cell empty for the default",
            Self::NotATenure => {
                "write owner, tenant or occupant, or leave the cell empty for the default; rename the column if it means something else"
            }
            Self::NotAnAmount => "write it like 1234.50, or -1234.50 for a credit",
            Self::AmbiguousAmount => "write it with two decimals, like 1234.00",
            Self::TooManyDecimals => "round it to the currency's decimals",
            Self::AmountTooLarge => "check it; perhaps two numbers stand in one cell",
            Self::NotADate | Self::AmbiguousDate => "write it as year-month-day, like 2026-03-31",
            Self::NoSuchDay => "correct the day or the month",
            Self::BrokenQuotes => "double the quotation marks within a quoted cell, or remove them",
            Self::TooManyCells { .. } => {
                "put values that hold the separator in quotation marks, or name the extra columns"
            }
            Self::Repeated { .. } => "delete one of the two rows",
        }
    }
}

/// One reason why one row was left out. `Display` shows the value to the person who has the file; `Debug` does not.
#[derive(Clone, PartialEq, Eq)]
pub struct RowProblem {
    /// The physical line, counted from 1, where the record starts.
    pub line: u64,
    /// The header as the file has it; `None` where the whole row is meant.
    pub column: Option<String>,
    /// What stands there, shortened to 40 characters; personal data, for the owner of the file only.
    pub value: String,
    pub fault: Fault,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, self.line, self.column.as_deref(), &self.value)?;
        write!(f, "{}; {}", self.fault, self.fault.advice())
    }
}

impl fmt::Debug for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowProblem")
            .field("line", &self.line)
            .field("column", &self.column)
            .field("value", &"[redacted]")
            .field("fault", &self.fault)
            .finish()
    }
}

/// What a person should look at although the row was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// Exports of this value must be neutralised, or a spreadsheet would compute it.
    #[error("the value begins like a spreadsheet formula; it is kept as plain text")]
    LooksLikeFormula,
    #[error("the number is kept as typed, because its country could not be told; text messages need it as +1…")]
    PhoneAsTyped,
}

/// One remark about one row that was kept; `Debug` does not show the value.
#[derive(Clone, PartialEq, Eq)]
pub struct RowNote {
    pub line: u64,
    pub column: String,
    /// Shortened to 40 characters.
    pub value: String,
    pub note: Note,
}

impl fmt::Display for RowNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, self.line, Some(&self.column), &self.value)?;
        write!(f, "{}", self.note)
    }
}

impl fmt::Debug for RowNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowNote")
            .field("line", &self.line)
            .field("column", &self.column)
            .field("value", &"[redacted]")
            .field("note", &self.note)
            .finish()
    }
}

fn place(f: &mut fmt::Formatter<'_>, line: u64, column: Option<&str>, value: &str) -> fmt::Result {
    write!(f, "line {line}")?;
    if let Some(column) = column {
        write!(f, ", column \"{column}\"")?;
    }
    if !value.is_empty() {
        write!(f, ", \"{value}\"")?;
    }
    f.write_str(": ")
}
