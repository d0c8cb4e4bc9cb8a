//! Payment history: list and detail.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::PaymentRow;
use crate::query::{Page, Paging, Query, QueryError, Sort, Visibility, all, and, first, page, select, within};

/// A payment with what its invoice and resident are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    #[serde(flatten)]
    pub payment: PaymentRow,
    pub invoice_title: Option<String>,
    pub property_name: Option<String>,
    pub time_zone: Option<String>,
    pub unit_label: Option<String>,
    /// Null when it was erased.
    pub resident_name: Option<String>,
    /// The invoice's, since a payment by hand names none.
    #[serde(skip_serializing)]
    invoice_property_id: Option<Uuid>,
}

/// Which payments are wanted. Quotes that nobody went on to pay are in no list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    /// `Pending`, `Succeeded`, `Failed` or `Refunded`.
    pub status: Option<String>,
    /// `Online` or `Offline`.
    pub kind: Option<String>,
    pub property: Option<Uuid>,
    pub resident: Option<Uuid>,
    pub invoice: Option<Uuid>,
    /// Requested at or after.
    pub from: Option<DateTime<Utc>>,
    /// Requested before.
    pub until: Option<DateTime<Utc>>,
    /// Only those that somebody has to look at.
    pub unresolved: bool,
    /// Only those that autopay made, or only those that it did not.
    pub autopay: Option<bool>,
    /// Only those that the payer's bank took back, whatever came of it.
    pub disputed: bool,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    #[default]
    RequestedAt,
    Amount,
}

fn visible(visibility: Visibility) -> Query {
    let mut query = select(
        "select payment.*, invoice.title as invoice_title, invoice.property_id as invoice_property_id,
                property.name as property_name, property.time_zone, unit.label as unit_label,
                nullif(concat_ws(' ', resident.first_name, resident.last_name), '') as resident_name
         from read.payment payment
         left join read.invoice invoice on invoice.invoice_id = payment.invoice_id
         left join read.property property
             on property.property_id = coalesce(payment.property_id, invoice.property_id)
         left join read.unit unit on unit.unit_id = invoice.unit_id
         left join read.resident resident on resident.resident_id = payment.resident_id
         where true",
    );
    within(&mut query, "coalesce(payment.property_id, invoice.property_id)", "payment.resident_id", visibility);
    query
}

/// A decline code as whoever holds the card may know it: that it was reported lost or stolen, or is thought a fraud, is a plain
/// refusal (Stripe asks for it).
pub fn told(code: &str) -> &str {
    match code {
        "fraudulent" | "lost_card" | "merchant_blacklist" | "pickup_card" | "stolen_card" => "generic_decline",
        other => other,
    }
}

fn shown(mut view: PaymentView, visibility: Visibility, with_secret: bool) -> PaymentView {
    let payment = &mut view.payment;
    payment.property_id = payment.property_id.or(view.invoice_property_id);
    let theirs = with_secret && visibility.resident == Some(payment.resident_id);
    payment.client_secret = payment.client_secret.take().filter(|_| theirs);
    if visibility.resident.is_some() {
        payment.decline_code = payment.decline_code.take().map(|code| told(&code).to_owned());
        // What Stripe keeps is between Stripe and the property.
        payment.settled_currency = None;
        payment.processor_fee = None;
        payment.settled_net = None;
        payment.available_at = None;
        payment.balance_transaction = None;
    }
    view
}

/// A page of payments.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    sort: SortBy,
    descending: bool,
    paging: &Paging,
) -> Result<Page<PaymentView>, QueryError> {
    let mut query = visible(filter.visibility);
    query.push(" and payment.requested_at is not null");
    and(&mut query, "payment.status = ", filter.status.clone());
    and(&mut query, "payment.kind = ", filter.kind.clone());
    and(&mut query, "coalesce(payment.property_id, invoice.property_id) = ", filter.property);
    and(&mut query, "payment.resident_id = ", filter.resident);
    and(&mut query, "payment.invoice_id = ", filter.invoice);
    and(&mut query, "payment.requested_at >= ", filter.from);
    and(&mut query, "payment.requested_at < ", filter.until);
    if filter.unresolved {
        query.push(" and payment.unresolved");
    }
    if let Some(autopay) = filter.autopay {
        query.push(if autopay { " and payment.autopay_id is not null" } else { " and payment.autopay_id is null" });
    }
    if filter.disputed {
        query.push(" and payment.dispute is not null");
    }
    let sort = match sort {
        SortBy::RequestedAt => Sort::instant("requested_at", "payment_id"),
        SortBy::Amount => Sort::new("amount", "bigint", "payment_id"),
    };
    let found: Page<PaymentView> = page(connection, query, &sort.directed(descending), paging).await?;
    Ok(found.map(|view| shown(view, filter.visibility, false)))
}

/// One payment, quotes included. Its resident, and nobody else, gets the client secret.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
) -> Result<Option<PaymentView>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "payment.payment_id = ", Some(id));
    Ok(first(connection, query).await?.map(|view| shown(view, visibility, true)))
}

/// An invoice's payments, oldest first, without mere quotes.
pub(crate) async fn of_invoice(
    connection: &mut PgConnection,
    visibility: Visibility,
    invoice: Uuid,
) -> Result<Vec<PaymentView>, QueryError> {
    let mut query = visible(Visibility::default());
    and(&mut query, "payment.invoice_id = ", Some(invoice));
    query.push(" and payment.requested_at is not null order by payment.requested_at, payment.payment_id");
    Ok(all(connection, query).await?.into_iter().map(|view| shown(view, visibility, false)).collect())
}
