//! The leaf of an organization's Merkle tree (RFC 6962): a versioned hash of an event's header and stored texts.

use chrono::{DateTime, SecondsFormat, Utc};
use ring::digest::{Context, SHA256};
use uuid::Uuid;

/// What a leaf commits to, besides the texts themselves.
#[derive(Debug)]
pub struct Header<'a> {
    pub organization: Uuid,
    pub stream: &'a str,
    pub stream_id: &'a str,
    pub version: i64,
    pub event_type: &'a str,
    pub event_version: &'a str,
    pub recorded_at: DateTime<Utc>,
}

/// `SHA-256(0x00 ‖ text)` where the text is eight lines: the format's name, organization, stream and id, version, event type
/// and its version, time in microseconds (RFC 3339), and the hexadecimal SHA-256 of the stored payload and metadata.
pub fn hash(header: &Header<'_>, payload_sha256: &[u8], metadata_sha256: &[u8]) -> [u8; 32] {
    let text = format!(
        "propty-leaf-v1\n{}\n{}/{}\n{}\n{} v{}\n{}\n{}\n{}\n",
        header.organization,
        header.stream,
        header.stream_id,
        header.version,
        header.event_type,
        header.event_version,
        header.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        hex(payload_sha256),
        hex(metadata_sha256),
    );
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(text.as_bytes());
    let mut leaf = [0; 32];
    leaf.copy_from_slice(context.finish().as_ref());
    leaf
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_what_another_implementation_would_compute() {
        // printf '\0propty-leaf-v1\n…' | sha256sum, computed once outside this program.
        let header = Header {
            organization: Uuid::nil(),
            stream: "invoice",
            stream_id: "00000000-0000-0000-0000-000000000001",
            version: 1,
            event_type: "InvoiceDrafted",
            event_version: "1",
            recorded_at: DateTime::UNIX_EPOCH,
        };
        let leaf = hash(&header, &[0; 32], &[0xff; 32]);
        assert_eq!(hex(&leaf), LEAF);
    }

    const LEAF: &str = "b9b3bcbc7f37138c32cdfb355e089e9751c4fc911b6d08727dad230e9b46ec48";
}
