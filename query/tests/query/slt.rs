//! SQL and its answers as files: `tests/slt/*.slt` over the night in question, with half of it still in the log, and
//! again with all of it in the lake.
//!
//! `query` is followed by SQL, `----` and the rows, cells apart by ` | `, NULL as `NULL`; `error` by SQL, `----` and a
//! part of the message. An empty line ends a case. `# hot` in front of a case means that it holds only before the flush.

use std::path::Path;

use hansard_query::{Engine, format};
use serde_json::Value;

use crate::fixture::story;

async fn run(engine: &Engine, file: &Path, hot: bool) -> usize {
    let text = std::fs::read_to_string(file).unwrap();
    let mut cases = 0;
    for case in text.split("\n\n").map(str::trim).filter(|case| !case.is_empty()) {
        let only_hot = case.lines().any(|line| line == "# hot");
        let case: Vec<&str> = case.lines().filter(|line| !line.starts_with('#')).collect();
        let Some((kind, rest)) = case.split_first() else { continue };
        if only_hot && !hot {
            continue;
        }
        cases += 1;
        let split = rest.iter().position(|line| *line == "----").unwrap_or(rest.len());
        let sql = rest[..split].join("\n");
        let expected = rest.get(split + 1..).unwrap_or_default().join("\n");
        let found = match (*kind, engine.sql(&sql).await) {
            ("query", Ok(answer)) => format::objects(&answer)
                .iter()
                .map(|row| {
                    let cells = answer.schema.fields().iter().map(|field| cell(&row[field.name()]));
                    cells.collect::<Vec<_>>().join(" | ")
                })
                .collect::<Vec<_>>()
                .join("\n"),
            ("query", Err(error)) => format!("error: {error}"),
            ("error", Ok(_)) => "no error".to_owned(),
            ("error", Err(error)) if error.to_string().contains(&expected) => continue,
            ("error", Err(error)) => error.to_string(),
            (other, _) => panic!("{}: unknown kind of case {other:?}", file.display()),
        };
        assert_eq!(found, expected, "{} (hot: {hot})\n{sql}", file.display());
    }
    cases
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn sql_logic() {
    let fixture = story().await;
    let engine = fixture.engine();
    let folder = Path::new("tests/slt");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for hot in [true, false] {
        for file in &files {
            assert!(run(&engine, file, hot).await > 0, "{}", file.display());
        }
        fixture.flush().await;
    }
}
