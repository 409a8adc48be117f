//! From a question to its answer.
//!
//! Invariants: a question reads one moment of the record, through all its tables; it changes nothing; memory, rows and
//! time are bounded, and reaching a bound is said. What a question does is the same whether it came as SQL or through
//! [`crate::questions`].

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
};
use datafusion::common::{DataFusionError, ParamValues, ScalarValue};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use futures::StreamExt;
use futures::future::BoxFuture;
use hansard_event_log::EventLog;
use hansard_lake::Lake;
use hansard_lake::catalog::FileFilter;
use hansard_policy::Name;
use hansard_schemas::lake::Table;

use crate::hot::{Chunk, HotEnd};
use crate::names::{self, Asked, Meant, Named};
use crate::pruning::Scan;
use crate::table::{LakeTable, STORE};
use crate::view::View;
use crate::{Answer, Error, functions, guard, pruning, view};

const MIB: usize = 1024 * 1024;

/// The catalog and the schema that the lake's tables are in, in SQL.
const CATALOG: &str = "hansard";
const SCHEMA: &str = "public";

/// What one question may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// Bytes of memory that one query may hold, answer included.
    pub memory_limit: usize,
    /// Rows that an answer holds at most; more are cut, and the answer says so.
    pub row_limit: usize,
    /// How long one query may take.
    pub timeout: Duration,
    /// Bytes of the event log above the lake's watermarks that one query reads at most, and bytes of memory that the rows
    /// take at most which it makes of them.
    pub hot_limit_bytes: u64,
    /// How many threads' work one query is cut into.
    pub target_partitions: usize,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            memory_limit: 512 * MIB,
            row_limit: 1_000_000,
            timeout: Duration::from_secs(60),
            hot_limit_bytes: 256 * MIB as u64,
            target_partitions: std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8)),
        }
    }
}

/// Stack of the threads that plan and run queries. DataFusion grows its stack while it recurses, but not where an
/// expression is cloned, printed or dropped: [`guard::MAX_NESTING`] levels of those must fit, in a debug build too.
const STACK: usize = 32 * MIB;

/// Answers questions about the record. Cheap to share: put it in an `Arc`.
///
/// Questions are planned and run on threads of the engine's own, so that no question, however heavy, holds up what
/// else the process does.
pub struct Engine {
    inner: Arc<Inner>,
    threads: Option<tokio::runtime::Runtime>,
}

/// What a question needs on the engine's threads.
struct Inner {
    lake: Arc<Lake>,
    log: Option<Arc<dyn EventLog>>,
    hot: HotEnd,
    named: Named,
    options: EngineOptions,
    runtime: RuntimeEnv,
    base: SessionState,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { lake, options, .. } = &*self.inner;
        f.debug_struct("Engine").field("lake", lake).field("options", options).finish_non_exhaustive()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            // Waiting for threads is not allowed where an engine may be dropped: inside another runtime.
            threads.shutdown_background();
        }
    }
}

