//! Settings: what is refused, and in which words.

use hansard_identity::{JobName, KeySource};

use super::*;

fn valid() -> Options {
    Options {
        targets: vec![TargetOptions {
            name: "ranking".to_owned(),
            listen: "127.0.0.1:6432".parse().unwrap(),
            upstream: "postgres://app@127.0.0.1/ranking".parse().unwrap(),
            tls: None,
            allow_plaintext: false,
            authentication: Authentication::Password,
            identity_settings: IdentitySettings::default(),
            replication: false,
            capture: CaptureOptions::default(),
            capture_rules: Vec::new(),
        }],
        identity: IdentityOptions {
            issuers: vec![IssuerOptions {
                name: "ci".to_owned(),
                issuer: "https://issuer.example".to_owned(),
                audience: "hansard".to_owned(),
                keys: KeySource::File("jwks.json".into()),
                job: JobName::Claim("sub".to_owned()),
                groups_claim: None,
                required_claims: Vec::new(),
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
fn a_capture_rule_says_whose_sessions_it_is_for() {
    let check = |rule: CaptureRule, issuers: usize| {
        let mut options = valid();
        for number in 1..issuers {
            let (name, issuer) = (format!("ci{number}"), format!("https://{number}.example"));
            options.identity.issuers.push(IssuerOptions { name, issuer, ..options.identity.issuers[0].clone() });
        }
        options.targets[0].capture_rules = vec![rule];
        options.validate().map_err(|error| error.to_string())
    };
    let job = CaptureRule { job: Some("etl_*".to_owned()), ..CaptureRule::default() };
    let issuer = |name: &str| CaptureRule { issuer: Some(name.to_owned()), ..job.clone() };
    assert_eq!((check(job.clone(), 1), check(issuer("ci"), 2)), (Ok(()), Ok(())));
    for (rule, issuers, expected) in [
        (CaptureRule::default(), 1, "does not say whose sessions it is for"),
        (issuer("idp"), 2, "names an issuer that is not configured"),
        (job, 2, "does not say of which issuer, and there are several"),
    ] {
        assert_eq!(check(rule, issuers), Err(format!("target \"ranking\": a capture rule {expected}")));
    }
}

#[test]
fn tls_takes_the_place_of_the_word_for_plain_text() {
    let mut options = valid();
    options.targets[0].listen = "0.0.0.0:6432".parse().unwrap();
    let tls = TlsOptions {
        cert_file: "server.crt".into(),
        key_file: "server.key".into(),
        client_ca_file: None,
        client_certificates: ClientCertificates::None,
    };
    options.targets[0].tls = Some(tls.clone());
    assert_eq!(options.validate(), Ok(()));
    for (client_ca_file, client_certificates) in
        [(None, ClientCertificates::Required), (Some("ca.crt".into()), ClientCertificates::None)]
    {
        options.targets[0].tls = Some(TlsOptions { client_ca_file, client_certificates, ..tls.clone() });
        let error = options.validate().unwrap_err().to_string();
        assert!(error.starts_with("target \"ranking\": tls.client_ca_file is "), "{error}");
    }
}

#[test]
fn upstream_urls() {
    let upstream: UpstreamOptions = "postgres://app:s3cret@db.example:6000/ranking".parse().unwrap();
    assert_eq!((upstream.host.as_str(), upstream.port, upstream.user.as_str()), ("db.example", 6000, "app"));
    assert_eq!(upstream.database.as_deref(), Some("ranking"));
    assert!(!format!("{upstream:?}").contains("s3cret"));
    assert_eq!("postgresql://app@db".parse::<UpstreamOptions>().unwrap().database, None);
    let odd: UpstreamOptions = "postgres://app:s3?cret@db/x?sslmode=require".parse().unwrap();
    assert_eq!(odd.password, Some(Password::new("s3?cret")));
    for bad in [
        "mysql://app@db/x",
        "postgres://db/x",
        "postgres://app@a,b/x",
        "postgres://app:s3cret@db:port/x",
        "postgres://app:s3cret@db/x?options=-c%20role=other",
        "postgres://app:s3cret@db/x?sslmode=verify-ca&sslmode=disable",
        "postgres://app:s3cret@db/x?sslmode",
    ] {
        let error = bad.parse::<UpstreamOptions>().unwrap_err().to_string();
        assert!(error.starts_with("upstream ") && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn tls_to_the_database_is_on_or_off_by_the_url() {
    let tls = |query: &str| format!("postgres://app@db.example/x{query}").parse::<UpstreamOptions>().map(|up| up.tls);
    let mode = |query: &str| tls(query).unwrap().map(|tls| tls.mode);
    assert_eq!(mode(""), Some(SslMode::VerifyFull(Roots::System)));
    assert_eq!(mode("?sslmode=verify-full&sslrootcert=system"), Some(SslMode::VerifyFull(Roots::System)));
    assert_eq!(mode("?sslmode=disable"), None);
    assert_eq!(mode("?sslmode=require"), Some(SslMode::Require));
    assert_eq!(mode("?sslmode=verify-ca&sslrootcert=a%20b.crt"), Some(SslMode::VerifyCa("a b.crt".into())));
    for local in ["localhost", "127.0.0.1", "127.0.0.1:6000", "[::1]:5432"] {
        assert_eq!(format!("postgres://app@{local}/x").parse::<UpstreamOptions>().unwrap().tls, None, "{local}");
    }
    for (query, expected) in [
        ("?sslmode=prefer", "goes on in plain text"),
        ("?sslmode=allow", "goes on in plain text"),
        ("?sslmode=on", "other than disable, require"),
        ("?sslmode=disable&sslrootcert=ca.crt", "TLS is off"),
        ("?sslmode=disable&channel_binding=require", "TLS is off"),
        ("?sslmode=disable&sslcert=a&sslkey=b", "TLS is off"),
        ("?sslmode=require&sslrootcert=ca.crt", "checks no certificate"),
        ("?sslmode=verify-ca", "without sslrootcert"),
        ("?sslmode=verify-ca&sslrootcert=system", "anybody can get"),
        ("?sslcert=a", "they go together"),
        ("?channel_binding=maybe", "channel_binding other than"),
        ("?require_auth=scram", "require_auth that is not a list of none, password, md5, scram-sha-256"),
        ("?require_auth=!md5", "require_auth that is not a list"),
        ("?require_auth=", "has an empty require_auth"),
    ] {
        let error = tls(query).unwrap_err().to_string();
        assert!(error.contains(expected), "{query}: {error}");
    }
    let mut both: UpstreamOptions =
        "postgres://app@db/x?sslrootcert=ca.crt&sslcert=a.crt&sslkey=a.key".parse().unwrap();
    assert_eq!(
        both.files_mut().map(|file| file.display().to_string()).collect::<Vec<_>>(),
        ["ca.crt", "a.crt", "a.key"]
    );
}
