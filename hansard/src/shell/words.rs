//! Words that the shell completes.

use crate::ask::Record;

/// Most words of one kind.
const MOST: usize = 5_000;

const KEYWORDS: [&str; 30] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "AND",
    "OR",
    "NOT",
    "IS NULL",
    "IS NOT NULL",
    "LIKE",
    "ILIKE",
    "IN",
    "BETWEEN",
    "AS",
    "DISTINCT",
    "COUNT(",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "DESC",
    "HAVING",
    "UNION ALL",
    "WITH",
];

const COMMANDS: [&str; 13] =
    ["\\?", "\\copy", "\\d", "\\df", "\\dj", "\\dt", "\\format", "\\g", "\\i", "\\pager", "\\q", "\\timing", "\\watch"];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Tables, columns, functions and what SQL is made of.
    names: Vec<String>,
    /// Within quotes.
    jobs: Vec<String>,
}

impl Words {
    /// What the record can tell; what it cannot is not completed.
    pub(super) async fn read(record: &Record) -> Words {
        let column = async |sql: &str, name: &str| -> Vec<String> {
            let rows = record.all(sql).await.map(|answer| answer.objects()).unwrap_or_default();
            let text = |row: &serde_json::Map<String, serde_json::Value>| Some(row.get(name)?.as_str()?.to_owned());
            rows.iter().filter_map(text).filter(|word| !word.chars().any(char::is_control)).take(MOST).collect()
        };
        let columns =
            "SELECT DISTINCT column_name AS word FROM information_schema.columns WHERE table_schema = 'public'";
        let tables = "SELECT DISTINCT table_name AS word FROM information_schema.tables WHERE table_schema = 'public'";
        let functions = "SELECT DISTINCT routine_name AS word FROM information_schema.routines LIMIT 10000";
        let jobs = "SELECT DISTINCT job AS word FROM sessions WHERE job <> '' ORDER BY job LIMIT 1000";
        let mut names = [column(tables, "word").await, column(columns, "word").await].concat();
        names.extend(column(functions, "word").await.into_iter().map(|name| name + "("));
        let own = ["who_updated(", "who_touched(", "session_steps(", "looked_at("];
        names.extend(own.into_iter().chain(KEYWORDS).chain(COMMANDS).map(str::to_owned));
        Words::new(names, column(jobs, "word").await)
    }

    pub(super) fn new(mut names: Vec<String>, mut jobs: Vec<String>) -> Words {
        for words in [&mut names, &mut jobs] {
            words.sort_by_key(|word| word.to_lowercase());
            words.dedup();
        }
        Words { names, jobs }
    }

    /// Where the word before the cursor begins, and what it may become.
    pub(super) fn complete(&self, before: &str) -> (usize, Vec<&str>) {
        let quoted = before.matches('\'').count() % 2 == 1;
        let begin = match quoted {
            true => before.rfind('\'').map_or(0, |quote| quote + 1),
            false => {
                let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '\\' | '?');
                before
                    .rfind(|letter| !is_part(letter))
                    .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8))
            }
        };
        let word = before[begin..].to_lowercase();
        if word.is_empty() && !quoted {
            return (begin, Vec::new());
        }
        let words = if quoted { &self.jobs } else { &self.names };
        (begin, words.iter().map(String::as_str).filter(|known| known.to_lowercase().starts_with(&word)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_in_quotes_jobs() {
        let names = ["sessions", "session_id", "statements", "SELECT"].map(str::to_owned).to_vec();
        let words = Words::new(names, vec!["nightly-rerank".to_owned()]);
        assert_eq!(words.complete("select * from sess"), (14, vec!["session_id", "sessions"]));
        assert_eq!(words.complete("sel").1, ["SELECT"]);
        assert_eq!(words.complete("where s.stat"), (8, vec!["statements"]));
        assert_eq!(words.complete("where job = 'night"), (13, vec!["nightly-rerank"]));
        assert_eq!(words.complete("größe = stat"), (10, vec!["statements"]));
        assert_eq!(words.complete("select ").1, Vec::<&str>::new());
    }
}
