//! PostgreSQL's own tests and tools: the regression SQL through psql, contrib's, the isolation tests, libpq's pipelines
//! with their traces, and pgbench's scripts. Everything but the last is compared byte by byte.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use hansard_tests::conformance::Stage;
use hansard_tests::conformance::transcript::Transcript;
use hansard_tests::process::{run, succeed};

use crate::{Outcomes, Sources, Suite, Work, bounded};

/// Longest time for one script, in seconds.
const PATIENCE: u32 = 300;

const PORT: &str = "connects the server to itself, and prints the server's own port";

/// What `pg_regress` sets for its databases.
const REGRESSION: &[&str] = &[
    "ALTER DATABASE regression SET lc_messages TO 'C'",
    "ALTER DATABASE regression SET lc_monetary TO 'C'",
    "ALTER DATABASE regression SET lc_numeric TO 'C'",
    "ALTER DATABASE regression SET lc_time TO 'C'",
    "ALTER DATABASE regression SET bytea_output TO 'hex'",
    "ALTER DATABASE regression SET timezone_abbreviations TO 'Default'",
];

pub(crate) fn suites() -> Vec<Suite> {
    vec![
        Suite { name: "regress", work: Work::Output(regress, &[("regression", REGRESSION)]), excluded: &[] },
        Suite {
            name: "contrib",
            work: Work::Output(contrib, &[]),
            excluded: &[
                ("basic_archive", "waits for an archiver"),
                ("sepgsql", "needs SELinux"),
                ("dblink/dblink", PORT),
                ("postgres_fdw/postgres_fdw", PORT),
            ],
        },
        Suite { name: "isolation", work: Work::Output(isolation, &[("isolation_regression", &[])]), excluded: &[] },
        Suite { name: "libpq-pipeline", work: Work::Output(pipelines, &[]), excluded: &[] },
        Suite { name: "pgbench", work: Work::Tests(pgbench, of_pgbench, &[("bench", &[])]), excluded: &[] },
    ]
}

/// Copies a suite to where the database's server can read and write it; the same place for every stage.
fn workshop(stage: &Stage, from: &Path, name: &str) -> Result<PathBuf> {
    let to = stage.work().join(name);
    if to.exists() {
        std::fs::remove_dir_all(&to)?;
    }
    succeed(Command::new("cp").args(["-rL"]).arg(from).arg(&to))?;
    std::fs::create_dir_all(to.join("results"))?;
    succeed(Command::new("chmod").args(["-R", "a+rwX"]).arg(&to))?;
    Ok(to)
}

/// What a program prints, on both streams as they come. Scripts are read from standard input, as `pg_regress` does it:
/// where they are read as files, psql tells line numbers with notices, and which those are depends on when they come.
fn printed(command: &mut Command, input: &Path) -> Result<Vec<u8>> {
    let mut both = Command::new("sh");
    both.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(command.get_program()).args(command.get_args());
    both.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
        both.env_remove(name);
    }
    if let Some(folder) = command.get_current_dir() {
        both.current_dir(folder);
    }
    let input = std::fs::File::open(input).with_context(|| format!("cannot read {}", input.display()))?;
    let output = both.stdin(input).output().context("cannot start a shell")?;
    let mut printed = output.stdout;
    printed.extend(format!("\nexit code {:?}\n", output.status.code()).into_bytes());
    Ok(printed)
}

/// psql as `pg_regress` runs it.
fn psql(stage: &Stage, folder: &Path, database: &str, script: &Path) -> Command {
    let mut command = bounded(Path::new("psql"), PATIENCE);
    stage.surround(&mut command);
    command
        .current_dir(folder)
        .env("PGTZ", "PST8PDT")
        .env("PGDATESTYLE", "Postgres, MDY")
        .env("PGOPTIONS", "-c intervalstyle=postgres_verbose")
        .env("PGAPPNAME", script.file_stem().unwrap_or_default())
        .env("LC_ALL", "C")
        .env("PG_ABS_SRCDIR", folder)
        .env("PG_ABS_BUILDDIR", folder)
        .env("PG_LIBDIR", folder)
        .env("PG_DLSUFFIX", ".so")
        .args(["-X", "-a", "-q", "-d", database, "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on"]);
    command
}

/// The core regression tests, in the order of their schedule.
fn regress(stage: &Stage, sources: &Sources) -> Result<Transcript> {
    let folder = workshop(stage, &sources.of("regress"), "regress")?;
    std::fs::create_dir_all(folder.join("testtablespace"))?;
    succeed(Command::new("chmod").args(["-R", "a+rwX"]).arg(&folder))?;
    let schedule = std::fs::read_to_string(folder.join("parallel_schedule"))?;
    let mut transcript = Transcript::new();
    for test in schedule.lines().filter_map(|line| line.strip_prefix("test:")).flat_map(str::split_whitespace) {
        let script = folder.join("sql").join(format!("{test}.sql"));
        transcript.insert(test.to_owned(), printed(&mut psql(stage, &folder, "regression", &script), &script)?);
    }
    Ok(transcript)
}

/// Extensions whose tests wait for settings that our cluster does not have.
const UNFIT: [&str; 2] = ["basic_archive", "sepgsql"];

