//! The log of texts: list, and detail with its timeline.

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
