//! Who somebody is, by a token of an issuer that is believed.
//!
//! Invariants: only a signature by a key of the issuer that the token names, with an asymmetric algorithm of that
//! key, is believed; issuer, audience and times are checked after it; a token is neither kept nor repeated in any
//! message. Source: RFC 7519, RFC 8725.

#![warn(missing_docs)]

mod claims;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod https;
mod job;
mod keys;
pub mod leases;
mod metrics;
pub mod names;
mod options;
mod rejection;
mod remote;
pub mod scram;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use claims::{groups, is_as_required, seconds, text};
use keys::Issuer;
use names::{MAX_NAME, bounded};

pub use keys::KeysError;
pub use metrics::describe as describe_metrics;
pub use options::{
    IdentityOptions, IssuerOptions, JobName, KeySource, MAX_TOKEN, RemoteKeys, RequiredClaim, Template, is_like,
};
pub use rejection::{Rejection, RejectionKind, Vouched};

/// A job that has shown a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Name of the issuer in the configuration.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// As the issuer's options name it.
    pub job: String,
    /// By the issuer's claim for them.
    pub groups: Vec<String>,
    /// Who acts for the subject (`act`): whoever uses the token first, then those who acted before.
    pub actors: Vec<Actor>,
    /// `jti`; empty where there is none.
    pub token_id: String,
    /// `exp`, UTC nanoseconds; 0 where it is not known.
    pub token_expires_at: u64,
    /// From here on no statement is taken: `exp` and the leeway.
    pub ends_at: u64,
}

/// Somebody who acts for a token's subject (RFC 8693, section 4.1).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Actor {
    /// Its `sub`.
    pub subject: String,
    /// Its `iss`; empty where the token does not say it.
    pub issuer: String,
}

/// How many of an issuer's keys can check signatures; why none can.
pub async fn count_keys(issuer: &IssuerOptions) -> Result<usize, String> {
    keys::count(issuer).await
}

/// The issuers and their keys.
#[derive(Debug)]
pub struct Identity {
    issuers: Vec<Issuer>,
    leeway: u64,
}

impl Identity {
    /// Reads the keys of the issuers that have them in files; of the others, [`Identity::keep`] does.
    pub fn open(options: &IdentityOptions) -> Result<Identity, KeysError> {
        let issuers = options.issuers.iter().map(Issuer::open).collect::<Result<_, _>>()?;
        Ok(Identity { issuers, leeway: options.leeway.as_secs() })
    }

    /// Keeps the keys of issuers up to date that are asked for them; ends at once where there are none.
    pub async fn keep(&self) {
        let remotes = self.issuers.iter().filter_map(Issuer::remote);
        futures::future::join_all(remotes.map(remote::Remote::keep)).await;
    }

    /// Why the keys of issuers cannot be had at present, in one line for each.
    pub fn troubles(&self) -> Vec<String> {
        self.issuers.iter().filter_map(|issuer| issuer.remote()?.trouble()).collect()
    }

    /// Whether an issuer has that name in the configuration.
    pub fn has_issuer(&self, name: &str) -> bool {
        self.issuers.iter().any(|issuer| issuer.options.name == name)
    }

    /// Where a client that has no token learns how to get one: of the one issuer, where that has such a document. Of several
    /// it cannot be told which is meant.
    pub fn discovery_address(&self) -> Option<String> {
        let [issuer] = &self.issuers[..] else { return None };
        match &issuer.options.keys {
            KeySource::Remote(remote) if remote.url.is_none() => Some(remote.first_address(&issuer.options.issuer)),
            _ => None,
        }
    }

    /// Checks a token at `now` (UTC nanoseconds), which came over a connection on which a certificate of this SHA-256 was
    /// shown.
    pub async fn verify(&self, token: &[u8], certificate: Option<&[u8]>, now: u64) -> Result<Principal, Rejection> {
        let parts = Parts::read(token)?;
        let issuer = self.issuer(&parts.claims)?;
        let key_id = parts.header.get("kid").and_then(Value::as_str);
        if parts.header.contains_key("crit") {
            return Err(bad("the token asks for extensions (crit) that Hansard does not know"));
        }
        let genuine = |key: &Arc<keys::Key>| {
            jsonwebtoken::crypto::verify(parts.signature, parts.signed, &key.key, parts.algorithm).unwrap_or(false)
        };
        if !issuer.has_key(key_id, parts.algorithm, genuine).await? {
            let name = &issuer.options.name;
            return Err(bad(format!("the token's signature is not one of issuer \"{name}\""))
                .hint("Get a new token; if it stays so, the issuer's keys may have changed."));
        }
        self.principal(issuer, &parts.claims, certificate, now / 1_000_000_000).map_err(|rejection| {
            let options = &issuer.options;
            let subject = bounded(text(&parts.claims, "sub").unwrap_or_default(), MAX_NAME);
            let job = bounded(&job::full_name(&parts.claims, &options.job).unwrap_or_default(), MAX_NAME);
            rejection.vouched(Vouched { issuer: options.name.clone(), subject, job })
        })
    }

    fn issuer(&self, claims: &Map<String, Value>) -> Result<&Issuer, Rejection> {
        let Some(name) = claims.get("iss").and_then(Value::as_str) else {
            return Err(bad("the token names no issuer (iss)"));
        };
        self.issuers.iter().find(|issuer| issuer.options.issuer == name).ok_or_else(|| {
            bad(format!("the token's issuer \"{}\" is not known here", short(name)))
                .recorded_as("the token's issuer is not known here")
                .hint("Use a token of an issuer that this Hansard is configured for ([[identity.issuers]]).")
        })
    }

