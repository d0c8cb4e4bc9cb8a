//! A private directory for the socket whose path is short enough.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::{StartError, account::Account, secret};

/// Names the socket only; no network port is open.
pub(crate) const PORT: u16 = 5432;

/// What `sun_path` holds, less the final NUL.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The socket's own file in its directory.
pub(crate) fn path_in(dir: &Path) -> PathBuf {
    dir.join(format!(".s.PGSQL.{PORT}"))
}

fn fits(dir: &Path) -> bool {
    path_in(dir).as_os_str().len() <= LONGEST
}

/// The directory beside the cluster, or a short one elsewhere when that path would be too long.
///
/// The same folder gets the same directory every time, so that a server left behind is recognised by it.
pub(crate) fn prepare(base: &Path, account: &Account) -> Result<PathBuf, StartError> {
    let near = base.join("socket");
    if fits(&near) {
        account.private_folder(&near).map_err(StartError::at(&near))?;
        return Ok(near);
    }
    let name = format!("propty-{}", secret::short_name(base));
    let random = secret::random(4).map_err(StartError::at("/dev/urandom"))?;
    let mut reasons = Vec::new();
    for parent in parents() {
        // Anybody may have taken the first name in a shared folder; nobody can guess the second.
        for dir in [parent.join(&name), parent.join(format!("{name}-{random}"))] {
            if !fits(&dir) {
                continue;
            }
            match account.private_folder(&dir) {
                Ok(()) if account.can_enter(&dir) => return Ok(dir),
                Ok(()) => reasons.push(format!("{}: the account {} cannot enter it", dir.display(), account.name)),
                Err(error) => reasons.push(format!("{}: {error}", dir.display())),
            }
        }
    }
    Err(StartError::NoSocketDirectory(reasons.join("; ")))
}

/// Removes the socket of a server that no longer lives, with the note that would keep the next one from making its own.
///
/// The directory is ours alone and our lock is held, so nobody else can be using them.
pub(crate) fn clear(dir: &Path) -> Result<(), StartError> {
    let socket = path_in(dir);
    let mut note = socket.clone().into_os_string();
    note.push(".lock");
    for path in [socket, note.into()] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(StartError::at(path)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Removes a directory made elsewhere; it is made again at the next start.
pub(crate) fn tidy(dir: &Path, base: &Path) {
    if !dir.starts_with(base) {
        // It is only litter if this fails, and the next start uses it again.
        let _ = std::fs::remove_dir(dir);
    }
}

fn parents() -> Vec<PathBuf> {
    let first = if rustix::process::geteuid().is_root() {
        Some("/run".into())
    } else {
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from)
    };
    first.into_iter().filter(|dir: &PathBuf| dir.is_absolute() && dir.is_dir()).chain([PathBuf::from("/tmp")]).collect()
}

/// The setting's value: the server splits it at commas, so the path is quoted.
pub(crate) fn quoted(dir: &Path) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    let mut value = vec![b'"'];
    for &byte in dir.as_os_str().as_bytes() {
        value.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
    }
    value.push(b'"');
    OsString::from_vec(value)
}
