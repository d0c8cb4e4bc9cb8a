//! How the signing stands: alarms about logs that are refused, and what the outside is told of them.

use events::OrganizationId;
use sqlx::PgPool;
use uuid::Uuid;

use super::Refusal;
use crate::checkpoints::size;

/// Raises an alarm for each refusal that is new.
pub(super) async fn tell(pool: &PgPool, refused: &[Refusal]) -> Result<(), sqlx::Error> {
    for Refusal { organization, position, reason } in refused {
        let news = sqlx::query(
            "insert into engine.checkpoint_refusals as known (organization_id, position, reason) values ($1, $2, $3)
             on conflict (organization_id) do update set position = $2, reason = $3, since = now()
             where (known.position, known.reason) <> ($2, $3)",
        )
        .bind(organization.0)
        .bind(i64::try_from(*position).unwrap_or(i64::MAX))
        .bind(reason)
        .execute(pool)
        .await?;
        if news.rows_affected() > 0 {
            tracing::error!(
                organization.id = %organization, position, reason,
                "the log is not what was signed before: no checkpoint is signed until a person has looked"
            );
        }
    }
    Ok(())
}

/// How many events no checkpoint covers, and the logs that are refused.
pub async fn standing(pool: &PgPool) -> Result<(i64, Vec<Refusal>), sqlx::Error> {
    let unsigned = sqlx::query_scalar(
        "select coalesce(sum(greatest(head.position - coalesce(last.size, 0), 0)), 0)::bigint
         from log.heads head
         left join lateral (
             select size from log.checkpoints signed
             where signed.organization_id = head.organization_id order by number desc limit 1
         ) last on true",
    )
    .fetch_one(pool)
    .await?;
    let rows: Vec<(Uuid, i64, String)> = sqlx::query_as(
        "select organization_id, position, reason from engine.checkpoint_refusals order by organization_id",
    )
    .fetch_all(pool)
    .await?;
    let refused = rows.into_iter().map(|(organization, position, reason)| Refusal {
        organization: OrganizationId(organization),
        position: size(position),
        reason,
    });
    Ok((unsigned, refused.collect()))
}