impl Engine {
    /// Without a log, answers know the lake alone: what was not flushed is missing, and open sessions show what was
    /// known of them at the last flush.
    pub fn new(lake: Arc<Lake>, log: Option<Arc<dyn EventLog>>, options: EngineOptions) -> Engine {
        let runtime = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build()
            .expect("without a disk nothing is opened");
        let url = ObjectStoreUrl::parse(STORE).expect("a constant that parses");
        runtime.register_object_store(url.as_ref(), Arc::clone(&lake.store));
        let mut config = SessionConfig::new()
            .with_information_schema(true)
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_create_default_catalog_and_schema(false)
            .with_target_partitions(options.target_partitions.max(1));
        config.options_mut().execution.time_zone = Some("+00:00".to_owned());
        config.options_mut().sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
        config.options_mut().execution.parquet.reorder_filters = true;
        // The table functions promise an order, and they are subqueries.
        config.options_mut().sql_parser.enable_subquery_sort_elimination = false;
        let base = SessionStateBuilder::new().with_config(config).with_default_features().build();
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.target_partitions.max(1))
            .thread_name("hansard-query")
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .expect("the system has threads left for the query engine");
        let inner = Inner { lake, log, hot: HotEnd::default(), named: Named::default(), options, runtime, base };
        Engine { inner: Arc::new(inner), threads: Some(threads) }
    }

    /// What a question may take.
    pub fn options(&self) -> &EngineOptions {
        &self.inner.options
    }

    /// The lake that is asked.
    pub(crate) fn lake(&self) -> &Lake {
        &self.inner.lake
    }

    /// Answers one statement that reads: SELECT, EXPLAIN, SHOW or DESCRIBE.
    pub async fn sql(&self, sql: &str) -> Result<Answer, Error> {
        self.ask(sql, Vec::new()).await
    }

    /// As [`Engine::sql`], with values for `$1`, `$2`, ...
    pub(crate) async fn ask(&self, sql: &str, values: Vec<ScalarValue>) -> Result<Answer, Error> {
        let began = Instant::now();
        let limit = self.inner.options.row_limit;
        let rows = self.fold(sql, values, move || Collected { room: limit, ..Collected::default() }).await?;
        let Collected { schema, batches, truncated, .. } = rows;
        let schema = schema.unwrap_or_else(|| Arc::new(Schema::empty()));
        Ok(Answer { schema, batches, truncated, elapsed: began.elapsed() })
    }

    /// Gives an answer's rows to a sink as they come. Where a view has to be taken anew, the sink is made anew too.
    pub(crate) async fn fold<S: Sink>(
        &self,
        sql: &str,
        values: Vec<ScalarValue>,
        sink: impl Fn() -> S + Send + Sync + 'static,
    ) -> Result<S, Error> {
        let began = Instant::now();
        let limit = self.inner.options.timeout;
        let (inner, sql) = (Arc::clone(&self.inner), sql.to_owned());
        let task = self.on_own_threads(async move { inner.answer(&sql, &values, &sink).await });
        let outcome = match tokio::time::timeout(limit, task).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Timeout { limit }),
        };
        let result = outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok");
        metrics::counter!("hansard_queries_total", "result" => result).increment(1);
        metrics::histogram!("hansard_query_seconds").record(began.elapsed().as_secs_f64());
        outcome
    }

    /// A question that nobody waits for any more, or that took too long, is ended with this future.
    async fn on_own_threads<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let Some(threads) = &self.threads else {
            return Err(Error::Internal("the engine is shutting down".to_owned()));
        };
        let mut task = tokio::task::JoinSet::new();
        task.spawn_on(work, threads.handle());
        match task.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Err(Error::Internal(format!("a query ended without an answer: {error}"))),
            None => Err(Error::Internal("a query was never begun".to_owned())),
        }
    }
}

/// Takes an answer's rows.
pub(crate) trait Sink: Send + 'static {
    /// Before the first row.
    fn begin(&mut self, _schema: &SchemaRef) {}

    /// The next rows, and how many bytes of memory the sink goes on holding for them; breaks when it has enough.
    fn rows(&mut self, batch: RecordBatch) -> (usize, ControlFlow<()>);
}

/// All rows, up to a number.
#[derive(Default)]
struct Collected {
    schema: Option<SchemaRef>,
    batches: Vec<RecordBatch>,
    room: usize,
    truncated: bool,
}

impl Sink for Collected {
    fn begin(&mut self, schema: &SchemaRef) {
        self.schema = Some(Arc::clone(schema));
    }

    fn rows(&mut self, batch: RecordBatch) -> (usize, ControlFlow<()>) {
        let bytes = batch.get_array_memory_size();
        if batch.num_rows() > self.room {
            self.truncated = true;
            self.batches.push(batch.slice(0, self.room));
            return (bytes, ControlFlow::Break(()));
        }
        self.room -= batch.num_rows();
        self.batches.push(batch);
        (bytes, ControlFlow::Continue(()))
    }
}

