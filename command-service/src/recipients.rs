//! Whose number a text came from: written before the first text goes to a number, so that no answer can come before it.

use chrono::TimeDelta;
use domain::sms_consent::{CODES_A_DAY, CODES_AN_HOUR};
use events::{NumberKey, OrganizationId, Phone, ResidentId, TextId};
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

/// Notes that a code goes to a number; `false` where enough went there of late, whichever residents had them sent. A number that several
/// have typed is still one telephone.
pub async fn may_get_code(
    engine: &Engine,
    organization: OrganizationId,
    number: NumberKey,
    text: TextId,
) -> Result<bool, sqlx::Error> {
    let (pool, now) = (engine.store().pool(), engine.clock().now());
    let noted = sqlx::query(
        "with known as (
             select sent_at from engine.text_codes
             where organization_id = $1 and number_key = $2 and text_id <> $3 and sent_at > $5
         )
         insert into engine.text_codes (organization_id, number_key, text_id, sent_at)
         select $1, $2, $3, $4
         where (select count(*) from known) < $7 and (select count(*) from known where sent_at > $6) < $8
         on conflict do nothing",
    )
    .bind(organization.0)
    .bind(number.0)
    .bind(text.0)
    .bind(now)
    .bind(now - TimeDelta::days(1))
    .bind(now - TimeDelta::hours(1))
    .bind(i64::try_from(CODES_A_DAY).unwrap_or(i64::MAX))
    .bind(i64::try_from(CODES_AN_HOUR).unwrap_or(i64::MAX))
    .execute(pool)
    .await?;
    if noted.rows_affected() == 1 {
        return Ok(true);
    }
    // The same code once more, after a crash.
    sqlx::query_scalar(
        "select exists (select 1 from engine.text_codes
             where organization_id = $1 and number_key = $2 and text_id = $3)",
    )
    .bind(organization.0)
    .bind(number.0)
    .bind(text.0)
    .fetch_one(pool)
    .await
}

/// Empties what counts no more.
pub async fn forget_codes(engine: &Engine) -> Result<u64, sqlx::Error> {
    sqlx::query("delete from engine.text_codes where sent_at < $1")
        .bind(engine.clock().now() - TimeDelta::days(2))
        .execute(engine.store().pool())
        .await
        .map(|done| done.rows_affected())
}

/// Every resident of every organization that this number may speak for, in a fixed order.
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
