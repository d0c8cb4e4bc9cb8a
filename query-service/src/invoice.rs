//! Invoices: the list, and one with its payments, messages and history.

use chrono::NaiveDate;
use edge::Problem;
use events::invoice::InvoiceLine;
use poem_openapi::Object;
use projections::{
    Paging,
    invoice::{self, Filter, InvoiceView, SortBy},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    answer::Money,
    asked::Asked,
    detail::{Detailed, Stream},
    history::HistoryEvent,
    instant::Instant,
    listing::{Listed, shown},
    message::MessageDetail,
    operation::{self, Kind, MANAGERS_AND_RESIDENTS, Operation},
    payment_shape::Payment,
    reading::refused,
};

/// `GET /v1/invoices`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/invoices",
    tag: "Invoices",
    summary: "List invoices",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see all invoices in their scope, residents their own without drafts. Discarded drafts are in no list.",
    filters: &[
        operation::Filter {
            name: "status",
            kind: Kind::Choice(&["Draft", "Open", "Paid", "Overdue", "Void"]),
            description: "Only this status, as of today in the property's time zone.",
            example: "Overdue",
        },
        operation::PROPERTY,
        operation::UNIT,
        operation::RESIDENT,
        operation::Filter {
            name: "due_from",
            kind: Kind::Date,
            description: "Due on this day or later.",
            example: "2026-01-01",
        },
        operation::Filter {
            name: "due_until",
            kind: Kind::Date,
            description: "Due on this day or earlier.",
            example: "2026-01-31",
        },
        operation::Filter {
            name: "search",
            kind: Kind::Text,
            description: "Part of the title.",
            example: "assessment",
        },
    ],
    sorts: &["due_on", "-due_on", "total", "-total", "published_at", "-published_at"],
    example: include_str!("examples/invoice.json"),
};

/// `GET /v1/invoices/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/invoices/{id}",
    tag: "Invoices",
    summary: "Show an invoice with its payments, messages and history",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see the invoices in their scope, residents their own without drafts.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/invoice_detail.json"),
};

/// An invoice as it stands.
#[derive(Debug, Clone, Object)]
pub struct Invoice {
    pub invoice_id: Uuid,
    pub title: String,
    /// `Draft`, `Open`, `Paid`, `Overdue` or `Void`; `Discarded` for a draft that was thrown away.
    /// What was written off is `Void` with `written_off_at`: nobody owes it any more. Should money come in after all, it is `Open`,
    /// `Overdue` or `Paid` again.
    pub status: String,
    pub total: Money,
    pub paid: Money,
    /// How much of `paid` came from the resident's credit.
    pub credited: Money,
    pub balance: Money,
    /// The last day to pay, in `time_zone`.
    pub due_on: NaiveDate,
    /// The IANA name of the property's zone.
    pub time_zone: String,
    pub property_id: Uuid,
    pub property_name: Option<String>,
    pub unit_id: Uuid,
    pub unit_label: Option<String>,
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub resident_name: Option<String>,
    /// The online payment that is under way.
    pub pending_payment_id: Option<Uuid>,
    pub drafted_at: Instant,
    pub published_at: Option<Instant>,
    pub settled_at: Option<Instant>,
    /// Since when the rest is not expected any more.
    pub written_off_at: Option<Instant>,
    /// What `If-Match` expects.
    pub version: i64,
}

/// One line of an invoice.
#[derive(Debug, Clone, Object)]
pub struct Line {
    pub description: String,
    pub amount: Money,
}

/// An invoice and all that belongs to it.
#[derive(Debug, Clone, Object)]
pub struct InvoiceDetail {
    #[oai(flatten)]
    pub invoice: Invoice,
    pub description: Option<String>,
    pub lines: Vec<Line>,
    pub void_reason: Option<String>,
    /// What was not expected any more when it was written off.
    pub written_off: Option<Money>,
    pub write_off_reason: Option<String>,
    /// Oldest first, without mere quotes.
    pub payments: Vec<Payment>,
    /// Oldest first, each with its timeline.
    pub messages: Vec<MessageDetail>,
    /// Every event of the invoice, its payments and its messages, in the order of the log.
    pub history: Vec<HistoryEvent>,
}

