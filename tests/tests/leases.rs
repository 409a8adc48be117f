//! Leases: given for a token, used by SCRAM, revoked, and told by the record.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop where it stands")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hansard_tests::hansard::{Settings, get};
use hansard_tests::postgres::DATABASE;
use hansard_tests::process::{run, succeed};
use hansard_tests::{Config, Nats, Postgres, eventually, lake};
use serde_json::Value;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};

const PATIENCE: Duration = Duration::from_secs(60);

/// What the issue promises: a session whose right is revoked has ended by then.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// A lease as `hansard lease request --format json` tells it.
struct Lease {
    user: String,
    password: String,
    told: Value,
}

fn lease_command(config: &Config, token: &str, arguments: &[&str]) -> Command {
    let mut command = config.command("lease");
    command.args(arguments).env("HANSARD_TOKEN", token);
    command
}

fn lease(config: &Config, token: &str, more: &[&str]) -> Lease {
    let asked = ["request", "--target", "ranking", "--role", "app", "--format", "json"];
    let told = succeed(&mut lease_command(config, token, &[&asked, more].concat())).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    Lease { user: text("user"), password: text("password"), told }
}

async fn connect(
    address: SocketAddr,
    user: &str,
    password: &str,
    database: &str,
) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host(address.ip().to_string()).port(address.port());
    config.user(user).password(password).dbname(database).ssl_mode(SslMode::Disable);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// SQLSTATE and message of a refusal.
async fn refused(address: SocketAddr, user: &str, password: &str, database: &str) -> (String, String) {
    let error = connect(address, user, password, database).await.expect_err("it is refused");
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
    (error.code().code().to_owned(), error.message().to_owned())
}

