//! Texts: the log, and one with its timeline.

use edge::Problem;
use events::{Role, text_message::TextContent};
use poem_openapi::Object;
use projections::{
    Paging,
    text_message::{self, Filter, TextRow},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    detail::{Detailed, Stream},
    history::HistoryEvent,
    instant::Instant,
    listing::{Listed, shown},
    operation::{self, Kind, Operation, READERS_OF_MESSAGES},
    reading::refused,
};

/// `GET /v1/texts`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/texts",
    tag: "Texts",
    summary: "List texts, latest first",
    roles: READERS_OF_MESSAGES,
    reach: "Managers and auditors see the texts in their scope, residents those to them.",
    filters: &[
        operation::Filter {
            name: "status",
            kind: Kind::Choice(&[
                "Queued",
                "Deferred",
                "Suppressed",
                "Sending",
                "Unresolved",
                "Accepted",
                "Sent",
                "Failed",
                "Undelivered",
                "Delivered",
            ]),
            description: "Only this status.",
            example: "Suppressed",
        },
        operation::Filter {
            name: "kind",
            kind: Kind::Choice(TextContent::KINDS),
            description: "Only this kind.",
            example: "invoice-published",
        },
        operation::PROPERTY,
        operation::RESIDENT,
        operation::INVOICE,
    ],
    sorts: &["-requested_at"],
    example: include_str!("examples/text_message.json"),
};

/// `GET /v1/texts/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/texts/{id}",
    tag: "Texts",
    summary: "Show a text with its timeline",
    roles: READERS_OF_MESSAGES,
    reach: "Managers and auditors see the texts in their scope, residents those to them.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/text_message_detail.json"),
};

/// A text, what became of it, and what that rests on. Neither its wording nor its number is kept here.
#[derive(Debug, Clone, Object)]
pub struct Text {
    pub text_id: Uuid,
    /// `invoice-published`, `payment-received`, `payment-failed`, `consent-code`, `consent-confirmed` or `keyword-reply`.
    pub kind: String,
    /// `Programme`, which needs consent and a permitted hour; `Code` or `Reply`, which the resident has just asked for.
    pub class: String,
    /// `Queued`, `Deferred`, `Suppressed`, `Sending`, `Unresolved`, `Accepted`, `Sent`, `Failed`, `Undelivered` or `Delivered`.
    pub status: String,
    /// Why it was not sent, or why it waits.
    pub reason: Option<String>,
    pub deferred_until: Option<Instant>,
    /// The event of the consent that allowed it or stood against it, as `stream/id/version`.
    pub consent: Option<String>,
    /// The event that gave leave to send it.
    pub authority: Option<String>,
    /// The version of the rules about hours.
    pub policy: Option<String>,
    /// The recipient's zone that decided.
    pub time_zone: Option<String>,
    /// The recipient's time then, with its offset.
    pub local_time: Option<String>,
    /// ISO 639-1.
    pub language: String,
    /// English, because there is no template in the resident's language.
    pub fallback: bool,
    /// `Gsm7` or `Ucs2`.
    pub encoding: Option<String>,
    pub segments: Option<i64>,
    pub provider: Option<String>,
    pub provider_id: Option<String>,
    /// The provider's.
    pub error_code: Option<i64>,
    pub failure_reason: Option<String>,
    pub resident_id: Uuid,
    pub property_id: Option<Uuid>,
    pub invoice_id: Option<Uuid>,
    pub requested_at: Instant,
    pub suppressed_at: Option<Instant>,
    pub submitted_at: Option<Instant>,
    pub accepted_at: Option<Instant>,
    pub sent_at: Option<Instant>,
    pub delivered_at: Option<Instant>,
    pub failed_at: Option<Instant>,
    /// The event that caused it, as `stream/id/version`.
    pub cause: String,
    /// What `If-Match` expects.
    pub version: i64,
}

/// A text and everything that happened to it.
#[derive(Debug, Clone, Object)]
pub struct TextDetail {
    #[oai(flatten)]
    pub text: Text,
    /// In the order of the log.
    pub timeline: Vec<HistoryEvent>,
}

impl From<TextRow> for Text {
    fn from(row: TextRow) -> Self {
        Self {
            text_id: row.text_id,
            kind: row.kind,
            class: row.class,
            status: row.status,
            reason: row.reason,
            deferred_until: row.deferred_until.map(Instant),
            consent: row.consent,
            authority: row.authority,
            policy: row.policy,
            time_zone: row.zone,
            local_time: row.local_time,
            language: row.language,
            fallback: row.fallback,
            encoding: row.encoding,
            segments: row.segments,
            provider: row.provider,
            provider_id: row.provider_id,
            error_code: row.error_code,
            failure_reason: row.failure_reason,
            resident_id: row.resident_id,
            property_id: row.property_id,
            invoice_id: row.invoice_id,
            requested_at: Instant(row.requested_at),
            suppressed_at: row.suppressed_at.map(Instant),
            submitted_at: row.submitted_at.map(Instant),
            accepted_at: row.accepted_at.map(Instant),
            sent_at: row.sent_at.map(Instant),
            delivered_at: row.delivered_at.map(Instant),
            failed_at: row.failed_at.map(Instant),
            cause: row.cause,
            version: row.version,
        }
    }
}

impl TextDetail {
    fn of(detail: text_message::TextDetail, role: Role) -> Self {
        Self { text: detail.text.into(), timeline: HistoryEvent::all(detail.timeline, role) }
    }
}

impl Listed for Text {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "text_id",
        "kind",
        "class",
        "status",
        "reason",
        "consent",
        "authority",
        "policy",
        "time_zone",
        "local_time",
        "segments",
        "error_code",
        "resident_id",
        "property_id",
        "invoice_id",
        "requested_at",
        "submitted_at",
        "accepted_at",
        "sent_at",
        "delivered_at",
        "failed_at",
        "cause",
    ];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let parameters = &asked.parameters;
        let filter = Filter {
            visibility: asked.visibility,
            status: parameters.value("status"),
            kind: parameters.value("kind"),
            property: parameters.value("property_id"),
            resident: parameters.value("resident_id"),
            invoice: parameters.value("invoice_id"),
        };
        shown(text_message::list(connection, &filter, paging).await)
    }
}

impl Detailed for TextDetail {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let found = text_message::detail(connection, asked.visibility, id).await.map_err(refused)?;
        Ok(found.map(|detail| Self::of(detail, asked.role)))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("text", self.text.text_id), self.text.version))
    }

    /// Erasure empties the reason.
    fn related(&self) -> Vec<Stream> {
        vec![("resident", self.text.resident_id)]
    }
}
