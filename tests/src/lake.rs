//! Reads the lake as a stranger would: its Parquet files, with nothing of Hansard's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A recorded frame, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub frontend: bool,
    pub tag: String,
    pub bytes: Vec<u8>,
    pub withheld: Option<String>,
}

/// All Parquet files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
    found
}

/// True when a file of the lake holds these bytes, in a value or anywhere else.
pub fn holds(lake: &Path, needle: &[u8]) -> Result<bool> {
    let found = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    for path in files(lake) {
        if found(&std::fs::read(&path)?) {
            return Ok(true);
        }
        for batch in ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path)?)?.build()? {
            for column in batch?.columns() {
                for row in 0..column.len() {
                    let here = match column.as_binary_opt::<i32>() {
                        Some(bytes) => found(bytes.value(row)),
                        None => found(arrow::util::display::array_value_to_string(column, row)?.as_bytes()),
                    };
                    if here {
                        return Ok(true);
                    }
                }
            }
        }
    }
    Ok(false)
}

/// Frames of every session in a lake's folder, by session and `seq`. A frame that lies in two files, before and after
/// a compaction, must be the same in both.
pub fn frames(lake: &Path) -> Result<BTreeMap<String, BTreeMap<i64, Frame>>> {
    let mut sessions: BTreeMap<String, BTreeMap<i64, Frame>> = BTreeMap::new();
    for path in files(&lake.join("frames")) {
        read(&path, &mut sessions).with_context(|| path.display().to_string())?;
    }
    Ok(sessions)
}

fn read(path: &Path, sessions: &mut BTreeMap<String, BTreeMap<i64, Frame>>) -> Result<()> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path)?)?.build()?;
    for batch in reader {
        let batch = batch?;
        let column = |name: &str| batch.column_by_name(name).with_context(|| format!("no column {name}")).cloned();
        let text =
            |name: &str| -> Result<_> { Ok(arrow::compute::cast(&*column(name)?, &arrow::datatypes::DataType::Utf8)?) };
        let (session, seq, direction) = (text("session_id")?, column("seq")?, text("direction")?);
        let (tag, bytes, withheld) = (text("tag")?, column("frame")?, text("withheld")?);
        for row in 0..batch.num_rows() {
            let withheld = withheld.as_string::<i32>();
            let frame = Frame {
                frontend: match direction.as_string::<i32>().value(row) {
                    "frontend" => true,
                    "backend" => false,
                    other => bail!("direction {other:?}"),
                },
                tag: tag.as_string::<i32>().value(row).to_owned(),
                bytes: bytes.as_binary::<i32>().value(row).to_vec(),
                withheld: (!withheld.is_null(row)).then(|| withheld.value(row).to_owned()),
            };
            let id = session.as_string::<i32>().value(row).to_owned();
            let seq = seq.as_primitive::<Int64Type>().value(row);
            let known = sessions.entry(id).or_default();
            if let Some(other) = known.insert(seq, frame.clone())
                && other != frame
            {
                bail!("frame {seq} differs between two files");
            }
        }
    }
    Ok(())
}
