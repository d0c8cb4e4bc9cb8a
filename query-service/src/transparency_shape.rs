//! Checkpoints, proofs and keys as the API shows them; bytes are in base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use event_store::checkpoints::Signed;
use poem_openapi::Object;
use uuid::Uuid;

use crate::instant::Instant;

/// A signed statement of the log's size and root.
#[derive(Debug, Clone, Object)]
pub struct LogCheckpoint {
    /// Dense from 1.
    pub number: i64,
    /// How many events it covers: positions 1 to `size`.
    pub size: u64,
    /// The root of the Merkle tree (RFC 6962), in base64.
    pub root: String,
    /// The signed note (C2SP tlog-checkpoint): what is signed, and the signatures.
    pub note: String,
    /// The key that was current. After a rotation the note has the former key's signature too.
    pub key_id: Uuid,
    pub signed_at: Instant,
}

impl From<Signed> for LogCheckpoint {
    fn from(signed: Signed) -> Self {
        let Signed { number, size, root, note, key_id, created_at } = signed;
        Self { number, size, root: STANDARD.encode(root), note, key_id, signed_at: Instant(created_at) }
    }
}

/// A proof that an event is in the tree (RFC 9162 section 2.1.3).
#[derive(Debug, Clone, Object)]
pub struct InclusionProof {
    pub position: u64,
    pub size: u64,
    /// The event's leaf, in base64.
    pub leaf: String,
    /// From the leaf to the root, in base64.
    pub hashes: Vec<String>,
    /// The root of the tree of this size, in base64.
    pub root: String,
}

/// A proof that a tree begins with another (RFC 9162 section 2.1.4).
#[derive(Debug, Clone, Object)]
pub struct ConsistencyProof {
    pub from: u64,
    pub to: u64,
    /// In base64.
    pub hashes: Vec<String>,
    pub from_root: String,
    pub to_root: String,
}

/// A public key.
#[derive(Debug, Clone, Object)]
pub struct LogKey {
    pub key_id: Uuid,
    /// As other programs take it (C2SP signed-note).
    pub vkey: String,
    pub created_at: Instant,
    /// Null: it signs.
    pub retired_at: Option<Instant>,
}

/// The log's name and keys.
#[derive(Debug, Clone, Object)]
pub struct LogKeys {
    /// The first line of every checkpoint.
    pub origin: String,
    /// Oldest first.
    pub keys: Vec<LogKey>,
}
