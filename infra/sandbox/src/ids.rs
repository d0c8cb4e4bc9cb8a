//! Identifiers that look like the providers' own and sort by the order of creation.

use uuid::Uuid;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Nine digits hold microseconds until the year 2400, so plain string order is creation order.
const SEQUENCE_DIGITS: usize = 9;

fn base62(mut number: u128, digits: usize) -> String {
    let mut out = vec![b'0'; digits];
    for slot in out.iter_mut().rev() {
        let digit = usize::try_from(number % 62).unwrap_or(0);
        *slot = ALPHABET[digit];
        number /= 62;
    }
    String::from_utf8(out).unwrap_or_default()
}

pub(crate) fn random(digits: usize) -> String {
    base62(Uuid::new_v4().as_u128(), digits)
}

/// Lower-case hexadecimal, as Twilio's sids use.
pub(crate) fn hexadecimal() -> String {
    Uuid::new_v4().simple().to_string()
}

pub(crate) fn sequenced(prefix: &str, sequence: u64) -> String {
    format!("{prefix}{}{}", base62(u128::from(sequence), SEQUENCE_DIGITS), random(12))
}
