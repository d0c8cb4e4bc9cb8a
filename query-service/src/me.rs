//! Who is calling, and what they reach.

use edge::{Caller, Problem};
use events::Role;
use poem_openapi::Object;
use projections::{organization, resident};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    operation::{OPERATIONS, Operation},
    reading::refused,
    resident::ResidentDetail,
};

/// `GET /v1/me`
pub const ME: Operation = Operation {
    method: "GET",
    path: "/v1/me",
    tag: "Me",
    summary: "Show who is calling",
    roles: &Role::PEOPLE,
    reach: "Everybody sees their own role and reach; residents also their own record.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/me.json"),
};

/// The caller.
#[derive(Debug, Clone, Object)]
pub struct Me {
    /// `token:…` or `session:…`.
    pub name: String,
    pub role: String,
    pub organization_id: Uuid,
    pub organization_name: Option<String>,
    /// The only property that the caller reaches; null: the whole organization, or a resident's own.
    pub property_id: Option<Uuid>,
    /// A resident's own record.
    pub resident: Option<ResidentDetail>,
    /// The queries that the role admits.
    pub queries: Vec<String>,
}

impl Me {
    /// What is known of the caller.
    pub async fn read(caller: &Caller, asked: &Asked, connection: &mut PgConnection) -> Result<Self, Problem> {
        let organization = organization::find(connection).await.map_err(refused)?;
        let resident = match caller.resident {
            Some(id) => resident::detail(connection, asked.visibility, id.0).await.map_err(refused)?,
            None => None,
        };
        let admitted = OPERATIONS.iter().filter(|operation| operation.roles.contains(&caller.role));
        Ok(Self {
            name: caller.name.clone(),
            role: caller.role.name().to_owned(),
            organization_id: caller.organization.0,
            organization_name: organization.map(|organization| organization.name),
            property_id: caller.property.map(|property| property.0),
            resident: resident.map(ResidentDetail::from),
            queries: admitted.map(|operation| format!("{} {}", operation.method, operation.path)).collect(),
        })
    }
}
