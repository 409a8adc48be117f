//! Values out of a token's claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use crate::Rejection;
use crate::names::MAX_NAME;
use crate::options::{RequiredClaim, is_like};
use crate::{Actor, bad, too_long, unknown, with_zero};

/// Most actors that are taken from a token.
const MAX_ACTORS: usize = 8;

/// Most groups that are taken from a token.
const MAX_GROUPS: usize = 256;

/// A claim by its name, or by a JSON pointer that begins with `/`.
fn find<'a>(claims: &'a Map<String, Value>, claim: &str) -> Option<&'a Value> {
    let Some(path) = claim.strip_prefix('/') else { return claims.get(claim) };
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    match rest {
        None => Some(value),
        Some(rest) => value.pointer(&format!("/{rest}")),
    }
}

pub(crate) fn text<'a>(claims: &'a Map<String, Value>, claim: &str) -> Option<&'a str> {
    find(claims, claim)?.as_str()
}

/// An array of strings, or one string with blanks between them. None is left out: rules may go by it.
pub(crate) fn groups(claims: &Map<String, Value>, claim: &str) -> Result<Vec<String>, Rejection> {
    let groups: Vec<&str> = match find(claims, claim) {
        Some(Value::Array(values)) if values.iter().all(Value::is_string) => {
            values.iter().filter_map(Value::as_str).collect()
        }
        Some(Value::String(text)) => text.split_whitespace().collect(),
        None | Some(Value::Null) => Vec::new(),
        Some(_) => {
            return Err(unknown(format!("the token's claim \"{claim}\" is no list of groups, which are texts"))
                .hint("Let the issuer change the claim, or set another groups_claim for this issuer."));
        }
    };
    if groups.len() > MAX_GROUPS {
        return Err(unknown(format!("the token's claim \"{claim}\" names {} groups", groups.len()))
            .hint(format!("At most {MAX_GROUPS} are taken: let the issuer put fewer into the token.")));
    }
    if groups.iter().any(|group| group.contains('\0')) {
        return Err(with_zero(claim));
    }
    match groups.iter().find(|group| group.len() > MAX_NAME) {
        Some(long) => Err(too_long(&format!("claim \"{claim}\" names a group whose name"), long)),
        None => Ok(groups.into_iter().map(str::to_owned).collect()),
    }
}

/// Whoever acts for the subject, the one that uses the token first (RFC 8693, section 4.1). Other claims of theirs are not
/// looked at, as the RFC asks.
pub(crate) fn actors(claims: &Map<String, Value>) -> Result<Vec<Actor>, Rejection> {
    let mut actors = Vec::new();
    let mut next = claims.get("act");
    while let Some(value) = next {
        if actors.len() == MAX_ACTORS {
            return Err(unknown(format!("the token's claim \"act\" names more than {MAX_ACTORS} actors")));
        }
        let actor = value.as_object();
        let subject = actor.and_then(|actor| actor.get("sub")).and_then(Value::as_str).filter(|sub| !sub.is_empty());
        let (Some(actor), Some(subject)) = (actor, subject) else {
            return Err(unknown("the token's claim \"act\" does not say who acts (sub)")
                .hint("Let the issuer give each actor a subject, as RFC 8693 has it."));
        };
        let issuer = match actor.get("iss") {
            None => "",
            Some(issuer) => {
                issuer.as_str().ok_or_else(|| unknown("the token's claim \"act\" has an issuer that is no text"))?
            }
        };
        if [subject, issuer].iter().any(|name| name.contains('\0')) {
            return Err(with_zero("act"));
        }
        if let Some(long) = [subject, issuer].into_iter().find(|name| name.len() > MAX_NAME) {
            return Err(too_long("claim \"act\" names somebody whose name", long));
        }
        actors.push(Actor { subject: subject.to_owned(), issuer: issuer.to_owned() });
        next = actor.get("act");
    }
    Ok(actors)
}

/// A NumericDate (RFC 7519, section 2), without its fraction.
pub(crate) fn seconds(claims: &Map<String, Value>, claim: &str) -> Result<Option<u64>, Rejection> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let whole = value.as_u64().or_else(|| {
        // An f64 holds every second of the next hundred million years; what does not fit an integer is no time.
        let text = value.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)?.trunc().to_string();
        text.parse().ok()
    });
    whole.map(Some).ok_or_else(|| bad(format!("the token's claim \"{claim}\" is not a time")))
}

/// Whether a claim is as it has to be: one of its values, where it is a list.
pub(crate) fn is_as_required(claims: &Map<String, Value>, required: &RequiredClaim) -> bool {
    let fits = |value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return false,
        };
        required.values.iter().any(|pattern| is_like(&text, pattern))
    };
    match find(claims, &required.claim) {
        Some(Value::Array(values)) => values.iter().any(fits),
        Some(value) => fits(value),
        None => false,
    }
}

/// A token that is bound to a certificate (RFC 8705, section 3.1) is good on a connection on which that was shown, and
/// nowhere else. Whatever else a token is bound to (RFC 7800) cannot be seen on a connection: such a token is good nowhere.
pub(crate) fn check_binding(claims: &Map<String, Value>, certificate: Option<&[u8]>) -> Result<(), Rejection> {
    let Some(bound) = claims.get("cnf") else { return Ok(()) };
    let print = bound.as_object().filter(|ways| ways.len() == 1).and_then(|ways| ways.get("x5t#S256"));
    let Some(print) = print.and_then(Value::as_str).and_then(|print| URL_SAFE_NO_PAD.decode(print).ok()) else {
        return Err(bad("the token is bound to a key in a way that cannot be checked here (cnf)")
            .hint("Ask the issuer for a token without cnf, or with x5t#S256 of the job's TLS certificate alone."));
    };
    match certificate {
        Some(shown) if bool::from(shown.ct_eq(&print)) => Ok(()),
        Some(_) => Err(bad("the token is bound to another TLS certificate than this connection shows")
            .hint("Connect with the certificate that the token was issued to.")),
        None => Err(bad("the token is bound to a TLS certificate, and this connection shows none")
            .hint("Connect with TLS and the certificate that the token was issued to (sslcert and sslkey); the target needs a client_ca_file.")),
    }
}

/// `aud` is one string or an array of them.
pub(crate) fn has_audience(claims: &Map<String, Value>, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(only)) => only == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}
