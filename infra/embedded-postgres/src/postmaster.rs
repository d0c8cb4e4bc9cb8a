//! The server's process: which one it is, whether it is ready, and how it is ended.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _, net::UnixStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{StopError, socket};

/// How long a polite stop may take: the server writes everything out first.
const FAST: Duration = Duration::from_secs(30);
/// How long an impolite one may take.
const IMMEDIATE: Duration = Duration::from_secs(5);
/// How often we look.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// What the server says of itself in `postmaster.pid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pub(crate) pid: i32,
    /// Single-user mode, which has no socket and ends with its input.
    pub(crate) single: bool,
    pub(crate) status: String,
}

impl Postmaster {
    /// Reads the file, if it is there and readable as one.
    pub(crate) fn read(cluster: &Path) -> io::Result<Option<Self>> {
        match fs::read(cluster.join("postmaster.pid")) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let mut lines = text.lines();
                let pid = lines.next().and_then(|line| line.trim().parse::<i32>().ok());
                let status = lines.nth(6).unwrap_or_default().trim().to_owned();
                Ok(pid.map(|pid| Self { pid: pid.saturating_abs(), single: pid < 0, status }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the process lives and is a server of this cluster; numbers of processes come round again.
    pub(crate) fn lives(&self, cluster: &Path) -> bool {
        is_server_of(self.pid, cluster)
    }

    /// Whether it says so itself, and the socket answers.
    pub(crate) fn is_ready(&self, socket_dir: &Path) -> bool {
        self.status == "ready" && answers(socket_dir)
    }
}

/// Whether a process is a server whose data are this cluster.
fn is_server_of(pid: i32, cluster: &Path) -> bool {
    if !Path::new("/proc/self/stat").exists() {
        return ps_names(pid, cluster);
    }
    let zombie = fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])));
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if zombie || !name.starts_with("post") {
        return false;
    }
    // A server stays in its cluster's folder, so that tells it apart from one of another cluster, even if the folder was moved.
    match (fs::metadata(format!("/proc/{pid}/cwd")), fs::metadata(cluster)) {
        (Ok(cwd), Ok(cluster)) => (cwd.dev(), cwd.ino()) == (cluster.dev(), cluster.ino()),
        // In many containers not even root may ask where a process of another account is; its arguments are open to all.
        (Err(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
            let path = cluster.as_os_str().as_bytes();
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.split(|&byte| byte == 0).any(|arg| arg == path))
        }
        _ => false,
    }
}

/// For systems without `/proc`.
fn ps_names(pid: i32, cluster: &Path) -> bool {
    Command::new("ps").args(["-ww", "-o", "stat=,command=", "-p", &pid.to_string()]).output().is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout);
        !text.trim_start().starts_with('Z') && text.contains("postgres") && text.contains(&*cluster.to_string_lossy())
    })
}

/// Whether any process goes by this number.
pub(crate) fn exists(pid: i32) -> bool {
    Pid::from_raw(pid)
        .is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

/// Whether a server answers on the socket. Asked for encryption, which needs no login, it says one letter; a merely open socket says nothing.
fn answers(socket_dir: &Path) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = UnixStream::connect(socket::path_in(socket_dir))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.set_write_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])?;
        let mut letter = [0];
        stream.read_exact(&mut letter)?;
        Ok(matches!(&letter, b"N" | b"S"))
    };
    ask().unwrap_or(false)
}

/// Whether the server was started with these arguments, which it notes itself in `postmaster.opts`.
pub(crate) fn runs_with(cluster: &Path, args: &[std::ffi::OsString]) -> bool {
    let mut wanted = Vec::new();
    for arg in args {
        wanted.extend_from_slice(b" \"");
        wanted.extend_from_slice(arg.as_bytes());
        wanted.push(b'"');
    }
    wanted.push(b'\n');
    fs::read(cluster.join("postmaster.opts")).is_ok_and(|noted| noted.ends_with(&wanted))
}

/// Ends a server: first so that it writes everything out, then so that it recovers at the next start, then by force.
///
/// `gone` tells whether it has ended; it is asked right before each signal, so that no other process is hit.
pub(crate) fn end(postmaster: &Postmaster, mut gone: impl FnMut() -> bool) -> Result<(), StopError> {
    let pid = postmaster.pid;
    for (signal, patience) in [(Signal::INT, FAST), (Signal::QUIT, IMMEDIATE), (Signal::KILL, IMMEDIATE)] {
        if gone() {
            return Ok(());
        }
        // In single-user mode SIGINT only cancels a statement.
        let signal = if postmaster.single && signal == Signal::INT { Signal::TERM } else { signal };
        let target = Pid::from_raw(pid).ok_or(StopError::Immortal { pid })?;
        match kill_process(target, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(source) => return Err(StopError::Signal { pid, source: source.into() }),
        }
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if gone() {
                return Ok(());
            }
            thread::sleep(TICK);
        }
        tracing::warn!(pid, ?signal, "the database server does not end; trying harder");
    }
    Err(StopError::Immortal { pid })
}
