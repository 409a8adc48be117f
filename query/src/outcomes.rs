//! Outcomes of rows that left before their transaction ended: filled in from table `transactions` while they are read.
//!
//! Invariants: a row comes out once, with all its other columns as they were; a row that has its outcome keeps it; facts
//! are read only when a row without one is met, and of them only those of such rows' transactions are kept, and those about
//! prepared ones, in the query's own memory.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringBuilder, TimestampNanosecondBuilder};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampNanosecondType};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ColumnStatistics, DFSchema, Result, Statistics, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNullExpr, lit};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr, conjunction_opt};
use datafusion::physical_plan::execution_plan::{Boundedness, CardinalityEffect, EmissionType};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};
use hansard_schemas::lake::{PREPARED, Table};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::hot::Chunk;
use facts::{Facts, Key, numbers, texts, uuid};
use needed::Needed;

mod facts;
mod needed;

/// A table's columns that are filled in: outcome, time of the commit, reason.
fn filled(table: Table) -> Option<[&'static str; 3]> {
    let outcome = table.outcome_column()?;
    Some([outcome, "committed_at", if table == Table::Transactions { "reason" } else { "outcome_reason" }])
}

/// A table's columns that it takes to fill them in.
fn keys(table: Table) -> &'static [&'static str] {
    match table {
        Table::Transactions => &["target", "gid", "ended_at"],
        _ => &["session_id", "transaction_id", "statement_no"],
    }
}

/// True when a scan of these columns of a table shows outcomes.
pub(crate) fn shown(table: Table, projection: Option<&[usize]>) -> bool {
    let Some(filled) = filled(table) else { return false };
    let schema = table.schema();
    projection
        .is_none_or(|columns| columns.iter().any(|column| filled.contains(&schema.field(*column).name().as_str())))
}

/// How many rows of a batch have their outcome elsewhere.
pub(crate) fn unsettled(table: Table, batch: &RecordBatch) -> Result<usize> {
    match table.outcome_column() {
        Some(column) if table == Table::Transactions => {
            Ok(texts(batch, column)?.iter().filter(|outcome| table.is_unsettled(*outcome)).count())
        }
        Some(column) => Ok(texts(batch, column)?.null_count()),
        None => Ok(0),
    }
}

/// The sessions of a batch.
pub(crate) fn sessions(batch: &RecordBatch) -> Result<HashSet<Uuid>> {
    texts(batch, "session_id")?.iter().flatten().map(uuid).collect()
}

/// When the earliest of the transactions began that these rows of `transactions` say ended between two times; the
/// largest number where none did.
pub(crate) fn earliest_start(told: &[Chunk], from: i64, to: i64) -> Result<i64> {
    let mut earliest = i64::MAX;
    for chunk in told {
        let batch = chunk.batch()?;
        let started = numbers::<TimestampNanosecondType>(&batch, "started_at")?;
        for ended in ["ended_at", "committed_at"] {
            let ended = numbers::<TimestampNanosecondType>(&batch, ended)?;
            for (ended, started) in ended.iter().zip(started.iter()) {
                if ended.is_some_and(|ended| (from..=to).contains(&ended)) {
                    earliest = earliest.min(started.unwrap_or(i64::MIN));
                }
            }
        }
    }
    Ok(earliest)
}

/// Of a scan's filters and another, those that do not ask for an outcome, as one.
pub(crate) fn other_filters(
    table: Table,
    filters: &[Expr],
    state: &dyn Session,
    other: Option<Arc<dyn PhysicalExpr>>,
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let filled = filled(table).unwrap_or_default();
    let schema = DFSchema::try_from(table.schema())?;
    let mut all: Vec<Arc<dyn PhysicalExpr>> = other.into_iter().collect();
    for filter in filters.iter().flat_map(split_conjunction) {
        if !filter.column_refs().iter().any(|column| filled.contains(&column.name.as_str())) {
            all.push(state.create_physical_expr(filter.clone(), &schema)?);
        }
    }
    Ok(conjunction_opt(all))
}

/// What to read of `transactions`.
pub(crate) fn fact_columns() -> Result<Vec<usize>> {
    facts::COLUMNS.iter().map(|name| Ok(Table::Transactions.schema().index_of(name)?)).collect()
}

/// Fills outcomes in.
#[derive(Debug)]
pub(crate) struct OutcomeExec {
    table: Table,
    schema: SchemaRef,
    /// The rows, with the columns of `schema` first.
    input: Arc<dyn ExecutionPlan>,
    /// Of the rows whose outcome is elsewhere, the transactions; for statements and touches.
    wanted: Option<Arc<dyn ExecutionPlan>>,
    /// Rows of `transactions`.
    facts: Arc<dyn ExecutionPlan>,
    /// Which of them are read, once it is known whose are wanted.
    needed: Needed,
    properties: Arc<PlanProperties>,
    known: Arc<OnceCell<Known>>,
}

/// Facts, and the memory that they are counted with.
#[derive(Debug)]
struct Known {
    facts: Facts,
    _memory: MemoryReservation,
}

