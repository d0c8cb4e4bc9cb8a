//! The outbox: rows for commands and effects, claimed with a lease, finished with an outcome.

use std::time::Duration;

use chrono::{DateTime, Utc};
use events::OrganizationId;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

/// How long a claimed row is left to a worker that says nothing; one at work renews it, however long a provider takes.
pub const LEASE: Duration = Duration::from_secs(8);

/// How a row is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// As soon as it is due.
    Prompt,
    /// As the pace of charges by autopay allows.
    Paced,
}

impl Lane {
    const fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Paced => "paced",
        }
    }
}

/// A row to be written.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub organization: OrganizationId,
    /// `command` or `effect`.
    pub kind: &'static str,
    pub name: &'static str,
    pub lane: Lane,
    pub body: Value,
    pub correlation: Uuid,
    pub causation: String,
    pub due_at: DateTime<Utc>,
    /// Set when the process itself could not say what to do.
    pub problem: Option<String>,
}

/// A row that this worker has claimed.
#[derive(Debug, Clone)]
pub struct Task {
    pub key: String,
    pub organization: OrganizationId,
    pub kind: String,
    pub name: String,
    pub body: Value,
    pub correlation: Uuid,
    pub causation: String,
    pub attempts: i32,
    /// Whose claim this is.
    pub holder: Uuid,
    /// An earlier attempt may have reached the provider without an answer.
    pub interrupted: bool,
    /// Machine clock: when the provider was first called for it.
    pub first_called_at: Option<DateTime<Utc>>,
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    Finished,
    /// Refused for good, with the reason.
    Refused(String),
    /// All is well, and it is to be looked at again after this long.
    Later {
        after: Duration,
        why: String,
    },
    /// It is not time yet: it is to be looked at again at this instant of the business clock.
    At {
        when: DateTime<Utc>,
        why: &'static str,
    },
    /// This attempt surely did nothing: try again after this long.
    Again {
        after: Duration,
        why: String,
    },
    /// This attempt may have reached the provider: try again after this long, knowing so.
    Unsure {
        after: Duration,
        why: String,
    },
    /// A person has to look.
    Unresolved(String),
}

/// Writes rows; those that exist already are left alone.
pub async fn add(connection: &mut PgConnection, entries: &[Entry]) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into engine.outbox (key, organization_id, kind, name, lane, body, correlation, causation, due_at, state, last_error)
         select key, organization_id, kind, name, lane, body::json, correlation, causation, due_at,
                case when problem is null then 'ready' else 'unresolved' end, problem
         from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[],
                     $8::timestamptz[], $9::text[], $10::text[])
              as entry (key, organization_id, kind, name, body, correlation, causation, due_at, problem, lane)
         on conflict (key) do nothing",
    )
    .bind(entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.organization.0).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.kind).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.name).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.body.to_string()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.correlation).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.causation.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.due_at).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.problem.as_deref()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.lane.name()).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(|_| ())
}

/// Claims up to `limit` rows of a lane that are due.
pub async fn claim(
    pool: &PgPool,
    holder: Uuid,
    business_now: DateTime<Utc>,
    lane: Lane,
    limit: i64,
) -> Result<Vec<Task>, sqlx::Error> {
    if limit <= 0 {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "with retried as (
             select key from engine.outbox
             where state = 'ready' and lane = $5 and retry_at > '-infinity' and retry_at <= now() and due_at <= $3
                 and (lease_until is null or lease_until < now())
             order by retry_at limit $4 for update skip locked
         ), due as (
             select key from engine.outbox
             where state = 'ready' and lane = $5 and retry_at = '-infinity' and due_at <= $3
                 and (lease_until is null or lease_until < now())
             order by due_at limit $4 for update skip locked
         )
         update engine.outbox set holder = $1, lease_until = now() + $2, attempts = attempts + 1
         where key in (select key from (select * from retried union all select * from due) either limit $4)
         returning key, organization_id, kind, name, body, correlation, causation, attempts, holder, calling,
                   first_called_at",
    )
    .bind(holder)
    .bind(LEASE)
    .bind(business_now)
    .bind(limit)
    .bind(lane.name())
    .fetch_all(pool)
    .await?;
    rows.iter().map(task).collect()
}

