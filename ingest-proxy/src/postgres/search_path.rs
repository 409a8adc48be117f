//! Which schemas an unqualified name is looked up in, as the database says for a target's role.
//!
//! Asked over a connection of Hansard's own; an answer is kept for a minute for each database and setting, a failure is
//! not. Invariants: a session neither fails nor waits long for it; nothing that a job ran is repeated here.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::OnceCell;

use crate::options::TargetOptions;
use crate::postgres::upstream::{self, Failure, Route};

const KEPT_FOR: Duration = Duration::from_secs(60);
const MOST_KEPT: u64 = 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// Target, database and the `search_path` that the job asks for at start-up.
type Key = (usize, String, Option<String>);

/// See the module.
#[derive(Debug)]
pub(crate) struct SearchPaths(Cache<Key, Arc<OnceCell<Vec<String>>>>);

impl SearchPaths {
    pub(crate) fn new() -> SearchPaths {
        SearchPaths(Cache::builder().max_capacity(MOST_KEPT).time_to_live(KEPT_FOR).build())
    }

    /// The search path of a session that begins with this setting; empty when it could not be learned.
    pub(crate) async fn of(
        &self,
        number: usize,
        target: &TargetOptions,
        route: &Route,
        database: &str,
        asked: Option<String>,
    ) -> Vec<String> {
        let cell = self.0.get_with((number, database.to_owned(), asked.clone()), Arc::default);
        let asked = asked.as_deref();
        learned(&cell, async { ask(target, route, database, asked).await.map_err(|failure| failure.line()) }).await
    }
}

/// What is known, or what is answered now, within [`PATIENCE`]; empty without an answer, and then the next session asks
/// again.
async fn learned(cell: &OnceCell<Vec<String>>, ask: impl Future<Output = Result<Vec<String>, String>>) -> Vec<String> {
    let reason = match tokio::time::timeout(PATIENCE, cell.get_or_try_init(|| ask)).await {
        Ok(Ok(schemas)) => return schemas.clone(),
        Ok(Err(reason)) => reason,
        Err(_) => "the database did not answer in time".to_owned(),
    };
    tracing::warn!(
        reason,
        "a session's search path is not known: what it names without a schema is recorded as ?.name"
    );
    Vec::new()
}

async fn ask(
    target: &TargetOptions,
    route: &Route,
    database: &str,
    asked: Option<&str>,
) -> Result<Vec<String>, Failure> {
    let asked = asked.map(|schemas| ("search_path", schemas));
    let parameters = [("application_name", "hansard")].into_iter().chain(asked);
    let upstream = upstream::connect(target, route, database, parameters, PATIENCE).await?;
    upstream.ask(target, "SELECT unnest(pg_catalog.current_schemas(false))").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_not_kept() {
        let cell = OnceCell::new();
        assert_eq!(learned(&cell, async { Err("it is down".to_owned()) }).await, [""; 0]);
        assert_eq!(learned(&cell, std::future::pending()).await, [""; 0]);
        assert_eq!(learned(&cell, async { Ok(vec!["sales".to_owned()]) }).await, ["sales"]);
        assert_eq!(learned(&cell, async { panic!("it is known") }).await, ["sales"]);
    }
}
