//! An issuer's public keys, from its key set file.
//!
//! Invariants: the file is read again when it has changed, and one that has become unreadable leaves the keys as they
//! were ([`FromFiles`]); a symmetric key is never taken.

use std::path::Path;
use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

use super::{bad, short};
use crate::errors::{Error, Refusal};
use crate::files::{self, FromFiles};
use crate::options::IssuerOptions;

/// Most keys in a key set.
const MAX_KEYS: usize = 64;

/// An issuer and its keys.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) options: IssuerOptions,
    keys: FromFiles<Vec<Arc<Key>>>,
}

/// A public key.
pub(super) struct Key {
    id: Option<String>,
    /// The only algorithm it is for, where the key set says so.
    algorithm: Option<Algorithm>,
    pub(super) key: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Issuer {
    pub(super) fn open(options: &IssuerOptions) -> Result<Issuer, Error> {
        let path = options.jwks_file.clone();
        let name = format!("key set of issuer \"{}\"", options.name);
        let keys = FromFiles::open(name, vec![path.clone()], move || read(&path)).map_err(|reason| Error::Keys {
            issuer: options.name.clone(),
            path: options.jwks_file.clone(),
            reason,
        })?;
        Ok(Issuer { options: options.clone(), keys })
    }

    /// The keys that may have signed a token with this header, at least one.
    pub(super) fn keys(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<Arc<Key>>, Refusal> {
        let fits = |key: &&Arc<Key>| {
            key.key.family() == algorithm.family()
                && key.algorithm.is_none_or(|only| only == algorithm)
                && id.is_none_or(|id| key.id.as_deref() == Some(id))
        };
        let keys: Vec<_> = self.keys.get().iter().filter(fits).cloned().collect();
        if keys.is_empty() {
            let name = &self.options.name;
            let which = match id {
                Some(id) => format!("issuer \"{name}\" has no key \"{}\" for this algorithm", short(id)),
                None => format!("issuer \"{name}\" has no key for this algorithm"),
            };
            return Err(bad(which)
                .recorded_as("the token's issuer has no such key")
                .hint("Get a new token; if it stays so, the key set (jwks_file) lacks the key."));
        }
        Ok(keys)
    }
}

/// How many of an issuer's keys can check signatures.
pub(super) fn count(options: &IssuerOptions) -> Result<usize, String> {
    read(&options.jwks_file).map(|keys| keys.len())
}

fn read(path: &Path) -> Result<Vec<Arc<Key>>, String> {
    parse(&files::read(path)?)
}

/// Takes the keys that can check signatures; of the rest it is silent, as RFC 7517, section 5, asks.
fn parse(text: &[u8]) -> Result<Vec<Arc<Key>>, String> {
    let set: Value = serde_json::from_slice(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let Some(keys) = set.get("keys").and_then(Value::as_array) else {
        return Err("it has no array \"keys\"".to_owned());
    };
    if keys.len() > MAX_KEYS {
        return Err(format!("it has more than {MAX_KEYS} keys"));
    }
    let single = |key: &Value| {
        let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
        public_key(&jwk).map(Arc::new)
    };
    let keys: Vec<_> = keys.iter().filter_map(single).collect();
    if keys.is_empty() {
        return Err("it holds no public key for signatures".to_owned());
    }
    Ok(keys)
}

fn public_key(jwk: &Jwk) -> Option<Key> {
    if jwk.common.public_key_use.as_ref().is_some_and(|what| *what != PublicKeyUse::Signature) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    if key.family() == AlgorithmFamily::Hmac {
        return None;
    }
    // A key for something that is no signature algorithm is not one of ours.
    let algorithm = match jwk.common.key_algorithm {
        None => None,
        Some(algorithm) => Some(Algorithm::try_from(algorithm).ok()?),
    };
    Some(Key { id: jwk.common.key_id.clone(), algorithm, key })
}
