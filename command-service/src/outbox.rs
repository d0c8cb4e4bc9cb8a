//! The outbox: rows for commands and effects, claimed with a lease, finished with an outcome.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{
    Kind, Payment,
    organization::{DropTask, ResumeTask},
};
use events::OrganizationId;
use processes::Effect;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{Ask, Engine, Fault, quarantine};

/// How long a claimed row is left to a worker that says nothing; one at work renews it, however long a provider takes.
pub const LEASE: Duration = Duration::from_secs(8);

/// How a row is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// As soon as it is due.
    Prompt,
    /// As the pace of charges by autopay allows.
    Paced,
    /// As the pace of texts allows.
    Texts,
}

impl Lane {
    const fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Paced => "paced",
            Self::Texts => "texts",
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
    /// Machine clock: when it last was.
    pub last_called_at: Option<DateTime<Utc>>,
    /// How often a person had it tried again.
    pub resumed: i32,
    /// Business clock: the second at which it was due, as it was claimed; a later word on it wins over this worker's.
    pub due_second: f64,
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
    let allowed = quarantine::allows();
    let rows = sqlx::query(&format!(
        "with retried as (
             select key from engine.outbox
             where state = 'ready' and lane = $5 and retry_at > '-infinity' and retry_at <= now() and due_at <= $3
                 and (lease_until is null or lease_until < now()) and {allowed}
             order by retry_at limit $4 for update skip locked
         ), due as (
             select key from engine.outbox
             where state = 'ready' and lane = $5 and retry_at = '-infinity' and due_at <= $3
                 and (lease_until is null or lease_until < now()) and {allowed}
             order by due_at limit $4 for update skip locked
         )
         update engine.outbox set holder = $1, lease_until = now() + $2, attempts = attempts + 1
         where key in (select key from (select * from retried union all select * from due) either limit $4)
         returning key, organization_id, kind, name, body, correlation, causation, attempts, holder, calling,
                   first_called_at, coalesce(last_called_at, first_called_at) as last_called_at, resumed, extract(epoch from due_at)::float8 as due_second"
    ))
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
        last_called_at: row.try_get("last_called_at")?,
        resumed: row.try_get("resumed")?,
        due_second: row.try_get("due_second")?,
    })
}

/// Notes, before a provider is called, that it is about to be: a crash from here on leaves the outcome unknown.
/// `None` when another worker has taken the row over, or the history has failed over since it was claimed: then this call must not
/// be made.
pub async fn calling(pool: &PgPool, task: &Task) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(&format!(
        "update engine.outbox set calling = true, first_called_at = coalesce(first_called_at, now()), last_called_at = now()
         where key = $1 and holder = $2 and state = 'ready' and {} returning first_called_at",
        quarantine::allows()
    ))
    .bind(&task.key)
    .bind(task.holder)
    .fetch_optional(pool)
    .await
}

/// Writes an outcome, unless another worker has taken the row over.
pub async fn finish(pool: &PgPool, task: &Task, done: &Done) -> Result<(), sqlx::Error> {
    finish_all(pool, &[(task, done)]).await
}

/// What an outcome writes.
struct Ended<'a> {
    state: &'static str,
    error: Option<&'a str>,
    after: Option<f64>,
    calling: Option<bool>,
    attempts: Option<i32>,
    due: Option<DateTime<Utc>>,
}

impl<'a> Ended<'a> {
    fn of(task: &Task, done: &'a Done) -> Self {
        let (state, error, after) = match done {
            Done::Finished => ("done", None, None),
            Done::At { why, .. } => ("ready", Some(*why), None),
            Done::Refused(why) => ("refused", Some(why.as_str()), None),
            Done::Unresolved(why) => ("unresolved", Some(why.as_str()), None),
            Done::Later { after, why } | Done::Again { after, why } | Done::Unsure { after, why } => {
                ("ready", Some(why.as_str()), Some(after.as_secs_f64()))
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
        Self { state, error, after, calling, attempts, due }
    }
}

/// Writes several outcomes at once, or none of them.
pub async fn finish_all(pool: &PgPool, tasks: &[(&Task, &Done)]) -> Result<(), sqlx::Error> {
    let ended: Vec<Ended<'_>> = tasks.iter().map(|(task, done)| Ended::of(task, done)).collect();
    sqlx::query(
        "update engine.outbox task set state = ended.state, last_error = ended.error, lease_until = null, holder = null,
             calling = coalesce(ended.calling, task.calling), attempts = coalesce(ended.attempts, task.attempts),
             retry_at = coalesce(now() + make_interval(secs => ended.after), '-infinity'),
             due_at = case when extract(epoch from task.due_at)::float8 = ended.due_second then coalesce(ended.due_at, task.due_at)
                 else task.due_at end,
             finished_at = case when ended.state = 'ready' then null else now() end
         from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::bool[], $6::int[], $7::float8[], $8::timestamptz[], $9::float8[])
             as ended (key, holder, state, error, calling, attempts, after, due_at, due_second)
         where task.key = ended.key and task.holder = ended.holder",
    )
    .bind(tasks.iter().map(|(task, _)| task.key.as_str()).collect::<Vec<_>>())
    .bind(tasks.iter().map(|(task, _)| task.holder).collect::<Vec<_>>())
    .bind(ended.iter().map(|ended| ended.state).collect::<Vec<_>>())
    .bind(ended.iter().map(|ended| ended.error).collect::<Vec<_>>())
    .bind(ended.iter().map(|ended| ended.calling).collect::<Vec<_>>())
    .bind(ended.iter().map(|ended| ended.attempts).collect::<Vec<_>>())
    .bind(ended.iter().map(|ended| ended.after).collect::<Vec<_>>())
    .bind(ended.iter().map(|ended| ended.due).collect::<Vec<_>>())
    .bind(tasks.iter().map(|(task, _)| task.due_second).collect::<Vec<_>>())
    .execute(pool)
    .await
    .map(|_| ())
}

/// Has timers of an organization look again now, those too that are being looked at this moment: they find out themselves when
/// they are due. What its last look finds of a later moment counts for nothing then.
pub async fn wake(
    pool: &PgPool,
    organization: OrganizationId,
    names: &[&str],
    business_now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let woken = sqlx::query(
        "update engine.outbox set due_at = $3
         where organization_id = $1 and name = any($2) and state = 'ready' and (due_at > $3 or lease_until > now())",
    )
    .bind(organization.0)
    .bind(names)
    .bind(business_now)
    .execute(pool)
    .await?;
    Ok(woken.rows_affected())
}

/// A person's word on what is unresolved or refused: try again. Whether a provider may have been reached is kept.
pub async fn retry(pool: &PgPool, key: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update engine.outbox set state = 'ready', attempts = 0, retry_at = '-infinity', lease_until = null,
             holder = null, finished_at = null, resumed = resumed + 1
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

/// A task that waits for a person: whose it is, what it is, how often it was tried again, and what it is about.
async fn left_to_a_person(
    pool: &PgPool,
    key: &str,
) -> Result<Option<(OrganizationId, String, i32, Value)>, sqlx::Error> {
    let row: Option<(Uuid, String, i32, Value)> = sqlx::query_as(
        "select organization_id, name, resumed, body from engine.outbox where key = $1 and state in ('unresolved', 'refused')",
    )
    .bind(key)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(organization, name, resumed, body)| (OrganizationId(organization), name, resumed, body)))
}

