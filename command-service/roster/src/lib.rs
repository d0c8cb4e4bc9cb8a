//! Reads what a manager really has, a spreadsheet export of a community, into rows that are right and problems that say where and why.
//!
//! The crate only parses: it opens no file, knows no event and decides nothing about what exists already. A row with any problem is not among the
//! rows, so nothing is ever half-read. A phone number is a phone number: no type here can carry a consent. Of a
//! column that claims one only this is read: that it is claimed, so that the claim can be refused and put on record.

mod amount;
mod cell;
mod date;
mod email;
mod field;
mod header;
mod name;
mod phone;
mod problem;
mod read;
mod row;
mod table;
mod text;
mod words;

pub use field::Field;
pub use header::{IgnoredColumn, ReadColumn, WhyIgnored};
pub use problem::{Fault, FileProblem, Note, RowNote, RowProblem};
pub use read::read;
pub use row::{Language, MinorDigits, Options, Roster, Row, Tenure};
pub use table::Delimiter;
pub use text::Encoding;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 20 * 1024 * 1024;
/// The most rows a file may hold below its header, blank lines not counted.
pub const MAX_ROWS: usize = 100_000;
/// The most columns a header may name.
pub const MAX_COLUMNS: usize = 200;
/// The longest unit, in characters.
pub const MAX_UNIT: usize = 40;
/// The longest first name, last name or property name, in characters.
pub const MAX_NAME: usize = 100;
/// The longest e-mail address, in characters (RFC 5321 leaves 254 of a path of 256).
pub const MAX_EMAIL: usize = 254;
