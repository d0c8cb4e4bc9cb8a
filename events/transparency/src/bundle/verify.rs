//! Checking a bundle with nothing but itself and, better, a key that is known from elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    io::{self, BufRead},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{Context, SHA256};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Checkpoint, CompactRange, Hash, Note, Vkey,
    bundle::{Content, Field, Header, Line, Stream, VERSION, commitments, seal},
    hash::{hex, sha256},
    leaf,
};

/// The stream of a resident's consents; its id is derived from the resident's.
const CONSENTS: &str = "sms-consent";
const TEXTS: &str = "text";
/// What a consent's stream says of each text that it lets go.
const AUTHORIZED: &str = "TextAuthorized";
/// Streams that must not be missing where they are the resident's.
const DISCLOSED: [&str; 2] = [CONSENTS, TEXTS];

/// What a sound bundle shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub origin: String,
    pub organization: Uuid,
    pub resident: Uuid,
    pub size: u64,
    pub root: Hash,
    /// When the last event was recorded that the checkpoint covers: the bundle knows of nothing later.
    pub until: String,
    /// How many checkpoints known from elsewhere it agrees with.
    pub agrees: usize,
    /// The keys that have signed; only worth what is known of them from elsewhere.
    pub keys: Vec<Vkey>,
    pub streams: usize,
    pub events: usize,
    pub opened: usize,
    pub erased: usize,
    pub withheld: usize,
    pub documents: usize,
}

/// Why it is not to be believed, and where.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("the bundle cannot be read")]
    Read(#[from] io::Error),
    #[error("line {line}: {what}")]
    Wrong { line: u64, what: String },
}

/// Reads and checks a bundle. With `pinned`, checkpoint and seal must be signed by that key; it must reach at least as far as the
/// `known` checkpoints of its log, and be the same log.
pub fn verify(mut file: impl BufRead, pinned: Option<&Vkey>, known: &[Checkpoint]) -> Result<Verified, BundleError> {
    let mut reading = Reading::default();
    let mut hash = Context::new(&SHA256);
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        let wrong = |what: String| BundleError::Wrong { line, what };
        if file.read_line(&mut text)? == 0 {
            return Err(wrong("the bundle ends before its seal".to_owned()));
        }
        let parsed = serde_json::from_str(&text).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
        if !text.ends_with('\n') {
            return Err(wrong("the line does not end".to_owned()));
        }
        if let Line::Seal { note } = parsed {
            let verified = reading.end(&note, hash, pinned, known).map_err(wrong)?;
            text.clear();
            if file.read_line(&mut text)? > 0 {
                return Err(BundleError::Wrong { line: line + 1, what: "something follows the seal".to_owned() });
            }
            return Ok(verified);
        }
        hash.update(text.as_bytes());
        reading.take(parsed, pinned, known).map_err(wrong)?;
    }
    Err(BundleError::Read(io::ErrorKind::UnexpectedEof.into()))
}

#[derive(Default)]
struct Reading {
    about: Option<About>,
    note: Option<Note>,
    keys: Vec<Vkey>,
    /// Known once the headers begin.
    checkpoint: Option<Checkpoint>,
    /// Hash and name of each document that no event has referred to yet.
    unreferred: BTreeMap<String, String>,
    documents: usize,
    tree: CompactRange,
    until: String,
    /// Consents and texts that are in the log and not in the bundle.
    undisclosed: HashSet<Stream>,
    /// The last version of each disclosed stream.
    versions: HashMap<Stream, i64>,
    /// Disclosed headers whose event has not come yet.
    awaited: BTreeMap<u64, Header>,
    has_events: bool,
    events: usize,
    counts: [usize; 3],
}

struct About {
    origin: String,
    organization: Uuid,
    resident: Uuid,
    streams: BTreeSet<Stream>,
}

impl Reading {
    fn take(&mut self, line: Line, pinned: Option<&Vkey>, known: &[Checkpoint]) -> Result<(), String> {
        match line {
            Line::Bundle { version, origin, organization, resident, streams } => {
                if self.about.is_some() {
                    return Err("there are two beginnings".to_owned());
                }
                if version != VERSION {
                    return Err(format!("version {version} of the format is not known"));
                }
                let streams: BTreeSet<Stream> = streams.into_iter().collect();
                let own = Stream { stream: "resident".to_owned(), stream_id: resident.to_string() };
                if !streams.contains(&own) {
                    return Err("the resident's own stream is not among the disclosed".to_owned());
                }
                self.about = Some(About { origin, organization, resident, streams });
                Ok(())
            }
            Line::Checkpoint { note } => {
                if self.note.is_some() {
                    return Err("there are two checkpoints".to_owned());
                }
                self.note = Some(Note::parse(&note).map_err(|error| error.to_string())?);
                Ok(())
            }
            Line::Key { vkey } => {
                let key: Vkey = vkey.parse().map_err(|error: crate::note::NoteError| error.to_string())?;
                if self.checkpoint.is_some() {
                    return Err("a key comes after the headers".to_owned());
                }
                self.keys.push(key);
                Ok(())
            }
            Line::Document { name, sha256: told, text } => {
                if hex(&sha256(text.as_bytes())) != told {
                    return Err(format!("the document {name} does not have its hash"));
                }
                self.documents += 1;
                self.unreferred.insert(told, name);
                Ok(())
            }
            Line::Header(header) => self.header(header, pinned, known),
            Line::Event { position, payload, metadata, fields } => self.event(position, &payload, &metadata, &fields),
            Line::Seal { .. } => Ok(()),
        }
    }

