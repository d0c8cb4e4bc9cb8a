//! The log of texts: list, and detail with its timeline.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::TextRow;
use crate::{
    query::{Page, Paging, Query, QueryError, Sort, Visibility, and, first, lives_in, page, select},
    stream_event::{self, StreamEventRow},
};

/// A text and what happened to it, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TextDetail {
    #[serde(flatten)]
    pub text: TextRow,
    pub timeline: Vec<StreamEventRow>,
}

/// Which texts are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    /// As in [`TextRow::status`].
    pub status: Option<String>,
    /// As in [`TextRow::kind`].
    pub kind: Option<String>,
    pub property: Option<Uuid>,
    pub resident: Option<Uuid>,
    pub invoice: Option<Uuid>,
}

fn visible(visibility: Visibility) -> Query {
    let mut query = select("select sms.* from read.text_message sms where true");
    within(&mut query, visibility.property);
    and(&mut query, "sms.resident_id = ", visibility.resident);
    query
}

/// Codes and answers belong to no property: whoever sees the resident sees that they were sent.
fn within(query: &mut Query, property: Option<Uuid>) {
    if let Some(property) = property {
        query.push(" and (sms.property_id = ").push_bind(property);
        query.push(" or sms.property_id is null");
        lives_in(query, "sms.resident_id", "property_id", property);
        query.push(")");
    }
}

/// A page of texts, latest first.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<TextRow>, QueryError> {
    let mut query = visible(filter.visibility);
    and(&mut query, "sms.status = ", filter.status.clone());
    and(&mut query, "sms.kind = ", filter.kind.clone());
    and(&mut query, "sms.property_id = ", filter.property);
    and(&mut query, "sms.resident_id = ", filter.resident);
    and(&mut query, "sms.invoice_id = ", filter.invoice);
    page(connection, query, &Sort::instant("requested_at", "text_id").descending(), paging).await
}

/// One text with its timeline.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
) -> Result<Option<TextDetail>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "sms.text_id = ", Some(id));
    let Some(text) = first(connection, query).await? else { return Ok(None) };
    Ok(Some(TextDetail { text, timeline: stream_event::of_streams(connection, &[id]).await? }))
}

/// The texts to these residents that may be seen, by their streams.
pub async fn streams(
    connection: &mut PgConnection,
    visibility: Visibility,
    residents: &[Uuid],
) -> Result<Vec<Uuid>, QueryError> {
    let mut query = visible(visibility);
    query.push(" and sms.resident_id = any(").push_bind(residents.to_vec());
    let ids = query.push(")) select text_id from listed order by requested_at, text_id").build_query_scalar();
    Ok(ids.fetch_all(connection).await?)
}

/// The texts that were handed to the provider in a time, each with its resident. Of a property also those to its residents that
/// belong to no property.
pub async fn sent(
    connection: &mut PgConnection,
    visibility: Visibility,
    property: Option<Uuid>,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> Result<Vec<(Uuid, Uuid)>, QueryError> {
    let mut query = visible(visibility);
    query.push(" and sms.submitted_at is not null");
    within(&mut query, property);
    and(&mut query, "sms.submitted_at >= ", from);
    and(&mut query, "sms.submitted_at < ", until);
    let rows = query.push(") select text_id, resident_id from listed order by submitted_at, text_id").build_query_as();
    Ok(rows.fetch_all(connection).await?)
}
