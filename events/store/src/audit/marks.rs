//! What the log is measured by: the roots that were signed, here or in the witness's file, and the tiles.

use std::collections::HashMap;

use events::OrganizationId;
use futures_util::TryStreamExt;
use sqlx::{PgConnection, Row};
use transparency::{Checkpoint, Hash, Note, Vkey, checkpoint, note::NoteError};
use uuid::Uuid;

use super::{AuditError, Finding, Known, Report, keys};
use crate::{
    Store,
    checkpoints::{Signed, size},
    signing::PublicKey,
    tree,
};

/// A size at which the root is known.
#[derive(Debug, Clone)]
pub struct Mark {
    pub size: u64,
    pub root: Hash,
    pub source: Source,
}

/// Who says so.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// A checkpoint of the database, by number.
    Checkpoint(i64),
    /// A line of the witness's file.
    Witness(u64),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Checkpoint(number) => write!(f, "checkpoint {number}"),
            Self::Witness(line) => write!(f, "line {line} of the checkpoints' file"),
        }
    }
}

/// All of them, by organization.
#[derive(Debug, Default)]
pub struct Marks {
    /// Sorted by size.
    pub roots: HashMap<Uuid, Vec<Mark>>,
    /// By level and index.
    pub tiles: HashMap<Uuid, HashMap<(i16, u64), Hash>>,
    /// The size of the last checkpoint.
    pub signed: HashMap<Uuid, u64>,
}

struct Reader<'a> {
    installation: Uuid,
    keys: &'a [PublicKey],
    report: &'a mut Report,
    marks: Marks,
}

impl Marks {
    /// Reads tiles and checkpoints, and verifies every signature.
    pub async fn read(
        store: &Store,
        connection: &mut PgConnection,
        known: &Known,
        report: &mut Report,
    ) -> Result<Self, AuditError> {
        let installation = sqlx::query_scalar("select id from engine.installation").fetch_one(&mut *connection).await?;
        let keys = keys(store, connection, report).await?;
        let mut reader = Reader { installation, keys: &keys, report, marks: Self::default() };
        reader.tiles(connection).await?;
        reader.checkpoints(connection, &known.keys).await?;
        reader.witness(known);
        for roots in reader.marks.roots.values_mut() {
            roots.sort_by_key(|mark| mark.size);
        }
        Ok(reader.marks)
    }
}

impl Reader<'_> {
    async fn tiles(&mut self, connection: &mut PgConnection) -> Result<(), AuditError> {
        let mut rows = sqlx::query("select organization_id, level, index, hash from log.tiles").fetch(connection);
        while let Some(row) = rows.try_next().await? {
            let tiles = self.marks.tiles.entry(row.try_get("organization_id")?).or_default();
            tiles.insert((row.try_get("level")?, size(row.try_get("index")?)), tree::hash(row.try_get("hash")?)?);
        }
        Ok(())
    }

    async fn checkpoints(&mut self, connection: &mut PgConnection, pinned: &[Vkey]) -> Result<(), AuditError> {
        let mut rows = sqlx::query(
            "select organization_id, number, size, root, note, key_id, created_at from log.checkpoints
             order by organization_id, number",
        )
        .fetch(connection);
        let mut before: Option<(Uuid, Signed)> = None;
        let mut with_pinned: HashMap<Uuid, bool> = HashMap::new();
        while let Some(row) = rows.try_next().await? {
            let organization: Uuid = row.try_get("organization_id")?;
            let signed = Signed::read(&row)?;
            let former = before.as_ref().filter(|(of, _)| *of == organization).map(|(_, signed)| signed);
            match self.sound(organization, &signed, former) {
                Ok(signers) => {
                    let found = with_pinned.entry(organization).or_default();
                    *found |= signers.iter().any(|key| pinned.iter().any(|pin| pin.public == key.public));
                }
                Err(what) => self.find(organization, signed.size, format!("checkpoint {}: {what}", signed.number)),
            }
            let mark = Mark { size: signed.size, root: signed.root, source: Source::Checkpoint(signed.number) };
            self.marks.roots.entry(organization).or_default().push(mark);
            self.marks.signed.insert(organization, signed.size);
            self.report.checkpoints += 1;
            before = Some((organization, signed));
        }
        for (organization, _) in with_pinned.into_iter().filter(|(_, found)| !found && !pinned.is_empty()) {
            let what = "no checkpoint is signed by the key that was given".to_owned();
            self.report.findings.push(Finding {
                organization: Some(OrganizationId(organization)),
                position: None,
                what,
            });
        }
        Ok(())
    }

    /// Whether a checkpoint is what was signed, by the key that it names, and follows the one before.
    fn sound(&self, organization: Uuid, signed: &Signed, former: Option<&Signed>) -> Result<Vec<Vkey>, String> {
        let told = |error: NoteError| error.to_string();
        let note = Note::parse(&signed.note).map_err(told)?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|error| error.to_string())?;
        let origin = checkpoint::origin(self.installation, organization);
        if checkpoint != (Checkpoint { origin: origin.clone(), size: signed.size, root: signed.root }) {
            return Err("its note says something else than its row".to_owned());
        }
        let key = |id: Uuid| {
            let key = self.keys.iter().find(|key| key.id == id);
            key.map(|key| key.vkey(&origin)).ok_or_else(|| format!("its key {id} is gone"))
        };
        let mut wanted = vec![key(signed.key_id)?];
        if let Some(former) = former.filter(|former| former.key_id != signed.key_id) {
            wanted.push(key(former.key_id)?);
        }
        let signers = note.verify(&wanted).map_err(told)?.len();
        if signers != wanted.len() {
            return Err("the key changes without the former key's signature".to_owned());
        }
        let number = former.map_or(0, |former| former.number) + 1;
        if signed.number != number {
            return Err(format!("checkpoint {number} is missing"));
        }
        if former.is_some_and(|former| former.size > signed.size) {
            return Err("it covers less than the one before".to_owned());
        }
        Ok(wanted)
    }

    fn witness(&mut self, known: &Known) {
        self.report.unreadable = u64::try_from(known.testimony.unreadable.len()).unwrap_or(u64::MAX);
        for witnessed in &known.testimony.checkpoints {
            let Checkpoint { origin, size, root } = &witnessed.checkpoint;
            let organization = witnessed.checkpoint.organization();
            let Some(organization) =
                organization.filter(|organization| *origin == checkpoint::origin(self.installation, *organization))
            else {
                // A file may serve several installations.
                continue;
            };
            let source = Source::Witness(witnessed.line);
            let keys: Vec<Vkey> = self.keys.iter().map(|key| key.vkey(origin)).collect();
            if let Err(error) = witnessed.note.verify(&keys) {
                self.find(organization, *size, format!("{source}: {error}"));
                continue;
            }
            self.report.witnessed += 1;
            let mark = Mark { size: *size, root: *root, source };
            self.marks.roots.entry(organization).or_default().push(mark);
        }
    }

    fn find(&mut self, organization: Uuid, position: u64, what: String) {
        let organization = Some(OrganizationId(organization));
        self.report.findings.push(Finding { organization, position: Some(position), what });
    }
}
