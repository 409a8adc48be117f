//! How `hansard who-updated` is asked: its parts, its bounds, and what it says of what there is not.

use hansard_tests::Ended;
use hansard_tests::postgres::DATABASE;
use hansard_tests::wire::query;
use serde_json::Value;

use crate::scene::{Scene, UPDATE, turn, update};

impl Scene {
    fn who_updated(&self, arguments: &[&str]) -> Ended {
        self.config.run("who-updated", arguments).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_is_told_apart_from_what_may_have_been() {
    let scene = Scene::start().await;
    let opaque = format!("DO $$ BEGIN EXECUTE '{UPDATE}'; END $$");
    let told = scene.run(&[turn(&[query(update("plain"))], 1), turn(&[query(&opaque)], 1)]).await;
    assert_eq!(told.updates, 2);
    let removed = "DELETE FROM public.copied";
    scene.run(&[turn(&[query(removed)], 1)]).await;
    let now = jiff::Timestamp::now().to_string();
    let wide = ["--at", &*now, "--window", "10m"];
    let ask = |relation: &str, more: &[&str]| scene.who_updated(&[&[relation], &wide[..], more].concat());

    let ended = ask("rankings", &["--format", "json", "--parts"]);
    let parts: Value = serde_json::from_str(&ended.stdout).unwrap();
    let texts = |part: &str| parts[part].as_array().unwrap().iter().map(|row| row["sql"].clone()).collect::<Vec<_>>();
    assert_eq!(texts("updated"), [update("plain")], "{parts:#}");
    assert_eq!(texts("may_have"), [opaque.as_str()], "{parts:#}");
    assert!(parts["may_have"][0]["reason"].is_string(), "{parts:#}");
    assert!(parts["looked_at"][0]["sessions"].as_u64() >= Some(2), "{parts:#}");

    let ended = ask("rankings", &["--format", "table"]);
    let (certain, possible) = ended.stdout.split_once("It may have been (see reason):").unwrap();
    assert!(certain.contains("plain") && !certain.contains("DO $$"), "{ended:?}");
    assert!(possible.contains("DO $$") && !possible.contains("plain"), "{ended:?}");

    // The moment of the commit itself, and none beside it.
    let committed_at = parts["updated"][0]["committed_at"].as_str().unwrap();
    let rows = |ended: &Ended| -> Vec<Value> { serde_json::from_str(&ended.stdout).unwrap() };
    let at = |at: &str| rows(&scene.who_updated(&["rankings", "--at", at, "--window", "0s", "--format", "json"]));
    assert_eq!(at(committed_at).len(), 1);
    let later = committed_at.parse::<jiff::Timestamp>().unwrap() + std::time::Duration::from_nanos(1);
    assert_eq!(at(&later.to_string()), [Value::Null; 0]);

    let operations = |relation: &str, operation: &str| {
        let answer = rows(&ask(relation, &["--operation", operation, "--format", "json"]));
        let certain = answer.into_iter().filter(|row| row["certainty"] == "certain");
        certain.map(|row| row["operation"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(operations("copied", "any"), ["delete"]);
    assert_eq!(operations("copied", "insert,delete"), ["delete"]);
    assert_eq!(operations("copied", "update"), [Value::Null; 0]);
    assert_eq!(operations(&format!("{DATABASE}.public.copied"), "any"), ["delete"]);

    for (relation, more, code, words) in [
        ("rankins", &[][..], 1, "nearest: public.rankings"),
        ("\"Rankings\"", &[], 1, "nearest: public.rankings"),
        ("nowhere.public.rankings", &[], 1, "no session was recorded at a database nowhere"),
        ("rankings", &["--operation", "updat"], 2, "'updat' is no operation"),
        ("rankings", &["--parts"], 2, "--parts is for --format json"),
    ] {
        let ended = ask(relation, more);
        assert_eq!(ended.code, Some(code), "{relation}: {ended:?}");
        assert!(ended.stderr.contains(words), "{relation}: {ended:?}");
    }

    // Of what is to come nothing is known.
    let ended = scene.who_updated(&["rankings", "--at", "2199-01-01", "--format", "json", "--parts"]);
    assert!(ended.stderr.contains("that time is not over yet"), "{ended:?}");
    let parts: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (ended.code, &parts["updated"], &parts["may_have"]),
        (Some(0), &Value::Array(vec![]), &Value::Array(vec![]))
    );
}
