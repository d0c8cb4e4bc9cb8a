//! Sealing: `$clear` fields of an event become `$sealed` before they are stored, and come back after they are read.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use events::{OrganizationId, Purpose};
use ring::{
    aead::{Aad, LessSafeKey, NONCE_LEN, Nonce},
    digest,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

const SALT: usize = 16;

/// Whose data, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName {
    pub organization: OrganizationId,
    pub subject: Uuid,
    pub purpose: Purpose,
}

/// A data key, or the fact that it was destroyed.
#[derive(Clone)]
pub enum DataKey {
    Live { id: Uuid, key: Arc<LessSafeKey> },
    Destroyed,
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Live { .. } => "DataKey(…)",
            Self::Destroyed => "DataKey(destroyed)",
        })
    }
}

#[derive(Serialize, Deserialize)]
struct SealedField {
    subject: Uuid,
    purpose: Purpose,
    key: Uuid,
    nonce: String,
    ciphertext: String,
    commitment: String,
}

/// Randomness or the cipher failed; nothing is stored in the clear instead.
#[derive(Debug, thiserror::Error)]
#[error("a personal field could not be sealed")]
pub struct SealError;

fn clear_parts(value: &Value) -> Option<(Uuid, Purpose)> {
    let parts = value.get("$clear")?;
    Some((Uuid::deserialize(parts.get("subject")?).ok()?, Purpose::deserialize(parts.get("purpose")?).ok()?))
}

fn sealed_parts(value: &Value) -> Option<SealedField> {
    SealedField::deserialize(value.get("$sealed")?).ok()
}

/// The keys that sealing or opening this value needs.
pub fn key_names(organization: OrganizationId, value: &Value, names: &mut Vec<KeyName>) {
    let found = clear_parts(value).or_else(|| sealed_parts(value).map(|field| (field.subject, field.purpose)));
    if let Some((subject, purpose)) = found {
        names.push(KeyName { organization, subject, purpose });
        return;
    }
    match value {
        Value::Object(map) => map.values().for_each(|inner| key_names(organization, inner, names)),
        Value::Array(list) => list.iter().for_each(|inner| key_names(organization, inner, names)),
        _ => {}
    }
}

/// Replaces every `$clear` by `$sealed`, or by `$erased` where the key is gone.
pub fn seal(
    organization: OrganizationId,
    value: &mut Value,
    key_of: &impl Fn(KeyName) -> Option<DataKey>,
) -> Result<(), SealError> {
    if let Some((subject, purpose)) = clear_parts(value) {
        let name = KeyName { organization, subject, purpose };
        let plain = value.pointer("/$clear/value").cloned().unwrap_or(Value::Null);
        *value = match key_of(name).ok_or(SealError)? {
            DataKey::Destroyed => json!({ "$erased": true }),
            DataKey::Live { id, key } => {
                let field = seal_bytes(name, id, &key, plain.to_string().as_bytes())?;
                json!({ "$sealed": field })
            }
        };
        return Ok(());
    }
    match value {
        // Marked as personal, but not in a form that we know: better refused than stored in the clear.
        Value::Object(map) if map.contains_key("$clear") => Err(SealError),
        Value::Object(map) => map.values_mut().try_for_each(|inner| seal(organization, inner, key_of)),
        Value::Array(list) => list.iter_mut().try_for_each(|inner| seal(organization, inner, key_of)),
        _ => Ok(()),
    }
}

/// Replaces every `$sealed` by `$clear`, or by `$erased` where it cannot be opened.
pub fn open(organization: OrganizationId, value: &mut Value, key_of: &impl Fn(KeyName) -> Option<DataKey>) {
    if let Some(field) = sealed_parts(value) {
        let name = KeyName { organization, subject: field.subject, purpose: field.purpose };
        let plain = match key_of(name) {
            Some(DataKey::Live { id, key }) if id == field.key => open_bytes(name, &field, &key),
            _ => None,
        };
        *value = match plain.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) {
            Some(plain) => {
                json!({ "$clear": { "subject": field.subject, "purpose": field.purpose, "value": plain } })
            }
            None => json!({ "$erased": true }),
        };
        return;
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(|inner| open(organization, inner, key_of)),
        Value::Array(list) => list.iter_mut().for_each(|inner| open(organization, inner, key_of)),
        _ => {}
    }
}

/// A sealed field with what proves its content: `SHA-256(salt ‖ text)` is the commitment that the stored event holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosed {
    pub subject: Uuid,
    /// Base64, as stored.
    pub commitment: String,
    /// The salt and the value's JSON text; `None` where the key is gone.
    pub opened: Option<(Vec<u8>, String)>,
}

