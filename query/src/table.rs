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
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetFileReaderFactory};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use hansard_lake::catalog::{FileEntry, FileFilter};
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
        Table::Statements | Table::Touches | Table::Transactions | Table::Sessions | Table::Catalog | Table::Leases => {
            8192
        }
    }
}

/// One table in one view.
#[derive(Debug)]
pub(crate) struct LakeTable {
    table: Table,
    schema: SchemaRef,
    view: Arc<View>,
    only: Only,
}

/// Which rows are wanted, beside what filters say; others may be among them. Both times are in it, UTC nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Only {
    /// All.
    Any,
    /// Of touches or statements those that a transaction made which ended between these times, or that are not older than
    /// the first of them.
    Ended(i64, i64),
    /// Of sessions those with gaps that were open between these times.
    Lost(i64, i64),
}

impl LakeTable {
    pub(crate) fn new(table: Table, view: Arc<View>) -> LakeTable {
        LakeTable { table, schema: table.schema(), view, only: Only::Any }
    }

    pub(crate) fn only(table: Table, view: Arc<View>, only: Only) -> LakeTable {
        LakeTable { only, ..LakeTable::new(table, view) }
    }

    /// A filter, and what else is known of the rows that are wanted.
    pub(crate) fn narrowed(&self, filter: FileFilter) -> FileFilter {
        match self.only {
            Only::Any => filter,
            Only::Ended(from, to) => FileFilter { ended: Some((from, to)), ..filter },
            Only::Lost(from, to) => FileFilter { lost: Some((from, to)), ..filter },
        }
    }

    pub(crate) fn table(&self) -> Table {
        self.table
    }

    /// The cold part.
    fn files(&self, files: &[FileEntry], read: &Read<'_>) -> Result<Arc<dyn ExecutionPlan>> {
        let mut source = ParquetSource::new(Arc::clone(&self.schema)).with_pushdown_filters(read.selective);
        if let Some(readers) = &read.readers {
            source = source.with_parquet_file_reader_factory(Arc::clone(readers));
        }
        if let Some(predicate) = &read.predicate {
            source = source.with_predicate(Arc::clone(predicate));
        }
        let groups = self.groups(files, read.partitions)?;
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
            .with_projection_indices(read.projection.cloned())?
            .with_limit(read.limit)
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
        // Decoding only matching rows pays where few rows match; for wide scans it costs more than it saves.
        let known = pruning::filter(self.table, filters);
        let narrow = !matches!(self.only, Only::Any);
        let read = Read {
            partitions: state.config().target_partitions(),
            projection,
            limit,
            selective: known.session_id.is_some() || known.relations.is_some() || narrow,
            predicate: self.not_older(part.began.filter(|_| narrow))?,
            readers: state.runtime_env().object_store(ObjectStoreUrl::parse(STORE)?).ok().map(|store| {
                let metadata = state.runtime_env().cache_manager.get_file_metadata_cache();
                Arc::new(CachedParquetFileReaderFactory::new(store, metadata)) as Arc<dyn ParquetFileReaderFactory>
            }),
        };
        let shown = outcomes::shown(self.table, projection.map(Vec::as_slice));
        let Some(facts) = self.view.facts().filter(|_| shown) else {
            return self.rows(&part.files, &part.hot, &read);
        };
        let (unsettled, settled): (Vec<FileEntry>, Vec<FileEntry>) =
            part.files.iter().cloned().partition(|file| file.unsettled > 0);
        let (hot_unsettled, hot_settled): (Vec<Chunk>, Vec<Chunk>) =
            part.hot.iter().cloned().partition(|chunk| chunk.unsettled().is_some());
        let none_settled = settled.is_empty() && hot_settled.is_empty();
        let settled = |read: &Read<'_>| self.rows(&settled, &hot_settled, read);
        if unsettled.is_empty() && hot_unsettled.is_empty() {
            return settled(&read);
        }
        let rows = |columns: &Vec<usize>, limit| {
            self.rows(&unsettled, &hot_unsettled, &Read { projection: Some(columns), limit, ..read.clone() })
        };
        // Whose outcomes are wanted is asked of the same rows, as far as that does not depend on outcomes.
        let predicate = outcomes::other_filters(self.table, filters, state, read.predicate.clone())?;
        let wanted = |columns: &Vec<usize>| {
            let predicate = predicate.clone();
            let read = Read { projection: Some(columns), limit: None, predicate, ..read.clone() };
            self.rows(&unsettled, &hot_unsettled, &read)
        };
        let facts = |columns: &Vec<usize>, needed: Arc<dyn PhysicalExpr>| {
            let (projection, limit) = (Some(columns), None);
            let read =
                Read { partitions: 1, projection, limit, selective: true, predicate: Some(needed), ..read.clone() };
            LakeTable::new(Table::Transactions, Arc::clone(&self.view)).rows(&facts.files, &facts.hot, &read)
        };
        let filled = OutcomeExec::over(self.table, projection, rows, limit, wanted, facts)?;
        if none_settled {
            return Ok(filled);
        }
        UnionExec::try_new(vec![settled(&read)?, filled])
    }
}

/// How a table's rows are read.
#[derive(Clone)]
struct Read<'a> {
    partitions: usize,
    projection: Option<&'a Vec<usize>>,
    limit: Option<usize>,
    /// Filters choose among rows before the other columns are decoded.
    selective: bool,
    /// Rows of files for which it does not hold may be left out.
    predicate: Option<Arc<dyn PhysicalExpr>>,
    /// Readers that keep what they know of a file.
    readers: Option<Arc<dyn ParquetFileReaderFactory>>,
}

impl LakeTable {
    /// What holds for rows that are not older.
    fn not_older(&self, than: Option<i64>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(than) = than.filter(|than| *than > i64::MIN) else { return Ok(None) };
        let time = self.table.time_column();
        let time = Arc::new(Column::new(time, self.schema.index_of(time)?));
        let than = ScalarValue::TimestampNanosecond(Some(than), Some("+00:00".into()));
        Ok(Some(Arc::new(BinaryExpr::new(time, Operator::GtEq, lit(than)))))
    }

    /// Rows of files, and hot rows.
    fn rows(&self, files: &[FileEntry], hot: &[Chunk], read: &Read<'_>) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = read.projection;
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !files.is_empty() {
            inputs.push(self.files(files, read)?);
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
