//! Opening balances as spreadsheets print them, into minor units, with no guess about what a comma means.
//!
//! The rule. With both marks, the last one is the decimal mark. One mark followed by one or two digits is the decimal mark. A mark that occurs twice
//! separates thousands, as blanks and apostrophes do. One mark followed by exactly three digits (`1,234`) could be either: it is decided by the other
//! amounts of the same column, and refused if they do not agree or none of them tells. A currency without decimals has only thousands.

use crate::problem::Fault;
use crate::row::MinorDigits;

/// A mark between digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Point,
    Comma,
}

impl Mark {
    const fn letter(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Point => Self::Comma,
            Self::Comma => Self::Point,
        }
    }
}

/// Minor units; above this a balance is a typing error. 9,999,999,999.99 leaves room for any community and none for overflow.
const MOST: i64 = 999_999_999_999;

const CURRENCIES: [&str; 16] =
    ["CA$", "US$", "MX$", "C$", "$CA", "$US", "$", "€", "£", "¥", "CAD", "USD", "EUR", "GBP", "MXN", "JPY"];

/// How the marks of one amount are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Digits, perhaps grouped by blanks or apostrophes.
    Whole,
    Decimal(Mark),
    Thousands(Mark),
    /// One mark with three digits behind it.
    Either(Mark),
    Neither,
}

/// The decimal mark that the amounts of a column agree upon, as far as they tell.
pub(crate) fn decimal_mark<'a>(column: impl Iterator<Item = &'a str>) -> Option<Mark> {
    let (mut point, mut comma) = (false, false);
    for value in column {
        let mark = match bare(value).map(|(_, number)| shape(number)) {
            Some(Shape::Decimal(mark)) => mark,
            Some(Shape::Thousands(mark)) => mark.other(),
            _ => continue,
        };
        match mark {
            Mark::Point => point = true,
            Mark::Comma => comma = true,
        }
    }
    match (point, comma) {
        (true, false) => Some(Mark::Point),
        (false, true) => Some(Mark::Comma),
        _ => None,
    }
}

/// Minor units, negative for a credit: a minus on either side, parentheses, or `CR`.
pub(crate) fn parse(value: &str, digits: MinorDigits, column: Option<Mark>) -> Result<i64, Fault> {
    let (negative, number) = bare(value).ok_or(Fault::NotAnAmount)?;
    if number.is_empty() && value.ends_with('-') {
        // "$ -" is how accounting formats print zero.
        return Ok(0);
    }
    let decimal = match (shape(number), digits, column) {
        (Shape::Neither, ..) => return Err(Fault::NotAnAmount),
        (Shape::Decimal(mark), ..) => Some(mark),
        (Shape::Whole | Shape::Thousands(_), ..) | (Shape::Either(_), MinorDigits::Zero, _) => None,
        (Shape::Either(mark), MinorDigits::Two, Some(column)) => (mark == column).then_some(mark),
        (Shape::Either(_), MinorDigits::Two, None) => return Err(Fault::AmbiguousAmount),
    };
    let (whole, fraction) = match decimal {
        Some(mark) => number.rsplit_once(mark.letter()).unwrap_or((number, "")),
        None => (number, ""),
    };
    if !grouped_in_threes(whole, fraction) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::NotAnAmount);
    }
    let places = match digits {
        MinorDigits::Zero => 0,
        MinorDigits::Two => 2,
    };
    let (kept, beyond) = fraction.split_at(fraction.len().min(places));
    if beyond.bytes().any(|digit| digit != b'0') {
        return Err(Fault::TooManyDecimals);
    }
    let padding = std::iter::repeat_n(b'0', places - kept.len());
    let mut minor: i64 = 0;
    for digit in whole.bytes().filter(u8::is_ascii_digit).chain(kept.bytes()).chain(padding) {
        minor = minor * 10 + i64::from(digit - b'0');
        if minor > MOST {
            return Err(Fault::AmountTooLarge);
        }
    }
    Ok(if negative { -minor } else { minor })
}

/// The sign and the number without its currency; `None` where a sign stands twice.
fn bare(value: &str) -> Option<(bool, &str)> {
    let (mut rest, mut negative, mut signs) = (value.trim(), false, 0);
    loop {
        let before = rest;
        if rest.starts_with(|first: char| first.is_ascii_digit()) && rest.ends_with(|last: char| last.is_ascii_digit())
        {
            return (signs <= 1).then_some((negative, rest));
        }
        if let Some(inner) = rest.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
            (rest, negative, signs) = (inner, true, signs + 1);
        }
        if let Some(inner) = rest.strip_prefix(['-', '−']).or_else(|| rest.strip_suffix(['-', '−'])) {
            (rest, negative, signs) = (inner, true, signs + 1);
        }
        if let Some(inner) = without_word(rest, "CR") {
            (rest, negative, signs) = (inner, true, signs + 1);
        }
        if let Some(inner) = rest.strip_prefix('+').or_else(|| without_word(rest, "DR")) {
            (rest, signs) = (inner, signs + 1);
        }
        for currency in CURRENCIES {
            let begins = rest.get(..currency.len()).is_some_and(|start| start.eq_ignore_ascii_case(currency));
            rest = if begins { &rest[currency.len()..] } else { without_word(rest, currency).unwrap_or(rest) };
        }
        rest = rest.trim();
        if rest == before {
            return (signs <= 1).then_some((negative, rest));
        }
    }
}

