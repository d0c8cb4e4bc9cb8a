//! Jobs: list, detail and items.

use sqlx::PgConnection;
use uuid::Uuid;

use super::JobRow;
use crate::{
    job_item::JobItemRow,
    query::{Page, Paging, Query, QueryError, Sort, Visibility, and, first, page, select, within_property},
};

/// Which jobs are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    /// `Running` or `Completed`.
    pub state: Option<String>,
    /// `DraftInvoices` or `PublishInvoices`.
    pub kind: Option<String>,
    pub property: Option<Uuid>,
}

fn visible(visibility: Visibility) -> Query {
    let mut query = select("select job.* from read.job job where true");
    within_property(&mut query, "job.property_id", visibility);
    query
}

/// A page of jobs, latest first.
pub async fn list(connection: &mut PgConnection, filter: &Filter, paging: &Paging) -> Result<Page<JobRow>, QueryError> {
    let mut query = visible(filter.visibility);
    and(&mut query, "job.state = ", filter.state.clone());
    and(&mut query, "job.kind = ", filter.kind.clone());
    and(&mut query, "job.property_id = ", filter.property);
    page(connection, query, &Sort::instant("started_at", "job_id").descending(), paging).await
}

/// One job.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
) -> Result<Option<JobRow>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "job.job_id = ", Some(id));
    first(connection, query).await
}

/// A page of a job's items in the order in which they were handled; empty for a job that the caller may not see.
pub async fn items(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
    refused_only: bool,
    paging: &Paging,
) -> Result<Page<JobItemRow>, QueryError> {
    let mut query =
        select("select item.* from read.job_item item join read.job job on job.job_id = item.job_id where true");
    within_property(&mut query, "job.property_id", visibility);
    and(&mut query, "item.job_id = ", Some(id));
    if refused_only {
        query.push(" and item.state = 'Refused'");
    }
    page(connection, query, &Sort::new("ordinal", "bigint", "job_item_id"), paging).await
}
