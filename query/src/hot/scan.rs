//! A scan of hot rows: one chunk after the other is unpacked when it is asked for.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};

use super::chunk::Chunk;

/// Reads chunks of a table.
#[derive(Debug)]
pub(crate) struct HotExec {
    chunks: Arc<[Chunk]>,
    /// Columns of the table; `None`: all.
    projection: Option<Vec<usize>>,
    /// Most rows of a batch.
    batch_rows: usize,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl HotExec {
    pub(crate) fn new(
        chunks: Vec<Chunk>,
        table: &SchemaRef,
        projection: Option<&Vec<usize>>,
        batch_rows: usize,
    ) -> Result<HotExec> {
        let schema = match projection {
            Some(columns) => Arc::new(table.project(columns)?),
            None => Arc::clone(table),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let (chunks, projection) = (chunks.into(), projection.cloned());
        Ok(HotExec { chunks, projection, batch_rows, schema, properties: Arc::new(properties) })
    }

    fn rows(&self) -> usize {
        self.chunks.iter().map(Chunk::rows).sum()
    }
}

/// A chunk's rows, in batches.
fn batches(
    chunk: &Chunk,
    projection: Option<&[usize]>,
    schema: &SchemaRef,
    batch_rows: usize,
) -> Result<Vec<RecordBatch>> {
    let all = chunk.batch()?;
    let columns = match projection {
        Some(columns) => columns.iter().map(|column| Arc::clone(all.column(*column))).collect(),
        None => all.columns().to_vec(),
    };
    let options = RecordBatchOptions::new().with_row_count(Some(all.num_rows()));
    let shown = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
    let starts = (0..shown.num_rows()).step_by(batch_rows);
    Ok(starts.map(|start| shown.slice(start, batch_rows.min(shown.num_rows() - start))).collect())
}

impl DisplayAs for HotExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HotExec: chunks={}", self.chunks.len())
    }
}

impl ExecutionPlan for HotExec {
    fn name(&self) -> &'static str {
        "HotExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
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
        match children.len() {
            0 => Ok(self),
            more => internal_err!("HotExec cannot have {more} children"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(datafusion::physical_plan::ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (chunks, projection) = (Arc::clone(&self.chunks), self.projection.clone());
        let (schema, batch_rows) = (Arc::clone(&self.schema), self.batch_rows);
        let batches = (0..chunks.len()).flat_map(move |place| {
            match batches(&chunks[place], projection.as_deref(), &schema, batch_rows) {
                Ok(batches) => batches.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        });
        let batches = futures::stream::iter(batches);
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(self.rows());
        Ok(Arc::new(statistics))
    }
}
