//! Every event of an invoice, a payment, an enrollment, a credit, an e-mail, a text or a consent, for histories and timelines.

use chrono::{DateTime, Utc};
use events::Recorded;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    query::{QueryError, all, select},
};

/// Events by stream.
#[derive(Debug)]
pub struct StreamEvents;

/// An event without its personal part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEventRow {
    pub event_id: Uuid,
    pub organization_id: Uuid,
    /// `invoice`, `payment`, `autopay`, `credit`, `email`, `text` or `sms-consent`.
    pub stream: String,
    pub stream_id: Uuid,
    pub version: i64,
    /// The organization's position.
    pub position: i64,
    pub at: DateTime<Utc>,
    pub event_type: String,
    pub actor: String,
    pub role: String,
    /// Amounts, codes and ids; never anything personal.
    pub facts: Map<String, Value>,
}

/// The fields that may be shown; what is not listed is left out.
const FACTS: &[&str] = &[
    "amount",
    "as_message",
    "available_at",
    "balance",
    "code",
    "credit_id",
    "decline_code",
    "dispute",
    "due_on",
    "fee",
    "funding",
    "gross",
    "invoice_id",
    "kind",
    "net",
    "notify",
    "payment_id",
    "provider",
    "refund_id",
    "returned",
    "reversed",
    "total",
    "waiver",
    "won",
];

/// Those of enrollments beside them; an e-mail's `reason` would name an address.
const AUTOPAY_FACTS: &[&str] = &[
    "attempt",
    "because",
    "cap",
    "microdeposits",
    "new_method_required",
    "purpose",
    "reason",
    "retries_left",
    "retry",
    "setup_id",
    "waiting",
];

/// Those of texts and of consent beside them: which rule and which event of the consent decided, never numbers or words.
const TEXT_FACTS: &[&str] = &[
    "attempts_left",
    "authority",
    "challenge",
    "class",
    "consent",
    "encoding",
    "expires_at",
    "granted_by",
    "grounds",
    "inbound_id",
    "reading",
    "reason",
    "reply",
    "scope",
    "segments",
    "sent",
    "source",
    "stop",
    "text_id",
    "until",
    "why",
];

impl ReadModel for StreamEvents {
    type Row = StreamEventRow;
    const NAME: &'static str = "stream_event";
    const VERSION: u32 = 4;
    const COLUMNS: &'static [Column] = &[
        ("event_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("stream", "text not null"),
        ("stream_id", "uuid not null"),
        ("version", "bigint not null"),
        ("position", "bigint not null"),
        ("at", "timestamptz not null"),
        ("event_type", "text not null"),
        ("actor", "text not null"),
        ("role", "text not null"),
        ("facts", "json not null"),
    ];
    const INDEXES: &'static [&'static str] = &["(stream_id, version)"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        let shown =
            matches!(&*event.stream, "invoice" | "payment" | "autopay" | "credit" | "email" | "text" | "sms-consent");
        Ok(if shown {
            vec![Uuid::new_v5(&event.stream_id, format!("{}/{}", event.stream, event.version).as_bytes())]
        } else {
            vec![]
        })
    }

    fn fold(_: Option<StreamEventRow>, key: Uuid, event: &Recorded) -> Result<Option<StreamEventRow>, FoldError> {
        let body = event.payload.get(&event.event_type).and_then(Value::as_object);
        let own: &[&str] = match &*event.stream {
            "autopay" => AUTOPAY_FACTS,
            // A failure's reason is the provider's own wording, which may name the number.
            "text" | "sms-consent" if event.event_type != "TextFailed" => TEXT_FACTS,
            _ => &[],
        };
        let shown = FACTS.iter().chain(own);
        let facts = shown.filter_map(|name| Some(((*name).to_owned(), body?.get(*name)?.clone()))).collect();
        Ok(Some(StreamEventRow {
            event_id: key,
            organization_id: event.organization.0,
            stream: event.stream.clone(),
            stream_id: event.stream_id,
            version: event.version,
            position: event.position,
            at: event.recorded_at,
            event_type: event.event_type.clone(),
            actor: event.metadata.actor.clone(),
            role: event.metadata.role.name().to_owned(),
            facts,
        }))
    }
}

/// The events of some streams in the order of the log.
pub async fn of_streams(connection: &mut PgConnection, streams: &[Uuid]) -> Result<Vec<StreamEventRow>, QueryError> {
    let mut query = select("select * from read.stream_event where stream_id = any(");
    query.push_bind(streams.to_vec()).push(") order by position");
    all(connection, query).await
}
