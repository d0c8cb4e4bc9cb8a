//! Events as people see them: what happened, when, and in which capacity.

use events::Role;
use poem_openapi::Object;
use projections::{payment::told, stream_event::StreamEventRow};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::instant::Instant;

/// One event of a history or a timeline.
#[derive(Debug, Clone, Object)]
pub struct HistoryEvent {
    /// The organization's position.
    pub position: i64,
    pub at: Instant,
    /// `invoice`, `payment`, `autopay`, `credit` or `email`.
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
        // What Stripe kept is between Stripe and the property.
        rows.into_iter()
            .filter(|row| role != Role::Resident || row.event_type != "PaymentSettled")
            .map(|mut row| Self {
                facts: Value::Object(facts(std::mem::take(&mut row.facts), role)),
                position: row.position,
                at: Instant(row.at),
                stream: row.stream,
                stream_id: row.stream_id,
                version: row.version,
                event: row.event_type,
                actor: (role != Role::Resident).then_some(row.actor),
                role: row.role,
            })
            .collect()
    }
}

/// A bank's reason for a refusal is for managers: that a card was reported stolen is not for whoever holds it.
fn facts(mut facts: Map<String, Value>, role: Role) -> Map<String, Value> {
    if role == Role::Resident {
        facts.remove("reason");
        for name in ["code", "decline_code"] {
            if let Some(Value::String(code)) = facts.get_mut(name) {
                *code = told(code).to_owned();
            }
        }
    }
    facts
}
