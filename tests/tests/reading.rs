//! What is read on the command line is whole and right: what the database said, in every form, and what a terminal bears.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::SinkExt;
use hansard_tests::hansard::{Hansard, Settings};
use hansard_tests::process::{Ended, run_with_input};
use hansard_tests::{Config, Postgres, eventually};
use serde_json::Value;

/// Less than a page of a replay.
const MORE: &str = "[query]\nrow_limit = 20\n";

struct Scene {
    _postgres: Postgres,
    config: Config,
    _hansard: Hansard,
    /// The session of `work`.
    session: String,
    /// Its process at the database.
    process: i32,
}

/// A job that does a bit of everything, and ended.
async fn work() -> Scene {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings { more: MORE.to_owned(), ..Settings::default() }).unwrap();
    let hansard = config.start("up").unwrap();
    let job = hansard.connect(&config.token("nightly-rerank").unwrap()).await.unwrap();
    job.batch_execute(
        "CREATE TABLE films (id int PRIMARY KEY, title text); CREATE FUNCTION tell() RETURNS void LANGUAGE plpgsql \
         AS $$ BEGIN RAISE NOTICE 'counting %', 1 USING DETAIL = 'the detail', HINT = 'the hint'; END $$",
    )
    .await
    .unwrap();
    let process: i32 = job.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let mut copy = Box::pin(job.copy_in("COPY films FROM STDIN").await.unwrap());
    copy.send("1\tAli".as_bytes()).await.unwrap();
    copy.send("en\n2\tBrazil\n".as_bytes()).await.unwrap();
    assert_eq!(copy.as_mut().finish().await.unwrap(), 2);
    job.batch_execute("SELECT tell()").await.unwrap();
    job.batch_execute("INSERT INTO films VALUES (1, 'again'); SELECT 7").await.unwrap_err();
    job.batch_execute("SELECT title, xx FROM films").await.unwrap_err();
    job.batch_execute("PREPARE q(int) AS SELECT title FROM films WHERE id < $1 ORDER BY id").await.unwrap();
    job.batch_execute("EXECUTE q(3)").await.unwrap();
    job.batch_execute("SELECT chr(27) || '[31m' || chr(8238) AS \"a\u{1b}[2Jb\"").await.unwrap();
    job.batch_execute("SELECT n, repeat('x', 40) FROM generate_series(1, 1000) AS n").await.unwrap();
    job.batch_execute(&"SELECT 5;".repeat(60)).await.unwrap();
    drop(job);
    let ended = || {
        let sessions = config.rows("sessions", &["--job", "nightly-*"])?;
        sessions.first().filter(|session| session["closed_at"].is_string()).cloned().context("it is still open")
    };
    let session = eventually("the session has ended", Duration::from_secs(20), ended).unwrap();
    let session = session["session_id"].as_str().unwrap().to_owned();
    Scene { _postgres: postgres, config, _hansard: hansard, session, process }
}

/// A command on a terminal of that width.
fn on_terminal(config: &Config, columns: usize, commands: &str) -> Ended {
    let mut terminal = Command::new("script");
    let hansard = config.command("sql").get_program().display().to_string();
    let commands = commands.replace("hansard ", &format!("{hansard} "));
    terminal.args(["-qec", &format!("stty cols {columns} rows 50; {commands}"), "/dev/null"]);
    terminal.env("HANSARD_CONFIG", config.file()).env("HANSARD_HISTORY", config.folder().join("history"));
    run_with_input(&mut terminal, b"").unwrap()
}

