//! Secrets that people carry: bearer tokens, sign-in links, session cookies. None is stored; tokens are kept as hashes.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use event_store::{Keyring, keyring::sha256};
use events::SignInId;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;

/// A new token: what is shown once, and the hash that is kept.
#[derive(Clone)]
pub struct NewToken {
    pub secret: String,
    pub hash: String,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl NewToken {
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
        let secret = format!("propty_{}", URL_SAFE_NO_PAD.encode(bytes));
        let hash = hash(&secret);
        Ok(Self { secret, hash })
    }
}

/// The hash under which a token is known.
pub fn hash(secret: &str) -> String {
    STANDARD.encode(sha256(secret.as_bytes()))
}

/// Derives and checks the secrets of links and sessions.
#[derive(Clone)]
pub struct Credentials {
    link: hmac::Key,
    session: hmac::Key,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    pub fn new(keyring: &Keyring) -> Self {
        Self { link: keyring.mac_key("sign-in link"), session: keyring.mac_key("session") }
    }

    /// What the link in the e-mail carries.
    pub fn link(&self, id: SignInId) -> String {
        sign(&self.link, id)
    }

    /// The sign-in that a link's secret belongs to.
    pub fn check_link(&self, secret: &str) -> Option<SignInId> {
        check(&self.link, secret)
    }

    /// What the cookie carries.
    pub fn session(&self, id: SignInId) -> String {
        sign(&self.session, id)
    }

    /// The session that a cookie belongs to.
    pub fn check_session(&self, secret: &str) -> Option<SignInId> {
        check(&self.session, secret)
    }
}

fn sign(key: &hmac::Key, id: SignInId) -> String {
    let tag = hmac::sign(key, id.0.as_bytes());
    format!("{}.{}", id.0.simple(), URL_SAFE_NO_PAD.encode(tag))
}

fn check(key: &hmac::Key, secret: &str) -> Option<SignInId> {
    let (id, tag) = secret.split_once('.')?;
    let id: SignInId = id.parse().ok()?;
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    hmac::verify(key, id.0.as_bytes(), &tag).ok().map(|()| id)
}
