//! Texts from residents' telephones, and those that somebody has to read.

use edge::Problem;
use poem_openapi::Object;
use projections::{
    Paging,
    inbound_text::{self, Filter, InboundTextRow},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    instant::Instant,
    listing::{Listed, shown},
    operation::{self, Kind, Operation, READERS_OF_TEXTS},
};

/// `GET /v1/inbound-texts`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/inbound-texts",
    tag: "Texts",
    summary: "List texts from residents, latest first",
    roles: READERS_OF_TEXTS,
    reach: "Managers and auditors see the texts of the residents in their scope.",
    filters: &[
        operation::Filter {
            name: "status",
            kind: Kind::Choice(&["Read", "Held", "Decided"]),
            description: "`Held`: those that may mean \"stop\" and wait for `DecideHeldText`; nothing goes out to their residents meanwhile.",
            example: "Held",
        },
        operation::Filter {
            name: "reading",
            kind: Kind::Choice(&["Stop", "Help", "Start", "MayMeanStop", "Other"]),
            description: "Only those that were read so.",
            example: "Stop",
        },
        operation::PROPERTY,
        operation::RESIDENT,
    ],
    sorts: &["-received_at"],
    example: include_str!("examples/inbound_text.json"),
};

/// A text that came from a resident's number.
#[derive(Clone, Object)]
pub struct InboundText {
    pub inbound_id: Uuid,
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub body: Option<String>,
    /// `Stop`, `Help`, `Start`, `MayMeanStop` or `Other`.
    pub reading: String,
    /// `Read`, `Held` or `Decided`.
    pub status: String,
    /// What a person decided that it meant.
    pub stop: Option<bool>,
    pub note: Option<String>,
    pub answered_by_provider: bool,
    /// `Stopped`, `Help`, `Restarted` or `NothingToRestart`; null: we answer nothing.
    pub reply: Option<String>,
    pub received_at: Instant,
    pub decided_at: Option<Instant>,
}

impl std::fmt::Debug for InboundText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboundText").field("inbound_id", &self.inbound_id).finish_non_exhaustive()
    }
}

impl From<InboundTextRow> for InboundText {
    fn from(row: InboundTextRow) -> Self {
        Self {
            inbound_id: row.inbound_id,
            resident_id: row.resident_id,
            body: row.body,
            reading: row.reading,
            status: row.status,
            stop: row.stop,
            note: row.note,
            answered_by_provider: row.answered_by_provider,
            reply: row.reply,
            received_at: Instant(row.received_at),
            decided_at: row.decided_at.map(Instant),
        }
    }
}

impl Listed for InboundText {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "inbound_id",
        "resident_id",
        "body",
        "reading",
        "status",
        "stop",
        "note",
        "answered_by_provider",
        "reply",
        "received_at",
        "decided_at",
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
            reading: parameters.value("reading"),
            property: parameters.value("property_id"),
            resident: parameters.value("resident_id"),
        };
        shown(inbound_text::list(connection, &filter, paging).await)
    }
}
