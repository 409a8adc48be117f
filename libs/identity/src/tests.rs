//! Tokens: which are believed, and what the others are answered.

use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt as _;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::options::{IssuerOptions, JobName, KeySource, RemoteKeys, RequiredClaim, Template};

/// 2026-11-22T04:00:00Z.
const NOW: u64 = 1_795_320_000;

fn key(name: &str) -> EncodingKey {
    let pem = std::fs::read(format!("../../ingest-proxy/tests/keys/{name}.pem")).unwrap();
    match name {
        "ed25519" => EncodingKey::from_ed_pem(&pem),
        "rs256" => EncodingKey::from_rsa_pem(&pem),
        _ => EncodingKey::from_ec_pem(&pem),
    }
    .unwrap()
}

fn public(name: &str, algorithm: Algorithm) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(&key(name), algorithm).unwrap();
    jwk.common.key_id = Some(name.to_owned());
    jwk
}

fn key_set() -> Vec<Jwk> {
    vec![public("es256", Algorithm::ES256), public("ed25519", Algorithm::EdDSA), public("rs256", Algorithm::RS256)]
}

struct Fixture {
    identity: Identity,
    file: PathBuf,
    _folder: TempDir,
}

fn fixture(keys: &Value) -> Result<Fixture, KeysError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, keys.to_string()).unwrap();
    let issuer = |name: &str, job_claim: &str| IssuerOptions {
        name: name.to_owned(),
        issuer: format!("https://{name}.example"),
        audience: "hansard".to_owned(),
        keys: KeySource::File(file.clone()),
        job: JobName::Claim(job_claim.to_owned()),
        groups_claim: Some("groups".to_owned()),
        required_claims: Vec::new(),
    };
    let options = IdentityOptions {
        issuers: vec![issuer("ci", "job"), issuer("k8s", "/kubernetes.io/serviceaccount/name")],
        leeway: Duration::from_secs(5),
    };
    Ok(Fixture { identity: Identity::open(&options)?, file: file.clone(), _folder: folder })
}

fn standard() -> Fixture {
    fixture(&json!({ "keys": key_set() })).unwrap()
}

fn claims() -> Value {
    json!({ "iss": "https://ci.example", "aud": "hansard", "sub": "robot", "job": "rerank", "exp": NOW + 60 })
}

fn sign(claims: &Value, algorithm: Algorithm, kid: Option<&str>, with: &str) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, &key(with)).unwrap()
}

fn check(identity: &Identity, token: &str) -> Result<Principal, Rejection> {
    identity.verify(token.as_bytes(), None, NOW * 1_000_000_000).now_or_never().expect("a file is not waited for")
}

#[test]
fn names_of_any_length_are_refused_and_never_shortened() {
    let long = "x".repeat(3_000);
    let (message, kind) = told("sub", json!(long));
    assert_eq!((message.as_str(), kind), ("the token's claim \"sub\" is 3000 bytes long", RejectionKind::Identity));
    let (message, _) = told("groups", json!(["a", long]));
    assert!(message.contains("names a group whose name is 3000 bytes long"), "{message}");
    let many: Vec<String> = (0..257).map(|group| group.to_string()).collect();
    assert!(told("groups", json!(many)).0.contains("names 257 groups"));

    let fixture = standard();
    let mut claims = claims();
    claims["sub"] = json!(long);
    let refusal = check(&fixture.identity, &sign(&claims, Algorithm::ES256, Some("es256"), "es256")).unwrap_err();
    let recorded = refusal.vouched.unwrap().subject;
    assert!(recorded.len() < 600 && recorded.ends_with("… (3000 bytes)"), "{recorded}");
    // As long as may be, and an id that means nobody.
    claims["sub"] = json!(&long[..512]);
    claims["jti"] = json!(long);
    let principal = check(&fixture.identity, &sign(&claims, Algorithm::ES256, Some("es256"), "es256")).unwrap();
    assert_eq!(principal.subject.len(), 512);
    assert!(principal.token_id.ends_with("… (3000 bytes)"));
}

