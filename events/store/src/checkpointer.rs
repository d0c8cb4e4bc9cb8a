//! The checkpointer: one leader extends each organization's tiles and signs where its tree stands. It never signs what does
//! not continue what was signed before.

mod continuity;
mod standing;

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use events::OrganizationId;
use sqlx::PgPool;
use tokio::{
    sync::{OnceCell, watch},
    time::Instant,
};
use transparency::{Checkpoint, Hash, KeyPair, checkpoint, note};
use uuid::Uuid;

use crate::{
    Keyring, Witness, checkpoints,
    keyring::KeyError,
    lease::{Lease, TERM},
    signing,
};
use continuity::{Extended, due, extend};

pub use standing::standing;

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
    seen: Mutex<HashMap<OrganizationId, Seen>>,
    /// How long the witness's file was when it was last read, and what this process has appended since. Another length: another
    /// process has led meanwhile.
    witnessed: Mutex<Option<u64>>,
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

/// What a step is about to store.
struct Prepared {
    current: Uuid,
    extended: Vec<Extended>,
    /// In the order of what they are of.
    notes: Vec<String>,
    round: Round,
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
            witnessed: Mutex::default(),
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
        let (name, holder, _) = lease.parts();
        // The first step of a long log takes longer than the lease's term. Only here, and not while the fence is held below:
        // a renewal would wait for that, and it for the renewal.
        let renew = async {
            loop {
                tokio::time::sleep(TERM / 3).await;
                if let Err(error) = Lease::acquire(&self.pool, name.to_owned(), holder).await {
                    return CheckpointError::from(error);
                }
            }
        };
        let Prepared { current, extended, notes, mut round } = tokio::select! {
            prepared = self.prepare() => prepared?,
            error = renew => return Err(error),
        };
        if extended.is_empty() {
            return Ok(Some(round));
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

    /// Looks at each log that is due, and signs what continues what was signed before.
    async fn prepare(&self) -> Result<Prepared, CheckpointError> {
        self.look_at_the_witness().await?;
        let current = signing::current(&self.pool, &self.keyring).await?;
        let mut connection = self.pool.acquire().await?;
        let (mut extended, mut round) = (Vec::new(), Round::default());
        for due in due(&mut connection, current).await? {
            let seen = self.last_seen(due.organization);
            match extend(&mut connection, due, seen).await? {
                Ok(one) => extended.push(one),
                Err(refusal) => round.refused.push(refusal),
            }
        }
        drop(connection);
        standing::tell(&self.pool, &round.refused).await?;
        let mut notes = Vec::with_capacity(extended.len());
        for one in &extended {
            notes.push(self.sign(one, current).await?);
        }
        Ok(Prepared { current, extended, notes, round })
    }

    async fn look_at_the_witness(&self) -> Result<(), CheckpointError> {
        let Some(witness) = self.witness.clone() else { return Ok(()) };
        let installation = self.installation().await?;
        let known = *self.witnessed.lock().unwrap_or_else(PoisonError::into_inner);
        let read = tokio::task::spawn_blocking(move || {
            // Before the lines are read: what is appended while they are makes the next look read again.
            let length = witness.length().map_err(|source| unusable(&witness, source))?;
            if known == Some(length) {
                return Ok(None);
            }
            let mut found = Vec::new();
            let read = witness.each(|line| found.extend(line.ok().map(|line| line.checkpoint)));
            read.map(|()| Some((length, found))).map_err(|source| unusable(&witness, source))
        });
        let Some((length, found)) = read.await?? else { return Ok(()) };
        for Checkpoint { origin, size, root } in found {
            // A file may serve several installations, and one organization may be in each of them.
            let name = origin.rsplit('/').next().and_then(|id| id.parse().ok());
            if let Some(organization) = name.filter(|id| origin == checkpoint::origin(installation, *id)) {
                self.saw(OrganizationId(organization), Seen { size, root });
            }
        }
        *self.witnessed.lock().unwrap_or_else(PoisonError::into_inner) = Some(length);
        Ok(())
    }

    /// Remembers a tree that was signed, unless a larger one is known.
    fn saw(&self, organization: OrganizationId, tree: Seen) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(organization).or_insert(tree);
        if tree.size > known.size {
            *known = tree;
        }
    }

    fn last_seen(&self, organization: OrganizationId) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&organization).copied()
    }

    async fn installation(&self) -> Result<Uuid, CheckpointError> {
        let found = self.installation.get_or_try_init(|| async {
            sqlx::query_scalar("select id from engine.installation").fetch_one(&self.pool).await
        });
        Ok(*found.await?)
    }

    /// The note, signed by the key that is current and, after a rotation, by the one before.
    async fn sign(&self, one: &Extended, current: Uuid) -> Result<String, CheckpointError> {
        let origin = checkpoint::origin(self.installation().await?, one.due.organization.0);
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
        let appended = tokio::task::spawn_blocking(move || {
            let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
            witness.append(&notes).map_err(|source| unusable(&witness, source))
        });
        let appended = appended.await??;
        if let Some(length) = &mut *self.witnessed.lock().unwrap_or_else(PoisonError::into_inner) {
            *length += appended;
        }
        Ok(())
    }

    /// Stores tiles and checkpoints together, unless the lease is lost.
    async fn store(
        &self,
        lease: &Lease,
        key: Uuid,
        extended: &[Extended],
        notes: &[String],
    ) -> Result<bool, CheckpointError> {
        let mut transaction = crate::transaction::begin(&self.pool).await?;
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
}

fn unusable(witness: &Witness, source: io::Error) -> CheckpointError {
    CheckpointError::Witness { path: witness.path().display().to_string(), source }
}
