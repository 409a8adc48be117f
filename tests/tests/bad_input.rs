//! Whatever is wrong with what Hansard is given, it says so in one line, with the way out, and the right exit code.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use hansard_tests::hansard::{Settings, connect};
use hansard_tests::process::run;
use hansard_tests::{Config, Ended, Postgres, free_port};
use tokio_postgres::error::SqlState;

/// Ended with that code and one line that holds all of `parts`.
#[track_caller]
fn complains(ended: &Ended, code: i32, parts: &[&str]) {
    // A serving command logs before it fails; what counts is the line that it ends with.
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(lines.len(), 1, "{ended:?}");
    for part in parts {
        assert!(lines[0].contains(part), "{:?} does not say {part:?}", lines[0]);
    }
    for noise in ["panicked", "stack backtrace", "RUST_BACKTRACE", "Os {", "Error {"] {
        assert!(!ended.stderr.contains(noise), "{:?} holds {noise:?}", ended.stderr);
    }
}

fn hansard(config: &Config, command: &str, arguments: &[&str]) -> Ended {
    // A serving command that does not end by itself has taken bad input for good.
    let mut command_line = config.command(command);
    let arguments: Vec<_> =
        command_line.args(arguments).env("RUST_BACKTRACE", "1").get_args().map(ToOwned::to_owned).collect();
    let mut bounded = Command::new("timeout");
    bounded.arg("30").arg(command_line.get_program()).args(arguments).env("RUST_BACKTRACE", "1");
    run(&mut bounded).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let good = std::fs::read_to_string(config.file()).unwrap();
    let line = |text: &str| good.lines().position(|line| line == text).unwrap() + 1;
    let at_unknown = format!("hansard.toml:{}", line("flush_interval = \"500ms\""));
    for (from, to, parts) in [
        (
            "flush_interval = ",
            "flush_intervall = ",
            vec![at_unknown.as_str(), "lake.flush_intervall", "did you mean `flush_interval`?"],
        ),
        ("[policy]", "[policies]", vec!["unknown key `policies`", "did you mean `policy`?"]),
        ("unrestricted = true", "unrestricted = false", vec!["policy.unrestricted", "say `unrestricted = true`"]),
        ("listen = \"127.0.0.1:0\"", "listen = \"nowhere\"", vec!["admin.listen", "\"nowhere\"", "127.0.0.1:"]),
        ("postgres://app@", "mysql://app@", vec!["targets.0.upstream", "postgres://"]),
        ("@127.0.0.1:", "@127.0.0.1:x", vec!["targets.0.upstream", "does not read as a URL"]),
        (
            "upstream = ",
            "tls.cert_file = \"none.crt\"\ntls.key_file = \"none.key\"\nupstream = ",
            vec!["ranking", "tls.cert_file", "none.crt", "No such file"],
        ),
        ("upstream = ", "tls.cert_file = \"none.crt\"\nupstream = ", vec!["targets.0.tls.key_file", "is missing"]),
        ("path = \"data/log\"", "path = ", vec!["hansard.toml"]),
        ("secrets/upstream", "secrets/none", vec!["upstream_password_file", "secrets/none", "No such file"]),
        ("keys/jwks.json", "keys/none.json", vec!["ci", "keys/none.json"]),
        (
            "[[identity.issuers]]",
            "[[identity.issuer]]",
            vec!["unknown key `identity.issuer`", "did you mean `issuers`?"],
        ),
    ] {
        std::fs::write(config.file(), good.replacen(from, to, 1)).unwrap();
        complains(&hansard(&config, "up", &[]), 2, &parts);
    }
    std::fs::remove_file(config.file()).unwrap();
    for command in ["up", "proxy", "record", "query", "web", "check", "sessions"] {
        complains(&hansard(&config, command, &[]), 2, &["hansard.toml", "--config"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    complains(&hansard(&config, "token", &["--subject", "x", "--issuer", "nobody"]), 2, &["nobody", "ci"]);
    complains(&hansard(&config, "token", &["--subject", "x", "--ttl", "soon"]), 2, &["--ttl", "\"soon\""]);
    complains(&hansard(&config, "token", &["--subject", "x", "--claim", "k"]), 2, &["--claim", "KEY=VALUE"]);
    complains(&hansard(&config, "token", &["--new-key"]), 2, &["private.pem", "not overwritten"]);
    complains(&hansard(&config, "sessions", &[]), 2, &["nothing answers", "data/lake"]);

    let running = config.start("up").unwrap();
    complains(&hansard(&config, "sql", &["SELEC 1"]), 2, &["SELEC"]);
    complains(&hansard(&config, "sql", &["SELECT * FROM nowhere"]), 2, &["nowhere"]);
    complains(&hansard(&config, "sql", &["DELETE FROM sessions"]), 2, &["read-only"]);
    complains(&hansard(&config, "who-updated", &["t", "--at", "teatime"]), 2, &["teatime", "2026-11-22T03:12Z"]);
    complains(
        &hansard(&config, "who-updated", &["t", "--at", "2026-11-22", "--window", "long"]),
        2,
        &["--window", "long"],
    );
    complains(&hansard(&config, "replay", &["not an id"]), 2, &["not an id", "hansard sessions"]);
    complains(&hansard(&config, "replay", &["ffffffff"]), 1, &["ffffffff"]);
    // One process owns the log folder.
    complains(
        &hansard(&config, "up", &[]),
        2,
        &["event_log.path", "`hansard up` runs already", &format!("pid {}", running.id())],
    );
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn surroundings() {
    let mut postgres = Postgres::start().await.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let good = std::fs::read_to_string(config.file()).unwrap();
    for section in ["[admin]", "[[targets]]\nname = \"ranking\"", "[web]"] {
        let text = good
            .replace(&format!("{section}\nlisten = \"127.0.0.1:0\""), &format!("{section}\nlisten = \"{address}\""));
        assert_ne!(text, good);
        std::fs::write(config.file(), text).unwrap();
        complains(&hansard(&config, "up", &[]), 2, &[&address]);
        let check = hansard(&config, "check", &[]);
        complains(&check, 1, &["see above"]);
        assert!(check.stdout.lines().any(|line| line.starts_with("WRONG") && line.contains(&address)), "{check:?}");
    }
    // A file where the lake's folder should be: nobody can write there, root neither.
    std::fs::write(config.folder().join("occupied"), "").unwrap();
    for (from, part) in
        [("file:data/lake", "lake.url"), ("sqlite:data/catalog.db", "catalog"), ("data/log", "event_log.path")]
    {
        let to = from.replace("data/", "occupied/");
        std::fs::write(config.file(), good.replace(from, &to)).unwrap();
        complains(&hansard(&config, "up", &[]), 2, &["occupied"]);
        let check = hansard(&config, "check", &[]);
        assert!(check.stdout.lines().any(|line| line.starts_with("WRONG") && line.contains(part)), "{check:?}");
    }
    std::fs::write(config.file(), &good).unwrap();
    let check = hansard(&config, "check", &[]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.stdout.contains("ok    target ranking"), "{check:?}");

    let wrong = Settings { password: Some("not the password"), ..Settings::default() };
    let wrong = Config::new(&postgres, &wrong).unwrap();
    let check = hansard(&wrong, "check", &[]);
    complains(&check, 1, &["see above"]);
    let finding = check.stdout.lines().find(|line| line.starts_with("WRONG")).unwrap();
    assert!(finding.contains("target ranking") && finding.contains("password"), "{finding}");
    assert!(!check.stdout.contains("not the password"));

    postgres.stop().unwrap();
    let check = hansard(&config, "check", &[]);
    complains(&check, 1, &["see above"]);
    let finding = check.stdout.lines().find(|line| line.starts_with("WRONG")).unwrap();
    assert!(finding.contains("target ranking") && finding.contains(&postgres.port().to_string()), "{finding}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_others_own_is_named() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let folder = config.folder().join("theirs");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(folder.join("probe"), "").is_ok() {
        // Root may write anywhere: the case above, with a file in the way, stands for it.
        return;
    }
    let good = std::fs::read_to_string(config.file()).unwrap();
    std::fs::write(config.file(), good.replace("file:data/lake", "file:theirs/lake")).unwrap();
    complains(&hansard(&config, "up", &[]), 2, &["theirs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let foreign = Config::new(&postgres, &Settings::default()).unwrap();
    let running = config.start("up").unwrap();
    let address = running.proxy().unwrap();
    let short = config.ask("token", &["--subject", "late", "--ttl", "1s"]).unwrap().trim().to_owned();
    let other_audience =
        config.ask("token", &["--subject", "x", "--claim", "aud=somebody-else"]).unwrap().trim().to_owned();
    let good = config.token("good").unwrap();
    let mut tampered = good.clone().into_bytes();
    let middle = good.len() / 2;
    tampered[middle] = if tampered[middle] == b'A' { b'B' } else { b'A' };
    // A token's life is in whole seconds, and clocks may differ by five: this one is over for sure.
    std::thread::sleep(Duration::from_secs(7));
    for (what, token) in [
        ("no token at all", "hunter2".to_owned()),
        ("a token of another issuer", foreign.token("good").unwrap()),
        ("a token that was changed", String::from_utf8(tampered).unwrap()),
        ("a token for somebody else", other_audience),
        ("an expired token", short),
    ] {
        let error = connect(address, &token).await.unwrap_err().downcast::<tokio_postgres::Error>().unwrap();
        let code = error.code().unwrap_or_else(|| panic!("{what}: {error:?}"));
        assert!(
            [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code),
            "{what}: {error:?}"
        );
        assert!(!error.to_string().contains(&token), "{what}: a token is in no message");
    }
    connect(address, &good).await.unwrap().batch_execute("SELECT 1").await.unwrap();
    let refused = config.sql("SELECT auth_failure FROM sessions WHERE auth_failure IS NOT NULL").unwrap();
    assert_eq!(refused.len(), 5, "who was not let in is in the record: {refused:?}");
    assert!(!running.logged().contains("eyJ"), "no token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_three_thousand_characters_are_bounded_and_it_is_said() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let running = config.start("up").unwrap();
    let long = "ü".repeat(1_500);
    let mut job = tokio_postgres::Config::new();
    job.host("127.0.0.1").port(running.proxy().unwrap().port()).dbname("ranking");
    job.user(&long).application_name(&long).password(config.token("job").unwrap());
    let (client, mut connection) = job.connect(tokio_postgres::NoTls).await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let tokio_postgres::AsyncMessage::Notice(notice) = message {
                tell.send((notice.code().code().to_owned(), notice.message().to_owned())).unwrap();
            }
        }
    });
    // The database has it whole, as without Hansard.
    let name: String = client.query_one("SHOW application_name", &[]).await.unwrap().get(0);
    assert!(!name.is_empty());
    for part in ["the name of the role has 3000 bytes", "the name of the application has 3000 bytes"] {
        let (code, message) = told.recv().await.unwrap();
        assert!(code == "42622" && message.starts_with(part), "{code} {message}");
    }
    drop(client);
    let session = "SELECT db_user, application_name, notices FROM sessions WHERE job = 'job' AND closed_at IS NOT NULL";
    let session = hansard_tests::eventually("the session is recorded", Duration::from_secs(20), || {
        config.sql(session)?.pop().ok_or_else(|| anyhow::anyhow!("not yet"))
    })
    .unwrap();
    assert_eq!(session["db_user"], "ü".repeat(31));
    let name = session["application_name"].as_str().unwrap();
    assert!(name.len() < 600 && name.ends_with("… (3000 bytes)"), "{name}");
    let notices = session["notices"].as_str().unwrap();
    assert!(notices.contains("the name of the role") && notices.contains("the name of the application"), "{notices}");
    assert!(notices.contains(r#""by":"hansard""#), "{notices}");

    // Who somebody is, is not shortened.
    let refused = connect(running.proxy().unwrap(), &config.token(&"x".repeat(3_000)).unwrap()).await.unwrap_err();
    let refused = refused.downcast::<tokio_postgres::Error>().unwrap();
    assert_eq!(refused.as_db_error().unwrap().message(), "the token's claim \"sub\" is 3000 bytes long");
    let recorded = hansard_tests::eventually("the refusal is recorded", Duration::from_secs(20), || {
        config
            .sql("SELECT subject, auth_failure FROM sessions WHERE auth_failure IS NOT NULL")?
            .pop()
            .ok_or_else(|| anyhow::anyhow!("not yet"))
    })
    .unwrap();
    let subject = recorded["subject"].as_str().unwrap();
    assert!(subject.len() < 600 && subject.ends_with("… (3000 bytes)"), "{recorded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_or_refuses_is_told_to_the_job() {
    let mut postgres = Postgres::start().await.unwrap();
    let wrong = Settings { password: Some("not the password"), ..Settings::default() };
    for settings in [wrong, Settings::default()] {
        let config = Config::new(&postgres, &settings).unwrap();
        let running = config.start("up").unwrap();
        if settings.password.is_none() {
            postgres.stop().unwrap();
        }
        let error = running.connect(&config.token("job").unwrap()).await.unwrap_err();
        let error = error.downcast::<tokio_postgres::Error>().unwrap();
        let code = error.code().unwrap_or_else(|| panic!("{error:?}")).code();
        assert!(code.starts_with("08"), "{error:?}");
        assert!(!error.to_string().contains("not the password"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_spoken_to_in_http_answers_and_lives() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut running = config.start("up").unwrap();
    let address = running.proxy().unwrap();
    for bytes in [
        &b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..],
        &[0xff; 64],
        &[0, 0, 0, 0],
        &[0, 0, 0, 8],
        &[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0],
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // Closed, or told so and closed; never left open.
        let read = stream.read_to_end(&mut answer);
        assert!(read.is_ok() || read.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset);
    }
    running.connect(&config.token("after").unwrap()).await.unwrap().batch_execute("SELECT 1").await.unwrap();
    assert!(!running.logged().contains("internal error"), "{}", running.logged());
    assert!(running.stop().unwrap().success());
}

#[test]
fn a_free_port_is_free() {
    TcpListener::bind(("127.0.0.1", free_port().unwrap())).unwrap();
}
