//! The sequencer: one leader gives committed events their dense positions and leaves, in one transaction per batch.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use events::OrganizationId;
use sqlx::{Acquire, PgPool, Row};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    leaf::{self, Header},
    lease::{Lease, TERM},
    positions::Positions,
};

const BATCH: i64 = 2000;
/// How soon the leader looks for what other processes appended.
const LOOK: Duration = Duration::from_millis(20);

/// Orders what was appended. Run one in every worker; the lease decides which one works.
#[derive(Debug)]
pub struct Sequencer {
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
}

impl Sequencer {
    pub fn new(pool: PgPool, positions: Positions) -> Self {
        Self { pool, positions, holder: Uuid::now_v7() }
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
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Orders one batch: `None` when the lease is lost, else how many events.
    pub async fn step(&self, lease: &Lease) -> Result<Option<usize>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        // Outside the transaction, which most looks would open in vain. No other leader has worked since if the fence holds.
        let pending = pending(&mut connection).await?;
        if pending.is_empty() {
            return Ok(Some(0));
        }
        let mut transaction = connection.begin().await?;
        if !lease.guard(&mut transaction).await? {
            return Ok(None);
        }
        let count = i64::try_from(pending.len()).unwrap_or(i64::MAX);
        let global: i64 =
            sqlx::query_scalar("update log.head set global_position = global_position + $1 returning global_position")
                .bind(count)
                .fetch_one(&mut *transaction)
                .await?;
        let positions = self.positions_of(&mut transaction, &pending).await?;
        sqlx::query(
            "insert into log.entries (global_position, organization_id, position, aggregate_type, aggregate_id, sequence,
                                      event_type, leaf)
             select * from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                                  $8::bytea[])",
        )
        .bind((global - count + 1..=global).collect::<Vec<_>>())
        .bind(pending.iter().map(|event| event.organization).collect::<Vec<_>>())
        .bind(&positions)
        .bind(pending.iter().map(|event| event.stream.as_str()).collect::<Vec<_>>())
        .bind(pending.iter().map(|event| event.stream_id.as_str()).collect::<Vec<_>>())
        .bind(pending.iter().map(|event| event.version).collect::<Vec<_>>())
        .bind(pending.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>())
        .bind(pending.iter().map(|event| event.leaf.as_slice()).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        sqlx::query("delete from log.pending where id = any($1)")
            .bind(pending.iter().map(|event| event.id).collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("select pg_notify('propty_log', $1)").bind(global.to_string()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.positions.assigned(pending.iter().zip(&positions).filter_map(|(event, position)| {
            let place = (OrganizationId(event.organization), event.stream_id.parse().ok()?, event.version);
            Some((event.stream.as_str(), place, *position))
        }));
        self.positions.advance(global);
        Ok(Some(pending.len()))
    }

    /// Numbers the batch within each organization, on from its head.
    async fn positions_of(
        &self,
        connection: &mut sqlx::PgConnection,
        pending: &[Pending],
    ) -> Result<Vec<i64>, sqlx::Error> {
        let mut counts: HashMap<Uuid, i64> = HashMap::new();
        for event in pending {
            *counts.entry(event.organization).or_default() += 1;
        }
        let (organizations, added): (Vec<_>, Vec<_>) = counts.iter().map(|(id, count)| (*id, *count)).unzip();
        let heads = sqlx::query(
            "insert into log.heads as head (organization_id, position) select * from unnest($1::uuid[], $2::bigint[])
             on conflict (organization_id) do update set position = head.position + excluded.position
             returning organization_id, position",
        )
        .bind(organizations)
        .bind(added)
        .fetch_all(connection)
        .await?;
        let mut next = HashMap::with_capacity(heads.len());
        for head in heads {
            let organization: Uuid = head.try_get("organization_id")?;
            let position: i64 = head.try_get("position")?;
            next.insert(organization, position - counts.get(&organization).copied().unwrap_or_default());
        }
        Ok(pending
            .iter()
            .map(|event| {
                let position = next.entry(event.organization).or_default();
                *position += 1;
                *position
            })
            .collect())
    }
}

fn stopped(stop: &watch::Receiver<bool>) -> bool {
    // A closed channel never changes again: waiting for it would not wait.
    *stop.borrow() || stop.has_changed().is_err()
}

/// The committed events that wait for a position, oldest first, with their leaves.
async fn pending(connection: &mut sqlx::PgConnection) -> Result<Vec<Pending>, sqlx::Error> {
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
    .bind(BATCH)
    .fetch_all(connection)
    .await?;
    rows.iter()
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
            })
        })
        .collect()
}
