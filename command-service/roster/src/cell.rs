//! What all cells have in common: blanks, invisible characters, composed accents, placeholders for "nothing", comparing, shortening.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::problem::Fault;

/// The cell as a person sees it: one blank for any run of them, no zero-width characters, accents composed (NFC).
pub(crate) fn clean(raw: &str) -> Result<String, Fault> {
    // A spreadsheet writes ="0101" to keep leading zeros.
    let raw = raw.trim();
    let raw = raw
        .strip_prefix("=\"")
        .and_then(|inner| inner.strip_suffix('"'))
        .filter(|inner| !inner.contains('"'))
        .unwrap_or(raw);
    if raw.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !raw.contains("  ") {
        return Ok(raw.trim().to_owned());
    }
    let mut value = String::with_capacity(raw.len());
    let mut blank = false;
    for letter in raw.chars() {
        match letter {
            '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2060}' | '\u{FEFF}' => {}
            ' ' | '\t' | '\n' | '\r' => blank = true,
            letter if letter.is_control() || turns_text(letter) => {
                return Err(Fault::ControlCharacter { code: u32::from(letter) });
            }
            letter if letter.is_whitespace() => blank = true,
            letter => {
                if blank && !value.is_empty() {
                    value.push(' ');
                }
                blank = false;
                value.push(letter);
            }
        }
    }
    // No letter below the combining marks changes when composed.
    Ok(if value.chars().all(|letter| letter < '\u{300}') { value } else { value.nfc().collect() })
}

/// Bidirectional overrides let "moc.elpmaxe@a" look like another address.
const fn turns_text(letter: char) -> bool {
    matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Lower case, letters and digits only, without accents; two texts that fold to the same are the same word to a person.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    }
    let ordinal = |letter: &char| matches!(letter, 'º' | 'ª' | '°');
    let letters =
        text.nfd().filter(|letter| !is_combining_mark(*letter) && !ordinal(letter) && letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// What people write into a cell that has nothing to say; names are never asked, for there are people called Na.
pub(crate) fn means_nothing(value: &str) -> bool {
    const WORDS: [&str; 12] =
        ["n/a", "n.a.", "na", "n/d", "nd", "none", "null", "nil", "aucun", "aucune", "ninguno", "ninguna"];
    if value.chars().all(|letter| matches!(letter, '-' | '–' | '—' | '.' | '?')) {
        return true;
    }
    value.len() <= 7 && WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// At most 40 characters, for a message.
pub(crate) fn shorten(value: &str) -> String {
    const MOST: usize = 40;
    let visible = |letter: char| if letter.is_control() || turns_text(letter) { '\u{FFFD}' } else { letter };
    let mut short: String = value.chars().take(MOST).map(visible).collect();
    if value.chars().nth(MOST).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_of_every_kind_become_one_and_invisible_marks_go() {
        assert_eq!(clean(" \u{a0}Ana\u{202f} \n María\u{200b} ").as_deref(), Ok("Ana María"));
        assert_eq!(clean("Zoe\u{301}").as_deref(), Ok("Zo\u{e9}"));
        assert_eq!(clean("=\"0101\"").as_deref(), Ok("0101"));
    }

    #[test]
    fn control_characters_and_text_turners_are_refused() {
        assert_eq!(clean("A\u{7}"), Err(Fault::ControlCharacter { code: 7 }));
        assert_eq!(clean("A\u{81}b"), Err(Fault::ControlCharacter { code: 0x81 }));
        assert_eq!(clean("A\u{202e}b"), Err(Fault::ControlCharacter { code: 0x202E }));
    }

    #[test]
    fn folding_forgets_case_accents_and_punctuation() {
        assert_eq!(fold("N° d’Unité "), "ndunite");
        assert_eq!(fold("E-Mail"), "email");
    }

    #[test]
    fn a_long_value_is_shortened_to_forty_characters() {
        assert_eq!(shorten(&"é".repeat(41)).chars().count(), 40);
        assert_eq!(shorten(&"é".repeat(40)), "é".repeat(40));
        assert_eq!(shorten("a\nb"), "a\u{FFFD}b");
    }

    #[test]
    fn a_dash_or_a_word_for_nothing_is_nothing() {
        assert!(["", "-", "N/A", "aucun", "Ninguno"].into_iter().all(means_nothing));
        assert!(!["0", "a", "Nana"].into_iter().any(means_nothing));
    }
}
