//! The catalog in SQLite: one file on one machine, any number of processes.
//!
//! Invariants: WAL and `synchronous = FULL`, so what was committed survives a power cut; every write is one
//! IMMEDIATE transaction that reads what it depends on inside itself; a snapshot is one read transaction, so it
//! never shows half a commit. It never waits on the caller's thread: all work runs on tokio's blocking pool.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use hansard_schemas::lake::Table;

use super::{
    Catalog, Commit, Compaction, EndSpan, Epoch, Error, FileEntry, FileFilter, FileIndex, OpenSession, ShardHold,
    Snapshot,
};

mod filter;

/// Version of the database's schema that this code writes and reads.
const VERSION: i32 = 3;

const SCHEMA: &str = include_str!("schema.sql");

/// What makes a database of version 1 one of version 2: rows of its files have their outcomes.
const FROM_1: &str = "ALTER TABLE files ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0";

/// What makes a database of version 2 one of version 3. What its files tell of ends is not known: rows of `touches` may have
/// been committed at any time.
const FROM_2: &str = "
    CREATE TABLE file_ends (
        minute     INTEGER NOT NULL,
        file       INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
        started_at INTEGER NOT NULL,
        PRIMARY KEY (minute, file)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX file_ends_by_file ON file_ends (file, started_at);
    INSERT INTO file_ends
        SELECT CASE table_name WHEN 'sessions' THEN 9223372036854775807 ELSE -1 END, id,
            CASE table_name WHEN 'transactions' THEN -9223372036854775808 ELSE min_at END
        FROM files WHERE table_name IN ('touches', 'transactions', 'sessions')";

/// How long a statement waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// Milliseconds since 1970 by the database's clock.
const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// A catalog in an SQLite database.
#[derive(Debug, Clone)]
pub struct SqliteCatalog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: PathBuf,
    /// None when the catalog was opened for reading.
    writer: Option<Mutex<Connection>>,
    /// WAL lets it read while the writer writes.
    reader: Mutex<Connection>,
}

/// What goes wrong inside a transaction.
enum Failure {
    Sqlite(rusqlite::Error),
    Catalog(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Catalog(error)
    }
}

impl SqliteCatalog {
    /// Opens the database, creates it where it does not exist.
    pub fn open(path: &Path) -> Result<SqliteCatalog, Error> {
        let failed = |error| failure(path, Failure::Sqlite(error));
        // SQLite gives its journals the mode of the database.
        if !path.exists() {
            let made = hansard_private_files::open(File::options().create(true).truncate(false).write(true), path);
            made.map_err(|source| Error::Unavailable { place: path.display().to_string(), source: source.into() })?;
        }
        let mut writer = Connection::open(path).map_err(failed)?;
        writer.busy_timeout(BUSY).map_err(failed)?;
        writer.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        writer.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        writer.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        prepare(&mut writer, path).map_err(|error| failure(path, error))?;
        let reader = read_only(path)?;
        Ok(Self::with(path, Some(writer), reader))
    }

    /// Opens an existing database for reading. SQLite may still make its `-shm` and `-wal` files beside it.
    pub fn open_read_only(path: &Path) -> Result<SqliteCatalog, Error> {
        let reader = read_only(path)?;
        let version = schema_version(&reader).map_err(|error| failure(path, Failure::Sqlite(error)))?;
        if version != VERSION {
            return Err(other_version(path, version));
        }
        Ok(Self::with(path, None, reader))
    }

    fn with(path: &Path, writer: Option<Connection>, reader: Connection) -> SqliteCatalog {
        let shared = Shared { place: path.to_owned(), writer: writer.map(Mutex::new), reader: Mutex::new(reader) };
        SqliteCatalog { shared: Arc::new(shared) }
    }

