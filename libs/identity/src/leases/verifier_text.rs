//! A verifier as text, in the form in which PostgreSQL keeps and takes it: `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::scram::{MECHANISM, Verifier};

/// Longest salt in bytes that is read.
const MAX_SALT: usize = 64;

pub(super) fn serialize<S: Serializer>(verifier: &Verifier, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&write(verifier))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Verifier, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The text is in no message.
    read(&text).ok_or_else(|| D::Error::custom("not a SCRAM-SHA-256 verifier"))
}

pub(super) fn write(verifier: &Verifier) -> String {
    let Verifier { salt, iterations, stored_key, server_key } = verifier;
    let [salt, stored_key, server_key] = [&salt[..], stored_key, server_key].map(|bytes| STANDARD.encode(bytes));
    format!("{MECHANISM}${iterations}:{salt}${stored_key}:{server_key}")
}

pub(super) fn read(text: &str) -> Option<Verifier> {
    let (head, keys) = text.strip_prefix(MECHANISM)?.strip_prefix('$')?.split_once('$')?;
    let (iterations, salt) = head.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    let bytes = |text: &str| STANDARD.decode(text).ok();
    Some(Verifier {
        salt: bytes(salt).filter(|salt| salt.len() <= MAX_SALT)?,
        iterations: iterations.parse().ok()?,
        stored_key: bytes(stored_key)?.try_into().ok()?,
        server_key: bytes(server_key)?.try_into().ok()?,
    })
}