fn statement<'a>(rows: &'a [Value], begins: &str) -> &'a Value {
    rows.iter().find(|row| row["sql"].as_str().unwrap().starts_with(begins)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_holds_what_psql_would_have_shown() {
    let scene = work().await;
    let rows = scene.config.sql(&format!("SELECT * FROM statements WHERE session_id = '{}'", scene.session)).unwrap();
    let failed = statement(&rows, "INSERT");
    assert_eq!((&failed["status"], &failed["error_severity"]), (&"failed".into(), &"ERROR".into()));
    assert_eq!(failed["error_detail"], "Key (id)=(1) already exists.");
    assert_eq!(
        (&failed["error_table"], &failed["error_constraint"], &failed["error_schema"]),
        (&"films".into(), &"films_pkey".into(), &"public".into())
    );
    assert_eq!(statement(&rows, "SELECT 7")["status"], "not run");
    assert_eq!(statement(&rows, "SELECT title, xx")["error_position"], 15);
    let told: Value = serde_json::from_str(statement(&rows, "SELECT tell")["notices"].as_str().unwrap()).unwrap();
    assert_eq!((&told[0]["severity"], &told[0]["message"]), (&"NOTICE".into(), &"counting 1".into()));
    assert_eq!((&told[0]["detail"], &told[0]["hint"]), (&"the detail".into(), &"the hint".into()));
    assert!(told[0]["context"].as_str().unwrap().contains("tell()"), "{told}");
    assert!(statement(&rows, "EXECUTE")["executed"].as_str().unwrap().starts_with("PREPARE q(int) AS"), "{rows:#?}");

    let session = &scene.config.rows("sessions", &["--job", "nightly-rerank"]).unwrap()[0];
    assert_eq!((&session["database_role"], &session["backend_pid"]), (&"app".into(), &scene.process.into()));
    assert_eq!((&session["errors"], &session["ending"]), (&2.into(), &"terminated".into()));

    // In the replay, as text and as JSON.
    let shown = scene.config.ask("replay", &[&scene.session]).unwrap();
    for part in [
        &format!("(app there, process {})", scene.process),
        "record: complete",
        "insert, failed, ",
        "detail: Key (id)=(1) already exists.",
        "constraint films_pkey",
        "select, not run, ",
        "line 1: SELECT title, xx FROM films",
        "notice: counting 1",
        "context: PL/pgSQL function tell()",
        "(it ran: PREPARE q(int) AS",
        "1\\tAlien",
        "Brazil",
    ] {
        assert!(shown.contains(part), "{shown}\nlacks {part}");
    }
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    let steps = scene.config.rows("replay", &[&scene.session, "--only", "errors", "--to", "8"]).unwrap();
    let states: Vec<&str> = steps.iter().map(|step| step["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["failed", "not run", "failed"][..states.len()]);
    assert!(!states.is_empty());
    let copied = scene.config.rows("replay", &[&scene.session, "--only", "writes"]).unwrap();
    let copied = copied.iter().find(|step| step["operation"] == "copy_in").unwrap();
    assert_eq!(copied["result"]["sets"][0]["rows"], serde_json::json!([["1\tAlien"], ["2\tBrazil"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_whole_or_say_that_they_are_not() {
    let scene = work().await;
    let frames = format!("SELECT seq FROM frames WHERE session_id = '{}'", scene.session);
    let count = scene.config.sql(&format!("SELECT count(*) AS n FROM ({frames}) f")).unwrap()[0]["n"].as_u64().unwrap();
    let count = usize::try_from(count).unwrap();
    assert!(count > 1_000, "{count}");
    for format in ["table", "vertical", "json", "csv"] {
        // Only what is shown is cut, and says so.
        let cut =
            on_terminal(&scene.config, 80, &format!("hansard sql \"{frames}\" --format {format}; echo left with $?"));
        assert!(cut.stdout.contains("the answer is cut: these are the first 20 rows"), "{format}: {}", cut.stdout);
        assert!(cut.stdout.contains("left with 1"), "{format}: {}", cut.stdout);
        let whole = scene.config.run("sql", &[&frames, "--format", format]).unwrap();
        assert_eq!((whole.code, whole.stderr.as_str()), (Some(0), ""), "{format}");
        let rows = match format {
            "json" => serde_json::from_str::<Vec<Value>>(&whole.stdout).unwrap().len(),
            "csv" => whole.stdout.lines().count() - 1,
            _ => {
                assert!(whole.stdout.ends_with(&format!("\n({count} rows)\n")), "{}", whole.stdout);
                whole.stdout.matches(if format == "table" { "\n" } else { "-- row " }).count().min(count)
            }
        };
        assert_eq!(rows, count, "{format}");
    }
    let steps = scene.config.rows("replay", &[&scene.session, "--rows", "0"]).unwrap();
    let statements = scene.config.rows("sessions", &["--job", "nightly-*"]).unwrap()[0]["statements"].as_u64();
    assert!(steps.len() > 60, "{} steps", steps.len());
    assert_eq!(Some(steps.len() as u64), statements);
    let limited = scene.config.run("sessions", &["--limit", "30", "--format", "csv"]).unwrap();
    assert_eq!(limited.code, Some(0));

    // One reader who has enough ends the work, and fails nothing.
    let mut replay = scene.config.command("replay");
    replay.args([&scene.session, "--speed", "0.0001"]).stdout(Stdio::piped());
    let mut child = replay.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut String::new()).unwrap();
    drop(lines);
    let begun = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "it played on for {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_sessions_that_is_cut_says_so() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let hansard = config.start("up").unwrap();
    let token = config.token("nightly-rerank").unwrap();
    for _ in 0..53 {
        drop(hansard.connect(&token).await.unwrap());
    }
    let all = || {
        let sessions = config.rows("sessions", &["--job", "nightly-*"])?;
        (sessions.len() == 53).then_some(()).context("not all are recorded")
    };
    eventually("to no terminal all are listed", Duration::from_secs(20), all).unwrap();
    let shown = on_terminal(&config, 120, "hansard sessions --job 'nightly-*'; echo code $?");
    assert!(shown.stdout.contains("50 of 53; --limit N") && shown.stdout.contains("code 1"), "{}", shown.stdout);
    for enough in ["hansard sessions --job 'nightly-*' --limit 53", "hansard sessions --job 'nightly-*' --limit 5"] {
        let shown = on_terminal(&config, 120, &format!("{enough}; echo code $?"));
        assert!(!shown.stdout.contains("--limit N") && shown.stdout.contains("code 0"), "{}", shown.stdout);
    }
    let csv = config.run("sessions", &["--job", "nightly-*", "--format", "csv"]).unwrap();
    assert_eq!((csv.code, csv.stdout.matches("\r\n").count()), (Some(0), 54));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_room_is_one_that_broke_off() {
    let scene = work().await;
    for question in ["SELECT * FROM generate_series(1, 300000)", "SELECT 1"] {
        let mut full = scene.config.command("sql");
        full.args([question, "--format", "csv"])
            .stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let ended = full.stderr(Stdio::piped()).output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.contains("the answer broke off after 0 rows: cannot write the answer: No space left"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_killed_has_not_logged_why() {
    let mut scene = work().await;
    let mut reader = scene.config.command("sql");
    reader.args(["SELECT value, repeat('x', 200) FROM generate_series(1, 5000000)", "--format", "csv"]);
    let mut child = reader.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut answer = child.stdout.take().unwrap();
    answer.read_exact(&mut [0; 4096]).unwrap();
    scene._hansard.kill().unwrap();
    std::io::copy(&mut answer, &mut std::io::sink()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("ended before its answer did") && !told.contains("its log says"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_fails_and_leaves_no_file() {
    let scene = work().await;
    let config = &scene.config;
    // Its last rows cannot be computed.
    let breaks = "SELECT 100 / (299000 - value) AS n, repeat('x', 50) AS pad FROM generate_series(1, 300000)";
    for format in ["csv", "json", "table", "vertical"] {
        let broken = config.run("sql", &[breaks, "--format", format]).unwrap();
        assert!(broken.stdout.len() > 1_000_000 && !broken.stdout.ends_with("rows)\n"), "{format}");
        assert_eq!(broken.code, Some(1), "{format}: {}", broken.stderr);
        assert!(broken.stderr.contains("the answer broke off after "), "{}", broken.stderr);
    }
    let folder = config.folder().join("copied");
    std::fs::create_dir(&folder).unwrap();
    for name in ["a.csv", "a.json", "a.parquet"] {
        let copy = format!("\\copy ({breaks}) TO {}", folder.join(name).display());
        let broken = config.run("sql", &["-c", &copy]).unwrap();
        assert_eq!((broken.code, broken.stdout.as_str()), (Some(1), ""), "{}", broken.stderr);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "{name}");
    }
    // What is whole is there, and what is there is not overwritten.
    let file = folder.join("whole.parquet");
    let copy = format!("\\copy (SELECT * FROM frames) TO '{}'", file.display());
    let copied = config.run("sql", &["-c", &copy]).unwrap();
    assert!(copied.code == Some(0) && copied.stdout.contains(" rows written to "), "{copied:?}");
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    assert_eq!(config.run("sql", &["-c", &copy]).unwrap().code, Some(2));
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);

    // A pipe that is closed ends the work at once, whatever is still to come.
    for format in ["csv", "json", "table", "vertical", "parquet"] {
        let endless = "SELECT a, b FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
        let mut child =
            config.command("sql").args([endless, "--format", format]).stdout(Stdio::piped()).spawn().unwrap();
        let mut some = [0; 4];
        child.stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
        drop(child.stdout.take());
        let begun = Instant::now();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{format}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{format}: it went on for {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_reads_times_alike() {
    let scene = work().await;
    let config = &scene.config;
    let now = jiff::Timestamp::now();
    let berlin = now.in_tz("Europe/Berlin").unwrap();
    let (date, clock) = (&now.to_string()[..10], &now.to_string()[11..16]);
    for time in [
        date,
        "today",
        "now",
        "1 minute ago",
        "90s ago",
        &format!("{date}T{clock}Z"),
        &format!("{clock}Z"),
        &format!("{date} {clock}:30.5+00:00"),
        &format!("{date} {clock} local"),
        &berlin.strftime("%Y-%m-%d %H:%M Europe/Berlin").to_string(),
    ] {
        for (command, arguments) in [
            ("sessions", &["--since", time][..]),
            ("sessions", &["--until", time]),
            ("replay", &[&scene.session, "--rows", "0", "--since", "yesterday", "--until", time]),
            ("who-updated", &["films", "--at", time, "--window", "90 seconds"]),
        ] {
            let ended = config.run(command, &[arguments, &["--format", "json"]].concat()).unwrap();
            assert!(ended.code == Some(0), "{command} {arguments:?}: {}", ended.stderr);
        }
        let literals = format!(
            "SELECT count(*) FROM statements WHERE started_at > '{time}' OR started_at < TIMESTAMP '{time}' OR \
             started_at BETWEEN '{time}' AND '{time}'::timestamptz"
        );
        config.sql(&literals).unwrap();
        config.sql(&format!("SELECT * FROM who_touched('films', '{time}', NULL)")).unwrap();
    }
    let replayed = |arguments: &[&str]| {
        config.rows("replay", &[&[scene.session.as_str(), "--rows", "0"], arguments].concat()).unwrap().len()
    };
    assert!(replayed(&["--since", "1h ago"]) > 60);
    assert_eq!((replayed(&["--until", "1h ago"]), replayed(&["--since", "tomorrow"])), (0, 0));
    let bounds = scene.config.run("sessions", &["--since", "9999-01-01"]).unwrap();
    assert!(bounds.code == Some(2) && bounds.stderr.contains("to 2262-04-11T23:47:16Z"), "{}", bounds.stderr);
    for arguments in [&["sessions", "--since", "noon"][..], &["replay", &scene.session, "--until", "noon"]] {
        let refused = config.run(arguments[0], &arguments[1..]).unwrap();
        assert!(refused.code == Some(2) && refused.stderr.contains("'noon' is not a time"), "{}", refused.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_come_from_wherever_they_are() {
    let scene = work().await;
    let config = &scene.config;
    let several =
        config.ask("sql", &["-c", "SELECT 1 AS a; SELECT ';' AS b", "-c", "SELECT 3 AS c", "--format", "json"]);
    assert_eq!(several.unwrap().matches('[').count(), 3);
    let file = config.folder().join("questions.sql");
    std::fs::write(&file, "-- first\nSELECT 11 AS a;\n\\x\nSELECT 12 AS a;").unwrap();
    let answers = config.ask("sql", &["-f", file.to_str().unwrap()]).unwrap();
    assert!(answers.contains("11") && answers.contains("-- row 1") && answers.contains("a | 12"), "{answers}");
    let piped = run_with_input(&mut config.command("sql"), b"SELECT 21 AS a").unwrap();
    assert!(piped.code == Some(0) && piped.stdout.contains("21"), "{piped:?}");
    let none = run_with_input(&mut config.command("sql"), b" -- nothing\n").unwrap();
    assert_eq!((none.code, none.stderr.lines().count()), (Some(2), 1), "{none:?}");

    // Options before the command, and the filters of the list.
    let before = || {
        let mut command = Command::new(config.command("sql").get_program());
        command.arg("--config").arg(config.file());
        command
    };
    let sessions = |filters: &[&str]| {
        let ended = run_with_input(before().arg("sessions").args(filters).args(["--format", "json"]), b"").unwrap();
        assert_eq!(ended.code, Some(0), "{filters:?}: {}", ended.stderr);
        let rows: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
        rows.iter().filter(|row| row["job"] == "nightly-rerank").count()
    };
    let nothing = run_with_input(before().args(["sessions", "--relation", "nothing"]), b"").unwrap();
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(1), ""), "{nothing:?}");
    let today = jiff::Timestamp::now().to_string()[..10].to_owned();
    for (filters, found) in [
        (&["--job", "night*rank"] as &[&str], 1),
        (&["--job", "night_rerank"], 0),
        (&["--relation", "films", "--errors"], 1),
        (&["--role", "app", "--target", "ranking"], 1),
        (&["--text", "TITLE, XX"], 1),
        (&["--text", "duplicate key"], 1),
        (&["--text", "never said"], 0),
        (&["--since", &today], 1),
        (&["--until", "2020-01-01"], 0),
        (&["--outcome", "terminated"], 1),
        (&["--outcome", "complete"], 1),
        (&["--outcome", "lost"], 0),
    ] {
        assert_eq!(sessions(filters), found, "{filters:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_not_commanded_and_tables_fit_it() {
    let scene = work().await;
    let hostile = "SELECT chr(27) || '[31m' || chr(8238) || chr(155) || 'x' AS hostile";
    for format in ["table", "vertical", "json", "csv"] {
        let shown = on_terminal(&scene.config, 80, &format!("hansard sql \"{hostile}\" --format {format}"));
        assert!(!shown.stdout.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{format}: {:?}", shown.stdout);
        assert!(shown.stdout.contains('x'), "{format}: {:?}", shown.stdout);
        // Sent elsewhere it is verbatim, where the format has no notation of its own for it.
        let sent = scene.config.ask("sql", &[hostile, "--format", format]).unwrap();
        assert_eq!(sent.contains('\u{202e}'), matches!(format, "json" | "csv"), "{format}: {sent:?}");
    }
    let parquet = on_terminal(&scene.config, 80, "hansard sql 'SELECT 1' --format parquet");
    assert!(parquet.stdout.contains("says nothing to a terminal"), "{parquet:?}");
    let wide = "hansard sql \"SELECT statement_no, started_at, sql, error FROM statements LIMIT 20\"";
    for (columns, command) in [(80, "hansard sessions"), (100, "hansard sessions"), (72, wide)] {
        let shown = on_terminal(&scene.config, columns, command);
        let widest = shown.stdout.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= columns, "{widest} of {columns}:\n{}", shown.stdout);
        assert!(shown.stdout.contains(" | ") && !shown.stdout.contains("-- row 1"), "{}", shown.stdout);
    }
    let narrow = on_terminal(&scene.config, 24, "hansard sessions");
    assert!(narrow.stdout.contains("-- row 1"), "{}", narrow.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_asks_completes_and_goes_on_after_errors() {
    let scene = work().await;
    let mut shell = Talk::begin(&scene.config);
    shell.hears("hansard=> ");
    shell.says("SELECT job,\rcount(*) AS n FROM sessions\rWHERE job = 'nightly-r\t GROUP BY job;\r");
    shell.hears("nightly-rerank |");
    shell.says("nonsense;\r");
    shell.hears("error: ");
    // One name is completed, of several what they have in common, and asked again they are listed.
    shell.says("\\d touch\t\r");
    shell.hears("transaction_outcome | text");
    shell.says("SELECT sess\t\t");
    shell.hears("session_id  session_steps(  sessions");
    // Ctrl-C gives up the line, and a question that is under way.
    shell.says("\x03\\timing\r");
    shell.hears("Timing is on.");
    shell
        .says("SELECT count(*) FROM frames a, frames b, frames c, frames d WHERE a.seq + b.seq + c.seq + d.seq = 0;\r");
    std::thread::sleep(Duration::from_millis(500));
    shell.says("\x03");
    shell.hears("the question was interrupted");
    // The last line again, changed.
    shell.says("SELECT 41 + 1 AS answer;\r");
    shell.hears("42");
    shell.hears("Time: ");
    shell.says("\x1b[A\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f7;\r");
    shell.hears("48");
    let file = scene.config.folder().join("copied.csv");
    shell.says(&format!("\\copy (SELECT 1 AS a) TO {}\r", file.display()));
    shell.hears("1 rows written");
    let all = scene.config.folder().join("all.csv");
    shell.says(&format!("\\copy (SELECT seq FROM frames) TO {}\r", all.display()));
    shell.hears(" rows written");
    assert!(std::fs::read_to_string(all).unwrap().lines().count() > 1_000);
    shell.says("\\nothing\r");
    shell.hears("there is no command \\nothing");
    shell.says("\\q\r");
    shell.hears("hansard left with 0");
    shell.child.wait().unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().collect::<Vec<_>>(), ["\"a\"", "1"]);
    let history = std::fs::read_to_string(scene.config.folder().join("history")).unwrap();
    assert!(history.contains("SELECT 41 + 1 AS answer;"), "{history}");
}

/// A person at the shell.
struct Talk {
    child: Child,
    typed: ChildStdin,
    heard: Arc<Mutex<String>>,
    place: usize,
}

impl Talk {
    fn begin(config: &Config) -> Talk {
        let mut terminal = Command::new("script");
        let hansard = config.command("sql").get_program().display().to_string();
        // The exit status is told on the terminal: that of `script` is now and then another one. Ctrl-C is not for `sh`.
        let commands = format!("trap : INT; stty cols 120 rows 50; {hansard} sql; echo hansard left with $?");
        terminal.args(["-qc", &commands, "/dev/null"]).env("SHELL", "/bin/sh");
        terminal.env("HANSARD_CONFIG", config.file()).env("HANSARD_HISTORY", config.folder().join("history"));
        let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut shown = child.stdout.take().unwrap();
        let heard = Arc::new(Mutex::new(String::new()));
        let all = heard.clone();
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(length @ 1..) = shown.read(&mut some) {
                all.lock().unwrap().push_str(&String::from_utf8_lossy(&some[..length]));
            }
        });
        Talk { typed: child.stdin.take().unwrap(), child, heard, place: 0 }
    }

    fn says(&mut self, text: &str) {
        self.typed.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until it is shown, behind what was heard before.
    fn hears(&mut self, part: &str) {
        let heard = || {
            let heard = self.heard.lock().unwrap();
            let rest = &heard[self.place..];
            rest.find(part).map(|at| self.place + at + part.len()).with_context(|| format!("{rest:?} lacks {part:?}"))
        };
        self.place = eventually("the shell answers", Duration::from_secs(30), heard).unwrap();
    }
}
