//! The leaf of an organization's Merkle tree (RFC 6962): a versioned hash of an event's header and stored texts.

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use crate::hash::{self, Hash};

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
pub fn hash(header: &Header<'_>, payload_sha256: &[u8], metadata_sha256: &[u8]) -> Hash {
    let mut uuid = [0; uuid::fmt::Hyphenated::LENGTH];
    let organization = header.organization.hyphenated().encode_lower(&mut uuid);
    let time = instant(header.recorded_at);
    let mut text = text(organization, header.stream, header.stream_id, header.version);
    end(&mut text, header.event_type, header.event_version, &time);
    hash::push_hex(&mut text, payload_sha256);
    text.push('\n');
    hash::push_hex(&mut text, metadata_sha256);
    text.push('\n');
    hash::leaf(text.as_bytes())
}

/// A time as leaves have it.
pub fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn text(organization: &str, stream: &str, stream_id: &str, version: i64) -> String {
    let mut text = String::with_capacity(400);
    for part in ["propty-leaf-v1\n", organization, "\n", stream, "/", stream_id, "\n"] {
        text.push_str(part);
    }
    text.push_str(&version.to_string());
    text
}

fn end(text: &mut String, event_type: &str, event_version: &str, time: &str) {
    for part in ["\n", event_type, " v", event_version, "\n", time, "\n"] {
        text.push_str(part);
    }
}

/// The same from texts, as an outsider has them; the hashes are hexadecimal.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    pub organization: &'a str,
    pub stream: &'a str,
    pub stream_id: &'a str,
    pub version: i64,
    pub event_type: &'a str,
    pub event_version: &'a str,
    pub recorded_at: &'a str,
    pub payload_sha256: &'a str,
    pub metadata_sha256: &'a str,
}

impl Written<'_> {
    pub fn hash(&self) -> Hash {
        let mut text = text(self.organization, self.stream, self.stream_id, self.version);
        end(&mut text, self.event_type, self.event_version, self.recorded_at);
        for part in [self.payload_sha256, "\n", self.metadata_sha256, "\n"] {
            text.push_str(part);
        }
        hash::leaf(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAF: &str = "b9b3bcbc7f37138c32cdfb355e089e9751c4fc911b6d08727dad230e9b46ec48";

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
        assert_eq!(hash::hex(&leaf), LEAF);
        let written = Written {
            organization: "00000000-0000-0000-0000-000000000000",
            stream: header.stream,
            stream_id: header.stream_id,
            version: header.version,
            event_type: header.event_type,
            event_version: header.event_version,
            recorded_at: "1970-01-01T00:00:00.000000Z",
            payload_sha256: &"00".repeat(32),
            metadata_sha256: &"ff".repeat(32),
        };
        assert_eq!(written.hash(), leaf);
    }
}
