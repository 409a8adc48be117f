//! Settings: what is refused, and in which words.

use super::*;

fn valid() -> Options {
    Options {
        targets: vec![TargetOptions {
            name: "ranking".to_owned(),
            listen: "127.0.0.1:6432".parse().unwrap(),
            upstream: "postgres://app@127.0.0.1/ranking".parse().unwrap(),
            allow_plaintext: false,
        }],
        identity: IdentityOptions {
            issuers: vec![IssuerOptions {
                name: "ci".to_owned(),
                issuer: "https://issuer.example".to_owned(),
                audience: "hansard".to_owned(),
                jwks_file: "jwks.json".into(),
                job_claim: "sub".to_owned(),
                groups_claim: None,
            }],
            ..IdentityOptions::default()
        },
        ..Options::default()
    }
}

#[test]
fn plain_text_off_the_machine_needs_a_word() {
    let mut options = valid();
    assert_eq!(options.validate(), Ok(()));
    options.targets[0].listen = "0.0.0.0:6432".parse().unwrap();
    let error = options.validate().unwrap_err();
    assert!(matches!(error, OptionsError::Plaintext { .. }));
    assert!(error.to_string().contains("allow_plaintext = true"), "{error}");
    options.targets[0].allow_plaintext = true;
    assert_eq!(options.validate(), Ok(()));
}

#[test]
fn what_cannot_work_is_named() {
    let check = |change: &dyn Fn(&mut Options), expected: &str| {
        let mut options = valid();
        change(&mut options);
        assert_eq!(options.validate().unwrap_err().to_string(), expected);
    };
    check(&|options| options.targets.clear(), "no target is configured: add a [[targets]] section");
    check(
        &|options| options.targets.push(options.targets[0].clone()),
        "target \"ranking\" is configured twice: give each one its own",
    );
    check(
        &|options| options.identity.issuers[0].audience.clear(),
        "audience of identity issuer \"ci\" must not be empty",
    );
    check(&|options| options.max_sessions = 0, "max_sessions must not be zero");
}

#[test]
fn upstream_urls() {
    let upstream: UpstreamOptions = "postgres://app:s3cret@db.example:6000/ranking".parse().unwrap();
    assert_eq!((upstream.host.as_str(), upstream.port, upstream.user.as_str()), ("db.example", 6000, "app"));
    assert_eq!(upstream.database.as_deref(), Some("ranking"));
    assert!(!format!("{upstream:?}").contains("s3cret"));
    assert_eq!("postgresql://app@db".parse::<UpstreamOptions>().unwrap().database, None);
    for bad in [
        "mysql://app@db/x",
        "postgres://db/x",
        "postgres://app@db/x?sslmode=require",
        "postgres://app@a,b/x",
        "postgres://app:s3cret@db:port/x",
    ] {
        let error = bad.parse::<UpstreamOptions>().unwrap_err().to_string();
        assert!(error.starts_with("upstream ") && !error.contains("s3cret"), "{error}");
    }
}
