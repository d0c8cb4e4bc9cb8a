//! The append: events, their places in the sequencer's queue and the idempotency record, in one statement.

use chrono::{DateTime, Utc};
use events::Metadata;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{idempotency::IdempotencyKey, keyring::KeyError};

/// Who asks for what, when, and under which key.
#[derive(Debug, Clone)]
pub struct CommandContext {
    pub metadata: Metadata,
    /// Business clock.
    pub recorded_at: DateTime<Utc>,
    pub idempotency: Option<IdempotencyKey>,
}

/// An event ready to be stored.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub stream: &'static str,
    pub stream_id: Uuid,
    pub version: i64,
    pub event_type: &'static str,
    pub event_version: u32,
    /// Sealed.
    pub payload: Value,
}

/// What an accepted command did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    pub stream: String,
    pub stream_id: Uuid,
    /// The stream's version afterwards.
    pub version: i64,
    /// The names of the events, the last of which has `version`. Empty: nothing had to change.
    pub events: Vec<String>,
}

/// Why nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error("the stream has moved on")]
    Conflict,
    #[error("another request with the same key was faster")]
    KeyTaken,
    #[error("the database gave up on a conflict; nothing was stored")]
    Retryable(#[source] sqlx::Error),
    #[error("the events could not be stored")]
    Database(#[source] sqlx::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("an event could not be written as JSON")]
    Encode(#[from] serde_json::Error),
    #[error("the stream belongs to another organization")]
    Foreign,
}

impl From<sqlx::Error> for AppendError {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else { return Self::Database(error) };
        match (database.code().as_deref(), database.constraint()) {
            (Some("23505"), Some("idempotency_key")) => Self::KeyTaken,
            (Some("23505"), _) => Self::Conflict,
            (Some("40001" | "40P01"), _) => Self::Retryable(error),
            _ => Self::Database(error),
        }
    }
}

/// Stores everything or nothing. One round trip.
pub async fn append(
    pool: &PgPool,
    context: &CommandContext,
    client_address: Option<&Value>,
    events: &[NewEvent],
    answer: &Value,
) -> Result<(), AppendError> {
    let metadata = metadata_text(&context.metadata, client_address)?;
    let key = context.idempotency.as_ref();
    let columns = (
        events.iter().map(|event| event.stream).collect::<Vec<_>>(),
        events.iter().map(|event| event.stream_id.to_string()).collect::<Vec<_>>(),
        events.iter().map(|event| event.version).collect::<Vec<_>>(),
        events.iter().map(|event| event.event_type).collect::<Vec<_>>(),
        events.iter().map(|event| event.event_version.to_string()).collect::<Vec<_>>(),
        events.iter().map(|event| event.payload.to_string()).collect::<Vec<_>>(),
    );
    sqlx::query(
        "with added as (
             select stream, id, version, type, type_version, payload, ordinality
             from unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])
                 with ordinality as added (stream, id, version, type, type_version, payload, ordinality)
         ), stored as (
             insert into log.events (organization_id, aggregate_type, aggregate_id, stream_key, sequence, event_type, event_version,
                                     payload, metadata, recorded_at)
             select $1, stream, id, $1::text || '/' || id, version, type, type_version, payload::json, $8::json, $9 from added
         ), queued as (
             insert into log.pending (organization_id, aggregate_type, aggregate_id, sequence)
             select $1, stream, id, version from added order by ordinality
         )
         insert into log.idempotency (organization_id, actor, command, key, body, answer, permanent)
         select $1, $10, $11, $12, $13, $14::json, $15 where $12::text is not null",
    )
    .bind(context.metadata.organization.0)
    .bind(columns.0)
    .bind(columns.1)
    .bind(columns.2)
    .bind(columns.3)
    .bind(columns.4)
    .bind(columns.5)
    .bind(metadata)
    .bind(context.recorded_at)
    .bind(&context.metadata.actor)
    .bind(&context.metadata.command)
    .bind(key.map(|key| key.key.as_str()))
    .bind(key.map(|key| key.body.to_vec()))
    .bind(answer.to_string())
    .bind(key.is_some_and(|key| key.permanent))
    .execute(pool)
    .await?;
    Ok(())
}

/// The metadata as flat strings, which is how `cqrs-es` reads them.
fn metadata_text(metadata: &Metadata, client_address: Option<&Value>) -> Result<String, AppendError> {
    let mut value = serde_json::to_value(metadata)?;
    if let Value::Object(object) = &mut value {
        match client_address {
            Some(sealed) => object.insert("client_address".into(), sealed.to_string().into()),
            None => object.remove("client_address"),
        };
    }
    Ok(value.to_string())
}
