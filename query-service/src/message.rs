//! E-mails: the log, and one with its timeline.

use edge::Problem;
use events::Role;
use events::email::EmailContent;
use poem_openapi::Object;
use projections::{
    Paging,
    message::{self, Filter, MessageRow},
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

/// `GET /v1/messages`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/messages",
    tag: "Messages",
    summary: "List e-mails, latest first",
    roles: READERS_OF_MESSAGES,
    reach: "Managers and auditors see the e-mails in their scope, residents those to them.",
    filters: &[
        operation::Filter {
            name: "status",
            kind: Kind::Choice(&[
                "Queued",
                "Suppressed",
                "Sending",
                "Unresolved",
                "Sent",
                "Delivered",
                "Bounced",
                "Complained",
                "Failed",
            ]),
            description: "Only this status.",
            example: "Bounced",
        },
        operation::Filter {
            name: "kind",
            kind: Kind::Choice(EmailContent::KINDS),
            description: "Only this kind.",
            example: "invoice-published",
        },
        operation::PROPERTY,
        operation::RESIDENT,
        operation::INVOICE,
    ],
    sorts: &["-requested_at"],
    example: include_str!("examples/message.json"),
};

/// `GET /v1/messages/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/messages/{id}",
    tag: "Messages",
    summary: "Show an e-mail with its timeline",
    roles: READERS_OF_MESSAGES,
    reach: "Managers and auditors see the e-mails in their scope, residents those to them.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/message_detail.json"),
};

/// An e-mail and what became of it. Neither its text nor its address is kept here.
#[derive(Debug, Clone, Object)]
pub struct Message {
    pub message_id: Uuid,
    /// `invoice-published`, `payment-received`, `payment-reminder`, `autopay-notice`, `autopay-held`, `autopay-charged`, `autopay-failed`,
    /// `autopay-paused` or `sign-in-link`.
    pub kind: String,
    /// `Queued`, `Suppressed`, `Sending`, `Unresolved`, `Sent`, `Delivered`, `Bounced`, `Complained` or `Failed`.
    pub status: String,
    /// ISO 639-1.
    pub language: String,
    /// English, because there is no template in the resident's language.
    pub fallback: bool,
    /// Why it was not sent.
    pub suppression: Option<String>,
    /// `Permanent`, `Transient` or `Undetermined`.
    pub bounce_kind: Option<String>,
    pub bounce_reason: Option<String>,
    pub failure_reason: Option<String>,
    /// `resend` or `smtp`.
    pub provider: Option<String>,
    pub delayed: bool,
    /// A hint, not a proof, that it was read.
    pub opened: bool,
    pub clicked: bool,
    pub resident_id: Uuid,
    pub property_id: Option<Uuid>,
    pub invoice_id: Option<Uuid>,
    pub payment_id: Option<Uuid>,
    pub requested_at: Instant,
    pub suppressed_at: Option<Instant>,
    /// When the provider took it.
    pub accepted_at: Option<Instant>,
    pub delivered_at: Option<Instant>,
    pub bounced_at: Option<Instant>,
    pub complained_at: Option<Instant>,
    pub opened_at: Option<Instant>,
    pub clicked_at: Option<Instant>,
    pub failed_at: Option<Instant>,
    /// The message that this one repeats.
    pub resend_of: Option<Uuid>,
    /// The message that was sent in its stead.
    pub resent_as: Option<Uuid>,
    /// What `If-Match` expects.
    pub version: i64,
}

/// An e-mail and everything that happened to it.
#[derive(Debug, Clone, Object)]
pub struct MessageDetail {
    #[oai(flatten)]
    pub message: Message,
    /// In the order of the log.
    pub timeline: Vec<HistoryEvent>,
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        Self {
            message_id: row.message_id,
            kind: row.kind,
            status: row.status,
            language: row.language,
            fallback: row.fallback,
            suppression: row.suppression,
            bounce_kind: row.bounce_kind,
            bounce_reason: row.bounce_reason,
            failure_reason: row.failure_reason,
            provider: row.provider,
            delayed: row.delayed,
            opened: row.opened,
            clicked: row.clicked,
            resident_id: row.resident_id,
            property_id: row.property_id,
            invoice_id: row.invoice_id,
            payment_id: row.payment_id,
            requested_at: Instant(row.requested_at),
            suppressed_at: row.suppressed_at.map(Instant),
            accepted_at: row.accepted_at.map(Instant),
            delivered_at: row.delivered_at.map(Instant),
            bounced_at: row.bounced_at.map(Instant),
            complained_at: row.complained_at.map(Instant),
            opened_at: row.opened_at.map(Instant),
            clicked_at: row.clicked_at.map(Instant),
            failed_at: row.failed_at.map(Instant),
            resend_of: row.resend_of,
            resent_as: row.resent_as,
            version: row.version,
        }
    }
}

impl MessageDetail {
    /// The message as somebody of this role sees it.
    pub fn of(detail: message::MessageDetail, role: Role) -> Self {
        Self { message: detail.message.into(), timeline: HistoryEvent::all(detail.timeline, role) }
    }
}

impl Listed for Message {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "message_id",
        "kind",
        "status",
        "language",
        "fallback",
        "suppression",
        "bounce_kind",
        "bounce_reason",
        "failure_reason",
        "provider",
        "opened",
        "clicked",
        "resident_id",
        "property_id",
        "invoice_id",
        "payment_id",
        "requested_at",
        "accepted_at",
        "delivered_at",
        "bounced_at",
        "complained_at",
        "opened_at",
        "resend_of",
        "resent_as",
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
        shown(message::list(connection, &filter, paging).await)
    }
}

impl Detailed for MessageDetail {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let found = message::detail(connection, asked.visibility, id).await.map_err(refused)?;
        Ok(found.map(|detail| Self::of(detail, asked.role)))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("email", self.message.message_id), self.message.version))
    }

    /// Erasure empties the reasons.
    fn related(&self) -> Vec<Stream> {
        vec![("resident", self.message.resident_id)]
    }
}
