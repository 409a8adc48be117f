//! Which schemas an unqualified name is looked up in, as the database says for a target's role.
//!
//! Asked over a connection of Hansard's own, at most once a minute for each database and setting. Invariants: a
//! session neither fails nor waits long for it; nothing that a job ran is repeated here.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::OnceCell;

use crate::options::TargetOptions;
use crate::upstream::{self, Failure, Route};

const KEPT_FOR: Duration = Duration::from_secs(60);
const MOST_KEPT: u64 = 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// Target, database and the job's start-up `options`.
type Key = (usize, String, String);

/// See the module.
#[derive(Debug)]
pub(crate) struct SearchPaths(Cache<Key, Arc<OnceCell<Vec<String>>>>);

impl SearchPaths {
    pub(crate) fn new() -> SearchPaths {
        SearchPaths(Cache::builder().max_capacity(MOST_KEPT).time_to_live(KEPT_FOR).build())
    }

    /// The search path; empty when it could not be learned. `options` are command-line options as in a
    /// StartupMessage.
    pub(crate) async fn of(
        &self,
        number: usize,
        target: &TargetOptions,
        route: &Route,
        database: &str,
        options: String,
    ) -> Vec<String> {
        let key = (number, database.to_owned(), options);
        let options = key.2.clone();
        let cell = self.0.get_with(key, Arc::default);
        let ask = async {
            match tokio::time::timeout(PATIENCE, ask(target, route, database, &options)).await {
                Ok(Ok(schemas)) => schemas,
                Ok(Err(failure)) => {
                    tracing::debug!(reason = %failure.line(), "the search path could not be learned");
                    Vec::new()
                }
                Err(_) => {
                    tracing::debug!("the search path could not be learned in time");
                    Vec::new()
                }
            }
        };
        cell.get_or_init(|| ask).await.clone()
    }
}

async fn ask(target: &TargetOptions, route: &Route, database: &str, options: &str) -> Result<Vec<String>, Failure> {
    let options = (!options.is_empty()).then_some(("options", options));
    let parameters = [("application_name", "hansard")].into_iter().chain(options);
    let upstream = upstream::connect(target, route, database, parameters, PATIENCE).await?;
    upstream.ask(target, "SELECT unnest(pg_catalog.current_schemas(false))").await
}
