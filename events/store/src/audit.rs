//! The audit of the whole log: everything that can be recomputed is, and what differs is named by organization and position.

mod copy;
mod explain;
mod marks;
mod walk;

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
};

use chrono::{DateTime, TimeDelta, Utc};
use events::OrganizationId;
use sqlx::{PgConnection, Row};
use transparency::{
    Vkey,
    hash::sha256,
    leaf::{self, Header},
};
use uuid::Uuid;

use crate::{Store, keyring::KeyError, signing, witness::Testimony};
use copy::{each, number, text, uuid};
use marks::Marks;
use walk::Walk;

/// How many differences are named at most.
const MOST: usize = 100;
const TOLD_EVERY: u64 = 8192;

/// What is known from elsewhere, to compare with.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What the checkpoints' file holds.
    pub testimony: Testimony,
    /// Keys that the log must have been signed with.
    pub keys: Vec<Vkey>,
}

/// How far the audit is: it reads the log once, and the events once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// Something that is not as it was logged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub organization: Option<OrganizationId>,
    pub position: Option<u64>,
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.organization, self.position) {
            (Some(organization), Some(position)) => {
                write!(f, "organization {organization}, position {position}: {}", self.what)
            }
            (Some(organization), None) => write!(f, "organization {organization}: {}", self.what),
            (None, _) => f.write_str(&self.what),
        }
    }
}

/// The result of an audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub organizations: u64,
    pub events: u64,
    pub checkpoints: u64,
    /// Checkpoints of the file that were compared.
    pub witnessed: u64,
    /// Lines of the file that could not be read.
    pub unreadable: u64,
    /// Events that are stored and have no position yet.
    pub waiting: u64,
    /// Events that no checkpoint covers yet.
    pub unsigned: u64,
    /// Sorted; empty when all is well.
    pub findings: Vec<Finding>,
}

/// Why the audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the log cannot be read")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the database sent what cannot be understood")]
    Format,
}

/// Verifies the whole log as of one instant, while it may grow.
pub async fn verify(
    store: &Store,
    known: &Known,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, AuditError> {
    let mut transaction = crate::transaction::begin(store.pool()).await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *transaction).await?;
    // In the order of the index: sorting the whole log would take longer than reading it.
    sqlx::query("set local enable_sort = off").execute(&mut *transaction).await?;
    let head: i64 = sqlx::query_scalar("select global_position from log.head").fetch_one(&mut *transaction).await?;
    let mut report = Report::default();
    let marks = Marks::read(store, &mut transaction, known, &mut report).await?;
    let prints = Prints::default();
    let total = u64::try_from(head).unwrap_or_default() * 2;
    let mut done = 0;
    let mut step = || {
        done += 1;
        if done % TOLD_EVERY == 0 {
            progress(Progress { done, total });
        }
    };
    let mut walk = Walk::new(marks, &prints, &mut report);
    let query = "copy (select organization_id, position, aggregate_type, aggregate_id, sequence, event_type, leaf, global_position
                       from log.entries order by organization_id, position) to stdout (format binary)";
    each(&mut transaction, query, |row| {
        step();
        walk.entry(row)
    })
    .await?;
    let logged = walk.end(&mut transaction, head).await?;
    let strange = compare(&mut transaction, &prints, logged, &mut report, &mut step).await?;
    explain::explain(&mut transaction, strange, &mut report).await?;
    transaction.rollback().await?;
    progress(Progress { done: total, total });
    report.findings.sort();
    report.findings.dedup();
    report.findings.truncate(MOST);
    Ok(report)
}

/// What the two sides do not share.
#[derive(Debug, Default)]
struct Strange {
    /// Stored events that are not what was logged, by type, stream, organization and version.
    events: Vec<(String, String, Uuid, i64)>,
    /// How many log rows have no event that hashes to their leaf.
    bereft: usize,
}

/// Recomputes the leaf of each stored event and looks for it in the log.
async fn compare(
    connection: &mut PgConnection,
    prints: &Prints,
    mut logged: Logged,
    report: &mut Report,
    step: &mut (dyn FnMut() + Send),
) -> Result<Strange, AuditError> {
    let mut waiting: HashSet<u64> = HashSet::new();
    let rows = sqlx::query("select organization_id, aggregate_type, aggregate_id, sequence from log.pending")
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        let organization: Uuid = row.try_get("organization_id")?;
        let sequence: i64 = row.try_get("sequence")?;
        waiting.insert(prints.of(
            organization,
            row.try_get("aggregate_type")?,
            row.try_get("aggregate_id")?,
            sequence,
            "",
            &[],
        ));
    }
    let mut strange = Strange::default();
    let query = "copy (select organization_id, aggregate_type, aggregate_id, sequence, event_type, event_version, recorded_at, payload,
                              metadata
                       from log.events) to stdout (format binary)";
    each(connection, query, |row: &[&[u8]; 9]| {
        step();
        let [organization, stream, stream_id, version, event_type, event_version, recorded_at, payload, metadata] = row;
        let header = Header {
            organization: uuid(organization)?,
            stream: text(stream)?,
            stream_id: text(stream_id)?,
            version: number(version)?,
            event_type: text(event_type)?,
            event_version: text(event_version)?,
            recorded_at: instant(number(recorded_at)?).ok_or(AuditError::Format)?,
        };
        let leaf = leaf::hash(&header, &sha256(payload), &sha256(metadata));
        let Header { organization, stream, stream_id, version, event_type, .. } = header;
        if logged.remove(&prints.of(organization, stream, stream_id, version, event_type, &leaf)) {
            return Ok(());
        }
        if waiting.remove(&prints.of(organization, stream, stream_id, version, "", &[])) {
            report.waiting += 1;
        } else if strange.events.len() < MOST {
            strange.events.push((stream.to_owned(), stream_id.to_owned(), organization, version));
        }
        Ok(())
    })
    .await?;
    strange.bereft = logged.len();
    Ok(strange)
}

/// The database's time, in microseconds since 2000.
fn instant(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(946_684_800, 0)?.checked_add_signed(TimeDelta::microseconds(micros))
}

/// Fingerprints of rows, under a key of this run alone: nobody can prepare two rows with the same.
#[derive(Debug, Default)]
struct Prints(RandomState);

impl Prints {
    fn of(
        &self,
        organization: Uuid,
        stream: &str,
        stream_id: &str,
        version: i64,
        event_type: &str,
        leaf: &[u8],
    ) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(organization.as_bytes());
        for text in [stream, stream_id, event_type] {
            hasher.write(text.as_bytes());
            // No UTF-8 text has this byte.
            hasher.write_u8(0xff);
        }
        hasher.write_i64(version);
        hasher.write(leaf);
        hasher.finish()
    }

    fn of_stream(&self, stream: &[u8], stream_id: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(stream);
        hasher.write_u8(0xff);
        hasher.write(stream_id);
        hasher.finish()
    }
}

/// The fingerprints of the log's rows.
type Logged = HashSet<u64, BuildHasherDefault<AsIs>>;

/// What is hashed already need not be hashed again.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Verifies a key's halves against each other, and names keys that are not whole.
async fn keys(
    store: &Store,
    connection: &mut PgConnection,
    report: &mut Report,
) -> Result<Vec<signing::PublicKey>, AuditError> {
    let keys = signing::public_keys(connection).await?;
    for key in &keys {
        match signing::open(store.pool(), store.keyring(), key.id).await {
            Ok(_) => {}
            Err(error @ KeyError::SigningKey(_)) => {
                report.findings.push(Finding { organization: None, position: None, what: error.to_string() });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(keys)
}
