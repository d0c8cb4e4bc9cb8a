//! The account that runs the server: ours, or an unprivileged one when we are root.

use std::{
    fs, io,
    os::unix::{fs as unix, process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
};

use crate::StartError;

/// Variables that a `PostgreSQL` program may need to run at all. The rest, our secrets among it, stays with us.
const INHERITED: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    gid: u32,
    /// Whether we are root and must become this account.
    switch: bool,
}

impl Account {
    /// Ourselves, when we are not root.
    pub(crate) fn ourselves() -> Option<Self> {
        let uid = rustix::process::geteuid();
        (!uid.is_root()).then(|| {
            let gid = rustix::process::getegid();
            Self { name: format!("user {}", uid.as_raw()), uid: uid.as_raw(), gid: gid.as_raw(), switch: false }
        })
    }

    /// The account for a new database of root.
    pub(crate) fn unprivileged() -> Result<Self, StartError> {
        ["postgres", "nobody"].into_iter().find_map(Self::named).ok_or(StartError::NoAccount)
    }

    /// The owner of an existing database, for root.
    pub(crate) fn owner(uid: u32, gid: u32) -> Self {
        Self { name: format!("user {uid}"), uid, gid, switch: true }
    }

    fn named(name: &str) -> Option<Self> {
        // `id` asks every source of accounts that the machine knows, a directory service included.
        let number = |option: &str| {
            let ask = |program: &str| Command::new(program).args([option, name]).stdin(Stdio::null()).output();
            let output = ask("/usr/bin/id").or_else(|_| ask("id")).ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok())?
        };
        let (uid, gid) = (number("-u")?, number("-g")?);
        (uid != 0).then(|| Self { name: name.to_owned(), uid, gid, switch: true })
    }

    /// A command that runs as this account, knows none of our secrets, and speaks plain English.
    ///
    /// It gets a folder it can enter, because `PostgreSQL`'s programs refuse to start where they cannot see.
    pub(crate) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(folder).stdin(Stdio::null());
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC");
        if self.switch {
            // std drops the supplementary groups as well.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Runs a program to its end.
    pub(crate) fn run(
        &self,
        program: &Path,
        folder: &Path,
        args: &[&std::ffi::OsStr],
    ) -> io::Result<std::process::Output> {
        self.command(program, folder).args(args).output()
    }

    /// Whether the account can enter a folder, asked by doing it: what counts are the folders above.
    pub(crate) fn can_enter(&self, folder: &Path) -> bool {
        !self.switch
            || self
                .command(Path::new("/bin/sh"), Path::new("/"))
                .args(["-c", "cd -- \"$1\""])
                .arg("sh")
                .arg(folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
    }

    /// Gives a file or folder to the account.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        if self.switch { unix::lchown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// Makes a folder that only the account may use, or checks and corrects the one that is there.
    pub(crate) fn private_folder(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let found = fs::symlink_metadata(path)?;
        if !found.is_dir() || (found.uid() != self.uid && found.uid() != rustix::process::geteuid().as_raw()) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to somebody else"));
        }
        self.give(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
    }
}