impl Inner {
    async fn answer<S: Sink>(
        &self,
        sql: &str,
        values: &[ScalarValue],
        sink: &(dyn Fn() -> S + Send + Sync),
    ) -> Result<S, Error> {
        let statement = guard::parse(sql)?;
        let mut attempt = 1;
        loop {
            match Box::pin(self.attempt(statement.clone(), values, sink())).await {
                // A compaction took a file away that the view still named: the next view names its successor.
                Err(error) if is_gone(&error) && attempt < view::ATTEMPTS => attempt += 1,
                Err(error) if is_gone(&error) => return Err(Error::Unsettled { attempts: attempt }),
                outcome => return outcome.map_err(|error| self.explain(error)),
            }
        }
    }

    async fn attempt<S: Sink>(
        &self,
        statement: Statement,
        values: &[ScalarValue],
        sink: S,
    ) -> Result<S, DataFusionError> {
        let view = Arc::new(View::default());
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(self.options.memory_limit));
        let asked = Arc::new(Asked::default());
        let state = self.new_session(&view, &asked, Arc::clone(&pool))?;
        let mut plan = state.statement_to_plan(statement.clone()).await?;
        let relations = asked.unknown();
        if !relations.is_empty() {
            // What they are called is in the record itself: it is asked first, and then the plan made anew.
            for relation in relations {
                self.look_up(relation, &asked).await.map_err(external)?;
            }
            plan = state.statement_to_plan(statement).await?;
        }
        guard::verify(&plan).map_err(external)?;
        if !values.is_empty() {
            plan = plan.with_param_values(ParamValues::from(values.to_vec()))?;
        }
        let plan = state.optimize(&plan)?;
        let limit = self.options.hot_limit_bytes;
        view.take(&*self.lake.catalog, self.log.as_deref(), &self.hot, &pruning::scans(&plan), limit)
            .await
            .map_err(external)?;
        let physical = state.query_planner().create_physical_plan(&plan, &state).await?;
        run(physical, &state, &pool, sink).await
    }

    /// Finds out what a relation is called in the record.
    async fn look_up(&self, relation: String, asked: &Asked) -> Result<(), Error> {
        let name = names::parse(&relation)?;
        let recorded = self.catalogs_recorded().await?;
        if let Some(meant) = self.named.known(&recorded, &relation) {
            asked.found(relation, meant);
            return Ok(());
        }
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        let database = Name::database_of(&relation);
        let mut databases: Vec<names::Described> = self.own(names::DATABASES, Vec::new()).await?.decode()?;
        let mut history = Vec::new();
        if !databases.is_empty() {
            history = self.own(names::HISTORY, vec![text(&name.name)]).await?.decode::<names::Version>()?;
        }
        if let Some(database) = &database {
            names::only(database, &mut databases, &mut history);
            if databases.is_empty() && self.own(names::AT_DATABASE, vec![text(database)]).await?.rows() == 0 {
                return Err(Error::NotFound(format!("no session was recorded at a database {database}")));
            }
        }
        let of_database = |meant: Meant| Meant { database: database.clone(), ..meant };
        if databases.is_empty() {
            let meant = of_database(Meant::by_name(&name));
            self.named.keep(recorded, relation.clone(), meant.clone());
            asked.found(relation, meant);
            return Ok(());
        }
        let meant = match names::resolve(&name, &databases, &history)? {
            Some(meant) => {
                let meant = of_database(meant);
                self.named.keep(recorded, relation.clone(), meant.clone());
                meant
            }
            None => {
                // Of a temporary or a system relation, and of one that went before a catalog was read, there may be rows.
                let meant = of_database(Meant::by_name(&name));
                let both: Vec<String> = meant.relations().into_iter().collect();
                let recorded = self.own(names::RECORDED, both.iter().map(|name| text(name)).collect()).await?;
                if recorded.rows() == 0 {
                    return Err(names::no_such(&relation, &name, self.own(names::ALL, Vec::new()).await?.decode()?));
                }
                meant
            }
        };
        asked.found(relation, meant);
        Ok(())
    }

    /// What is recorded of catalogs now.
    async fn catalogs_recorded(&self) -> Result<names::Recorded, Error> {
        let view = View::default();
        let filter = FileFilter { table: Some(Table::Catalog), ..FileFilter::default() };
        let scans = [Scan { table: Table::Catalog, filter, outcomes: false }];
        view.take(&*self.lake.catalog, self.log.as_deref(), &self.hot, &scans, self.options.hot_limit_bytes).await?;
        let part = view.part(Table::Catalog);
        Ok(names::Recorded {
            files: part.iter().flat_map(|part| &part.files).map(|file| file.path.clone()).collect(),
            hot_rows: part.iter().flat_map(|part| &part.hot).map(Chunk::rows).sum(),
        })
    }

    /// Asks a question of the engine's own.
    fn own<'a>(&'a self, sql: &'a str, values: Vec<ScalarValue>) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(async move {
            let began = Instant::now();
            let sink = || Collected { room: usize::MAX, ..Collected::default() };
            let Collected { schema, batches, truncated, .. } = self.answer(sql, &values, &sink).await?;
            let schema = schema.unwrap_or_else(|| Arc::new(Schema::empty()));
            Ok(Answer { schema, batches, truncated, elapsed: began.elapsed() })
        })
    }

    /// A session of its own for every question: its tables are bound to its view, its memory is its own.
    fn new_session(
        &self,
        view: &Arc<View>,
        asked: &Arc<Asked>,
        pool: Arc<dyn MemoryPool>,
    ) -> Result<SessionState, DataFusionError> {
        let tables = MemorySchemaProvider::new();
        for table in Table::ALL {
            tables.register_table(table.name().to_owned(), Arc::new(LakeTable::new(table, Arc::clone(view))))?;
        }
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(tables))?;
        let catalogs = MemoryCatalogProviderList::new();
        datafusion::catalog::CatalogProviderList::register_catalog(&catalogs, CATALOG.to_owned(), Arc::new(catalog));
        let runtime = RuntimeEnv { memory_pool: pool, ..self.runtime.clone() };
        let mut state = SessionStateBuilder::new_from_existing(self.base.clone())
            .with_runtime_env(Arc::new(runtime))
            .with_catalog_list(Arc::new(catalogs))
            .build();
        functions::register(&mut state, view, asked);
        Ok(state)
    }

    fn explain(&self, error: DataFusionError) -> Error {
        explain(error, self.options.memory_limit)
    }
}