    /// Runs `work` in one write transaction: all of it is kept, or nothing.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        blocking(self.shared.place.clone(), move || {
            let writer = shared.writer.as_ref().ok_or_else(|| Error::Unavailable {
                place: shared.place.display().to_string(),
                source: "it was opened for reading only".into(),
            })?;
            let mut writer = writer.lock();
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
        .await
    }

    /// Runs `work` in one read transaction.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        blocking(self.shared.place.clone(), move || {
            let mut reader = shared.reader.lock();
            let transaction = reader.transaction_with_behavior(TransactionBehavior::Deferred)?;
            work(&transaction)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    place: PathBuf,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| failure(&place, error)),
        Err(stopped) => Err(Error::Unavailable { place: place.display().to_string(), source: Box::new(stopped) }),
    }
}

/// Creates the schema in an empty database; refuses one of another version.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match schema_version(&transaction)? {
        VERSION => return Ok(()),
        version @ (1 | 2) => {
            if version == 1 {
                transaction.execute_batch(FROM_1)?;
            }
            transaction.execute_batch(FROM_2)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
            return Ok(());
        }
        0 => {}
        other => return Err(other_version(path, other).into()),
    }
    let objects: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects > 0 {
        let reason = "it is a database of another program; name another file as the lake's catalog".to_owned();
        return Err(Error::Incompatible { place: path.display().to_string(), reason }.into());
    }
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

fn read_only(path: &Path) -> Result<Connection, Error> {
    let open = || {
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    };
    open().map_err(|error| failure(path, Failure::Sqlite(error)))
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn other_version(path: &Path, version: i32) -> Error {
    let reason = if version > VERSION {
        format!("its schema has version {version}, this program knows {VERSION}; use the newer program")
    } else if version == 1 || version == 2 {
        format!(
            "its schema has version {version}, this program needs {VERSION}; start the recorder once, which brings it up to date"
        )
    } else {
        format!("its schema has version {version}, this program needs {VERSION}; it is not the catalog of a lake")
    };
    Error::Incompatible { place: path.display().to_string(), reason }
}

fn failure(place: &Path, failure: Failure) -> Error {
    let error = match failure {
        Failure::Catalog(error) => return error,
        Failure::Sqlite(error) => error,
    };
    let place = place.display().to_string();
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            Error::Incompatible { place, reason: error.to_string() }
        }
        _ => Error::Unavailable { place, source: Box::new(error) },
    }
}

