//! From a question to its answer.
//!
//! Invariants: a question reads one moment of the record, through all its tables; it changes nothing; memory, rows and
//! time are bounded, and reaching a bound is said. What a question does is the same whether it came as SQL or through
//! [`crate::questions`].

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
};
use datafusion::common::{DataFusionError, ParamValues, ScalarValue};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use futures::StreamExt;
use futures::future::BoxFuture;
use hansard_event_log::EventLog;
use hansard_lake::Lake;
use hansard_lake::catalog::FileFilter;
use hansard_policy::Name;
use hansard_schemas::http::QueryFormat;
use hansard_schemas::lake::Table;
use tokio::time::Instant;

use crate::dialect::{Headings, Types};
use crate::hot::{Chunk, HotEnd};
use crate::lanes::{Asker, Lanes, Load, Running, Weight};
use crate::names::{self, Meant, Named};
use crate::pruning::Scan;
use crate::sink::{Collected, Encoded, Sink};
use crate::standing::{Memory, Share, Standing};
use crate::table::{LakeTable, STORE};
use crate::view::View;
use crate::watch::watched;
use crate::weight::weight;
use crate::{Answer, Error, bounds, dialect, functions, guard, identities, plain, pruning, view};

const MIB: usize = 1024 * 1024;

/// The catalog and the schema that the lake's tables are in, in SQL.
const CATALOG: &str = "hansard";
const SCHEMA: &str = "public";

/// What one question may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// Bytes of memory that all queries together may hold, answers included. A quarter of it, 64 MiB at most, is kept for
    /// those of the pages.
    pub memory_limit: usize,
    /// Rows that an answer holds at most; more are cut, and the answer says so.
    pub row_limit: usize,
    /// How long one query may take; an export, until its first rows.
    pub timeout: Duration,
    /// How long an export may take to its end.
    pub export_timeout: Duration,
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
            export_timeout: Duration::from_secs(3600),
            hot_limit_bytes: 256 * MIB as u64,
            target_partitions: std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8)),
        }
    }
}

/// Answers questions about the record. Cheap to share: put it in an `Arc`.
///
/// Questions are planned and run on threads of the engine's own, so that no question, however heavy, holds up what
/// else the process does.
pub struct Engine {
    inner: Arc<Inner>,
    lanes: Lanes,
}

/// What a question needs on the engine's threads.
struct Inner {
    lake: Arc<Lake>,
    log: Option<Arc<dyn EventLog>>,
    hot: HotEnd,
    named: Named,
    options: EngineOptions,
    memory: Arc<Memory>,
    runtime: RuntimeEnv,
    base: SessionState,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { lake, options, .. } = &*self.inner;
        f.debug_struct("Engine").field("lake", lake).field("options", options).finish_non_exhaustive()
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
        let base = SessionStateBuilder::new()
            .with_config(config)
            .with_default_features()
            .with_analyzer_rule(Arc::new(dialect::Casts))
            .build();
        let memory = Arc::new(Memory::new(options.memory_limit));
        let lanes = Lanes::new(options.target_partitions);
        let (hot, named) = (HotEnd::default(), Named::default());
        Engine { inner: Arc::new(Inner { lake, log, hot, named, options, memory, runtime, base }), lanes }
    }

    /// How busy it is.
    pub fn load(&self) -> Load {
        self.lanes.load()
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
        self.collect(Asker::Somebody, sql, Vec::new()).await
    }

    /// As [`Engine::sql`], with values for `$1`, `$2`, ..., for a page.
    pub(crate) async fn ask(&self, sql: &str, values: Vec<ScalarValue>) -> Result<Answer, Error> {
        self.collect(Asker::Page, sql, values).await
    }

    async fn collect(&self, asker: Asker, sql: &str, values: Vec<ScalarValue>) -> Result<Answer, Error> {
        let began = Instant::now();
        let limit = self.inner.options.row_limit;
        let asked = Asked { asker, sql: sql.to_owned(), values };
        let rows = self.fold(asked, move || Collected::up_to(limit)).await?;
        Ok(answer_of(rows, began))
    }

    /// An answer in a format, at most as long as [`EngineOptions::row_limit`] says.
    pub async fn formatted(&self, sql: &str, format: QueryFormat) -> Result<Formatted, Error> {
        let limit = self.inner.options.row_limit;
        let asked = Asked { asker: Asker::Somebody, sql: sql.to_owned(), values: Vec::new() };
        let done = self.fold(asked, move || Encoded::up_to(limit, format)).await?;
        let truncated = done.truncated();
        Ok(Formatted { bytes: done.bytes, rows: done.rows, truncated })
    }

    /// Gives an answer's rows to a sink as they come. Where a view has to be taken anew, the sink is made anew too.
    pub(crate) async fn fold<S: Sink>(
        &self,
        asked: Asked,
        sink: impl Fn() -> S + Send + Sync + 'static,
    ) -> Result<S, Error> {
        let began = Instant::now();
        let limit = self.inner.options.timeout;
        let outcome =
            match tokio::time::timeout(limit, self.folded(&asked, Arc::new(sink), began + places(limit))).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Error::Timeout { limit, setting: "query.timeout" }),
            };
        count(&outcome, began);
        outcome
    }

    async fn folded<S: Sink>(&self, asked: &Asked, sink: MakeSink<S>, deadline: Instant) -> Result<S, Error> {
        let mut weight = Weight::Small;
        loop {
            match self.start(asked, weight, deadline, Arc::clone(&sink)).await?.done().await?? {
                Some(sink) => return Ok(sink),
                None => weight = Weight::Heavy,
            }
        }
    }

    /// Begins to answer; the answer is `None` where the question turns out to be heavier than `weight`.
    pub(crate) async fn start<S: Sink>(
        &self,
        asked: &Asked,
        weight: Weight,
        deadline: Instant,
        sink: MakeSink<S>,
    ) -> Result<Running<Result<Option<S>, Error>>, Error> {
        let place = self.lanes.place(asked.asker, weight, deadline).await?;
        let standing = Arc::new(Standing::default());
        let page = asked.asker == Asker::Page;
        let ticket = Ticket {
            standing: Arc::clone(&standing),
            pool: Arc::new(Share::new(&self.inner.memory, &standing, page)),
            most: if page { Weight::Heavy } else { weight },
        };
        let (inner, asked) = (Arc::clone(&self.inner), asked.clone());
        let work = async move { inner.answer(&asked.sql, &asked.values, &ticket, &*sink).await };
        Ok(self.lanes.run(place, standing, work))
    }
}

