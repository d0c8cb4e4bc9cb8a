//! The e-mail log: list, and detail with its timeline.

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::MessageRow;
use crate::{
    query::{Page, Paging, Query, QueryError, Sort, Visibility, all, and, first, lives_in, page, select},
    stream_event::{self, StreamEventRow},
};

/// A message and what happened to it, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageDetail {
    #[serde(flatten)]
    pub message: MessageRow,
    pub timeline: Vec<StreamEventRow>,
}

/// Which messages are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    /// As in [`MessageRow::status`].
    pub status: Option<String>,
    /// As in [`MessageRow::kind`].
    pub kind: Option<String>,
    pub property: Option<Uuid>,
    pub resident: Option<Uuid>,
    pub invoice: Option<Uuid>,
}

fn visible(visibility: Visibility) -> Query {
    let mut query = select("select message.* from read.message message where true");
    if let Some(property) = visibility.property {
        // A sign-in link belongs to no property: whoever sees the resident sees that it was sent.
        query.push(" and (message.property_id = ").push_bind(property);
        query.push(" or message.property_id is null");
        lives_in(&mut query, "message.resident_id", "property_id", property);
        query.push(")");
    }
    and(&mut query, "message.resident_id = ", visibility.resident);
    query
}

/// A page of messages, latest first.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<MessageRow>, QueryError> {
    let mut query = visible(filter.visibility);
    and(&mut query, "message.status = ", filter.status.clone());
    and(&mut query, "message.kind = ", filter.kind.clone());
    and(&mut query, "message.property_id = ", filter.property);
    and(&mut query, "message.resident_id = ", filter.resident);
    and(&mut query, "message.invoice_id = ", filter.invoice);
    page(connection, query, &Sort::instant("requested_at", "message_id").descending(), paging).await
}

/// One message with its timeline.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
) -> Result<Option<MessageDetail>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "message.message_id = ", Some(id));
    let Some(message) = first(connection, query).await? else { return Ok(None) };
    Ok(Some(MessageDetail { message, timeline: stream_event::of_streams(connection, &[id]).await? }))
}

/// An invoice's messages, oldest first.
pub(crate) async fn of_invoice(connection: &mut PgConnection, invoice: Uuid) -> Result<Vec<MessageRow>, QueryError> {
    let mut query = visible(Visibility::default());
    and(&mut query, "message.invoice_id = ", Some(invoice));
    query.push(" order by message.requested_at, message.message_id");
    all(connection, query).await
}