fn without_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(word.len())?;
    text.get(at..).filter(|end| end.eq_ignore_ascii_case(word)).map(|_| &text[..at])
}

fn shape(number: &str) -> Shape {
    let count = |mark: Mark| number.matches(mark.letter()).count();
    match (count(Mark::Point), count(Mark::Comma)) {
        (0, 0) => Shape::Whole,
        (1, 0) => single(number, Mark::Point),
        (0, 1) => single(number, Mark::Comma),
        (_, 0) => Shape::Thousands(Mark::Point),
        (0, _) => Shape::Thousands(Mark::Comma),
        (points, commas) => {
            let (mark, times) =
                if number.rfind('.') > number.rfind(',') { (Mark::Point, points) } else { (Mark::Comma, commas) };
            if times == 1 { Shape::Decimal(mark) } else { Shape::Neither }
        }
    }
}

fn single(number: &str, mark: Mark) -> Shape {
    let Some((before, after)) = number.split_once(mark.letter()) else { return Shape::Neither };
    let could_be_thousands =
        (1..=3).contains(&before.len()) && before.bytes().all(|byte| byte.is_ascii_digit()) && !before.starts_with('0');
    match after.len() {
        0 => Shape::Neither,
        3 if could_be_thousands => Shape::Either(mark),
        _ => Shape::Decimal(mark),
    }
}

/// Digits with the same separator, if any, before every three of them; no digits only before a fraction.
fn grouped_in_threes(whole: &str, fraction: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(separator) = whole.chars().find(|letter| !letter.is_ascii_digit()) else {
        return !whole.is_empty() || !fraction.is_empty();
    };
    if !matches!(separator, ' ' | '\'' | '’' | '.' | ',') {
        return false;
    }
    let mut groups = whole.split(separator);
    let first = groups.next().unwrap_or_default();
    (1..=3).contains(&first.len()) && digits(first) && groups.all(|group| group.len() == 3 && digits(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(value: &str) -> Result<i64, Fault> {
        parse(value, MinorDigits::Two, None)
    }

    #[test]
    fn amounts_are_read_in_the_ways_spreadsheets_print_them() {
        for (value, minor) in [
            ("1,234.50", 123_450),
            ("1 234,50", 123_450),
            ("1.234,50 €", 123_450),
            ("1'234.50", 123_450),
            ("1,234,567", 123_456_700),
            ("$12.00", 1200),
            ("12,00 $", 1200),
            ("CA$ 12", 1200),
            ("12 cad", 1200),
            ("12,5", 1250),
            (".5", 50),
            ("(12.00)", -1200),
            ("($1,012.00)", -101_200),
            ("$(12.00)", -1200),
            ("-$12.00", -1200),
            ("$-12", -1200),
            ("12.00-", -1200),
            ("−12", -1200),
            ("12.00 CR", -1200),
            ("12.00 DR", 1200),
            ("+12", 1200),
            ("0", 0),
            ("-0.00", 0),
            ("$ -", 0),
            ("0.000", 0),
            ("9999999999.99", MOST),
        ] {
            assert_eq!(two(value), Ok(minor), "{value}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for value in [
            "abc",
            "12 34",
            "1,23,456",
            "1,234.567,8",
            "--5",
            "(-5)",
            "5.",
            ".",
            "$",
            "()",
            "1e5",
            "12.5.1",
            "1 234 5",
            "١٢",
            "12,3a",
            "#REF!",
        ] {
            assert_eq!(two(value), Err(Fault::NotAnAmount), "{value}");
        }
        assert_eq!(two("10000000000.00"), Err(Fault::AmountTooLarge));
        assert_eq!(two(&"9".repeat(400)), Err(Fault::AmountTooLarge));
        assert_eq!(two("0.125"), Err(Fault::TooManyDecimals));
        assert_eq!(two("1,234.125"), Err(Fault::TooManyDecimals));
        assert_eq!(two("12.3456"), Err(Fault::TooManyDecimals));
    }

    #[test]
    fn one_mark_with_three_digits_is_decided_by_the_column_or_refused() {
        let mark = |column: &[&str]| decimal_mark(column.iter().copied());
        assert_eq!(two("1,234"), Err(Fault::AmbiguousAmount));
        assert_eq!(two("1.234"), Err(Fault::AmbiguousAmount));
        assert_eq!(mark(&["1,234", "12.50", "7"]), Some(Mark::Point));
        assert_eq!(mark(&["1.234", "(1.000.000)"]), Some(Mark::Comma));
        assert_eq!(mark(&["12,5", "12.5"]), None);
        assert_eq!(parse("1,234", MinorDigits::Two, Some(Mark::Point)), Ok(123_400));
        assert_eq!(parse("1.234", MinorDigits::Two, Some(Mark::Comma)), Ok(123_400));
        assert_eq!(parse("103.125", MinorDigits::Two, Some(Mark::Point)), Err(Fault::TooManyDecimals));
    }

    #[test]
    fn a_currency_without_decimals_has_only_thousands() {
        let zero = |value| parse(value, MinorDigits::Zero, None);
        assert_eq!(zero("1,234"), Ok(1234));
        assert_eq!(zero("12.000"), Ok(12_000));
        assert_eq!(zero("¥12.00"), Ok(12));
        assert_eq!(zero("12.5"), Err(Fault::TooManyDecimals));
    }
}
