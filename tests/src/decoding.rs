//! What was committed to a database, in its own words: logical decoding by `test_decoding`.

use anyhow::{Context, Result};
use tokio_postgres::Client;

/// The options with which lines are read here.
const OPTIONS: &str = "'skip-empty-xacts', '1', 'include-timestamp', '1'";

/// A change of a row, or of all rows, that was committed.
#[derive(Debug, Clone)]
pub struct Change {
    pub schema: String,
    pub relation: String,
    /// `insert`, `update`, `delete` or `truncate`.
    pub operation: String,
    /// The row, as it is decoded.
    pub data: String,
    /// UTC microseconds.
    pub committed_at: i64,
}

/// Makes a slot in the client's database: what is committed from now on is kept for it.
pub async fn begin(superuser: &Client, slot: &str) -> Result<()> {
    superuser.execute("SELECT pg_create_logical_replication_slot($1, 'test_decoding')", &[&slot]).await?;
    Ok(())
}

/// What was committed since the slot was made, or last read.
pub async fn changes(superuser: &Client, slot: &str) -> Result<Vec<Change>> {
    superuser.batch_execute("SET timezone = 'UTC'; SET datestyle = 'ISO'").await?;
    // As bytes: what a database without an encoding holds need not be text.
    let sql = format!("SELECT textsend(data) FROM pg_logical_slot_get_changes($1, NULL, NULL, {OPTIONS})");
    let (mut changes, mut open) = (Vec::new(), 0);
    for row in superuser.query(&sql, &[&slot]).await? {
        let line = String::from_utf8_lossy(row.get(0));
        if let Some((_, at)) = line.strip_prefix("COMMIT ").and_then(|line| line.split_once("(at ")) {
            let at: jiff::Timestamp = at.trim_end_matches(')').parse().with_context(|| line.clone().into_owned())?;
            for change in &mut changes[open..] {
                let change: &mut Change = change;
                change.committed_at = at.as_microsecond();
            }
            open = changes.len();
        } else if let Some(change) = line.strip_prefix("table ") {
            changes.extend(read(change).with_context(|| format!("not read: {line}"))?);
        }
    }
    Ok(changes)
}

/// A line without its first word: `schema.relation: INSERT: data`, of TRUNCATE with several relations.
fn read(line: &str) -> Option<Vec<Change>> {
    let (mut names, mut rest) = (Vec::new(), line);
    loop {
        let (name, more) = qualified(rest)?;
        names.push(name);
        match more.strip_prefix(", ") {
            Some(more) => rest = more,
            None => {
                rest = more;
                break;
            }
        }
    }
    // A row may have no columns.
    let (operation, data) = rest.strip_prefix(": ")?.split_once(':')?;
    let data = data.split_once("new-tuple:").map_or(data, |(_, new)| new);
    let change = |(schema, relation)| Change {
        schema,
        relation,
        operation: operation.to_lowercase(),
        data: data.trim_start().to_owned(),
        committed_at: 0,
    };
    Some(names.into_iter().map(change).collect())
}

/// An identifier as SQL writes it, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', ':', ',']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

/// Schema and relation, and what follows them.
fn qualified(text: &str) -> Option<((String, String), &str)> {
    let (schema, rest) = identifier(text)?;
    let (name, rest) = identifier(rest.strip_prefix('.')?)?;
    Some(((schema, name), rest))
}

/// Schema and relation of a name as column `relation` has it.
pub fn recorded(relation: &str) -> Option<(String, String)> {
    if relation.contains('"') {
        return qualified(relation).map(|(name, _)| name);
    }
    relation.split_once('.').map(|(schema, name)| (schema.to_owned(), name.to_owned()))
}
