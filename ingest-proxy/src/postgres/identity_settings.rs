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

/// Bytes of a digest that stands at the end of a name.
const DIGEST: usize = 8;

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

    /// The pattern's texts and, in the places of its words, what they stand for.
    fn fill(&self, pattern: &NamePattern) -> Vec<(String, bool)> {
        let piece = |part: &NamePart| {
            let word = match part {
                NamePart::Text(text) => return (text.clone(), false),
                NamePart::Word(NameWord::Job) => self.principal.job.clone(),
                NamePart::Word(NameWord::Subject) => self.principal.subject.clone(),
                NamePart::Word(NameWord::Issuer) => self.principal.issuer.clone(),
                NamePart::Word(NameWord::Session) => self.session.clone(),
                NamePart::Word(NameWord::ApplicationName) => {
                    self.settings.get("application_name").unwrap_or_default().to_owned()
                }
            };
            (word, true)
        };
        pattern.0.iter().map(piece).collect()
    }
}

/// A name as PostgreSQL keeps it whole. Where it would not, or other words could give the same, its beginning and a digest of
/// its pieces.
fn application_name(pieces: &[(String, bool)]) -> String {
    let name: String = pieces.iter().map(|(piece, _)| piece.as_str()).collect();
    let is_kept = |byte: u8| (0x20..0x7f).contains(&byte);
    // A word that holds what ends it could end elsewhere.
    let could_end_elsewhere = pieces.windows(2).any(|pair| match pair {
        [(word, true), (behind, false)] => format!("{word}{behind}").find(behind.as_str()) != Some(word.len()),
        [(_, true), (_, true)] => true,
        _ => false,
    });
    let looks_like_a_digest = name.rsplit_once('~').is_some_and(|(_, end)| end.len() == 2 * DIGEST);
    let fits = name.len() <= LONGEST_APPLICATION_NAME && name.bytes().all(is_kept);
    if fits && !could_end_elsewhere && !looks_like_a_digest {
        return name;
    }
    let digest = digest::digest(&digest::SHA256, json!(pieces).to_string().as_bytes());
    let digest = hex::encode(&digest.as_ref()[..DIGEST]);
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
        let of = |job: &str| application_name(&[("hansard:".to_owned(), false), (job.to_owned(), true)]);
        assert_eq!(of("nightly"), "hansard:nightly");
        let long = "x".repeat(80);
        let (one, two) = (of(&format!("{long}1")), of(&format!("{long}2")));
        assert_ne!(one, two);
        assert!(one.len() == LONGEST_APPLICATION_NAME && one.starts_with("hansard:xxx"), "{one}");
        let (one, two) = (of("größe"), of("grüße"));
        assert_ne!(one, two);
        assert!(one.starts_with("hansard:gr??") && one.is_ascii(), "{one}");
        // What another one's digest makes of it is no name of one's own.
        let taken = of(&long);
        assert_ne!(of(taken.strip_prefix("hansard:").unwrap()), taken);
        let two_words = |one: &str, two: &str| {
            application_name(&[(one.to_owned(), true), (":".to_owned(), false), (two.to_owned(), true)])
        };
        assert_eq!(two_words("a", "b"), "a:b");
        assert_ne!(two_words("a", "b:c"), two_words("a:b", "c"));
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