    /// The keys that must have signed.
    fn trusted(&self, pinned: Option<&Vkey>) -> Vec<Vkey> {
        pinned.map_or_else(|| self.keys.clone(), |key| vec![key.clone()])
    }

    fn begin(&mut self, pinned: Option<&Vkey>) -> Result<(), String> {
        let about = self.about.as_ref().ok_or("the bundle does not say what it is about")?;
        let note = self.note.as_ref().ok_or("there is no checkpoint")?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|error| error.to_string())?;
        if checkpoint.origin != about.origin || checkpoint.organization() != Some(about.organization) {
            return Err("the checkpoint is of another log".to_owned());
        }
        if self.keys.iter().chain(pinned).any(|key| key.name != about.origin) {
            return Err("a key is of another log".to_owned());
        }
        let trusted = self.trusted(pinned);
        let signers = note.verify(&trusted).map_err(|error| format!("the checkpoint: {error}"))?;
        self.keys = signers.into_iter().cloned().collect();
        self.checkpoint = Some(checkpoint);
        Ok(())
    }

    fn header(&mut self, header: Header, pinned: Option<&Vkey>, known: &[Checkpoint]) -> Result<(), String> {
        if self.checkpoint.is_none() {
            self.begin(pinned)?;
        }
        let about = self.about.as_ref().ok_or("the bundle does not say what it is about")?;
        let expected = self.tree.size() + 1;
        if self.has_events {
            return Err("a header comes after the events".to_owned());
        }
        if header.position != expected {
            return Err(format!("position {expected} is missing: position {} stands in its place", header.position));
        }
        let texts = [&header.stream, &header.stream_id, &header.event_type, &header.event_version, &header.recorded_at];
        let hashes = [&header.payload_sha256, &header.metadata_sha256];
        // A separator inside a field would let two headers have one leaf.
        if texts.iter().any(|text| text.is_empty() || text.contains(|c: char| c == '/' || c.is_whitespace()))
            || hashes.iter().any(|hash| hash.len() != 64 || hash.contains(|c: char| !c.is_ascii_hexdigit()))
        {
            return Err(format!("position {expected} has a malformed header"));
        }
        let written = leaf::Written {
            organization: &about.organization.to_string(),
            stream: &header.stream,
            stream_id: &header.stream_id,
            version: header.version,
            event_type: &header.event_type,
            event_version: &header.event_version,
            recorded_at: &header.recorded_at,
            payload_sha256: &header.payload_sha256,
            metadata_sha256: &header.metadata_sha256,
        };
        self.tree.append(written.hash(), |_, _| {});
        for other in known.iter().filter(|other| other.origin == about.origin && other.size == expected) {
            if other.root != self.tree.root() {
                return Err(format!("position {expected}: a checkpoint known from elsewhere has another root"));
            }
        }
        self.until.clone_from(&header.recorded_at);
        let stream = Stream { stream: header.stream.clone(), stream_id: header.stream_id.clone() };
        if about.streams.contains(&stream) {
            let version = self.versions.entry(stream).or_default();
            if header.version != *version + 1 {
                return Err(format!("position {expected} has version {} after {version}", header.version));
            }
            *version += 1;
            self.awaited.insert(header.position, header);
        } else if DISCLOSED.contains(&stream.stream.as_str()) {
            self.undisclosed.insert(stream);
        }
        Ok(())
    }

    /// Once all headers are there.
    fn headed(&mut self) -> Result<(), String> {
        let checkpoint = self.checkpoint.as_ref().ok_or("there are no headers")?;
        let found = self.tree.size();
        if found != checkpoint.size {
            return Err(format!("the headers end at position {found}, the checkpoint covers {}", checkpoint.size));
        }
        if self.tree.root() != checkpoint.root {
            return Err(format!("the headers of positions 1 to {found} do not hash to the checkpoint's root"));
        }
        let streams = self.about.iter().flat_map(|about| &about.streams);
        if let Some(empty) = streams.into_iter().find(|stream| !self.versions.contains_key(stream)) {
            return Err(format!("the log has no stream {}/{}", empty.stream, empty.stream_id));
        }
        if let Some(about) = &self.about {
            let consents = Uuid::new_v5(&about.resident, CONSENTS.as_bytes()).to_string();
            let consents = Stream { stream: CONSENTS.to_owned(), stream_id: consents };
            if self.undisclosed.contains(&consents) {
                return Err(format!("the resident's consents, {CONSENTS}/{}, are not disclosed", consents.stream_id));
            }
        }
        Ok(())
    }

    fn event(&mut self, position: u64, payload: &str, metadata: &str, fields: &[Field]) -> Result<(), String> {
        if !self.has_events {
            self.headed()?;
            self.has_events = true;
        }
        let header =
            self.awaited.remove(&position).ok_or_else(|| format!("position {position} is not disclosed, or twice"))?;
        for (what, text, told) in
            [("payload", payload, &header.payload_sha256), ("metadata", metadata, &header.metadata_sha256)]
        {
            if hex(&sha256(text.as_bytes())) != *told {
                return Err(format!("position {position}: the {what} does not have the hash in its header"));
            }
        }
        let read = |text| serde_json::from_str::<Value>(text).map_err(|error| format!("position {position}: {error}"));
        let (body, about) = (read(payload)?, read(metadata)?);
        if header.event_type == AUTHORIZED
            && let Some(text) = body[AUTHORIZED]["text_id"].as_str()
            && self.undisclosed.contains(&Stream { stream: TEXTS.to_owned(), stream_id: text.to_owned() })
        {
            return Err(format!("position {position} lets {TEXTS}/{text} be sent, which is not disclosed"));
        }
        self.unreferred.retain(|hash, _| !payload.contains(hash.as_str()));
        let mut held = commitments(&body, &about);
        let mut told: Vec<String> = fields.iter().map(|field| field.commitment.clone()).collect();
        held.sort_unstable();
        told.sort_unstable();
        if held != told {
            return Err(format!("position {position}: its sealed fields are not the ones that are disclosed"));
        }
        for field in fields {
            let place = match &field.content {
                Content::Opened { salt, text } => {
                    let salted = STANDARD.decode(salt).ok().filter(|salt| salt.len() == 16);
                    let hash = salted.map(|salt| STANDARD.encode(sha256(&[&salt, text.as_bytes()].concat())));
                    if hash.as_ref() != Some(&field.commitment) {
                        return Err(format!("position {position}: an opened field is not what was committed to"));
                    }
                    0
                }
                Content::Erased => 1,
                Content::Withheld => 2,
            };
            self.counts[place] += 1;
        }
        self.events += 1;
        Ok(())
    }

    fn end(
        mut self,
        note: &str,
        hash: Context,
        pinned: Option<&Vkey>,
        known: &[Checkpoint],
    ) -> Result<Verified, String> {
        if !self.has_events {
            self.headed()?;
        }
        if let Some((position, header)) = self.awaited.first_key_value() {
            let Header { stream, stream_id, version, .. } = header;
            return Err(format!("position {position}, {stream}/{stream_id}/{version}, is disclosed but has no event"));
        }
        if let Some(name) = self.unreferred.values().next() {
            return Err(format!("no disclosed event refers to the document {name}"));
        }
        let (Some(about), Some(checkpoint)) = (self.about.take(), self.checkpoint.take()) else {
            return Err("the bundle is not whole".to_owned());
        };
        let known: Vec<_> = known.iter().filter(|other| other.origin == about.origin).collect();
        if let Some(later) = known.iter().find(|other| other.size > checkpoint.size) {
            let (ends, size) = (checkpoint.size, later.size);
            return Err(format!("the bundle ends at position {ends}, a checkpoint known from elsewhere covers {size}"));
        }
        let note = Note::parse(note).map_err(|error| format!("the seal: {error}"))?;
        if note.text() != seal::sealed(&about.origin, hash) {
            return Err("the seal is of another bundle: something was changed after it was sealed".to_owned());
        }
        let trusted = self.trusted(pinned);
        note.verify(&trusted).map_err(|error| format!("the seal: {error}"))?;
        let [opened, erased, withheld] = self.counts;
        Ok(Verified {
            origin: about.origin,
            organization: about.organization,
            resident: about.resident,
            size: checkpoint.size,
            root: checkpoint.root,
            until: self.until,
            agrees: known.len(),
            keys: self.keys,
            streams: about.streams.len(),
            events: self.events,
            opened,
            erased,
            withheld,
            documents: self.documents,
        })
    }
}