/// An operator's word that a task is tried again; `false` when none waits under this key. The word is noted before it has effect.
pub async fn resume(engine: &Engine, key: &str) -> Result<bool, Fault> {
    let pool = engine.store().pool();
    let Some((organization, name, resumed, _)) = left_to_a_person(pool, key).await? else { return Ok(false) };
    let times = u32::try_from(resumed).unwrap_or_default().saturating_add(1);
    let command = ResumeTask { key: key.to_owned(), name, times };
    engine.execute(command, &Ask::operator(organization)).await?;
    Ok(retry(pool, key).await?)
}

/// An operator's word that a task stays undone. Of a submission that is not over nobody would know any more whether it charged, and
/// its invoice would stay claimed: a person says that first.
pub async fn drop_for_good(engine: &Engine, key: &str) -> Result<bool, Fault> {
    let pool = engine.store().pool();
    let Some((organization, name, _, body)) = left_to_a_person(pool, key).await? else { return Ok(false) };
    let effect = serde_json::from_value(body);
    if let Ok(Effect::DestroyKeys { resident_id, .. } | Effect::EndRetention { resident_id, .. }) = effect {
        return Err(Fault::Refused {
            kind: Kind::Conflict,
            code: "ErasureUndone",
            message: format!(
                "resident {resident_id} was promised to be erased; mend what stands in the way, and retry it"
            ),
        });
    }
    if let Ok(Effect::SubmitPayment { payment_id }) = effect {
        let payment: Payment = engine.state(organization, payment_id.0).await?;
        if payment.holds_claim() {
            return Err(Fault::Refused {
                kind: Kind::Conflict,
                code: "PaymentInDoubt",
                message: format!(
                    "say first what became of payment {payment_id}: ResolvePayment, as Charged or NotCharged"
                ),
            });
        }
    }
    engine.execute(DropTask { key: key.to_owned(), name }, &Ask::operator(organization)).await?;
    Ok(leave_undone(pool, key).await?)
}

/// How many tasks wait, by state.
pub async fn counts(pool: &PgPool) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as("select state, count(*) from engine.outbox where state <> 'done' group by state order by state")
        .fetch_all(pool)
        .await
}

/// What waits in a lane.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub lane: String,
    /// To be done now.
    pub due: i64,
    /// Of those, how many a worker has.
    pub under_way: i64,
    /// Timers, and what is tried or looked at again.
    pub later: i64,
    /// For how many seconds the longest of those that are due has been.
    pub oldest: f64,
}

/// What waits, by lane.
pub async fn lanes(pool: &PgPool, business_now: DateTime<Utc>) -> Result<Vec<Waiting>, sqlx::Error> {
    let rows = sqlx::query(
        "select lane, count(*) filter (where due) as due, count(*) filter (where due and lease_until > now()) as under_way,
             count(*) filter (where not due) as later,
             coalesce(extract(epoch from max(case when not due then null
                 when retry_at = '-infinity' then $1 - due_at else now() - retry_at end)), 0)::float8 as oldest
         from (select lane, due_at, retry_at, lease_until, due_at <= $1 and retry_at <= now() as due
               from engine.outbox where state = 'ready') ready
         group by lane order by lane",
    )
    .bind(business_now)
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Waiting {
                lane: row.try_get("lane")?,
                due: row.try_get("due")?,
                under_way: row.try_get("under_way")?,
                later: row.try_get("later")?,
                oldest: row.try_get("oldest")?,
            })
        })
        .collect()
}