/// SQLite's integers are signed; positions, counts and epochs never come near the difference.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn take_shard(&self, shard: u16, holder: &str) -> Result<ShardHold, Error> {
        let holder = holder.to_owned();
        self.write(move |transaction| {
            let (epoch, watermark) = transaction.query_row(
                "INSERT INTO shards (shard, epoch, holder, watermark) VALUES (?1, 1, ?2, 0)
                 ON CONFLICT (shard) DO UPDATE SET epoch = epoch + 1, holder = excluded.holder
                 RETURNING epoch, watermark",
                params![shard, holder],
                |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)),
            )?;
            let sessions = open_sessions(transaction, Some(shard))?;
            Ok(ShardHold { shard, epoch: Epoch(epoch), watermark, sessions })
        })
        .await
    }

    async fn commit(&self, commit: Commit) -> Result<(), Error> {
        self.write(move |transaction| {
            fence(transaction, &commit)?;
            for file in &commit.files {
                insert_file(transaction, file)?;
            }
            let mut end =
                transaction.prepare_cached("DELETE FROM open_sessions WHERE shard = ?1 AND session_id = ?2")?;
            for session in &commit.ended {
                end.execute(params![commit.shard, session.as_bytes()])?;
            }
            let mut keep = transaction.prepare_cached(
                "INSERT INTO open_sessions (shard, session_id, state) VALUES (?1, ?2, ?3)
                 ON CONFLICT (shard, session_id) DO UPDATE SET state = excluded.state",
            )?;
            for session in &commit.sessions {
                keep.execute(params![commit.shard, session.session_id.as_bytes(), session.state])?;
            }
            transaction.execute(
                "UPDATE shards SET watermark = ?2 WHERE shard = ?1",
                params![commit.shard, signed(commit.watermark)],
            )?;
            Ok(())
        })
        .await
    }

    async fn compact(&self, compaction: Compaction) -> Result<(), Error> {
        self.write(move |transaction| {
            let now: i64 = transaction.query_row(&format!("SELECT {NOW}"), [], |row| row.get(0))?;
            let mut leave = transaction.prepare_cached("DELETE FROM files WHERE path = ?1")?;
            let mut linger = transaction.prepare_cached("INSERT INTO removed (path, at) VALUES (?1, ?2)")?;
            for path in &compaction.replaced {
                if leave.execute([path])? == 0 {
                    return Err(Error::Conflict(path.clone()).into());
                }
                linger.execute(params![path, now])?;
            }
            for file in &compaction.files {
                insert_file(transaction, file)?;
            }
            Ok(())
        })
        .await
    }

    async fn windows_below(&self, level: u8) -> Result<Vec<FileEntry>, Error> {
        let place = self.shared.place.clone();
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT {} FROM files f
                 WHERE (f.table_name, f.target, f.hour) IN (SELECT g.table_name, g.target, g.hour FROM files g WHERE g.level < ?1)
                 ORDER BY f.table_name, f.target, f.hour, f.path",
                filter::COLUMNS
            ))?;
            let mut rows = statement.query([level])?;
            let mut files = Vec::new();
            while let Some(row) = rows.next()? {
                files.push(file_entry(row, &place)?);
            }
            Ok(files)
        })
        .await
    }

    async fn snapshot(&self, filter: &FileFilter) -> Result<Snapshot, Error> {
        let mut filter = filter.clone();
        let place = self.shared.place.clone();
        self.read(move |transaction| {
            let began = match filter.ended {
                Some((from, to)) => Some(from.min(earliest_start(transaction, from, to)?)),
                None => None,
            };
            filter.at_from = filter.at_from.max(began);
            let (sql, values) = filter::select(&filter);
            let mut statement = transaction.prepare_cached(&sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values))?;
            let mut files = Vec::new();
            while let Some(row) = rows.next()? {
                files.push(file_entry(row, &place)?);
            }
            let mut statement = transaction.prepare_cached("SELECT shard, watermark FROM shards ORDER BY shard")?;
            let watermarks = statement
                .query_map([], |row| Ok((row.get(0)?, unsigned(row, 1)?)))?
                .collect::<rusqlite::Result<Vec<(u16, u64)>>>()?;
            let sessions = open_sessions(transaction, None)?;
            Ok(Snapshot { files, watermarks, sessions, began })
        })
        .await
    }

    async fn expired(&self, linger: Duration) -> Result<Vec<String>, Error> {
        let linger = i64::try_from(linger.as_millis()).unwrap_or(i64::MAX);
        self.read(move |transaction| {
            let mut statement = transaction
                .prepare_cached(&format!("SELECT path FROM removed WHERE at <= {NOW} - ?1 ORDER BY path"))?;
            let paths = statement.query_map([linger], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(paths)
        })
        .await
    }

    async fn unknown(&self, paths: Vec<String>) -> Result<Vec<String>, Error> {
        self.read(move |transaction| {
            let mut known = transaction.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM files WHERE path = ?1) OR EXISTS (SELECT 1 FROM removed WHERE path = ?1)",
            )?;
            let mut unknown = Vec::new();
            for path in paths {
                if !known.query_row([&path], |row| row.get::<_, bool>(0))? {
                    unknown.push(path);
                }
            }
            Ok(unknown)
        })
        .await
    }

    async fn forget(&self, paths: &[String]) -> Result<(), Error> {
        let paths = paths.to_vec();
        self.write(move |transaction| {
            let mut forget = transaction.prepare_cached("DELETE FROM removed WHERE path = ?1")?;
            for path in &paths {
                forget.execute([path])?;
            }
            Ok(())
        })
        .await
    }
}

