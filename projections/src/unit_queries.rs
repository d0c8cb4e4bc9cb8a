//! Units with their occupants: list and detail.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::UnitRow;
use crate::{
    query::{Page, Paging, Query, QueryError, Sort, Visibility, and, first, page, select},
    text::{containing, natural},
};

/// Who lives in a unit now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupant {
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub name: Option<String>,
    /// `Owner`, `Tenant` or `Occupant`.
    pub tenure: Option<String>,
    pub moved_in_on: Option<NaiveDate>,
}

/// A unit and who lives in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitView {
    #[serde(flatten)]
    pub unit: UnitRow,
    pub property_name: Option<String>,
    pub occupants: Vec<Occupant>,
}

/// Which units are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    pub property: Option<Uuid>,
    /// Part of the label.
    pub search: Option<String>,
}

fn visible(visibility: Visibility) -> Query {
    let mut query = select(
        "select unit.*, property.name as property_name, coalesce((
             select json_agg(json_build_object(
                        'resident_id', stay.resident_id, 'tenure', stay.tenure, 'moved_in_on', stay.moved_in_on,
                        'name', nullif(concat_ws(' ', resident.first_name, resident.last_name), '')
                    ) order by stay.moved_in_on, stay.resident_id)
             from read.residency stay left join read.resident resident on resident.resident_id = stay.resident_id
             where stay.unit_id = unit.unit_id and stay.moved_out_on is null",
    );
    // A neighbour in the same unit is nobody's business but the manager's.
    and(&mut query, "stay.resident_id = ", visibility.resident);
    query.push(
        "), '[]') as occupants
         from read.unit unit left join read.property property on property.property_id = unit.property_id where true",
    );
    and(&mut query, "unit.property_id = ", visibility.property);
    if let Some(resident) = visibility.resident {
        query
            .push(" and unit.unit_id in (select unit_id from read.residency where resident_id = ")
            .push_bind(resident)
            .push(")");
    }
    query
}

/// A page of units in natural order: 2 before 10.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<UnitView>, QueryError> {
    let mut query = visible(filter.visibility);
    and(&mut query, "unit.property_id = ", filter.property);
    if let Some(search) = &filter.search {
        query.push(" and (unit.label ilike ").push_bind(containing(search));
        query.push(" or unit.label_key like ").push_bind(containing(&natural(search))).push(")");
    }
    page(connection, query, &Sort::text("label_key", "unit_id"), paging).await
}

/// One unit.
pub async fn detail(
    connection: &mut PgConnection,
    visibility: Visibility,
    id: Uuid,
) -> Result<Option<UnitView>, QueryError> {
    let mut query = visible(visibility);
    and(&mut query, "unit.unit_id = ", Some(id));
    first(connection, query).await
}