impl OutcomeExec {
    /// Over a table's rows, as `rows` gives them for columns and a limit, and what `facts` tells.
    pub(crate) fn over(
        table: Table,
        projection: Option<&Vec<usize>>,
        rows: impl Fn(&Vec<usize>, Option<usize>) -> Result<Arc<dyn ExecutionPlan>>,
        limit: Option<usize>,
        wanted: impl Fn(&Vec<usize>) -> Result<Arc<dyn ExecutionPlan>>,
        facts: impl Fn(&Vec<usize>, Arc<dyn PhysicalExpr>) -> Result<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = table.schema();
        let shown = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let mut read = shown.clone();
        for name in keys(table).iter().chain(filled(table).iter().flatten()) {
            let column = schema.index_of(name)?;
            if !read.contains(&column) {
                read.push(column);
            }
        }
        let wanted = match table {
            Table::Transactions => None,
            _ => {
                let columns = ["session_id", "transaction_id", "transaction_outcome"].map(|name| schema.index_of(name));
                let rows = wanted(&columns.into_iter().collect::<Result<_, _>>()?)?;
                Some(Arc::new(FilterExec::try_new(is_unsettled(table, &rows.schema())?, rows)?) as _)
            }
        };
        let needed = Needed::new()?;
        let facts = facts(&fact_columns()?, Arc::clone(&needed.0) as Arc<dyn PhysicalExpr>)?;
        Ok(Arc::new(Self::new(table, Arc::new(schema.project(&shown)?), rows(&read, limit)?, wanted, facts, needed)))
    }

    fn new(
        table: Table,
        schema: SchemaRef,
        input: Arc<dyn ExecutionPlan>,
        wanted: Option<Arc<dyn ExecutionPlan>>,
        facts: Arc<dyn ExecutionPlan>,
        needed: Needed,
    ) -> OutcomeExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let (properties, known) = (Arc::new(properties), Arc::default());
        OutcomeExec { table, schema, input, wanted, facts, needed, properties, known }
    }
}

/// What holds for rows whose outcome is elsewhere.
fn is_unsettled(table: Table, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    let name = table.outcome_column().unwrap_or_default();
    let outcome: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, schema.index_of(name)?));
    Ok(match table {
        Table::Transactions => Arc::new(BinaryExpr::new(outcome, Operator::Eq, lit(PREPARED))),
        _ => Arc::new(IsNullExpr::new(outcome)),
    })
}

/// Reads the facts that rows in `wanted` need.
async fn learn(
    wanted: Option<Arc<dyn ExecutionPlan>>,
    facts: Arc<dyn ExecutionPlan>,
    needed: Needed,
    context: Arc<TaskContext>,
) -> Result<Known> {
    let memory = MemoryConsumer::new("outcomes").register(context.memory_pool());
    let mut transactions: HashSet<Key> = HashSet::new();
    if let Some(wanted) = wanted {
        let mut batches = wanted.execute(0, Arc::clone(&context))?;
        while let Some(batch) = batches.try_next().await? {
            let before = transactions.len();
            let (sessions, ids) = (texts(&batch, "session_id")?, numbers::<Int64Type>(&batch, "transaction_id")?);
            for row in 0..batch.num_rows() {
                transactions.insert((uuid(sessions.value(row))?, ids.value(row)));
            }
            memory.try_grow((transactions.len() - before) * 64)?;
        }
    }
    needed.narrow(&transactions)?;
    let mut known = Facts::default();
    let mut batches = facts.execute(0, context)?;
    while let Some(batch) = batches.try_next().await? {
        memory.try_grow(known.take(&batch, &transactions)?)?;
    }
    known.settle();
    Ok(Known { facts: known, _memory: memory })
}

/// A batch with its outcomes filled in.
fn fill(table: Table, batch: &RecordBatch, facts: &Facts) -> Result<Vec<ArrayRef>> {
    let Some([outcome, committed_at, reason]) = filled(table) else {
        return internal_err!("table {} has no outcomes", table.name());
    };
    let outcomes = texts(batch, outcome)?;
    let committed = numbers::<TimestampNanosecondType>(batch, committed_at)?;
    let reasons = texts(batch, reason)?;
    let mut found: [_; 2] = std::array::from_fn(|_| StringBuilder::with_capacity(batch.num_rows(), 0));
    let mut at = TimestampNanosecondBuilder::with_capacity(batch.num_rows()).with_timezone("+00:00");
    for row in 0..batch.num_rows() {
        let own = outcomes.is_valid(row).then(|| outcomes.value(row));
        if !table.is_unsettled(own) {
            found[0].append_option(own);
            at.append_option(committed.is_valid(row).then(|| committed.value(row)));
            found[1].append_option(reasons.is_valid(row).then(|| reasons.value(row)));
            continue;
        }
        let now = if table == Table::Transactions {
            let (target, gid) = (texts(batch, "target")?.value(row), texts(batch, "gid")?.value(row));
            let ended_at = numbers::<TimestampNanosecondType>(batch, "ended_at")?.value(row);
            facts.of_prepared(&target.into(), &gid.into(), ended_at)
        } else {
            let session = uuid(texts(batch, "session_id")?.value(row))?;
            let transaction = numbers::<Int64Type>(batch, "transaction_id")?.value(row);
            facts.of_statement((session, transaction), numbers::<Int64Type>(batch, "statement_no")?.value(row))
        };
        found[0].append_value(&now.outcome);
        at.append_option(now.committed_at);
        found[1].append_option(now.reason.as_deref());
    }
    let [mut outcomes, mut reasons] = found;
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let name = field.name().as_str();
        let new: Option<ArrayRef> = if name == outcome {
            Some(Arc::new(outcomes.finish()))
        } else if name == committed_at {
            Some(Arc::new(at.finish()))
        } else if name == reason {
            Some(Arc::new(reasons.finish()))
        } else {
            None
        };
        new.unwrap_or_else(|| Arc::clone(column))
    });
    Ok(columns.collect())
}

