//! After a restore: workers stand still until a person accepts the history, since what was done at providers meanwhile is not in it.

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
/// The database's own identity, and how often its history forked.
const HERE: &str = "(select system_identifier || '/' || timeline_id from pg_control_system(), pg_control_checkpoint())";

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
    sqlx::query_scalar(&format!(
        "update engine.installation known set
             quarantined_since = case when known.cluster <> here.cluster then coalesce(quarantined_since, now())
                 else quarantined_since end,
             cluster = coalesce(known.cluster, here.cluster)
         from (select {HERE} as cluster) here returning quarantined_since"
    ))
    .fetch_one(pool)
    .await
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
        "update engine.outbox set calling = true, first_called_at = least(first_called_at, $1), holder = null,
             lease_until = null
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
        "update engine.installation set incarnation = incarnation + 1, quarantined_since = null, cluster = {HERE},
             restored_to = $1, restored_at = now()
         returning incarnation"
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

/// Waits until work may begin; `false` when it was told to stop before.
pub async fn over(pool: &PgPool, mut stop: watch::Receiver<bool>) -> bool {
    let mut told = false;
    while !*stop.borrow() {
        match since(pool).await {
            Ok(None) => return true,
            Ok(Some(since)) if !told => {
                told = true;
                tracing::error!(
                    %since,
                    "this history was restored: nothing is charged or sent until `propty restore accept`"
                );
            }
            Ok(Some(_)) => {}
            Err(error) => tracing::error!(%error, "whether the history was restored cannot be read"),
        }
        let _ = timeout(LOOK, stop.changed()).await;
    }
    false
}
