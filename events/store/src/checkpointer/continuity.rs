//! Whether a log continues what was signed of it: the one question before every signature.

use events::OrganizationId;
use futures_util::TryStreamExt;
use sqlx::{PgConnection, Row, postgres::PgRow};
use transparency::Hash;
use uuid::Uuid;

use super::{Refusal, Seen};
use crate::{checkpoints::size, tree};

/// An organization whose log has grown, or whose key was replaced.
pub(super) struct Due {
    pub organization: OrganizationId,
    pub head: u64,
    /// Zero before the first checkpoint.
    pub number: i64,
    pub signed: Option<(Seen, Uuid)>,
}

/// A checkpoint that can be signed.
pub(super) struct Extended {
    pub due: Due,
    pub tree: Seen,
    pub tiles: Vec<(i16, i64, Hash)>,
}

/// Everything that there is to sign.
pub(super) async fn due(connection: &mut PgConnection, current: Uuid) -> Result<Vec<Due>, sqlx::Error> {
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

/// The tree as it stands now, if it continues everything that was signed, and what was seen signed.
pub(super) async fn extend(
    connection: &mut PgConnection,
    due: Due,
    seen: Option<Seen>,
) -> Result<Result<Extended, Refusal>, sqlx::Error> {
    let organization = due.organization;
    let refuse = |position: u64, reason: String| Ok(Err(Refusal { organization, position, reason }));
    let base = due.signed.map_or(0, |(signed, _)| signed.size);
    if due.head < base {
        return refuse(due.head + 1, format!("the log ends before position {base}, which was signed"));
    }
    let seen = seen.filter(|seen| seen.size > 0);
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
