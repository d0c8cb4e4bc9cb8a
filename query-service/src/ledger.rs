//! The double-entry ledger: entries, balances, and the whole of it for accountants.

use chrono::NaiveDate;
use edge::{Caller, Problem};
use poem::Request;
use poem_openapi::Object;
use projections::{
    Paging,
    ledger::{self, BalanceRow, EntryView, Filter},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    answer::Money,
    asked::Asked,
    instant::Instant,
    ledger_export::{Document, Export, Format},
    listing::{Listed, shown},
    operation::{self, Kind, MANAGERS, Operation},
    reading::{Reading, refused},
    state::QueryState,
};

const ACCOUNT: operation::Filter = operation::Filter {
    name: "account",
    kind: Kind::Text,
    description: "Only this account and those below it.",
    example: "Assets:Receivable",
};
const FROM: operation::Filter = operation::Filter {
    name: "from",
    kind: Kind::Date,
    description: "On this day or later, in the property's time zone.",
    example: "2026-01-01",
};
const UNTIL: operation::Filter = operation::Filter {
    name: "until",
    kind: Kind::Date,
    description: "On this day or earlier, in the property's time zone.",
    example: "2026-01-31",
};

/// `GET /v1/ledger/entries`
pub const ENTRIES: Operation = Operation {
    method: "GET",
    path: "/v1/ledger/entries",
    tag: "Ledger",
    summary: "List the ledger's entries",
    roles: MANAGERS,
    reach: "Managers see the entries of the properties in their scope; payouts of an account that several properties share are the organization's.",
    filters: &[operation::PROPERTY, operation::RESIDENT, operation::INVOICE, ACCOUNT, FROM, UNTIL],
    sorts: &["-day", "day"],
    example: include_str!("examples/ledger_entry.json"),
};

/// `GET /v1/ledger/balances`
pub const BALANCES: Operation = Operation {
    method: "GET",
    path: "/v1/ledger/balances",
    tag: "Ledger",
    summary: "List the balances of the ledger's accounts",
    roles: MANAGERS,
    reach: "Managers see the accounts of the properties in their scope. The accounts of residents are shown as one unless `account` asks for them.",
    filters: &[
        operation::PROPERTY,
        operation::RESIDENT,
        ACCOUNT,
        operation::Filter {
            name: "on",
            kind: Kind::Date,
            description: "At the end of this day in the property's time zone; today by default.",
            example: "2026-01-31",
        },
    ],
    sorts: &["account"],
    example: include_str!("examples/ledger_balance.json"),
};

/// `GET /v1/ledger/export`
pub const EXPORT: Operation = Operation {
    method: "GET",
    path: "/v1/ledger/export",
    tag: "Ledger",
    summary: "Export the ledger",
    roles: MANAGERS,
    reach: "Managers get the entries of the properties in their scope, oldest first: as a journal for hledger, as journal entries for \
            QuickBooks Online, or as a general ledger in CSV with a line per posting.",
    filters: &[
        operation::Filter {
            name: "format",
            kind: Kind::Choice(&["hledger", "quickbooks", "csv"]),
            description: "For which program; `hledger` by default.",
            example: "quickbooks",
        },
        operation::PROPERTY,
        FROM,
        UNTIL,
    ],
    sorts: &[],
    // A text, no JSON.
    example: "",
};

/// A debit or, below zero, a credit of one account.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Posting")]
pub struct Posting {
    /// `Assets:Bank`; accounts of residents end in the resident's id.
    pub account: String,
    /// Debits are positive.
    pub amount: Money,
}

