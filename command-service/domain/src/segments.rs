//! How many parts a text is sent in: GSM-7 with its extension table, else UCS-2.
//!
//! After 3GPP TS 23.038: a text of one part holds 160 septets or 70 code units; in several, a header leaves 153 or 67 in each. A
//! character that takes two units is never split between parts.

use serde::{Deserialize, Serialize};

/// How a text's characters are written on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Encoding {
    #[serde(rename = "GSM-7")]
    Gsm7,
    #[serde(rename = "UCS-2")]
    Ucs2,
}

impl Encoding {
    /// What a text of one part holds.
    pub const fn alone(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// What each part of several holds.
    pub const fn each(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    /// How many units a character takes; none where the encoding lacks it.
    const fn units(self, character: char) -> Option<usize> {
        match self {
            Self::Gsm7 => septets(character),
            Self::Ucs2 => Some(character.len_utf16()),
        }
    }
}

/// A text's encoding and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Segments {
    pub encoding: Encoding,
    /// Septets or code units.
    pub units: usize,
    /// Parts: what is paid for.
    pub segments: usize,
    /// Units that the last part still has room for.
    pub left: usize,
}

/// What a character takes in GSM-7: the basic alphabet, and the extension table.
const fn septets(character: char) -> Option<usize> {
    match character {
        '\n'
        | '\r'
        | ' '..='#'
        | '%'..='?'
        | 'A'..='Z'
        | 'a'..='z'
        | '@'
        | '$'
        | '_'
        | '£'
        | '¥'
        | 'è'
        | 'é'
        | 'ù'
        | 'ì'
        | 'ò'
        | 'Ç'
        | 'Ø'
        | 'ø'
        | 'Å'
        | 'å'
        | 'Æ'
        | 'æ'
        | 'ß'
        | 'É'
        | '¤'
        | '¡'
        | 'Ä'
        | 'Ö'
        | 'Ñ'
        | 'Ü'
        | '§'
        | '¿'
        | 'ä'
        | 'ö'
        | 'ñ'
        | 'ü'
        | 'à'
        | 'Δ'
        | 'Φ'
        | 'Γ'
        | 'Λ'
        | 'Ω'
        | 'Π'
        | 'Ψ'
        | 'Σ'
        | 'Θ'
        | 'Ξ' => Some(1),
        // Behind the escape character.
        '\u{c}' | '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' => Some(2),
        _ => None,
    }
}

/// Counts a text as carriers do. An empty text is one part.
pub fn count(text: &str) -> Segments {
    let plain = text.chars().all(|character| septets(character).is_some());
    let encoding = if plain { Encoding::Gsm7 } else { Encoding::Ucs2 };
    let sizes = || text.chars().map(|character| encoding.units(character).unwrap_or_default());
    let units: usize = sizes().sum();
    if units <= encoding.alone() {
        return Segments { encoding, units, segments: 1, left: encoding.alone() - units };
    }
    let (mut segments, mut filled) = (1, 0);
    for size in sizes() {
        if filled + size > encoding.each() {
            segments += 1;
            filled = 0;
        }
        filled += size;
    }
    Segments { encoding, units, segments, left: encoding.each() - filled }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The basic alphabet, without the escape character.
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
abcdefghijklmnopqrstuvwxyzäöñüà";
    /// Behind the escape character: two septets each.
    const EXTENSION: &str = "\u{c}^{}\\[~]|€";

    fn counted(text: &str) -> (Encoding, usize, usize) {
        let counted = count(text);
        (counted.encoding, counted.units, counted.segments)
    }

    #[test]
    fn the_alphabets_are_those_of_the_standard() {
        assert_eq!((BASIC.chars().count(), EXTENSION.chars().count()), (127, 10));
        // Every character there is.
        for character in '\0'..=char::MAX {
            let expected = if BASIC.contains(character) { Some(1) } else { EXTENSION.contains(character).then_some(2) };
            assert_eq!(septets(character), expected, "{character:?}");
        }
    }

    #[test]
    fn parts_begin_where_carriers_begin_them() {
        let (gsm, ucs) = (Encoding::Gsm7, Encoding::Ucs2);
        for (text, expected) in [
            (String::new(), (gsm, 0, 1)),
            ("a".repeat(160), (gsm, 160, 1)),
            ("a".repeat(161), (gsm, 161, 2)),
            ("a".repeat(306), (gsm, 306, 2)),
            ("a".repeat(307), (gsm, 307, 3)),
            ("a".repeat(1_600), (gsm, 1_600, 11)),
            // One ê, and each part holds 70.
            (format!("ê{}", "a".repeat(69)), (ucs, 70, 1)),
            (format!("ê{}", "a".repeat(70)), (ucs, 71, 2)),
            (format!("ê{}", "a".repeat(133)), (ucs, 134, 2)),
            (format!("ê{}", "a".repeat(134)), (ucs, 135, 3)),
            // é is in GSM-7, ç is not, though Ç is.
            ("é".repeat(160), (gsm, 160, 1)),
            ("Ç".to_owned(), (gsm, 1, 1)),
            ("ç".to_owned(), (ucs, 1, 1)),
            // The extension table counts two.
            ("€".repeat(80), (gsm, 160, 1)),
            ("€".repeat(81), (gsm, 162, 2)),
            // 153 is odd: the 77th does not fit into the first part, and is not split.
            ("€".repeat(153), (gsm, 306, 3)),
            (format!("{}€{}", "a".repeat(152), "a".repeat(20)), (gsm, 174, 2)),
            (format!("{}€{}", "a".repeat(152), "a".repeat(151)), (gsm, 305, 2)),
            (format!("{}€{}", "a".repeat(152), "a".repeat(152)), (gsm, 306, 3)),
            // Outside the plane: two code units that stay together.
            ("👍".repeat(35), (ucs, 70, 1)),
            ("👍".repeat(36), (ucs, 72, 2)),
            ("👍".repeat(67), (ucs, 134, 3)),
            (format!("{}👍{}", "ê".repeat(66), "a".repeat(66)), (ucs, 134, 3)),
        ] {
            assert_eq!(counted(&text), expected, "{} characters", text.chars().count());
        }
    }

    /// Puts a character at each place of texts of each length: at every boundary it is counted as one that is not split.
    #[test]
    fn a_character_on_any_boundary_is_never_split() {
        for (filler, wide, encoding) in [('a', '€', Encoding::Gsm7), ('ê', '👍', Encoding::Ucs2)] {
            for length in 0..=330 {
                for place in [0, length / 2, length, 66, 67, 69, 70, 132, 133, 152, 153, 159, 160, 304, 305, 306] {
                    if place > length {
                        continue;
                    }
                    let mut text: Vec<char> = vec![filler; length];
                    text.insert(place, wide);
                    let text: String = text.into_iter().collect();
                    let expected = slowly(&text, encoding);
                    assert_eq!(count(&text).segments, expected, "{encoding:?} {length} {place}");
                }
            }
        }
    }

    /// Fills parts by taking as much of the rest as fits.
    fn slowly(text: &str, encoding: Encoding) -> usize {
        let sizes: Vec<usize> = text.chars().filter_map(|character| encoding.units(character)).collect();
        if sizes.iter().sum::<usize>() <= encoding.alone() {
            return 1;
        }
        let (mut rest, mut parts) = (sizes.as_slice(), 0);
        while !rest.is_empty() {
            let fits = (0..=rest.len()).rev().find(|taken| rest[..*taken].iter().sum::<usize>() <= encoding.each());
            rest = &rest[fits.unwrap_or(rest.len())..];
            parts += 1;
        }
        parts
    }

    proptest! {
        #[test]
        fn any_text_is_counted_as_by_filling_parts(text in "[ -~€êéçñ😀\n]{0,400}") {
            let counted = count(&text);
            prop_assert_eq!(counted.segments, slowly(&text, counted.encoding));
            prop_assert!(counted.left <= counted.encoding.alone());
        }
    }
}
