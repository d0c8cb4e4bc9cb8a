//! The three providers' webhook signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// `Stripe-Signature`: hexadecimal HMAC-SHA256 over `timestamp.body`, keyed by the whole secret.
pub(crate) fn stripe(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut signed = format!("{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    let tag = hmac::sign(&key, &signed);
    let hexadecimal = tag.as_ref().iter().fold(String::new(), |mut out, byte| {
        use std::fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    });
    format!("t={timestamp},v1={hexadecimal}")
}

/// `svix-signature`: base64 HMAC-SHA256 over `id.timestamp.body`, keyed by what follows `whsec_`, decoded.
pub(crate) fn svix(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> String {
    let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
    let bytes = STANDARD.decode(encoded).unwrap_or_else(|_| encoded.as_bytes().to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
}

/// `X-Twilio-Signature`: base64 HMAC-SHA1 over the URL and the sorted names and values.
pub(crate) fn twilio(token: &str, url: &str, parameters: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = parameters.iter().collect();
    sorted.sort();
    let mut signed = url.to_owned();
    for (name, value) in sorted {
        signed.push_str(name);
        signed.push_str(value);
    }
    // The scheme is Twilio's; SHA-1 is not ours to change.
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    STANDARD.encode(hmac::sign(&key, signed.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::twilio;

    /// The worked example of Twilio's security guide.
    #[test]
    fn twilio_signature_matches_the_published_example() {
        let parameters = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            twilio("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", &parameters),
            "RSOYDt4T1cUTdK1PDd93/VVr8B8="
        );
    }
}
