//! Which schemas an unqualified name is looked up in, as the database says for a target's role.
//!
//! Asked over a connection of Hansard's own, at most once a minute for each database and setting. Invariants: a
//! session neither fails nor waits long for it; nothing that a job ran is repeated here.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::OnceCell;

use crate::options::UpstreamOptions;

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
        target: usize,
        upstream: &UpstreamOptions,
        database: &str,
        options: String,
    ) -> Vec<String> {
        let key = (target, database.to_owned(), options);
        let options = key.2.clone();
        let cell = self.0.get_with(key, Arc::default);
        let ask = async {
            match tokio::time::timeout(PATIENCE, ask(upstream, database, &options)).await {
                Ok(Ok(schemas)) => schemas,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the search path could not be learned");
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

async fn ask(upstream: &UpstreamOptions, database: &str, options: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host(&upstream.host).port(upstream.port).user(&upstream.user).dbname(database);
    config.application_name("hansard").connect_timeout(PATIENCE);
    if !options.is_empty() {
        config.options(options);
    }
    if let Some(password) = &upstream.password {
        config.password(password.reveal());
    }
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let rows = client.simple_query("SELECT unnest(pg_catalog.current_schemas(false))").await?;
    drop(client);
    // It ends by itself once the client is gone; its errors have been the query's.
    drop(connection);
    let schemas = rows.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(schemas.collect())
}
