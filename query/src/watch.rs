//! A physical plan whose operators notice that nobody waits any more.
//!
//! Why: an operator that finds its next batch without waiting is not interrupted by dropping its stream, and a join of a
//! million rows with a million makes 10^12 of them out of one batch. Invariant: between every two steps of such work (a
//! batch that an operator gives on, a set of pairs that a join filters) there is a look at the question's standing, and
//! the thread is offered to others.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

use crate::standing::Standing;

/// The plan, watched.
pub(crate) fn watched(plan: Arc<dyn ExecutionPlan>, standing: &Arc<Standing>) -> Result<Arc<dyn ExecutionPlan>> {
    let watch = |plan: Arc<dyn ExecutionPlan>| {
        let plan = with_watched_filter(plan, standing)?;
        Ok(Transformed::yes(Arc::new(WatchedExec::new(plan, standing)) as Arc<dyn ExecutionPlan>))
    };
    Ok(plan.transform_up(watch)?.data)
}

/// Joins work on within one batch while their filter lets nothing through: the filter looks as well.
fn with_watched_filter(plan: Arc<dyn ExecutionPlan>, standing: &Arc<Standing>) -> Result<Arc<dyn ExecutionPlan>> {
    let any: &dyn std::any::Any = plan.as_ref();
    if let Some(join) = any.downcast_ref::<HashJoinExec>() {
        return match watched_filter(join.filter(), *join.join_type(), standing) {
            Some(filter) => join.builder().with_filter(Some(filter)).build_exec(),
            None => Ok(plan),
        };
    }
    if let Some(join) = any.downcast_ref::<NestedLoopJoinExec>() {
        return Ok(match watched_filter(join.filter(), *join.join_type(), standing) {
            Some(filter) => Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build()?),
            None => plan,
        });
    }
    Ok(plan)
}

/// An inner or outer join without a filter gives on each pair that it finds, so it needs none.
fn watched_filter(filter: Option<&JoinFilter>, join: JoinType, standing: &Arc<Standing>) -> Option<JoinFilter> {
    let watch = |inner| Arc::new(Watched { inner, standing: Arc::clone(standing) });
    match (filter, join) {
        (Some(filter), _) => Some(JoinFilter::new(
            watch(Arc::clone(filter.expression())),
            filter.column_indices().to_vec(),
            Arc::clone(filter.schema()),
        )),
        (None, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full) => None,
        (None, _) => Some(JoinFilter::new(watch(lit(true)), Vec::new(), Arc::new(Schema::empty()))),
    }
}

/// An expression that is not evaluated for nobody.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn PhysicalExpr>,
    standing: Arc<Standing>,
}

impl PartialEq for Watched {
    fn eq(&self, other: &Watched) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Watched {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.inner.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.inner.nullable(input)
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.inner.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.standing.check()?;
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(inner), true) => Ok(Arc::new(Watched { inner, standing: Arc::clone(&self.standing) })),
            _ => internal_err!("a watched expression has one child"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

/// An operator whose batches go on only while somebody waits.
#[derive(Debug)]
struct WatchedExec {
    input: Arc<dyn ExecutionPlan>,
    standing: Arc<Standing>,
}

impl WatchedExec {
    fn new(input: Arc<dyn ExecutionPlan>, standing: &Arc<Standing>) -> WatchedExec {
        WatchedExec { input, standing: Arc::clone(standing) }
    }
}

impl DisplayAs for WatchedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchedExec")
    }
}

impl ExecutionPlan for WatchedExec {
    fn name(&self) -> &'static str {
        "WatchedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(WatchedExec::new(input, &self.standing))),
            _ => internal_err!("WatchedExec has one child"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.standing.check()?;
        let standing = Arc::clone(&self.standing);
        let batches = make_cooperative(self.input.execute(partition, context)?).map(move |batch| {
            standing.check()?;
            batch
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), batches)))
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        match inputs.first() {
            Some(input) => Ok(Arc::clone(input)),
            None => internal_err!("WatchedExec has one child"),
        }
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}
