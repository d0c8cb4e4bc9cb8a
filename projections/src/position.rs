//! How fresh the read models are, and waiting until they are fresh enough.

use std::time::Duration;

use events::OrganizationId;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use crate::{
    query::{QueryError, first, select},
    tenant,
};

/// How often a waiter asks.
const ASK: Duration = Duration::from_millis(10);

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

/// The positions as the transaction sees them: what is read in it is at least as fresh as its `as_of`.
pub async fn freshness(connection: &mut PgConnection) -> Result<Freshness, QueryError> {
    let query = select(
        // Whether the organization's last entry has been seen is looked up by its key. Only while it has not is the last one sought
        // that has: without statistics PostgreSQL reads the organization's whole log for that.
        "with reached as materialized (
             select min(known.global_position) as place from engine.read_models model
             join engine.checkpoints known on known.subscriber = 'read/' || model.name || '/g' || model.generation
             where model.state = 'live'
         ), head as materialized (
             select organization_id, position from log.heads
         )
         select coalesce(case when (
                        select last.global_position from log.entries last
                        where last.organization_id = (select organization_id from head)
                            and last.position = (select position from head)
                    ) <= (select place from reached)
                    then (select position from head)
                    else (
                        select entry.position from log.entries entry
                        where entry.global_position <= (select place from reached)
                        order by entry.organization_id desc, entry.position desc limit 1)
                    end, 0) as as_of,
                coalesce((select position from head), 0) as head,
                (select incarnation from engine.installation) as incarnation",
    );
    Ok(first(connection, query).await?.unwrap_or(Freshness { as_of: 0, head: 0, incarnation: 0 }))
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
        let found = freshness(&mut transaction).await?;
        transaction.commit().await?;
        if found.as_of >= position || Instant::now() >= deadline {
            return Ok(found);
        }
        sleep(ASK.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
}
