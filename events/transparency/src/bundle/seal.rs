//! Writing a bundle, and the seal at its end: a signed hash of every line before it.

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{Context, SHA256};

use crate::{
    bundle::Line,
    note::{self, KeyPair},
};

/// Writes lines and remembers their hash.
pub struct Writer<W> {
    out: W,
    hash: Context,
}

impl<W> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<W: Write> Writer<W> {
    pub fn new(out: W) -> Self {
        Self { out, hash: Context::new(&SHA256) }
    }

    pub fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.hash.update(&text);
        self.out.write_all(&text)
    }

    /// Signs what was written. The keys are those that have signed the checkpoint.
    pub fn seal(mut self, origin: &str, keys: &[&KeyPair]) -> io::Result<W> {
        let note = note::sign(&sealed(origin, self.hash.clone()), origin, keys);
        self.line(&Line::Seal { note })?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The text that a seal signs. Its first line is no origin, so that it can never be taken for a checkpoint.
pub(super) fn sealed(origin: &str, hash: Context) -> String {
    format!("propty-bundle-v1\n{origin}\n{}\n", STANDARD.encode(hash.finish()))
}
