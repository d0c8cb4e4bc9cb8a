//! The append: events, their places in the sequencer's queue and idempotency records, in one statement.

use std::collections::BTreeMap;

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

/// Stores everything or nothing. One round trip, for whoever appends in bulk; commands go through [`crate::Store`].
pub async fn append(
    pool: &PgPool,
    context: &CommandContext,
    client_address: Option<&Value>,
    events: &[NewEvent],
    answer: &Value,
) -> Result<(), AppendError> {
    insert(pool, &[&Prepared::try_new(context, client_address, events, answer)?]).await?;
    Ok(())
}

/// A stream: its type, its organization and its id.
pub(crate) type StreamName = (&'static str, Uuid, Uuid);

/// What a key is unique within, and the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyName {
    organization: Uuid,
    actor: String,
    command: String,
    key: String,
}

/// The row of a key.
#[derive(Debug)]
struct KeyRow {
    name: KeyName,
    body: [u8; 32],
    answer: String,
    permanent: bool,
}

#[derive(Debug)]
struct EventRow {
    stream: StreamName,
    version: i64,
    event_type: &'static str,
    event_version: u32,
    payload: String,
}

/// One command's rows, written as they will be stored.
#[derive(Debug)]
pub(crate) struct Prepared {
    metadata: String,
    recorded_at: DateTime<Utc>,
    events: Vec<EventRow>,
    key: Option<KeyRow>,
}

impl Prepared {
    pub fn try_new(
        context: &CommandContext,
        client_address: Option<&Value>,
        events: &[NewEvent],
        answer: &Value,
    ) -> Result<Self, AppendError> {
        let organization = context.metadata.organization.0;
        Ok(Self {
            metadata: metadata_text(&context.metadata, client_address)?,
            recorded_at: context.recorded_at,
            events: events
                .iter()
                .map(|event| EventRow {
                    stream: (event.stream, organization, event.stream_id),
                    version: event.version,
                    event_type: event.event_type,
                    event_version: event.event_version,
                    payload: event.payload.to_string(),
                })
                .collect(),
            key: context.idempotency.as_ref().map(|key| KeyRow {
                name: KeyName {
                    organization,
                    actor: context.metadata.actor.clone(),
                    command: context.metadata.command.clone(),
                    key: key.key.clone(),
                },
                body: key.body,
                answer: answer.to_string(),
                permanent: key.permanent,
            }),
        })
    }

    /// The stream that the command adds to, with the first and the last version that it adds.
    pub fn stream(&self) -> Option<(StreamName, i64, i64)> {
        let (first, last) = (self.events.first()?, self.events.last()?);
        Some((first.stream, first.version, last.version))
    }

    pub fn key(&self) -> Option<&KeyName> {
        self.key.as_ref().map(|key| &key.name)
    }

    /// About how many bytes its statement has.
    pub fn weight(&self) -> usize {
        self.events.iter().map(|event| event.payload.len() + self.metadata.len() + 200).sum()
    }
}

