//! The envelope: `CloudEvents` 1.0 in JSON, written straight into bytes because a feed writes millions.

use std::io::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use crate::PublicEvent;

/// What an envelope says of the event in it.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    pub organization: Uuid,
    pub position: i64,
    /// The event's leaf of the organization's Merkle tree.
    pub leaf: &'a [u8],
    pub stream: &'a str,
    pub stream_id: Uuid,
    pub version: i64,
    pub time: DateTime<Utc>,
    pub property: Option<Uuid>,
    pub correlation: Uuid,
    /// `stream/id/version`
    pub causation: Option<&'a str>,
}

/// Writes envelopes for readers who reach us at one address.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Where the schemas are, as it stands between quotes in JSON.
    schemas: String,
}

impl Writer {
    pub fn new(public_url: &str) -> Self {
        let quoted = serde_json::Value::from(format!("{public_url}/schemas/public/")).to_string();
        Self { schemas: quoted.trim_matches('"').to_owned() }
    }

    /// Appends one event on one line, without the line's end.
    pub fn write(
        &self,
        envelope: &Envelope<'_>,
        event: &PublicEvent,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let declared = event.declared();
        let Envelope {
            organization,
            position,
            leaf,
            stream,
            stream_id,
            version,
            time,
            property,
            correlation,
            causation,
        } = envelope;
        // Nothing of this needs escaping, and writing into memory does not fail.
        let _ = write!(out, "{{\"specversion\":\"1.0\",\"id\":\"{position}-");
        for byte in leaf.iter().take(8) {
            let _ = write!(out, "{byte:02x}");
        }
        let _ = write!(
            out,
            "\",\"source\":\"urn:propty:organization:{organization}\",\"type\":\"{}\",\"subject\":\"{stream}/{stream_id}\",\
             \"time\":\"{}\",\"datacontenttype\":\"application/json\",\"dataschema\":\"{}{}\",\"position\":{position},\
             \"version\":{version},\"correlationid\":\"{correlation}\",",
            declared.kind,
            time.to_rfc3339_opts(SecondsFormat::Micros, true),
            self.schemas,
            declared.schema_file,
        );
        if let Some(property) = property {
            let _ = write!(out, "\"property\":\"{property}\",");
        }
        if let Some(causation) = causation {
            out.extend_from_slice(b"\"causationid\":");
            serde_json::to_writer(&mut *out, causation)?;
            out.push(b',');
        }
        out.extend_from_slice(b"\"data\":");
        serde_json::to_writer(&mut *out, event)?;
        out.push(b'}');
        Ok(())
    }
}