/// Keeps what a worker has under way: a killed one's rows are free again soon, a slow one's are not.
pub async fn renew(pool: &PgPool, holder: Uuid, keys: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update engine.outbox set lease_until = now() + $2 where state = 'ready' and holder = $1 and key = any($3)",
    )
    .bind(holder)
    .bind(LEASE)
    .bind(keys)
    .execute(pool)
    .await
    .map(|_| ())
}

fn task(row: &PgRow) -> Result<Task, sqlx::Error> {
    Ok(Task {
        key: row.try_get("key")?,
        organization: OrganizationId(row.try_get("organization_id")?),
        kind: row.try_get("kind")?,
        name: row.try_get("name")?,
        body: row.try_get("body")?,
        correlation: row.try_get("correlation")?,
        causation: row.try_get("causation")?,
        attempts: row.try_get("attempts")?,
        holder: row.try_get("holder")?,
        interrupted: row.try_get("calling")?,
        first_called_at: row.try_get("first_called_at")?,
    })
}

/// Notes, before a provider is called, that it is about to be: a crash from here on leaves the outcome unknown.
/// `None` when another worker has taken the row over: then the call is theirs, and this one must not be made.
pub async fn calling(pool: &PgPool, task: &Task) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "update engine.outbox set calling = true, first_called_at = coalesce(first_called_at, now())
         where key = $1 and holder = $2 and state = 'ready' returning first_called_at",
    )
    .bind(&task.key)
    .bind(task.holder)
    .fetch_optional(pool)
    .await
}

/// Writes an outcome, unless another worker has taken the row over.
pub async fn finish(pool: &PgPool, task: &Task, done: &Done) -> Result<(), sqlx::Error> {
    let (state, error, after) = match done {
        Done::Finished => ("done", None, None),
        Done::At { why, .. } => ("ready", Some(*why), None),
        Done::Refused(why) => ("refused", Some(why.as_str()), None),
        Done::Unresolved(why) => ("unresolved", Some(why.as_str()), None),
        Done::Later { after, why } | Done::Again { after, why } | Done::Unsure { after, why } => {
            ("ready", Some(why.as_str()), Some(*after))
        }
    };
    // Whether a call is without an answer; absent: as `calling` left it. What an earlier attempt did stays in doubt.
    let calling = match done {
        Done::Finished | Done::Refused(_) | Done::Later { .. } | Done::At { .. } => Some(false),
        Done::Again { .. } => Some(task.interrupted),
        Done::Unsure { .. } | Done::Unresolved(_) => None,
    };
    // A look that went well is no failed attempt.
    let attempts = matches!(done, Done::Later { .. } | Done::At { .. }).then_some(0);
    let due = match done {
        Done::At { when, .. } => Some(*when),
        _ => None,
    };
    sqlx::query(
        "update engine.outbox set state = $3, last_error = $4, lease_until = null, holder = null,
             calling = coalesce($6, calling), attempts = coalesce($7, attempts),
             retry_at = coalesce(now() + $5, '-infinity'), due_at = coalesce($8, due_at),
             finished_at = case when $3 = 'ready' then null else now() end
         where key = $1 and holder = $2",
    )
    .bind(&task.key)
    .bind(task.holder)
    .bind(state)
    .bind(error)
    .bind(after)
    .bind(calling)
    .bind(attempts)
    .bind(due)
    .execute(pool)
    .await
    .map(|_| ())
}

/// A person's word on what is unresolved or refused: try again. Whether a provider may have been reached is kept.
pub async fn retry(pool: &PgPool, key: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update engine.outbox set state = 'ready', attempts = 0, retry_at = '-infinity', lease_until = null,
             holder = null, finished_at = null
         where key = $1 and state in ('unresolved', 'refused')",
    )
    .bind(key)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The other word: leave it undone for good.
pub async fn leave_undone(pool: &PgPool, key: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update engine.outbox set state = 'dropped', finished_at = now()
         where key = $1 and state in ('unresolved', 'refused')",
    )
    .bind(key)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How many tasks wait, by state.
pub async fn counts(pool: &PgPool) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as("select state, count(*) from engine.outbox where state <> 'done' group by state order by state")
        .fetch_all(pool)
        .await
}
