//! Bulk jobs: how far they are, and what became of each item.

use edge::Problem;
use poem_openapi::Object;
use projections::{
    Paging,
    job::{self, Filter, JobRow},
    job_item::JobItemRow,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::{Asked, missing},
    detail::{Detailed, Stream},
    instant::Instant,
    listing::{Listed, shown},
    operation::{self, Kind, MANAGERS, Operation},
    reading::refused,
};

/// `GET /v1/jobs`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/jobs",
    tag: "Jobs",
    summary: "List bulk jobs, latest first",
    roles: MANAGERS,
    reach: "Managers see the jobs in their scope.",
    filters: &[
        operation::Filter {
            name: "state",
            kind: Kind::Choice(&["Running", "Completed"]),
            description: "Only those at work, or only those that are done.",
            example: "Running",
        },
        operation::Filter {
            name: "kind",
            kind: Kind::Choice(&["DraftInvoices", "PublishInvoices"]),
            description: "Only this kind of work.",
            example: "PublishInvoices",
        },
        operation::PROPERTY,
    ],
    sorts: &["-started_at"],
    example: include_str!("examples/job.json"),
};

/// `GET /v1/jobs/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/jobs/{id}",
    tag: "Jobs",
    summary: "Show a job with its first 500 items",
    roles: MANAGERS,
    reach: "Managers see the jobs in their scope. All items are at `/v1/jobs/{id}/items`.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/job_detail.json"),
};

/// `GET /v1/jobs/{id}/items`
pub const ITEMS: Operation = Operation {
    method: "GET",
    path: "/v1/jobs/{id}/items",
    tag: "Jobs",
    summary: "List a job's items in the order in which they were handled",
    roles: MANAGERS,
    reach: "Managers see the jobs in their scope.",
    filters: &[operation::Filter {
        name: "refused",
        kind: Kind::Flag,
        description: "`true`: only those that were refused.",
        example: "true",
    }],
    sorts: &["ordinal"],
    example: include_str!("examples/job_item.json"),
};

/// A bulk job.
#[derive(Debug, Clone, Object)]
pub struct Job {
    pub job_id: Uuid,
    pub property_id: Uuid,
    /// `DraftInvoices` or `PublishInvoices`.
    pub kind: String,
    /// `Running` or `Completed`.
    pub state: String,
    pub total: i64,
    /// Items that were handled, refused ones included.
    pub done: i64,
    pub refused: i64,
    pub started_at: Instant,
    pub completed_at: Option<Instant>,
    /// What `If-Match` expects.
    pub version: i64,
}

/// What became of one item.
#[derive(Debug, Clone, Object)]
pub struct JobItem {
    pub ordinal: i64,
    /// The invoice.
    pub item: Uuid,
    /// `Done` or `Refused`.
    pub state: String,
    /// The refusal in words.
    pub refusal: Option<String>,
}

/// A job with its items.
#[derive(Debug, Clone, Object)]
pub struct JobDetail {
    #[oai(flatten)]
    pub job: Job,
    /// The first 500.
    pub items: Vec<JobItem>,
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        Self {
            job_id: row.job_id,
            property_id: row.property_id,
            kind: row.kind,
            state: row.state,
            total: row.total,
            done: row.done,
            refused: row.refused,
            started_at: Instant(row.started_at),
            completed_at: row.completed_at.map(Instant),
            version: row.version,
        }
    }
}

impl From<JobItemRow> for JobItem {
    fn from(row: JobItemRow) -> Self {
        Self { ordinal: row.ordinal, item: row.item, state: row.state, refusal: row.refusal }
    }
}

impl Listed for Job {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "job_id",
        "property_id",
        "kind",
        "state",
        "total",
        "done",
        "refused",
        "started_at",
        "completed_at",
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
            state: parameters.value("state"),
            kind: parameters.value("kind"),
            property: parameters.value("property_id"),
        };
        shown(job::list(connection, &filter, paging).await)
    }
}

impl Listed for JobItem {
    const OPERATION: Operation = ITEMS;
    const CSV: &'static [&'static str] = &["ordinal", "item", "state", "refusal"];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let id = asked.id.ok_or_else(missing)?;
        if job::detail(connection, asked.visibility, id).await.map_err(refused)?.is_none() {
            return Err(missing());
        }
        let only = asked.parameters.value("refused").unwrap_or_default();
        shown(job::items(connection, asked.visibility, id, only, paging).await)
    }
}

impl Detailed for JobDetail {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let Some(job) = job::detail(connection, asked.visibility, id).await.map_err(refused)? else { return Ok(None) };
        let paging = Paging { limit: Paging::MOST, after: None };
        let items = shown(job::items(connection, asked.visibility, id, false, &paging).await)?.items;
        Ok(Some(Self { job: job.into(), items }))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("job", self.job.job_id), self.job.version))
    }
}
