//! The whole way from the bytes of a file to a roster.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::cell::{clean, means_nothing, shorten};
use crate::field::Field;
use crate::header::Columns;
use crate::problem::{Fault, FileProblem, Note, RowNote, RowProblem};
use crate::row::{Options, Roster, Row};
use crate::table::{Cells, Record, Table};
use crate::{MAX_NAME, MAX_UNIT, amount, date, email, name, phone, text, words};

/// Reads a spreadsheet export. Rows, problems and notes come in the order of the file, and the same bytes always give the same roster.
pub fn read(bytes: &[u8], options: &Options) -> Result<Roster, FileProblem> {
    let (text, encoding) = text::decode(bytes)?;
    let table = Table::read(&text)?;
    let columns = Columns::map(&table.headers)?;
    let mut reader = Reader {
        columns: &columns,
        options,
        decimal_mark: amount::decimal_mark(
            column(&table.records, &columns, Field::OpeningBalance).iter().map(String::as_str),
        ),
        date_order: date::order(column(&table.records, &columns, Field::MoveIn).iter().map(String::as_str)),
        seen: HashMap::new(),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let rows = table.records.iter().filter_map(|record| reader.row(record)).collect();
    let Reader { problems, notes, .. } = reader;
    Ok(Roster {
        rows,
        problems,
        notes,
        encoding,
        delimiter: table.delimiter,
        columns: columns.read,
        ignored: columns.ignored,
    })
}

/// All values of one column, which together tell how each of them is to be read.
fn column(records: &[Record<'_>], columns: &Columns, field: Field) -> Vec<String> {
    let Some((place, _)) = columns.place(field) else { return Vec::new() };
    let cells = records.iter().filter_map(|record| record.cells.as_ref().ok()?.get(place));
    cells.filter(|cell| !cell.is_empty()).filter_map(|cell| clean(cell).ok()).collect()
}

struct Reader<'a> {
    columns: &'a Columns,
    options: &'a Options,
    decimal_mark: Option<amount::Mark>,
    date_order: Option<date::Order>,
    /// Each kept row's person and unit, and its line.
    seen: HashMap<String, u64>,
    problems: Vec<RowProblem>,
    notes: Vec<RowNote>,
}

impl Reader<'_> {
    /// The row, or `None` with at least one problem more.
    fn row(&mut self, record: &Record<'_>) -> Option<Row> {
        let line = record.line;
        let Ok(cells) = &record.cells else {
            self.problem(line, None, "", Fault::BrokenQuotes);
            return None;
        };
        let (problems, notes) = (self.problems.len(), self.notes.len());
        self.width(line, cells);
        let row = Row {
            line,
            property: self.text(line, cells, Field::Property, MAX_NAME),
            unit: self.required(line, cells, Field::Unit, MAX_UNIT, Fault::MissingUnit),
            first_name: String::new(),
            last_name: String::new(),
            email: self.optional(line, cells, Field::Email, email::parse),
            phone: None,
            language: self.optional(line, cells, Field::Language, words::language).unwrap_or(self.options.language),
            tenure: self.optional(line, cells, Field::Tenure, words::tenure).unwrap_or(self.options.tenure),
            opening_balance: self.balance(line, cells),
            move_in: self.move_in(line, cells),
            claims_opt_in: self.value(line, cells, Field::OptIn).is_some_and(|value| words::claims(&value)),
        };
        let (first_name, last_name) = self.names(line, cells);
        let phone = self.phone(line, cells);
        let row = Row { first_name, last_name, phone, ..row };
        if self.problems.len() == problems {
            let same = [
                row.property.as_deref().unwrap_or(""),
                &row.unit,
                row.email.as_deref().unwrap_or(""),
                &row.first_name,
                &row.last_name,
            ];
            match *self.seen.entry(same.join("\u{1F}").to_lowercase()).or_insert(line) {
                first if first == line => return Some(row),
                first => self.problem(line, None, "", Fault::Repeated { line: first }),
            }
        }
        // Notes are about rows that are kept.
        self.notes.truncate(notes);
        None
    }

    /// A cell beyond the header would be lost without a word, most often because an unquoted separator shifted all that follows.
    fn width(&mut self, line: u64, cells: &Cells<'_>) {
        let headers = self.columns.len();
        if cells.iter().skip(headers).any(|cell| !cell.trim().is_empty()) {
            self.problem(line, None, "", Fault::TooManyCells { cells: cells.len(), headers });
        }
    }

    fn names(&mut self, line: u64, cells: &Cells<'_>) -> (String, String) {
        let before = self.problems.len();
        let (first, last) = if self.columns.place(Field::FullName).is_some() {
            // Two names and a comma.
            let whole = self.text(line, cells, Field::FullName, 2 * MAX_NAME + 2).unwrap_or_default();
            match name::split(&whole) {
                Ok((first, last)) if first.chars().count() <= MAX_NAME && last.chars().count() <= MAX_NAME => {
                    (first, last)
                }
                Ok(_) => {
                    self.problem(line, Some(Field::FullName), &whole, Fault::TooLong { limit: MAX_NAME });
                    return Default::default();
                }
                Err(fault) => {
                    self.problem(line, Some(Field::FullName), &whole, fault);
                    return Default::default();
                }
            }
        } else {
            let first = self.text(line, cells, Field::FirstName, MAX_NAME).unwrap_or_default();
            (first, self.text(line, cells, Field::LastName, MAX_NAME).unwrap_or_default())
        };
        let letters = |name: &str| name.chars().any(char::is_alphanumeric);
        if self.problems.len() == before && !letters(&first) && !letters(&last) {
            let field = [Field::FullName, Field::LastName, Field::FirstName]
                .into_iter()
                .find(|field| self.columns.place(*field).is_some());
            self.problem(line, field, "", Fault::MissingName);
        }
        (first, last)
    }

    fn phone(&mut self, line: u64, cells: &Cells<'_>) -> Option<String> {
        let (number, e164) = self.optional(line, cells, Field::Phone, phone::parse)?;
        if !e164 {
            self.note(line, Field::Phone, &number, Note::PhoneAsTyped);
        }
        Some(number)
    }

    fn balance(&mut self, line: u64, cells: &Cells<'_>) -> Option<i64> {
        let (digits, mark) = (self.options.minor_digits, self.decimal_mark);
        self.optional(line, cells, Field::OpeningBalance, |value| amount::parse(value, digits, mark))
    }

    fn move_in(&mut self, line: u64, cells: &Cells<'_>) -> Option<String> {
        let order = self.date_order;
        self.optional(line, cells, Field::MoveIn, |value| date::parse(value, order))
    }

    fn required(&mut self, line: u64, cells: &Cells<'_>, field: Field, limit: usize, missing: Fault) -> String {
        let before = self.problems.len();
        self.text(line, cells, field, limit).unwrap_or_else(|| {
            if self.problems.len() == before {
                self.problem(line, Some(field), "", missing);
            }
            String::new()
        })
    }

    /// A value that is kept as it is.
    fn text(&mut self, line: u64, cells: &Cells<'_>, field: Field, limit: usize) -> Option<String> {
        let value = self.value(line, cells, field)?;
        if value.chars().count() > limit {
            self.problem(line, Some(field), &value, Fault::TooLong { limit });
            return None;
        }
        if value.starts_with(['=', '+', '-', '@']) {
            self.note(line, field, &value, Note::LooksLikeFormula);
        }
        Some(value)
    }

    /// A value that must be understood if it is there.
    fn optional<T>(
        &mut self,
        line: u64,
        cells: &Cells<'_>,
        field: Field,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = self.value(line, cells, field).filter(|value| !means_nothing(value))?;
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(fault) => {
                self.problem(line, Some(field), &value, fault);
                None
            }
        }
    }

    /// The cleaned cell; `None` where it is empty, or holds what must not be there.
    fn value(&mut self, line: u64, cells: &Cells<'_>, field: Field) -> Option<String> {
        let (place, _) = self.columns.place(field)?;
        let raw: &Cow<'_, str> = cells.get(place)?;
        match clean(raw) {
            Ok(value) => Some(value).filter(|value| !value.is_empty()),
            Err(fault) => {
                self.problem(line, Some(field), raw.trim(), fault);
                None
            }
        }
    }

    fn problem(&mut self, line: u64, field: Option<Field>, value: &str, fault: Fault) {
        let column = field.and_then(|field| self.columns.place(field)).map(|(_, header)| header.to_owned());
        self.problems.push(RowProblem { line, column, value: shorten(value), fault });
    }

    fn note(&mut self, line: u64, field: Field, value: &str, note: Note) {
        let column = self.columns.place(field).map(|(_, header)| header.to_owned()).unwrap_or_default();
        self.notes.push(RowNote { line, column, value: shorten(value), note });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Language, MinorDigits, Tenure};

    fn good(text: &str) -> Vec<Row> {
        let roster = read(text.as_bytes(), &Options::default()).expect("a readable file");
        assert!(roster.problems.is_empty(), "{:?}", roster.problems);
        roster.rows
    }

    fn faults(text: &str) -> Vec<(u64, Option<String>, Fault)> {
        let roster = read(text.as_bytes(), &Options::default()).expect("a readable file");
        roster.problems.into_iter().map(|problem| (problem.line, problem.column, problem.fault)).collect()
    }

    #[test]
    fn a_full_row_is_read_in_any_column_order() {
        let rows = good(
            "Move-in,Balance,Language,Type,Phone,E-mail,Last name,First name,Apt,Property\n\
             2021-07-01,\"$1,250.00\",français,locataire,(514) 555-0142,zoe@example.com,Lavoie,Zoé,0101,Maple Court\n",
        );
        assert_eq!(
            rows,
            [Row {
                line: 2,
                property: Some("Maple Court".into()),
                unit: "0101".into(),
                first_name: "Zoé".into(),
                last_name: "Lavoie".into(),
                email: Some("zoe@example.com".into()),
                phone: Some("+15145550142".into()),
                language: Language::French,
                tenure: Tenure::Tenant,
                opening_balance: Some(125_000),
                move_in: Some("2021-07-01".into()),
                claims_opt_in: false,
            }]
        );
    }

    #[test]
    fn what_the_file_does_not_say_comes_from_the_options() {
        let options =
            Options { language: Language::Spanish, tenure: Tenure::Occupant, minor_digits: MinorDigits::Zero };
        let roster =
            read(b"Unit;Name;Language;Balance\n1;Ada Byron;;12.000\n2;Bo\n", &options).expect("a readable file");
        let said: Vec<_> =
            roster.rows.iter().map(|row| (row.language, row.tenure, row.opening_balance, row.email.clone())).collect();
        assert_eq!(
            said,
            [
                (Language::Spanish, Tenure::Occupant, Some(12_000), None),
                (Language::Spanish, Tenure::Occupant, None, None)
            ]
        );
    }

    #[test]
    fn a_claimed_consent_is_seen_in_three_languages_and_changes_nothing_else() {
        for (header, yes, no) in [
            ("SMS consent", "Yes", "no"),
            ("Opt-In", "X", ""),
            ("Opted in?", "2024-01-31", "opted out"),
            ("Consentement aux textos", "oui", "Non"),
            ("Consentimiento SMS", "sí", "falso"),
        ] {
            let file = format!("Unit,Name,Phone,{header}\n1,Ada,514-555-0142,{yes}\n2,Bo,514-555-0143,{no}\n");
            let rows = good(&file);
            let claims: Vec<bool> = rows.iter().map(|row| row.claims_opt_in).collect();
            assert_eq!(claims, [true, false], "{header}");
            assert_eq!(rows[0].phone.as_deref(), Some("+15145550142"));
        }
        let rows = good("Unit,Name,Phone\n1,Ada,514-555-0142\n");
        assert!(!rows[0].claims_opt_in, "a number alone claims nothing");
    }

    #[test]
    fn a_row_with_several_problems_reports_all_and_is_left_out() {
        let found = faults("Unit,Name,E-mail,Language\n,Ada,ada@,klingon\n2,Bo,bo@example.com,en\n");
        let places: Vec<_> = found.iter().map(|(line, column, _)| (*line, column.as_deref().unwrap_or(""))).collect();
        assert_eq!(places, [(2, "Unit"), (2, "E-mail"), (2, "Language")]);
    }

    #[test]
    fn a_problem_is_one_sentence_with_place_reason_and_advice() {
        let roster =
            read("Unit,Nom complet,Courriel\n4,Ada,ada@\n".as_bytes(), &Options::default()).expect("a readable file");
        let said = roster.problems[0].to_string();
        assert_eq!(
            said,
            "line 2, column \"Courriel\", \"ada@\": not an e-mail address: nothing stands after the @; write one address like name@example.com, or leave the cell empty"
        );
        assert!(!format!("{roster:?}").contains("ada@"));
    }

    #[test]
    fn the_same_person_in_the_same_unit_is_reported_and_in_another_unit_is_not() {
        let found = faults(
            "Unit,Name,E-mail\n1,Ada Byron,ada@example.com\n2,Ada Byron,ada@example.com\n1,ADA  BYRON,Ada@example.com\n",
        );
        assert_eq!(found, [(4, None, Fault::Repeated { line: 2 })]);
    }

    #[test]
    fn a_formula_is_kept_as_text_and_noted() {
        let roster = read(b"Unit,Name,Phone\n1,=HYPERLINK(A1),555-0101\n2,=2+3,nope\n", &Options::default())
            .expect("a readable file");
        assert_eq!(roster.rows[0].last_name, "=HYPERLINK(A1)");
        let notes: Vec<_> = roster.notes.iter().map(|note| (note.line, note.note)).collect();
        assert_eq!(notes, [(2, Note::LooksLikeFormula), (2, Note::PhoneAsTyped)]);
        assert_eq!(roster.rows_left_out(), 1);
    }

    #[test]
    fn cells_beyond_the_header_are_refused_and_empty_ones_are_not() {
        let found = faults("Unit,Name,\n1,Ada,,,\n2,Byron, Ada, ada@example.com\n3\n");
        assert_eq!(found[0], (3, None, Fault::TooManyCells { cells: 4, headers: 2 }));
        assert_eq!(found[1], (4, Some("Name".into()), Fault::MissingName));
    }

    #[test]
    fn over_long_values_are_refused_and_shown_shortened() {
        let text = format!("Unit,First name,Last name\n{},{},x\n", "7".repeat(41), "n".repeat(101));
        let roster = read(text.as_bytes(), &Options::default()).expect("a readable file");
        let shown: Vec<_> =
            roster.problems.iter().map(|problem| (problem.fault.clone(), problem.value.chars().count())).collect();
        assert_eq!(shown, [(Fault::TooLong { limit: 40 }, 40), (Fault::TooLong { limit: 100 }, 40)]);
    }
}
