//! Whose number a text came from: written before the first text goes to a number, so that no answer can come before it.

use events::{NumberKey, OrganizationId, Phone, ResidentId};
use sqlx::PgPool;
use uuid::Uuid;

use crate::Engine;

/// Remembers that a number may answer for a resident. Called before the provider is.
pub async fn remember(
    pool: &PgPool,
    organization: OrganizationId,
    number: NumberKey,
    resident: ResidentId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into engine.text_recipients (organization_id, number_key, resident_id) values ($1, $2, $3)
         on conflict do nothing",
    )
    .bind(organization.0)
    .bind(number.0)
    .bind(resident.0)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Every resident of every organization that this number may speak for, in a fixed order: the first one's stream answers.
///
/// A number's key is another one in each organization, so all are looked under.
pub async fn of_number(engine: &Engine, number: &Phone) -> Result<Vec<(OrganizationId, ResidentId)>, sqlx::Error> {
    let pool = engine.store().pool();
    let organizations: Vec<Uuid> =
        sqlx::query_scalar("select distinct organization_id from engine.text_recipients").fetch_all(pool).await?;
    let keyring = engine.store().keyring();
    let keys: Vec<Uuid> = organizations.iter().map(|id| keyring.digest(OrganizationId(*id), number.as_str())).collect();
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select organization_id, resident_id from engine.text_recipients
         join unnest($1::uuid[], $2::uuid[]) as wanted (organization_id, number_key) using (organization_id, number_key)
         order by organization_id, resident_id",
    )
    .bind(organizations)
    .bind(keys)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(organization, resident)| (OrganizationId(organization), ResidentId(resident))).collect())
}
