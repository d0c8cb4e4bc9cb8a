//! Texts made for searching and sorting, and the words of enums.

use serde::Serialize;
use serde_json::Value;

use crate::model::FoldError;

/// A variant's name, as it is written in events.
pub(crate) fn word(value: &impl Serialize) -> Result<String, FoldError> {
    match serde_json::to_value(value)? {
        Value::String(word) => Ok(word),
        _ => Err(FoldError::Unexpected("a word was expected")),
    }
}

/// `Visa ****4242`.
pub(crate) fn card_label(brand: &str, last4: &str) -> String {
    let mut letters = brand.chars();
    let brand: String = letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters).collect();
    format!("{} ****{last4}", brand.replace('_', " "))
}

/// `Bank ****6789`.
pub(crate) fn bank_label(last4: &str) -> String {
    format!("Bank ****{last4}")
}

/// Lower case without the accents of the languages written to, so that `Muñoz` is found as `munoz`.
pub fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'à'..='å' | 'ā' | 'ă' | 'ą' => out.push('a'),
            'ç' | 'ć' | 'č' => out.push('c'),
            'ď' | 'đ' => out.push('d'),
            'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => out.push('e'),
            'ğ' => out.push('g'),
            'ì'..='ï' | 'ī' | 'į' | 'ı' => out.push('i'),
            'ł' => out.push('l'),
            'ñ' | 'ń' | 'ň' => out.push('n'),
            'ò'..='ö' | 'ø' | 'ō' | 'ő' => out.push('o'),
            'ŕ' | 'ř' => out.push('r'),
            'ś' | 'ş' | 'š' | 'ș' => out.push('s'),
            'ţ' | 'ť' | 'ț' => out.push('t'),
            'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' => out.push('u'),
            'ý' | 'ÿ' => out.push('y'),
            'ź' | 'ż' | 'ž' => out.push('z'),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'ß' => out.push_str("ss"),
            // Combining marks, as decomposed text carries them.
            '\u{300}'..='\u{36f}' => {}
            other => out.push(other),
        }
    }
    out
}

/// Sorts `2` before `10`: every run of digits is padded with zeros.
pub(crate) fn natural(text: &str) -> String {
    const WIDTH: usize = 10;
    let text = folded(text);
    let mut out = String::with_capacity(text.len() + WIDTH);
    let mut digits = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            let number = digits.trim_start_matches('0');
            out.extend(std::iter::repeat_n('0', WIDTH.saturating_sub(number.len())));
            out.push_str(number);
            digits.clear();
        }
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

/// A pattern for `like` that finds the text as written.
pub(crate) fn containing(text: &str) -> String {
    let mut out = String::from("%");
    // PostgreSQL's text holds no NUL.
    for c in text.chars().filter(|c| *c != '\0') {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('%');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_and_case_are_ignored() {
        assert_eq!(folded("MUÑOZ Lœtitia Grün Ça"), "munoz loetitia grun ca");
        assert_eq!(folded("e\u{301}"), "e");
    }

    #[test]
    fn labels_sort_as_people_count() {
        let mut labels = ["10", "2", "B-3", "B-12", "a", "02A"];
        labels.sort_by_key(|label| natural(label));
        assert_eq!(labels, ["2", "02A", "10", "a", "B-3", "B-12"]);
    }

    #[test]
    fn wildcards_are_searched_as_characters() {
        assert_eq!(containing("5%_\\"), "%5\\%\\_\\\\%");
    }
}