/// Stores all rows of all these commands, or none. One statement, which is its own transaction.
///
/// Rows go in in the order of the commands, which should be that of their streams; keys in their own order: so that two
/// processes that want the same rows wait for each other in one direction.
pub(crate) async fn insert(pool: &PgPool, commands: &[&Prepared]) -> Result<(), sqlx::Error> {
    let rows = || commands.iter().flat_map(|command| command.events.iter().map(move |event| (*command, event)));
    let mut keys: Vec<&KeyRow> = commands.iter().filter_map(|command| command.key.as_ref()).collect();
    keys.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    sqlx::query(
        "with added as (
             select organization, stream, id, version, type, type_version, payload, metadata, recorded_at, place
             from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::timestamptz[])
                 with ordinality as added (organization, stream, id, version, type, type_version, payload, metadata,
                                           recorded_at, place)
         ), stored as (
             insert into log.events (organization_id, aggregate_type, aggregate_id, stream_key, sequence, event_type, event_version,
                                     payload, metadata, recorded_at)
             select organization, stream, id, organization::text || '/' || id, version, type, type_version, payload::json,
                    metadata::json, recorded_at
             from added
         ), queued as (
             insert into log.pending (organization_id, aggregate_type, aggregate_id, sequence)
             select organization, stream, id, version from added order by place
         )
         insert into log.idempotency (organization_id, actor, command, key, body, answer, permanent)
         select organization, actor, command, key, body, answer::json, permanent
         from unnest($10::uuid[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::text[], $16::bool[])
             as asked (organization, actor, command, key, body, answer, permanent)",
    )
    .bind(rows().map(|(_, event)| event.stream.1).collect::<Vec<_>>())
    .bind(rows().map(|(_, event)| event.stream.0).collect::<Vec<_>>())
    .bind(rows().map(|(_, event)| event.stream.2.to_string()).collect::<Vec<_>>())
    .bind(rows().map(|(_, event)| event.version).collect::<Vec<_>>())
    .bind(rows().map(|(_, event)| event.event_type).collect::<Vec<_>>())
    .bind(rows().map(|(_, event)| event.event_version.to_string()).collect::<Vec<_>>())
    .bind(rows().map(|(_, event)| event.payload.as_str()).collect::<Vec<_>>())
    .bind(rows().map(|(command, _)| command.metadata.as_str()).collect::<Vec<_>>())
    .bind(rows().map(|(command, _)| command.recorded_at).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.name.organization).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.name.actor.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.name.command.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.name.key.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.body.as_slice()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.answer.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.permanent).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(())
}

/// Which of these commands cannot be stored because of what is stored already, by their index. A taken key is named before a
/// version that is taken as well: who repeats a request is owed its answer.
pub(crate) async fn losers(pool: &PgPool, commands: &[&Prepared]) -> Result<Vec<(usize, AppendError)>, sqlx::Error> {
    let streams: Vec<_> =
        (0i64..).zip(commands).filter_map(|(index, command)| Some((index, command.stream()?))).collect();
    let keys: Vec<_> = (0i64..).zip(commands).filter_map(|(index, command)| Some((index, command.key()?))).collect();
    // Row by row, by the index: see `Subscription::page`.
    let rows: Vec<(i64, bool)> = sqlx::query_as(
        "select asked.command, true as key
         from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[])
             as asked (command, organization, actor, name, key)
         cross join lateral (
             select from log.idempotency known
             where known.organization_id = asked.organization and known.actor = asked.actor and known.command = asked.name
                 and known.key = asked.key
             limit 1
         ) taken
         union all
         select added.command, false
         from unnest($6::bigint[], $7::uuid[], $8::text[], $9::text[], $10::bigint[], $11::bigint[])
             as added (command, organization, stream, id, first, last)
         cross join lateral (
             select from log.events event
             where event.aggregate_type = added.stream and event.stream_key = added.organization::text || '/' || added.id
                 and event.sequence between added.first and added.last
             limit 1
         ) taken",
    )
    .bind(keys.iter().map(|(index, _)| *index).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, key)| key.organization).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, key)| key.actor.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, key)| key.command.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, key)| key.key.as_str()).collect::<Vec<_>>())
    .bind(streams.iter().map(|(index, _)| *index).collect::<Vec<_>>())
    .bind(streams.iter().map(|(_, (stream, ..))| stream.1).collect::<Vec<_>>())
    .bind(streams.iter().map(|(_, (stream, ..))| stream.0).collect::<Vec<_>>())
    .bind(streams.iter().map(|(_, (stream, ..))| stream.2.to_string()).collect::<Vec<_>>())
    .bind(streams.iter().map(|(_, (_, first, _))| *first).collect::<Vec<_>>())
    .bind(streams.iter().map(|(_, (.., last))| *last).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let mut lost: BTreeMap<usize, AppendError> = BTreeMap::new();
    for (index, by_key) in rows {
        let Ok(index) = usize::try_from(index) else { continue };
        if by_key {
            lost.insert(index, AppendError::KeyTaken);
        } else {
            lost.entry(index).or_insert(AppendError::Conflict);
        }
    }
    Ok(lost.into_iter().collect())
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