    fn principal(
        &self,
        issuer: &Issuer,
        claims: &Map<String, Value>,
        certificate: Option<&[u8]>,
        now: u64,
    ) -> Result<Principal, Rejection> {
        let options = &issuer.options;
        if !claims::has_audience(claims, &options.audience) {
            return Err(bad(format!("the token is meant for another audience than \"{}\"", options.audience))
                .hint(format!("Ask the issuer for a token with the audience (aud) \"{}\".", options.audience)));
        }
        let Some(expires) = seconds(claims, "exp")? else {
            return Err(bad("the token does not say when it expires (exp)"));
        };
        if now >= expires.saturating_add(self.leeway) {
            return Err(bad(format!("the token expired at {}", in_words(expires))).hint("Get a new token."));
        }
        if let Some(begins) = seconds(claims, "nbf")?
            && begins > now.saturating_add(self.leeway)
        {
            return Err(bad(format!("the token is not valid before {}", in_words(begins)))
                .hint("Wait, or compare the clocks of the issuer and of this host."));
        }
        claims::check_binding(claims, certificate)?;
        let Some(subject) = text(claims, "sub").filter(|subject| !subject.is_empty()) else {
            return Err(unknown("the token has no subject (sub)"));
        };
        if subject.len() > MAX_NAME {
            return Err(too_long("claim \"sub\"", subject));
        }
        if subject.contains('\0') {
            return Err(with_zero("sub"));
        }
        if let Some(required) = options.required_claims.iter().find(|required| !is_as_required(claims, required)) {
            let claim = &required.claim;
            // Which values are is no business of strangers.
            return Err(unknown(format!("the token's claim \"{claim}\" is not one that is let in")).hint(
                "The operator sees what is let in: required_claims of this issuer, in Hansard's configuration.",
            ));
        }
        let job = job::name(claims, &options.job)?;
        let groups = options.groups_claim.as_deref().map_or(Ok(Vec::new()), |claim| groups(claims, claim))?;
        Ok(Principal {
            issuer: options.name.clone(),
            subject: subject.to_owned(),
            job,
            groups,
            actors: claims::actors(claims)?,
            token_id: bounded(text(claims, "jti").unwrap_or_default(), MAX_NAME),
            token_expires_at: expires.saturating_mul(1_000_000_000),
            ends_at: expires.saturating_add(self.leeway).saturating_mul(1_000_000_000),
        })
    }
}

/// A token, taken apart; nothing of it is believed yet.
struct Parts<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    algorithm: Algorithm,
    signed: &'a [u8],
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn read(token: &'a [u8]) -> Result<Parts<'a>, Rejection> {
        if token.len() > MAX_TOKEN {
            return Err(bad(format!("the token is longer than {MAX_TOKEN} bytes")));
        }
        if token.is_empty() {
            return Err(malformed("it is empty"));
        }
        let token = std::str::from_utf8(token).map_err(|_| malformed("it is not text"))?;
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| malformed("it does not have three parts"))?;
        let (header, claims) = signed.split_once('.').ok_or_else(|| malformed("it does not have three parts"))?;
        let header = object(header).ok_or_else(|| malformed("its header does not read as JSON"))?;
        let claims = object(claims).ok_or_else(|| malformed("its claims do not read as JSON"))?;
        let algorithm = algorithm(header.get("alg").and_then(Value::as_str).unwrap_or("none"))?;
        Ok(Parts { header, claims, algorithm, signed: signed.as_bytes(), signature })
    }
}

/// The algorithms that are accepted: none that is symmetric, since their key would be public.
fn algorithm(name: &str) -> Result<Algorithm, Rejection> {
    Ok(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" => Algorithm::EdDSA,
        other => {
            return Err(bad(format!("the token's algorithm \"{}\" is not accepted", short(other)))
                .recorded_as("the token's algorithm is not accepted")
                .hint("Accepted are RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA."));
        }
    })
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// A bad token.
fn bad(message: impl Into<String>) -> Rejection {
    Rejection::new(RejectionKind::Token, message)
}

fn malformed(reason: &str) -> Rejection {
    bad(format!("the password is not a token: {reason}"))
        .hint("Send a JSON Web Token of the job's issuer as the password, for example in PGPASSWORD.")
}

/// A good token that does not say enough.
fn unknown(message: impl Into<String>) -> Rejection {
    Rejection::new(RejectionKind::Identity, message)
}

/// A name that no database can hold.
fn with_zero(claim: &str) -> Rejection {
    unknown(format!("the token's claim \"{claim}\" has a zero byte in it"))
        .hint("Let the issuer give a name without it.")
}

/// A name that would have to be shortened, and then be another's, too.
fn too_long(what: &str, name: &str) -> Rejection {
    unknown(format!("the token's {what} is {} bytes long", name.len()))
        .detail(format!("It begins with \"{}\".", short(name)))
        .hint(format!("Names of up to {MAX_NAME} bytes are taken: let the issuer give a shorter one."))
}

/// Seconds since 1970-01-01 UTC, as a person reads them.
pub fn in_words(seconds: u64) -> String {
    match i64::try_from(seconds).map(jiff::Timestamp::from_second) {
        Ok(Ok(time)) => time.to_string(),
        _ => "an unknown time".to_owned(),
    }
}

/// Text from a token that nobody has vouched for.
fn short(text: &str) -> String {
    let is_invisible = |character: &char| matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    text.chars().filter(|character| !character.is_control() && !is_invisible(character)).take(100).collect()
}
