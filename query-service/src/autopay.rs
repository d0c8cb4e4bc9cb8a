//! Autopay: who is enrolled, with what, why it is paused, and what the resident may do now.

use edge::Problem;
use events::Role;
use poem_openapi::Object;
use projections::{
    Paging,
    autopay::{self, AutopayView, Filter, SortBy},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    autopay_shape::Autopay,
    detail::{Detailed, Stream},
    history::HistoryEvent,
    listing::Listed,
    operation::{self, Kind, MANAGERS_AND_RESIDENTS, Operation},
    reading::refused,
};

/// `GET /v1/autopay`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/autopay",
    tag: "Autopay",
    summary: "List enrollments in autopay",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see the enrollments in their scope, residents their own. Client secrets are in no list.",
    filters: &[
        operation::Filter {
            name: "status",
            kind: Kind::Choice(&["None", "SetupPending", "Active", "Paused", "Cancelled"]),
            description: "Only this status; `None` is a set-up that failed.",
            example: "Paused",
        },
        operation::PROPERTY,
        operation::RESIDENT,
    ],
    sorts: &["-changed_at", "changed_at", "next_attempt_at"],
    example: include_str!("examples/autopay.json"),
};

/// `GET /v1/autopay/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/autopay/{id}",
    tag: "Autopay",
    summary: "Show an enrollment with its history",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see the enrollments in their scope, residents their own. `client_secret` goes to the resident alone.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/autopay_detail.json"),
};

/// An enrollment, its history, and what is needed to complete a set-up.
#[derive(Clone, Object)]
pub struct AutopayDetail {
    #[oai(flatten)]
    pub autopay: Autopay,
    /// Stripe's `acct_…`, which Stripe's form needs beside the secret.
    pub stripe_account: Option<String>,
    /// For Stripe's form, while the set-up can be completed; only its resident gets it.
    #[oai(skip_serializing_if_is_none)]
    pub client_secret: Option<String>,
    /// Every event of the enrollment in the order of the log.
    pub history: Vec<HistoryEvent>,
}

impl std::fmt::Debug for AutopayDetail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AutopayDetail").field("autopay", &self.autopay).finish_non_exhaustive()
    }
}

impl AutopayDetail {
    /// The enrollment with its history.
    pub async fn of(mut view: AutopayView, role: Role, connection: &mut PgConnection) -> Result<Self, Problem> {
        let client_secret = view.autopay.client_secret.take();
        let stripe_account = view.autopay.setup.as_ref().and_then(|setup| setup.account.clone());
        let history = autopay::history(connection, view.autopay.autopay_id).await.map_err(refused)?;
        let history = HistoryEvent::all(history, role);
        Ok(Self { autopay: Autopay::of(view, role), stripe_account, client_secret, history })
    }
}

impl Listed for Autopay {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "autopay_id",
        "status",
        "method",
        "kind",
        "reason.code",
        "reason.words.en",
        "new_method_required",
        "retries_left",
        "next_attempt_at",
        "failed_invoice_id",
        "cap.amount",
        "cap.currency",
        "property_id",
        "property_name",
        "time_zone",
        "resident_id",
        "resident_name",
        "activated_at",
        "cancelled_at",
        "changed_at",
        "version",
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
            property: parameters.value("property_id"),
            resident: parameters.value("resident_id"),
        };
        let (key, descending) = parameters.order();
        let sort = if key == "next_attempt_at" { SortBy::NextAttempt } else { SortBy::ChangedAt };
        let found = autopay::list(connection, &filter, sort, descending, paging).await.map_err(refused)?;
        Ok(found.map(|view| Self::of(view, asked.role)))
    }
}

impl Detailed for AutopayDetail {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let found = autopay::detail(connection, asked.visibility, id).await.map_err(refused)?;
        let Some(view) = found else { return Ok(None) };
        Self::of(view, asked.role, connection).await.map(Some)
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("autopay", self.autopay.autopay_id), self.autopay.version))
    }

    /// Not time, but invoices and payments that the answer may not name any more.
    fn ages(&self) -> bool {
        true
    }
}
