//! Money and dates as people write them in each language.

use chrono::{Datelike, Locale, NaiveDate};
use events::{Currency, Language, Money};

const NO_BREAK: char = '\u{a0}';
const NARROW_NO_BREAK: char = '\u{202f}';

/// An amount with its currency, never ambiguous between dollars.
///
/// The forms are those of CLDR 48 (`numbers/currencyFormats/standard`, `numbers/currencies`): `en` as is; Spanish as
/// `es-419`, whose symbols are the codes; French with the separators of `fr` (U+202F between thousands) and the symbols of
/// `fr-CA`, except that the Canadian dollar keeps its country (`$ CA`), because communities in both countries are served.
pub fn money(amount: Money, language: Language) -> String {
    let sign = if amount.amount() < 0 { "-" } else { "" };
    let number = digits(amount, language);
    match language {
        Language::En => format!("{sign}{}{number}", english_prefix(amount.currency())),
        Language::Fr => format!("{sign}{number}{NO_BREAK}{}", french_symbol(amount.currency())),
        Language::Es => format!("{sign}{}{NO_BREAK}{number}", amount.currency()),
    }
}

/// A day in full: `December 1, 2026`, `1er décembre 2026`, `1 de diciembre de 2026`.
pub fn date(day: NaiveDate, language: Language) -> String {
    let written = |pattern, locale| day.format_localized(pattern, locale).to_string();
    match language {
        Language::En => written("%B %-d, %Y", Locale::en_US),
        Language::Fr if day.day() == 1 => written("1er %B %Y", Locale::fr_CA),
        Language::Fr => written("%-d %B %Y", Locale::fr_CA),
        Language::Es => written("%-d de %B de %Y", Locale::es_MX),
    }
}

fn digits(amount: Money, language: Language) -> String {
    let (thousands, decimal) = match language {
        Language::En | Language::Es => (',', '.'),
        Language::Fr => (NARROW_NO_BREAK, ','),
    };
    let minor_digits = amount.currency().minor_digits();
    let unit = 10_u64.pow(minor_digits);
    let minor = amount.amount().unsigned_abs();
    let whole = (minor / unit).to_string();
    let mut text = String::with_capacity(24);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(thousands);
        }
        text.push(digit);
    }
    if minor_digits > 0 {
        text.push(decimal);
        let part = format!("{:0width$}", minor % unit, width = minor_digits as usize);
        text.push_str(&part);
    }
    text
}

const fn english_prefix(currency: Currency) -> &'static str {
    match currency {
        Currency::AUD => "A$",
        Currency::CAD => "CA$",
        Currency::CHF => "CHF\u{a0}",
        Currency::CLP => "CLP\u{a0}",
        Currency::EUR => "€",
        Currency::GBP => "£",
        Currency::JPY => "¥",
        Currency::KRW => "₩",
        Currency::MXN => "MX$",
        Currency::NZD => "NZ$",
        Currency::USD => "$",
    }
}

const fn french_symbol(currency: Currency) -> &'static str {
    match currency {
        Currency::AUD => "$\u{a0}AU",
        Currency::CAD => "$\u{a0}CA",
        Currency::EUR => "€",
        Currency::GBP => "£",
        Currency::JPY => "¥",
        Currency::NZD => "$\u{a0}NZ",
        Currency::USD => "$\u{a0}US",
        Currency::CHF | Currency::CLP | Currency::KRW | Currency::MXN => currency.code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `~` stands for U+00A0 and `_` for U+202F.
    fn visible(text: &str) -> String {
        text.replace(NO_BREAK, "~").replace(NARROW_NO_BREAK, "_")
    }

    #[test]
    fn money_is_written_as_cldr_says() {
        let table = [
            (123_456, Currency::USD, "$1,234.56", "1_234,56~$~US", "USD~1,234.56"),
            (-123_456, Currency::USD, "-$1,234.56", "-1_234,56~$~US", "-USD~1,234.56"),
            (123_456, Currency::CAD, "CA$1,234.56", "1_234,56~$~CA", "CAD~1,234.56"),
            (123_456_750, Currency::AUD, "A$1,234,567.50", "1_234_567,50~$~AU", "AUD~1,234,567.50"),
            (123_456_750, Currency::NZD, "NZ$1,234,567.50", "1_234_567,50~$~NZ", "NZD~1,234,567.50"),
            (99_999_999_999, Currency::EUR, "€999,999,999.99", "999_999_999,99~€", "EUR~999,999,999.99"),
            (100_000, Currency::GBP, "£1,000.00", "1_000,00~£", "GBP~1,000.00"),
            (99_999, Currency::MXN, "MX$999.99", "999,99~MXN", "MXN~999.99"),
            (5, Currency::CHF, "CHF~0.05", "0,05~CHF", "CHF~0.05"),
            (0, Currency::USD, "$0.00", "0,00~$~US", "USD~0.00"),
            (-1, Currency::USD, "-$0.01", "-0,01~$~US", "-USD~0.01"),
            (1050, Currency::JPY, "¥1,050", "1_050~¥", "JPY~1,050"),
            (-1_234_567, Currency::KRW, "-₩1,234,567", "-1_234_567~KRW", "-KRW~1,234,567"),
            (999, Currency::CLP, "CLP~999", "999~CLP", "CLP~999"),
        ];
        for (minor, currency, en, fr, es) in table {
            let amount = Money::try_new(minor, currency).expect("in range");
            assert_eq!(visible(&money(amount, Language::En)), en);
            assert_eq!(visible(&money(amount, Language::Fr)), fr);
            assert_eq!(visible(&money(amount, Language::Es)), es);
        }
    }

    #[test]
    fn dates_are_written_in_full() {
        let table = [
            ((2026, 12, 1), "December 1, 2026", "1er décembre 2026", "1 de diciembre de 2026"),
            ((2027, 2, 28), "February 28, 2027", "28 février 2027", "28 de febrero de 2027"),
            ((2026, 8, 11), "August 11, 2026", "11 août 2026", "11 de agosto de 2026"),
            ((2026, 1, 21), "January 21, 2026", "21 janvier 2026", "21 de enero de 2026"),
        ];
        for ((year, month, day), en, fr, es) in table {
            let day = NaiveDate::from_ymd_opt(year, month, day).expect("a day");
            assert_eq!(date(day, Language::En), en);
            assert_eq!(date(day, Language::Fr), fr);
            assert_eq!(date(day, Language::Es), es);
        }
    }
}
