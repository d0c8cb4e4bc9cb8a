//! Events as people see them: what happened, when, and in which capacity.

use events::Role;
use poem_openapi::Object;
use projections::stream_event::StreamEventRow;
use serde_json::Value;
use uuid::Uuid;

use crate::instant::Instant;

/// One event of a history or a timeline.
#[derive(Debug, Clone, Object)]
pub struct HistoryEvent {
    /// The organization's position.
    pub position: i64,
    pub at: Instant,
    /// `invoice`, `payment` or `email`.
    pub stream: String,
    pub stream_id: Uuid,
    pub version: i64,
    /// `InvoicePublished`, `EmailDelivered`, …
    pub event: String,
    /// Who did it; residents see only in which capacity.
    pub actor: Option<String>,
    pub role: String,
    /// Amounts, codes and ids; nothing personal.
    pub facts: Value,
}

impl HistoryEvent {
    /// The events as somebody of this role sees them.
    pub fn all(rows: Vec<StreamEventRow>, role: Role) -> Vec<Self> {
        rows.into_iter()
            .map(|row| Self {
                position: row.position,
                at: Instant(row.at),
                stream: row.stream,
                stream_id: row.stream_id,
                version: row.version,
                event: row.event_type,
                actor: (role != Role::Resident).then_some(row.actor),
                role: row.role,
                facts: Value::Object(row.facts),
            })
            .collect()
    }
}
