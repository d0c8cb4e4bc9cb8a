//! An event as the log holds it: who, where, when, and at which position.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::{Metadata, OrganizationId};

/// What all event enums have in common.
pub trait Event: Clone + serde::Serialize + DeserializeOwned + schemars::JsonSchema + Send + Sync + 'static {
    /// The name of the streams that these events live in (`invoice`).
    const STREAM: &'static str;
    /// Every event's name with the current version of its stored shape.
    const NAMES: &'static [(&'static str, u32)];

    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
}

/// One row of the log with its event, personal fields opened where they still can be.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Order over all organizations. Internal: it never leaves the system.
    pub global_position: i64,
    pub organization: OrganizationId,
    /// The organization's own dense position, from 1.
    pub position: i64,
    pub stream: String,
    pub stream_id: Uuid,
    /// The event's number in its stream, from 1.
    pub version: i64,
    pub event_type: String,
    pub recorded_at: DateTime<Utc>,
    pub metadata: Metadata,
    /// The event in the current version of its shape, externally tagged by its name.
    pub payload: Value,
}

/// A stored event that today's code cannot read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {event_type} at {stream}/{stream_id} version {version}")]
pub struct Decode {
    pub event_type: String,
    pub stream: String,
    pub stream_id: Uuid,
    pub version: i64,
    #[source]
    pub source: serde_json::Error,
}

impl Recorded {
    /// The event, if it belongs to the streams of `E`.
    pub fn event<E: Event>(&self) -> Result<Option<E>, Decode> {
        if self.stream != E::STREAM {
            return Ok(None);
        }
        E::deserialize(&self.payload).map(Some).map_err(|source| Decode {
            event_type: self.event_type.clone(),
            stream: self.stream.clone(),
            stream_id: self.stream_id,
            version: self.version,
            source,
        })
    }

    /// Names this event for causation and for keys of what follows from it.
    pub fn reference(&self) -> String {
        format!("{}/{}/{}", self.stream, self.stream_id, self.version)
    }
}