/// One fact in double entry: its postings add up to zero.
#[derive(Debug, Clone, Object)]
#[oai(rename = "LedgerEntry")]
pub struct Entry {
    pub entry_id: Uuid,
    /// Short, and unique in the organization.
    pub number: String,
    /// The event's name, `InvoicePublished`; `FundsAvailable` for what Stripe lets go.
    pub kind: String,
    /// The day on which it counts, in the property's time zone.
    pub day: NaiveDate,
    pub at: Instant,
    /// The event that it was made of, as `stream/id/version`.
    pub event: String,
    /// Null for payouts of an account that several properties share.
    pub property_id: Option<Uuid>,
    pub property_name: Option<String>,
    pub unit_id: Option<Uuid>,
    pub unit_label: Option<String>,
    pub resident_id: Option<Uuid>,
    /// Null when it was erased.
    pub resident_name: Option<String>,
    pub invoice_id: Option<Uuid>,
    pub invoice_title: Option<String>,
    pub payment_id: Option<Uuid>,
    pub stripe_account_id: Option<Uuid>,
    pub postings: Vec<Posting>,
}

/// What an account holds at one property.
#[derive(Debug, Clone, Object)]
#[oai(rename = "LedgerBalance")]
pub struct Balance {
    /// Null for payouts of an account that several properties share.
    pub property_id: Option<Uuid>,
    pub property_name: Option<String>,
    pub account: String,
    /// Debits are positive.
    pub balance: Money,
}

impl From<EntryView> for Entry {
    fn from(view: EntryView) -> Self {
        let postings = view.postings().map(|(account, amount, currency)| Posting {
            account: account.to_owned(),
            amount: Money::of(amount, currency),
        });
        Self {
            postings: postings.collect(),
            entry_id: view.entry_id,
            number: view.number,
            kind: view.kind,
            day: view.day,
            at: Instant(view.at),
            event: view.event,
            property_id: view.property_id,
            property_name: view.property_name,
            unit_id: view.unit_id,
            unit_label: view.unit_label,
            resident_id: view.resident_id,
            resident_name: view.resident_name,
            invoice_id: view.invoice_id,
            invoice_title: view.invoice_title,
            payment_id: view.payment_id,
            stripe_account_id: view.stripe_account_id,
        }
    }
}

impl From<BalanceRow> for Balance {
    fn from(row: BalanceRow) -> Self {
        Self {
            balance: Money::of(row.balance, &row.currency),
            property_id: row.property_id,
            property_name: row.property_name,
            account: row.account,
        }
    }
}

fn filter(asked: &Asked) -> Filter {
    let parameters = &asked.parameters;
    Filter {
        visibility: asked.visibility,
        property: parameters.value("property_id"),
        resident: parameters.value("resident_id"),
        invoice: parameters.value("invoice_id"),
        account: parameters.value("account"),
        from: parameters.value("from"),
        until: parameters.value("until"),
        ..Filter::default()
    }
}

impl Listed for Entry {
    const OPERATION: Operation = ENTRIES;
    const CSV: &'static [&'static str] = &[
        "entry_id",
        "number",
        "kind",
        "day",
        "at",
        "event",
        "property_id",
        "property_name",
        "unit_label",
        "resident_id",
        "resident_name",
        "invoice_id",
        "invoice_title",
        "payment_id",
        "stripe_account_id",
    ];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let (_, descending) = asked.parameters.order();
        shown(ledger::entries(connection, &filter(asked), descending, paging).await)
    }
}

impl Listed for Balance {
    const OPERATION: Operation = BALANCES;
    const CSV: &'static [&'static str] =
        &["property_id", "property_name", "account", "balance.amount", "balance.currency"];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let on = asked.parameters.value("on");
        let now = on.is_none().then_some(asked.now);
        let filter = Filter { until: on, now, ..filter(asked) };
        shown(ledger::balances(connection, &filter, paging).await)
    }
}

/// Answers a request for an export: as of one position of the log, however long the reading takes.
pub async fn export(state: &QueryState, caller: &Caller, request: &Request) -> poem::Result<Document> {
    let asked = Asked::read(state, &EXPORT, caller, request, None)?;
    let format = asked.parameters.value("format").unwrap_or(Format::Hledger);
    let mut reading = Reading::begin(state, caller, request).await?;
    let position = reading.as_of.as_of;
    let export = Export::begin(&mut reading.transaction, format, filter(&asked)).await.map_err(refused)?;
    // The reading ends here: a slow reader must not hold a connection.
    drop(reading);
    Ok(Document::stream(export, position, state.clone(), caller.clone()))
}
