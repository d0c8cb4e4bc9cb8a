//! Finds `PostgreSQL`'s programs: named, on the machine, or fetched.

use std::{
    cmp::Reverse,
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{OLDEST_MAJOR, Settings, StartError, fetch, place::Place};

/// Folders that hold one folder per version: where, how the version's folder begins, and where in it the programs are.
const VERSIONED: [(&str, &str, &str); 8] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// A folder with programs that run here.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    dir: PathBuf,
    /// As the server tells it, such as `15.12`.
    pub(crate) version: String,
    pub(crate) major: u32,
}

impl Binaries {
    pub(crate) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }

    /// Asks the programs in a folder for their version, as the account that will run them.
    pub(crate) fn inspect(dir: &Path, place: &Place) -> Option<Self> {
        let (postgres, initdb) = (dir.join("postgres"), dir.join("initdb"));
        if !postgres.is_file() || !initdb.is_file() {
            return None;
        }
        let output = place
            .account
            .run(&postgres, &place.base, &["--version".as_ref()])
            .ok()
            .filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?.to_owned();
        let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        Some(Self { dir: dir.to_owned(), version, major })
    }
}

/// Chooses the programs: of the cluster's version if there is one, else the first that is new enough.
pub(crate) fn choose(
    settings: &Settings,
    place: &Place,
    cluster: Option<u32>,
    notice: &mut dyn FnMut(&str),
) -> Result<Binaries, StartError> {
    let mut seen = Vec::new();
    let mut fits = |binaries: Binaries| {
        if cluster.map_or(binaries.major >= OLDEST_MAJOR, |major| major == binaries.major) {
            Some(binaries)
        } else {
            seen.push(format!("PostgreSQL {} in {}", binaries.version, binaries.dir.display()));
            None
        }
    };
    let mut failures = Vec::new();
    if let Some(dir) = &settings.binaries {
        let dir = std::path::absolute(dir).map_err(StartError::at(dir))?;
        match Binaries::inspect(&dir, place) {
            Some(binaries) => {
                if let Some(binaries) = fits(binaries) {
                    return Ok(binaries);
                }
            }
            None => failures.push(format!(
                "{} has no `postgres` and `initdb` that the account {} can run",
                dir.display(),
                place.account.name
            )),
        }
    } else {
        let on_machine = if settings.search { on_this_machine() } else { Vec::new() };
        for dir in on_machine.into_iter().chain(fetch::cached(&place.base)) {
            if let Some(binaries) = Binaries::inspect(&dir, place).and_then(&mut fits) {
                return Ok(binaries);
            }
        }
        if settings.fetch && cluster.is_none_or(|major| major == fetch::MAJOR) {
            match fetch::fetch(place, notice) {
                Ok(binaries) => return Ok(binaries),
                Err(reasons) => failures.extend(reasons),
            }
        }
    }
    Err(match cluster {
        Some(cluster) if failures.is_empty() => StartError::OtherVersion {
            path: place.base.clone(),
            cluster,
            found: if seen.is_empty() { "no PostgreSQL at all".to_owned() } else { seen.join(", ") },
        },
        _ => {
            seen.extend(failures);
            let details = if seen.is_empty() { String::new() } else { format!(" ({})", seen.join("; ")) };
            StartError::NotFound { details }
        }
    })
}

/// Every folder worth asking, in the order of preference.
fn on_this_machine() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = Vec::new();
    for dir in std::env::split_paths(&path).filter(|dir| dir.is_absolute()) {
        // A lone link in /usr/local/bin leads to the folder that has its companions.
        if let Some(real) =
            dir.join("postgres").canonicalize().ok().and_then(|program| program.parent().map(Path::to_owned))
        {
            dirs.push(dir);
            dirs.push(real);
        }
    }
    for (parent, prefix, bin) in VERSIONED {
        dirs.extend(newest_first(Path::new(parent), prefix).into_iter().map(|dir| dir.join(bin)));
    }
    let mut known = HashSet::new();
    dirs.retain(|dir| dir.canonicalize().is_ok_and(|real| known.insert(real)));
    dirs
}

fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?;
            let numbers: Option<Vec<u32>> =
                version.split('.').filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect();
            Some((numbers?, entry.path()))
        })
        .collect();
    versions.sort_by_key(|(numbers, _)| Reverse(numbers.clone()));
    versions.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_come_first_and_other_folders_are_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["9.6", "15", "postgresql", "18", "common"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let names: Vec<_> =
            newest_first(folder.path(), "").iter().filter_map(|path| path.file_name().map(ToOwned::to_owned)).collect();
        assert_eq!(names, ["18", "15", "9.6"]);
    }
}
