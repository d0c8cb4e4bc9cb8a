//! Text into records: quoted cells, three kinds of line ends, the delimiter found from the header, and the line each record starts on.
//!
//! Written here rather than taken from a CSV library because a quotation mark that is never closed must cost one row and name its line, not
//! swallow the rest of the file, and because lines are counted as an editor counts them.

use std::borrow::Cow;

use crate::header;
use crate::problem::FileProblem;
use crate::{MAX_COLUMNS, MAX_ROWS};

/// What stands between two cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    Comma,
    Semicolon,
    Tab,
}

impl Delimiter {
    const ALL: [Self; 3] = [Self::Comma, Self::Semicolon, Self::Tab];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Comma => "comma",
            Self::Semicolon => "semicolon",
            Self::Tab => "tab",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

/// A quotation mark that does not close where its cell ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenQuotes;

pub(crate) type Cells<'a> = Vec<Cow<'a, str>>;

#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub line: u64,
    pub cells: Result<Cells<'a>, BrokenQuotes>,
}

#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub delimiter: Delimiter,
    pub headers: Cells<'a>,
    pub records: Vec<Record<'a>>,
}

impl<'a> Table<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, FileProblem> {
        let (declared, at, line) = declared_separator(text);
        let candidates =
            Delimiter::ALL.into_iter().filter(|delimiter| declared.is_none_or(|declared| declared == *delimiter));
        let mut best: Option<((usize, usize), Delimiter, Records<'a>, Cells<'a>)> = None;
        let mut broken = None;
        for delimiter in candidates {
            let mut records = Records { text, at, line, delimiter: delimiter.byte() };
            match records.next() {
                None => return Err(FileProblem::Empty),
                Some(Record { line, cells: Err(BrokenQuotes) }) => broken = Some(line),
                Some(Record { cells: Ok(cells), .. }) => {
                    let score = (header::recognised(&cells), cells.len());
                    if best.as_ref().is_none_or(|(highest, ..)| score > *highest) {
                        best = Some((score, delimiter, records, cells));
                    }
                }
            }
        }
        let Some((_, delimiter, rest, mut headers)) = best else {
            return Err(FileProblem::BrokenHeader { line: broken.unwrap_or(1) });
        };
        while headers.last().is_some_and(|header| header.trim().is_empty()) {
            headers.pop();
        }
        if headers.len() > MAX_COLUMNS {
            return Err(FileProblem::TooManyColumns { columns: headers.len() });
        }
        let records: Vec<_> = rest.take(MAX_ROWS + 1).collect();
        if records.len() > MAX_ROWS {
            return Err(FileProblem::TooManyRows);
        }
        Ok(Self { delimiter, headers, records })
    }
}

/// Some spreadsheets write `sep=;` above the header, for other spreadsheets to obey.
fn declared_separator(text: &str) -> (Option<Delimiter>, usize, u64) {
    let start = text.as_bytes().get(..5).filter(|start| start[..4].eq_ignore_ascii_case(b"sep="));
    let declared = start.and_then(|start| {
        let delimiter = Delimiter::ALL.into_iter().find(|delimiter| delimiter.byte() == start[4])?;
        let end = line_end(text.as_bytes(), 5);
        text[5..end].trim().is_empty().then_some((delimiter, end))
    });
    match declared {
        Some((delimiter, end)) => (Some(delimiter), after_newline(text.as_bytes(), end), 2),
        None => (None, 0, 1),
    }
}

/// How many lines end within these bytes, CRLF counted once.
pub(crate) fn newlines(bytes: &[u8]) -> u64 {
    let mut count = 0;
    let mut previous = 0;
    for &byte in bytes {
        if byte == b'\r' || (byte == b'\n' && previous != b'\r') {
            count += 1;
        }
        previous = byte;
    }
    count
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |offset| from + offset)
}

/// Where the next line starts, `at` being on a line end or at the end of the text.
fn after_newline(bytes: &[u8], at: usize) -> usize {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => at + 2,
        (Some(_), _) => at + 1,
        (None, _) => at,
    }
}

#[derive(Debug)]
struct Records<'a> {
    text: &'a str,
    at: usize,
    line: u64,
    delimiter: u8,
}

impl<'a> Records<'a> {
    /// The cells of the record that starts at `from`, and where it ends: on a line end or at the end of the text.
    fn record(&self, from: usize) -> Result<(Cells<'a>, usize), BrokenQuotes> {
        let mut cells = Vec::with_capacity(12);
        let mut at = from;
        loop {
            let (cell, end) = self.cell(at)?;
            cells.push(cell);
            if self.text.as_bytes().get(end) != Some(&self.delimiter) {
                return Ok((cells, end));
            }
            at = end + 1;
        }
    }

    fn cell(&self, from: usize) -> Result<(Cow<'a, str>, usize), BrokenQuotes> {
        let bytes = self.text.as_bytes();
        let begin = self.after_blanks(from);
        if bytes.get(begin) == Some(&b'"') {
            return self.quoted(begin + 1);
        }
        let ends = |byte: &u8| *byte == self.delimiter || matches!(byte, b'\n' | b'\r');
        let end = bytes[from..].iter().position(ends).map_or(bytes.len(), |offset| from + offset);
        Ok((Cow::Borrowed(&self.text[from..end]), end))
    }