async fn run<S: Sink>(
    physical: Arc<dyn ExecutionPlan>,
    state: &SessionState,
    pool: &Arc<dyn MemoryPool>,
    mut sink: S,
) -> Result<S, DataFusionError> {
    sink.begin(&physical.schema());
    let mut stream = execute_stream(physical, state.task_ctx())?;
    let reserved = MemoryConsumer::new("answer").register(pool);
    while let Some(batch) = stream.next().await {
        let (held, flow) = sink.rows(batch?);
        reserved.try_grow(held)?;
        if flow.is_break() {
            break;
        }
    }
    Ok(sink)
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A file that the view named is not in the store.
fn is_gone(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ObjectStore(error) => matches!(**error, object_store::Error::NotFound { .. }),
        DataFusionError::ParquetError(error) => error.to_string().contains("not found"),
        _ => false,
    }
}

/// DataFusion's error as ours. What it says about the asker's SQL is kept; what it says about itself is not.
pub(crate) fn explain(error: DataFusionError, memory_limit: usize) -> Error {
    let text = |error: &DataFusionError| {
        let text = error.strip_backtrace();
        let text = text.split_once("\n\nBug report").map_or(text.as_str(), |(text, _)| text);
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let error = match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(error) => return *error,
            Err(other) => DataFusionError::External(other),
        },
        other => other,
    };
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => Error::Memory { limit: memory_limit.div_ceil(MIB) },
        root @ (DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) | DataFusionError::ParquetError(_)) => {
            Error::Lake(text(root))
        }
        root @ DataFusionError::Internal(_) => Error::Internal(text(root)),
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            // Wrapped in a context: its kind cannot be moved out, its sentence can.
            Some(error) => Error::Invalid(error.to_string()),
            None => Error::Internal(inner.to_string()),
        },
        _ => Error::Invalid(text(&error)),
    }
}
