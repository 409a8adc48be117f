//! Parquet and Arrow IPC, with the answer's own column types.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::Error;

/// Bytes of a row group that is being made, in memory.
const ROW_GROUP: usize = 64 * 1024 * 1024;

/// One Parquet file, zstd.
#[derive(Debug)]
pub(super) struct Parquet(ArrowWriter<Vec<u8>>);

fn no_parquet(error: parquet::errors::ParquetError) -> Error {
    Error::Internal(format!("the answer cannot be written as Parquet: {error}"))
}

impl Parquet {
    pub(super) fn new(schema: &SchemaRef) -> Result<Parquet, Error> {
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties)).map(Parquet).map_err(no_parquet)
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.0.write(batch).map_err(no_parquet)?;
        if self.0.in_progress_size() > ROW_GROUP {
            self.0.flush().map_err(no_parquet)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.0.finish().map(drop).map_err(no_parquet)
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        // The writer counts what it has written by itself, so that its places stay true.
        std::mem::take(self.0.inner_mut())
    }
}

/// One Arrow IPC stream.
pub(super) struct Arrow(StreamWriter<Vec<u8>>);

impl std::fmt::Debug for Arrow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrow").finish_non_exhaustive()
    }
}

fn no_arrow(error: arrow::error::ArrowError) -> Error {
    Error::Internal(format!("the answer cannot be written as Arrow: {error}"))
}

impl Arrow {
    pub(super) fn new(schema: &SchemaRef) -> Result<Arrow, Error> {
        StreamWriter::try_new(Vec::new(), schema).map(Arrow).map_err(no_arrow)
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.0.write(batch).map_err(no_arrow)
    }

    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.0.finish().map_err(no_arrow)
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.0.get_mut())
    }
}
