//! The checkpointer: one leader extends each organization's tiles and signs where its tree stands. It never signs what does
//! not continue what was signed before.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use events::OrganizationId;
use futures_util::TryStreamExt;
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use tokio::{
    sync::{OnceCell, watch},
    time::Instant,
};
use transparency::{Checkpoint, Hash, KeyPair, checkpoint, note};
use uuid::Uuid;

use crate::{
    Keyring, Witness,
    checkpoints::{self, size},
    keyring::KeyError,
    lease::{Lease, TERM},
    signing, tree,
};

/// How often is looked for what was logged since.
const PACE: Duration = Duration::from_secs(1);
const LEASE: &str = "checkpointer";
const ASK: Duration = Duration::from_millis(100);

/// Signs checkpoints. Run one in every worker; the lease decides which one works.
#[derive(Debug)]
pub struct Checkpointer {
    pool: PgPool,
    keyring: Keyring,
    witness: Option<Witness>,
    holder: Uuid,
    installation: OnceCell<Uuid>,
    /// The private keys that were needed so far.
    keys: Mutex<HashMap<Uuid, Arc<KeyPair>>>,
    /// The largest tree of each log that this process, or the witness, has seen signed.
    seen: Mutex<Option<HashMap<Uuid, Seen>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    size: u64,
    root: Hash,
}

/// What a step has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// The organizations with the sizes that were signed.
    pub signed: Vec<(OrganizationId, u64)>,
    pub refused: Vec<Refusal>,
}

/// A log that is not what was signed before. Nothing more of it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub organization: OrganizationId,
    /// The first position that is known to be wrong, or the last of the first stretch that is.
    pub position: u64,
    pub reason: String,
}

/// Why no checkpoint could be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("the log cannot be read or a checkpoint not be stored")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the checkpoints' file {path} cannot be used")]
    Witness { path: String, source: io::Error },
    #[error("writing the checkpoints' file was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
    #[error("the log is not what was signed before, at position {}: {}", .0.position, .0.reason)]
    Refused(Refusal),
    #[error("no checkpoint was made in time; is a worker running, and the sequencer with it?")]
    Late,
}

/// An organization whose log has grown, or whose key was replaced.
struct Due {
    organization: OrganizationId,
    head: u64,
    /// Zero before the first checkpoint.
    number: i64,
    signed: Option<(Seen, Uuid)>,
}

/// A checkpoint that can be signed.
struct Extended {
    due: Due,
    tree: Seen,
    tiles: Vec<(i16, i64, Hash)>,
}

impl Checkpointer {
    pub fn new(pool: PgPool, keyring: Keyring, witness: Option<Witness>) -> Self {
        Self {
            pool,
            keyring,
            witness,
            holder: Uuid::now_v7(),
            installation: OnceCell::new(),
            keys: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Works until `stop` turns true or nobody is left to say so, then gives the lease up.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = match Lease::acquire(&self.pool, LEASE, self.holder).await {
                Ok(Some(lease)) => {
                    if let Err(error) = self.step(&lease).await {
                        tracing::error!(%error, "no checkpoints can be signed");
                    }
                    PACE
                }
                Ok(None) => TERM / 2,
                Err(error) => {
                    tracing::error!(%error, "the checkpointer cannot reach its lease");
                    PACE
                }
            };
            if let Ok(Err(_)) = tokio::time::timeout(pause, stop.changed()).await {
                break;
            }
        }
        if let Ok(Some(lease)) = Lease::acquire(&self.pool, LEASE, self.holder).await {
            let _ = lease.release(&self.pool).await;
        }
    }

    /// Sees to it that a checkpoint covers a position: by whoever runs, or here if nobody does.
    pub async fn cover(
        &self,
        organization: OrganizationId,
        position: u64,
        patience: Duration,
    ) -> Result<(), CheckpointError> {
        let deadline = Instant::now() + patience;
        loop {
            let last = checkpoints::latest(&mut *self.pool.acquire().await?, organization, None).await?;
            if last.is_some_and(|last| last.size >= position) {
                return Ok(());
            }
            if let Some(lease) = Lease::acquire(&self.pool, LEASE, self.holder).await? {
                let round = self.step(&lease).await;
                lease.release(&self.pool).await?;
                let refused = round?.unwrap_or_default().refused;
                if let Some(refusal) = refused.into_iter().find(|refusal| refusal.organization == organization) {
                    return Err(CheckpointError::Refused(refusal));
                }
            }
            if Instant::now() >= deadline {
                return Err(CheckpointError::Late);
            }
            tokio::time::sleep(ASK).await;
        }
    }

