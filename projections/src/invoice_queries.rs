//! Invoices: list, and detail with payments, messages and every event that touched it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::InvoiceRow;
use crate::{
    message::{self, MessageDetail},
    payment::{self, PaymentView},
    query::{Page, Paging, Query, QueryError, Sort, Visibility, and, first, page, select, within},
    stream_event::{self, StreamEventRow},
    text::containing,
};

/// An invoice with its status at the moment of the question, and with names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvoiceView {
    #[serde(flatten)]
    pub invoice: InvoiceRow,
    /// `Draft`, `Open`, `Paid`, `Overdue` or `Void`; `Discarded` for a draft that was thrown away, in details only.
    /// What was written off is `Void`: nobody owes it any more, so it is neither overdue nor paid.
    pub status: String,
    pub property_name: Option<String>,
    pub unit_label: Option<String>,
    /// Null when it was erased.
    pub resident_name: Option<String>,
}

/// An invoice and all that belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InvoiceDetail {
    #[serde(flatten)]
    pub invoice: InvoiceView,
    pub payments: Vec<PaymentView>,
    pub messages: Vec<MessageDetail>,
    /// Every event of the invoice, its payments and its messages, in the order of the log.
    pub history: Vec<StreamEventRow>,
}

/// Which invoices are wanted. Discarded drafts are in no list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    /// As in [`InvoiceView::status`].
    pub status: Option<String>,
    pub property: Option<Uuid>,
    pub unit: Option<Uuid>,
    pub resident: Option<Uuid>,
    pub due_from: Option<NaiveDate>,
    /// Inclusive.
    pub due_until: Option<NaiveDate>,
    /// Part of the title.
    pub search: Option<String>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    #[default]
    DueOn,
    Total,
    /// Drafts come before everything published.
    PublishedAt,
}

/// Selects the invoices that the caller may see, with their status at `now` (business clock) in the property's zone.
fn visible(visibility: Visibility, now: DateTime<Utc>) -> Query {
    let mut query = select(
        "select * from (
         select invoice.*, coalesce(invoice.published_at, '-infinity') as published,
                property.name as property_name, unit.label as unit_label,
                nullif(concat_ws(' ', resident.first_name, resident.last_name), '') as resident_name,
                case when invoice.phase <> 'Published' then invoice.phase
                     when invoice.balance <= 0 then 'Paid'
                     when invoice.due_on < (",
    );
    query.push_bind(now).push(
        "::timestamptz at time zone invoice.time_zone)::date then 'Overdue'
                     else 'Open' end as status
         from read.invoice invoice
         left join read.property property on property.property_id = invoice.property_id
         left join read.unit unit on unit.unit_id = invoice.unit_id
         left join read.resident resident on resident.resident_id = invoice.resident_id
         ) invoice where true",
    );
    within(&mut query, "invoice.property_id", "invoice.resident_id", visibility);
    if visibility.resident.is_some() {
        query.push(" and invoice.phase in ('Published', 'Void')");
    }
    query
}

/// A page of invoices as of `now` on the business clock.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    now: DateTime<Utc>,
    sort: SortBy,
    descending: bool,
    paging: &Paging,
) -> Result<Page<InvoiceView>, QueryError> {
    let mut query = visible(filter.visibility, now);
    query.push(" and invoice.phase <> 'Discarded'");
    and(&mut query, "invoice.status = ", filter.status.clone());
    and(&mut query, "invoice.property_id = ", filter.property);
    and(&mut query, "invoice.unit_id = ", filter.unit);
    and(&mut query, "invoice.resident_id = ", filter.resident);
    and(&mut query, "invoice.due_on >= ", filter.due_from);
    and(&mut query, "invoice.due_on <= ", filter.due_until);
    and(&mut query, "invoice.title ilike ", filter.search.as_deref().map(containing));
    let sort = match sort {
        SortBy::DueOn => Sort::new("due_on", "date", "invoice_id"),
        SortBy::Total => Sort::new("total", "bigint", "invoice_id"),
        SortBy::PublishedAt => Sort::instant("published", "invoice_id"),
    };
    page(connection, query, &sort.directed(descending), paging).await
}

/// One invoice and all that belongs to it.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    now: DateTime<Utc>,
    id: Uuid,
) -> Result<Option<InvoiceDetail>, QueryError> {
    let mut query = visible(visibility, now);
    and(&mut query, "invoice.invoice_id = ", Some(id));
    let Some(invoice) = first(connection, query).await? else { return Ok(None) };
    let payments = payment::of_invoice(connection, visibility, id).await?;
    let messages = message::of_invoice(connection, id).await?;
    let mut streams = vec![id];
    streams.extend(payments.iter().map(|view| view.payment.payment_id));
    streams.extend(messages.iter().map(|message| message.message_id));
    let history = stream_event::of_streams(connection, &streams).await?;
    let messages = messages
        .into_iter()
        .map(|message| {
            let timeline = history.iter().filter(|event| event.stream_id == message.message_id).cloned().collect();
            MessageDetail { message, timeline }
        })
        .collect();
    Ok(Some(InvoiceDetail { invoice, payments, messages, history }))
}
