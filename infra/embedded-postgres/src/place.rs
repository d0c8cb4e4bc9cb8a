//! Which folder the database lives in and which account owns it.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{StartError, account::Account, lock::Lock, secret};

/// Where root keeps the databases whose own folders the unprivileged account cannot reach.
const FALLBACK: &str = "/var/lib/propty";

/// The folder of one database, held by us.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) data_dir: PathBuf,
    /// Ours; in it, only `cluster` and `socket` belong to the account.
    pub(crate) base: PathBuf,
    pub(crate) account: Account,
    _locks: Vec<Lock>,
}

impl Place {
    pub(crate) fn cluster(&self) -> PathBuf {
        self.base.join("cluster")
    }

    pub(crate) fn hold(data_dir: &Path, notice: &mut dyn FnMut(&str)) -> Result<Self, StartError> {
        let root = rustix::process::geteuid().is_root();
        // Root's folders must let the unprivileged account pass, not look.
        let mode = if root { 0o711 } else { 0o700 };
        let make =
            |path: &Path| fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(StartError::at(path));
        make(data_dir)?;
        let data_dir = data_dir.canonicalize().map_err(StartError::at(data_dir))?;
        let home = data_dir.join("postgres");
        make(&home)?;
        let mut locks = vec![Lock::acquire(&home)?];
        if root && fs::metadata(&home).map_err(StartError::at(&home))?.uid() == 0 {
            // The umask may have taken away what the account needs.
            fs::set_permissions(&home, fs::Permissions::from_mode(0o711)).map_err(StartError::at(&home))?;
        }

        let moved = location(&home)?;
        let base = moved.clone().unwrap_or_else(|| home.clone());
        if !base.is_dir() {
            return Err(StartError::Gone { folder: home, base });
        }
        let owner = owner(&base.join("cluster"))?;
        let account = match (Account::ourselves(), owner) {
            (Some(ourselves), Some((uid, _))) if uid != ourselves.uid => {
                return Err(StartError::ForeignOwner { path: base.join("cluster"), owner: uid });
            }
            (Some(ourselves), _) => ourselves,
            (None, Some((uid, gid))) if uid != 0 => Account::owner(uid, gid),
            (None, _) => Account::unprivileged()?,
        };
        let base = if account.can_enter(&base) {
            base
        } else if owner.is_some() || moved.is_some() {
            // Beginning anew elsewhere would look like a loss of everything.
            return Err(StartError::CannotEnter { path: base, account: account.name });
        } else {
            let elsewhere = fallback(&home)?;
            if !account.can_enter(&elsewhere) {
                return Err(StartError::CannotEnter { path: elsewhere, account: account.name });
            }
            notice(&format!(
                "the account {} cannot enter {} (a folder above it is closed to others): the database lives in {} instead",
                account.name,
                home.display(),
                elsewhere.display()
            ));
            elsewhere
        };
        if base != home {
            // A copied data folder names the same place.
            locks.push(Lock::acquire(&base)?);
        }
        Ok(Self { data_dir, base, account, _locks: locks })
    }

    /// Removes what a start that was cut off left in the folder.
    pub(crate) fn sweep(&self) -> Result<(), StartError> {
        let entries = fs::read_dir(&self.base).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(StartError::at(&self.base))? {
            if !entry.file_name().as_bytes().windows(5).any(|part| part == b".new-") {
                continue;
            }
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                // Its `initdb` may still be at work; under another name it finds nothing any more and gives up.
                let litter = self.temporary("litter")?;
                fs::rename(&path, &litter).map_err(StartError::at(path))?;
                remove_patiently(&litter).map_err(StartError::at(litter))?;
            } else {
                fs::remove_file(&path).map_err(StartError::at(path))?;
            }
        }
        Ok(())
    }

    /// A name that no earlier start has used: its programs may still be running and must not write into ours.
    pub(crate) fn temporary(&self, what: &str) -> Result<PathBuf, StartError> {
        let random = secret::random(4).map_err(StartError::at("/dev/urandom"))?;
        Ok(self.base.join(format!("{what}.new-{random}")))
    }
}

/// Removes a folder in which something may still be written for a moment. What stays is swept at the next start.
fn remove_patiently(folder: &Path) -> io::Result<()> {
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && Instant::now() < until => {
                thread::sleep(Duration::from_millis(50));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {
                return Ok(());
            }
            other => return other,
        }
    }
}

/// The account that owns the cluster, if there is one.
fn owner(cluster: &Path) -> Result<Option<(u32, u32)>, StartError> {
    match fs::metadata(cluster) {
        Ok(found) => Ok(Some((found.uid(), found.gid()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StartError::at(cluster)(error)),
    }
}

/// Where the database was put when its own folder could not be reached: from then on it stays there, even if the folder moves or opens.
fn location(home: &Path) -> Result<Option<PathBuf>, StartError> {
    let file = home.join("location");
    match fs::read(&file) {
        Ok(mut bytes) => {
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            Ok(Some(PathBuf::from(OsString::from_vec(bytes))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StartError::at(file)(error)),
    }
}

/// Makes a folder below `/var/lib/propty` and notes it in the data folder.
fn fallback(home: &Path) -> Result<PathBuf, StartError> {
    let root = Path::new(FALLBACK);
    let passable = |path: &Path| {
        fs::DirBuilder::new()
            .recursive(true)
            .create(path)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o711)))
            .map_err(StartError::at(path))
    };
    passable(root)?;
    let name = secret::short_name(home);
    // A data folder that was removed and made again must not find its predecessor's database: it has lost the keys that belong to it.
    let mut base = root.join(&name);
    let mut number = 2;
    while base.join("cluster").exists() {
        base = root.join(format!("{name}-{number}"));
        number += 1;
    }
    passable(&base)?;
    let file = home.join("location");
    secret::save(&file, &base.display().to_string()).map_err(StartError::at(file))?;
    Ok(base)
}
