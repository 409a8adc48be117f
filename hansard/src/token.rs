//! `hansard token`: what an issuer would do, for development. It signs with a private key that lies on this
//! machine; a production issuer's key never does.
//!
//! The token goes to stdout and nowhere else.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hansard_identity::IssuerOptions;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value};

use crate::cli::Token;
use crate::config::{Config, Issuer, duration};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(file: &Path, asked: &Token) -> Result<(), Failure> {
    let config = Config::load(file)?;
    let issuer = issuer(&config, asked.issuer.as_deref())?;
    if asked.new_key {
        make_key(issuer)?;
    }
    match &asked.subject {
        Some(subject) => output::line(&mint(issuer, subject, asked)?),
        None => Ok(()),
    }
}

fn issuer<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a Issuer, Failure> {
    let names = || config.issuers.iter().map(|issuer| issuer.options.name.as_str()).collect::<Vec<_>>().join(", ");
    let file = config.file.display();
    match (name, config.issuers.as_slice()) {
        (_, []) => Err(Failure::usage(format!("{file}: no issuer is configured; add one under [[identity.issuers]]"))),
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::usage(format!("--issuer is needed: {file} has {}", names()))),
        (Some(name), all) => all
            .iter()
            .find(|issuer| issuer.options.name == name)
            .ok_or_else(|| Failure::usage(format!("--issuer {name}: {file} has no such issuer, but {}", names()))),
    }
}

fn private_key_file(issuer: &Issuer) -> Result<&Path, Failure> {
    issuer.private_key_file.as_deref().ok_or_else(|| {
        Failure::usage(format!(
            "issuer {:?} has no private_key_file: its tokens come from {} itself; only a development issuer's are minted here",
            issuer.options.name, issuer.options.issuer
        ))
    })
}

fn jwks_file(issuer: &Issuer) -> Result<&Path, Failure> {
    issuer.jwks_file().ok_or_else(|| {
        let IssuerOptions { name, issuer, .. } = &issuer.options;
        Failure::usage(format!(
            "issuer {name:?} has no jwks_file: its keys are asked for at {issuer}; only a development issuer's tokens are minted here"
        ))
    })
}

fn mint(issuer: &Issuer, subject: &str, asked: &Token) -> Result<String, Failure> {
    let ttl = duration(&asked.ttl)
        .ok_or_else(|| Failure::usage(format!("--ttl {:?} is not a time such as \"15m\" or \"1h\"", asked.ttl)))?;
    let (key, algorithm) = read_key(private_key_file(issuer)?)?;
    let mut header = Header::new(algorithm);
    header.kid = key_id(issuer, &key, algorithm)?;

    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), issuer.options.issuer.clone().into());
    claims.insert("aud".to_owned(), issuer.options.audience.clone().into());
    claims.insert("sub".to_owned(), subject.into());
    claims.insert("iat".to_owned(), now.into());
    claims.insert("nbf".to_owned(), now.into());
    claims.insert("exp".to_owned(), now.saturating_add(ttl.as_secs().max(1)).into());
    claims.insert("jti".to_owned(), uuid::Uuid::now_v7().to_string().into());
    if let Some(claim) = issuer.options.groups_claim.as_deref().filter(|_| !asked.groups.is_empty()) {
        insert(&mut claims, claim, asked.groups.clone().into());
    }
    for claim in &asked.claim {
        let Some((name, value)) = claim.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::usage(format!("--claim {claim:?} is not KEY=VALUE")));
        };
        claims.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)));
    }
    jsonwebtoken::encode(&header, &claims, &key).map_err(|error| {
        Failure::usage(format!("issuer {:?}: cannot sign with its private key: {error}", issuer.options.name))
    })
}

/// Inserts a claim by its name, or by a JSON pointer (RFC 6901) that begins with `/`.
fn insert(claims: &mut Map<String, Value>, claim: &str, value: Value) {
    let Some(path) = claim.strip_prefix('/') else {
        claims.insert(claim.to_owned(), value);
        return;
    };
    let (outer, inner) = path.split_once('/').map_or((path, None), |(outer, inner)| (outer, Some(inner)));
    let outer = outer.replace("~1", "/").replace("~0", "~");
    match inner {
        None => _ = claims.insert(outer, value),
        Some(inner) => {
            let object = claims.entry(outer).or_insert_with(|| Map::new().into());
            if let Value::Object(object) = object {
                insert(object, &format!("/{inner}"), value);
            }
        }
    }
}

