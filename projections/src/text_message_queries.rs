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
    if let Some(property) = visibility.property {
        // Codes and answers belong to no property: whoever sees the resident sees that they were sent.
        query.push(" and (sms.property_id = ").push_bind(property);
        query.push(" or sms.property_id is null");
        lives_in(&mut query, "sms.resident_id", "property_id", property);
        query.push(")");
    }
    and(&mut query, "sms.resident_id = ", visibility.resident);
    query
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

/// The texts to these residents, by their streams.
pub async fn streams(connection: &mut PgConnection, residents: &[Uuid]) -> Result<Vec<Uuid>, QueryError> {
    let ids = sqlx::query_scalar(
        "select text_id from read.text_message where resident_id = any($1) order by requested_at, text_id",
    )
    .bind(residents)
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

/// The texts that were handed to the provider in a time, each with its resident.
pub async fn sent(
    connection: &mut PgConnection,
    visibility: Visibility,
    property: Option<Uuid>,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> Result<Vec<(Uuid, Uuid)>, QueryError> {
    let rows = sqlx::query_as(
        "select text_id, resident_id from read.text_message
         where submitted_at is not null and ($1::uuid is null or property_id = $1)
             and ($2::uuid is null or property_id = $2)
             and ($3::timestamptz is null or submitted_at >= $3) and ($4::timestamptz is null or submitted_at < $4)
         order by submitted_at, text_id",
    )
    .bind(property)
    .bind(visibility.property)
    .bind(from)
    .bind(until)
    .fetch_all(connection)
    .await?;
    Ok(rows)
}
