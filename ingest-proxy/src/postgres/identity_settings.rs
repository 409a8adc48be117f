//! What the database is told of a job, in the start-up packet of its session: so that rules, triggers, row-level security and
//! the server's log can go by who is there.
//!
//! A session's settings are its own to change. So what decisions may go by is signed: setting `hansard.signed` is
//! `PAYLOAD.MAC`, the claims as JSON in Base64 and HMAC-SHA-256 (RFC 2104) over that text in hex, which functions at the database
//! check (`docs/row-level-security.md`).
//!
//! Invariant: of names that differ, `application_name` differs, although PostgreSQL keeps 63 bytes of it, all of them ASCII.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hansard_identity::Principal;
use hansard_tls::files::{self, FromFiles};
use ring::{digest, hmac};
use serde_json::{Value, json};

use super::parameters::Settings;
use crate::errors::{Error, Kind, Refusal};
use crate::options::{NamePart, NamePattern, NameWord, TargetOptions};

/// What PostgreSQL keeps of `application_name` (`NAMEDATALEN` without its zero).
const LONGEST_APPLICATION_NAME: usize = 63;

/// Most bytes of the groups as JSON: a start-up packet holds 10,000.
const LONGEST_GROUPS: usize = 4096;

/// Bytes of a key.
const KEY: std::ops::RangeInclusive<usize> = 32..=64;

/// What a target's sessions are signed with.
#[derive(Debug)]
pub(crate) struct SigningKey(Option<FromFiles<hmac::Key>>);

impl SigningKey {
    pub(crate) fn open(target: &TargetOptions) -> Result<SigningKey, Error> {
        let Some(file) = target.identity_settings.key_file.clone() else { return Ok(SigningKey(None)) };
        let (name, path) = (format!("identity_key_file of target \"{}\"", target.name), file.clone());
        FromFiles::open(name, vec![file], move || read(&path))
            .map(|key| SigningKey(Some(key)))
            .map_err(|reason| Error::Credentials { target: target.name.clone(), reason })
    }

    fn sign(&self, payload: &Value) -> Option<String> {
        let payload = STANDARD.encode(payload.to_string());
        let mac = hmac::sign(&self.0.as_ref()?.get(), payload.as_bytes());
        Some(format!("{payload}.{}", hex::encode(mac)))
    }
}

fn read(file: &Path) -> Result<hmac::Key, String> {
    let wrong = |reason: &str| format!("identity_key_file {}: {reason}", file.display());
    let text = files::read(file).map_err(|reason| wrong(&reason))?;
    let key = hex::decode(text.trim_ascii()).ok();
    let key = key.filter(|key| KEY.contains(&key.len()));
    let key =
        key.ok_or_else(|| wrong("holds no key: 64 to 128 hexadecimal digits, as `openssl rand -hex 32` prints them"))?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
}

/// The session that is to begin.
pub(crate) struct Beginning<'a> {
    pub(crate) target: &'a TargetOptions,
    pub(crate) key: &'a SigningKey,
    pub(crate) principal: &'a Principal,
    pub(crate) session: String,
    /// What the job asked for.
    pub(crate) settings: &'a Settings,
}

impl Beginning<'_> {
    /// The settings that go into the start-up packet behind the job's own.
    pub(crate) fn parameters(&self) -> Result<Vec<(&'static str, String)>, Refusal> {
        let (options, principal) = (&self.target.identity_settings, self.principal);
        let mut parameters = Vec::new();
        if let Some(pattern) = &options.application_name {
            parameters.push(("application_name", application_name(&self.fill(pattern))));
        }
        if !options.settings && options.key_file.is_none() {
            return Ok(parameters);
        }
        let groups = json!(principal.groups).to_string();
        if groups.len() > LONGEST_GROUPS {
            let message = format!("the job's groups take {} bytes, more than the database can be told", groups.len());
            return Err(Refusal::new(Kind::Identity, message).hint(format!(
                "Let the issuer give fewer: {LONGEST_GROUPS} bytes as JSON can be told (identity_settings of the target)."
            )));
        }
        let acting_for = if principal.actors.is_empty() { "" } else { &principal.subject };
        if options.settings {
            let settings = [
                ("hansard.job", principal.job.as_str()),
                ("hansard.subject", &principal.subject),
                ("hansard.issuer", &principal.issuer),
                ("hansard.groups", &groups),
                ("hansard.session", &self.session),
                ("hansard.purpose", &self.settings.own.purpose),
                ("hansard.acting_for", acting_for),
            ];
            parameters.extend(settings.map(|(name, value)| (name, value.to_owned())));
        }
        let payload = json!({
            "job": principal.job, "subject": principal.subject, "issuer": principal.issuer, "groups": principal.groups,
            "session": self.session, "target": self.target.name, "purpose": self.settings.own.purpose,
            "acting_for": acting_for, "exp": principal.ends_at / 1_000_000_000,
        });
        parameters.extend(self.key.sign(&payload).map(|signed| ("hansard.signed", signed)));
        Ok(parameters)
    }

    fn fill(&self, pattern: &NamePattern) -> String {
        let piece = |part: &NamePart| match part {
            NamePart::Text(text) => text.clone(),
            NamePart::Word(NameWord::Job) => self.principal.job.clone(),
            NamePart::Word(NameWord::Subject) => self.principal.subject.clone(),
            NamePart::Word(NameWord::Issuer) => self.principal.issuer.clone(),
            NamePart::Word(NameWord::Session) => self.session.clone(),
            NamePart::Word(NameWord::ApplicationName) => {
                self.settings.get("application_name").unwrap_or_default().to_owned()
            }
        };
        pattern.0.iter().map(piece).collect()
    }
}

/// A name as PostgreSQL keeps it whole: where it would not, its beginning and a digest of all of it.
fn application_name(name: &str) -> String {
    let is_kept = |byte: u8| (0x20..0x7f).contains(&byte);
    if name.len() <= LONGEST_APPLICATION_NAME && name.bytes().all(is_kept) {
        return name.to_owned();
    }
    let digest = hex::encode(&digest::digest(&digest::SHA256, name.as_bytes()).as_ref()[..8]);
    let room = LONGEST_APPLICATION_NAME - digest.len() - 1;
    let beginning: String =
        name.bytes().take(room).map(|byte| if is_kept(byte) { char::from(byte) } else { '?' }).collect();
    format!("{beginning}~{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_stay_apart() {
        assert_eq!(application_name("hansard:nightly"), "hansard:nightly");
        let long = format!("hansard:{}", "x".repeat(80));
        let (one, two) = (application_name(&format!("{long}1")), application_name(&format!("{long}2")));
        assert_ne!(one, two);
        assert!(one.len() == LONGEST_APPLICATION_NAME && one.starts_with("hansard:xxx"), "{one}");
        let (one, two) = (application_name("größe"), application_name("grüße"));
        assert_ne!(one, two);
        assert!(one.starts_with("gr??") && one.is_ascii(), "{one}");
    }

    #[test]
    fn a_key_is_read_or_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for (text, is_key) in [
            ("00ff".repeat(16), true),
            (format!("{}\n", "aB".repeat(32)), true),
            ("ab".repeat(31), false),
            ("ab".repeat(65), false),
            ("xy".repeat(32), false),
            (format!("{}a", "ab".repeat(32)), false),
            (String::new(), false),
        ] {
            std::fs::write(&file, &text).unwrap();
            assert_eq!(read(&file).is_ok(), is_key, "{text}");
        }
    }
}
