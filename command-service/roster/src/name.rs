//! A whole name into first and last, so that putting them together again gives what was typed.

use crate::cell::fold;
use crate::problem::Fault;

/// Words that begin a last name of several words.
const PARTICLES: [&str; 19] = [
    "al", "bin", "da", "das", "de", "del", "della", "den", "der", "di", "do", "dos", "du", "la", "le", "st", "ste",
    "van", "von",
];
const COMPANIES: [&str; 14] =
    ["inc", "ltd", "ltee", "limited", "limitee", "llc", "llp", "lp", "corp", "co", "sa", "sarl", "senc", "trust"];
const GENERATIONS: [&str; 6] = ["jr", "sr", "ii", "iii", "iv", "fils"];

/// "Last, First" or "First Last"; a single word, and a company, is a last name.
pub(crate) fn split(whole: &str) -> Result<(String, String), Fault> {
    let Some((before, after)) = whole.split_once(',') else { return Ok(by_blank(whole)) };
    let (before, after) = (before.trim(), after.trim());
    if after.contains(',') {
        return Err(Fault::SeveralCommas);
    }
    let suffix = fold(after);
    if before.is_empty() || after.is_empty() {
        Ok(by_blank(if before.is_empty() { after } else { before }))
    } else if COMPANIES.contains(&suffix.as_str()) {
        Ok((String::new(), whole.to_owned()))
    } else if GENERATIONS.contains(&suffix.as_str()) {
        let (first, last) = by_blank(before);
        Ok((first, format!("{last} {after}")))
    } else {
        Ok((after.to_owned(), before.to_owned()))
    }
}

fn by_blank(whole: &str) -> (String, String) {
    let words: Vec<&str> = whole.split(' ').collect();
    let is = |list: &[&str], word: &str| list.contains(&fold(word).as_str());
    let company = words.last().is_some_and(|word| is(&COMPANIES, word));
    if company || words.len() < 2 {
        return (String::new(), whole.to_owned());
    }
    let mut last = words.len() - 1;
    if last > 1 && is(&GENERATIONS, words[last]) {
        last -= 1;
    }
    while last > 1 && is(&PARTICLES, words[last - 1]) {
        last -= 1;
    }
    (words[..last].join(" "), words[last..].join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_in_both_orders() {
        for (whole, first, last) in [
            ("Tremblay, Marie-Ève", "Marie-Ève", "Tremblay"),
            ("Marie-Ève Tremblay", "Marie-Ève", "Tremblay"),
            ("Juan de la Cruz", "Juan", "de la Cruz"),
            ("De la Cruz", "De", "la Cruz"),
            ("Émile St. Pierre", "Émile", "St. Pierre"),
            ("John Smith Jr.", "John", "Smith Jr."),
            ("John Smith, Jr.", "John", "Smith Jr."),
            ("Prince", "", "Prince"),
            ("Prince,", "", "Prince"),
            ("Gestion Érable inc.", "", "Gestion Érable inc."),
            ("Palm Holdings, LLC", "", "Palm Holdings, LLC"),
        ] {
            assert_eq!(split(whole), Ok((first.to_owned(), last.to_owned())), "{whole}");
        }
        assert_eq!(split("Smith, John, Doe, Jane"), Err(Fault::SeveralCommas));
    }
}
