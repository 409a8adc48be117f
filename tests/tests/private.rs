//! The record is private: whatever the umask, only its owner (and a group that is named) can read it, and the owner's
//! token is given to nobody but the instance itself.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fs::Permissions;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{bail, ensure};
use hansard_tests::hansard::Settings;
use hansard_tests::{Config, Hansard, Postgres, eventually, lake};

/// Everything in a folder, itself included, with its mode.
fn modes(folder: &Path) -> Vec<(PathBuf, std::fs::Metadata)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        // What is renamed or deleted meanwhile is found by another name, or is no more.
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_dir() {
            open.extend(std::fs::read_dir(&path).into_iter().flatten().map(|entry| entry.unwrap().path()));
        }
        found.push((path, metadata));
    }
    found
}

/// As it is started by somebody with another umask.
fn start_with_umask(config: &Config, umask: &str) -> Hansard {
    let start = |command: &mut Command| {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("umask {umask}; exec \"$@\"")).arg("sh").arg(command.get_program());
        shell.args(command.get_args());
        *command = shell;
    };
    config.start_with("up", start).unwrap()
}

/// A session in log and lake.
async fn record(config: &Config, hansard: &Hansard) {
    let job = hansard.connect(&config.token("writer").unwrap()).await.unwrap();
    job.batch_execute("CREATE TABLE private_notes (text text); INSERT INTO private_notes VALUES ('x')").await.unwrap();
    drop(job);
    eventually("the session is in the lake", Duration::from_secs(30), || {
        if lake::files(&config.data().join("lake")).is_empty() { bail!("no files") } else { Ok(()) }
    })
    .unwrap();
    assert_eq!(config.sql("SELECT job FROM sessions WHERE job = 'writer'").unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_is_its_owners_alone_whatever_the_umask() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let hansard = start_with_umask(&config, "000");
    record(&config, &hansard).await;
    let (mut files, mut sockets) = (0, 0);
    for (path, metadata) in modes(&config.data()) {
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.mode() & 0o7777, expected, "{}", path.display());
        files += usize::from(metadata.is_file());
        sockets += usize::from(metadata.file_type().is_socket());
    }
    assert!(files > 10 && sockets == 1, "{files} files and {sockets} sockets were looked at");
    for journal in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        assert!(config.data().join(journal).exists(), "{journal} was looked at");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_named_can_read_the_record_and_no_secret() {
    let postgres = Postgres::start().await.unwrap();
    // Whoever is not root can give files to groups of its own only.
    let own = tempfile::tempdir().unwrap().path().metadata().unwrap().gid();
    let group = if own == 0 { 1 } else { own };
    let settings = Settings { recording: format!("group = \"{group}\""), ..Settings::default() };
    let config = Config::new(&postgres, &settings).unwrap();
    let hansard = start_with_umask(&config, "077");
    record(&config, &hansard).await;
    // A file is its owner's alone for a moment after it is made.
    eventually("all is the group's", Duration::from_secs(30), || {
        for (path, metadata) in modes(&config.data()) {
            let expected = match (metadata.is_dir(), metadata.file_type().is_socket()) {
                (true, _) => 0o2750,
                (_, true) => 0o660,
                _ if path.ends_with("api-token") => 0o600,
                _ => 0o640,
            };
            ensure!(metadata.mode() & 0o7777 == expected, "{}: {:o}", path.display(), metadata.mode());
            ensure!(metadata.gid() == group, "{}: group {}", path.display(), metadata.gid());
        }
        Ok(())
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_others_could_read_is_closed_at_the_start() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    drop(config.start("up").unwrap());
    for open in ["log", "lake", "run"] {
        std::fs::set_permissions(config.data().join(open), Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(config.data().join("catalog.db"), Permissions::from_mode(0o644)).unwrap();
    let hansard = config.start("up").unwrap();
    for (closed, mode) in [("log", 0o700), ("lake", 0o700), ("run", 0o700), ("catalog.db", 0o600)] {
        assert_eq!(config.data().join(closed).metadata().unwrap().mode() & 0o7777, mode, "{closed}");
    }
    assert!(hansard.logged().contains("others could read the record"), "{}", hansard.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_warns_where_others_can_read() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    drop(config.start("up").unwrap());
    let warnings = || {
        let check = config.run("check", &[]).unwrap();
        assert_eq!(check.code, Some(0), "{check:?}");
        check.stdout.lines().filter(|line| line.starts_with("warn")).map(str::to_owned).collect::<Vec<_>>()
    };
    std::fs::set_permissions(config.folder().join("secrets/upstream"), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(warnings(), Vec::<String>::new());
    // A folder that nobody else can pass hides what is in it.
    let secret = config.folder().join("keys/private.pem");
    std::fs::set_permissions(&secret, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(warnings(), Vec::<String>::new());
    for (folder, mode) in [("", 0o755), ("keys", 0o755), ("data", 0o755), ("data/lake", 0o755)] {
        std::fs::set_permissions(config.folder().join(folder), Permissions::from_mode(mode)).unwrap();
    }
    let found = warnings();
    assert_eq!(found.len(), 2, "{found:?}");
    let lake = config.data().join("lake");
    for (part, way) in [
        ("lake.url", format!("run: chmod -R o-rwx {}", lake.display())),
        ("issuer ci private_key_file", format!("run: chmod o-rwx {}", secret.display())),
    ] {
        assert!(found.iter().any(|line| line.contains(part) && line.contains(&way)), "{part} in {found:?}");
    }
    // What it says helps.
    for line in found {
        let command = line.split_once("run: ").unwrap().1;
        assert!(Command::new("sh").arg("-c").arg(command).status().unwrap().success(), "{command}");
    }
    let group: Vec<String> = warnings();
    assert!(
        group.len() == 2 && group.iter().all(|line| line.contains("can be read by its group; run: chmod ")),
        "{group:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_token_is_given_to_nobody_but_our_server() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut hansard = config.start("up").unwrap();
    let address = hansard.web().unwrap();
    record(&config, &hansard).await;
    let token = std::fs::read_to_string(config.data().join("api-token")).unwrap();
    // Killed: its note and its socket stay.
    hansard.kill().unwrap();
    let text = std::fs::read_to_string(config.file()).unwrap();
    let fixed = text.replace("[web]\nlisten = \"127.0.0.1:0\"", &format!("[web]\nlisten = \"{address}\""));
    assert_ne!(text, fixed);
    std::fs::write(config.file(), fixed).unwrap();
    // Somebody else takes the port, and hears all that is said to it.
    let listener = TcpListener::bind(address).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut said = [0; 4096];
            let length = stream.read(&mut said).unwrap_or(0);
            ear.lock().unwrap().push(String::from_utf8_lossy(&said[..length]).into_owned());
        }
    });
    for command in [&["sql", "SELECT 1"][..], &["sessions"], &["who-updated", "private_notes", "--at", "10:00Z"]] {
        config.run(command[0], &command[1..]).unwrap();
    }
    let heard = heard.lock().unwrap().clone();
    assert!(!heard.iter().any(|said| said.contains(token.trim())), "a stranger has the token: {heard:?}");
    assert_eq!(heard, Vec::<String>::new(), "a stranger was asked");
    assert_eq!(config.sql("SELECT job FROM sessions WHERE job = 'writer'").unwrap().len(), 1, "the files are asked");
}
