//! Residents: list with search, and detail with homes past and present.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::ResidentRow;
use crate::{
    query::{
        Page, Paging, Query, QueryError, Sort, Visibility, all, and, first, lives_in, page, select, within_resident,
    },
    text::{containing, folded},
};

/// A stay in a unit, with names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    pub property_id: Uuid,
    pub property_name: Option<String>,
    pub unit_id: Uuid,
    pub unit_label: Option<String>,
    /// `Owner`, `Tenant` or `Occupant`.
    pub tenure: Option<String>,
    pub moved_in_on: Option<NaiveDate>,
    pub moved_out_on: Option<NaiveDate>,
}

/// A resident and every stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResidentDetail {
    #[serde(flatten)]
    pub resident: ResidentRow,
    pub stays: Vec<Home>,
}

/// Which residents are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    /// Words, each part of the name or e-mail address; case and accents do not matter.
    pub search: Option<String>,
    pub property: Option<Uuid>,
    pub unit: Option<Uuid>,
    /// `Active` or `Inactive`.
    pub status: Option<String>,
}

fn visible(visibility: Visibility) -> Query {
    let mut query =
        select("select resident.*, coalesce(resident.sort_name, '') as by_name from read.resident resident where true");
    within_resident(&mut query, "resident.resident_id", visibility);
    query
}

/// What a property may know of a resident: the homes that it holds itself.
fn trimmed(mut row: ResidentRow, visibility: Visibility) -> ResidentRow {
    if let Some(property) = visibility.property {
        row.homes.retain(|home| home.property_id == property);
        row.property_ids.retain(|id| *id == property);
    }
    row
}

/// A page of residents by family name.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<ResidentRow>, QueryError> {
    let mut query = visible(filter.visibility);
    for word in filter.search.iter().flat_map(|search| search.split_whitespace()) {
        and(&mut query, "resident.search like ", Some(containing(&folded(word))));
    }
    if let Some(property) = filter.property {
        lives_in(&mut query, "resident.resident_id", "property_id", property);
    }
    if let Some(unit) = filter.unit {
        lives_in(&mut query, "resident.resident_id", "unit_id", unit);
    }
    and(&mut query, "resident.status = ", filter.status.clone());
    let found: Page<ResidentRow> = page(connection, query, &Sort::text("by_name", "resident_id"), paging).await?;
    Ok(found.map(|row| trimmed(row, filter.visibility)))
}

/// One resident.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
) -> Result<Option<ResidentDetail>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "resident.resident_id = ", Some(id));
    let Some(resident) = first(connection, query).await? else { return Ok(None) };
    let mut stays = select(
        "select stay.*, property.name as property_name, unit.label as unit_label
         from read.residency stay
         left join read.property property on property.property_id = stay.property_id
         left join read.unit unit on unit.unit_id = stay.unit_id
         where true",
    );
    and(&mut stays, "stay.resident_id = ", Some(id));
    and(&mut stays, "stay.property_id = ", visibility.property);
    stays.push(" order by stay.moved_out_on desc nulls first, stay.moved_in_on, stay.unit_id");
    let stays = all(connection, stays).await?;
    Ok(Some(ResidentDetail { resident: trimmed(resident, visibility), stays }))
}
