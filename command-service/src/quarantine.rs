//! After a restore or a failover: workers stand still until a person accepts the history, since what was done at providers
//! meanwhile may not be in it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::{sync::watch, time::timeout};

/// How often workers look whether they may begin.
const LOOK: Duration = Duration::from_secs(2);
/// For so long a charge that begins is looked for at Stripe first.
const DOUBT_DAYS: i32 = 60;
/// Effects that may have been called in the time that was lost, under keys that providers may have forgotten.
const CALLING: [&str; 4] = ["SubmitPayment", "SubmitRefund", "SendEmail", "OpenStripeAccount"];
/// How often the database's history forked: as it writes at this moment, for after a promotion the control file tells it only from
/// the next checkpoint on, minutes later.
const TIMELINE: &str = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int::text";

/// The database's own identity, and its timeline.
fn here() -> String {
    format!("(select system_identifier || '/' || {TIMELINE} from pg_control_system())")
}

/// A condition: work may go on. Part of every statement by which work is taken up, so that a standby that was promoted at the
/// same address is noticed by the first of them, and cheap: nothing but memory is read.
pub(crate) fn allows() -> String {
    format!(
        "exists (select from engine.installation
                 where quarantined_since is null and (cluster is null or split_part(cluster, '/', 2) = {TIMELINE}))"
    )
}

/// What accepting a restored history did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Part of every key from now on.
    pub incarnation: i32,
    /// Until when the history is known to be whole.
    pub restored_to: DateTime<Utc>,
    /// Calls that are looked for at their providers before they are made.
    pub doubtful: u64,
    /// Texts that may have gone out, left to a person.
    pub texts: u64,
}

/// Notes where the database is, and since when workers stand still, if they do. A database of another identity, or whose history
/// forked, was restored or has failed over: the end of its history may be missing.
pub async fn since(pool: &PgPool) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    // Written only where there is something new: it is asked every few seconds.
    let noted: Option<Option<DateTime<Utc>>> = sqlx::query_scalar(&format!(
        "update engine.installation known set
             quarantined_since = case when known.cluster <> here.cluster then coalesce(quarantined_since, now())
                 else quarantined_since end,
             cluster = coalesce(known.cluster, here.cluster)
         from (select {} as cluster) here
         where known.cluster is null or (known.cluster <> here.cluster and quarantined_since is null)
         returning quarantined_since",
        here()
    ))
    .fetch_optional(pool)
    .await?;
    match noted {
        Some(since) => Ok(since),
        None => sqlx::query_scalar("select quarantined_since from engine.installation").fetch_one(pool).await,
    }
}

/// A person's word that this history was restored: by a copy of the folder, say, which nothing else shows.
pub async fn begin(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("update engine.installation set quarantined_since = coalesce(quarantined_since, now())")
        .execute(pool)
        .await
        .map(|_| ())
}

/// A person's word that work may go on; `None` when nothing waits for it.
pub async fn accept(pool: &PgPool) -> Result<Option<Accepted>, sqlx::Error> {
    let mut transaction = event_store::transaction::begin(pool).await?;
    let quarantined: Option<DateTime<Utc>> =
        sqlx::query_scalar("select quarantined_since from engine.installation for update")
            .fetch_one(&mut *transaction)
            .await?;
    if quarantined.is_none() {
        return Ok(None);
    }
    // The last sign of life by the machine's clock.
    let restored_to: DateTime<Utc> = sqlx::query_scalar(
        "select coalesce(greatest((select max(created_at) from engine.outbox), (select max(received_at) from engine.webhooks)),
                         now())",
    )
    .fetch_one(&mut *transaction)
    .await?;
    let doubtful = sqlx::query(
        "update engine.outbox set calling = true, first_called_at = least(first_called_at, $1),
             last_called_at = greatest(last_called_at, $1), holder = null, lease_until = null
         where state = 'ready' and kind = 'effect' and name = any($2)",
    )
    .bind(restored_to)
    .bind(CALLING.as_slice())
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    let texts = sqlx::query(
        "update engine.outbox set state = 'unresolved', finished_at = now(), holder = null, lease_until = null,
             last_error = 'it may have been sent in the time that a restore lost'
         where state = 'ready' and name = 'SendText' and due_at <= now()",
    )
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    let incarnation: i32 = sqlx::query_scalar(&format!(
        "update engine.installation set incarnation = incarnation + 1, quarantined_since = null, cluster = {},
             restored_to = $1, restored_at = now()
         returning incarnation",
        here()
    ))
    .bind(restored_to)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Some(Accepted { incarnation, restored_to, doubtful, texts }))
}

/// From when charges may have been made that the history does not know; `None` when none was lost, or long ago.
pub async fn in_doubt_since(pool: &PgPool) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "select restored_to from engine.installation where restored_at > now() - make_interval(days => $1)",
    )
    .bind(DOUBT_DAYS)
    .fetch_optional(pool)
    .await
    .map(Option::flatten)
}

/// Waits until work may begin, or go on; `false` when it was told to stop before.
pub async fn over(pool: &PgPool, mut stop: watch::Receiver<bool>) -> bool {
    while !*stop.borrow() {
        match since(pool).await {
            Ok(None) => return true,
            Ok(Some(_)) => {}
            Err(error) => tracing::error!(%error, "whether the history was restored cannot be read"),
        }
        let _ = timeout(LOOK, stop.changed()).await;
    }
    false
}

/// Looks as long as there is work: a failover is told to people at once, and noted for whoever asks.
pub async fn watch(pool: &PgPool, mut stop: watch::Receiver<bool>) {
    let mut told = None;
    while !*stop.borrow() {
        match since(pool).await {
            Ok(Some(since)) if told != Some(since) => {
                told = Some(since);
                tracing::error!(
                    %since,
                    "this history was restored, or has failed over: nothing is charged or sent until `propty restore accept`"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "whether the history was restored cannot be read"),
        }
        let _ = timeout(LOOK, stop.changed()).await;
    }
}
