//! Nobody can tell Hansard from the database: a corpus of SQL through psql prints the same, byte for byte, direct and via
//! Hansard, in files and one statement at a time; process ids are the database's. `cargo xtask conformance` runs drivers'
//! own suites in the same way.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::{Path, PathBuf};

use hansard_tests::conformance::transcript::{Transcript, compare};
use hansard_tests::conformance::{Place, Stage, Way};
use hansard_tests::process::{run, run_with_input};
use hansard_tests::wire::Wire;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    scripts
}

/// What psql prints for each script: echoed, quietly, and in one transaction.
async fn play(stage: &Stage) -> Transcript {
    let mut transcript = Transcript::new();
    for script in scripts() {
        let text = std::fs::read(&script).unwrap();
        let name = script.file_stem().unwrap().to_str().unwrap();
        for (mode, arguments) in [("echoing", &["-a"][..]), ("quiet", &["-q", "-A", "-t"]), ("single", &["-1", "-e"])] {
            let database = format!("{name}_{mode}");
            stage.prepare("postgres", &[&format!("CREATE DATABASE {database} TEMPLATE template0")]).await.unwrap();
            let mut psql = stage.client("psql");
            psql.args(["-X", "-d", &database]).args(arguments).env("LC_ALL", "C.UTF-8").env("PGTZ", "UTC");
            let ended = run_with_input(&mut psql, &text).unwrap();
            let printed = format!("{}\n--- errors\n{}\n--- exit code {:?}", ended.stdout, ended.stderr, ended.code);
            assert!(printed.len() > 500, "{name} prints something: {printed}");
            transcript.insert(database, printed.into_bytes());
        }
    }
    transcript
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_prints_the_same_direct_and_via() {
    let place = Place::new(false).unwrap();
    let first = play(&place.stage(Way::Direct).await.unwrap()).await;
    let second = play(&place.stage(Way::Direct).await.unwrap()).await;
    let mut stage = place.stage(Way::Via).await.unwrap();
    let via = play(&stage).await;
    assert!(stage.hansard().unwrap().stop().unwrap().success());
    let comparison = compare(&first, &second, &via);
    assert!(comparison.differing.is_empty(), "{:#?}", comparison.differing);
    assert!(comparison.unsteady.is_empty(), "no two direct runs are alike: {:?}", comparison.unsteady);
    assert_eq!(comparison.same, 3 * scripts().len());
    assert!(via.values().any(|printed| String::from_utf8_lossy(printed).contains("division by zero")));
    let recorded = place.config().sql("SELECT count(*) AS n FROM statements").unwrap();
    assert!(recorded[0]["n"].as_i64().unwrap() > 500, "it went through Hansard: {recorded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn process_ids_are_the_databases() {
    let place = Place::new(false).unwrap();
    let stage = place.stage(Way::Via).await.unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], stage.port()));
    let mut wire = Wire::session(address, "postgres", "postgres", stage.token()).await.unwrap();
    let messages = wire.query("LISTEN news; NOTIFY news; SELECT pg_backend_pid()").await.unwrap();
    let row = &messages.iter().find(|(tag, _)| *tag == b'D').unwrap().1;
    let told: u32 = std::str::from_utf8(&row[6..]).unwrap().parse().unwrap();
    let news = &messages.iter().find(|(tag, _)| *tag == b'A').expect("a notification").1;
    assert_eq!(news[..4], told.to_be_bytes(), "its sender is the session itself");
    assert_eq!(wire.process_id(), told, "and drivers know that by BackendKeyData");
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_runs_its_scripts_in_each_protocol() {
    let place = Place::new(false).unwrap();
    let stage = place.stage(Way::Via).await.unwrap();
    let initialised = run(stage.client("pgbench").args(["-i", "-q", "-s", "1", "postgres"])).unwrap();
    assert_eq!(initialised.code, Some(0), "{initialised:?}");
    for script in ["tpcb-like", "simple-update", "select-only"] {
        for mode in ["simple", "extended", "prepared"] {
            let arguments = ["-n", "-b", script, "-M", mode, "-c", "3", "-t", "20", "postgres"];
            let ended = run(stage.client("pgbench").args(arguments)).unwrap();
            assert!(ended.code == Some(0) && ended.stdout.contains("processed: 60/60"), "{script} {mode}: {ended:?}");
        }
    }
}