    /// Signs for each organization whose log has grown: `None` when the lease is lost.
    pub async fn step(&self, lease: &Lease) -> Result<Option<Round>, CheckpointError> {
        self.look_at_the_witness()?;
        let current = signing::current(&self.pool, &self.keyring).await?;
        let mut connection = self.pool.acquire().await?;
        let (mut extended, mut round) = (Vec::new(), Round::default());
        for due in due(&mut connection, current).await? {
            match self.extend(&mut connection, due).await? {
                Ok(one) => extended.push(one),
                Err(refusal) => round.refused.push(refusal),
            }
        }
        drop(connection);
        self.tell(&round.refused).await?;
        if extended.is_empty() {
            return Ok(Some(round));
        }
        let mut notes = Vec::with_capacity(extended.len());
        for one in &extended {
            notes.push(self.sign(one, current).await?);
        }
        // Outside first: no checkpoint is ever shown that the witness has not got.
        self.bear_witness(&notes).await?;
        if !self.store(lease, current, &extended, &notes).await? {
            return Ok(None);
        }
        for one in extended {
            self.saw(one.due.organization, one.tree);
            round.signed.push((one.due.organization, one.tree.size));
        }
        Ok(Some(round))
    }

    fn look_at_the_witness(&self) -> Result<(), CheckpointError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_some() {
            return Ok(());
        }
        let mut largest: HashMap<Uuid, Seen> = HashMap::new();
        if let Some(witness) = &self.witness {
            let read = witness.each(|line| {
                let Ok(found) = line else { return };
                let Some(organization) = found.checkpoint.organization() else { return };
                let found = Seen { size: found.checkpoint.size, root: found.checkpoint.root };
                let known = largest.entry(organization).or_insert(found);
                if found.size > known.size {
                    *known = found;
                }
            });
            read.map_err(|source| unusable(witness, source))?;
        }
        *seen = Some(largest);
        Ok(())
    }

    fn saw(&self, organization: OrganizationId, tree: Seen) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get_or_insert_default().insert(organization.0, tree);
    }

    fn last_seen(&self, organization: OrganizationId) -> Option<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref()?.get(&organization.0).copied()
    }

    /// The tree as it stands now, if it continues everything that was signed.
    async fn extend(
        &self,
        connection: &mut PgConnection,
        due: Due,
    ) -> Result<Result<Extended, Refusal>, CheckpointError> {
        let organization = due.organization;
        let refuse = |position: u64, reason: String| Ok(Err(Refusal { organization, position, reason }));
        let base = due.signed.map_or(0, |(signed, _)| signed.size);
        if due.head < base {
            return refuse(due.head + 1, format!("the log ends before position {base}, which was signed"));
        }
        let seen = self.last_seen(organization).filter(|seen| seen.size > 0);
        if let Some(seen) = seen.filter(|seen| seen.size > due.head) {
            return refuse(due.head + 1, format!("the log ends before position {}, which was witnessed", seen.size));
        }
        let Some(mut tree) = tree::compact(connection, organization, base).await? else {
            return refuse(base, "leaves or tiles of what was signed are missing".to_owned());
        };
        if due.signed.is_some_and(|(signed, _)| signed.root != tree.root()) {
            return refuse(base, format!("positions 1 to {base} are not those that were signed"));
        }
        if let Some(seen) = seen.filter(|seen| seen.size <= base) {
            let then = tree::compact(connection, organization, seen.size).await?;
            if then.map(|then| then.root()) != Some(seen.root) {
                return refuse(seen.size, format!("positions 1 to {} are not those that were witnessed", seen.size));
            }
        }
        let early: bool = sqlx::query_scalar(
            "select exists (select from log.tiles where organization_id = $1 and level = 1 and index >= $2)",
        )
        .bind(organization.0)
        .bind(i64::try_from(base >> tree::TILE_HEIGHT).unwrap_or(i64::MAX))
        .fetch_one(&mut *connection)
        .await?;
        if early {
            return refuse(base + 1, "there are tiles of what was never signed".to_owned());
        }
        let mut tiles = Vec::new();
        let mut rows = sqlx::query(
            "select position, leaf from log.entries where organization_id = $1 and position > $2 and position <= $3
             order by position",
        )
        .bind(organization.0)
        .bind(i64::try_from(base).unwrap_or(i64::MAX))
        .bind(i64::try_from(due.head).unwrap_or(i64::MAX))
        .fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            let (position, expected) = (size(row.try_get("position")?), tree.size() + 1);
            if position != expected {
                return refuse(expected, "the event of this position is missing".to_owned());
            }
            tree.append(tree::hash(row.try_get("leaf")?)?, |node, hash| {
                if node.height % tree::TILE_HEIGHT == 0 {
                    let level = i16::try_from(node.height / tree::TILE_HEIGHT).unwrap_or(i16::MAX);
                    tiles.push((level, i64::try_from(node.index).unwrap_or(i64::MAX), *hash));
                }
            });
            if seen.is_some_and(|seen| seen.size == position && seen.root != tree.root()) {
                return refuse(position, format!("positions 1 to {position} are not those that were witnessed"));
            }
        }
        drop(rows);
        if tree.size() < due.head {
            return refuse(tree.size() + 1, format!("the log says that it has {} events", due.head));
        }
        let tree = Seen { size: tree.size(), root: tree.root() };
        Ok(Ok(Extended { due, tree, tiles }))
    }

    /// The note, signed by the key that is current and, after a rotation, by the one before.
    async fn sign(&self, one: &Extended, current: Uuid) -> Result<String, CheckpointError> {
        let installation = self
            .installation
            .get_or_try_init(|| async {
                sqlx::query_scalar("select id from engine.installation").fetch_one(&self.pool).await
            })
            .await?;
        let origin = checkpoint::origin(*installation, one.due.organization.0);
        let text = Checkpoint { origin: origin.clone(), size: one.tree.size, root: one.tree.root }.to_string();
        let former = one.due.signed.map(|(_, key)| key).filter(|key| *key != current);
        let key = self.key(current).await?;
        Ok(match former {
            Some(former) => note::sign(&text, &origin, &[&*self.key(former).await?, &*key]),
            None => note::sign(&text, &origin, &[&*key]),
        })
    }

    async fn key(&self, id: Uuid) -> Result<Arc<KeyPair>, CheckpointError> {
        let known = |keys: &Mutex<HashMap<Uuid, Arc<KeyPair>>>| {
            keys.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
        };
        if let Some(pair) = known(&self.keys) {
            return Ok(pair);
        }
        let pair = Arc::new(signing::open(&self.pool, &self.keyring, id).await?);
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(id, pair.clone());
        Ok(pair)
    }

    async fn bear_witness(&self, notes: &[String]) -> Result<(), CheckpointError> {
        let Some(witness) = self.witness.clone() else { return Ok(()) };
        let notes = notes.to_vec();
        tokio::task::spawn_blocking(move || {
            let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
            witness.append(&notes).map_err(|source| unusable(&witness, source))
        })
        .await?
    }

    /// Stores tiles and checkpoints together, unless the lease is lost.
    async fn store(
        &self,
        lease: &Lease,
        key: Uuid,
        extended: &[Extended],
        notes: &[String],
    ) -> Result<bool, CheckpointError> {
        let mut transaction = self.pool.begin().await?;
        if !lease.guard(&mut transaction).await? {
            return Ok(false);
        }
        let tiles = || extended.iter().flat_map(|one| one.tiles.iter().map(move |tile| (one.due.organization.0, tile)));
        sqlx::query(
            "insert into log.tiles (organization_id, level, index, hash)
             select * from unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bytea[])",
        )
        .bind(tiles().map(|(organization, _)| organization).collect::<Vec<_>>())
        .bind(tiles().map(|(_, (level, ..))| *level).collect::<Vec<_>>())
        .bind(tiles().map(|(_, (_, index, _))| *index).collect::<Vec<_>>())
        .bind(tiles().map(|(_, (.., hash))| hash.as_slice()).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        let number = |one: &Extended| one.due.number + 1;
        let covered = |one: &Extended| i64::try_from(one.tree.size).unwrap_or(i64::MAX);
        sqlx::query(
            "with signed as (
                 insert into log.checkpoints (organization_id, number, size, root, note, key_id)
                 select *, $6 from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[], $5::text[])
             )
             delete from engine.checkpoint_refusals where organization_id = any($1)",
        )
        .bind(extended.iter().map(|one| one.due.organization.0).collect::<Vec<_>>())
        .bind(extended.iter().map(number).collect::<Vec<_>>())
        .bind(extended.iter().map(covered).collect::<Vec<_>>())
        .bind(extended.iter().map(|one| one.tree.root.as_slice()).collect::<Vec<_>>())
        .bind(notes)
        .bind(key)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Raises an alarm for each refusal that is new.
    async fn tell(&self, refused: &[Refusal]) -> Result<(), CheckpointError> {
        for Refusal { organization, position, reason } in refused {
            let news = sqlx::query(
                "insert into engine.checkpoint_refusals as known (organization_id, position, reason) values ($1, $2, $3)
                 on conflict (organization_id) do update set position = $2, reason = $3, since = now()
                 where (known.position, known.reason) <> ($2, $3)",
            )
            .bind(organization.0)
            .bind(i64::try_from(*position).unwrap_or(i64::MAX))
            .bind(reason)
            .execute(&self.pool)
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

fn unusable(witness: &Witness, source: io::Error) -> CheckpointError {
    CheckpointError::Witness { path: witness.path().display().to_string(), source }
}

async fn due(connection: &mut PgConnection, current: Uuid) -> Result<Vec<Due>, sqlx::Error> {
    let rows = sqlx::query(
        "select organization_id, coalesce(head.position, 0) as head, last.number, last.size, last.root, last.key_id
         from log.heads head
         left join lateral (
             select number, size, root, key_id from log.checkpoints signed
             where signed.organization_id = head.organization_id order by number desc limit 1
         ) last on true
         where last.size is distinct from head.position or last.key_id is distinct from $1",
    )
    .bind(current)
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<Due, sqlx::Error> {
    let signed = match row.try_get::<Option<i64>, _>("size")? {
        None => None,
        Some(covered) => {
            let signed = Seen { size: size(covered), root: tree::hash(row.try_get("root")?)? };
            Some((signed, row.try_get("key_id")?))
        }
    };
    Ok(Due {
        organization: OrganizationId(row.try_get("organization_id")?),
        head: size(row.try_get("head")?),
        number: row.try_get::<Option<i64>, _>("number")?.unwrap_or_default(),
        signed,
    })
}