    fn quoted(&self, from: usize) -> Result<(Cow<'a, str>, usize), BrokenQuotes> {
        let bytes = self.text.as_bytes();
        let mut value: Cow<'a, str> = Cow::Borrowed("");
        let mut at = from;
        loop {
            let close =
                bytes[at..].iter().position(|byte| *byte == b'"').map(|offset| at + offset).ok_or(BrokenQuotes)?;
            if value.is_empty() {
                value = Cow::Borrowed(&self.text[at..close]);
            } else {
                value.to_mut().push_str(&self.text[at..close]);
            }
            if bytes.get(close + 1) == Some(&b'"') {
                value.to_mut().push('"');
                at = close + 2;
                continue;
            }
            let end = self.after_blanks(close + 1);
            return match bytes.get(end) {
                None | Some(b'\n' | b'\r') => Ok((value, end)),
                Some(byte) if *byte == self.delimiter => Ok((value, end)),
                Some(_) => Err(BrokenQuotes),
            };
        }
    }

    fn after_blanks(&self, from: usize) -> usize {
        let rest = &self.text.as_bytes()[from..];
        from + rest.iter().take_while(|byte| **byte == b' ').count()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let bytes = self.text.as_bytes();
        while self.at < bytes.len() {
            let (from, line) = (self.at, self.line);
            let Ok((cells, end)) = self.record(from) else {
                // Go on with the next line: what follows is reported for itself rather than taken for a part of this cell.
                self.at = after_newline(bytes, line_end(bytes, from));
                self.line += 1;
                return Some(Record { line, cells: Err(BrokenQuotes) });
            };
            self.at = after_newline(bytes, end);
            // Most records are one line; only a quotation mark lets one go on to the next.
            self.line += if bytes[from..end].contains(&b'"') { newlines(&bytes[from..self.at]) } else { 1 };
            if cells.iter().any(|cell| !cell.trim().is_empty()) {
                return Some(Record { line, cells: Ok(cells) });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u64, Option<Vec<String>>)> {
        let table = Table::read(text).expect("a table");
        let owned = |cells: Cells<'_>| cells.into_iter().map(Cow::into_owned).collect();
        table.records.into_iter().map(|record| (record.line, record.cells.ok().map(owned))).collect()
    }

    #[expect(clippy::unnecessary_wraps, reason = "what it is compared with is optional")]
    fn some(cells: &[&str]) -> Option<Vec<String>> {
        Some(cells.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_kind_of_line_end_counts_as_one_line() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["unit,name", "1,Ada", "", ",,", "2,\"Bo\u{20}", "b\"", "3,Cy"].join(end);
            let inner = format!("Bo {end}b");
            assert_eq!(
                lines(&text),
                [(2, some(&["1", "Ada"])), (5, some(&["2", &inner])), (7, some(&["3", "Cy"]))],
                "{end:?}"
            );
        }
    }

    #[test]
    fn doubled_quotation_marks_are_one_and_marks_inside_a_plain_cell_are_kept() {
        assert_eq!(
            lines("unit,name\n1, \"Ada \"\"A\"\" B\" \n2,5\" pipe\n3,\"\"\"\"\n4,\"\""),
            [
                (2, some(&["1", "Ada \"A\" B"])),
                (3, some(&["2", "5\" pipe"])),
                (4, some(&["3", "\""])),
                (5, some(&["4", ""])),
            ]
        );
    }

    #[test]
    fn a_broken_quotation_mark_costs_its_own_row_only() {
        assert_eq!(
            lines("unit,name\n1,\"Ada\n2,Bo\n3,\"Cy\" x\n4,Di"),
            [(2, None), (3, some(&["2", "Bo"])), (4, None), (5, some(&["4", "Di"]))]
        );
    }

    #[test]
    fn the_delimiter_is_the_one_that_makes_sense_of_the_header() {
        let delimiter = |text| Table::read(text).expect("a table").delimiter;
        assert_eq!(delimiter("Unit,Name\n"), Delimiter::Comma);
        assert_eq!(delimiter("Unité;\"Nom, prénom, titre\";Solde\n"), Delimiter::Semicolon);
        assert_eq!(delimiter("Unit\tName, as on the deed\tE-mail; one only\n"), Delimiter::Tab);
        assert_eq!(delimiter("sep=;\r\nUnit;Name\r\n1;Ada"), Delimiter::Semicolon);
        assert_eq!(lines("sep=;\r\nUnit;Name\r\n1;Ada")[0].0, 3);
    }

    #[test]
    fn a_file_without_a_header_or_with_too_much_is_refused() {
        assert_eq!(Table::read(" \n\n,,\n").err(), Some(FileProblem::Empty));
        assert_eq!(Table::read("\n\"Unit,Name\n1,2").err(), Some(FileProblem::BrokenHeader { line: 2 }));
        assert_eq!(Table::read(&"a,".repeat(300)).err().map(|problem| problem.to_string().contains("300")), Some(true));
        assert_eq!(Table::read(&format!("unit\n{}", "1\n".repeat(MAX_ROWS + 1))).err(), Some(FileProblem::TooManyRows));
    }
}
