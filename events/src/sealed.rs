//! Personal fields: clear in memory, sealed at rest under a key that erasure destroys.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a personal field is kept for; each purpose has a key, and so a retention, of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    Contact,
    Message,
    Finance,
    Consent,
}

impl Purpose {
    pub const ALL: [Self; 4] = [Self::Contact, Self::Message, Self::Finance, Self::Consent];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Message => "message",
            Self::Finance => "finance",
            Self::Consent => "consent",
        }
    }
}

/// A personal value, or the statement that it was erased.
///
/// Serialized as `{"$clear": …}` between memory and the event store, which turns it into `{"$sealed": …}` before it is
/// stored and back after it is read; what cannot be opened any more reads as `{"$erased": true}`.
#[derive(Clone, PartialEq, Eq)]
pub enum Sealed<T> {
    Clear {
        /// Whose data it is: a resident, or another stream's id for what belongs to no resident.
        subject: Uuid,
        purpose: Purpose,
        value: T,
    },
    Erased,
}

impl<T> Sealed<T> {
    pub const fn new(subject: Uuid, purpose: Purpose, value: T) -> Self {
        Self::Clear { subject, purpose, value }
    }

    /// The value, unless it was erased.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Clear { value, .. } => Some(value),
            Self::Erased => None,
        }
    }

    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Clear { value, .. } => Some(value),
            Self::Erased => None,
        }
    }
}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear { .. } => "Sealed(…)",
            Self::Erased => "Sealed(erased)",
        })
    }
}

#[derive(Serialize, Deserialize)]
struct ClearParts<T> {
    subject: Uuid,
    purpose: Purpose,
    value: T,
}

#[derive(Serialize, Deserialize)]
enum Wire<T> {
    #[serde(rename = "$clear")]
    Clear(ClearParts<T>),
    #[serde(rename = "$erased")]
    Erased(bool),
}

impl<T: Serialize> Serialize for Sealed<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Clear { subject, purpose, value } => {
                Wire::Clear(ClearParts { subject: *subject, purpose: *purpose, value }).serialize(serializer)
            }
            Self::Erased => Wire::<T>::Erased(true).serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sealed<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Clear(ClearParts { subject, purpose, value }) => Self::Clear { subject, purpose, value },
            Wire::Erased(_) => Self::Erased,
        })
    }
}

impl<T> JsonSchema for Sealed<T> {
    fn schema_name() -> Cow<'static, str> {
        "Sealed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A personal field as it is stored: ciphertext under the subject's key for one purpose, or erased.",
            "oneOf": [
                {
                    "type": "object",
                    "required": ["$sealed"],
                    "properties": { "$sealed": {
                        "type": "object",
                        "required": ["subject", "purpose", "key", "nonce", "ciphertext", "commitment"],
                        "properties": {
                            "subject": { "type": "string", "format": "uuid" },
                            "purpose": { "enum": ["contact", "message", "finance", "consent"] },
                            "key": { "type": "string", "format": "uuid", "description": "Id of the data key." },
                            "nonce": { "type": "string", "description": "12 bytes, base64." },
                            "ciphertext": { "type": "string", "description": "AES-256-GCM over salt and JSON text, base64." },
                            "commitment": { "type": "string", "description": "SHA-256(salt ‖ JSON text), base64." }
                        }
                    } }
                },
                { "type": "object", "required": ["$erased"], "properties": { "$erased": { "const": true } } }
            ]
        })
    }
}
