//! Parquet and Arrow IPC, with the answer's own column types.

use std::sync::Arc;

use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::{Answer, Error};

/// One Parquet file, zstd.
pub fn parquet(answer: &Answer) -> Result<Vec<u8>, Error> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let failed = |error| Error::Internal(format!("the answer cannot be written as Parquet: {error}"));
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&answer.schema), Some(properties)).map_err(failed)?;
    for batch in &answer.batches {
        writer.write(batch).map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}

/// One Arrow IPC stream.
pub fn arrow_stream(answer: &Answer) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::Internal(format!("the answer cannot be written as Arrow: {error}"));
    let mut writer = StreamWriter::try_new(Vec::new(), &answer.schema).map_err(failed)?;
    for batch in &answer.batches {
        writer.write(batch).map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}
