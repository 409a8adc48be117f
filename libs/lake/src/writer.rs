//! Rows to Parquet files.
//!
//! Invariants: a file's rows are sorted by [`Table::sort_columns`] and lie in one window; the entry that comes back
//! tells what a reader prunes by; a file that could not be finished leaves nothing under its path. Everything here
//! blocks its thread: call it from a blocking one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::TimestampNanosecondType;
use arrow::record_batch::RecordBatch;
use parking_lot::Mutex;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use hansard_schemas::lake::Table;

use crate::catalog::{EndSpan, FileEntry, FileIndex, RelationSpan};
use crate::durable::{Durable, Staged};
use crate::layout::{self, FlushId, Window};
use crate::{Error, Lake};

mod properties;

/// Rows handed to the encoder at a time: row groups are bounded in bytes between two such slices.
const SLICE: usize = 1024;

/// Writes the rows of one flush: one file for each table, target and hour that has any. `rows` gives a table's rows
/// in the columns of [`Table::schema`], sorted by [`Table::sort_columns`].
pub fn write_rows(lake: &Lake, rows: impl Fn(Table) -> RecordBatch, flush: &FlushId) -> Result<Vec<FileEntry>, Error> {
    let mut files = Vec::new();
    for table in Table::ALL {
        for (window, batch) in by_window(table, &rows(table))? {
            let id = layout::flush_file(flush, &window);
            let mut writer = FileWriter::create(lake, window, id, 0)?;
            writer.write(&batch)?;
            files.push(writer.finish()?);
        }
    }
    Ok(files)
}

/// Cuts sorted rows into windows; within each the order stays.
fn by_window(table: Table, batch: &RecordBatch) -> Result<Vec<(Window, RecordBatch)>, Error> {
    let path = table.name();
    let targets = texts(path, batch, "target")?;
    let times = times(path, batch, table.time_column())?;
    let mut windows: BTreeMap<(&str, i64), Vec<u32>> = BTreeMap::new();
    for (row, at) in (0u32..).zip(times.values().iter()) {
        let target = targets.value(row as usize);
        windows.entry((target, layout::hour_of(*at))).or_default().push(row);
    }
    let mut parts = Vec::with_capacity(windows.len());
    for ((target, hour), rows) in windows {
        let window = Window { table, target: target.to_owned(), hour };
        let part = if rows.len() == batch.num_rows() {
            batch.clone()
        } else {
            let rows = UInt32Array::from(rows);
            let columns = batch.columns().iter().map(|column| take(column, &rows, None));
            columns
                .collect::<Result<Vec<ArrayRef>, _>>()
                .and_then(|columns| RecordBatch::try_new(batch.schema(), columns))
                .map_err(|error| Error::Format { path: path.to_owned(), reason: error.to_string() })?
        };
        parts.push((window, part));
    }
    Ok(parts)
}

/// A file in the making.
pub struct FileWriter {
    durable: Arc<Durable>,
    parquet: ArrowWriter<Hashed>,
    refused: Refused,
    window: Window,
    path: String,
    level: u8,
    rows: u64,
    unsettled: u64,
    span: Option<(i64, i64)>,
    sessions: BTreeSet<Uuid>,
    /// Operations and times of each relation, or kinds and times of each gid.
    relations: HashMap<String, HashMap<String, (i64, i64)>>,
    /// By minute, when the earliest of the transactions began that ended in it.
    ends: BTreeMap<i64, i64>,
}

impl FileWriter {
    /// Begins the file `id` of `window`.
    pub fn create(lake: &Lake, window: Window, id: Uuid, level: u8) -> Result<FileWriter, Error> {
        let durable = Arc::clone(lake.durable()?);
        let path = layout::path(&window, id, level);
        Self::with(durable.stage()?, durable, window, path, level)
    }

