//! Suites of drivers: in C++, in Python, in Rust and in Go.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use hansard_tests::conformance::Stage;

use crate::{Outcomes, Sources, Suite, Work, bounded};

/// Longest time for one run of a suite, in seconds.
const PATIENCE: u32 = 1500;

const OWN_PASSWORD: &str = "connects as a role with a password of its own; through Hansard the password is a token";

pub(crate) fn suites() -> Vec<Suite> {
    vec![
        Suite {
            name: "tokio-postgres",
            work: Work::Tests(
                |stage, sources| cargo_test(stage, sources, "tokio-postgres", &["--test", "test"]),
                of_cargo,
                &[(
                    "postgres",
                    &[
                        "CREATE ROLE pass_user LOGIN",
                        "CREATE ROLE md5_user LOGIN",
                        "CREATE ROLE scram_user LOGIN",
                        "DO $$ BEGIN EXECUTE format('ALTER ROLE pass_user PASSWORD %L', (SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres')); END $$",
                        "DO $$ BEGIN EXECUTE format('ALTER ROLE md5_user PASSWORD %L', (SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres')); END $$",
                        "DO $$ BEGIN EXECUTE format('ALTER ROLE scram_user PASSWORD %L', (SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres')); END $$",
                        "CREATE EXTENSION hstore",
                        "CREATE EXTENSION citext",
                        "CREATE EXTENSION ltree",
                    ],
                )],
            ),
            excluded: &[("runtime::unix_socket", "ignored by the suite itself")],
        },
        Suite {
            name: "postgres",
            work: Work::Tests(|stage, sources| cargo_test(stage, sources, "postgres", &["--lib"]), of_cargo, &[]),
            excluded: &[],
        },
        Suite {
            name: "psycopg2",
            work: Work::Tests(
                |stage, sources| {
                    let mut pytest = pytest(stage, sources, "psycopg2", &["tests"]);
                    pytest.env("PSYCOPG2_TESTDB", "psycopg2_test");
                    Ok(pytest)
                },
                of_pytest,
                &[("psycopg2_test", &["CREATE EXTENSION hstore"])],
            ),
            excluded: &[("test_replication", "replication connections do not go through Hansard")],
        },
        Suite {
            name: "asyncpg",
            work: Work::Tests(
                |stage, sources| {
                    let mut pytest =
                        pytest(stage, sources, "asyncpg", &["-o", "addopts=", "--import-mode=importlib", "tests"]);
                    pytest.env("PGDATABASE", "postgres");
                    Ok(pytest)
                },
                of_pytest,
                &[("postgres", &["CREATE EXTENSION hstore"])],
            ),
            excluded: &[],
        },
        Suite {
            name: "pg8000",
            work: Work::Tests(
                |stage, sources| {
                    let left_out = [
                        "--benchmark-disable",
                        "--ignore=test/dbapi/auth",
                        "--ignore=test/legacy/auth",
                        "--ignore=test/native/auth",
                    ];
                    Ok(pytest(stage, sources, "pg8000", &[&["test"][..], &left_out].concat()))
                },
                of_pytest,
                &[("pg8000", &[]), ("postgres", &["CREATE EXTENSION hstore"])],
            ),
            excluded: &[
                ("/auth/", "changes pg_hba.conf's methods, and connects by other means than a token"),
                ("test_password_bytes", OWN_PASSWORD),
                ("testBytesPassword", OWN_PASSWORD),
                ("test_bytes_password", OWN_PASSWORD),
                ("test_broken_pipe", "ends its own connection and looks at what the socket says just then"),
            ],
        },
        Suite {
            name: "pygresql",
            work: Work::Tests(
                |stage, sources| {
                    let mut pytest = pytest(stage, sources, "pygresql", &["tests"]);
                    pytest.env("PGDATABASE", "test");
                    Ok(pytest)
                },
                of_pytest,
                &[("test", &["CREATE EXTENSION hstore"])],
            ),
            excluded: &[],
        },
        Suite {
            name: "libpqxx",
            work: Work::Tests(
                |stage, sources| {
                    let mut runners = bounded(Path::new("sh"), PATIENCE);
                    stage.surround(&mut runners);
                    runners
                        .args(["-c", "./runner; ./unit"])
                        .current_dir(sources.of("libpqxx"))
                        .env("PGDATABASE", "pqxx");
                    Ok(runners)
                },
                of_libpqxx,
                &[("pqxx", &[])],
            ),
            excluded: &[],
        },
        sqlalchemy("sqlalchemy-psycopg"),
        sqlalchemy("sqlalchemy-asyncpg"),
        Suite {
            name: "lib-pq",
            work: Work::Tests(
                |stage, sources| {
                    let mut go = go_test(stage, sources, "lib-pq", &["github.com/lib/pq"]);
                    let ssl = if stage.tls() { "require" } else { "disable" };
                    go.env("PGDATABASE", "pqgotest").env("PGSSLMODE", ssl).env("PQTEST_BINARY_PARAMETERS", "no");
                    Ok(go)
                },
                of_go,
                &[("pqgotest", &[])],
            ),
            excluded: &[
                ("TestSSL", "needs a server with certificates of the suite's own"),
                ("TestPGPass", OWN_PASSWORD),
                (
                    "TestErrorDuringStartup",
                    "asks for a role that is not there; through Hansard the role is the target's own",
                ),
            ],
        },
        Suite {
            name: "pgx",
            work: Work::Tests(
                |stage, sources| {
                    let packages = [
                        "github.com/jackc/pgconn",
                        "github.com/jackc/pgx/v4",
                        "github.com/jackc/pgx/v4/pgxpool",
                        "github.com/jackc/pgx/v4/stdlib",
                        "github.com/jackc/pgtype",
                    ];
                    let mut go = go_test(stage, sources, "pgx", &packages);
                    let (port, password) = (stage.port(), stage.token());
                    let keys = format!("host=127.0.0.1 port={port} user=postgres password={password} dbname=pgx_test");
                    let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/pgx_test");
                    go.env("PGX_TEST_DATABASE", &url).env("PGX_TEST_TCP_CONN_STRING", &keys);
                    go.env("PGX_TEST_CONN_STRING", &keys).env("PGDATABASE", "pgx_test");
                    Ok(go)
                },
                of_go,
                &[(
                    "pgx_test",
                    &["CREATE DOMAIN uint64 AS numeric(20,0)", "CREATE EXTENSION hstore", "CREATE EXTENSION ltree"],
                )],
            ),
            excluded: &[],
        },
    ]
}

