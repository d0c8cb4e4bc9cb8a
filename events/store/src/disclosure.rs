//! Bundles: what the log says about one resident, written so that anybody can check that it is all of it.

use std::{collections::BTreeSet, io::Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use events::{Event, OrganizationId, Role, SmsConsentEvent, TextMessageEvent};
use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::{PgConnection, Row, postgres::PgRow};
use transparency::{
    CompactRange, KeyPair, Note,
    bundle::{Content, Field, Header, Line, Stream, VERSION, Writer},
    hash::{hex, sha256},
    leaf,
    note::NoteError,
};
use uuid::Uuid;

use crate::{Store, checkpoints, keyring::KeyError, seal::Disclosed, signing, tree};

/// The types of streams that belong to a resident whom one of their events names.
const NAMING: &[&str] = &[SmsConsentEvent::STREAM, TextMessageEvent::STREAM];

/// A text that disclosed events refer to by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub name: String,
    pub text: String,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The checkpoint's size: how many headers.
    pub size: u64,
    pub streams: usize,
    pub events: usize,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum DisclosureError {
    #[error("the log cannot be read")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the bundle cannot be written")]
    Write(#[from] std::io::Error),
    #[error("the log has no events of this resident")]
    NoSuchResident,
    #[error("no checkpoint was signed yet")]
    NoCheckpoint,
    #[error("the checkpoint's signatures are not of this log's keys")]
    Note(#[from] NoteError),
    #[error("position {0} is not what was signed; see `propty audit verify`")]
    Tampered(u64),
    #[error("a stored event is no JSON")]
    Event(#[from] serde_json::Error),
}

/// The streams that tell of a resident, up to a position: the resident's own, and those of consents and texts that name them.
pub async fn streams_of(
    connection: &mut PgConnection,
    organization: OrganizationId,
    resident: Uuid,
    size: u64,
) -> Result<Vec<Stream>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select aggregate_type, aggregate_id from log.entries
         where organization_id = $1 and aggregate_type = 'resident' and aggregate_id = $2::text and position <= $3
         union
         select entry.aggregate_type, entry.aggregate_id
         from log.entries entry
         cross join lateral (
             select * from log.events event
             where event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
                 and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
             limit 1
         ) stored
         where entry.organization_id = $1 and entry.aggregate_type = any($4) and entry.position <= $3
             and position($2::text in stored.payload::text) > 0",
    )
    .bind(organization.0)
    .bind(resident.to_string())
    .bind(i64::try_from(size).unwrap_or(i64::MAX))
    .bind(NAMING)
    .fetch_all(connection)
    .await?;
    let streams: BTreeSet<Stream> = rows.into_iter().map(|(stream, stream_id)| Stream { stream, stream_id }).collect();
    Ok(streams.into_iter().collect())
}

/// Writes the bundle of a resident as of the last checkpoint. Two of the same checkpoint are equal byte by byte, unless
/// something was erased between them.
pub async fn bundle<W: Write>(
    store: &Store,
    organization: OrganizationId,
    resident: Uuid,
    documents: &[Document],
    out: W,
) -> Result<Summary, DisclosureError> {
    let mut transaction = crate::transaction::begin(store.pool()).await?;
    // One instant of the log, however long the reading takes.
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *transaction).await?;
    let checkpoint = checkpoints::latest(&mut transaction, organization, None).await?;
    let checkpoint = checkpoint.ok_or(DisclosureError::NoCheckpoint)?;
    let origin = signing::origin(&mut transaction, organization).await?;
    let streams = streams_of(&mut transaction, organization, resident, checkpoint.size).await?;
    if !streams.iter().any(|known| known.stream == "resident") {
        return Err(DisclosureError::NoSuchResident);
    }
    let keys = signers(store, &mut transaction, &origin, &checkpoint.note).await?;
    let mut writer = Writer::new(out);
    let about =
        Line::Bundle { version: VERSION, origin: origin.clone(), organization: organization.0, resident, streams };
    writer.line(&about)?;
    let Line::Bundle { streams, .. } = about else { return Err(DisclosureError::NoCheckpoint) };
    writer.line(&Line::Checkpoint { note: checkpoint.note.clone() })?;
    for key in &keys {
        let vkey = transparency::Vkey { name: origin.clone(), public: key.public() };
        writer.line(&Line::Key { vkey: vkey.to_string() })?;
    }
    for Document { name, text } in documents {
        let sha256 = hex(&sha256(text.as_bytes()));
        writer.line(&Line::Document { name: name.clone(), sha256, text: text.clone() })?;
    }
    headers(&mut transaction, organization, checkpoint.size, &mut writer).await?;
    let events =
        disclosed(store, &mut transaction, organization, resident, checkpoint.size, &streams, &mut writer).await?;
    let keys: Vec<&KeyPair> = keys.iter().collect();
    writer.seal(&origin, &keys)?;
    Ok(Summary { size: checkpoint.size, streams: streams.len(), events })
}

/// The keys that have signed the checkpoint: they also seal.
async fn signers(
    store: &Store,
    connection: &mut PgConnection,
    origin: &str,
    note: &str,
) -> Result<Vec<KeyPair>, DisclosureError> {
    let known = signing::public_keys(connection).await?;
    let vkeys: Vec<_> = known.iter().map(|key| key.vkey(origin)).collect();
    let note = Note::parse(note)?;
    let signed: Vec<[u8; 32]> = note.verify(&vkeys)?.iter().map(|key| key.public).collect();
    let mut keys = Vec::new();
    for key in known.iter().filter(|key| signed.contains(&key.public)) {
        keys.push(signing::open(store.pool(), store.keyring(), key.id).await?);
    }
    Ok(keys)
}

const STORED: &str = "select entry.position, entry.leaf, stored.aggregate_type, stored.aggregate_id, stored.sequence,
        stored.event_type, stored.event_version, stored.recorded_at, stored.payload::text as payload,
        stored.metadata::text as metadata
     from log.entries entry
     cross join lateral (
         select * from log.events event
         where event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
             and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
         limit 1
     ) stored
     where entry.organization_id = $1 and entry.position <= $2";

/// Every header up to the checkpoint; whatever does not hash to its leaf is not passed on.
async fn headers<W: Write>(
    connection: &mut PgConnection,
    organization: OrganizationId,
    size: u64,
    writer: &mut Writer<W>,
) -> Result<(), DisclosureError> {
    let query = format!("{STORED} order by entry.position");
    let mut rows =
        sqlx::query(&query).bind(organization.0).bind(i64::try_from(size).unwrap_or(i64::MAX)).fetch(connection);
    let mut tree = CompactRange::default();
    while let Some(row) = rows.try_next().await? {
        let header = header(&row)?;
        let text = organization.0.to_string();
        let written = leaf::Written {
            organization: &text,
            stream: &header.stream,
            stream_id: &header.stream_id,
            version: header.version,
            event_type: &header.event_type,
            event_version: &header.event_version,
            recorded_at: &header.recorded_at,
            payload_sha256: &header.payload_sha256,
            metadata_sha256: &header.metadata_sha256,
        };
        let hash = written.hash();
        if header.position != tree.size() + 1 || tree::hash(row.try_get("leaf")?)? != hash {
            return Err(DisclosureError::Tampered(tree.size() + 1));
        }
        tree.append(hash, |_, _| {});
        writer.line(&Line::Header(header))?;
    }
    if tree.size() < size { Err(DisclosureError::Tampered(tree.size() + 1)) } else { Ok(()) }
}

fn header(row: &PgRow) -> Result<Header, sqlx::Error> {
    let recorded_at: DateTime<Utc> = row.try_get("recorded_at")?;
    Ok(Header {
        position: checkpoints::size(row.try_get("position")?),
        stream: row.try_get("aggregate_type")?,
        stream_id: row.try_get("aggregate_id")?,
        version: row.try_get("sequence")?,
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        recorded_at: leaf::instant(recorded_at),
        payload_sha256: hex(&sha256(row.try_get::<&str, _>("payload")?.as_bytes())),
        metadata_sha256: hex(&sha256(row.try_get::<&str, _>("metadata")?.as_bytes())),
    })
}

/// The events of the disclosed streams, with what opens their sealed fields.
async fn disclosed<W: Write>(
    store: &Store,
    connection: &mut PgConnection,
    organization: OrganizationId,
    resident: Uuid,
    size: u64,
    streams: &[Stream],
    writer: &mut Writer<W>,
) -> Result<usize, DisclosureError> {
    let query = format!(
        "{STORED} and (entry.aggregate_type, entry.aggregate_id) in (select * from unnest($3::text[], $4::text[]))
         order by entry.position"
    );
    let rows = sqlx::query(&query)
        .bind(organization.0)
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .bind(streams.iter().map(|known| known.stream.as_str()).collect::<Vec<_>>())
        .bind(streams.iter().map(|known| known.stream_id.as_str()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let mut subjects: BTreeSet<Uuid> = streams.iter().filter_map(|known| known.stream_id.parse().ok()).collect();
    subjects.insert(resident);
    for row in &rows {
        let (payload, metadata): (String, String) = (row.try_get("payload")?, row.try_get("metadata")?);
        let (body, about): (Value, Value) = (serde_json::from_str(&payload)?, serde_json::from_str(&metadata)?);
        let address = about.get("client_address").and_then(Value::as_str);
        let address: Value = address.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let mut found = store.keyring().disclose_all(organization, &[&body, &address]).await?;
        let addresses = found.pop().unwrap_or_default();
        // Where a manager sat is none of a resident's evidence.
        let is_own = about.get("role").and_then(Value::as_str) == Some(Role::Resident.name());
        let fields = found.into_iter().flatten().map(|field| field_of(&subjects, field));
        let addresses = addresses.into_iter().map(|field| {
            if is_own {
                field_of(&subjects, field)
            } else {
                Field { commitment: field.commitment, content: Content::Withheld }
            }
        });
        let fields = fields.chain(addresses).collect();
        let position = checkpoints::size(row.try_get("position")?);
        writer.line(&Line::Event { position, payload, metadata, fields })?;
    }
    Ok(rows.len())
}

/// What is the resident's, or a disclosed stream's, is opened.
fn field_of(subjects: &BTreeSet<Uuid>, field: Disclosed) -> Field {
    let content = match field.opened {
        _ if !subjects.contains(&field.subject) => Content::Withheld,
        Some((salt, text)) => Content::Opened { salt: STANDARD.encode(salt), text },
        None => Content::Erased,
    };
    Field { commitment: field.commitment, content }
}
