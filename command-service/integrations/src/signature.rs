//! What the webhook signatures of all providers have in common: a fresh time stamp and one matching HMAC among several.

use chrono::{DateTime, Utc};
use ring::hmac;

/// How far the sender's clock may be from ours, in seconds, in either direction.
const TOLERANCE: u64 = 300;

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    #[error("the signature is missing")]
    Missing,
    #[error("the signature cannot be read")]
    Malformed,
    #[error("the signature is older or newer than {TOLERANCE} seconds")]
    Stale,
    #[error("no signature matches")]
    Mismatch,
}

/// Reads a Unix time stamp and refuses it when it is too old or too far ahead.
pub(crate) fn check_time(stamp: &str, now: DateTime<Utc>) -> Result<(), SignatureProblem> {
    let stamp: i64 = stamp.parse().map_err(|_| SignatureProblem::Malformed)?;
    if now.timestamp().abs_diff(stamp) > TOLERANCE {
        return Err(SignatureProblem::Stale);
    }
    Ok(())
}

/// Whether any key made any of the signatures, each compared in constant time.
pub(crate) fn check_any(
    keys: impl IntoIterator<Item = Vec<u8>>,
    message: &[u8],
    signatures: &[Vec<u8>],
) -> Result<(), SignatureProblem> {
    let matches = |bytes: Vec<u8>| {
        // Everybody knows the empty key: a secret that was left out of the configuration must not open the door.
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        !bytes.is_empty() && signatures.iter().any(|signature| hmac::verify(&key, message, signature).is_ok())
    };
    if keys.into_iter().any(matches) { Ok(()) } else { Err(SignatureProblem::Mismatch) }
}