fn read_key(file: &Path) -> Result<(EncodingKey, Algorithm), Failure> {
    let pem = std::fs::read(file).map_err(|error| {
        Failure::usage(format!("private_key_file {}: {error}; `hansard token --new-key` makes one", file.display()))
    })?;
    let text = String::from_utf8_lossy(&pem);
    if !text.contains("PRIVATE KEY-----") && (text.contains("PUBLIC KEY-----") || text.contains("CERTIFICATE-----")) {
        return Err(Failure::usage(format!(
            "private_key_file {file}: is public, and nothing can be signed with it; name the private key's file, or move \
             this one aside (mv {file} {file}.old) and make a pair with `hansard token --new-key`",
            file = file.display()
        )));
    }
    if let Ok(key) = EncodingKey::from_ed_pem(&pem) {
        return Ok((key, Algorithm::EdDSA));
    }
    if let Ok(key) = EncodingKey::from_ec_pem(&pem) {
        return Ok((key, Algorithm::ES256));
    }
    if let Ok(key) = EncodingKey::from_rsa_pem(&pem) {
        return Ok((key, Algorithm::RS256));
    }
    Err(Failure::usage(format!(
        "private_key_file {file}: is not an Ed25519, P-256 or RSA key in PEM (PKCS#8); name such a file, or move this one \
         aside (mv {file} {file}.old) and make a pair with `hansard token --new-key`",
        file = file.display()
    )))
}

/// Whether tokens can be made with the issuer's private key that its public ones check.
pub(crate) fn check(issuer: &Issuer) -> Result<String, Failure> {
    let file = private_key_file(issuer)?;
    let (key, algorithm) = read_key(file)?;
    key_id(issuer, &key, algorithm)?;
    Ok(format!("{} signs what {} checks", file.display(), jwks_file(issuer)?.display()))
}

/// The key's id in the issuer's key set: a token signed with a key that is not there would be refused.
fn key_id(issuer: &Issuer, key: &EncodingKey, algorithm: Algorithm) -> Result<Option<String>, Failure> {
    let path = jwks_file(issuer)?;
    let file = path.display();
    let text = std::fs::read(path).map_err(|error| Failure::usage(format!("jwks_file {file}: {error}")))?;
    let set: JwkSet = serde_json::from_slice(&text)
        .map_err(|error| Failure::usage(format!("jwks_file {file}: is not a key set: {error}")))?;
    let unreadable =
        |error| Failure::usage(format!("issuer {:?}: its private key cannot be used: {error}", issuer.options.name));
    let print = |key: &Jwk| key.thumbprint(ThumbprintHash::SHA256);
    let ours = Jwk::from_encoding_key(key, algorithm).and_then(|public| print(&public)).map_err(unreadable)?;
    match set.keys.iter().find(|public| print(public).is_ok_and(|print| print == ours)) {
        Some(public) => Ok(public.common.key_id.clone()),
        None => Err(Failure::usage(format!(
            "jwks_file {file}: does not hold the public half of the private key; move both aside and make a new pair with `hansard token --new-key`"
        ))),
    }
}

/// Ed25519 in PKCS#8 (RFC 8410): this, then the 32 bytes.
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

fn make_key(issuer: &Issuer) -> Result<(), Failure> {
    make_pair(private_key_file(issuer)?, jwks_file(issuer)?)
}

/// Makes a private key and a key set with its public half, in files that must not exist yet.
pub(crate) fn make_pair(private: &Path, public: &Path) -> Result<(), Failure> {
    for file in [private, public] {
        if file.exists() {
            return Err(Failure::usage(format!(
                "--new-key: {} exists already, and is not overwritten",
                file.display()
            )));
        }
    }
    let mut der = PKCS8_ED25519.to_vec();
    der.extend(rand::random::<[u8; 32]>());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&der));
    let key = EncodingKey::from_ed_pem(pem.as_bytes())
        .and_then(|key| Jwk::from_encoding_key(&key, Algorithm::EdDSA))
        .and_then(|mut key| {
            key.common.key_id = Some(key.thumbprint(ThumbprintHash::SHA256)?);
            key.common.public_key_use = Some(PublicKeyUse::Signature);
            Ok(key)
        })
        .map_err(|error| Failure::usage(format!("--new-key: {error}")))?;
    let set = serde_json::to_string_pretty(&JwkSet { keys: vec![key] })
        .map_err(|error| Failure::usage(format!("--new-key: {error}")))?;
    write_new(private, pem.as_bytes(), 0o600)?;
    write_new(public, set.as_bytes(), 0o644)
}

/// Writes a file that must not exist yet.
pub(crate) fn write_new(file: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?.write_all(bytes)
    };
    write().map_err(|error| Failure::usage(format!("cannot write {}: {error}", file.display())))
}
