//! A file outside the database that every checkpoint is appended to: what was signed can then not be taken back.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use transparency::{Checkpoint, Note};

/// The file. One JSON object per line; whoever keeps it elsewhere, or where it can only be appended to, keeps the proof.
#[derive(Debug, Clone)]
pub struct Witness {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Line {
    checkpoint: String,
}

/// A checkpoint that the file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// From 1.
    pub line: u64,
    pub note: Note,
    pub checkpoint: Checkpoint,
}

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Testimony {
    pub checkpoints: Vec<Witnessed>,
    /// Lines that are no checkpoints. A crash while writing can leave one.
    pub unreadable: Vec<u64>,
}

impl Witness {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that was witnessed; nothing if there is no file yet.
    pub fn read(&self) -> io::Result<Testimony> {
        let mut testimony = Testimony::default();
        self.each(|line| match line {
            Ok(witnessed) => testimony.checkpoints.push(witnessed),
            Err(line) => testimony.unreadable.push(line),
        })?;
        Ok(testimony)
    }

    /// Shows each checkpoint, or the number of a line that is none.
    pub fn each(&self, mut show: impl FnMut(Result<Witnessed, u64>)) -> io::Result<()> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for (number, line) in (1..).zip(BufReader::new(file).split(b'\n')) {
            let line = line?;
            if !line.is_empty() {
                let found = parsed(&line).map(|(note, checkpoint)| Witnessed { line: number, note, checkpoint });
                show(found.ok_or(number));
            }
        }
        Ok(())
    }

    /// How many bytes the file has.
    pub fn length(&self) -> io::Result<u64> {
        match std::fs::metadata(&self.path) {
            Ok(known) => Ok(known.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Appends notes; they are on the disk when this returns. Tells how many bytes the file has more.
    pub fn append(&self, notes: &[&str]) -> io::Result<u64> {
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
        let mut text = String::new();
        if is_torn(&mut file)? {
            text.push('\n');
        }
        for note in notes {
            text.push_str(&serde_json::to_string(&Line { checkpoint: (*note).to_owned() })?);
            text.push('\n');
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if is_new {
            // A new name is on the disk when its folder is.
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
        }
        Ok(u64::try_from(text.len()).unwrap_or(u64::MAX))
    }
}

/// Whether the last line was never finished.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn parsed(line: &[u8]) -> Option<(Note, Checkpoint)> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let note = Note::parse(&line.checkpoint).ok()?;
    let checkpoint = Checkpoint::parse(note.text()).ok()?;
    Some((note, checkpoint))
}
