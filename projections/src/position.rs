//! How fresh the read models are, and waiting until they are fresh enough.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use events::OrganizationId;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use crate::{query::QueryError, tenant};

/// How often a waiter asks.
const ASK: Duration = Duration::from_millis(10);
/// How long what one reader found out of an organization serves the next ones.
const RECENT: Duration = Duration::from_millis(40);
/// From then on one of those who ask looks again, so that not all of them have to at once when it is too old.
const AGEING: Duration = Duration::from_millis(20);
/// More organizations than are read within that time.
const ORGANIZATIONS: usize = 10_000;

/// Positions of one organization. The lag is `head - as_of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// The position up to which every live read model has seen the log.
    pub as_of: i64,
    /// The last position of the log.
    pub head: i64,
    /// Bumped when a restored history is accepted.
    pub incarnation: i32,
}

/// How far the read models were known to be at some moment. Whoever reads later sees at least that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    incarnation: i32,
    global_position: i64,
}

/// The furthest that was seen, so that only who comes after news has to look at all read models. By default nothing is remembered:
/// an address of replicas may lead to one that is further today and to another tomorrow.
#[derive(Debug, Clone, Default)]
pub struct Watermark(Option<Arc<Mutex<Known>>>);

#[derive(Debug, Default)]
struct Known {
    reached: Reached,
    organizations: HashMap<OrganizationId, Found>,
}

/// What was found out of an organization.
#[derive(Debug)]
struct Found {
    since: Instant,
    freshness: Freshness,
    /// Somebody is looking again.
    renewed: bool,
}

impl Watermark {
    /// For a single server, which never shows less than it did.
    pub fn remembering() -> Self {
        Self(Some(Arc::default()))
    }

    /// To be asked before the transaction begins: what is found out later may be more than the transaction sees.
    pub fn reached(&self) -> Reached {
        self.0.as_ref().map_or_else(Reached::default, |known| {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.reached
        })
    }

    /// What somebody found out a moment ago. A transaction that begins afterwards sees at least that.
    pub fn recent(&self, organization: OrganizationId) -> Option<Freshness> {
        let mut known = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.organizations.get_mut(&organization)?;
        let age = found.since.elapsed();
        if age >= RECENT || (age >= AGEING && !std::mem::replace(&mut found.renewed, true)) {
            return None;
        }
        Some(found.freshness)
    }

    fn raise(&self, organization: OrganizationId, seen: Reached, freshness: Freshness) {
        let Some(known) = &self.0 else { return };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.incarnation != known.reached.incarnation || seen.global_position > known.reached.global_position {
            known.reached = seen;
        }
        if known.organizations.len() >= ORGANIZATIONS {
            known.organizations.retain(|_, found| found.since.elapsed() < RECENT);
        }
        // Nobody is shown less than the one before.
        let later = known.organizations.get(&organization).is_none_or(|Found { freshness: known, .. }| {
            known.incarnation != freshness.incarnation || (known.as_of, known.head) <= (freshness.as_of, freshness.head)
        });
        if later {
            let found = Found { since: Instant::now(), freshness, renewed: false };
            known.organizations.insert(organization, found);
        }
    }

    /// The positions as the transaction sees them: what is read in it is at least as fresh as its `as_of`.
    pub async fn freshness(
        &self,
        organization: OrganizationId,
        reached: Reached,
        connection: &mut PgConnection,
    ) -> Result<Freshness, QueryError> {
        let row: Option<(i64, i64, i32, i64)> = sqlx::query_as(FRESHNESS)
            .bind(reached.incarnation)
            .bind(reached.global_position)
            .fetch_optional(connection)
            .await?;
        let Some((as_of, head, incarnation, global_position)) = row else {
            return Ok(Freshness { as_of: 0, head: 0, incarnation: 0 });
        };
        let freshness = Freshness { as_of, head, incarnation };
        self.raise(organization, Reached { incarnation, global_position }, freshness);
        Ok(freshness)
    }
}

/// Whether the organization's last entry has been seen is looked up by its key; the read models are asked only where what is known
/// does not reach that far. Only while they have not seen it either is the last one sought that they have: without statistics
/// PostgreSQL reads the organization's whole log for that.
const FRESHNESS: &str = "with head as materialized (
        select known.position,
               (select last.global_position from log.entries last
                where last.organization_id = known.organization_id and last.position = known.position) as last
        from log.heads known
    ), reached as materialized (
        select min(known.global_position) as place from engine.read_models model
        join engine.checkpoints known on known.subscriber = 'read/' || model.name || '/g' || model.generation
        where model.state = 'live'
    )
    select coalesce(case
               when installation.incarnation = $1 and head.last <= $2 then head.position
               when head.last <= (select place from reached) then head.position
               else (select entry.position from log.entries entry
                     where entry.global_position <= (select place from reached)
                     order by entry.organization_id desc, entry.position desc limit 1)
           end, 0),
           coalesce(head.position, 0),
           installation.incarnation,
           coalesce(case when installation.incarnation = $1 and coalesce(head.last, 0) <= $2 then $2
                         else (select place from reached) end, 0)
    from engine.installation left join head on true";

/// The same, with nothing known before.
pub async fn freshness(organization: OrganizationId, connection: &mut PgConnection) -> Result<Freshness, QueryError> {
    Watermark::default().freshness(organization, Reached::default(), connection).await
}

/// Waits until the read models have reached `position`, at most `patience`; tells how far they are in either case.
pub async fn wait_for(
    pool: &PgPool,
    organization: OrganizationId,
    position: i64,
    patience: Duration,
) -> Result<Freshness, QueryError> {
    let deadline = Instant::now() + patience;
    loop {
        let mut transaction = tenant::begin(pool, organization).await?;
        let found = freshness(organization, &mut transaction).await?;
        transaction.commit().await?;
        if found.as_of >= position || Instant::now() >= deadline {
            return Ok(found);
        }
        sleep(ASK.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
}
