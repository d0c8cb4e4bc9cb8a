//! The walk along the log: positions and versions are dense, and each signed root and each tile is what the leaves give.

use std::collections::HashMap;

use events::OrganizationId;
use sqlx::{PgConnection, Row};
use transparency::{CompactRange, Hash};
use uuid::Uuid;

use super::{
    AuditError, Finding, Logged, Prints, Report,
    copy::{number, text, uuid},
    marks::{Mark, Marks},
};
use crate::{checkpoints::size, tree};

/// Where the walk is.
pub struct Walk<'a> {
    marks: Marks,
    prints: &'a Prints,
    report: &'a mut Report,
    logged: Logged,
    current: Option<Current>,
    /// Each organization's last position.
    ends: HashMap<Uuid, u64>,
    rows: i64,
    last: i64,
}

/// The organization whose log is walked.
struct Current {
    organization: Uuid,
    tree: CompactRange,
    position: u64,
    versions: HashMap<u64, i64>,
    marks: std::iter::Peekable<std::vec::IntoIter<Mark>>,
    /// Those that the leaves have not reached yet.
    tiles: HashMap<(i16, u64), Hash>,
    /// The size of the last checkpoint.
    signed: u64,
    /// The size up to which roots were as signed.
    sound: u64,
    is_broken: bool,
}

impl<'a> Walk<'a> {
    pub fn new(marks: Marks, prints: &'a Prints, report: &'a mut Report) -> Self {
        Self { marks, prints, report, logged: Logged::default(), current: None, ends: HashMap::new(), rows: 0, last: 0 }
    }

    /// A row of the log; they come by organization and position.
    pub fn entry(&mut self, row: &[&[u8]; 8]) -> Result<(), AuditError> {
        let [organization, position, stream, stream_id, version, event_type, leaf, global] = *row;
        let (organization, position, version) = (uuid(organization)?, size(number(position)?), number(version)?);
        if self.current.as_ref().is_none_or(|current| current.organization != organization) {
            self.leave();
            self.current = Some(self.enter(organization));
        }
        self.rows += 1;
        self.last = self.last.max(number(global)?);
        let print = self.prints.of(organization, text(stream)?, text(stream_id)?, version, text(event_type)?, leaf);
        let Some(current) = &mut self.current else { return Ok(()) };
        let mut findings = Vec::new();
        if !self.logged.insert(print) {
            findings.push((position, "the event of this position is logged twice".to_owned()));
        }
        if position != current.position + 1 {
            findings.push((current.position + 1, "the event of this position is missing from the log".to_owned()));
            current.is_broken = true;
        }
        current.position = position;
        let known = current.versions.entry(self.prints.of_stream(stream, stream_id)).or_default();
        if version != *known + 1 {
            findings.push((position, format!("the stream's version {version} follows version {known}")));
        }
        *known = version;
        let (tiles, signed, reached) = (&mut current.tiles, current.signed, current.tree.size() + 1);
        let mut wrong = Vec::new();
        current.tree.append(tree::hash(leaf)?, |node, hash| {
            if node.height % tree::TILE_HEIGHT == 0 {
                let level = i16::try_from(node.height / tree::TILE_HEIGHT).unwrap_or(i16::MAX);
                let stored = tiles.remove(&(level, node.index));
                if stored.map_or(reached <= signed, |stored| stored != *hash) {
                    wrong.push(node);
                }
            }
        });
        // Behind a gap every root differs; the gap is what is wrong.
        if !current.is_broken {
            for node in wrong {
                let (first, last) = ((node.index << node.height) + 1, (node.index + 1) << node.height);
                findings.push((
                    first,
                    format!("positions {first} to {last} are not those that were logged: their tile differs"),
                ));
            }
            while let Some(mark) = current.marks.next_if(|mark| mark.size <= reached) {
                if mark.root == current.tree.root() {
                    current.sound = reached;
                } else {
                    let (first, source) = (current.sound + 1, mark.source);
                    let what = format!("positions {first} to {reached} are not those that {source} covers");
                    findings.push((first, what));
                    current.is_broken = true;
                    break;
                }
            }
        }
        for (position, what) in findings {
            self.find(organization, position, what);
        }
        Ok(())
    }

    fn enter(&mut self, organization: Uuid) -> Current {
        self.report.organizations += 1;
        Current {
            organization,
            tree: CompactRange::default(),
            position: 0,
            versions: HashMap::new(),
            marks: self.marks.roots.remove(&organization).unwrap_or_default().into_iter().peekable(),
            tiles: self.marks.tiles.remove(&organization).unwrap_or_default(),
            signed: self.marks.signed.remove(&organization).unwrap_or_default(),
            sound: 0,
            is_broken: false,
        }
    }

    fn leave(&mut self) {
        let Some(current) = self.current.take() else { return };
        let Current { organization, position: end, marks, tiles, signed, is_broken, .. } = current;
        self.report.events += end;
        self.report.unsigned += end.saturating_sub(signed);
        if !is_broken {
            if let Some(mark) = marks.max_by_key(|mark| mark.size).filter(|mark| mark.size > end) {
                self.short(organization, end, &mark);
            }
            if let Some(tile) = tiles.keys().min() {
                let first = (tile.1 << (u32::try_from(tile.0).unwrap_or_default() * tree::TILE_HEIGHT)) + 1;
                self.find(
                    organization,
                    first.min(end + 1),
                    "there is a tile of positions that are not logged".to_owned(),
                );
            }
        }
        self.ends.insert(organization, end);
    }

    fn short(&mut self, organization: Uuid, end: u64, mark: &Mark) {
        let what = format!("the log ends at position {end}, but {} covers {}", mark.source, mark.size);
        self.find(organization, end + 1, what);
    }

    /// What can only be told at the end: the heads, and organizations whose log is gone altogether.
    pub async fn end(mut self, connection: &mut PgConnection, head: i64) -> Result<Logged, AuditError> {
        self.leave();
        for (organization, marks) in std::mem::take(&mut self.marks.roots) {
            if let Some(mark) = marks.into_iter().max_by_key(|mark| mark.size) {
                self.short(organization, 0, &mark);
            }
        }
        let rows = sqlx::query("select organization_id, position from log.heads").fetch_all(connection).await?;
        for row in &rows {
            let (organization, told): (Uuid, u64) = (row.try_get("organization_id")?, size(row.try_get("position")?));
            let end = self.ends.remove(&organization).unwrap_or_default();
            if told != end {
                self.find(
                    organization,
                    end.min(told) + 1,
                    format!("the log ends at position {end}, its head says {told}"),
                );
            }
        }
        for (organization, end) in std::mem::take(&mut self.ends) {
            self.find(organization, end, "the log has no head".to_owned());
        }
        if head != self.rows || head != self.last {
            let what = format!("the log has {} events up to {}, its head says {head}", self.rows, self.last);
            self.report.findings.push(Finding { organization: None, position: None, what });
        }
        Ok(self.logged)
    }

    fn find(&mut self, organization: Uuid, position: u64, what: String) {
        if self.report.findings.len() < super::MOST * 10 {
            let organization = Some(OrganizationId(organization));
            self.report.findings.push(Finding { organization, position: Some(position), what });
        }
    }
}