impl DisplayAs for OutcomeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutcomeExec: {}", self.table.name())
    }
}

impl ExecutionPlan for OutcomeExec {
    fn name(&self) -> &'static str {
        "OutcomeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        let side = std::iter::repeat_n(Distribution::SinglePartition, self.children().len() - 1);
        std::iter::once(Distribution::UnspecifiedDistribution).chain(side).collect()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.children().len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        [&self.input].into_iter().chain(&self.wanted).chain([&self.facts]).collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (input, wanted, facts) = match (&self.wanted, &children[..]) {
            (Some(_), [input, wanted, facts]) => (input, Some(Arc::clone(wanted)), facts),
            (None, [input, facts]) => (input, None, facts),
            _ => return internal_err!("OutcomeExec cannot have {} children", children.len()),
        };
        let schema = Arc::clone(&self.schema);
        Ok(Arc::new(OutcomeExec::new(
            self.table,
            schema,
            Arc::clone(input),
            wanted,
            Arc::clone(facts),
            self.needed.clone(),
        )))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(datafusion::physical_plan::ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let (table, schema) = (self.table, Arc::clone(&self.schema));
        let (known, wanted, facts) = (Arc::clone(&self.known), self.wanted.clone(), Arc::clone(&self.facts));
        let needed = self.needed.clone();
        let batches = input.then(move |batch| {
            let (known, wanted, facts) = (Arc::clone(&known), wanted.clone(), Arc::clone(&facts));
            let needed = needed.clone();
            let (context, schema) = (Arc::clone(&context), Arc::clone(&schema));
            async move {
                let batch = batch?;
                let mut columns = if unsettled(table, &batch)? == 0 {
                    batch.columns().to_vec()
                } else {
                    let known = known.get_or_try_init(|| learn(wanted, facts, needed, context)).await?;
                    fill(table, &batch, &known.facts)?
                };
                columns.truncate(schema.fields().len());
                Ok(RecordBatch::try_new(schema, columns)?)
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        let side = std::iter::repeat_n(ChildStats::Skip, self.children().len() - 1);
        std::iter::once(ChildStats::At(partition)).chain(side).collect()
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let filled = filled(self.table).unwrap_or_default();
        let columns = self.schema.fields().iter().zip(&inputs[0].column_statistics).map(|(field, column)| {
            if filled.contains(&field.name().as_str()) { ColumnStatistics::new_unknown() } else { column.clone() }
        });
        Ok(Arc::new(Statistics {
            num_rows: inputs[0].num_rows,
            total_byte_size: Precision::Absent,
            column_statistics: columns.collect(),
        }))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    /// Filters that do not ask for an outcome choose among the rows before they are filled in. Those that do choose among
    /// the rows that have theirs, and leave the others to be asked again.
    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let filled = filled(self.table).unwrap_or_default();
        let kept = |(index, field): (usize, &Arc<arrow::datatypes::Field>)| {
            (!filled.contains(&field.name().as_str())).then_some(index)
        };
        let kept: HashSet<usize> = self.schema.fields().iter().enumerate().filter_map(kept).collect();
        let unsettled = is_unsettled(self.table, &self.input.schema())?;
        let mut weaker: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        for filter in &filters {
            let asks = filter.exists(|node| {
                let column = (node.as_ref() as &dyn std::any::Any).downcast_ref::<Column>();
                Ok(column.is_some_and(|column| !kept.contains(&column.index())))
            })?;
            if asks {
                weaker.push(Arc::new(BinaryExpr::new(Arc::clone(filter), Operator::Or, Arc::clone(&unsettled))));
            }
        }
        let input = ChildFilterDescription::from_child_with_allowed_indices(&filters, kept, &self.input)?;
        let mut description = FilterDescription::new().with_child(input.with_self_filters(weaker));
        for _ in 1..self.children().len() {
            description = description.with_child(ChildFilterDescription::all_unsupported(&filters));
        }
        Ok(description)
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_any(result))
    }
}
