//! Webhooks as they stand, and what was tried of each; secrets and addresses of people are not among it.

use chrono::{DateTime, Utc};
use events::{Recorded, WebhookEvent, webhook::DisabledBecause};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    query::{Page, Paging, Query, QueryError, Sort, Visibility, and, first, page, select, within_property},
};

/// Webhooks that were registered and not removed.
#[derive(Debug)]
pub struct Webhooks;

/// A webhook without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookRow {
    pub webhook_id: Uuid,
    pub organization_id: Uuid,
    pub property_id: Option<Uuid>,
    pub url: String,
    pub description: Option<String>,
    /// Names between commas; empty: all types.
    pub types: String,
    /// `Enabled` or `Disabled`.
    pub state: String,
    /// `ByHand`, `Gone` or `LongFailure`.
    pub disabled_because: Option<String>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub registered_at: DateTime<Utc>,
    /// Who registered it: `token:…`, `session:…` or `operator`.
    pub registered_by: String,
    /// Who last changed where it points or what it is sent.
    pub changed_by: Option<String>,
    pub changed_at: Option<DateTime<Utc>>,
    /// When the secret that signs was made.
    pub secret_since: DateTime<Utc>,
    /// Until when the secret before signs too.
    pub former_secret_until: Option<DateTime<Utc>>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

fn names(types: &[events::webhook::TypeName]) -> String {
    types.iter().map(events::webhook::TypeName::as_str).collect::<Vec<_>>().join(",")
}

impl ReadModel for Webhooks {
    type Row = WebhookRow;
    const NAME: &'static str = "webhook";
    const VERSION: u32 = 2;
    const COLUMNS: &'static [Column] = &[
        ("webhook_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("property_id", "uuid"),
        ("url", "text not null"),
        ("description", "text"),
        ("types", "text not null"),
        ("state", "text not null"),
        ("disabled_because", "text"),
        ("disabled_at", "timestamptz"),
        ("registered_at", "timestamptz not null"),
        ("registered_by", "text not null"),
        ("changed_by", "text"),
        ("changed_at", "timestamptz"),
        ("secret_since", "timestamptz not null"),
        ("former_secret_until", "timestamptz"),
        ("version", "bigint not null"),
    ];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "webhook" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<WebhookRow>, key: Uuid, event: &Recorded) -> Result<Option<WebhookRow>, FoldError> {
        let Some(change) = event.event::<WebhookEvent>()? else { return Ok(row) };
        let known = || row.clone().ok_or(FoldError::Unexpected("a webhook changed before it was registered"));
        let mut row = match change {
            WebhookEvent::WebhookRegistered { url, description, types, property_id, .. } => WebhookRow {
                webhook_id: key,
                organization_id: event.organization.0,
                property_id: property_id.map(|id| id.0),
                url: url.into(),
                description: description.map(String::from),
                types: names(&types),
                state: "Enabled".to_owned(),
                disabled_because: None,
                disabled_at: None,
                registered_at: event.recorded_at,
                registered_by: event.metadata.actor.clone(),
                changed_by: None,
                changed_at: None,
                secret_since: event.recorded_at,
                former_secret_until: None,
                version: 0,
            },
            WebhookEvent::WebhookChanged { url, description, types, .. } => {
                let mut row = known()?;
                row.url = url.map_or(row.url, String::from);
                row.description = description.map(String::from).or(row.description);
                row.types = types.map_or(row.types, |types| names(&types));
                row.changed_by = Some(event.metadata.actor.clone());
                row.changed_at = Some(event.recorded_at);
                row
            }
            WebhookEvent::WebhookSecretRotated { former_until, .. } => {
                WebhookRow { secret_since: event.recorded_at, former_secret_until: Some(former_until), ..known()? }
            }
            WebhookEvent::WebhookEnabled {} => {
                WebhookRow { state: "Enabled".to_owned(), disabled_because: None, disabled_at: None, ..known()? }
            }
            WebhookEvent::WebhookDisabled { because } => {
                let because = match because {
                    DisabledBecause::ByHand => "ByHand",
                    DisabledBecause::Gone => "Gone",
                    DisabledBecause::LongFailure { .. } => "LongFailure",
                };
                WebhookRow {
                    state: "Disabled".to_owned(),
                    disabled_because: Some(because.to_owned()),
                    disabled_at: Some(event.recorded_at),
                    ..known()?
                }
            }
            WebhookEvent::WebhookReplayRequested { .. } | WebhookEvent::WebhookTestRequested {} => known()?,
            WebhookEvent::WebhookRemoved {} => return Ok(None),
        };
        row.version = event.version;
        Ok(Some(row))
    }
}

/// A webhook and how far its sending is, which is no read model: it is as of this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookView {
    #[serde(flatten)]
    pub webhook: WebhookRow,
    /// Everything wanted up to here was sent, or waits. Absent: sending has not begun.
    pub position: Option<i64>,
    /// Events that were taken up and have not arrived.
    pub waiting: i64,
    pub last_success_at: Option<DateTime<Utc>>,
    pub failing_since: Option<DateTime<Utc>>,
}

/// An attempt to send an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    pub attempt_id: Uuid,
    pub message_id: String,
    /// Below zero: a test.
    pub position: i64,
    pub event_type: String,
    pub attempt: i32,
    pub at: DateTime<Utc>,
    /// `delivered`, `failed`, `gone` or `abandoned`.
    pub outcome: String,
    pub status: Option<i32>,
    pub duration_ms: i32,
    pub error: Option<String>,
    pub excerpt: Option<String>,
    pub next_at: Option<DateTime<Utc>>,
}

fn visible(visibility: Visibility) -> Query {
    let mut query = select(
        "select webhook.*, endpoint.position, endpoint.last_success_at, endpoint.failing_since,
                (select count(*) from engine.webhook_deliveries waiting
                 where waiting.organization_id = webhook.organization_id and waiting.webhook_id = webhook.webhook_id) as waiting
         from read.webhook webhook
         left join engine.webhook_endpoints endpoint
             on endpoint.organization_id = webhook.organization_id and endpoint.webhook_id = webhook.webhook_id
         where true",
    );
    within_property(&mut query, "webhook.property_id", visibility);
    query
}

/// A page of webhooks, latest first; whoever is bound to a property sees those of that property.
pub async fn list(
    connection: &mut PgConnection,
    visibility: Visibility,
    paging: &Paging,
) -> Result<Page<WebhookView>, QueryError> {
    page(connection, visible(visibility), &Sort::instant("registered_at", "webhook_id").descending(), paging).await
}

/// One webhook.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
) -> Result<Option<WebhookView>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "webhook.webhook_id = ", Some(id));
    first(connection, query).await
}

/// A page of what was tried of a webhook, latest first.
pub async fn attempts(
    connection: &mut PgConnection,
    webhook: Uuid,
    outcome: Option<String>,
    paging: &Paging,
) -> Result<Page<AttemptView>, QueryError> {
    let mut query = select("select attempt.* from engine.webhook_attempts attempt where true");
    and(&mut query, "attempt.webhook_id = ", Some(webhook));
    if outcome.as_ref().is_some_and(|outcome| outcome != "delivered") {
        // Said in so many words, so that the index of what did not arrive serves.
        query.push(" and attempt.outcome <> 'delivered'");
    }
    and(&mut query, "attempt.outcome = ", outcome);
    page(connection, query, &Sort::instant("at", "attempt_id").descending(), paging).await
}
