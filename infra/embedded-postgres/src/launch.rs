//! Brings a server up: what an earlier run left behind, the process, and the wait until it answers.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::{Duration, Instant},
};

use crate::{
    StartError,
    find::Binaries,
    place::Place,
    postmaster::{self, Postmaster, TICK},
    socket,
};

/// Recovery after a crash may have much to replay.
const READY_WITHIN: Duration = Duration::from_secs(600);
/// When we say that it takes long.
const SAY_AFTER: Duration = Duration::from_secs(5);
/// How long the processes of a killed server may hold its shared memory.
const SHARED_MEMORY: Duration = Duration::from_secs(30);
/// How long a server takes at most from making its note to filling it.
const UNFINISHED_NOTE: Duration = Duration::from_secs(1);
/// A log larger than this is set aside at the next start.
const LOG_LIMIT: u64 = 10 << 20;

/// The server of this cluster that an earlier run left behind, if one lives. A note of one that does not is removed.
pub(crate) fn leftover(cluster: &Path) -> Result<Option<Postmaster>, StartError> {
    let file = cluster.join("postmaster.pid");
    let patience = Instant::now() + UNFINISHED_NOTE;
    let found = loop {
        match Postmaster::read(cluster).map_err(StartError::at(&file))? {
            Some(found) => break found,
            None if !file.exists() => return Ok(None),
            // A server is just writing its note, or was killed in that moment; the next one would refuse to start over an empty note.
            None if Instant::now() < patience => thread::sleep(TICK),
            None => {
                fs::remove_file(&file).map_err(StartError::at(&file))?;
                return Ok(None);
            }
        }
    };
    if found.lives(cluster) {
        return Ok(Some(found));
    }
    // The server itself passes over the note of a dead process, and learns from it which shared memory to wait for. It is only ours to remove when
    // the number has gone to a stranger, which the server would take for itself.
    if postmaster::exists(found.pid) {
        tracing::info!(pid = found.pid, "removing a stale postmaster.pid: its process is no server of this database");
        fs::remove_file(&file).map_err(StartError::at(&file))?;
    }
    Ok(None)
}

/// Whether the server left behind is as we would start it, and answers. One that is still starting or stopping is waited for.
pub(crate) fn adoptable(
    orphan: &Postmaster,
    cluster: &Path,
    socket_dir: &Path,
    args: &[OsString],
) -> Result<bool, StartError> {
    if orphan.single || !postmaster::runs_with(cluster, args) {
        return Ok(false);
    }
    let until = Instant::now() + READY_WITHIN;
    while orphan.lives(cluster) && Instant::now() < until {
        match Postmaster::read(cluster).map_err(StartError::at(cluster))? {
            Some(now) if now.pid == orphan.pid && now.is_ready(socket_dir) => return Ok(true),
            Some(now) if now.pid == orphan.pid && now.status == "starting" => thread::sleep(TICK),
            _ => return Ok(false),
        }
    }
    Ok(false)
}

/// Starts the server and waits until it answers; starts it again while a killed one's processes are still going.
pub(crate) fn launch(
    place: &Place,
    binaries: &Binaries,
    args: &[OsString],
    socket_dir: &Path,
    notice: &mut dyn FnMut(&str),
) -> Result<(Postmaster, Child), StartError> {
    let log = Log::open(&place.base)?;
    let program = binaries.postgres();
    let began = Instant::now();
    let mut said = false;
    loop {
        let offset = log.length();
        let unable = |source| StartError::Run { program: program.clone(), account: place.account.name.clone(), source };
        let mut child = place
            .account
            .command(&program, &place.base)
            .args(args)
            .stdout(log.handle()?)
            .stderr(log.handle()?)
            // Ctrl-C in a terminal is for us alone; we stop the server in our own time.
            .process_group(0)
            .spawn()
            .map_err(unable)?;
        loop {
            if let Some(status) = child.try_wait().map_err(unable)? {
                let tail = log.tail(offset);
                let held =
                    ["shared memory block", "already exists", "is empty"].iter().any(|words| tail.contains(words));
                if held && began.elapsed() < SHARED_MEMORY {
                    // One that an earlier run had only just started when it was killed shows itself late.
                    if let Some(orphan) = leftover(&place.cluster())? {
                        postmaster::end(&orphan, || !orphan.lives(&place.cluster())).map_err(StartError::Leftover)?;
                    }
                    socket::clear(socket_dir)?;
                    thread::sleep(TICK * 10);
                    break;
                }
                return Err(StartError::Ended { status: status.to_string(), log: log.path, tail });
            }
            if let Ok(Some(now)) = Postmaster::read(&place.cluster())
                && u32::try_from(now.pid) == Ok(child.id())
                && now.is_ready(socket_dir)
            {
                return Ok((now, child));
            }
            if !said && began.elapsed() > SAY_AFTER {
                said = true;
                notice(&format!(
                    "the database is still starting, perhaps recovering from a crash; its log is {}",
                    log.path.display()
                ));
            }
            if began.elapsed() > READY_WITHIN {
                let postmaster = Postmaster {
                    pid: i32::try_from(child.id()).unwrap_or_default(),
                    single: false,
                    status: String::new(),
                };
                postmaster::end(&postmaster, || !matches!(child.try_wait(), Ok(None))).map_err(StartError::Leftover)?;
                return Err(StartError::NotReady {
                    seconds: READY_WITHIN.as_secs(),
                    tail: log.tail(offset),
                    log: log.path,
                });
            }
            thread::sleep(TICK);
        }
    }
}

/// The file that hears what the server says.
struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    fn open(base: &Path) -> Result<Self, StartError> {
        let path = base.join("log");
        if fs::metadata(&path).is_ok_and(|found| found.len() > LOG_LIMIT) {
            fs::rename(&path, base.join("log.old")).map_err(StartError::at(&path))?;
        }
        let file =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(StartError::at(&path))?;
        Ok(Self { path, file })
    }

    fn handle(&self) -> Result<File, StartError> {
        self.file.try_clone().map_err(StartError::at(&self.path))
    }

    fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.len())
    }

    /// The last of what was said since then.
    fn tail(&self, offset: u64) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(64 << 10).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join(" | ")
    }
}