/// A question.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) asker: Asker,
    pub(crate) sql: String,
    /// Of `$1`, `$2`, ...
    pub(crate) values: Vec<ScalarValue>,
}

/// An answer in a format.
#[derive(Debug, Clone)]
pub struct Formatted {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Rows in it.
    pub rows: usize,
    /// There were more rows than the row limit; the first ones are here.
    pub truncated: bool,
}

/// How long of its time a question waits for a place: what is left tells that there was none.
pub(crate) fn places(limit: Duration) -> Duration {
    limit.mul_f32(0.9)
}

type MakeSink<S> = Arc<dyn Fn() -> S + Send + Sync>;

fn answer_of(rows: Collected, began: Instant) -> Answer {
    let truncated = rows.truncated();
    let schema = rows.schema.unwrap_or_else(|| Arc::new(Schema::empty()));
    Answer { schema, batches: rows.batches, truncated, elapsed: began.elapsed() }
}

/// How a question ended.
pub(crate) fn count<T>(outcome: &Result<T, Error>, began: Instant) {
    let result = outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok");
    metrics::counter!("hansard_queries_total", "result" => result).increment(1);
    metrics::histogram!("hansard_query_seconds").record(began.elapsed().as_secs_f64());
    if let Err(error @ Error::Internal(_)) = outcome {
        tracing::error!(%error, "a query failed by a fault of Hansard; please report this line, and the query if you may");
    }
}

/// What a question goes by on its way.
#[derive(Clone)]
struct Ticket {
    standing: Arc<Standing>,
    pool: Arc<dyn MemoryPool>,
    /// It needs another place where it turns out to be heavier.
    most: Weight,
}

impl Inner {
    /// `None`: it is heavier than its place allows.
    async fn answer<S: Sink>(
        &self,
        sql: &str,
        values: &[ScalarValue],
        ticket: &Ticket,
        sink: &(dyn Fn() -> S + Send + Sync),
    ) -> Result<Option<S>, Error> {
        let statement = guard::parse(sql)?;
        let headings = Headings::of(&statement);
        let statement = dialect::rewritten(statement)?;
        let mut attempt = 1;
        loop {
            match Box::pin(self.attempt(statement.clone(), values, ticket, &headings, sink())).await {
                // A compaction took a file away that the view still named: the next view names its successor.
                Err(error) if is_gone(&error) && attempt < view::ATTEMPTS => attempt += 1,
                Err(error) if is_gone(&error) => return Err(Error::Unsettled { attempts: attempt }),
                outcome => return outcome.map_err(|error| plain::explain(error, self.options.memory_limit)),
            }
        }
    }

    async fn attempt<S: Sink>(
        &self,
        statement: Statement,
        values: &[ScalarValue],
        ticket: &Ticket,
        headings: &Headings,
        sink: S,
    ) -> Result<Option<S>, DataFusionError> {
        let view = Arc::new(View::default());
        let asked = Arc::new(names::Asked::default());
        let state = self.new_session(&view, &asked, ticket)?;
        let mut plan = state.statement_to_plan(statement.clone()).await?;
        let relations = asked.unknown();
        if !relations.is_empty() {
            // What they are called is in the record itself: it is asked first, and then the plan made anew.
            for relation in relations {
                self.look_up(relation, &asked, ticket).await.map_err(external)?;
            }
            plan = state.statement_to_plan(statement).await?;
        }
        guard::verify(&plan).map_err(external)?;
        dialect::verify(&plan)?;
        if values.is_empty()
            && let Some(place) = plan.get_parameter_names()?.into_iter().next()
        {
            let why = format!("there is no value for {place} here: write the value itself");
            return Err(external(Error::Invalid(why)));
        }
        if !values.is_empty() {
            plan = plan.with_param_values(ParamValues::from(values.to_vec()))?;
        }
        let begun = state.execution_props().query_execution_start_time;
        let now = begun.and_then(|begun| begun.timestamp_nanos_opt()).unwrap_or(0);
        let plan = state.optimize(&dialect::read_times(plan, now)?)?;
        let limit = self.options.hot_limit_bytes;
        view.take(&*self.lake.catalog, self.log.as_deref(), &self.hot, &pruning::scans(&plan), limit)
            .await
            .map_err(external)?;
        if ticket.most == Weight::Small && weight(&plan, &view) == Weight::Heavy {
            return Ok(None);
        }
        let physical = state.query_planner().create_physical_plan(&plan, &state).await?;
        let physical = watched(physical, &ticket.standing)?;
        run(physical, &state, &ticket.pool, headings, matches!(plan, LogicalPlan::DescribeTable(_)), sink)
            .await
            .map(Some)
    }

