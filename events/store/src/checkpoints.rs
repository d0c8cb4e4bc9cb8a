//! Signed checkpoints as they are stored.

use chrono::{DateTime, Utc};
use events::OrganizationId;
use sqlx::{PgConnection, Row, postgres::PgRow};
use transparency::Hash;
use uuid::Uuid;

use crate::tree;

/// One signed checkpoint of an organization's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Dense from 1.
    pub number: i64,
    /// How many events it covers: positions 1 to `size`.
    pub size: u64,
    pub root: Hash,
    /// The signed note.
    pub note: String,
    pub key_id: Uuid,
    pub created_at: DateTime<Utc>,
}

impl Signed {
    pub(crate) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get("number")?,
            size: size(row.try_get("size")?),
            root: tree::hash(row.try_get("root")?)?,
            note: row.try_get("note")?,
            key_id: row.try_get("key_id")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

/// A size or position of the database, which are never negative.
pub(crate) fn size(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// The last checkpoint, or the last that covers no more than `size`.
pub async fn latest(
    connection: &mut PgConnection,
    organization: OrganizationId,
    most: Option<u64>,
) -> Result<Option<Signed>, sqlx::Error> {
    let most = most.and_then(|most| i64::try_from(most).ok()).unwrap_or(i64::MAX);
    let row = sqlx::query(
        "select number, size, root, note, key_id, created_at from log.checkpoints
         where organization_id = $1 and size <= $2 order by number desc limit 1",
    )
    .bind(organization.0)
    .bind(most)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(Signed::read).transpose()
}

/// Checkpoints by number: after it, or before it when they are asked for from the newest on.
pub async fn page(
    connection: &mut PgConnection,
    organization: OrganizationId,
    from: Option<i64>,
    descending: bool,
    limit: i64,
) -> Result<Vec<Signed>, sqlx::Error> {
    let query = if descending {
        "select number, size, root, note, key_id, created_at from log.checkpoints
         where organization_id = $1 and number < $2 order by number desc limit $3"
    } else {
        "select number, size, root, note, key_id, created_at from log.checkpoints
         where organization_id = $1 and number > $2 order by number limit $3"
    };
    let from = from.unwrap_or(if descending { i64::MAX } else { 0 });
    let rows = sqlx::query(query).bind(organization.0).bind(from).bind(limit).fetch_all(connection).await?;
    rows.iter().map(Signed::read).collect()
}
