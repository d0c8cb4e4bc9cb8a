//! An organization's webhooks, how far each is sent, and every attempt; never their secrets.

use edge::Problem;
use events::Role;
use poem_openapi::Object;
use projections::{
    Page, Paging,
    webhook::{self, AttemptView, WebhookView},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::{Asked, missing},
    detail::{Detailed, Stream},
    instant::Instant,
    listing::{Listed, shown},
    operation::{Filter, Kind, Operation},
    reading::refused,
};

/// Those who look after what is sent.
const WATCHERS: &[Role] = &[Role::OrganizationManager, Role::Integrator];
const REACH: &str = "Organization managers and integrators see the webhooks of their organization without their secrets, an \
    integrator of a property those of that property.";

/// `GET /v1/webhooks`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/webhooks",
    tag: "Webhooks",
    summary: "List webhooks, latest first",
    roles: WATCHERS,
    reach: REACH,
    filters: &[],
    sorts: &["-registered_at"],
    example: include_str!("examples/webhook.json"),
};

/// `GET /v1/webhooks/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/webhooks/{id}",
    tag: "Webhooks",
    summary: "Show a webhook and how far it is sent",
    roles: WATCHERS,
    reach: REACH,
    filters: &[],
    sorts: &[],
    example: include_str!("examples/webhook.json"),
};

/// `GET /v1/webhooks/{id}/deliveries`
pub const DELIVERIES: Operation = Operation {
    method: "GET",
    path: "/v1/webhooks/{id}/deliveries",
    tag: "Webhooks",
    summary: "List the attempts of the last 30 days, latest first",
    roles: WATCHERS,
    reach: REACH,
    filters: &[Filter {
        name: "outcome",
        kind: Kind::Choice(&["delivered", "failed", "gone", "abandoned"]),
        description: "Only attempts that ended so.",
        example: "failed",
    }],
    sorts: &["-at"],
    example: include_str!("examples/webhook_attempt.json"),
};

/// Where events are sent to, and how that goes.
#[derive(Debug, Clone, Object)]
pub struct Webhook {
    pub webhook_id: Uuid,
    pub url: String,
    pub description: Option<String>,
    /// Empty: all types.
    pub types: Vec<String>,
    /// Null: the whole organization's events.
    pub property_id: Option<Uuid>,
    /// `Enabled` or `Disabled`.
    pub state: String,
    /// `ByHand`, `Gone` (the receiver answered 410) or `LongFailure`.
    pub disabled_because: Option<String>,
    pub disabled_at: Option<Instant>,
    pub registered_at: Instant,
    /// Who registered it: `token:…` (an access token, by its id), `session:…` or `operator`.
    pub registered_by: String,
    /// Who last changed where it points or what it is sent; null: nobody.
    pub changed_by: Option<String>,
    pub changed_at: Option<Instant>,
    /// When the secret that signs was made.
    pub secret_since: Instant,
    /// Until when the secret before signs too.
    pub former_secret_until: Option<Instant>,
    /// Everything wanted up to here was sent, or waits; null before sending has begun. As of now, whatever position the answer shows.
    pub sent_up_to: Option<i64>,
    /// Events that were taken up and have not arrived yet.
    pub waiting: i64,
    pub last_success_at: Option<Instant>,
    /// Since when nothing arrives any more.
    pub failing_since: Option<Instant>,
    /// What `If-Match` expects.
    pub version: i64,
}

/// An attempt to send an event.
#[derive(Debug, Clone, Object)]
pub struct WebhookAttempt {
    pub attempt_id: Uuid,
    /// The `webhook-id` that the receiver got: the same at every attempt.
    pub message_id: String,
    pub event_type: String,
    /// Of the event; null for a test.
    pub position: Option<i64>,
    /// From 1.
    pub attempt: i32,
    pub at: Instant,
    /// `delivered`, `failed`, `gone`, or `abandoned` after the last attempt.
    pub outcome: String,
    /// The receiver's answer; null when there was none.
    pub status: Option<i32>,
    pub duration_ms: i32,
    /// Why there was none.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub excerpt: Option<String>,
    /// When it is tried again.
    pub next_at: Option<Instant>,
}

impl From<WebhookView> for Webhook {
    fn from(view: WebhookView) -> Self {
        let WebhookView { webhook: row, position, waiting, last_success_at, failing_since } = view;
        Self {
            webhook_id: row.webhook_id,
            url: row.url,
            description: row.description,
            types: row.types.split(',').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect(),
            property_id: row.property_id,
            state: row.state,
            disabled_because: row.disabled_because,
            disabled_at: row.disabled_at.map(Instant),
            registered_at: Instant(row.registered_at),
            registered_by: row.registered_by,
            changed_by: row.changed_by,
            changed_at: row.changed_at.map(Instant),
            secret_since: Instant(row.secret_since),
            former_secret_until: row.former_secret_until.map(Instant),
            sent_up_to: position,
            waiting,
            last_success_at: last_success_at.map(Instant),
            failing_since: failing_since.map(Instant),
            version: row.version,
        }
    }
}

impl From<AttemptView> for WebhookAttempt {
    fn from(view: AttemptView) -> Self {
        Self {
            attempt_id: view.attempt_id,
            message_id: view.message_id,
            event_type: view.event_type,
            position: Some(view.position).filter(|position| *position > 0),
            attempt: view.attempt,
            at: Instant(view.at),
            outcome: view.outcome,
            status: view.status,
            duration_ms: view.duration_ms,
            error: view.error,
            excerpt: view.excerpt,
            next_at: view.next_at.map(Instant),
        }
    }
}

impl Listed for Webhook {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "webhook_id",
        "url",
        "description",
        "property_id",
        "state",
        "disabled_because",
        "disabled_at",
        "registered_at",
        "sent_up_to",
        "waiting",
        "last_success_at",
        "failing_since",
        "version",
        "registered_by",
        "changed_by",
        "changed_at",
    ];

    async fn page(asked: &Asked, connection: &mut PgConnection, paging: &Paging) -> Result<Page<Self>, Problem> {
        shown(webhook::list(connection, asked.visibility, paging).await)
    }
}

impl Detailed for Webhook {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let found = webhook::detail(connection, asked.visibility, id).await.map_err(refused)?;
        Ok(found.map(Self::from))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("webhook", self.webhook_id), self.version))
    }

    /// How far it is sent changes without an event.
    fn ages(&self) -> bool {
        true
    }
}

impl Listed for WebhookAttempt {
    const OPERATION: Operation = DELIVERIES;
    const CSV: &'static [&'static str] = &[
        "attempt_id",
        "message_id",
        "event_type",
        "position",
        "attempt",
        "at",
        "outcome",
        "status",
        "duration_ms",
        "error",
        "excerpt",
        "next_at",
    ];

    async fn page(asked: &Asked, connection: &mut PgConnection, paging: &Paging) -> Result<Page<Self>, Problem> {
        let id = asked.id.ok_or_else(missing)?;
        webhook::detail(connection, asked.visibility, id).await.map_err(refused)?.ok_or_else(missing)?;
        let outcome = asked.parameters.text("outcome").map(ToOwned::to_owned);
        shown(webhook::attempts(connection, id, outcome, paging).await)
    }
}