    /// Finds out what a relation is called in the record.
    async fn look_up(&self, relation: String, asked: &names::Asked, ticket: &Ticket) -> Result<(), Error> {
        let name = names::parse(&relation)?;
        let recorded = self.catalogs_recorded().await?;
        if let Some(meant) = self.named.known(&recorded, &relation) {
            asked.found(relation, meant);
            return Ok(());
        }
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        let database = Name::database_of(&relation);
        let mut databases: Vec<names::Described> = self.own(ticket, names::DATABASES, Vec::new()).await?.decode()?;
        let mut history = Vec::new();
        if !databases.is_empty() {
            history = self.own(ticket, names::HISTORY, vec![text(&name.name)]).await?.decode::<names::Version>()?;
        }
        if let Some(database) = &database {
            names::only(database, &mut databases, &mut history);
            if databases.is_empty() && self.own(ticket, names::AT_DATABASE, vec![text(database)]).await?.rows() == 0 {
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
                let recorded = self.own(ticket, names::RECORDED, both.iter().map(|name| text(name)).collect()).await?;
                if recorded.rows() == 0 {
                    return Err(names::no_such(
                        &relation,
                        &name,
                        self.own(ticket, names::ALL, Vec::new()).await?.decode()?,
                    ));
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
    fn own<'a>(
        &'a self,
        ticket: &'a Ticket,
        sql: &'a str,
        values: Vec<ScalarValue>,
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(async move {
            let began = Instant::now();
            let sink = || Collected::up_to(usize::MAX);
            let ticket = Ticket { most: Weight::Heavy, ..ticket.clone() };
            let rows = self.answer(sql, &values, &ticket, &sink).await?;
            Ok(answer_of(rows.unwrap_or_else(sink), began))
        })
    }

    /// A session of its own for every question: its tables are bound to its view, its memory is its own.
    fn new_session(
        &self,
        view: &Arc<View>,
        asked: &Arc<names::Asked>,
        ticket: &Ticket,
    ) -> Result<SessionState, DataFusionError> {
        let tables = MemorySchemaProvider::new();
        for table in Table::ALL {
            tables.register_table(table.name().to_owned(), Arc::new(LakeTable::new(table, Arc::clone(view))))?;
        }
        tables.register_table(identities::NAME.to_owned(), Arc::new(identities::table(view)?))?;
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(tables))?;
        let catalogs = MemoryCatalogProviderList::new();
        datafusion::catalog::CatalogProviderList::register_catalog(&catalogs, CATALOG.to_owned(), Arc::new(catalog));
        let runtime = RuntimeEnv { memory_pool: Arc::clone(&ticket.pool), ..self.runtime.clone() };
        let mut state = SessionStateBuilder::new_from_existing(self.base.clone())
            .with_runtime_env(Arc::new(runtime))
            .with_catalog_list(Arc::new(catalogs))
            .with_type_planner(Arc::new(Types))
            .build();
        let config = Arc::clone(state.config().options());
        state.execution_props_mut().mark_start_execution(config);
        bounds::register(&mut state, &ticket.standing, &ticket.pool)?;
        dialect::register(&mut state)?;
        functions::register(&mut state, view, asked);
        Ok(state)
    }
}

async fn run<S: Sink>(
    physical: Arc<dyn ExecutionPlan>,
    state: &SessionState,
    pool: &Arc<dyn MemoryPool>,
    headings: &Headings,
    describes: bool,
    mut sink: S,
) -> Result<S, DataFusionError> {
    let schema = headings.over(&physical.schema());
    sink.begin(&schema).map_err(external)?;
    let mut stream = execute_stream(physical, state.task_ctx())?;
    let reserved = MemoryConsumer::new("answer").register(pool);
    while let Some(batch) = stream.next().await {
        let batch = if describes { plain::described(&batch?)? } else { batch? };
        let (held, flow) = sink.rows(headed(&batch, &schema)?).await.map_err(external)?;
        reserved.try_grow(held)?;
        if flow.is_break() {
            break;
        }
    }
    sink.end().await.map_err(external)?;
    Ok(sink)
}

/// Rows with the headings that were written.
fn headed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)?)
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
