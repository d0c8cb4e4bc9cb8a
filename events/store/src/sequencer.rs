//! The sequencer: one leader gives committed events their dense positions and leaves, in one statement per batch.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use events::OrganizationId;
use sqlx::{PgPool, Row};
use tokio::sync::watch;
use transparency::leaf::{self, Header};
use uuid::Uuid;

use crate::{
    database,
    lease::{Lease, TERM},
    positions::Positions,
};

const BATCH: usize = 2000;
/// How soon the leader looks for what other processes appended.
const LOOK: Duration = Duration::from_millis(20);
/// How long events gather between two batches while nobody waits for their positions: the leader's commits compete with those of
/// the appends, and one for several events is as good as one for each.
const GATHER: Duration = Duration::from_millis(5);
/// The same while somebody waits.
const GATHER_WAITED_FOR: Duration = Duration::from_millis(1);

/// Orders what was appended. Run one in every worker; the lease decides which one works.
#[derive(Debug)]
pub struct Sequencer {
    /// No transaction begins here: a batch is one statement.
    pool: PgPool,
    positions: Positions,
    holder: Uuid,
}

struct Pending {
    id: i64,
    organization: Uuid,
    stream: String,
    stream_id: String,
    version: i64,
    event_type: String,
    leaf: [u8; 32],
    /// How many of its organization come after it in the batch.
    after: i64,
}

impl Drop for Sequencer {
    /// Gives its connection back to the server, and not only when everything closes.
    fn drop(&mut self) {
        let pool = self.pool.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { pool.close().await });
        }
    }
}