    fn with(
        staged: Staged,
        durable: Arc<Durable>,
        window: Window,
        path: String,
        level: u8,
    ) -> Result<FileWriter, Error> {
        let refused = Refused::default();
        let target = Hashed { staged, hash: Sha256::new(), bytes: 0, refused: Arc::clone(&refused) };
        let properties = properties::of(window.table, level);
        let parquet = ArrowWriter::try_new(target, window.table.schema(), Some(properties))
            .map_err(|error| failure(&refused, &durable, &path, &error))?;
        let (sessions, relations, ends) = (BTreeSet::new(), HashMap::new(), BTreeMap::new());
        Ok(FileWriter {
            durable,
            parquet,
            refused,
            window,
            path,
            level,
            rows: 0,
            unsettled: 0,
            span: None,
            sessions,
            relations,
            ends,
        })
    }

    /// Adds rows that follow those before in the table's order.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut start = 0;
        while start < batch.num_rows() {
            let length = SLICE.min(batch.num_rows() - start);
            self.parquet
                .write(&batch.slice(start, length))
                .map_err(|error| failure(&self.refused, &self.durable, &self.path, &error))?;
            start += length;
        }
        self.rows += batch.num_rows() as u64;
        self.index(batch)
    }

    /// Makes the file durable under its path. It is no part of the lake until the catalog says so.
    pub fn finish(self) -> Result<FileEntry, Error> {
        let path = self.path;
        let target = self.parquet.into_inner().map_err(|error| failure(&self.refused, &self.durable, &path, &error))?;
        let (sha256, bytes) = (hex::encode(target.hash.finalize()), target.bytes);
        self.durable.publish(target.staged, &path)?;
        let (min_at, max_at) = self.span.unwrap_or((self.window.hour, self.window.hour));
        let mut relations: Vec<RelationSpan> = Vec::new();
        for (relation, operations) in self.relations {
            for (operation, (min_at, max_at)) in operations {
                relations.push(RelationSpan { relation: relation.clone(), operation, min_at, max_at });
            }
        }
        relations.sort_by(|a, b| (&a.relation, &a.operation).cmp(&(&b.relation, &b.operation)));
        let ends = self.ends.into_iter().map(|(minute, started_at)| EndSpan { minute, started_at }).collect();
        Ok(FileEntry {
            path,
            table: self.window.table,
            target: self.window.target,
            hour: self.window.hour,
            level: self.level,
            rows: self.rows,
            unsettled: self.unsettled,
            bytes,
            sha256,
            min_at,
            max_at,
            index: FileIndex { relations, sessions: self.sessions.into_iter().collect(), ends },
        })
    }

    /// Notes what the catalog will be asked for.
    fn index(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let times = times(&self.path, batch, self.window.table.time_column())?;
        for at in times.values() {
            widen(&mut self.span, *at);
        }
        let mut last = "";
        let sessions = match self.window.table {
            Table::Catalog | Table::Leases => None,
            _ => Some(texts(&self.path, batch, "session_id")?),
        };
        for session in sessions.iter().flat_map(|sessions| sessions.iter()).flatten() {
            if session != last {
                let id = Uuid::parse_str(session).map_err(|error| Error::Format {
                    path: self.path.clone(),
                    reason: format!("session id {session:?}: {error}"),
                })?;
                self.sessions.insert(id);
                last = session;
            }
        }
        if let Some(column) = self.window.table.outcome_column() {
            let outcomes = texts(&self.path, batch, column)?;
            self.unsettled += outcomes.iter().filter(|outcome| self.window.table.is_unsettled(*outcome)).count() as u64;
        }
        self.index_ends(batch)?;
        let indexed = match self.window.table {
            Table::Touches => Some(("relation", "operation")),
            Table::Transactions => Some(("gid", "kind")),
            Table::Frames | Table::Statements | Table::Sessions | Table::Catalog | Table::Leases => None,
        };
        if let Some((relation, operation)) = indexed {
            let relations = texts(&self.path, batch, relation)?;
            let operations = texts(&self.path, batch, operation)?;
            for ((relation, operation), at) in relations.iter().zip(operations.iter().flatten()).zip(times.values()) {
                let Some(relation) = relation else { continue };
                // Touches are sorted by relation and operation: the look-ups hit, the copies are rare.
                if !self.relations.contains_key(relation) {
                    self.relations.insert(relation.to_owned(), HashMap::new());
                }
                let spans = self.relations.get_mut(relation).expect("inserted above");
                match spans.get_mut(operation) {
                    Some(span) => *span = (span.0.min(*at), span.1.max(*at)),
                    None => {
                        spans.insert(operation.to_owned(), (*at, *at));
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes when transactions ended, and how far back their statements lie; and sessions with gaps.
    fn index_ends(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let (ended, started) = match self.window.table {
            Table::Touches => (["committed_at", "committed_at"], "at"),
            // Whatever the outcome: of an end that is no commit, a reader wants to know too.
            Table::Transactions => (["ended_at", "committed_at"], "started_at"),
            Table::Sessions => {
                let gaps = texts(&self.path, batch, "gaps")?;
                let opened = times(&self.path, batch, "opened_at")?;
                let closed = optional_times(&self.path, batch, "closed_at")?;
                for row in (0..batch.num_rows()).filter(|row| gaps.is_valid(*row)) {
                    let minute = closed.is_valid(row).then(|| EndSpan::minute_of(closed.value(row)));
                    let earliest = self.ends.entry(minute.unwrap_or(i64::MAX)).or_insert(i64::MAX);
                    *earliest = opened.value(row).min(*earliest);
                }
                return Ok(());
            }
            Table::Frames | Table::Statements | Table::Catalog | Table::Leases => return Ok(()),
        };
        let started = optional_times(&self.path, batch, started)?;
        for ended in ended {
            for (ended, started) in optional_times(&self.path, batch, ended)?.iter().zip(started.iter()) {
                let Some(ended) = ended else { continue };
                let earliest = self.ends.entry(EndSpan::minute_of(ended)).or_insert(i64::MAX);
                *earliest = started.unwrap_or(i64::MIN).min(*earliest);
            }
        }
        Ok(())
    }
}

fn widen(span: &mut Option<(i64, i64)>, at: i64) {
    *span = Some(span.map_or((at, at), |(min, max)| (min.min(at), max.max(at))));
}

fn column<'a>(path: &str, batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, Error> {
    batch
        .column_by_name(name)
        .ok_or_else(|| Error::Format { path: path.to_owned(), reason: format!("it has no column {name}") })
}

fn texts<'a>(path: &str, batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, Error> {
    column(path, batch, name)?
        .as_string_opt()
        .ok_or_else(|| Error::Format { path: path.to_owned(), reason: format!("column {name} is not text") })
}

fn times<'a>(
    path: &str,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::PrimitiveArray<TimestampNanosecondType>, Error> {
    let times = optional_times(path, batch, name)?;
    if times.null_count() > 0 {
        return Err(Error::Format { path: path.to_owned(), reason: format!("column {name} has rows without a time") });
    }
    Ok(times)
}

fn optional_times<'a>(
    path: &str,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::PrimitiveArray<TimestampNanosecondType>, Error> {
    column(path, batch, name)?
        .as_primitive_opt()
        .ok_or_else(|| Error::Format { path: path.to_owned(), reason: format!("column {name} is not of times") })
}

/// What the file system said when it last refused to write: the Parquet writer passes on its words at best, and a full
/// disk must stay recognisable.
type Refused = Arc<Mutex<Option<io::Error>>>;

fn failure(refused: &Refused, durable: &Durable, path: &str, error: &ParquetError) -> Error {
    match refused.lock().take() {
        Some(source) => Error::file(durable.locate(path), "written", source),
        None => Error::Format { path: path.to_owned(), reason: error.to_string() },
    }
}

/// Writes through to the staged file, and hashes and counts on the way.
struct Hashed {
    staged: Staged,
    hash: Sha256,
    bytes: u64,
    refused: Refused,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.staged.write(bytes).inspect_err(|error| {
            let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            *self.refused.lock() = Some(copy);
        })?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged.flush()
    }
}

#[cfg(test)]
pub(crate) mod tests;