/// Changes one claim (null takes it away) and returns what a token with it is told.
fn told(claim: &str, value: Value) -> (String, RejectionKind) {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(claim);
    } else {
        claims[claim] = value;
    }
    let refusal = check(&standard().identity, &sign(&claims, Algorithm::ES256, Some("es256"), "es256")).unwrap_err();
    (refusal.message, refusal.kind)
}

#[test]
fn good_tokens_of_every_kind_of_key() {
    let fixture = standard();
    for (name, algorithm) in [("es256", Algorithm::ES256), ("ed25519", Algorithm::EdDSA), ("rs256", Algorithm::RS256)] {
        for kid in [Some(name), None] {
            let principal = check(&fixture.identity, &sign(&claims(), algorithm, kid, name)).unwrap();
            assert_eq!((principal.issuer.as_str(), principal.job.as_str()), ("ci", "rerank"));
            assert_eq!(principal.token_expires_at, (NOW + 60) * 1_000_000_000);
        }
    }
}

#[test]
fn claims_are_found_in_depth_and_groups_in_both_forms() {
    let fixture = standard();
    let mut claims = claims();
    claims["iss"] = json!("https://k8s.example");
    claims["kubernetes.io"] = json!({ "serviceaccount": { "name": "ranker" } });
    claims["groups"] = json!("a b");
    claims["aud"] = json!(["other", "hansard"]);
    let principal = check(&fixture.identity, &sign(&claims, Algorithm::ES256, Some("es256"), "es256")).unwrap();
    assert_eq!((principal.job.as_str(), principal.groups), ("ranker", vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn whose_token_it_was_is_told_where_its_signature_is_good_and_nowhere_else() {
    let fixture = standard();
    let mut expired = claims();
    expired["exp"] = json!(NOW - 5);
    let refusal = |token: &str| check(&fixture.identity, token).unwrap_err().vouched;
    let good = sign(&expired, Algorithm::ES256, Some("es256"), "es256");
    let vouched = refusal(&good).unwrap();
    assert_eq!((&*vouched.issuer, &*vouched.subject, &*vouched.job), ("ci", "robot", "rerank"));
    // The same claims under another's signature, of an unknown issuer, and with a broken signature.
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut forged = claims();
    forged["sub"] = json!("director");
    let other = sign(&forged, Algorithm::ES256, Some("es256"), "es256");
    let (other, _) = other.rsplit_once('.').unwrap();
    assert_eq!(refusal(&format!("{other}.{signature}")), None);
    assert_eq!(refusal(&format!("{signed}.{}", signature.replacen(&signature[..4], "AAAA", 1))), None);
    expired["iss"] = json!("https://evil.example");
    assert_eq!(refusal(&sign(&expired, Algorithm::ES256, Some("es256"), "es256")), None);
}

#[test]
fn bad_claims_are_named() {
    let cases = [
        ("exp", json!(NOW - 5), "the token expired at 2026-11-22T03:59:55Z", RejectionKind::Token),
        ("exp", json!(null), "the token does not say when it expires (exp)", RejectionKind::Token),
        ("exp", json!("tomorrow"), "the token's claim \"exp\" is not a time", RejectionKind::Token),
        ("exp", json!(-1), "the token's claim \"exp\" is not a time", RejectionKind::Token),
        ("nbf", json!(NOW + 6), "the token is not valid before 2026-11-22T04:00:06Z", RejectionKind::Token),
        ("aud", json!("other"), "the token is meant for another audience than \"hansard\"", RejectionKind::Token),
        ("aud", json!(null), "the token is meant for another audience than \"hansard\"", RejectionKind::Token),
        (
            "iss",
            json!("https://evil.example"),
            "the token's issuer \"https://evil.example\" is not known here",
            RejectionKind::Token,
        ),
        ("iss", json!(null), "the token names no issuer (iss)", RejectionKind::Token),
        ("sub", json!(null), "the token has no subject (sub)", RejectionKind::Identity),
        ("job", json!(null), "the token does not name the job: it has no claim \"job\"", RejectionKind::Identity),
        ("job", json!(7), "the token does not name the job: it has no claim \"job\"", RejectionKind::Identity),
    ];
    for (claim, value, message, kind) in cases {
        assert_eq!(told(claim, value), (message.to_owned(), kind));
    }
}

#[test]
fn leeway_is_for_clocks_apart() {
    let fixture = standard();
    for (claim, value) in [("exp", NOW - 4), ("nbf", NOW + 5)] {
        let mut claims = claims();
        claims[claim] = json!(value);
        check(&fixture.identity, &sign(&claims, Algorithm::ES256, Some("es256"), "es256")).unwrap();
    }
}

#[test]
fn forged_tokens_are_refused() {
    let identity = standard().identity;
    let good = sign(&claims(), Algorithm::ES256, Some("es256"), "es256");
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (_, payload) = signed.split_once('.').unwrap();
    let header = |header: Value| URL_SAFE_NO_PAD.encode(header.to_string());

    let none = format!("{}.{payload}.", header(json!({ "alg": "none" })));
    assert_eq!(check(&identity, &none).unwrap_err().message, "the token's algorithm \"none\" is not accepted");
    let none = format!("{}.{payload}.", header(json!({ "alg": "nOnE" })));
    assert!(check(&identity, &none).unwrap_err().message.contains("not accepted"));

    // HS256 with the public key as the secret: the RSA modulus as the verifier of old libraries took it.
    let public = serde_json::to_vec(&public("rs256", Algorithm::RS256)).unwrap();
    let hmac = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(), &EncodingKey::from_secret(&public));
    assert_eq!(
        check(&identity, &hmac.unwrap()).unwrap_err().message,
        "the token's algorithm \"HS256\" is not accepted"
    );

    let stranger = sign(&claims(), Algorithm::ES256, Some("es256"), "stranger");
    assert_eq!(check(&identity, &stranger).unwrap_err().message, "the token's signature is not one of issuer \"ci\"");
    // A key's name from another family of algorithms, a path, a name that is not there.
    for kid in ["rs256", "../../../../dev/null", "nobody"] {
        let message = check(&identity, &sign(&claims(), Algorithm::ES256, Some(kid), "es256")).unwrap_err().message;
        assert!(message.starts_with("issuer \"ci\" has no key"), "{message}");
    }

    let mut other = claims();
    other["job"] = json!("admin");
    let changed = format!("{}.{}.{signature}", header(json!({ "alg": "ES256", "kid": "es256" })), {
        URL_SAFE_NO_PAD.encode(other.to_string())
    });
    assert!(check(&identity, &changed).unwrap_err().message.contains("signature"));
    let critical = format!("{}.{payload}.{signature}", header(json!({ "alg": "ES256", "crit": ["b64"] })));
    assert!(check(&identity, &critical).unwrap_err().message.contains("crit"));
}

#[test]
fn what_is_no_token_is_told_without_repeating_it() {
    let identity = standard().identity;
    let long = "x".repeat(MAX_TOKEN + 1);
    for text in ["", "hunter2", "a.b.c", "..", ".", &long, "eyJ9.e30.x", "e30.e30.\u{fffd}"] {
        let refusal = check(&identity, text).unwrap_err();
        assert_eq!(refusal.kind, RejectionKind::Token);
        assert!(!refusal.message.contains("hunter2"), "{}", refusal.message);
    }
    assert!(
        identity
            .verify(&[0xff, 0xfe], None, NOW)
            .now_or_never()
            .expect("a file is not waited for")
            .unwrap_err()
            .message
            .contains("not text")
    );
}

#[test]
fn a_key_set_that_cannot_be_used_is_refused_with_its_reason() {
    let symmetric = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "es256", "alg": "HS256" });
    for (keys, reason) in [
        (json!({ "keys": [symmetric] }), "it holds no public key for signatures"),
        (json!({ "keys": [] }), "it holds no public key for signatures"),
        (json!([]), "it has no array \"keys\""),
    ] {
        let Err(KeysError { reason: told, issuer }) = fixture(&keys) else { panic!("{keys} was taken") };
        assert!(told.starts_with("the key set /") && told.ends_with(&format!("cannot be used: {reason}")), "{told}");
        assert_eq!(issuer, "ci");
    }
}

