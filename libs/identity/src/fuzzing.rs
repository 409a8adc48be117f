//! Tokens: whatever is sent as one, nobody is believed without a signature of the issuer's, and nothing that was not signed.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt as _;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::Rejection;
use crate::options::{IdentityOptions, IssuerOptions, JobName, KeySource};
use crate::{Identity, Principal};

const ISSUER: &str = "https://ci.example";
const AUDIENCE: &str = "hansard";
const LEEWAY: u64 = 5;

/// Somebody's token.
#[derive(Debug)]
pub enum TokenBytes<'a> {
    /// As it came.
    Raw(&'a [u8]),
    /// Header and claims, signed with the issuer's key or with another one.
    Signed {
        /// JSON, or none.
        header: &'a [u8],
        /// JSON, or none.
        claims: &'a [u8],
        /// With the issuer's key.
        genuine: bool,
        /// These bytes of the signed text are changed afterwards.
        changed: Option<(usize, u8)>,
    },
}

struct Fixture {
    identity: Identity,
    issuer: Ed25519KeyPair,
    stranger: Ed25519KeyPair,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let [issuer, stranger] = [1, 2].map(|seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes"));
    let x = URL_SAFE_NO_PAD.encode(issuer.public_key().as_ref());
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "ours", "use": "sig" }] });
    let file = std::env::temp_dir().join(format!("hansard-fuzzing-{}.json", std::process::id()));
    std::fs::write(&file, keys.to_string()).expect("the key set can be written");
    let options = IdentityOptions {
        issuers: vec![IssuerOptions {
            name: "ci".to_owned(),
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            keys: KeySource::File(file.clone()),
            job: JobName::Claim("/job/name".to_owned()),
            groups_claim: Some("groups".to_owned()),
            required_claims: Vec::new(),
        }],
        leeway: std::time::Duration::from_secs(LEEWAY),
    };
    let identity = Identity::open(&options).expect("the key set can be read");
    // What was read stays.
    std::fs::remove_file(file).expect("it was written");
    Fixture { identity, issuer, stranger }
});

/// One token at one moment, in seconds.
pub fn tokens(token: &TokenBytes<'_>, now: u64) {
    let fixture = &*FIXTURE;
    let now = now % (1 << 33);
    // Keys from a file are never waited for.
    let verify = |token: &[u8]| {
        fixture.identity.verify(token, None, now * 1_000_000_000).now_or_never().expect("a file is not waited for")
    };
    let (header, claims, genuine, changed) = match *token {
        TokenBytes::Raw(bytes) => return refused(verify(bytes), bytes),
        TokenBytes::Signed { header, claims, genuine, changed } => (header, claims, genuine, changed),
    };
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = if genuine { &fixture.issuer } else { &fixture.stranger };
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).as_ref());
    let mut token = format!("{signed}.{signature}").into_bytes();
    if let Some((place, byte)) = changed {
        let place = place % signed.len();
        if std::mem::replace(&mut token[place], byte) != byte {
            return refused(verify(&token), &token);
        }
    }
    match verify(&token) {
        Ok(principal) => {
            assert!(genuine, "the signature is a stranger's");
            believed(&principal, claims, now);
        }
        refusal => refused(refusal, &token),
    }
}

/// It says why, shortly, and not with the token's signature or any control character.
fn refused(result: Result<Principal, Rejection>, token: &[u8]) {
    let refusal = result.expect_err("nobody has signed this");
    assert!(!refusal.message.is_empty() && refusal.message.len() < 1024);
    assert!(!refusal.message.contains(char::is_control));
    let signature = token.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    assert!(signature.len() < 64 || !refusal.message.as_bytes().windows(signature.len()).any(|text| text == signature));
}

/// The claims say it themselves.
fn believed(principal: &Principal, claims: &[u8], now: u64) {
    let claims: Value = serde_json::from_slice(claims).expect("what is believed is JSON");
    assert_eq!(claims["iss"], ISSUER);
    let audience = match &claims["aud"] {
        Value::Array(several) => several.iter().any(|one| one == AUDIENCE),
        one => one == AUDIENCE,
    };
    assert!(audience);
    assert_eq!(claims["sub"], principal.subject.as_str());
    assert_eq!(claims["job"]["name"], principal.job.as_str());
    assert!(!principal.subject.is_empty() && !principal.job.is_empty());
    assert!(principal.groups.len() <= 256);
    let seconds = |claim: &str| claims[claim].as_f64().expect("a time is a number");
    assert!(seconds("exp") + LEEWAY as f64 + 1.0 > now as f64, "it has expired");
    assert!(claims.get("nbf").is_none() || seconds("nbf") < (now + LEEWAY + 1) as f64, "it is not valid yet");
    assert!(principal.ends_at >= principal.token_expires_at && principal.ends_at > now * 1_000_000_000);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(exp: u64) -> String {
        json!({ "iss": ISSUER, "aud": [AUDIENCE], "sub": "robot", "job": { "name": "rerank" }, "exp": exp }).to_string()
    }

    #[test]
    fn the_issuers_own_are_believed() {
        let claims = claims(100);
        let (header, claims) = (&br#"{"alg":"EdDSA"}"#[..], claims.as_bytes());
        let verify = |genuine| tokens(&TokenBytes::Signed { header, claims, genuine, changed: None }, 50);
        verify(true);
        verify(false);
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(FIXTURE.issuer.sign(text.as_bytes()).as_ref());
        assert!(
            FIXTURE
                .identity
                .verify(format!("{text}.{signature}").as_bytes(), None, 50_000_000_000)
                .now_or_never()
                .expect("a file is not waited for")
                .is_ok()
        );
    }

    proptest::proptest! {
        #[test]
        fn nobody_else_is(
            header in r#"\{"alg":"(EdDSA|none|HS256|ES256)"(,"kid":"(ours|x)")?(,"crit":\[\])?\}"#,
            exp in 0u64..200,
            now in 0u64..200,
            genuine: bool,
            changed: Option<(usize, u8)>,
            raw: Vec<u8>,
        ) {
            let claims = claims(exp);
            tokens(&TokenBytes::Signed { header: header.as_bytes(), claims: claims.as_bytes(), genuine, changed }, now);
            tokens(&TokenBytes::Raw(&raw), now);
        }
    }
}
