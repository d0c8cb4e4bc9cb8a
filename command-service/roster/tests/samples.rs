//! The sample files that ship with the project read as they were meant to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use roster::{Delimiter, Encoding, Fault, Field, Language, Note, Options, Roster, Tenure, read};

fn bytes(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/sample").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sample(name: &str) -> Roster {
    read(&bytes(name), &Options::default()).expect("a readable file")
}

#[test]
fn the_sample_community_is_large_mixed_and_without_a_mistake() {
    let roster = sample("community.csv");
    assert!(roster.problems.is_empty() && roster.notes.is_empty(), "{:?} {:?}", roster.problems, roster.notes);
    assert_eq!((roster.encoding, roster.delimiter), (Encoding::Utf8, Delimiter::Comma));
    assert_eq!(roster.ignored.iter().map(|column| column.header.as_str()).collect::<Vec<_>>(), ["Parking"]);

    let mut units: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in &roster.rows {
        units.entry(row.property.as_deref().unwrap_or_default()).or_default().insert(&row.unit);
    }
    assert_eq!(units.keys().copied().collect::<Vec<_>>(), ["Harbor View", "Maple Court"]);
    assert!(units.values().map(BTreeSet::len).sum::<usize>() >= 140);
    assert!((165..=185).contains(&roster.rows.len()));
    for language in Language::ALL {
        assert!(roster.rows.iter().filter(|row| row.language == language).count() > 25, "{language:?}");
    }
    for tenure in Tenure::ALL {
        assert!(roster.rows.iter().any(|row| row.tenure == tenure), "{tenure:?}");
    }
    let mut units_of: BTreeMap<String, usize> = BTreeMap::new();
    for row in &roster.rows {
        *units_of.entry(row.full_name()).or_default() += 1;
    }
    assert!(units_of.values().filter(|units| **units == 2).count() >= 3, "some people have two units");
    assert!(roster.rows.iter().filter(|row| row.email.is_none()).count() > 5);
    assert!(roster.rows.iter().any(|row| row.opening_balance.is_some_and(|balance| balance < 0)));
}

#[test]
fn nobody_in_the_samples_can_be_reached_in_the_real_world() {
    for name in ["community.csv", "community-windows1252.csv", "community-with-mistakes.csv"] {
        let roster = sample(name);
        for row in &roster.rows {
            let domain = row.email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
            assert!(
                domain.is_none_or(|domain| ["example.com", "example.net", "example.org"].contains(&domain)),
                "{name}, line {}",
                row.line
            );
            let digits: String =
                row.phone.iter().flat_map(|phone| phone.chars()).filter(char::is_ascii_digit).collect();
            assert!(digits.is_empty() || digits.contains("55501"), "{name}, line {}", row.line);
        }
    }
}

#[test]
fn the_windows_1252_sample_keeps_its_accents_and_french_amounts() {
    let roster = sample("community-windows1252.csv");
    assert_eq!((roster.encoding, roster.delimiter), (Encoding::Windows1252, Delimiter::Semicolon));
    assert!(roster.problems.is_empty(), "{:?}", roster.problems);
    let read: Vec<_> = roster.columns.iter().map(|column| (column.header.as_str(), column.field)).collect();
    assert_eq!(read[..3], [("N° d'unité", Field::Unit), ("Nom", Field::LastName), ("Prénom", Field::FirstName)]);
    assert_eq!(read.len(), 9);
    let names: Vec<_> = roster.rows.iter().map(roster::Row::full_name).collect();
    assert_eq!(names[..4], ["Hélène Gagné", "Benoît L’Écuyer", "Maëlle Côté", "Cédric Bœuf"]);
    assert_eq!(names[9], "Gestion Érable inc.");
    let balances: Vec<_> = roster.rows.iter().map(|row| row.opening_balance).collect();
    let expected = [
        Some(125_050),
        Some(0),
        None,
        Some(-8500),
        Some(9625),
        None,
        Some(154_000),
        None,
        None,
        Some(231_000),
        Some(-1250),
        Some(1200),
    ];
    assert_eq!(balances, expected);
    assert_eq!(roster.rows[1].move_in.as_deref(), Some("2019-07-01"), "the column shows that the day stands first");
    assert_eq!(roster.notes.iter().map(|note| (note.line, note.note)).collect::<Vec<_>>(), [(11, Note::PhoneAsTyped)]);
}

#[test]
fn every_mistake_is_reported_with_its_line_and_the_good_rows_remain() {
    let roster = sample("community-with-mistakes.csv");
    let kind = |fault: &Fault| format!("{fault:?}").split([' ', '{', '(']).next().unwrap_or_default().to_owned();
    let found: Vec<_> = roster
        .problems
        .iter()
        .map(|problem| (problem.line, problem.column.as_deref().unwrap_or("-"), kind(&problem.fault)))
        .collect();
    let expected = [
        (3, "Unit", "MissingUnit"),
        (4, "Name", "MissingName"),
        (5, "E-mail", "NotAnEmail"),
        (6, "E-mail", "NotAnEmail"),
        (7, "Phone", "NotAPhone"),
        (8, "Phone", "RoundedPhone"),
        (9, "Language", "NotALanguage"),
        (10, "Owner/Tenant", "NotATenure"),
        (11, "Opening balance", "NotAnAmount"),
        (12, "Opening balance", "TooManyDecimals"),
        (13, "Opening balance", "AmountTooLarge"),
        (14, "Move-in date", "NotADate"),
        (15, "Move-in date", "AmbiguousDate"),
        (16, "Move-in date", "NoSuchDay"),
        (17, "Unit", "TooLong"),
        (18, "Name", "ControlCharacter"),
        (19, "Name", "SeveralCommas"),
        (20, "-", "BrokenQuotes"),
        (22, "-", "Repeated"),
    ];
    let without_shifted: Vec<_> = found
        .iter()
        .filter(|(line, ..)| *line != 21)
        .map(|(line, column, kind)| (*line, *column, kind.as_str()))
        .collect();
    assert_eq!(without_shifted, expected);
    assert!(found.contains(&(21, "-", "TooManyCells".to_owned())), "{found:?}");
    assert_eq!(roster.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 23, 24]);
    assert_eq!(
        roster.notes.iter().map(|note| (note.line, note.note)).collect::<Vec<_>>(),
        [(23, Note::PhoneAsTyped), (24, Note::LooksLikeFormula)]
    );
    for problem in &roster.problems {
        assert!(problem.to_string().starts_with(&format!("line {}", problem.line)));
    }
}
