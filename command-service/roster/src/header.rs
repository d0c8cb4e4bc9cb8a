//! Which column is what: headers in any order, in three languages, matched without case, accents, blanks and punctuation.

use crate::cell::{fold, shorten};
use crate::field::Field;
use crate::problem::FileProblem;

/// A column that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadColumn {
    /// As the file has it.
    pub header: String,
    pub field: Field,
}

/// Why a column was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyIgnored {
    /// The header is none of the known ones; the place for pets and parking.
    Unknown,
    /// The column could be this field, but the column with the header `by` was the surer one.
    Superseded { field: Field, by: String },
}

/// A column nothing was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredColumn {
    /// As the file has it; empty for a column without a header.
    pub header: String,
    /// Counted from 1.
    pub number: usize,
    pub why: WhyIgnored,
}

/// Where each field stands.
#[derive(Debug)]
pub(crate) struct Columns {
    pub read: Vec<ReadColumn>,
    pub ignored: Vec<IgnoredColumn>,
    /// By `Field as usize`.
    places: [Option<usize>; Field::ALL.len()],
    headers: Vec<String>,
}

impl Columns {
    /// The column's place in a record and its header.
    pub(crate) fn place(&self, field: Field) -> Option<(usize, &str)> {
        let place = self.places[field as usize]?;
        Some((place, self.headers.get(place).map_or("", String::as_str)))
    }

    pub(crate) fn len(&self) -> usize {
        self.headers.len()
    }

    pub(crate) fn map<S: AsRef<str>>(headers: &[S]) -> Result<Self, FileProblem> {
        let folded: Vec<String> = headers.iter().map(|header| fold(header.as_ref())).collect();
        let claims = claims(&folded);
        let shown: Vec<String> = headers.iter().map(|header| shorten(header.as_ref().trim())).collect();
        let mut places: [Option<(usize, usize)>; Field::ALL.len()] = [None; Field::ALL.len()];
        for (column, claim) in claims.iter().enumerate() {
            let Some((field, rank)) = *claim else { continue };
            let place = &mut places[field as usize];
            match *place {
                Some((other, _)) if folded[other] == folded[column] => {
                    return Err(FileProblem::ColumnTwice { header: shown[column].clone() });
                }
                Some((_, surer)) if surer < rank => {}
                _ => *place = Some((column, rank)),
            }
        }
        // A whole name beside its parts says nothing more, and would have to be taken apart by guessing.
        let parts = places[Field::LastName as usize].or(places[Field::FirstName as usize]);
        let whole = places[Field::FullName as usize];
        let both = places[Field::LastName as usize].is_some() && places[Field::FirstName as usize].is_some();
        if both {
            places[Field::FullName as usize] = None;
        } else if whole.is_some() {
            places[Field::FirstName as usize] = None;
            places[Field::LastName as usize] = None;
        }
        let winner = |field: Field| match field {
            Field::FullName if both => parts,
            Field::FirstName | Field::LastName if !both && whole.is_some() => whole,
            field => places[field as usize],
        };
        let (mut read, mut ignored) = (Vec::new(), Vec::new());
        for (column, claim) in claims.iter().enumerate() {
            let header = shown[column].clone();
            let why = match *claim {
                None => WhyIgnored::Unknown,
                Some((field, _)) if places[field as usize].is_some_and(|(place, _)| place == column) => {
                    read.push(ReadColumn { header, field });
                    continue;
                }
                Some((field, _)) => {
                    let by = winner(field).and_then(|(place, _)| shown.get(place)).cloned().unwrap_or_default();
                    WhyIgnored::Superseded { field, by }
                }
            };
            ignored.push(IgnoredColumn { header, number: column + 1, why });
        }
        let places = places.map(|place| place.map(|(column, _)| column));
        let mut missing = Vec::new();
        if places[Field::Unit as usize].is_none() {
            missing.push(Field::Unit);
        }
        if [Field::FirstName, Field::LastName, Field::FullName].iter().all(|field| places[*field as usize].is_none()) {
            missing.push(Field::FullName);
        }
        if !missing.is_empty() {
            return Err(FileProblem::MissingColumns { missing, found: shown.into_iter().take(30).collect() });
        }
        Ok(Self { read, ignored, places, headers: shown })
    }
}

/// How many of these headers are known; the measure by which the delimiter is found.
pub(crate) fn recognised<S: AsRef<str>>(headers: &[S]) -> usize {
    let folded: Vec<String> = headers.iter().map(|header| fold(header.as_ref())).collect();
    claims(&folded).iter().flatten().count()
}

