//! A table of the lake as DataFusion sees it: the catalog's files and the log's end, in one scan.
//!
//! Not ListingTable: nothing is listed or inferred, the catalog has pruned the files already and knows their rows.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DataFusionError, Result, ScalarValue, Statistics, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use hansard_lake::catalog::FileEntry;
use hansard_schemas::lake::Table;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::hot::{Chunk, HotExec};
use crate::outcomes::{self, OutcomeExec};
use crate::pruning;
use crate::view::View;

/// Where the lake's store is registered.
pub(crate) const STORE: &str = "lake://lake/";

/// Rows in a batch of hot rows; frames are up to 64 KiB each, so a batch of them is smaller.
fn batch_rows(table: Table) -> usize {
    match table {
        Table::Frames => 1024,
        Table::Statements | Table::Touches | Table::Transactions | Table::Sessions | Table::Catalog => 8192,
    }
}

/// One table in one view.
#[derive(Debug)]
pub(crate) struct LakeTable {
    table: Table,
    schema: SchemaRef,
    view: Arc<View>,
}

impl LakeTable {
    pub(crate) fn new(table: Table, view: Arc<View>) -> LakeTable {
        LakeTable { table, schema: table.schema(), view }
    }

    pub(crate) fn table(&self) -> Table {
        self.table
    }

    /// The cold part.
    fn files(
        &self,
        files: &[FileEntry],
        partitions: usize,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // Decoding only matching rows pays where few rows match; for wide scans it costs more than it saves.
        let filter = pruning::filter(self.table, filters);
        let selective = filter.session_id.is_some() || filter.relations.is_some();
        let source = ParquetSource::new(Arc::clone(&self.schema)).with_pushdown_filters(selective);
        let groups = self.groups(files, partitions)?;
        let ordering = if groups.iter().all(|group| group.len() == 1) { self.ordering() } else { None };
        let statistics = groups
            .iter()
            .flat_map(FileGroup::iter)
            .filter_map(|file| file.statistics.as_deref())
            .fold(None, |sum: Option<Statistics>, one| Some(sum.map_or_else(|| one.clone(), |sum| add(&sum, one))))
            .unwrap_or_else(|| Statistics::new_unknown(&self.schema));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE)?, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_batch_size(Some(batch_rows(self.table)))
            .with_output_ordering(ordering.into_iter().collect())
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Spreads the files over at most `partitions` groups of about equal bytes.
    fn groups(&self, files: &[FileEntry], partitions: usize) -> Result<Vec<FileGroup>> {
        let mut largest_first: Vec<&FileEntry> = files.iter().collect();
        largest_first.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
        let mut groups: Vec<(u64, Vec<PartitionedFile>)> = Vec::new();
        groups.resize_with(partitions.max(1).min(files.len()), Default::default);
        for file in largest_first {
            if let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
                *bytes += file.bytes;
                group.push(self.file(file)?);
            }
        }
        Ok(groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect())
    }

    fn file(&self, file: &FileEntry) -> Result<PartitionedFile> {
        let count = |number: u64| usize::try_from(number).map_err(|e| DataFusionError::External(Box::new(e)));
        let time = self.schema.index_of(self.table.time_column())?;
        let instant = |at| Precision::Exact(ScalarValue::TimestampNanosecond(Some(at), Some("+00:00".into())));
        let mut columns = vec![ColumnStatistics::new_unknown(); self.schema.fields().len()];
        columns[time] = ColumnStatistics {
            null_count: Precision::Exact(0),
            min_value: instant(file.min_at),
            max_value: instant(file.max_at),
            ..ColumnStatistics::new_unknown()
        };
        let statistics = Statistics {
            num_rows: Precision::Exact(count(file.rows)?),
            total_byte_size: Precision::Absent,
            column_statistics: columns,
        };
        let meta = ObjectMeta {
            location: Path::parse(&file.path).map_err(|e| DataFusionError::External(Box::new(e)))?,
            last_modified: Default::default(),
            size: file.bytes,
            e_tag: None,
            version: None,
        };
        Ok(PartitionedFile::new_from_meta(meta).with_statistics(Arc::new(statistics)))
    }

    /// The order inside every file.
    fn ordering(&self) -> Option<LexOrdering> {
        let columns = self.table.sort_columns().iter().filter_map(|name| {
            let index = self.schema.index_of(name).ok()?;
            Some(PhysicalSortExpr::new_default(Arc::new(Column::new(name, index))))
        });
        LexOrdering::new(columns)
    }
}

/// Statistics of two files taken together.
fn add(a: &Statistics, b: &Statistics) -> Statistics {
    let column = |(a, b): (&ColumnStatistics, &ColumnStatistics)| ColumnStatistics {
        null_count: a.null_count.add(&b.null_count),
        min_value: a.min_value.min(&b.min_value),
        max_value: a.max_value.max(&b.max_value),
        ..ColumnStatistics::new_unknown()
    };
    Statistics {
        num_rows: a.num_rows.add(&b.num_rows),
        total_byte_size: Precision::Absent,
        column_statistics: a.column_statistics.iter().zip(&b.column_statistics).map(column).collect(),
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(part) = self.view.part(self.table) else {
            return internal_err!("table {} is not in the query's view", self.table.name());
        };
        let partitions = state.config().target_partitions();
        let rows = |files: &[FileEntry], hot: &[Chunk], projection: Option<&Vec<usize>>, limit: Option<usize>| {
            self.rows(files, hot, partitions, projection, filters, limit)
        };
        let shown = outcomes::shown(self.table, projection.map(Vec::as_slice));
        let Some(facts) = self.view.facts().filter(|_| shown) else {
            return rows(&part.files, &part.hot, projection, limit);
        };
        let (unsettled, settled): (Vec<FileEntry>, Vec<FileEntry>) =
            part.files.iter().cloned().partition(|file| file.unsettled > 0);
        let (hot_unsettled, hot_settled): (Vec<Chunk>, Vec<Chunk>) =
            part.hot.iter().cloned().partition(|chunk| chunk.unsettled().is_some());
        let facts = || {
            let transactions = LakeTable::new(Table::Transactions, Arc::clone(&self.view));
            transactions.rows(&facts.files, &facts.hot, 1, Some(&outcomes::fact_columns()?), &[], None)
        };
        match (unsettled.is_empty() && hot_unsettled.is_empty(), settled.is_empty() && hot_settled.is_empty()) {
            (true, _) => rows(&settled, &hot_settled, projection, limit),
            (false, both) => {
                let read = |columns: &Vec<usize>, limit| rows(&unsettled, &hot_unsettled, Some(columns), limit);
                let filled = OutcomeExec::over(self.table, projection, read, limit, facts()?)?;
                if both {
                    return Ok(filled);
                }
                UnionExec::try_new(vec![rows(&settled, &hot_settled, projection, limit)?, filled])
            }
        }
    }
}

impl LakeTable {
    /// Rows of files, and hot rows.
    fn rows(
        &self,
        files: &[FileEntry],
        hot: &[Chunk],
        partitions: usize,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !files.is_empty() {
            inputs.push(self.files(files, partitions, projection, filters, limit)?);
        }
        if !hot.is_empty() {
            inputs.push(Arc::new(HotExec::new(hot.to_vec(), &self.schema, projection, batch_rows(self.table))?));
        }
        match inputs.len() {
            0 => {
                let schema = match projection {
                    Some(projection) => Arc::new(self.schema.project(projection)?),
                    None => self.schema(),
                };
                Ok(Arc::new(EmptyExec::new(schema)))
            }
            1 => Ok(inputs.remove(0)),
            _ => UnionExec::try_new(inputs),
        }
    }
}
