//! An issuer's public keys, from a file or from the issuer.
//!
//! Invariants: a file is read again when it has changed, and one that has become unreadable leaves the keys as they
//! were ([`FromFiles`]); a symmetric key is never taken.

use std::path::Path;
use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

use crate::Rejection;
use crate::options::{IssuerOptions, KeySource};
use crate::remote::Remote;
use crate::{bad, short, unknown};
use hansard_tls::files::{self, FromFiles};

/// Most keys in a key set.
const MAX_KEYS: usize = 64;

/// An issuer's keys cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("identity issuer \"{issuer}\": {reason}")]
pub struct KeysError {
    /// Name of the issuer.
    pub issuer: String,
    /// Where they should be, and what is wrong with it.
    pub reason: String,
}

/// An issuer and its keys.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) options: IssuerOptions,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(FromFiles<Vec<Arc<Key>>>),
    Remote(Remote),
}

/// A public key.
pub(crate) struct Key {
    id: Option<String>,
    /// The only algorithm it is for, where the key set says so.
    algorithm: Option<Algorithm>,
    pub(crate) key: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Issuer {
    pub(crate) fn open(options: &IssuerOptions) -> Result<Issuer, KeysError> {
        let source = match &options.keys {
            KeySource::File(file) => {
                let path = file.clone();
                let name = format!("key set of issuer \"{}\"", options.name);
                FromFiles::open(name, vec![file.clone()], move || read(&path)).map(Source::File)
            }
            KeySource::Remote(remote) => Remote::open(&options.name, &options.issuer, remote).map(Source::Remote),
        };
        let source =
            source.map_err(|reason| KeysError { issuer: options.name.clone(), reason: at(options, &reason) })?;
        Ok(Issuer { options: options.clone(), source })
    }

    pub(crate) fn remote(&self) -> Option<&Remote> {
        match &self.source {
            Source::File(_) => None,
            Source::Remote(remote) => Some(remote),
        }
    }

    /// Whether one of its keys that fit a token's header is genuine. An issuer that may have new ones is asked.
    pub(crate) async fn has_key(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        genuine: impl Fn(&Arc<Key>) -> bool,
    ) -> Result<bool, Rejection> {
        let is_one_genuine = || self.fitting(id, algorithm).iter().any(&genuine);
        if is_one_genuine() {
            return Ok(true);
        }
        // The issuer may have changed its keys, also without another name for them.
        if let Source::Remote(remote) = &self.source {
            let is_new = remote.refreshed().await;
            if is_one_genuine() {
                return Ok(true);
            }
            if !is_new {
                let name = &self.options.name;
                return Err(unknown(format!("the keys of issuer \"{name}\" are not known at present"))
                    .hint("Try again later; what hinders is told by /readyz and in Hansard's log."));
            }
        }
        if self.fitting(id, algorithm).is_empty() {
            let name = &self.options.name;
            let which = match id {
                Some(id) => format!("issuer \"{name}\" has no key \"{}\" for this algorithm", short(id)),
                None => format!("issuer \"{name}\" has no key for this algorithm"),
            };
            return Err(bad(which)
                .recorded_as("the token's issuer has no such key")
                .hint("Get a new token; if it stays so, the issuer's key set lacks the key."));
        }
        Ok(false)
    }

    fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<Arc<Key>> {
        let keys = match &self.source {
            Source::File(keys) => keys.get(),
            Source::Remote(remote) => remote.keys().unwrap_or_default(),
        };
        let fits = |key: &&Arc<Key>| {
            key.key.family() == algorithm.family()
                && key.algorithm.is_none_or(|only| only == algorithm)
                && id.is_none_or(|id| key.id.as_deref() == Some(id))
        };
        keys.iter().filter(fits).cloned().collect()
    }
}

/// With the file that it is about.
fn at(options: &IssuerOptions, reason: &str) -> String {
    match &options.keys {
        KeySource::File(file) => format!("the key set {} cannot be used: {reason}", file.display()),
        KeySource::Remote(_) => reason.to_owned(),
    }
}

/// How many of an issuer's keys can check signatures.
pub(crate) async fn count(options: &IssuerOptions) -> Result<usize, String> {
    match &options.keys {
        KeySource::File(file) => read(file).map(|keys| keys.len()),
        KeySource::Remote(remote) => {
            let (keys, _) = Remote::open(&options.name, &options.issuer, remote)?.fetch().await?;
            Ok(keys.len())
        }
    }
}

fn read(path: &Path) -> Result<Vec<Arc<Key>>, String> {
    parse(&files::read(path)?)
}

/// Takes the keys that can check signatures; of the rest it is silent, as RFC 7517, section 5, asks.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Arc<Key>>, String> {
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
    let may_verify = |may: &Vec<KeyOperations>| may.contains(&KeyOperations::Verify);
    if jwk.common.key_operations.as_ref().is_some_and(|may| !may_verify(may)) {
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
