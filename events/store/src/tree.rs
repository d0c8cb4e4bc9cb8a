//! An organization's Merkle tree as it is stored: leaves in the log, roots of complete subtrees in tiles.

use std::collections::HashMap;

use events::OrganizationId;
use sqlx::{PgConnection, Row};
use transparency::{CompactRange, Hash, Node, proof, range};

/// A tile is a subtree of `2^8` leaves, or of so many tiles.
pub(crate) const TILE_HEIGHT: u32 = 8;

/// The tree of this size; `None` when leaves or tiles of it are missing.
pub async fn compact(
    connection: &mut PgConnection,
    organization: OrganizationId,
    size: u64,
) -> Result<Option<CompactRange>, sqlx::Error> {
    let nodes = range::nodes(0, size);
    let known = lookup(connection, organization, &nodes).await?;
    let roots: Option<Vec<Hash>> = nodes.iter().map(|node| known.get(node).copied()).collect();
    Ok(roots.and_then(|roots| CompactRange::try_new(size, roots)))
}

/// Proves that the event at a position (from 1) is in the tree of this size; `None` when it is not, or leaves are missing.
pub async fn inclusion(
    connection: &mut PgConnection,
    organization: OrganizationId,
    position: u64,
    size: u64,
) -> Result<Option<Vec<Hash>>, sqlx::Error> {
    let spans = position.checked_sub(1).and_then(|index| proof::inclusion(index, size));
    prove(connection, organization, spans).await
}

/// Proves that the tree of size `to` begins with that of size `from`; `None` when it cannot be, or leaves are missing.
pub async fn consistency(
    connection: &mut PgConnection,
    organization: OrganizationId,
    from: u64,
    to: u64,
) -> Result<Option<Vec<Hash>>, sqlx::Error> {
    prove(connection, organization, proof::consistency(from, to)).await
}

/// The leaf of a position.
pub async fn leaf(
    connection: &mut PgConnection,
    organization: OrganizationId,
    position: u64,
) -> Result<Option<Hash>, sqlx::Error> {
    let leaf: Option<Vec<u8>> =
        sqlx::query_scalar("select leaf from log.entries where organization_id = $1 and position = $2")
            .bind(organization.0)
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .fetch_optional(connection)
            .await?;
    leaf.map(|leaf| hash(&leaf)).transpose()
}

async fn prove(
    connection: &mut PgConnection,
    organization: OrganizationId,
    spans: Option<Vec<proof::Span>>,
) -> Result<Option<Vec<Hash>>, sqlx::Error> {
    let Some(spans) = spans else { return Ok(None) };
    let nodes: Vec<Node> = spans.iter().flat_map(proof::Span::nodes).collect();
    let known = lookup(connection, organization, &nodes).await?;
    Ok(spans.iter().map(|span| span.hash(|node| known.get(&node).copied())).collect())
}

/// The hashes of complete subtrees, each folded from the leaves or tiles right below it.
async fn lookup(
    connection: &mut PgConnection,
    organization: OrganizationId,
    nodes: &[Node],
) -> Result<HashMap<Node, Hash>, sqlx::Error> {
    let mut found = HashMap::with_capacity(nodes.len());
    for leaves in [true, false] {
        let wanted: Vec<Node> = nodes.iter().copied().filter(|node| (node.height < TILE_HEIGHT) == leaves).collect();
        if wanted.is_empty() {
            continue;
        }
        let (mut levels, mut first, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for node in &wanted {
            let above = node.height % TILE_HEIGHT;
            levels.push(i16::try_from(node.height / TILE_HEIGHT).unwrap_or(i16::MAX));
            first.push(i64::try_from(node.index << above).unwrap_or(i64::MAX));
            after.push(i64::try_from((node.index + 1) << above).unwrap_or(i64::MAX));
        }
        let query = if leaves {
            "select wanted.place, entry.leaf as hash
             from unnest($2::smallint[], $3::bigint[], $4::bigint[]) with ordinality as wanted (level, first, after, place)
             join log.entries entry on entry.organization_id = $1 and entry.position > wanted.first
                 and entry.position <= wanted.after
             order by wanted.place, entry.position"
        } else {
            "select wanted.place, tile.hash
             from unnest($2::smallint[], $3::bigint[], $4::bigint[]) with ordinality as wanted (level, first, after, place)
             join log.tiles tile on tile.organization_id = $1 and tile.level = wanted.level and tile.index >= wanted.first
                 and tile.index < wanted.after
             order by wanted.place, tile.index"
        };
        let rows = sqlx::query(query)
            .bind(organization.0)
            .bind(levels)
            .bind(first)
            .bind(after)
            .fetch_all(&mut *connection)
            .await?;
        let mut below: Vec<Vec<Hash>> = vec![Vec::new(); wanted.len()];
        for row in &rows {
            let place = usize::try_from(row.try_get::<i64, _>("place")? - 1).unwrap_or(usize::MAX);
            if let Some(below) = below.get_mut(place) {
                below.push(hash(row.try_get("hash")?)?);
            }
        }
        for (node, below) in wanted.into_iter().zip(below) {
            if below.len() == 1 << (node.height % TILE_HEIGHT) {
                let mut subtree = CompactRange::default();
                for hash in below {
                    subtree.append(hash, |_, _| {});
                }
                found.insert(node, subtree.root());
            }
        }
    }
    Ok(found)
}

/// 32 bytes of a row.
pub(crate) fn hash(bytes: &[u8]) -> Result<Hash, sqlx::Error> {
    bytes.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
