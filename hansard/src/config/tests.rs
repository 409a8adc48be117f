//! Configuration: what is accepted, and the line that everything else gets.

use hansard_identity::{JobName, Template};

use super::*;

const LEAST: &str = "policy.unrestricted = true\n";

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hansard.toml");
    std::fs::write(&file, text).unwrap();
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load_with(&file, environment.into_iter()).map_err(|error| {
        crate::failure::Failure::from(error).lines().join("\n").replace(&format!("{}/", folder.path().display()), "")
    })
}

#[track_caller]
fn complains(text: &str, environment: &[(&str, &str)], expected: &str) {
    let line = load(text, environment).unwrap_err();
    assert!(line.lines().any(|line| line.contains(expected)), "{line:?} does not say {expected:?} in one line");
}

/// All complaints about a text, without the file's name.
fn complaints(text: &str) -> Vec<String> {
    load(text, &[])
        .unwrap_err()
        .lines()
        .map(|line| line.trim_start_matches("hansard.toml:").trim().to_owned())
        .collect()
}

#[test]
fn every_fault_of_the_file_is_told_at_once() {
    let text = "[polcy]\nunrestricted = true\n[lake]\nfluhs_interval = '5s'\nurl = 's3://x'\n[event_log]\nshards = 'many'\n\
                [recording]\nfsync = 'soon'\n[[targets]]\nname = 'a'\nlistne = '127.0.0.1:1'\nupstream = 'mysql://x'\n\
                [[targets]]\nname = 'a'\nlisten = '127.0.0.1:7'\nupstream = 'postgres://u@h:1'\n\
                [web]\nlisten = '127.0.0.1:7'\n";
    let found = complaints(text);
    let expected = [
        "unknown key `polcy`; did you mean `policy`?",
        "unknown key `lake.fluhs_interval`; did you mean `flush_interval`?",
        "event_log.shards: found string",
        "unknown key `targets.0.listne`; did you mean `listen`?",
        "recording.fsync: \"soon\" is not a time",
        "lake.url: \"s3://x\" is not a place",
        "targets.0.upstream: must look like postgres://",
        "targets.1.name: \"a\" names two targets",
        "web.listen: 127.0.0.1:7 is the address of targets.1.listen as well; give it another one, such as `listen = \"127.0.0.1:8\"`",
    ];
    for part in expected {
        assert_eq!(found.iter().filter(|line| line.contains(part)).count(), 1, "{part:?} in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "what follows from a fault is not told as another one: {found:#?}");
}

#[test]
fn an_address_is_one_services_alone() {
    let web = "[web]\nlisten = '127.0.0.1:8080'\n";
    for (other, key) in [
        ("[admin]\nlisten = '127.0.0.1:8080'\n", "web.listen"),
        ("[admin]\nlisten = '0.0.0.0:8080'\n", "web.listen"),
        ("[query]\npgwire_listen = 'localhost:8080'\n", "web.listen"),
    ] {
        let found = complaints(&format!("{LEAST}{web}{other}"));
        assert!(found.len() == 1 && found[0].starts_with(key) && found[0].contains("as well"), "{found:?}");
    }
    assert!(load(&format!("{LEAST}[web]\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\n"), &[]).is_ok());
}

#[test]
fn a_group_is_one_of_the_system() {
    let config = load(&format!("{LEAST}[recording]\ngroup = 'root'\n"), &[]).unwrap();
    assert_eq!(config.group.map(|group| group.id), Some(0));
    let config = load(&format!("{LEAST}[recording]\ngroup = '4711'\n"), &[]).unwrap();
    assert_eq!(config.group.map(|group| group.id), Some(4711));
    complains(
        &format!("{LEAST}[recording]\ngroup = 'no-such-group'\n"),
        &[],
        "recording.group: \"no-such-group\" is no group",
    );
}

#[test]
fn the_design_file_is_understood() {
    let text = r#"
[admin]
listen = "127.0.0.1:9090"
[event_log]
backend = "nats"
servers = ["nats://127.0.0.1:4222"]
path = "data/log"
[recording]
durability = "write-ahead"
wait_for = "spool"
fsync = "20ms"
[lake]
url = "file:data/lake"
catalog = "sqlite:data/catalog.db"
flush_interval = "5s"
[policy]
dir = "policies"
unrestricted = true
[[identity.issuers]]
name = "ci"
issuer = "https://issuer.example"
audience = "hansard"
jwks_file = "jwks.json"
job_claim = "sub"
groups_claim = "groups"
[[targets]]
name = "ranking"
protocol = "postgres"
listen = "127.0.0.1:6432"
upstream = "postgres://app@127.0.0.1:5432/ranking"
upstream_password_file = "secrets/ranking"
[query]
pgwire_listen = "127.0.0.1:6543"
[web]
listen = "127.0.0.1:8080"
"#;
    let config = load(text, &[]).unwrap();
    let nats = config.event_log.nats.unwrap();
    assert!(!nats.wait_for_stream);
    assert_eq!(config.event_log.fsync, Fsync::Interval(Duration::from_millis(20)));
    assert!(config.lake.url.ends_with("/data/lake") && config.lake.url.starts_with("file:/"));
    assert_eq!(config.query.pgwire_listen.map(|address| address.port()), Some(6543));
    assert_eq!(config.policy_dir.as_deref(), Some("policies"));
    assert!(config.issuers[0].jwks_file().unwrap().is_absolute());
    assert!(config.web.unwrap().token_file.ends_with("data/api-token"));
    let upstream = &config.targets[0].upstream;
    assert_eq!((upstream.user.as_str(), upstream.port, upstream.database.as_deref()), ("app", 5432, Some("ranking")));
}

#[test]
fn variables_override_keys_in_tables_and_lists() {
    let text = format!("{LEAST}[[targets]]\nname='a'\nlisten='127.0.0.1:1'\nupstream='postgres://u@h:1'\n");
    let config = load(
        &text,
        &[
            ("HANSARD__EVENT_LOG__SHARDS", "3"),
            ("HANSARD__TARGETS__0__LISTEN", "127.0.0.1:7"),
            ("HANSARD__TARGETS__0__UPSTREAM_PASSWORD", "secret"),
            ("HANSARD_CONFIG", "not ours here"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.event_log.shards, Some(3));
    assert_eq!(config.targets[0].listen.port(), 7);
    assert!(!format!("{config:?}").contains("secret"), "a password is in no output");
    complains(
        LEAST,
        &[("HANSARD__EVENT_LOG__SHARD", "3")],
        "HANSARD__EVENT_LOG__SHARD: unknown key `event_log.shard`; did you mean `shards`?",
    );
    complains(&text, &[("HANSARD__TARGETS__5__LISTEN", "x")], "targets has 1 entries");
    complains(LEAST, &[("HANSARD__EVENT_LOG__SHARDS", "many")], "HANSARD__EVENT_LOG__SHARDS");
}

#[test]
fn each_mistake_gets_its_line() {
    let target = |line: &str| format!("{LEAST}[[targets]]\nname='a'\n{line}\n");
    for (text, expected) in [
        ("", "policy.unrestricted"),
        ("policy.unrestricted = false", "policy.unrestricted"),
        ("[polcy]\nunrestricted = true", "hansard.toml:1: unknown key `polcy`; did you mean `policy`?"),
        (
            "policy.unrestricted = true\n[lake]\nfluhs_interval = '5s'",
            "hansard.toml:3: unknown key `lake.fluhs_interval`; did you mean `flush_interval`?",
        ),
        ("policy.unrestricted = true\n[lake]\nzzz = '5s'", "known here: url, catalog, flush_interval"),
        ("policy.unrestricted = 'yes'", "policy.unrestricted: found string"),
        ("[policy\n", "hansard.toml"),
    ] {
        complains(text, &[], expected);
    }
    for (rest, expected) in [
        ("[lake]\nflush_interval = 'soon'", "lake.flush_interval: \"soon\" is not a time"),
        ("[lake]\nflush_interval = '0s'", "is not a time"),
        ("[lake]\nurl = 's3://bucket/x'", "lake.url"),
        ("[event_log]\nbackend = 'kafka'", "expected one of embedded, nats"),
        ("[event_log]\nservers = ['nats://x']", "is for `event_log.backend = \"nats\"`"),
        ("[event_log]\nbackend = 'nats'", "event_log.servers: is missing"),
        ("[event_log]\nmax_size = '5 bananas'", "event_log.max_size"),
        ("[recording]\nwait_for = 'spool'", "recording.wait_for"),
        ("[recording]\ndurability = 'maybe'", "recording.durability"),
        ("[web]\nlisten = '0.0.0.0:80'", "SSH tunnel"),
        ("[[identity.issuers]]\nname = 'ci'", "identity.issuers.0.issuer: is missing"),
        ("[logging]\nlevel = 'a=b=c'", "logging.level"),
    ] {
        complains(&format!("{LEAST}{rest}\n"), &[], expected);
    }
    for (line, expected) in [
        ("", "targets.0.listen: is missing"),
        ("listen = '6432'", "is not an address and port"),
        ("listen = '0.0.0.0:1'\nupstream = 'postgres://u@h:1'", "allow_plaintext"),
        ("listen = '127.0.0.1:1'\nupstream = 'mysql://x'", "targets.0.upstream"),
        ("listen = '127.0.0.1:1'\nupstream = 'postgres://h:1'", "names no user"),
        ("listen = '127.0.0.1:1'\nupstream = 'postgres://u:hunter2@h:1'\nupstream_password = 'x'", "is given twice"),
        ("listen = '127.0.0.1:1'\nupstream = 'postgres://u@h:1'\nprotocol = 'mysql'", "expected one of postgres"),
        (
            "listen = '127.0.0.1:1'\nupstream = 'postgres://u@h:1'\nauthentication = 'scram'",
            "expected one of password, oauthbearer",
        ),
        (
            "listen = '127.0.0.1:1'\nupstream = 'postgres://u@h:1'\nupstream_password_command = []",
            "upstream_password_command: names no program",
        ),
        (
            "listen = '127.0.0.1:1'\nupstream = 'postgres://u:x@h:1'\nupstream_password_command = ['vault']",
            "is given twice",
        ),
        ("listen = '127.0.0.1:1'\nupstream = 'postgres://u@h:1'\napplication_name = 'x{jobs}'", "known are {job}"),
    ] {
        complains(&target(line), &[], expected);
    }
    let leaky = load(&target("listen = '127.0.0.1:1'\nupstream = 'postgres://u:hunter2@h:1:2'"), &[]).unwrap_err();
    assert!(!leaky.contains("hunter2"));
}

#[test]
fn what_is_recorded_goes_from_all_to_targets_to_jobs() {
    use hansard_ingest_proxy::{CaptureLevel, CaptureOptions, CaptureRule};
    let issuer = |name: &str| {
        format!("[[identity.issuers]]\nname = '{name}'\nissuer = 'https://{name}'\naudience = 'a'\njwks_file = 'k'\n")
    };
    let target = |name: &str, port: u16, rest: &str| {
        format!(
            "[[targets]]\nname = '{name}'\nlisten = '127.0.0.1:{port}'\nupstream = 'postgres://u@127.0.0.1'\n{rest}\n"
        )
    };
    let text = [
        &format!("{LEAST}[recording]\ncapture = 'statements'\nmax_result_bytes = '1MiB'\n{}", issuer("ci"))[..],
        &target("a", 1, ""),
        &target(
            "b",
            2,
            "capture = 'full'\n[[targets.capture_rules]]\njob = 'etl_*'\ngroups = ['batch']\ncapture = 'metadata'\n\
             [[targets.capture_rules]]\nissuer = 'ci'\nsubject = 'dba'\nmax_result_bytes = 'none'",
        ),
    ]
    .concat();
    let config = load(&text, &[]).unwrap();
    let of = |level, max_result_bytes| CaptureOptions { level, max_result_bytes };
    assert_eq!(config.targets[0].capture, of(CaptureLevel::Statements, Some(1 << 20)));
    let b = &config.targets[1];
    assert_eq!(b.capture, of(CaptureLevel::Full, Some(1 << 20)));
    let expected = [
        CaptureRule {
            job: Some("etl_*".to_owned()),
            groups: vec!["batch".to_owned()],
            capture: of(CaptureLevel::Metadata, Some(1 << 20)),
            ..CaptureRule::default()
        },
        CaptureRule {
            issuer: Some("ci".to_owned()),
            subject: Some("dba".to_owned()),
            capture: of(CaptureLevel::Full, None),
            ..CaptureRule::default()
        },
    ];
    assert_eq!(b.capture_rules, expected);
    let full = load(&format!("{LEAST}{}", target("a", 1, "")), &[]).unwrap();
    assert_eq!(full.targets[0].capture, CaptureOptions::default());
    for (rest, expected) in [
        ("capture = 'some'", "targets.0.capture: found \"some\", expected one of full, statements, metadata"),
        ("max_result_bytes = '0B'", "targets.0.max_result_bytes: 0 bytes would keep no row"),
        ("max_result_bytes = '5'", "targets.0.max_result_bytes: \"5\" is not a size"),
        ("[[targets.capture_rules]]\ncapture = 'full'", "targets.0.capture_rules.0: says nothing of whose sessions"),
        ("[[targets.capture_rules]]\ngroups = []\ncapture = 'full'", "says nothing of whose sessions"),
        ("[[targets.capture_rules]]\ngroups = ['']\ncapture = 'full'", "capture_rules.0.groups: has an empty name"),
        ("[[targets.capture_rules]]\njob = ''\ncapture = 'full'", "targets.0.capture_rules.0.job: is empty"),
        ("[[targets.capture_rules]]\njob = 'x'", "changes nothing"),
        ("[[targets.capture_rules]]\njob = 'x'\ncaptrue = 'full'", "did you mean `capture`?"),
        // What a job asks for is no condition.
        ("[[targets.capture_rules]]\nrole = 'x'\ncapture = 'full'", "unknown key `targets.0.capture_rules.0.role`"),
        ("[[targets.roles]]\nrole = 'x'", "unknown key `targets.0.roles`"),
        (
            "[[targets.capture_rules]]\nissuer = 'idp'\ncapture = 'full'",
            "targets.0.capture_rules.0.issuer: found \"idp\", expected one of ci",
        ),
        (
            "[[targets.capture_rules]]\njob = 'x'\ncapture = 'full'\n[[targets.capture_rules]]\njob = 'x'\ncapture = 'metadata'",
            "targets.0.capture_rules.1: is for the same sessions as another one",
        ),
    ] {
        complains(&format!("{LEAST}{}{}", issuer("ci"), target("a", 1, rest)), &[], expected);
    }
    let of_nobody = target("a", 1, "[[targets.capture_rules]]\njob = 'x'\ncapture = 'metadata'");
    complains(
        &format!("{LEAST}{}{}{of_nobody}", issuer("ci"), issuer("idp")),
        &[],
        "targets.0.capture_rules.0.issuer: is missing: there are several issuers",
    );
    complains(&format!("{LEAST}[recording]\ncapture = 'all'"), &[], "recording.capture: found \"all\"");
}

#[test]
fn tls_is_understood_on_both_sides() {
    use hansard_ingest_proxy::{Authentication, ClientCertificates, SslMode};
    let target = |rest: &str| format!("{LEAST}[[targets]]\nname = 'a'\nlisten = '0.0.0.0:1'\n{rest}\n");
    let upstream = "upstream = 'postgres://u@db/x?sslmode=verify-ca&sslrootcert=ca.crt'";
    let files = "tls.cert_file = 'a.crt'\ntls.key_file = 'a.key'";
    let config = load(&target(&format!("{upstream}\n{files}\ntls.client_ca_file = 'c.crt'")), &[]).unwrap();
    let options = &config.targets[0];
    let tls = options.tls.as_ref().unwrap();
    assert!(tls.cert_file.is_absolute() && tls.key_file.ends_with("a.key"));
    assert_eq!(tls.client_certificates, ClientCertificates::Required);
    assert!(!options.allow_plaintext && !options.replication);
    let Some(SslMode::VerifyCa(file)) = options.upstream.tls.as_ref().map(|tls| &tls.mode) else {
        panic!("{options:?}")
    };
    assert!(file.is_absolute() && file.ends_with("ca.crt"));
    let by_variables =
        [("HANSARD__TARGETS__0__TLS__CERT_FILE", "/x.crt"), ("HANSARD__TARGETS__0__TLS__KEY_FILE", "/x.key")];
    let config = load(
        &target(&format!("{upstream}\nallow_plaintext = true\nauthentication = 'oauthbearer'\nreplication = true")),
        &by_variables,
    )
    .unwrap();
    assert!(config.targets[0].tls.as_ref().unwrap().cert_file.ends_with("/x.crt"));
    assert!(config.targets[0].allow_plaintext && config.targets[0].replication);
    assert_eq!(config.targets[0].authentication, Authentication::OAuthBearer);
    for (rest, expected) in [
        ("", "give the target a certificate (`tls.cert_file`, `tls.key_file`)"),
        ("tls.cert_file = 'a.crt'", "targets.0.tls.key_file: is missing"),
        ("tls.key_file = 'a.key'", "targets.0.tls.cert_file: is missing"),
        ("tls.cert = 'a.crt'", "unknown key `targets.0.tls.cert`; did you mean `cert_file`?"),
        (&format!("{files}\ntls.client_certificates = 'required'"), "targets.0.tls.client_ca_file: is missing"),
        (
            &format!("{files}\ntls.client_certificates = 'maybe'\ntls.client_ca_file = 'c'"),
            "one of none, optional, required",
        ),
        (&format!("{files}\ntls.client_certificates = 'none'\ntls.client_ca_file = 'c'"), "drop one of them"),
    ] {
        complains(&target(&format!("{upstream}\n{rest}")), &[], expected);
    }
    for (query, expected) in [
        ("sslmode=prefer", "targets.0.upstream: has an sslmode that goes on in plain text"),
        ("sslmode=verify-ca", "has sslmode=verify-ca without sslrootcert"),
        ("connect_timeout=3", "has a parameter \"connect_timeout\" that is not known"),
    ] {
        complains(&target(&format!("{files}\nupstream = 'postgres://u:hunter2@db/x?{query}'")), &[], expected);
    }
}

#[test]
fn a_missing_file_is_named_with_the_way_out() {
    let line = Config::load_with(Path::new("/nowhere/hansard.toml"), std::iter::empty()).unwrap_err().0[0].to_string();
    assert!(line.contains("/nowhere/hansard.toml") && line.contains("--config"), "{line}");
}

#[test]
fn issuers_are_known_by_a_word_or_found_by_their_address() {
    let entry = |rest: &str| format!("{LEAST}[[identity.issuers]]\nname = 'x'\naudience = 'hansard'\n{rest}\n");
    let read = |rest: &str| load(&entry(rest), &[]).unwrap().issuers.pop().unwrap().options;
    let github = read("preset = 'github-actions'\nrequired_claims = { repository_owner = 'acme', ref = ['a', 'b/*'] }");
    assert_eq!(github.issuer, "https://token.actions.githubusercontent.com");
    assert_eq!(github.job, JobName::Claim("workflow_ref".into()));
    let gitlab = read("preset = 'gitlab-ci'\nrequired_claims = { project_id = 7 }");
    assert_eq!(gitlab.job, JobName::Template(Template::parse("{project_path}:{ref_type}:{ref}").unwrap()));
    assert_eq!(gitlab.required_claims[0].values, ["7"]);
    assert_eq!(github.required_claims.len(), 2);
    let KeySource::Remote(keys) = github.keys else { panic!() };
    assert_eq!((keys.url, keys.ca_file, keys.max_age), (None, None, Duration::from_secs(86_400)));
    let keycloak = read(
        "preset = 'keycloak'\nissuer = 'https://k.example/realms/a'\njob_claim = 'client_id'\nkeys_max_age = '1h'",
    );
    assert_eq!(
        (keycloak.job, keycloak.groups_claim.as_deref()),
        (JobName::Claim("client_id".into()), Some("/realm_access/roles"))
    );
    for (rest, expected) in [
        ("preset = 'github'", "identity.issuers.0.preset: found \"github\", expected one of github-actions, gitlab-ci"),
        ("preset = 'github-actions'", "identity.issuers.0.required_claims: is missing: anybody can get tokens"),
        ("preset = 'gitlab-ci'\nrequired_claims = { ref = 'main' }", "require one of project_path"),
        ("preset = 'github-actions'\nrequired_claims = { repository = '**' }", "is missing: anybody can get tokens"),
        ("issuer = 'https://token.actions.githubusercontent.com/'", "is missing: anybody can get tokens"),
        ("issuer = 'https://gitlab.com'", "is missing: anybody can get tokens"),
        ("preset = 'kubernetes'\nissuer = 'https://gitlab.com'", "is missing: anybody can get tokens"),
        ("issuer = 'https://x'\nrequired_claims = { a = { b = 'c' } }", "write a text or a list of texts"),
        ("issuer = 'https://u:hunter2@x'", "has credentials in it"),
        ("issuer = 'https://x/?tenant=1'", "say jwks_url"),
        ("issuer = 'https://x'\nkeys_max_age = '1s'", "is less than 10m"),
        ("preset = 'kubernetes'", "identity.issuers.0.issuer: is missing"),
        ("issuer = 'https://x'\njob_claim = 'a'\njob_template = '{a}'", "is given beside job_claim"),
        ("issuer = 'https://x'\njob_template = '{a}{b}'", "identity.issuers.0.job_template: \"{a}{b}\" has two claims"),
        ("issuer = 'https://x'\nrequired_claims = { a = [] }", "identity.issuers.0.required_claims.a: is empty"),
        (
            "issuer = 'https://x'\njwks_file = 'k'\nca_file = 'c'",
            "identity.issuers.0.ca_file: is for keys that are asked",
        ),
        ("issuer = 'https://x'\nkeys_max_age = 'never'", "identity.issuers.0.keys_max_age"),
        ("issuer = 'http://x'", "has no TLS"),
        ("issuer = 'x'", "is not an https URL"),
        ("issuer = 'https://x'\njwks_url = 'ftp://x'", "identity.issuers.0.jwks_url"),
    ] {
        complains(&entry(rest), &[], expected);
    }
}