#[test]
fn keys_change_with_their_file() {
    let fixture = standard();
    let new = sign(&claims(), Algorithm::ES256, Some("stranger"), "stranger");
    assert!(check(&fixture.identity, &new).is_err());
    let replace =
        |keys: Vec<Jwk>| std::fs::write(&fixture.file, serde_json::to_vec(&JwkSet { keys }).unwrap()).unwrap();
    let until = |good: bool, token: &str| {
        (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            check(&fixture.identity, token).is_ok() == good
        })
    };
    replace(vec![public("stranger", Algorithm::ES256)]);
    assert!(until(true, &new), "the new key is not taken");
    assert!(check(&fixture.identity, &sign(&claims(), Algorithm::ES256, Some("es256"), "es256")).is_err());
    // A broken file leaves what was there.
    std::fs::write(&fixture.file, "{").unwrap();
    std::thread::sleep(Duration::from_millis(2100));
    assert!(check(&fixture.identity, &new).is_ok());
}

/// Whom an issuer with these settings takes a token for that says this; the reason where it is refused.
fn named(set: impl FnOnce(&mut IssuerOptions), said: &Value) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, json!({ "keys": key_set() }).to_string()).unwrap();
    let mut options = IssuerOptions {
        name: "ci".to_owned(),
        issuer: "https://ci.example".to_owned(),
        audience: "hansard".to_owned(),
        keys: KeySource::File(file),
        job: JobName::Claim("sub".to_owned()),
        groups_claim: None,
        required_claims: Vec::new(),
    };
    set(&mut options);
    let identity = Identity::open(&IdentityOptions { issuers: vec![options], leeway: Duration::ZERO }).unwrap();
    let mut claims = claims();
    claims.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    let token = sign(&claims, Algorithm::ES256, Some("es256"), "es256");
    check(&identity, &token).map(|principal| principal.job).map_err(|refusal| refusal.message)
}