/// Waits until a client's session has ended; how long that took since `since`.
async fn ended(client: &Client, since: Instant) -> Duration {
    while !client.is_closed() {
        assert!(since.elapsed() < PATIENCE, "the session goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    since.elapsed()
}

fn other_target(postgres: &Postgres) -> String {
    format!(
        "[[targets]]\nname = \"other\"\nlisten = \"127.0.0.1:0\"\nupstream = \"postgres://app@127.0.0.1:{}\"\n\
         upstream_password_file = \"secrets/upstream\"\n",
        postgres.port()
    )
}

fn address(config: &Config, service: &str, target: &str) -> SocketAddr {
    let note = std::fs::read(config.data().join(format!("run/{service}.json"))).unwrap();
    let note: Value = serde_json::from_slice(&note).unwrap();
    note["targets"][target].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_good_for_what_it_was_given_for_and_nothing_else() {
    let postgres = Postgres::start().await.unwrap();
    let settings = Settings { more: other_target(&postgres), ..Settings::default() };
    let config = Config::new(&postgres, &settings).unwrap();
    let mut hansard = config.start("up").unwrap();
    let (proxy, other) = (hansard.proxy().unwrap(), address(&config, "up", "other"));
    let token = config.token("nightly").unwrap();

    let given = lease(&config, &token, &["--purpose", "TICKET-1", "--for", "10m"]);
    let mut psql = postgres.client_program("psql");
    psql.args(["-X", "-A", "-t", "-c", "SELECT 'by psql'"]).env("PGDATABASE", DATABASE);
    for (name, value) in given.told["environment"].as_object().unwrap() {
        psql.env(name, value.as_str().unwrap());
    }
    assert_eq!(succeed(&mut psql).unwrap().trim(), "by psql");
    psycopg(&given);

    // Whoever does not know the password learns nothing, not even whether there is such a lease.
    let nobody = format!("lease-{}", "0".repeat(32));
    let unknown = refused(proxy, &nobody, &given.password, DATABASE).await;
    assert_eq!(refused(proxy, &given.user, "wrong", DATABASE).await, unknown);
    assert_eq!(unknown.0, "28P01");
    // A lease is no password, and its password no token.
    assert_eq!(refused(proxy, "app", &given.password, DATABASE).await.0, "28P01");

    let (code, message) = refused(other, &given.user, &given.password, DATABASE).await;
    assert_eq!((code.as_str(), message.as_str()), ("28000", "the lease is for another target"));
    let one = lease(&config, &token, &["--database", DATABASE]);
    assert!(connect(proxy, &one.user, &one.password, DATABASE).await.is_ok());
    assert_eq!(refused(proxy, &one.user, &one.password, "postgres").await.1, "the lease is for another database");
    let bound = lease(&config, &token, &["--certificate-sha256", &"ab".repeat(32)]);
    let (code, message) = refused(proxy, &bound.user, &bound.password, DATABASE).await;
    assert_eq!((code.as_str(), message.as_str()), ("28000", "the lease is bound to a certificate that was not shown"));

    let twice = lease(&config, &token, &["--connections", "2"]);
    let mut held = Vec::new();
    let tries = (0..5).map(|_| connect(proxy, &twice.user, &twice.password, DATABASE));
    let (mut in_, mut out) = (0, 0);
    for tried in futures::future::join_all(tries).await {
        match tried {
            Ok(client) => {
                held.push(client);
                in_ += 1;
            }
            Err(error) => {
                assert_eq!(error.code().unwrap().code(), "28000");
                out += 1;
            }
        }
    }
    assert_eq!((in_, out), (2, 3));

    let short = lease(&config, &token, &["--for", "2s"]);
    let client = connect(proxy, &short.user, &short.password, DATABASE).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(client.is_closed(), "its time has come");
    assert_eq!(refused(proxy, &short.user, &short.password, DATABASE).await.0, "28P01");

    // What there is to know of it.
    let row = &config.sql(&format!("SELECT * FROM leases WHERE id = '{}'", given.user)).unwrap()[0];
    for (column, value) in [
        ("target", "ranking"),
        ("role", "app"),
        ("job", "nightly"),
        ("subject", "nightly"),
        ("issuer", "ci"),
        ("purpose", "TICKET-1"),
    ] {
        assert_eq!(row[column], value, "{column} of {row}");
    }
    let sessions = "SELECT job, db_user, purpose, authentication, lease FROM sessions WHERE lease IS NOT NULL AND purpose IS NOT NULL";
    let rows = config.sql(sessions).unwrap();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in rows {
        assert_eq!((&row["job"], &row["db_user"]), (&"nightly".into(), &"app".into()));
        assert_eq!((&row["lease"], &row["authentication"]), (&given.user.clone().into(), &"scram-sha-256".into()));
    }
    let failures = "SELECT count(*) AS n FROM sessions WHERE auth_failure LIKE '28%'";
    assert_eq!(config.sql(failures).unwrap()[0]["n"], 9 + 1, "one for each refusal");
    drop(held);

    // No row twice, and none missing, when the lake has them.
    let leases = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM leases";
    assert_eq!(config.sql(leases).unwrap()[0], serde_json::json!({ "n": 5, "ids": 5 }));
    assert!(hansard.stop().unwrap().success());
    assert_eq!(config.sql(leases).unwrap()[0], serde_json::json!({ "n": 5, "ids": 5 }));
}

fn psycopg(lease: &Lease) {
    let Some(python) = std::env::var_os("HANSARD_PYTHON") else { panic!("HANSARD_PYTHON is not set") };
    let script =
        "import os, psycopg\nwith psycopg.connect('') as c: print(c.execute(\"SELECT 'by psycopg'\").fetchone()[0])";
    let mut command = Command::new(python);
    command.args(["-c", script]).env("PGDATABASE", DATABASE);
    for (name, value) in lease.told["environment"].as_object().unwrap() {
        command.env(name, value.as_str().unwrap());
    }
    assert_eq!(succeed(&mut command).unwrap().trim(), "by psycopg");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_ends_within_a_second() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut hansard = config.start("up").unwrap();
    let proxy = hansard.proxy().unwrap();
    let token = config.token("nightly").unwrap();
    let other = config.token("other").unwrap();
    let bystander = hansard.connect(&other).await.unwrap();

    let given = lease(&config, &token, &[]);
    let idle = connect(proxy, &given.user, &given.password, DATABASE).await.unwrap();
    let busy = connect(proxy, &given.user, &given.password, DATABASE).await.unwrap();
    let sleeping = tokio::spawn(async move { (busy.batch_execute("SELECT pg_sleep(60)").await, Instant::now(), busy) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Another job may not.
    let by_another = run(&mut lease_command(&config, &other, &["revoke", &given.user])).unwrap();
    assert_eq!(by_another.code, Some(1), "{by_another:?}");
    let began = Instant::now();
    config.ask("lease", &["revoke", &given.user, "--reason", "stolen"]).unwrap();
    let revoked = Instant::now();
    assert!(ended(&idle, revoked).await < ENDS_WITHIN);
    let (slept, at, busy) = sleeping.await.unwrap();
    assert!(ended(&busy, revoked).await < ENDS_WITHIN);
    assert!(slept.is_err() && at.saturating_duration_since(revoked) < ENDS_WITHIN, "{slept:?} {:?}", began.elapsed());
    assert_eq!(refused(proxy, &given.user, &given.password, DATABASE).await.1, "the lease was revoked");
    let rows = config.sql("SELECT revoked_by, reason, revoked_at IS NOT NULL AS at FROM leases").unwrap();
    assert_eq!(rows, [serde_json::json!({ "revoked_by": "owner", "reason": "stolen", "at": true })]);
    // Nothing runs on at the database.
    let superuser = postgres.superuser(DATABASE).await.unwrap();
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()";
    let running: i64 = superuser.query_one(running, &[]).await.unwrap().get(0);
    assert_eq!(running, 0);

    // By what a token says, and the lease that was given for it with it.
    let given = lease(&config, &token, &[]);
    let by_lease = connect(proxy, &given.user, &given.password, DATABASE).await.unwrap();
    let by_token = hansard.connect(&token).await.unwrap();
    config.ask("revoke", &["--subject", "nightly", "--issuer", "ci", "--for", "10m"]).unwrap();
    let revoked = Instant::now();
    assert!(ended(&by_lease, revoked).await < ENDS_WITHIN && ended(&by_token, revoked).await < ENDS_WITHIN);
    assert_eq!(refused(proxy, "app", &token, DATABASE).await.0, "28000");
    let asked = run(&mut lease_command(&config, &token, &["request", "--target", "ranking", "--role", "app"])).unwrap();
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(!bystander.is_closed());
    config.ask("revoke", &["--job", "other"]).unwrap();
    assert!(ended(&bystander, Instant::now()).await < ENDS_WITHIN);

    // After kill -9 it is as it was.
    hansard.kill().unwrap();
    let hansard = config.start("up").unwrap();
    let proxy = hansard.proxy().unwrap();
    eventually("the feed is read", PATIENCE, || {
        let (_, ready) = get(hansard.admin()?, "/readyz")?;
        anyhow::ensure!(!ready.contains("lease"), "{ready}");
        Ok(())
    })
    .unwrap();
    assert_eq!(refused(proxy, &given.user, &given.password, DATABASE).await.1, "the lease was revoked");
    assert_eq!(refused(proxy, "app", &other, DATABASE).await.0, "28000");
    let reasons = "SELECT close_reason, count(*) AS n FROM sessions WHERE close_reason = 'revoked' GROUP BY 1";
    assert_eq!(config.sql(reasons).unwrap()[0]["n"], 5 + 2, "those that were open, and tokens that were refused by it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_may_finish_where_that_is_wanted() {
    let postgres = Postgres::start().await.unwrap();
    let settings = Settings { more: "[leases]\non_revocation = \"finish\"\n".to_owned(), ..Settings::default() };
    let config = Config::new(&postgres, &settings).unwrap();
    let hansard = config.start("up").unwrap();
    let given = lease(&config, &config.token("nightly").unwrap(), &[]);
    let client = connect(hansard.proxy().unwrap(), &given.user, &given.password, DATABASE).await.unwrap();
    let running = tokio::spawn(async move {
        let row = client.query_one("SELECT pg_sleep(2)::text, 'finished'", &[]).await;
        (row.map(|row| row.get::<_, String>(1)), client)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    config.ask("lease", &["revoke", &given.user]).unwrap();
    let (finished, client) = running.await.unwrap();
    assert_eq!(finished.unwrap(), "finished");
    assert!(ended(&client, Instant::now()).await < ENDS_WITHIN);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_proxies_know_at_once_what_is_revoked() {
    let mut nats = Nats::start().unwrap();
    let postgres = Postgres::start().await.unwrap();
    let event_log = format!("shards = 2\n{}", nats.event_log());
    let settings = Settings { event_log, ..Settings::default() };
    let [one, two] = [(), ()].map(|()| Config::new(&postgres, &settings).unwrap());
    for key in ["jwks.json", "private.pem"] {
        std::fs::copy(one.folder().join("keys").join(key), two.folder().join("keys").join(key)).unwrap();
    }
    let first = one.start("up").unwrap();
    let mut second = two.start("proxy").unwrap();
    let token = one.token("nightly").unwrap();
    let given = lease(&one, &token, &["--connections", "4"]);
    let proxies = [first.proxy().unwrap(), second.proxy().unwrap()];
    let mut clients = Vec::new();
    for proxy in proxies {
        let client = eventually("the lease is known", PATIENCE, || {
            let connecting = connect(proxy, &given.user, &given.password, DATABASE);
            Ok(tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(connecting))?)
        });
        clients.push(client.unwrap());
    }
    // Counted together, by whichever proxy.
    for proxy in proxies {
        clients.push(connect(proxy, &given.user, &given.password, DATABASE).await.unwrap());
    }
    for proxy in proxies {
        assert_eq!(refused(proxy, &given.user, &given.password, DATABASE).await.0, "28000");
    }
    one.ask("lease", &["revoke", &given.user]).unwrap();
    let revoked = Instant::now();
    for client in &clients {
        assert!(ended(client, revoked).await < ENDS_WITHIN);
    }
    second.kill().unwrap();
    let second = two.start("proxy").unwrap();
    let refusal = refused(second.proxy().unwrap(), &given.user, &given.password, DATABASE).await;
    assert!(refusal.0 == "28000" || refusal.0 == "28P01", "{refusal:?}");
    // Where the feed is not reached, no lease is given, and that is said.
    nats.kill().unwrap();
    let asked = run(&mut lease_command(&one, &token, &["request", "--target", "ranking", "--role", "app"])).unwrap();
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.stderr.contains("is not done"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_a_lease_of_its_own_and_its_password_is_nowhere_else() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut hansard = config.start("up").unwrap();
    let token = config.token("nightly").unwrap();
    std::fs::write(config.folder().join("token"), &token).unwrap();
    let web = format!("http://{}", hansard.web().unwrap());
    let file = config.folder().join("token");
    let run_in = |script: &str| {
        let mut command = config.command("lease");
        command.args(["run", "--target", "ranking", "--role", "app", "--url", &web, "--token-file"]).arg(&file);
        command.args(["--", "sh", "-c", script]).env("PGDATABASE", DATABASE);
        let psql = postgres.client_program("psql");
        command.env("PSQL", psql.get_program());
        run(&mut command).unwrap()
    };
    let ran = run_in("echo \"$PGPASSWORD\"; \"$PSQL\" -X -A -t -c \"SELECT 'in a command'\"; exit 7");
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let mut lines = ran.stdout.lines();
    let password = lines.next().unwrap().to_owned();
    assert_eq!(lines.next(), Some("in a command"), "{ran:?}");
    assert_eq!(run_in("kill -TERM $$").code, Some(128 + 15));
    let rows = config.sql("SELECT count(*) AS n FROM leases WHERE reason = 'the command has ended'").unwrap();
    assert_eq!(rows[0]["n"], 2, "{rows:?}");

    let given = lease(&config, &token, &[]);
    let client = connect(hansard.proxy().unwrap(), &given.user, &given.password, DATABASE).await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
    let listed = config.ask("lease", &["list"]).unwrap();
    assert!(listed.contains(&given.user), "{listed}");
    let passwords = [password, given.password];
    let (_, metrics) = get(hansard.admin().unwrap(), "/metrics").unwrap();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!passwords.iter().any(|password| holds(&command, password)), "{}", process.path().display());
    }
    assert!(hansard.stop().unwrap().success());
    for password in &passwords {
        assert!(!metrics.contains(password.as_str()) && !hansard.logged().contains(password.as_str()));
        assert!(!lake::holds(&config.data().join("lake"), password.as_bytes()).unwrap());
        let found = file_with(config.folder(), password);
        assert_eq!(found, None, "of {}", config.folder().display());
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A file below a folder that has the text in it, as it stands there.
fn file_with(folder: &Path, text: &str) -> Option<std::path::PathBuf> {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let found = match path.is_dir() {
            true => file_with(&path, text),
            false => std::fs::read(&path).is_ok_and(|bytes| holds(&bytes, text)).then_some(path),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
