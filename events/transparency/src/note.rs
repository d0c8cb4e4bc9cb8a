//! Signed notes (C2SP signed-note) with Ed25519: texts that say who stands by them.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::hash::{hex, sha256};

/// Ed25519 in a signed note.
const ALGORITHM: u8 = 1;
const MOST_SIGNATURES: usize = 16;

/// A private key. It never shows itself.
pub struct KeyPair(Ed25519KeyPair);

impl KeyPair {
    /// From the 32 secret bytes of RFC 8032; `None` for any other number.
    pub fn from_seed(seed: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    pub fn public(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        key
    }

    /// Signs in the name of a log; the line that stands below the text.
    fn line(&self, name: &str, text: &str) -> String {
        let id = Vkey { name: name.to_owned(), public: self.public() }.id();
        let signature = [id.as_slice(), self.0.sign(text.as_bytes()).as_ref()].concat();
        format!("\u{2014} {name} {}\n", STANDARD.encode(signature))
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(…)")
    }
}

/// Signs a text, which must end with a newline, with each of the keys.
pub fn sign(text: &str, name: &str, keys: &[&KeyPair]) -> String {
    let lines: String = keys.iter().map(|key| key.line(name, text)).collect();
    format!("{text}\n{lines}")
}

/// A public key with the name of the log that it signs for, written `name+id+key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vkey {
    pub name: String,
    pub public: [u8; 32],
}

impl Vkey {
    /// Four bytes that say which key a signature claims to be of.
    pub fn id(&self) -> [u8; 4] {
        let hash = sha256(&[self.name.as_bytes(), &[b'\n', ALGORITHM], &self.public].concat());
        [hash[0], hash[1], hash[2], hash[3]]
    }
}

impl fmt::Display for Vkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ALGORITHM], self.public.as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, hex(&self.id()), STANDARD.encode(key))
    }
}

/// Why a text is no note, or not to be believed.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    #[error("the text is no signed note")]
    Malformed,
    #[error("the text is no verifier key, which is written name+id+key")]
    MalformedKey,
    #[error("the signature of {0} is wrong")]
    Wrong(String),
    #[error("no key that is known has signed it")]
    Unknown,
}

impl FromStr for Vkey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // Base64 has a plus sign of its own; a name has none.
        let mut parts = text.trim().splitn(3, '+');
        let (name, id, key) = (parts.next(), parts.next(), parts.next());
        let key = key.and_then(|key| STANDARD.decode(key).ok()).ok_or(NoteError::MalformedKey)?;
        let name = name.filter(|name| is_name(name)).ok_or(NoteError::MalformedKey)?;
        let public = match key.split_first() {
            Some((&ALGORITHM, public)) => public.try_into().map_err(|_| NoteError::MalformedKey)?,
            _ => return Err(NoteError::MalformedKey),
        };
        let found = Self { name: name.to_owned(), public };
        if id != Some(&hex(&found.id())) {
            return Err(NoteError::MalformedKey);
        }
        Ok(found)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// A text and the signatures below it, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Malformed);
        }
        let end = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let signatures: Option<Vec<Signature>> = lines.split('\n').map(signature).collect();
        let signatures = signatures.filter(|found| found.len() <= MOST_SIGNATURES).ok_or(NoteError::Malformed)?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, for whoever has verified it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The given keys that have signed it; an error if none has, or if one of them has not signed *this*.
    pub fn verify<'a>(&self, keys: &'a [Vkey]) -> Result<Vec<&'a Vkey>, NoteError> {
        let mut signers = Vec::new();
        for key in keys {
            let id = key.id();
            for signature in self.signatures.iter().filter(|one| one.name == key.name && one.id == id) {
                UnparsedPublicKey::new(&ED25519, &key.public)
                    .verify(self.text.as_bytes(), &signature.bytes)
                    .map_err(|_| NoteError::Wrong(key.to_string()))?;
                signers.push(key);
            }
        }
        if signers.is_empty() { Err(NoteError::Unknown) } else { Ok(signers) }
    }
}

fn signature(line: &str) -> Option<Signature> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (id, rest) = bytes.split_first_chunk::<4>()?;
    is_name(name).then(|| Signature { name: name.to_owned(), id: *id, bytes: rest.to_vec() })
}