/// Lets a commit pass only when its epoch is the shard's own and it begins at the watermark.
fn fence(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), Failure> {
    let held = transaction
        .query_row("SELECT epoch, watermark FROM shards WHERE shard = ?1", [commit.shard], |row| {
            Ok((unsigned(row, 0)?, unsigned(row, 1)?))
        })
        .optional()?;
    let (epoch, watermark) = held.unwrap_or((0, 0));
    if epoch != commit.epoch.0 {
        return Err(Error::Fenced { shard: commit.shard, ours: commit.epoch, current: Epoch(epoch) }.into());
    }
    if watermark != commit.from || commit.watermark < commit.from {
        return Err(Error::Discontinuous { shard: commit.shard, watermark, from: commit.from }.into());
    }
    Ok(())
}

fn insert_file(transaction: &Transaction<'_>, file: &FileEntry) -> Result<(), Failure> {
    let added = transaction
        .prepare_cached(
            "INSERT INTO files (path, table_name, target, hour, level, rows, bytes, sha256, min_at, max_at, unsettled)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (path) DO NOTHING",
        )?
        .execute(params![
            file.path,
            file.table.name(),
            file.target,
            file.hour,
            file.level,
            signed(file.rows),
            signed(file.bytes),
            file.sha256,
            file.min_at,
            file.max_at,
            signed(file.unsettled)
        ])?;
    if added == 0 {
        return Err(Error::Conflict(file.path.clone()).into());
    }
    let id = transaction.last_insert_rowid();
    let mut relation = transaction.prepare_cached(
        "INSERT INTO file_relations (relation, operation, min_at, max_at, file) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for span in &file.index.relations {
        relation.execute(params![span.relation, span.operation, span.min_at, span.max_at, id])?;
    }
    let mut session = transaction.prepare_cached("INSERT INTO file_sessions (session_id, file) VALUES (?1, ?2)")?;
    for session_id in &file.index.sessions {
        session.execute(params![session_id.as_bytes(), id])?;
    }
    let mut end = transaction.prepare_cached("INSERT INTO file_ends (minute, file, started_at) VALUES (?1, ?2, ?3)")?;
    for span in &file.index.ends {
        end.execute(params![span.minute, id, span.started_at])?;
    }
    Ok(())
}

/// When the earliest of the transactions began that ended between two times; the largest number where none did.
fn earliest_start(transaction: &Transaction<'_>, from: i64, to: i64) -> Result<i64, Failure> {
    let mut earliest = transaction.prepare_cached(
        "SELECT min(e.started_at) FROM file_ends e JOIN files f ON f.id = e.file
             WHERE (e.minute BETWEEN ?1 AND ?2 OR e.minute = -1) AND f.table_name <> 'sessions'",
    )?;
    let minutes = [from, to].map(EndSpan::minute_of);
    Ok(earliest.query_row(minutes, |row| row.get::<_, Option<i64>>(0))?.unwrap_or(i64::MAX))
}

fn file_entry(row: &Row<'_>, place: &Path) -> Result<FileEntry, Failure> {
    let name: String = row.get(1)?;
    let table = Table::from_name(&name).ok_or_else(|| Error::Incompatible {
        place: place.display().to_string(),
        reason: format!("it names a table {name:?} that this program does not know"),
    })?;
    Ok(FileEntry {
        path: row.get(0)?,
        table,
        target: row.get(2)?,
        hour: row.get(3)?,
        level: row.get(4)?,
        rows: unsigned(row, 5)?,
        bytes: unsigned(row, 6)?,
        sha256: row.get(7)?,
        min_at: row.get(8)?,
        max_at: row.get(9)?,
        unsettled: unsigned(row, 10)?,
        index: FileIndex::default(),
    })
}

fn open_sessions(transaction: &Transaction<'_>, shard: Option<u16>) -> Result<Vec<OpenSession>, Failure> {
    let mut statement = transaction.prepare_cached(
        "SELECT shard, session_id, state FROM open_sessions WHERE ?1 IS NULL OR shard = ?1 ORDER BY shard, session_id",
    )?;
    let sessions = statement
        .query_map([shard], |row| {
            let id: [u8; 16] = row.get(1)?;
            Ok(OpenSession { shard: row.get(0)?, session_id: Uuid::from_bytes(id), state: row.get(2)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(sessions)
}

#[cfg(test)]
mod tests;