fn claims(folded: &[String]) -> Vec<Option<(Field, usize)>> {
    let known: Vec<_> = folded.iter().map(|header| known(header)).collect();
    let has = |wanted: Field| known.iter().flatten().any(|(field, _)| *field == wanted);
    // "Nom" and "Nombre" are a part of the name beside the other part, and all of it alone.
    let has_first = has(Field::FirstName) || (folded.iter().any(|header| header == "nombre") && has(Field::LastName));
    let has_last = has(Field::LastName);
    let claim = |(header, known): (&String, &Option<(Field, usize)>)| match header.as_str() {
        "nom" | "noms" if has_first => Some((Field::LastName, usize::MAX)),
        "nombre" if has_last => Some((Field::FirstName, usize::MAX)),
        "nom" | "noms" | "nombre" => Some((Field::FullName, usize::MAX)),
        _ => *known,
    };
    folded.iter().zip(&known).map(claim).collect()
}

fn known(folded: &str) -> Option<(Field, usize)> {
    Field::ALL.into_iter().find_map(|field| {
        let rank = field.synonyms().iter().position(|synonym| *synonym == folded)?;
        Some((field, rank))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[&str]) -> Vec<Field> {
        Columns::map(headers).expect("a header").read.into_iter().map(|column| column.field).collect()
    }

    #[test]
    fn no_header_means_two_things_and_each_is_folded() {
        let mut all: Vec<&str> = Field::ALL.iter().flat_map(|field| field.synonyms()).copied().collect();
        assert!(all.iter().all(|synonym| fold(synonym) == *synonym));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn every_accepted_header_is_understood_as_its_field() {
        for field in Field::ALL {
            for header in field.accepted().iter().filter(|header| !header.contains(" and ")) {
                let beside = if *header == "Nom" { "Prénom" } else { "Apellido" };
                let claimed = claims(&[fold(header), fold(beside)])[0].map(|(field, _)| field);
                assert_eq!(claimed, Some(field), "{header}");
            }
        }
    }

    #[test]
    fn headers_match_without_case_accents_blanks_and_punctuation() {
        assert_eq!(
            read(&["  UNIT #", "first_name", "Last-Name", "E-MAIL address"]),
            [Field::Unit, Field::FirstName, Field::LastName, Field::Email]
        );
        assert_eq!(
            read(&["N° d'unité", "Pre\u{301}nom", "NOM", "Solde d’ouverture"]),
            [Field::Unit, Field::FirstName, Field::LastName, Field::OpeningBalance]
        );
        assert_eq!(
            read(&["Saldo", "Apellidos", "Nombre", "N.º de unidad"]),
            [Field::OpeningBalance, Field::LastName, Field::FirstName, Field::Unit]
        );
    }

    #[test]
    fn a_lone_nom_or_nombre_is_the_whole_name() {
        assert_eq!(read(&["Unité", "Nom"]), [Field::Unit, Field::FullName]);
        assert_eq!(read(&["Unidad", "Nombre"]), [Field::Unit, Field::FullName]);
    }

    #[test]
    fn the_surer_of_two_columns_is_read_and_the_other_is_named_as_ignored() {
        let columns =
            Columns::map(&["Unit", "Name", "Status", "Owner/Tenant", "Phone", "Mobile", "SMS consent", "Parking"])
                .expect("a header");
        let read: Vec<_> = columns.read.iter().map(|column| column.header.as_str()).collect();
        assert_eq!(read, ["Unit", "Name", "Owner/Tenant", "Mobile", "SMS consent"]);
        assert_eq!(columns.ignored[0].why, WhyIgnored::Superseded { field: Field::Tenure, by: "Owner/Tenant".into() });
        assert_eq!(columns.ignored[1].why, WhyIgnored::Superseded { field: Field::Phone, by: "Mobile".into() });
        assert_eq!((columns.ignored[2].number, &columns.ignored[2].why), (8, &WhyIgnored::Unknown));
    }

    #[test]
    fn the_parts_of_a_name_win_over_the_whole_and_the_whole_over_a_single_part() {
        assert_eq!(
            read(&["Unit", "Name", "First name", "Last name"]),
            [Field::Unit, Field::FirstName, Field::LastName]
        );
        assert_eq!(read(&["Unit", "First name", "Full name"]), [Field::Unit, Field::FullName]);
        assert_eq!(read(&["Unit", "Last name"]), [Field::Unit, Field::LastName]);
    }

    #[test]
    fn a_missing_column_says_what_was_found_and_what_would_do() {
        let problem =
            Columns::map(&["Door code", "Owner of record", "Courriel"]).expect_err("no unit, no name").to_string();
        for part in
            ["the unit", "Appartement", "the name", "Last name", "\"Door code\", \"Owner of record\", \"Courriel\""]
        {
            assert!(problem.contains(part), "{part}: {problem}");
        }
        assert_eq!(
            Columns::map(&["Unit", "Name", "UNIT"]).err(),
            Some(FileProblem::ColumnTwice { header: "UNIT".into() })
        );
    }
}
