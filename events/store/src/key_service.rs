//! Who holds the master keys: files, the environment, or a service that never gives them away.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use futures_util::future::BoxFuture;
use ring::{
    aead::{Aad, LessSafeKey, NONCE_LEN, Nonce},
    rand::{SecureRandom, SystemRandom},
};

use crate::master_key::{MasterKey, MasterKeyError};

/// Wraps and unwraps keys under a master key that it may keep to itself, as a key-management service does.
pub trait KeyService: fmt::Debug + Send + Sync {
    /// The id of the key that a new installation begins with.
    fn first(&self) -> String;

    /// Whether it can use the key of this id now.
    fn knows(&self, key: &str) -> bool;

    /// Wraps some bytes; only the same context unwraps them.
    fn wrap<'a>(
        &'a self,
        key: &'a str,
        context: &'a str,
        plain: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyServiceError>>;

    /// Unwraps what [`Self::wrap`] wrapped.
    fn unwrap<'a>(
        &'a self,
        key: &'a str,
        context: &'a str,
        wrapped: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyServiceError>>;

    /// What installations from before there was a root derived from the key itself.
    fn former_root(&self, _key: &str) -> Option<[u8; 32]> {
        None
    }
}

/// Why a key could not be wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum KeyServiceError {
    #[error("the master key {0} is not here; give this process that key too")]
    Unknown(String),
    #[error("what was to be unwrapped is not what the master key {0} wrapped")]
    NotWrapped(String),
    #[error("the key service cannot be reached: {0}")]
    Unavailable(String),
}

/// The file with the key.
pub const CURRENT: &str = "master.key";
/// The key that a rotation goes to.
pub const NEXT: &str = "master.key.next";
/// How files with keys that rotations came from begin; they may be removed. Each has its key's id in its name, so that none takes
/// another's place.
pub const FORMER: &str = "master.key.former";

/// Keys in memory, from the environment or from files of a folder, which is looked into again when an unknown key is asked for.
#[derive(Debug)]
pub struct LocalKeys {
    keys: RwLock<Vec<MasterKey>>,
    folder: Option<PathBuf>,
}

impl LocalKeys {
    /// These keys and no others; the first is that of a new installation.
    pub fn new(first: MasterKey, others: Vec<MasterKey>) -> Self {
        Self { keys: RwLock::new([vec![first], others].concat()), folder: None }
    }

    /// The keys of a folder; `None` when it holds none.
    pub fn in_folder(folder: &Path) -> Result<Option<Self>, MasterKeyError> {
        let keys = read(folder)?;
        Ok((!keys.is_empty()).then(|| Self { keys: RwLock::new(keys), folder: Some(folder.to_owned()) }))
    }

    fn find(&self, id: &str) -> Option<MasterKey> {
        let found = |keys: &[MasterKey]| keys.iter().find(|key| key.id() == id).cloned();
        let known = found(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        if known.is_some() {
            return known;
        }
        // A rotation has put another file there meanwhile.
        let read = read(self.folder.as_deref()?).ok()?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        for key in read {
            if keys.iter().all(|known| known.id() != key.id()) {
                keys.push(key);
            }
        }
        found(&keys)
    }

    fn cipher(&self, id: &str) -> Result<LessSafeKey, KeyServiceError> {
        let unknown = || KeyServiceError::Unknown(id.to_owned());
        self.find(id).ok_or_else(unknown)?.wrapping_key().ok_or_else(unknown)
    }
}

fn read(folder: &Path) -> Result<Vec<MasterKey>, MasterKeyError> {
    let mut paths = vec![folder.join(CURRENT), folder.join(NEXT)];
    let mut former = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, io::Error>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
        Err(error) => return Err(error.into()),
    };
    former.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(FORMER)));
    former.sort_unstable();
    paths.extend(former);
    paths.iter().filter_map(|path| MasterKey::load(path).transpose()).collect()
}

/// Puts the next key of a folder in the place of the current one, which is set aside under its own name. At no moment is there no
/// current key, and nothing is ever overwritten: with any other key than `to` waiting, everything stays where it is.
pub fn settle(folder: &Path, to: &str) -> Result<(), MasterKeyError> {
    let [current, next] = [CURRENT, NEXT].map(|name| folder.join(name));
    let is = |path: &Path| Ok::<_, MasterKeyError>(MasterKey::load(path)?.map(|key| key.id().to_owned()));
    let (now, waiting) = (is(&current)?, is(&next)?);
    if now.as_deref() == Some(to) {
        return Ok(());
    }
    if waiting.as_deref() != Some(to) {
        return Err(MasterKeyError::Elsewhere(to.to_owned()));
    }
    if let Some(former) = now {
        let aside = folder.join(former_name(&former));
        match fs::hard_link(&current, &aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is(&aside)?.as_ref() == Some(&former) => {}
            done => done?,
        }
        fs::File::open(folder)?.sync_all()?;
    }
    fs::rename(&next, &current)?;
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

/// The file that a former key is set aside in.
pub fn former_name(id: &str) -> String {
    // As the id is written in URLs: it is part of a file's name.
    format!("{FORMER}-{}", id.replace('/', "_").replace('+', "-"))
}

impl KeyService for LocalKeys {
    fn first(&self) -> String {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.first().map(|key| key.id().to_owned()).unwrap_or_default()
    }

    fn knows(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn wrap<'a>(
        &'a self,
        key: &'a str,
        context: &'a str,
        plain: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyServiceError>> {
        Box::pin(async move {
            let failed = || KeyServiceError::Unavailable("the cipher failed".to_owned());
            wrap(&self.cipher(key)?, context, plain).ok_or_else(failed)
        })
    }

    fn unwrap<'a>(
        &'a self,
        key: &'a str,
        context: &'a str,
        wrapped: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyServiceError>> {
        Box::pin(async move {
            let not_wrapped = || KeyServiceError::NotWrapped(key.to_owned());
            unwrap(&self.cipher(key)?, context, wrapped).ok_or_else(not_wrapped)
        })
    }

    fn former_root(&self, key: &str) -> Option<[u8; 32]> {
        self.find(key).map(|key| key.root())
    }
}

/// AES-256-GCM with the nonce before the ciphertext; the context is authenticated.
pub(crate) fn wrap(key: &LessSafeKey, context: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).ok()?;
    let mut body = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body).ok()?;
    Some([nonce.as_slice(), &body].concat())
}

pub(crate) fn unwrap(key: &LessSafeKey, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = body.to_vec();
    key.open_in_place(nonce, Aad::from(context), &mut body).ok().map(|plain| plain.to_vec())
}
