//! The first five minutes: the README's commands, `init`, `check`, and what `up` says.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::HashSet;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hansard_tests::hansard::Settings;
use hansard_tests::postgres::{DATABASE, PASSWORD};
use hansard_tests::process::{Running, eventually, own_program, run, succeed};
use hansard_tests::{Config, Postgres, tree};

/// Where the README says how to begin.
const SECTION: &str = "## Five minutes with it";
/// What the README calls the newcomer's database.
const THEIRS: &str = "postgres://app:secret@127.0.0.1:5432/shop";

/// The commands of each fenced block of a section: the lines that begin with a prompt.
fn commands(readme: &str) -> Vec<Vec<String>> {
    let section = readme.split_once(&format!("\n{SECTION}\n")).unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let mut blocks = section.split("```");
    let mut found = Vec::new();
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        let prompts = block.lines().filter_map(|line| line.trim().strip_prefix("$ ").map(str::to_owned));
        found.push(prompts.collect());
    }
    found
}

/// A shell with our own program in place of an installed one, and nothing of ours in its environment.
fn shell(folder: &Path, line: &str) -> Command {
    let program = own_program("hansard").unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path =
        std::env::join_paths([program.parent().unwrap().to_path_buf()].into_iter().chain(std::env::split_paths(&path)))
            .unwrap();
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(line).current_dir(folder).env_clear().env("PATH", path).env("HOME", folder);
    shell
}

/// A database with a table of the newcomer's own.
async fn shop() -> Postgres {
    let postgres = Postgres::start().await.unwrap();
    let client = postgres.superuser(DATABASE).await.unwrap();
    client
        .batch_execute(
            "CREATE TABLE films (id int PRIMARY KEY, score int); GRANT ALL ON films TO app; \
             INSERT INTO films VALUES (1, 10), (2, 20), (3, 30)",
        )
        .await
        .unwrap();
    postgres
}

