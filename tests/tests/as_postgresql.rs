//! What `hansard sql` answers is what PostgreSQL answers, or it is refused: each question is asked of both.
//!
//! An answer in another sense is worse than none. Questions that only one of them can answer otherwise, because the engine
//! below or the record is made so, are in docs/sql.md ("Differences") and in `OTHERWISE` here.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use hansard_tests::hansard::Settings;
use hansard_tests::{Config, Postgres};
use serde_json::Value;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Expressions, one a line; an empty line or one that begins with `--` is none.
const EXPRESSIONS: &str = include_str!("as_postgresql/expressions.sql");

/// Questions, likewise, over the tables below.
const QUESTIONS: &str = include_str!("as_postgresql/questions.sql");

/// Known, and written in docs/sql.md.
const OTHERWISE: &str = include_str!("as_postgresql/otherwise.sql");

/// What PostgreSQL answers: rows of texts. `None` where it refuses.
async fn postgres(client: &Client, sql: &str) -> Option<Vec<Vec<String>>> {
    let messages = client.simple_query(sql).await.ok()?;
    let row = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|place| row.get(place).map_or("NULL".to_owned(), str::to_owned)).collect())
        }
        _ => None,
    };
    Some(messages.into_iter().filter_map(row).collect())
}

/// The members of an object as they were written.
struct InOrder(Vec<Value>);

impl<'de> serde::Deserialize<'de> for InOrder {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<InOrder, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = InOrder;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<InOrder, M::Error> {
                let mut values = Vec::new();
                while let Some((_, value)) = map.next_entry::<serde::de::IgnoredAny, Value>()? {
                    values.push(value);
                }
                Ok(InOrder(values))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// What Hansard answers; why not where it refuses. A fault of its own is no refusal.
fn hansard(config: &Config, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let ended = config.run("sql", &[sql, "--format", "json"]).unwrap();
    match ended.code {
        Some(0) => {}
        Some(3) => return Ok(vec![vec![ended.stderr]]),
        _ => return Err(ended.stderr.lines().last().unwrap_or_default().to_owned()),
    }
    let rows: Vec<InOrder> = serde_json::from_str(&ended.stdout).unwrap();
    let cell = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Ok(rows.iter().map(|InOrder(row)| row.iter().map(cell).collect()).collect())
}

/// The expressions of a list, which are apart by commas outside of quotes and brackets.
fn parts(list: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth, mut quoted) = (Vec::new(), 0, 0, false);
    for (at, character) in list.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(list[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[begin..].trim());
    parts
}

/// The same value, in the notation of either.
fn same(ours: &str, theirs: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    match (number(ours), number(theirs)) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0),
        _ => ours == theirs || matches!((ours, theirs), ("true", "t") | ("false", "f")) || in_braces(ours) == theirs,
    }
}

/// A list of JSON as PostgreSQL writes it.
fn in_braces(json: &str) -> String {
    let Ok(items) = serde_json::from_str::<Vec<Value>>(json) else { return json.to_owned() };
    let item = |item: &Value| match item {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("{{{}}}", items.iter().map(item).collect::<Vec<_>>().join(","))
}

fn alike(ours: &[Vec<String>], theirs: &[Vec<String>]) -> bool {
    let row = |(ours, theirs): (&Vec<String>, &Vec<String>)| {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(row)
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_differs_from_postgresql_in_silence() {
    let cluster = Postgres::start().await.unwrap();
    let client = cluster.superuser("ranking").await.unwrap();
    client.batch_execute("SET timezone = 'UTC'; SET extra_float_digits = 0").await.unwrap();
    let config = Config::new(&cluster, &Settings::default()).unwrap();
    let running = config.start("up").unwrap();
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    let mut ask = async |sql: &str, alone: bool| {
        let (theirs, ours) = (postgres(&client, sql).await, hansard(&config, sql));
        match (&ours, &theirs) {
            (Ok(ours), Some(theirs)) if alike(ours, theirs) => {}
            (Err(_), _) if !alone => return false,
            (Ok(ours), theirs) => wrong.push(format!("{sql}\n      ours   {ours:?}\n      theirs {theirs:?}")),
            (Err(why), theirs) => refused.push(format!("{sql}\n      {why}\n      theirs {theirs:?}")),
        }
        true
    };
    for list in lines(EXPRESSIONS) {
        // One that is refused shall not hide the others.
        if !ask(&format!("SELECT {list}"), false).await {
            for part in parts(list) {
                ask(&format!("SELECT {part}"), true).await;
            }
        }
    }
    for sql in lines(QUESTIONS) {
        ask(sql, true).await;
    }
    if let Some(file) = std::env::var_os("HANSARD_SHOW_REFUSED") {
        std::fs::write(file, refused.join("\n")).unwrap();
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    for known in lines(OTHERWISE) {
        let theirs = postgres(&client, known).await;
        let ours = hansard(&config, known).expect(known);
        assert!(!theirs.is_some_and(|theirs| alike(&ours, &theirs)), "it does not differ any more: {known}");
    }
    drop(running);
}
