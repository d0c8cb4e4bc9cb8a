//! A file outside the database that names who was erased: a backup from before does not know it any more.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use events::OrganizationId;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::erased_among;

/// The file: ids only, one erasure on each line. It grows only, and is on the disk before a key is destroyed.
#[derive(Debug, Clone)]
pub struct ErasureList {
    path: PathBuf,
}

/// An erasure that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listed {
    pub organization: Uuid,
    pub resident: Uuid,
}

impl ErasureList {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names a resident, once. When this returns, the name is on the disk.
    pub fn add(&self, organization: OrganizationId, resident: Uuid) -> io::Result<()> {
        let listed = Listed { organization: organization.0, resident };
        let known = self.text()?;
        if read(&known).contains(&listed) {
            return Ok(());
        }
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        // A crash can leave a line that was never finished; it must not take this one with it.
        let torn = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
        file.write_all(format!("{torn}{}\n", serde_json::to_string(&listed)?).as_bytes())?;
        file.sync_all()?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }

    /// Whom the file names; nobody if there is no file yet.
    pub fn read(&self) -> io::Result<BTreeSet<Listed>> {
        Ok(read(&self.text()?))
    }

    fn text(&self) -> io::Result<String> {
        match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read,
        }
    }
}

fn read(text: &str) -> BTreeSet<Listed> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Those of a list whom this history does not know as erased: it was restored to before.
pub async fn undone(pool: &PgPool, listed: &BTreeSet<Listed>) -> Result<Vec<Listed>, sqlx::Error> {
    let organizations: BTreeSet<Uuid> = listed.iter().map(|one| one.organization).collect();
    let mut undone = Vec::new();
    for organization in organizations {
        let of: Vec<Uuid> =
            listed.iter().filter(|one| one.organization == organization).map(|one| one.resident).collect();
        let erased = erased_among(pool, OrganizationId(organization), &of).await?;
        undone.extend(
            of.into_iter()
                .filter(|resident| !erased.contains(resident))
                .map(|resident| Listed { organization, resident }),
        );
    }
    Ok(undone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_once_and_half_a_line_costs_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = ErasureList::new(folder.path().join("erasures"));
        assert_eq!(list.read().expect("no file"), BTreeSet::new());
        let (organization, first, second) =
            (OrganizationId(Uuid::from_u128(1)), Uuid::from_u128(2), Uuid::from_u128(3));
        for _ in 0..2 {
            list.add(organization, first).expect("a line");
        }
        let torn = [fs::read(list.path()).expect("a file"), b"{\"organization\":\"00".to_vec()].concat();
        fs::write(list.path(), torn).expect("a crash");
        list.add(organization, second).expect("a line");
        let named: Vec<Uuid> = list.read().expect("a file").into_iter().map(|one| one.resident).collect();
        assert_eq!(named, [first, second]);
        assert_eq!(fs::read_to_string(list.path()).expect("a file").lines().count(), 3);
    }
}
