//! How the columns of each table are encoded; the measurements behind it are in `docs/`.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use arrow::datatypes::DataType;
use hansard_schemas::lake::Table;

/// Rows in a row group, at most.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Encoded bytes of a row group, about: frames may be long, and a reader holds a row group's column.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// Rows in a data page: the unit that page statistics prune.
const PAGE_ROWS: usize = 8192;

/// Texts that are long and mostly different, but often begin alike.
const LONG_TEXTS: [&str; 4] = ["sql", "parameters", "error", "definition"];

/// What whoever asks knows exactly, and what is in few row groups.
const BLOOM: [&str; 2] = ["session_id", "fingerprint"];

/// The writer's settings for a table and a level.
pub(super) fn of(table: Table, level: u8) -> WriterProperties {
    let zstd = ZstdLevel::try_new(if level >= 2 { 9 } else { 3 }).expect("3 and 9 are levels of zstd");
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(1024)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by(concat!("hansard ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_sorting_columns(Some(sorting(table)));
    for field in table.schema().fields() {
        let column = ColumnPath::from(field.name().as_str());
        properties = match field.data_type() {
            DataType::Timestamp(..) | DataType::Int64 => properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
            // The smallest and largest of all frames say nothing.
            DataType::Binary => properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column.clone(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                .set_column_statistics_enabled(column, EnabledStatistics::None),
            DataType::Utf8 if LONG_TEXTS.contains(&field.name().as_str()) => properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column.clone(), Encoding::DELTA_BYTE_ARRAY)
                .set_column_statistics_enabled(column, EnabledStatistics::Chunk),
            _ => properties,
        };
        if BLOOM.contains(&field.name().as_str()) {
            properties = properties.set_column_bloom_filter_enabled(field.name().as_str().into(), true);
        }
    }
    properties.build()
}

/// The order that the file's rows are in. No table has a nested column before those that it is sorted by, so
/// a field's index is its leaf's.
fn sorting(table: Table) -> Vec<SortingColumn> {
    let schema = table.schema();
    let index = |name: &&str| schema.index_of(name).expect("tables are sorted by columns that they have");
    let sorted = |index: usize| SortingColumn {
        column_idx: i32::try_from(index).expect("tables have a few dozen columns"),
        descending: false,
        nulls_first: false,
    };
    table.sort_columns().iter().map(index).map(sorted).collect()
}
