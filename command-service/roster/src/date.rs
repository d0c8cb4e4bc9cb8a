//! Move-in dates into ISO form; day and month are never guessed.

use crate::problem::Fault;

/// What stands first in dates such as 03/04/2026.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    DayFirst,
    MonthFirst,
}

/// The order that the dates of a column agree upon, as far as they tell.
pub(crate) fn order<'a>(column: impl Iterator<Item = &'a str>) -> Option<Order> {
    let (mut day, mut month) = (false, false);
    for value in column {
        if let Some(Parts::YearLast(first, second, _)) = parts(value) {
            day |= first > 12 && second <= 12;
            month |= second > 12 && first <= 12;
        }
    }
    match (day, month) {
        (true, false) => Some(Order::DayFirst),
        (false, true) => Some(Order::MonthFirst),
        _ => None,
    }
}

/// `YYYY-MM-DD` from year-month-day, or from a date with the year last whose order is plain by itself or by its column.
pub(crate) fn parse(value: &str, column: Option<Order>) -> Result<String, Fault> {
    let (year, month, day) = match parts(value).ok_or(Fault::NotADate)? {
        Parts::YearFirst(year, month, day) => (year, month, day),
        Parts::YearLast(first, second, year) => match column {
            _ if first > 12 || first == second => (year, second, first),
            _ if second > 12 => (year, first, second),
            Some(Order::DayFirst) => (year, second, first),
            Some(Order::MonthFirst) => (year, first, second),
            None => return Err(Fault::AmbiguousDate),
        },
    };
    if !(1900..=2100).contains(&year) || !(1..=12).contains(&month) || day < 1 || day > days(year, month) {
        return Err(Fault::NoSuchDay);
    }
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

enum Parts {
    YearFirst(u32, u32, u32),
    YearLast(u32, u32, u32),
}

fn parts(value: &str) -> Option<Parts> {
    let (date, time) = value.split_once([' ', 'T']).unwrap_or((value, ""));
    // A spreadsheet adds midnight to a date; any other time of day was not meant as a date.
    if !matches!(time, "" | "0:00" | "00:00" | "0:00:00" | "00:00:00" | "00:00:00Z" | "00:00:00.000") {
        return None;
    }
    let separator =
        date.chars().find(|letter| !letter.is_ascii_digit()).filter(|letter| matches!(letter, '-' | '/' | '.'))?;
    let mut numbers = date.split(separator);
    let (first, second, third) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let number = |text: &str| if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    let (a, b, c) = (number(first)?, number(second)?, number(third)?);
    let short = |text: &str| (1..=2).contains(&text.len());
    match (first.len(), third.len()) {
        _ if numbers.next().is_some() || !short(second) => None,
        (4, _) if short(third) => Some(Parts::YearFirst(a, b, c)),
        (_, 4) if short(first) => Some(Parts::YearLast(a, b, c)),
        _ => None,
    }
}

const fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_iso_where_only_one_reading_is_possible() {
        for (value, iso) in [
            ("2024-05-01", "2024-05-01"),
            ("2024/5/1", "2024-05-01"),
            ("2024-02-29 00:00:00", "2024-02-29"),
            ("31/12/2023", "2023-12-31"),
            ("12/31/2023", "2023-12-31"),
            ("05.05.2023", "2023-05-05"),
        ] {
            assert_eq!(parse(value, None).as_deref(), Ok(iso), "{value}");
        }
    }

    #[test]
    fn an_ambiguous_date_is_decided_by_its_column_or_refused() {
        assert_eq!(parse("03/04/2024", None), Err(Fault::AmbiguousDate));
        let order_of = |column: &[&str]| order(column.iter().copied());
        assert_eq!(order_of(&["03/04/2024", "25/04/2024"]), Some(Order::DayFirst));
        assert_eq!(order_of(&["03/04/2024", "04/25/2024"]), Some(Order::MonthFirst));
        assert_eq!(order_of(&["25/04/2024", "04/25/2024"]), None);
        assert_eq!(parse("03/04/2024", Some(Order::DayFirst)).as_deref(), Ok("2024-04-03"));
        assert_eq!(parse("03/04/2024", Some(Order::MonthFirst)).as_deref(), Ok("2024-03-04"));
    }

    #[test]
    fn impossible_dates_are_refused() {
        for value in ["2023-02-29", "2024-13-01", "2024-00-10", "1700-01-01", "32/01/2024"] {
            assert_eq!(parse(value, None), Err(Fault::NoSuchDay), "{value}");
        }
        for value in [
            "45413",
            "05/01/24",
            "May 2024",
            "2024-05",
            "2024-05-01 12:30",
            "2024-05-01-02",
            "2024/05-01",
            "",
            "99999999999-1-1",
        ] {
            assert_eq!(parse(value, None), Err(Fault::NotADate), "{value}");
        }
    }
}