#[test]
fn several_claims_name_a_job_and_no_two_tokens_share_a_name() {
    let by_template = |text: &str| {
        let job = JobName::Template(Template::parse(text).unwrap());
        move |options: &mut IssuerOptions| options.job = job
    };
    let of = |repository: &str, workflow: &str| json!({ "repository": repository, "workflow": workflow });
    let name = "{repository}:{workflow}";
    assert_eq!(named(by_template(name), &of("acme/rank", "night: all")), Ok("acme/rank:night: all".to_owned()));
    let told = named(by_template(name), &of("acme/rank:night", "all")).unwrap_err();
    assert!(told.contains("claim \"repository\" holds \":\""), "{told}");
    let told = named(by_template(name), &of("acme/rank", "")).unwrap_err();
    assert!(told.contains("has no claim \"workflow\""), "{told}");
    let told = named(by_template("{/kubernetes.io/namespace}/{sub}"), &json!({ "kubernetes.io": {} })).unwrap_err();
    assert!(told.contains("has no claim \"/kubernetes.io/namespace\""), "{told}");
    let told = named(by_template("{sub}"), &json!({ "sub": "x".repeat(1025) })).unwrap_err();
    assert!(told.contains("template") || told.contains("claim \"sub\""), "{told}");
}

#[test]
fn claims_that_are_required_have_to_be_there_as_they_should() {
    let required = |claim: &str, values: &[&str]| RequiredClaim {
        claim: claim.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let all = [required("owner", &["acme", "acme-*"]), required("/a/b", &["true"]), required("teams", &["db"])];
    let good = json!({ "owner": "acme-labs", "a": { "b": true }, "teams": ["web", "db"] });
    let requires = |options: &mut IssuerOptions| options.required_claims = all.to_vec();
    assert_eq!(named(requires, &good), Ok("robot".to_owned()));
    for (claim, value) in [
        ("owner", json!("acmeX")),
        ("owner", json!("ACME")),
        ("owner", json!({ "acme": "acme" })),
        ("owner", json!(null)),
        ("a", json!({ "b": false })),
        ("a", json!({ "b": "tru" })),
        ("teams", json!(["dba"])),
        ("teams", json!([])),
    ] {
        let mut bad = good.clone();
        bad[claim] = value.clone();
        let requires = |options: &mut IssuerOptions| options.required_claims = all.to_vec();
        let told = named(requires, &bad).unwrap_err();
        assert!(told.contains("is not one that is let in"), "{claim} {value}: {told}");
    }
}

#[test]
fn a_token_bound_to_a_certificate_is_good_with_that_alone() {
    let fixture = standard();
    let (own, other) = ([7; 32], [8; 32]);
    let print = URL_SAFE_NO_PAD.encode(own);
    let verify = |bound: Value, certificate: Option<&[u8]>| {
        let mut claims = claims();
        claims["cnf"] = bound;
        let token = sign(&claims, Algorithm::ES256, Some("es256"), "es256");
        let verified = fixture.identity.verify(token.as_bytes(), certificate, NOW * 1_000_000_000);
        verified.now_or_never().expect("a file is not waited for").map(|_| ()).map_err(|refusal| refusal.message)
    };
    assert_eq!(verify(json!({ "x5t#S256": print }), Some(&own)), Ok(()));
    assert!(verify(json!({ "x5t#S256": print }), Some(&other)).unwrap_err().contains("another TLS certificate"));
    assert!(verify(json!({ "x5t#S256": print }), Some(&own[..31])).unwrap_err().contains("another TLS certificate"));
    assert!(verify(json!({ "x5t#S256": print }), None).unwrap_err().contains("shows none"));
    for unknown in [
        json!({ "jkt": print }),
        json!({ "x5t#S256": print, "jkt": print }),
        json!({ "x5t#S256": 7 }),
        json!({ "x5t#S256": "?" }),
        json!({}),
        json!(null),
        json!("x5t#S256"),
    ] {
        let told = verify(unknown.clone(), Some(&own)).unwrap_err();
        assert!(told.contains("cannot be checked here"), "{unknown}: {told}");
    }
}

#[test]
fn where_to_get_a_token_is_told_where_it_is_known() {
    let issuer = |name: &str, url: Option<&str>| IssuerOptions {
        name: name.to_owned(),
        issuer: format!("https://{name}.example/realm"),
        audience: "hansard".to_owned(),
        keys: KeySource::Remote(RemoteKeys {
            url: url.map(str::to_owned),
            ca_file: None,
            max_age: Duration::from_secs(600),
        }),
        job: JobName::Claim("job".to_owned()),
        groups_claim: None,
        required_claims: Vec::new(),
    };
    let told = |issuers: Vec<IssuerOptions>| {
        Identity::open(&IdentityOptions { issuers, ..IdentityOptions::default() }).unwrap().discovery_address()
    };
    let document = "https://ci.example/realm/.well-known/openid-configuration";
    assert_eq!(told(vec![issuer("ci", None)]).as_deref(), Some(document));
    assert_eq!(told(vec![issuer("ci", Some("https://ci.example/keys"))]), None);
    assert_eq!(told(vec![issuer("ci", None), issuer("k8s", None)]), None, "which is meant is not known");
}

#[test]
fn no_name_has_a_zero_byte() {
    for claim in ["sub", "job", "groups"] {
        let (message, kind) = told(claim, json!("a\u{0}b"));
        assert!(message.contains("zero byte") && kind == RejectionKind::Identity, "{claim}: {message}");
    }
}