/// SQLAlchemy's suite of its PostgreSQL dialect, with the driver that the name ends with.
fn sqlalchemy(name: &'static str) -> Suite {
    let command = match name {
        "sqlalchemy-psycopg" => |stage: &Stage, sources: &Sources| Ok(sqlalchemy_with(stage, sources, "psycopg")),
        _ => |stage: &Stage, sources: &Sources| Ok(sqlalchemy_with(stage, sources, "asyncpg")),
    };
    Suite {
        name,
        work: Work::Tests(
            command,
            of_pytest,
            &[(
                "sa",
                &[
                    "CREATE SCHEMA test_schema",
                    "CREATE SCHEMA test_schema_2",
                    "CREATE EXTENSION hstore",
                    "CREATE EXTENSION citext",
                    "ALTER DATABASE sa SET default_text_search_config = 'pg_catalog.simple'",
                ],
            )],
        ),
        excluded: &[],
    }
}

fn sqlalchemy_with(stage: &Stage, sources: &Sources, driver: &str) -> Command {
    let url = format!("postgresql+{driver}://postgres:{}@127.0.0.1:{}/sa", stage.token(), stage.port());
    let tests = ["test/dialect/postgresql", "test/dialect/test_suite.py", "test/engine/test_reconnect.py"];
    let name = if driver == "psycopg" { "sqlalchemy-psycopg" } else { "sqlalchemy-asyncpg" };
    let mut pytest = pytest(stage, sources, name, &tests);
    pytest.args(["--dburi", &url]);
    pytest
}

