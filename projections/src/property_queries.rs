//! Properties: list and detail.

use sqlx::PgConnection;
use uuid::Uuid;

use super::PropertyRow;
use crate::{
    query::{Page, Paging, Query, QueryError, Sort, Visibility, and, first, page, select},
    text::containing,
};

/// Which properties are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    /// Part of the name.
    pub search: Option<String>,
}

fn visible(visibility: Visibility) -> Query {
    let mut query = select("select * from read.property property where true");
    and(&mut query, "property.property_id = ", visibility.property);
    if let Some(resident) = visibility.resident {
        query
            .push(" and property.property_id in (select property_id from read.residency where resident_id = ")
            .push_bind(resident)
            .push(" union select property_id from read.invoice where resident_id = ")
            .push_bind(resident)
            .push(")");
    }
    query
}

/// A page of properties by name.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<PropertyRow>, QueryError> {
    let mut query = visible(filter.visibility);
    and(&mut query, "property.name ilike ", filter.search.as_deref().map(containing));
    page(connection, query, &Sort::text("name", "property_id"), paging).await
}

/// One property.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
) -> Result<Option<PropertyRow>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "property.property_id = ", Some(id));
    first(connection, query).await
}
