//! Rows to Parquet files.