fn pytest(stage: &Stage, sources: &Sources, suite: &str, arguments: &[&str]) -> Command {
    let mut command = bounded(&sources.folder.join("venv/bin/python"), PATIENCE);
    stage.surround(&mut command);
    command.args(["-m", "pytest", "-q", "-rfEp", "--tb=short", "-p", "no:cacheprovider"]).args(arguments);
    command.current_dir(sources.of(suite)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// `PASSED name`, `FAILED name - reason`, `ERROR name - reason` in pytest's summary.
fn of_pytest(printed: &str) -> Outcomes {
    let summary = printed.rfind("short test summary info").map_or("", |at| &printed[at..]);
    let mut outcomes = Outcomes::new();
    for line in summary.lines() {
        let Some((word, name)) = line.split_once(' ') else { continue };
        let name = name.split(" - ").next().unwrap_or(name).trim();
        match word {
            // A test that passes and whose end fails is an ERROR as well.
            "PASSED" => drop(outcomes.entry(name.to_owned()).or_insert(true)),
            "FAILED" | "ERROR" => drop(outcomes.insert(name.to_owned(), false)),
            _ => {}
        }
    }
    outcomes
}

/// `Running: name`, and in the end the names of those that failed, each behind a tab. One that another follows has ended.
fn of_libpqxx(printed: &str) -> Outcomes {
    let mut outcomes = Outcomes::new();
    let mut running: Option<&str> = None;
    for line in printed.lines() {
        let begins = line.strip_prefix("Running: ");
        if (begins.is_some() || line.starts_with("Ran "))
            && let Some(ended) = running.take()
        {
            outcomes.insert(ended.to_owned(), true);
        }
        if let Some(name) = begins {
            outcomes.insert(name.to_owned(), false);
            running = begins;
        }
    }
    for list in printed.split("test(s) failed: ***\n").skip(1) {
        let failed = list.lines().map_while(|line| line.strip_prefix('\t'));
        outcomes.extend(failed.map(|name| (name.to_owned(), false)));
    }
    outcomes
}

/// A crate's own tests, with the stage's port and password in the place of the suite's.
fn cargo_test(stage: &Stage, sources: &Sources, suite: &str, arguments: &[&str]) -> Result<Command> {
    let (port, password) = (stage.port().to_string(), format!("password={}", stage.token()));
    let ours = |text: &str| {
        let text = text.replace("5433", &port).replace("password=password", &password);
        text.replace("user=postgres", &format!("user=postgres {password}"))
    };
    let patched = sources.folder.join("patched").join(suite);
    copy_patched(&sources.of(suite), &patched, &ours)?;
    let mut command = bounded(Path::new(&std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())), PATIENCE);
    stage.surround(&mut command);
    command
        .current_dir(patched)
        .env("CARGO_TARGET_DIR", sources.folder.join("target"))
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .args(["test", "--quiet", "--no-fail-fast"])
        .args(arguments)
        .args(["--", "--format=pretty", "--test-threads=4"]);
    Ok(command)
}

/// Copies a crate; a file that is there already as it should be is not touched, so that nothing is built for it.
fn copy_patched(from: &Path, to: &Path, ours: &dyn Fn(&str) -> String) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_patched(&from, &to, ours)?;
            continue;
        }
        let mut content = std::fs::read(&from)?;
        if from.extension().is_some_and(|extension| extension == "rs") {
            content = ours(&String::from_utf8(content)?).into_bytes();
        }
        if !std::fs::read(&to).is_ok_and(|present| present == content) {
            std::fs::write(&to, content)?;
        }
    }
    Ok(())
}

/// `test name ... ok`.
fn of_cargo(printed: &str) -> Outcomes {
    let tests = printed.lines().filter_map(|line| line.strip_prefix("test ")?.rsplit_once(" ... "));
    tests.filter(|(_, word)| !word.starts_with("ignored")).map(|(name, word)| (name.to_owned(), word == "ok")).collect()
}

/// Packages' tests, of Go sources that Debian installs.
fn go_test(stage: &Stage, sources: &Sources, suite: &str, packages: &[&str]) -> Command {
    let mut command = bounded(Path::new("go"), PATIENCE);
    stage.surround(&mut command);
    command
        .current_dir(sources.of(suite))
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOCACHE", sources.folder.join("go-cache"))
        .env("GOFLAGS", "-buildvcs=false")
        .args(["test", "-v", "-count=1", "-p=1", "-vet=off"])
        .args(packages);
    command
}

/// `--- PASS: name (seconds)`, of one package after the other.
fn of_go(printed: &str) -> Outcomes {
    let mut outcomes = Outcomes::new();
    let mut waiting: Vec<(String, bool)> = Vec::new();
    for line in printed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["---", "PASS:", name, ..] => waiting.push((name.to_owned(), true)),
            ["---", "FAIL:", name, ..] => waiting.push((name.to_owned(), false)),
            ["ok" | "FAIL", package, ..] if package.contains('/') => {
                outcomes.extend(waiting.drain(..).map(|(name, passed)| (format!("{package} {name}"), passed)));
            }
            _ => {}
        }
    }
    outcomes
}
