//! What is kept of a password: a SCRAM-SHA-256 verifier (RFC 5802, section 3; RFC 7677), as PostgreSQL writes it.
//!
//! Invariant: the password does not follow from it, and nothing prints it.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};

/// Of a password of 256 random bits: they cannot be tried, however fast one try is (RFC 7677 asks for as many at least).
pub const ITERATIONS: u32 = 4096;

/// See the module.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Verifier {
    /// The salt.
    pub salt: Vec<u8>,
    /// How often it is hashed.
    pub iterations: u32,
    /// H(ClientKey).
    pub stored_key: [u8; 32],
    /// ServerKey.
    pub server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// Of a password of ASCII, which SASLprep (RFC 4013) leaves as it is.
    pub fn of(password: &str, salt: &[u8], iterations: u32) -> Verifier {
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password.as_bytes(), &mut salted);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&key, b"Client Key");
        let server_key = hmac::sign(&key, b"Server Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        Verifier {
            salt: salt.to_vec(),
            iterations: rounds.get(),
            stored_key: fixed(stored_key.as_ref()),
            server_key: fixed(server_key.as_ref()),
        }
    }
}

/// Of a digest of 32 bytes.
fn fixed(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or_default()
}

impl From<Verifier> for String {
    fn from(verifier: Verifier) -> String {
        let Verifier { salt, iterations, stored_key, server_key } = verifier;
        let [salt, stored_key, server_key] = [&salt[..], &stored_key, &server_key].map(|bytes| STANDARD.encode(bytes));
        format!("SCRAM-SHA-256${iterations}:{salt}${stored_key}:{server_key}")
    }
}

impl TryFrom<String> for Verifier {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Verifier, &'static str> {
        let read = || {
            let (head, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
            let (iterations, salt) = head.split_once(':')?;
            let (stored_key, server_key) = keys.split_once(':')?;
            let bytes = |text: &str| STANDARD.decode(text).ok();
            Some(Verifier {
                salt: bytes(salt)?,
                iterations: iterations.parse().ok()?,
                stored_key: bytes(stored_key)?.try_into().ok()?,
                server_key: bytes(server_key)?.try_into().ok()?,
            })
        };
        read().ok_or("not a SCRAM-SHA-256 verifier")
    }
}