impl Sequencer {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a pool is a handle, which its users hand over as they do to a store"
    )]
    pub fn new(pool: PgPool, positions: Positions) -> Self {
        Self { pool: database::for_single_statements(&pool, 1), positions, holder: Uuid::now_v7() }
    }

    /// Works until `stop` turns true or nobody is left to say so, then gives the lease up.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        while !stopped(&stop) {
            match Lease::acquire(&self.pool, "sequencer", self.holder).await {
                Ok(Some(lease)) => {
                    if let Err(error) = self.lead(&lease, &stop).await {
                        tracing::error!(%error, "the sequencer failed and starts over");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    let _ = lease.release(&self.pool).await;
                }
                Ok(None) => {
                    let _ = tokio::time::timeout(TERM / 4, stop.changed()).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the sequencer cannot reach its lease");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn lead(&self, lease: &Lease, stop: &watch::Receiver<bool>) -> Result<(), sqlx::Error> {
        let mut renewed = tokio::time::Instant::now();
        while !stopped(stop) {
            if renewed.elapsed() > TERM / 3 {
                if Lease::acquire(&self.pool, "sequencer", self.holder).await?.is_none() {
                    return Ok(());
                }
                renewed = tokio::time::Instant::now();
            }
            match self.step(lease).await? {
                None => return Ok(()),
                Some(0) => self.positions.appended(LOOK).await,
                // There may be more: nothing need gather.
                Some(BATCH) => {}
                Some(_) => self.positions.gather(GATHER_WAITED_FOR, GATHER).await,
            }
        }
        Ok(())
    }

    /// Orders one batch: `None` when the lease is lost, else how many events.
    pub async fn step(&self, lease: &Lease) -> Result<Option<usize>, sqlx::Error> {
        // No other leader has worked between the two statements if the fence still holds in the second.
        let pending = pending(&self.pool).await?;
        if pending.is_empty() {
            return Ok(Some(0));
        }
        let Some((global, heads)) = write(&self.pool, lease, &pending).await? else { return Ok(None) };
        self.positions.assigned(pending.iter().filter_map(|event| {
            let place = (OrganizationId(event.organization), event.stream_id.parse().ok()?, event.version);
            Some((event.stream.as_str(), place, heads.get(&event.organization)? - event.after))
        }));
        self.positions.advance(global);
        Ok(Some(pending.len()))
    }
}

/// Writes the batch into the log, takes it from the queue and tells those who listen. Everything hangs on the fence, which is
/// held until the commit: `None` when it is lost. Returns the global head and the heads of the batch's organizations.
async fn write(
    pool: &PgPool,
    lease: &Lease,
    pending: &[Pending],
) -> Result<Option<(i64, HashMap<Uuid, i64>)>, sqlx::Error> {
    let mut counts: BTreeMap<Uuid, i64> = BTreeMap::new();
    for event in pending {
        *counts.entry(event.organization).or_default() += 1;
    }
    let (name, holder, fence) = lease.parts();
    let rows: Vec<(i64, Uuid, i64)> = sqlx::query_as(
        "with fence as materialized (
             select from engine.leases where name = $1 and holder = $2 and fence = $3 for share
         ), head as (
             update log.head set global_position = global_position + $4 where exists (select from fence)
             returning global_position, pg_notify('propty_log', global_position::text)
         ), grown as (
             insert into log.heads as known (organization_id, position)
             select batch.organization, batch.added
             from head cross join unnest($5::uuid[], $6::bigint[]) as batch (organization, added)
             on conflict (organization_id) do update set position = known.position + excluded.position
             returning organization_id, position
         ), ordered as (
             insert into log.entries (global_position, organization_id, position, aggregate_type, aggregate_id, sequence,
                                      event_type, leaf)
             select head.global_position - $4 + new.place, new.organization, grown.position - new.after, new.stream, new.id,
                    new.version, new.type, new.leaf
             from head
             cross join unnest($7::uuid[], $8::bigint[], $9::text[], $10::text[], $11::bigint[], $12::text[], $13::bytea[])
                 with ordinality as new (organization, after, stream, id, version, type, leaf, place)
             join grown on grown.organization_id = new.organization
         ), done as (
             delete from log.pending using head where id = any($14)
         )
         select head.global_position, grown.organization_id, grown.position from head cross join grown",
    )
    .bind(name)
    .bind(holder)
    .bind(fence)
    .bind(i64::try_from(pending.len()).unwrap_or(i64::MAX))
    .bind(counts.keys().copied().collect::<Vec<_>>())
    .bind(counts.values().copied().collect::<Vec<_>>())
    .bind(pending.iter().map(|event| event.organization).collect::<Vec<_>>())
    .bind(pending.iter().map(|event| event.after).collect::<Vec<_>>())
    .bind(pending.iter().map(|event| event.stream.as_str()).collect::<Vec<_>>())
    .bind(pending.iter().map(|event| event.stream_id.as_str()).collect::<Vec<_>>())
    .bind(pending.iter().map(|event| event.version).collect::<Vec<_>>())
    .bind(pending.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>())
    .bind(pending.iter().map(|event| event.leaf.as_slice()).collect::<Vec<_>>())
    .bind(pending.iter().map(|event| event.id).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let Some((global, ..)) = rows.first() else { return Ok(None) };
    Ok(Some((*global, rows.iter().map(|(_, organization, head)| (*organization, *head)).collect())))
}

fn stopped(stop: &watch::Receiver<bool>) -> bool {
    // A closed channel never changes again: waiting for it would not wait.
    *stop.borrow() || stop.has_changed().is_err()
}

/// The committed events that wait for a position, oldest first, with their leaves.
async fn pending(pool: &PgPool) -> Result<Vec<Pending>, sqlx::Error> {
    // Event by event, by the index: see `Subscription::page`.
    let rows = sqlx::query(
        "select waiting.id, stored.organization_id, stored.aggregate_type, stored.aggregate_id, stored.sequence,
                stored.event_type, stored.event_version, stored.recorded_at,
                sha256(convert_to(stored.payload::text, 'UTF8')) as payload,
                sha256(convert_to(stored.metadata::text, 'UTF8')) as metadata
         from (select * from log.pending order by id limit $1) waiting
         cross join lateral (
             select * from log.events event
             where event.aggregate_type = waiting.aggregate_type and event.sequence = waiting.sequence
                 and event.stream_key = waiting.organization_id::text || '/' || waiting.aggregate_id
             limit 1
         ) stored
         order by waiting.id",
    )
    .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    let mut pending: Vec<Pending> = rows
        .iter()
        .map(|row| {
            let recorded_at: DateTime<Utc> = row.try_get("recorded_at")?;
            let organization: Uuid = row.try_get("organization_id")?;
            let header = Header {
                organization,
                stream: row.try_get("aggregate_type")?,
                stream_id: row.try_get("aggregate_id")?,
                version: row.try_get("sequence")?,
                event_type: row.try_get("event_type")?,
                event_version: row.try_get("event_version")?,
                recorded_at,
            };
            let leaf = leaf::hash(&header, row.try_get("payload")?, row.try_get("metadata")?);
            Ok(Pending {
                id: row.try_get("id")?,
                organization,
                stream: header.stream.to_owned(),
                stream_id: header.stream_id.to_owned(),
                version: header.version,
                event_type: header.event_type.to_owned(),
                leaf,
                after: 0,
            })
        })
        .collect::<Result<_, sqlx::Error>>()?;
    let mut behind: HashMap<Uuid, i64> = HashMap::new();
    for event in pending.iter_mut().rev() {
        let behind = behind.entry(event.organization).or_default();
        event.after = *behind;
        *behind += 1;
    }
    Ok(pending)
}
