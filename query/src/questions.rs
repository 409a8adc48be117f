//! Questions that Hansard itself asks: the ones behind `who-updated`, the session list and the replay.
//!
//! Invariant: they are SQL like anybody's, with values bound and never pasted, under the same limits.

use std::time::Duration;

use datafusion::common::ScalarValue;
use hansard_lake::catalog::{FileEntry, FileFilter};
use hansard_schemas::http::QueryFormat;
use hansard_schemas::lake::Table;
use uuid::Uuid;

use crate::{Answer, Engine, Error, Export};

mod changed;
mod replay;
mod sessions;

pub use changed::{AskedChanges, ChangesQuestion, KnownRelation, WrongParameter, operation};
pub use replay::{Sought, SoughtStep};
pub use sessions::{MAX_PAGE, SessionFilter, SessionOrder, SessionPage, SortBy, is_cursor};

impl Engine {
    /// Who updated `relation` at that time: the table function `who_updated`, in the order of commits.
    ///
    /// An update counts that was committed in `[at - window, at + window]`, where `at` is as long as its last unit: `03:12Z` is
    /// that whole minute, whatever the window. What has no time of commit (its transaction is 'open', or its outcome 'unknown')
    /// counts by the time of its statement, and says so. What was rolled back, or failed, is not an update. Behind what is
    /// certain comes what may have updated the relation, with the reason. The updates of `insert ... on conflict do update` and of `merge` are updates. One that found no row is there, with 0 `rows`.
    pub async fn who_updated(&self, relation: &str, at: &str, window: Duration) -> Result<Answer, Error> {
        let function = format!("who_updated({}, {}, '{}ns')", quoted(relation), quoted(at), window.as_nanos());
        self.ask(&format!("SELECT * FROM {function}"), Vec::new()).await
    }

    /// `who_touched(relation, from, to [, operation])`, times as [`Moment`] reads them.
    pub async fn who_touched(
        &self,
        relation: &str,
        from: Option<&str>,
        to: Option<&str>,
        operation: Option<&str>,
    ) -> Result<Answer, Error> {
        self.ask(&who_touched(relation, from, to, operation), Vec::new()).await
    }

    /// A session's statements as steps, in order: see the table function `session_steps`.
    pub async fn session_steps(&self, session_id: Uuid) -> Result<Answer, Error> {
        self.ask(&format!("SELECT * FROM session_steps('{session_id}') ORDER BY statement_no"), Vec::new()).await
    }

    /// The Parquet files that hold a session, by table and path; those of the lake alone, not its hot end.
    pub async fn session_files(&self, session_id: Uuid) -> Result<Vec<FileEntry>, Error> {
        let filter = FileFilter { session_id: Some(session_id), ..FileFilter::default() };
        let mut files = self.lake().catalog.snapshot(&filter).await?.files;
        files.sort_by(|a, b| (a.table, &a.path).cmp(&(b.table, &b.path)));
        Ok(files)
    }

    /// A session's rows of one table, in their order in the session: all of them.
    pub async fn session_export(&self, session_id: Uuid, table: Table, format: QueryFormat) -> Result<Export, Error> {
        let order = match table {
            Table::Frames => "seq",
            Table::Statements => "statement_no",
            Table::Touches => "statement_no, relation, operation",
            Table::Transactions => "transaction_id, first_statement, kind",
            Table::Sessions => "session_id",
            Table::Catalog | Table::Leases => {
                return Err(Error::Invalid(format!("table {} has no sessions", table.name())));
            }
        };
        let sql = format!("SELECT * FROM {} WHERE session_id = $1 ORDER BY {order}", table.name());
        self.export_of(sql, vec![text(&session_id.to_string())], format).await
    }
}

/// [`Engine::who_touched`] as SQL.
pub fn who_touched(relation: &str, from: Option<&str>, to: Option<&str>, operation: Option<&str>) -> String {
    let time = |bound: Option<&str>| bound.map_or_else(|| "NULL".to_owned(), quoted);
    let operation = operation.map_or_else(String::new, |operation| format!(", {}", quoted(operation)));
    let function = format!("who_touched({}, {}, {}{operation})", quoted(relation), time(from), time(to));
    format!("SELECT * FROM {function} ORDER BY at, session_id, statement_no")
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

fn instant(at: i64) -> ScalarValue {
    ScalarValue::TimestampNanosecond(Some(at), Some("+00:00".into()))
}

/// A literal, where a bound value is not possible: arguments of table functions.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
