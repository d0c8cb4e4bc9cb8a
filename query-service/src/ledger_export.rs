//! The ledger in the formats of accounting programs, page by page.

use std::{fmt::Write, io, str::FromStr};

use edge::Caller;
use events::Currency;
use futures_util::stream;
use poem::{Body, IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponses, Registry},
    types::Type,
};
use projections::{
    Cursor, Paging, QueryError,
    ledger::{self, EntryView, Filter},
};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{answer::Listing, csv, ledger::Entry, reading::POSITION, reading::Reading, state::QueryState};

/// Which program the export is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A journal that `hledger check --strict` accepts: accounts and commodities are declared.
    Hledger,
    /// Journal entries as `QuickBooks` Online imports them.
    QuickBooks,
    /// A general ledger: a line per posting.
    Csv,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hledger" => Ok(Self::Hledger),
            "quickbooks" => Ok(Self::QuickBooks),
            "csv" => Ok(Self::Csv),
            _ => Err("there are hledger, quickbooks and csv".to_owned()),
        }
    }
}

const QUICKBOOKS: &[&str] =
    &["JournalNo", "JournalDate", "AccountName", "Debits", "Credits", "Description", "Name", "Location", "Currency"];
const GENERAL: &[&str] = &[
    "number",
    "day",
    "kind",
    "account",
    "debit",
    "credit",
    "currency",
    "property",
    "unit",
    "resident",
    "invoice",
    "property_id",
    "resident_id",
    "invoice_id",
    "payment_id",
    "stripe_account_id",
    "event",
];

/// An export that has begun: it shows one position of the log, although it is read page by page.
#[derive(Debug, Clone)]
pub struct Export {
    format: Format,
    filter: Filter,
    head: String,
}

impl Export {
    /// Notes the position, and writes what comes before the first entry.
    pub async fn begin(connection: &mut PgConnection, format: Format, filter: Filter) -> Result<Self, QueryError> {
        let upto = ledger::reached(connection).await?;
        let filter = Filter { upto: Some(upto), ..filter };
        let head = match format {
            Format::Hledger => declarations(connection, &filter, upto).await?,
            Format::QuickBooks => csv::header(QUICKBOOKS),
            Format::Csv => csv::header(GENERAL),
        };
        Ok(Self { format, filter, head })
    }

    /// What comes before the first entry.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The entries after a cursor, oldest first, and where the next begin.
    pub async fn page(
        &self,
        connection: &mut PgConnection,
        after: Option<Cursor>,
    ) -> Result<(String, Option<Cursor>), QueryError> {
        let found = ledger::entries(connection, &self.filter, false, &Paging { limit: Paging::MOST, after }).await?;
        let written = found.items.iter().map(|entry| match self.format {
            Format::Hledger => transaction(entry),
            Format::QuickBooks => journal(entry),
            Format::Csv => lines(entry),
        });
        Ok((written.collect(), found.next))
    }
}

/// Whole units with the digits of the currency.
fn decimal(amount: i64, currency: &str) -> String {
    let digits = Currency::from_str(currency).map_or(2, Currency::minor_digits);
    let (sign, amount, unit) = (if amount < 0 { "-" } else { "" }, amount.unsigned_abs(), 10_u64.pow(digits));
    if digits == 0 {
        format!("{sign}{amount}")
    } else {
        format!("{sign}{}.{:0width$}", amount / unit, amount % unit, width = digits as usize)
    }
}

