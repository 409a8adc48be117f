//! A log, a lake and a recorder between them, in a folder of their own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use hansard_event_log::{EventLog, Fsync, LocalLog, LocalLogOptions, LocalLogReader};
use hansard_lake::catalog::{FileFilter, OpenSession};
use hansard_lake::{Lake, LakeOptions};
use hansard_record::{Projector, Rows};
use hansard_recorder::{Error, Recorder, RecorderOptions};
use hansard_schemas::lake::Table;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::feed::{BEGIN, Frame, Session};

/// How long a test waits for what must come, before it says that it did not.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Opens the log in a folder for writing.
pub(crate) fn log(folder: &Path, shards: u16) -> Arc<LocalLog> {
    LocalLog::open(LocalLogOptions {
        path: folder.join("log"),
        shards,
        fsync: Fsync::Interval(Duration::from_millis(50)),
        segment_bytes: 4096,
        max_bytes: 1 << 30,
    })
    .unwrap()
}

/// Opens the log in a folder as another process would.
pub(crate) fn reader(folder: &Path) -> Arc<LocalLogReader> {
    Arc::new(LocalLogReader::open(&folder.join("log")).unwrap())
}

/// Opens the lake in a folder.
pub(crate) fn lake(folder: &Path) -> Arc<Lake> {
    let options = LakeOptions {
        url: format!("file:{}", folder.join("lake").display()),
        catalog: format!("sqlite:{}", folder.join("catalog.db").display()),
    };
    Arc::new(Lake::open(&options).unwrap())
}

/// Options for tests: flushes soon, merges nothing.
pub(crate) fn options(flush_interval: Duration) -> RecorderOptions {
    RecorderOptions { compaction: None, ..RecorderOptions::new(flush_interval, Arc::new(|| BEGIN)) }
}

/// A session in a shard.
pub(crate) fn session(shard: u16, shards: u16) -> Session {
    Session::new(hansard_event_log::mint_session_id(shard, shards))
}

/// A recorder at work.
pub(crate) struct RunningRecorder {
    pub(crate) recorder: Arc<Recorder>,
    cancel: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

/// Starts a recorder.
pub(crate) fn start(recorder: Recorder) -> RunningRecorder {
    let (recorder, cancel) = (Arc::new(recorder), CancellationToken::new());
    let task = tokio::spawn({
        let (recorder, cancel) = (Arc::clone(&recorder), cancel.clone());
        async move { recorder.run(cancel).await }
    });
    RunningRecorder { recorder, cancel, task }
}

impl RunningRecorder {
    /// Tells it to stop, and gives what it said.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.cancel.cancel();
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<(), Error> {
        tokio::time::timeout(LONG, self.task).await.expect("the recorder ends").unwrap()
    }
}

/// Waits until `done` is.
pub(crate) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Waits until the lake holds all of the log.
pub(crate) async fn drained(log: &dyn EventLog, lake: &Lake) {
    until("the lake holds all of the log", async || {
        let watermarks = lake.catalog.snapshot(&FileFilter::default()).await.unwrap().watermarks;
        for shard in 0..log.shards() {
            let end = log.bounds(shard).await.unwrap().end.0;
            if !watermarks.contains(&(shard, end)) {
                return false;
            }
        }
        true
    })
    .await;
}

/// All rows of a table, file by file.
pub(crate) async fn rows(folder: &Path, lake: &Lake, table: Table) -> Vec<RecordBatch> {
    let filter = FileFilter { table: Some(table), ..FileFilter::default() };
    let mut batches = Vec::new();
    for file in lake.catalog.snapshot(&filter).await.unwrap().files {
        let opened = std::fs::File::open(folder.join("lake").join(&file.path)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened).unwrap().build().unwrap();
        let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>() as u64, file.rows);
        batches.extend(read);
    }
    batches
}

/// A text column of some batches; null is "-".
pub(crate) fn texts(batches: &[RecordBatch], name: &str) -> Vec<String> {
    let column = |batch: &RecordBatch| -> Vec<String> {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        column.iter().map(|text| text.unwrap_or("-").to_owned()).collect()
    };
    batches.iter().flat_map(column).collect()
}

/// All frames of the lake, by session and seq.
pub(crate) async fn frames(folder: &Path, lake: &Lake) -> Vec<Frame> {
    let mut frames = Vec::new();
    for batch in rows(folder, lake, Table::Frames).await {
        let sessions = batch.column_by_name("session_id").unwrap().as_string::<i32>();
        let seqs = batch.column_by_name("seq").unwrap().as_primitive::<Int64Type>();
        let bytes = batch.column_by_name("frame").unwrap().as_binary::<i32>();
        for row in 0..batch.num_rows() {
            assert!(!sessions.is_null(row));
            frames.push((sessions.value(row).to_owned(), seqs.value(row), bytes.value(row).to_vec()));
        }
    }
    frames.sort();
    frames
}

/// Asserts that the lake holds these sessions' frames: each once, nothing else.
pub(crate) async fn holds(folder: &Path, lake: &Lake, sessions: &[Session]) {
    let mut expected: Vec<Frame> = sessions.iter().flat_map(|session| session.frames.iter().cloned()).collect();
    expected.sort();
    let found = frames(folder, lake).await;
    let keys = |frames: &[Frame]| frames.iter().map(|(id, seq, _)| (id.clone(), *seq)).collect::<Vec<_>>();
    assert_eq!(keys(&found), keys(&expected));
    assert_eq!(found, expected);
}

/// The sessions that have not ended, as the catalog keeps them.
pub(crate) async fn unfinished(lake: &Lake) -> Vec<Uuid> {
    let snapshot = lake.catalog.snapshot(&FileFilter::default()).await.unwrap();
    let mut rows = Rows::default();
    Projector::restore(0, snapshot.sessions.iter().map(OpenSession::saved)).unwrap().in_flight(&mut rows);
    rows.sessions.iter().map(|session| session.session_id).collect()
}