/// The regression tests of each of contrib's extensions, and of PL/pgSQL, in a database of their own.
fn contrib(stage: &Stage, sources: &Sources) -> Result<Transcript> {
    let folder = workshop(stage, &sources.of("contrib"), "contrib")?;
    let mut modules: Vec<PathBuf> = std::fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
    modules.sort();
    let mut transcript = Transcript::new();
    for module in modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let tests = tests_of(&module);
        if tests.is_empty() || UNFIT.contains(&&*name) {
            continue;
        }
        let database = format!("contrib_{name}");
        succeed(stage.client("createdb").args(["-T", "template0", &database]))?;
        for test in tests {
            let script = module.join("sql").join(format!("{test}.sql"));
            if script.exists() {
                let printed = printed(&mut psql(stage, &module, &database, &script), &script)?;
                transcript.insert(format!("{name}/{test}"), printed);
            }
        }
    }
    Ok(transcript)
}

/// `REGRESS` in a module's Makefile.
fn tests_of(module: &Path) -> Vec<String> {
    let makefile = std::fs::read_to_string(module.join("Makefile")).unwrap_or_default().replace("\\\n", " ");
    let lines = makefile.lines().filter_map(|line| line.trim_start().strip_prefix("REGRESS"));
    let lists = lines.filter_map(|rest| rest.trim_start_matches(['+', ' ', '\t', ':']).strip_prefix('='));
    lists.flat_map(str::split_whitespace).filter(|word| !word.contains('$')).map(str::to_owned).collect()
}

/// Several sessions that wait for each other.
fn isolation(stage: &Stage, sources: &Sources) -> Result<Transcript> {
    let folder = sources.of("isolation");
    let schedule = std::fs::read_to_string(folder.join("isolation_schedule"))?;
    let mut transcript = Transcript::new();
    for test in schedule.lines().filter_map(|line| line.strip_prefix("test:")).flat_map(str::split_whitespace) {
        let mut tester = bounded(&folder.join("isolationtester"), PATIENCE);
        stage.surround(&mut tester);
        tester.current_dir(&folder).arg("dbname=isolation_regression");
        let spec = folder.join("specs").join(format!("{test}.spec"));
        transcript.insert(test.to_owned(), printed(&mut tester, &spec)?);
    }
    Ok(transcript)
}

/// It goes on until it happens to meet an error: no two of its traces are alike.
const ENDLESS: &str = "uniqviol";

/// libpq's pipeline mode, with a trace of every message.
fn pipelines(stage: &Stage, sources: &Sources) -> Result<Transcript> {
    let program = sources.of("libpq-pipeline").join("libpq_pipeline");
    let tests = succeed(Command::new(&program).arg("tests"))?;
    let mut transcript = Transcript::new();
    for test in tests.split_whitespace() {
        let trace = stage.work().join("trace");
        let mut command = bounded(&program, PATIENCE);
        stage.surround(&mut command);
        command.arg("-t").arg(&trace).args([test, "dbname=postgres"]);
        transcript.insert(test.to_owned(), printed(&mut command, Path::new("/dev/null"))?);
        if test == ENDLESS {
            continue;
        }
        // Which of the two speaks first in a pipeline is a matter of time; what each says is not.
        let traced = std::fs::read(&trace).unwrap_or_default();
        for (side, tag) in [("frontend", b'F'), ("backend", b'B')] {
            let lines = traced.split_inclusive(|&byte| byte == b'\n').filter(|line| line.first() == Some(&tag));
            transcript.insert(format!("{test}-{side}"), lines.collect::<Vec<_>>().concat());
        }
    }
    Ok(transcript)
}

/// The built-in scripts in each protocol mode; each prints how many transactions it did.
fn pgbench(stage: &Stage, _: &Sources) -> Result<Command> {
    let ended = run(stage.client("pgbench").args(["-i", "-q", "-s", "2", "bench"]))?;
    anyhow::ensure!(ended.code == Some(0), "pgbench cannot begin: {}", ended.stderr);
    let mut command = Command::new("sh");
    stage.surround(&mut command);
    command.args([
        "-c",
        "for script in tpcb-like simple-update select-only; do for mode in simple extended prepared; do \
         if pgbench -n -b $script -M $mode -c 4 -j 2 -t 250 bench | grep -q 'actually processed: 1000/1000'; \
         then echo PASS $script-$mode; else echo FAIL $script-$mode; fi; done; done; \
         pgbench -i -q -s 1 -I dtgvpf bench && echo PASS init || echo FAIL init; \
         echo 'SELECT 1 AS one \\gset\nBEGIN;\nSELECT :one \\; SELECT 2;\nEND;' > /tmp/pipeline.$$; \
         pgbench -n -f /tmp/pipeline.$$ -M simple -t 100 bench | grep -q 100/100 && echo PASS multi || echo FAIL multi; \
         printf '\\\\startpipeline\\nSELECT 1;\\nSELECT abalance FROM pgbench_accounts WHERE aid = 1;\\n\\\\endpipeline\\n' > /tmp/pipeline.$$; \
         pgbench -n -f /tmp/pipeline.$$ -M extended -t 100 -c 4 bench | grep -q 400/400 && echo PASS pipeline || echo FAIL pipeline; \
         rm -f /tmp/pipeline.$$",
    ]);
    Ok(command)
}

fn of_pgbench(printed: &str) -> Outcomes {
    let lines = printed.lines().filter_map(|line| line.split_once(' '));
    lines
        .filter(|(word, _)| matches!(*word, "PASS" | "FAIL"))
        .map(|(word, name)| (name.to_owned(), word == "PASS"))
        .collect()
}