impl From<InvoiceView> for Invoice {
    fn from(view: InvoiceView) -> Self {
        let row = view.invoice;
        Self {
            invoice_id: row.invoice_id,
            title: row.title,
            status: view.status,
            total: Money::of(row.total, &row.currency),
            paid: Money::of(row.paid, &row.currency),
            credited: Money::of(row.credited, &row.currency),
            balance: Money::of(row.balance, &row.currency),
            due_on: row.due_on,
            time_zone: row.time_zone,
            property_id: row.property_id,
            property_name: view.property_name,
            unit_id: row.unit_id,
            unit_label: view.unit_label,
            resident_id: row.resident_id,
            resident_name: view.resident_name,
            pending_payment_id: row.pending_payment_id,
            drafted_at: Instant(row.drafted_at),
            published_at: row.published_at.map(Instant),
            settled_at: row.settled_at.map(Instant),
            written_off_at: row.written_off_at.map(Instant),
            version: row.version,
        }
    }
}

impl Listed for Invoice {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "invoice_id",
        "title",
        "status",
        "total.amount",
        "paid.amount",
        "balance.amount",
        "total.currency",
        "due_on",
        "time_zone",
        "property_id",
        "property_name",
        "unit_id",
        "unit_label",
        "resident_id",
        "resident_name",
        "drafted_at",
        "published_at",
        "settled_at",
        "version",
        "credited.amount",
        "written_off_at",
    ];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let parameters = &asked.parameters;
        let filter = Filter {
            visibility: asked.visibility,
            status: parameters.value("status"),
            property: parameters.value("property_id"),
            unit: parameters.value("unit_id"),
            resident: parameters.value("resident_id"),
            due_from: parameters.value("due_from"),
            due_until: parameters.value("due_until"),
            search: parameters.value("search"),
        };
        let (key, descending) = parameters.order();
        let sort = match key {
            "total" => SortBy::Total,
            "published_at" => SortBy::PublishedAt,
            _ => SortBy::DueOn,
        };
        shown(invoice::list(connection, &filter, asked.now, sort, descending, paging).await)
    }
}

impl Detailed for InvoiceDetail {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let found = invoice::detail(connection, asked.visibility, asked.now, id).await.map_err(refused)?;
        let Some(mut found) = found else { return Ok(None) };
        let row = &mut found.invoice.invoice;
        let (description, void_reason) = (row.description.take(), row.void_reason.take());
        let write_off_reason = row.write_off_reason.take();
        let written_off = row.written_off.map(|amount| Money::of(amount, &row.currency));
        let lines: Vec<InvoiceLine> =
            serde_json::from_value(row.lines.take()).map_err(|error| Problem::internal(&error))?;
        Ok(Some(Self {
            invoice: found.invoice.into(),
            description,
            lines: lines.into_iter().map(Line::from).collect(),
            void_reason,
            written_off,
            write_off_reason,
            payments: found.payments.into_iter().map(Payment::from).collect(),
            messages: found.messages.into_iter().map(|message| MessageDetail::of(message, asked.role)).collect(),
            history: HistoryEvent::all(found.history, asked.role),
        }))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("invoice", self.invoice.invoice_id), self.invoice.version))
    }

    fn related(&self) -> Vec<Stream> {
        let invoice = &self.invoice;
        let mut streams =
            vec![("property", invoice.property_id), ("unit", invoice.unit_id), ("resident", invoice.resident_id)];
        streams.extend(self.payments.iter().map(|payment| ("payment", payment.payment_id)));
        streams.extend(self.payments.iter().map(|payment| ("resident", payment.resident_id)));
        streams.extend(self.messages.iter().map(|message| ("email", message.message.message_id)));
        streams
    }

    fn ages(&self) -> bool {
        self.invoice.status == "Overdue"
    }
}

impl From<InvoiceLine> for Line {
    fn from(line: InvoiceLine) -> Self {
        let amount = Money::of(line.amount.amount(), line.amount.currency().code());
        Self { description: line.description.into(), amount }
    }
}
