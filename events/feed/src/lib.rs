//! The log of an organization as public events: read in slices, for the feed over HTTP and for webhooks alike.

mod shown;
mod slice;

use std::sync::Arc;

use events::OrganizationId;
use public_events::Selection;
use sqlx::PgPool;
use uuid::Uuid;

pub use shown::Shown;
pub use slice::{Fetched, MOST, Slice, Teller};

/// What one reader wants to see, and may.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub organization: OrganizationId,
    pub types: Selection,
    pub aggregate: Option<Aggregate>,
    /// Only events that reach all of these properties: the reader's own, and the one that was asked for.
    pub properties: Vec<Uuid>,
}

/// A kind of aggregate, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregate {
    pub stream: &'static str,
    pub id: Option<Uuid>,
}

/// Why a slice could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// This history does not know the position.
    #[error("the log ends at {head}")]
    Beyond { head: i64, incarnation: i32 },
    #[error("the log could not be read")]
    Database(#[from] sqlx::Error),
    /// What cannot be read is not left out: readers were promised that nothing is missing.
    #[error("an event of the log cannot be told")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads slices of the logs of all organizations, each under row-level security.
#[derive(Debug)]
pub struct Reader {
    /// Row-level security binds it.
    pool: PgPool,
    teller: Arc<Teller>,
}

impl Reader {
    /// Events name schemas below `public_url`.
    pub fn new(pool: PgPool, public_url: &str) -> Self {
        Self { pool, teller: Arc::new(Teller::new(public_url)) }
    }

    pub const fn teller(&self) -> &Arc<Teller> {
        &self.teller
    }
}

impl Aggregate {
    /// Reads `invoice`, or `invoice/…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (stream, id) = text.split_once('/').map_or((text, None), |(stream, id)| (stream, Some(id)));
        let stream = shown::stream(stream)?;
        Some(Self { stream, id: id.map(str::parse).transpose().ok()? })
    }
}

impl Wanted {
    /// Everything that an organization tells.
    pub fn all(organization: OrganizationId) -> Self {
        Self { organization, types: Selection::default(), aggregate: None, properties: Vec::new() }
    }

    pub fn takes(&self, shown: &Shown) -> bool {
        self.types.takes(shown.declared)
            && self
                .aggregate
                .is_none_or(|one| one.stream == shown.stream && one.id.is_none_or(|id| id == shown.stream_id))
            && self.properties.iter().all(|property| shown.reaches(*property))
    }
}
