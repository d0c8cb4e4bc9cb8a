//! A bundle: what an organization's log says about one resident, in one text file that proves itself.
//!
//! A JSON object per line, `type` first. In this order: one `bundle`, one `checkpoint`, the `key`s that signed it, `document`s,
//! one `header` for *every* position of the organization's log up to the checkpoint, an `event` for each header of a disclosed
//! stream, one `seal`. The headers are what makes it complete: they hash to the checkpoint's root, so none can be left out, and
//! none of a disclosed stream may lack its event.

mod seal;
mod verify;

pub use seal::Writer;
pub use verify::{BundleError, Verified, verify};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The version of the format.
pub const VERSION: u32 = 1;

/// A stream by its type and id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stream {
    pub stream: String,
    pub stream_id: String,
}

/// What an event's leaf commits to; hashes are hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The organization's, from 1.
    pub position: u64,
    pub stream: String,
    pub stream_id: String,
    pub version: i64,
    pub event_type: String,
    pub event_version: String,
    pub recorded_at: String,
    pub payload_sha256: String,
    pub metadata_sha256: String,
}

/// A personal field of a disclosed event, by the commitment that the event holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// `SHA-256(salt ‖ text)` in base64.
    pub commitment: String,
    #[serde(flatten)]
    pub content: Content,
}

/// What is disclosed of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Content {
    /// The salt in base64, and the value's JSON text.
    Opened { salt: String, text: String },
    /// Its key was destroyed.
    Erased,
    /// It is somebody else's.
    Withheld,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Line {
    Bundle {
        version: u32,
        origin: String,
        organization: Uuid,
        resident: Uuid,
        streams: Vec<Stream>,
    },
    Checkpoint {
        note: String,
    },
    Key {
        vkey: String,
    },
    /// A text that disclosed events refer to by its hash, such as a disclosure that somebody was shown.
    Document {
        name: String,
        sha256: String,
        text: String,
    },
    Header(Header),
    /// The texts exactly as stored.
    Event {
        position: u64,
        payload: String,
        metadata: String,
        fields: Vec<Field>,
    },
    Seal {
        note: String,
    },
}

/// The commitments of the sealed fields of a stored event, in order.
pub fn commitments(payload: &Value, metadata: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(payload, &mut found);
    collect(metadata, &mut found);
    // The client's address is sealed as a text within the metadata's text.
    let address =
        metadata.get("client_address").and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    collect(&address.unwrap_or_default(), &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => match map.get("$sealed") {
            Some(sealed) => found.push(sealed["commitment"].as_str().unwrap_or_default().to_owned()),
            None => map.values().for_each(|inner| collect(inner, found)),
        },
        Value::Array(list) => list.iter().for_each(|inner| collect(inner, found)),
        _ => {}
    }
}
