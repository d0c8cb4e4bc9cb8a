//! The master key: wraps data keys, signing keys and the installation's root.

use std::{fmt, fs, io, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    aead, digest, hmac,
    rand::{SecureRandom, SystemRandom},
};

/// A key that has no name after so long will never have one.
const ABANDONED: Duration = Duration::from_secs(3600);

/// 32 secret bytes, from a file or the environment. Whoever holds it can read sealed fields.
#[derive(Clone)]
pub struct MasterKey {
    bytes: [u8; 32],
    id: String,
}

/// Why there is no usable master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("the master key must be 32 bytes in base64")]
    Malformed,
    #[error("the master key file cannot be used")]
    File(#[from] io::Error),
    #[error("the master key {0} is in none of the files that it should be in; nothing was moved")]
    Elsewhere(String),
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl MasterKey {
    /// Parses base64 of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let bytes: [u8; 32] = STANDARD
            .decode(text.trim())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(MasterKeyError::Malformed)?;
        let id = STANDARD.encode(&digest::digest(&digest::SHA256, &bytes).as_ref()[..9]);
        Ok(Self { bytes, id })
    }

    /// Reads the file; `None` when there is none.
    pub fn load(path: &Path) -> Result<Option<Self>, MasterKeyError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the file, or makes it with a new key that only its owner can read.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        match Self::load(path)? {
            Some(key) => Ok(key),
            None => Self::create(path),
        }
    }

    fn create(path: &Path) -> Result<Self, MasterKeyError> {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| MasterKeyError::NoRandomness)?;
        let text = STANDARD.encode(bytes);
        // A crash between writing and naming must not leave half a key; nor may its rest, or another thread, stand in the way.
        let fresh = path.with_extension(format!("new-{}", uuid::Uuid::now_v7()));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        let linked = fs::hard_link(&fresh, path);
        fs::remove_file(&fresh)?;
        if let Some(folder) = path.parent() {
            sweep(folder)?;
            // The name has to outlive a power cut before anything is wrapped by the key.
            fs::File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()?;
        }
        match linked {
            Ok(()) => Self::parse(&text),
            // Another process was first; its key is the key.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::parse(&fs::read_to_string(path)?),
            Err(error) => Err(error.into()),
        }
    }

    /// Names the key without revealing it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What HKDF extracts from the key: from it everything was derived before installations had a root of their own.
    pub(crate) fn root(&self) -> [u8; 32] {
        let mut root = [0; 32];
        root.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"propty"), &self.bytes).as_ref());
        root
    }

    pub(crate) fn wrapping_key(&self) -> Option<aead::LessSafeKey> {
        aead::UnboundKey::new(&aead::AES_256_GCM, &self.bytes).ok().map(aead::LessSafeKey::new)
    }
}

/// Removes keys that a crash left before they had a name. What is young may be another process's, at this moment.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })? {
        let entry = entry?;
        let name = entry.file_name();
        let abandoned = name.to_str().is_some_and(|name| name.starts_with("master.") && name.contains(".new-"))
            && entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > ABANDONED);
        if abandoned {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}