impl std::fmt::Debug for Disclosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disclosed").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Collects the sealed fields of a stored value, in order.
pub fn disclose(
    organization: OrganizationId,
    value: &Value,
    key_of: &impl Fn(KeyName) -> Option<DataKey>,
    found: &mut Vec<Disclosed>,
) {
    if let Some(field) = sealed_parts(value) {
        let name = KeyName { organization, subject: field.subject, purpose: field.purpose };
        let salted = match key_of(name) {
            Some(DataKey::Live { id, key }) if id == field.key => open_salted(name, &field, &key),
            _ => None,
        };
        let opened = salted.and_then(|salted| {
            let (salt, text) = salted.split_at_checked(SALT)?;
            Some((salt.to_vec(), String::from_utf8(text.to_vec()).ok()?))
        });
        found.push(Disclosed { subject: field.subject, commitment: field.commitment, opened });
        return;
    }
    match value {
        Value::Object(map) => map.values().for_each(|inner| disclose(organization, inner, key_of, found)),
        Value::Array(list) => list.iter().for_each(|inner| disclose(organization, inner, key_of, found)),
        _ => {}
    }
}

fn aad(name: KeyName, key: Uuid) -> Aad<String> {
    Aad::from(format!("{}/{}/{}/{key}", name.organization, name.subject, name.purpose.name()))
}

fn seal_bytes(name: KeyName, id: Uuid, key: &LessSafeKey, plain: &[u8]) -> Result<SealedField, SealError> {
    let random = SystemRandom::new();
    let mut nonce = [0; NONCE_LEN];
    let mut salted = vec![0; SALT];
    random.fill(&mut nonce).map_err(|_| SealError)?;
    random.fill(&mut salted).map_err(|_| SealError)?;
    salted.extend_from_slice(plain);
    let commitment = digest::digest(&digest::SHA256, &salted);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(name, id), &mut salted)
        .map_err(|_| SealError)?;
    Ok(SealedField {
        subject: name.subject,
        purpose: name.purpose,
        key: id,
        nonce: STANDARD.encode(nonce),
        ciphertext: STANDARD.encode(&salted),
        commitment: STANDARD.encode(commitment),
    })
}

fn open_bytes(name: KeyName, field: &SealedField, key: &LessSafeKey) -> Option<Vec<u8>> {
    open_salted(name, field, key)?.get(SALT..).map(<[u8]>::to_vec)
}

fn open_salted(name: KeyName, field: &SealedField, key: &LessSafeKey) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE_LEN] = STANDARD.decode(&field.nonce).ok()?.try_into().ok()?;
    let mut bytes = STANDARD.decode(&field.ciphertext).ok()?;
    let salted = key.open_in_place(Nonce::assume_unique_for_key(nonce), aad(name, field.key), &mut bytes).ok()?;
    let commitment = digest::digest(&digest::SHA256, salted);
    (STANDARD.encode(commitment) == field.commitment).then(|| salted.to_vec())
}

#[cfg(test)]
mod tests {
    use ring::aead::{AES_256_GCM, UnboundKey};

    use super::*;

    fn key() -> DataKey {
        let unbound = UnboundKey::new(&AES_256_GCM, &[7; 32]).ok().map(LessSafeKey::new);
        unbound.map_or(DataKey::Destroyed, |key| DataKey::Live { id: Uuid::from_u128(9), key: Arc::new(key) })
    }

    fn event() -> Value {
        json!({ "ResidentRegistered": { "name": { "$clear": {
            "subject": Uuid::from_u128(1), "purpose": "contact", "value": { "last": "Okafor" }
        } }, "language": "en" } })
    }

    const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(5));

    #[test]
    fn what_is_sealed_comes_back_and_shows_nothing_meanwhile() {
        let mut value = event();
        assert!(seal(ORGANIZATION, &mut value, &|_| Some(key())).is_ok());
        assert!(!value.to_string().contains("Okafor"));
        open(ORGANIZATION, &mut value, &|_| Some(key()));
        assert_eq!(value, event());
    }

    #[test]
    fn a_destroyed_key_reads_as_erased() {
        let mut value = event();
        assert!(seal(ORGANIZATION, &mut value, &|_| Some(key())).is_ok());
        open(ORGANIZATION, &mut value, &|_| Some(DataKey::Destroyed));
        assert_eq!(value.pointer("/ResidentRegistered/name"), Some(&json!({ "$erased": true })));
    }

    #[test]
    fn nothing_new_is_stored_for_an_erased_subject() {
        let mut value = event();
        assert!(seal(ORGANIZATION, &mut value, &|_| Some(DataKey::Destroyed)).is_ok());
        assert_eq!(value.pointer("/ResidentRegistered/name"), Some(&json!({ "$erased": true })));
    }

    #[test]
    fn a_personal_field_of_an_unknown_form_is_refused() {
        let mut value = json!({ "name": { "$clear": { "subject": "nobody", "value": "Okafor" } } });
        assert!(seal(ORGANIZATION, &mut value, &|_| Some(key())).is_err());
    }

    #[test]
    fn a_field_moved_to_another_organization_does_not_open() {
        let mut value = event();
        assert!(seal(ORGANIZATION, &mut value, &|_| Some(key())).is_ok());
        open(OrganizationId(Uuid::from_u128(6)), &mut value, &|_| Some(key()));
        assert_eq!(value.pointer("/ResidentRegistered/name"), Some(&json!({ "$erased": true })));
    }
}
