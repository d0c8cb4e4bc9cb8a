//! A checkpoint: how large an organization's tree is, and its root (C2SP tlog-checkpoint).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use uuid::Uuid;

use crate::hash::Hash;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Names the log; also the name of the keys that sign for it.
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

/// It is no checkpoint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the text is no checkpoint: {0}")]
pub struct CheckpointError(&'static str);

/// The name of an organization's log. It never changes, and no two logs share it.
pub fn origin(installation: Uuid, organization: Uuid) -> String {
    format!("propty/{installation}/{organization}")
}

impl Checkpoint {
    /// Reads a note's text. Extension lines are refused: this log signs none.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError("it does not end with a newline"))?.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError("it names no log"))?;
        let digits = lines.next().unwrap_or_default();
        let size: u64 = digits.parse().map_err(|_| CheckpointError("its size is no number"))?;
        if size.to_string() != digits {
            return Err(CheckpointError("its size is not written as it should be"));
        }
        let root = lines.next().and_then(|line| STANDARD.decode(line).ok()?.try_into().ok());
        let root = root.ok_or(CheckpointError("its root is not 32 bytes in base64"))?;
        if lines.next().is_some() {
            return Err(CheckpointError("there are more lines than three"));
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// The organization that the origin names.
    pub fn organization(&self) -> Option<Uuid> {
        self.origin.rsplit('/').next()?.parse().ok()
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root))
    }
}