/// A text that fits on a line and ends no comment, tag or description early.
fn plain(text: &str) -> String {
    let one_line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    one_line.replace(';', "·").replace(',', " ").replace('|', "/").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The resident of an account that ends in one's id.
fn holder(account: &str) -> Option<Uuid> {
    account.rsplit(':').next()?.parse().ok()
}

async fn declarations(connection: &mut PgConnection, filter: &Filter, upto: i64) -> Result<String, QueryError> {
    let used = ledger::accounts(connection, filter).await?;
    let residents = used.iter().filter_map(|(account, _)| holder(account)).collect();
    let names = ledger::names(connection, residents).await?;
    let name = |account: &str| {
        let resident = holder(account)?;
        let known = names.iter().find(|known| known.resident_id == resident)?;
        Some(plain(known.name.as_deref().unwrap_or("erased")))
    };
    let mut text = format!("; General ledger as of position {upto}, by Propty. Debits are positive.\n\n");
    let mut currencies: Vec<&str> = used.iter().map(|(_, currency)| &**currency).collect();
    currencies.sort_unstable();
    currencies.dedup();
    for currency in currencies {
        // Without its point, an amount in whole units could be read as thousands.
        let sample = decimal(100_000, currency);
        let point = if sample.contains('.') { "" } else { "." };
        let _ = writeln!(text, "commodity {sample}{point} {currency}");
    }
    text.push('\n');
    let mut accounts: Vec<&str> = used.iter().map(|(account, _)| &**account).collect();
    accounts.dedup();
    for account in accounts {
        let comment = name(account).map(|name| format!("  ; {name}")).unwrap_or_default();
        let _ = writeln!(text, "account {account}{comment}");
    }
    text.push('\n');
    Ok(text)
}

fn transaction(entry: &EntryView) -> String {
    let title = entry.invoice_title.as_deref().map(|title| format!(" | {}", plain(title))).unwrap_or_default();
    let mut text = format!("{} * ({}) {}{title}\n    ; event:{}", entry.day, entry.number, entry.kind, entry.event);
    for (tag, value) in [("property", &entry.property_name), ("unit", &entry.unit_label)] {
        if let Some(value) = value {
            let _ = write!(text, ", {tag}:{}", plain(value));
        }
    }
    text.push('\n');
    for (account, amount, currency) in entry.postings() {
        let _ = writeln!(text, "    {account}    {} {currency}", decimal(amount, currency));
    }
    text.push('\n');
    text
}

/// Debit and credit, of which one is empty.
fn sides(amount: i64, currency: &str) -> (String, String) {
    let written = decimal(amount.saturating_abs(), currency);
    if amount >= 0 { (written, String::new()) } else { (String::new(), written) }
}

/// The program's own names where it has such accounts; flat, because an account below another must be of the same type.
fn quickbooks(account: &str) -> &str {
    match account {
        "Assets:Stripe:Pending" => "Stripe Pending",
        "Assets:Stripe:Available" => "Stripe Available",
        "Assets:Stripe:InTransit" => "Stripe In Transit",
        "Assets:Bank" => "Bank",
        "Assets:Disputed" => "Disputed Payments",
        "Liabilities:Disputed" => "Disputed Invoices",
        "Liabilities:CreditSetAside" => "Resident Credit Set Aside",
        "Liabilities:Unapplied" => "Unapplied Payments",
        "Liabilities:FeesHeld" => "Processing Fees Held",
        "Income:Assessments" => "Assessments",
        "Income:Fees" => "Processing Fees Passed On",
        "Income:FeeDifference" => "Processing Fee Difference",
        "Expenses:Fees:Stripe" => "Stripe Fees",
        "Expenses:Write-offs" => "Write-offs",
        "Expenses:Credits" => "Credits Granted",
        "Equity:Conversion" => "Currency Conversion",
        _ if account.starts_with("Assets:Receivable:") => "Accounts Receivable (A/R)",
        _ if account.starts_with("Assets:Undeposited:") => "Undeposited Funds",
        _ if account.starts_with("Liabilities:Credit:") => "Resident Credit",
        other => other,
    }
}

fn journal(entry: &EntryView) -> String {
    let title = entry.invoice_title.as_deref().unwrap_or_default();
    let description = if title.is_empty() { entry.kind.clone() } else { format!("{}: {title}", entry.kind) };
    let postings = entry.postings().map(|(account, amount, currency)| {
        let (debit, credit) = sides(amount, currency);
        // QuickBooks wants a customer beside what is receivable.
        let name = holder(account).map(|resident| match (&entry.resident_name, &entry.unit_label) {
            (Some(name), Some(unit)) => format!("{name} ({unit})"),
            (Some(name), None) => name.clone(),
            (None, _) => format!("Resident {resident}"),
        });
        csv::line(
            QUICKBOOKS,
            &json!({
                "JournalNo": entry.number, "JournalDate": entry.day.format("%m/%d/%Y").to_string(),
                "AccountName": quickbooks(account), "Debits": debit, "Credits": credit, "Description": description,
                "Name": name, "Location": entry.property_name, "Currency": currency,
            }),
        )
    });
    postings.collect()
}

fn lines(entry: &EntryView) -> String {
    let postings = entry.postings().map(|(account, amount, currency)| {
        let (debit, credit) = sides(amount, currency);
        csv::line(
            GENERAL,
            &json!({
                "number": entry.number, "day": entry.day, "kind": entry.kind, "account": account, "debit": debit,
                "credit": credit, "currency": currency, "property": entry.property_name, "unit": entry.unit_label,
                "resident": entry.resident_name, "invoice": entry.invoice_title, "property_id": entry.property_id,
                "resident_id": entry.resident_id, "invoice_id": entry.invoice_id, "payment_id": entry.payment_id,
                "stripe_account_id": entry.stripe_account_id, "event": entry.event,
            }),
        )
    });
    postings.collect()
}

/// An export on its way to whoever asked.
#[derive(Debug)]
pub struct Document {
    body: Body,
    position: i64,
    format: Format,
}

/// What comes next: a text that is ready, and the entries after a cursor, if there are any.
type Next = (Option<String>, Option<Option<Cursor>>);

impl Document {
    /// Reads page by page, each in a reading of its own.
    pub fn stream(export: Export, position: i64, state: QueryState, caller: Caller) -> Self {
        let format = export.format;
        let begun: Next = (Some(export.head.clone()), Some(None));
        let pages = stream::try_unfold(begun, move |(ready, next)| {
            let (export, state, caller) = (export.clone(), state.clone(), caller.clone());
            async move {
                if let Some(text) = ready {
                    return Ok(Some((text, (None, next))));
                }
                let Some(after) = next else { return Ok(None) };
                let mut reading = Reading::now(&state, &caller).await.map_err(io::Error::other)?;
                let (text, next) = export.page(&mut reading.transaction, after).await.map_err(io::Error::other)?;
                Ok::<_, io::Error>(Some((text, (None, next.map(Some)))))
            }
        });
        Self { body: Body::from_bytes_stream(pages), position, format }
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        let (kind, name) = match self.format {
            Format::Hledger => ("text/plain; charset=utf-8", "ledger.journal"),
            Format::QuickBooks => ("text/csv; charset=utf-8; header=present", "quickbooks.csv"),
            Format::Csv => ("text/csv; charset=utf-8; header=present", "ledger.csv"),
        };
        Response::builder()
            .content_type(kind)
            .header(POSITION, self.position)
            .header("Content-Disposition", format!("attachment; filename=\"{name}\""))
            .body(self.body)
    }
}

impl ApiResponse for Document {
    fn meta() -> MetaResponses {
        let mut meta = Listing::<Entry>::meta();
        meta.responses.retain(|answer| answer.status != Some(410));
        if let Some(answer) = meta.responses.first_mut() {
            answer.description = "The ledger as the program wants it.";
            let media = |content_type| MetaMediaType { content_type, schema: String::schema_ref() };
            answer.content = vec![media("text/plain"), media("text/csv")];
        }
        meta
    }

    fn register(registry: &mut Registry) {
        Listing::<Entry>::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        assert_eq!(decimal(-5, "USD"), "-0.05");
        assert_eq!(decimal(123_456, "EUR"), "1234.56");
        assert_eq!(decimal(-1_050, "JPY"), "-1050");
    }

    #[test]
    fn texts_cannot_break_out_of_their_place() {
        assert_eq!(plain("Fee; due,\n  2026-01-01 | x"), "Fee· due 2026-01-01 / x");
    }

    #[test]
    fn a_debit_and_a_credit_are_never_both_there() {
        assert_eq!(sides(250, "USD"), ("2.50".to_owned(), String::new()));
        assert_eq!(sides(-250, "USD"), (String::new(), "2.50".to_owned()));
    }
}
