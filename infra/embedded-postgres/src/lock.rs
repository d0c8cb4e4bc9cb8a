//! One instance per folder, by an exclusive lock that the kernel releases however we end.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::StartError;

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    // Closing the file releases the lock; the file itself stays, because removing it would race with another starter.
    _file: File,
}

impl Lock {
    pub(crate) fn acquire(folder: &Path) -> Result<Self, StartError> {
        let path = folder.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StartError::at(&path))?;
        // A child that another thread is just starting shares our files until its exec, so a lock given up a moment ago may look held.
        let patience = Instant::now() + Duration::from_millis(500);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < patience => thread::sleep(Duration::from_millis(25)),
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                    return Err(StartError::InUse { folder: folder.to_owned(), pid });
                }
                Err(TryLockError::Error(source)) => return Err(StartError::Folder { path, source }),
            }
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(StartError::at(&path))?;
        Ok(Self { _file: file })
    }
}
