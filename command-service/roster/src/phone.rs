//! A telephone number into E.164 where its country is sure, as typed where it is not, refused where it is none.

use crate::problem::Fault;

/// The number, and whether it is E.164.
///
/// Ten digits that the North American plan allows, or eleven with a leading 1, get +1; a number typed with + keeps its country. Extensions and
/// numbers of unknown countries (7 to 15 digits) stay as typed. The plan: area code and exchange begin with 2 to 9.
pub(crate) fn parse(value: &str) -> Result<(String, bool), Fault> {
    if rounded(value) {
        return Err(Fault::RoundedPhone);
    }
    let (number, extension) = split_extension(value);
    let possible =
        |letter: char| letter.is_ascii_digit() || matches!(letter, ' ' | '-' | '.' | '(' | ')' | '/' | '+' | '–' | '‑');
    if value.chars().count() > 40 || !number.chars().all(possible) || number.rfind('+').is_some_and(|at| at > 0) {
        return Err(Fault::NotAPhone);
    }
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let international = number.starts_with('+');
    let e164 = match digits.len() {
        10 if !international && north_american(&digits) => Some(format!("+1{digits}")),
        11 if digits.starts_with('1') && north_american(&digits[1..]) => Some(format!("+{digits}")),
        _ if international && digits.starts_with('1') => return Err(Fault::NotAPhone),
        8..=15 if international && !digits.starts_with('0') => Some(format!("+{digits}")),
        7..=15 if !international => None,
        _ => return Err(Fault::NotAPhone),
    };
    Ok(match e164 {
        Some(number) if !extension => (number, true),
        _ => (value.to_owned(), false),
    })
}

fn north_american(digits: &str) -> bool {
    let begins_well = |at: usize| digits.as_bytes().get(at).is_some_and(|digit| (b'2'..=b'9').contains(digit));
    digits.len() == 10 && begins_well(0) && begins_well(3)
}

/// `5.14555E+09`: what a spreadsheet makes of a number in a narrow column.
fn rounded(value: &str) -> bool {
    let exponent =
        value.split_once(['E', 'e']).filter(|(mantissa, _)| mantissa.starts_with(|first: char| first.is_ascii_digit()));
    exponent.is_some_and(|(mantissa, power)| {
        let digits = |text: &str| {
            !text.is_empty() && text.chars().all(|letter| letter.is_ascii_digit() || matches!(letter, '.' | ','))
        };
        digits(mantissa) && digits(power.trim_start_matches('+'))
    })
}

fn split_extension(value: &str) -> (&str, bool) {
    let Some(at) = value.find(|letter: char| letter.is_alphabetic() || letter == '#') else { return (value, false) };
    let (number, rest) = value.split_at(at);
    let word: String = rest
        .chars()
        .take_while(|letter| !letter.is_ascii_digit())
        .filter(|letter| !matches!(letter, ' ' | '.' | ':'))
        .collect();
    let tail = rest.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let known =
        matches!(word.to_lowercase().as_str(), "x" | "ext" | "extension" | "poste" | "p" | "#" | "extensión" | "int");
    if known && (1..=6).contains(&tail.len()) && tail.bytes().all(|byte| byte.is_ascii_digit()) {
        (number.trim_end(), true)
    } else {
        (value, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn north_american_numbers_become_e164() {
        for typed in [
            "514-555-0123",
            "(514) 555-0123",
            "514.555.0123",
            "5145550123",
            "1 514 555 0123",
            "+1 (514) 555-0123",
            "+15145550123",
        ] {
            assert_eq!(parse(typed), Ok(("+15145550123".to_owned(), true)), "{typed}");
        }
    }

    #[test]
    fn a_number_typed_with_its_country_keeps_it() {
        assert_eq!(parse("+33 1 99 00 12 34"), Ok(("+33199001234".to_owned(), true)));
    }

    #[test]
    fn what_cannot_be_sure_stays_as_typed() {
        for typed in
            ["555-0123", "01 99 00 12 34", "514-555-0123 ext. 4", "514 555-0123 poste 12", "011 33 1 99 00 12 34"]
        {
            assert_eq!(parse(typed), Ok((typed.to_owned(), false)), "{typed}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for typed in [
            "call me",
            "123",
            "555-CONDO",
            "514-555-0123 / 514-555-0124",
            "+1 014 555 0123",
            "+",
            "514+5550123",
            "1234567890123456",
            "zoe@example.com",
        ] {
            assert_eq!(parse(typed), Err(Fault::NotAPhone), "{typed}");
        }
        assert_eq!(parse("5.14555E+09"), Err(Fault::RoundedPhone));
    }
}