/// Started and waited for as the README says: until it says that it is ready.
fn start(folder: &Path, line: &str) -> Result<Running> {
    let log = folder.join("up.out");
    let out = std::fs::File::create(&log)?;
    let mut command = shell(folder, &format!("exec {line}"));
    command.stdout(out.try_clone()?).stderr(Stdio::from(out));
    let mut running = Running::start("hansard up", &mut command)?;
    eventually("it says that it is ready", Duration::from_secs(60), || {
        let said = std::fs::read_to_string(&log)?;
        if running.ended().is_some() || !said.lines().any(|line| line.starts_with("ready: ")) {
            bail!("it says: {said}");
        }
        Ok(())
    })?;
    Ok(running)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_commands_lead_to_the_answer_for_ones_own_table() {
    let postgres = shop().await;
    let folder = tempfile::tempdir().unwrap();
    let readme = std::fs::read_to_string(tree().unwrap().join("README.md")).unwrap();
    let blocks = commands(&readme);
    let (install, rest) = blocks.split_first().unwrap();
    assert!(install.iter().any(|line| line == "cargo install --path hansard --locked"), "{install:?}");
    assert!(install.iter().any(|line| line == "cargo xtask web"), "the pages are built before they are installed");

    let ours = format!("postgres://app:{}@127.0.0.1:{}/{DATABASE}", PASSWORD.replace(' ', "%20"), postgres.port());
    let mut place = folder.path().to_path_buf();
    let (mut running, mut answers) = (None, Vec::new());
    let (mut port, mut exported) = ("6432".to_owned(), String::new());
    for line in rest.iter().flatten() {
        let line = line
            .replace(THEIRS, &ours)
            .replace(" shop", &format!(" {DATABASE}"))
            .replace("-p 6432", &format!("-p {port}"));
        if let Some(folder) = line.strip_prefix("cd ") {
            place = place.join(folder);
            continue;
        }
        if line == "hansard up" {
            running = Some(start(&place, &line).unwrap());
            continue;
        }
        let said = succeed(&mut shell(&place, &format!("{exported}{line}"))).with_context(|| line.clone()).unwrap();
        if line.starts_with("export ") {
            exported.push_str(&format!("{line}\n"));
        }
        if line.starts_with("hansard init") {
            // Another one where something of this machine has the usual one.
            port = said.split("-p ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        }
        answers.push((line, said));
    }
    assert!(running.is_some(), "the README starts it");
    let answer = |command: &str| {
        let found = answers.iter().find(|(line, _)| line.starts_with(command));
        found.unwrap_or_else(|| panic!("{command} is not in the README")).1.clone()
    };
    let updated = answer("hansard who-updated");
    for part in ["films", "update", "nightly", "certain"] {
        assert!(updated.contains(part), "{part} in {updated}");
    }
    assert!(answer("hansard sessions").contains("nightly"));
    assert!(answer("hansard sql").contains("nightly"));
    let client = postgres.superuser(DATABASE).await.unwrap();
    let score: i64 = client.query_one("SELECT sum(score) FROM films", &[]).await.unwrap().get(0);
    assert_eq!(score, 63, "their own table was changed, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_writes_a_folder_and_prints_commands_that_are_true() {
    let postgres = shop().await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://app:{}@127.0.0.1:{}/{DATABASE}", PASSWORD.replace(' ', "%20"), postgres.port());
    let init = format!("umask 000; hansard init --database '{url}' 'the record'");
    let said = succeed(&mut shell(folder.path(), &init)).unwrap();
    let made = folder.path().join("the record");
    assert_eq!(made.metadata().unwrap().mode() & 0o777, 0o700);
    for secret in [format!("secrets/{DATABASE}"), "keys/private.pem".to_owned()] {
        assert_eq!(made.join(&secret).metadata().unwrap().mode() & 0o777, 0o600, "{secret}");
    }
    assert_eq!(std::fs::read_to_string(made.join(format!("secrets/{DATABASE}"))).unwrap().trim(), PASSWORD);
    let text = std::fs::read_to_string(made.join("hansard.toml")).unwrap();
    for word in PASSWORD.split(' ') {
        assert!(!text.contains(word) && !said.contains(word), "the password is in the secret file alone");
    }
    let check = run(&mut shell(&made, "hansard check")).unwrap();
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.stdout.lines().all(|line| line.starts_with("ok ")), "{check:?}");

    // As they are printed, from where it was run.
    let printed: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let [up, connect, sessions] = printed[..] else { panic!("{said}") };
    let _running = start(folder.path(), up).unwrap();
    let connected = succeed(&mut shell(folder.path(), &format!("{connect} -c 'UPDATE films SET score = 0'"))).unwrap();
    assert!(connected.contains("UPDATE 3"), "{connected}");
    assert!(succeed(&mut shell(folder.path(), sessions)).unwrap().contains("me"));

    let again = run(&mut shell(folder.path(), &init)).unwrap();
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.stderr.contains("hansard.toml exists already, and is not overwritten"), "{again:?}");
    assert_eq!(std::fs::read_to_string(made.join("hansard.toml")).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_up_says_who_runs_already() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let hansard = config.start("up").unwrap();
    let ready = hansard.logged().lines().find(|line| line.starts_with("ready: ")).unwrap().to_owned();
    for address in [hansard.proxy().unwrap(), hansard.web().unwrap(), hansard.admin().unwrap()] {
        assert!(ready.contains(&address.to_string()), "{ready}");
    }
    for command in ["up", "proxy"] {
        let second = run(Command::new("timeout")
            .arg("30")
            .arg(own_program("hansard").unwrap())
            .args([command, "--config"])
            .arg(config.file()))
        .unwrap();
        assert_eq!(second.code, Some(2), "{second:?}");
        let line = second.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
        let year = "since 20";
        for part in
            [&format!("pid {}", hansard.id()), year, &hansard.proxy().unwrap().to_string(), "`hansard up` runs already"]
        {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    config.sql("SELECT 1").context("the first one still answers").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_to_type_for_each_fault_of_keys_and_ports() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let (jwks, private) = (config.folder().join("keys/jwks.json"), config.folder().join("keys/private.pem"));
    let (good_set, good_key) = (std::fs::read_to_string(&jwks).unwrap(), std::fs::read_to_string(&private).unwrap());
    let symmetric = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}]}"#;
    let with_private = good_set.replacen("\"x\"", "\"d\": \"AAAA\", \"x\"", 1);
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    for (set, key, part, says) in [
        (symmetric, good_key.as_str(), "issuer ci:", "symmetric keys alone"),
        (&with_private, &good_key, "issuer ci:", "is a private one"),
        (&good_key, &good_key, "issuer ci:", "is in PEM"),
        ("{\"keys\":[]}", &good_key, "issuer ci:", "no public key"),
        (&good_set, "not a key", "issuer ci private_key_file:", "is not an Ed25519, P-256 or RSA key"),
        (&good_set, public, "issuer ci private_key_file:", "is public"),
    ] {
        std::fs::write(&jwks, set).unwrap();
        std::fs::write(&private, key).unwrap();
        let check = config.run("check", &[]).unwrap();
        assert_eq!(check.code, Some(1), "{says}: {check:?}");
        let line = check.stdout.lines().find(|line| line.starts_with("WRONG") && line.contains(part));
        let line = line.unwrap_or_else(|| panic!("{part} in {check:?}"));
        assert!(line.contains(says) && line.contains("hansard token"), "{line}");
        assert!(!line.contains("panicked") && !line.contains("MCow"), "{line}");
    }
    std::fs::write(&jwks, &good_set).unwrap();
    std::fs::write(&private, &good_key).unwrap();

    // Faults of the file: all of them, a line each.
    let text = std::fs::read_to_string(config.file()).unwrap();
    let twice = text
        .replace("[web]\nlisten = \"127.0.0.1:0\"", "[web]\nlisten = \"127.0.0.1:6999\"")
        .replace("[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \"127.0.0.1:6999\"")
        .replace("flush_interval = \"500ms\"", "flush_interval = \"soon\"")
        .replace("audience", "audiance");
    std::fs::write(config.file(), twice).unwrap();
    let check = config.run("check", &[]).unwrap();
    assert_eq!(check.code, Some(2), "{check:?}");
    let lines: Vec<&str> = check.stderr.lines().collect();
    for part in ["did you mean `audience`?", "lake.flush_interval", "such as `listen = \"127.0.0.1:7000\"`"] {
        assert!(lines.iter().any(|line| line.starts_with("error: ") && line.contains(part)), "{part} in {lines:?}");
    }
    assert_eq!(lines.len(), 3, "{lines:?}");
    std::fs::set_permissions(config.folder(), Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_learns_the_id_of_its_session() {
    let postgres = Postgres::start().await.unwrap();
    for (setting, told) in [("", true), ("[proxy]\nsession_id = \"off\"", false)] {
        let config = Config::new(&postgres, &Settings { more: setting.to_owned(), ..Settings::default() }).unwrap();
        let hansard = config.start("up").unwrap();
        let token = config.token("ci").unwrap();
        let job = hansard.connect(&token).await.unwrap();
        job.batch_execute("SELECT 1").await.unwrap();
        // libpq's program shows what it is told by a NOTICE, and keeps a parameter to itself.
        let mut psql = postgres.client_program("psql");
        let address = hansard.proxy().unwrap();
        psql.args(["-h", "127.0.0.1", "-p", &address.port().to_string(), "-U", "app", DATABASE, "-Atc", "SELECT 42"]);
        let psql = run(psql.env("PGPASSWORD", &token)).unwrap();
        assert_eq!((psql.code, psql.stdout.trim(), psql.stderr.as_str()), (Some(0), "42", ""), "{psql:?}");
        drop(job);
        // A driver that keeps what it is told, as libpq does for it.
        let ask =
            "import os, psycopg; print(psycopg.connect(os.environ['DSN']).info.parameter_status('hansard.session'))";
        let dsn = format!("host=127.0.0.1 port={} user=app dbname={DATABASE} password={token}", address.port());
        let python = std::env::var_os("HANSARD_PYTHON").expect("HANSARD_PYTHON names a Python with psycopg");
        let kept = succeed(Command::new(python).args(["-c", ask]).env("DSN", dsn)).unwrap().trim().to_owned();
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let sql = "SELECT s.session_id, f.frame FROM sessions s LEFT JOIN frames f ON f.session_id = s.session_id \
                   AND f.tag = 'S' AND f.direction = 'backend' AND f.seq < 10 WHERE s.job = 'ci'";
        let rows = config.sql(sql).unwrap();
        let (mut sessions, mut learnt) = (HashSet::new(), HashSet::new());
        for row in &rows {
            let id = row["session_id"].as_str().unwrap();
            sessions.insert(id);
            if row["frame"].as_str().is_some_and(|frame| frame.ends_with(&hex(&format!("hansard.session\0{id}\0")))) {
                learnt.insert(id);
            }
        }
        assert_eq!((sessions.len(), learnt.len()), (3, if told { 3 } else { 0 }), "{rows:?}");
        assert!(if told { learnt.contains(kept.as_str()) } else { kept == "None" }, "{kept} in {rows:?}");
    }
}
