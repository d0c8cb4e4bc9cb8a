//! Consent as managers see it: every resident, also those who were never asked.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::SmsConsentRow;
use crate::query::{
    Page, Paging, Query, QueryError, Sort, Visibility, and, first, lives_in, page, select, within_resident,
};

/// A resident and how their consent stands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentView {
    pub resident_id: Uuid,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub by_name: String,
    /// Null: never shown anything, and nothing ever came from their number.
    pub consent: Option<SmsConsentRow>,
}

impl std::fmt::Debug for ConsentView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentView").field("resident_id", &self.resident_id).finish_non_exhaustive()
    }
}

/// Which residents are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    pub property: Option<Uuid>,
    pub resident: Option<Uuid>,
    /// Whether they can be texted.
    pub opted_in: Option<bool>,
    /// Only those of whom a text waits to be read.
    pub held: Option<bool>,
}

fn visible(visibility: Visibility) -> Query {
    let mut query = select(
        "select resident.resident_id, resident.first_name, resident.last_name,
             coalesce(resident.sort_name, '') as by_name, row_to_json(consent) as consent
         from read.resident resident left join read.sms_consent consent using (organization_id, resident_id)
         where true",
    );
    within_resident(&mut query, "resident.resident_id", visibility);
    query
}

/// A page of residents by family name.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<ConsentView>, QueryError> {
    let mut query = visible(filter.visibility);
    if let Some(property) = filter.property {
        lives_in(&mut query, "resident.resident_id", "property_id", property);
    }
    and(&mut query, "resident.resident_id = ", filter.resident);
    and(&mut query, "coalesce(consent.status = 'Granted', false) = ", filter.opted_in);
    and(&mut query, "coalesce(json_array_length(consent.held) > 0, false) = ", filter.held);
    page(connection, query, &Sort::text("by_name", "resident_id"), paging).await
}

/// One resident's.
pub async fn of_resident(
    connection: &mut PgConnection,
    visibility: Visibility,
    resident: Uuid,
) -> Result<Option<ConsentView>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "resident.resident_id = ", Some(resident));
    first(connection, query).await
}

/// Everybody who lives or lived in a property.
pub async fn residents_of(connection: &mut PgConnection, property: Uuid) -> Result<Vec<Uuid>, QueryError> {
    let ids = sqlx::query_scalar(
        "select distinct resident_id from read.residency where property_id = $1 order by resident_id",
    )
    .bind(property)
    .fetch_all(connection)
    .await?;
    Ok(ids)
}
