//! Files as others will find them: read back with the parquet crate.

use std::path::Path;

use arrow::compute::concat_batches;
use bytes::Bytes;
use hansard_record::{Certainty, FrameRow, Outcome, Rows, Run, TouchRow, TransactionKind, TransactionRow};
use hansard_schemas::events::{Direction, Part};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding};
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::LakeOptions;
use crate::layout::HOUR;

/// A lake in a folder of its own.
pub(crate) fn lake(folder: &Path) -> Lake {
    Lake::open(&LakeOptions {
        url: format!("file:{}", folder.join("lake").display()),
        catalog: format!("sqlite:{}", folder.join("catalog.db").display()),
    })
    .unwrap()
}

/// The rows of a file.
pub(crate) fn rows_of(folder: &Path, path: &str) -> RecordBatch {
    let file = std::fs::File::open(folder.join("lake").join(path)).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = Arc::clone(builder.schema());
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// A frame of some bytes.
pub(crate) fn frame(session_id: Uuid, seq: u64, at: i64, bytes: usize) -> Run {
    let filling = u8::try_from(seq % 251).unwrap();
    FrameRow {
        session_id,
        seq,
        at,
        direction: if seq.is_multiple_of(2) { Direction::Backend } else { Direction::Frontend },
        tag: b'Q',
        frame: Bytes::from(vec![filling; bytes]),
        masked: false,
        withheld: None,
        part: Part::Whole,
        target: "ranking".into(),
        omitted: None,
    }
    .into()
}

/// A touch of a relation.
pub(crate) fn touch(session_id: Uuid, statement_no: u64, relation: &str, operation: &'static str, at: i64) -> TouchRow {
    TouchRow {
        relation: relation.into(),
        operation,
        at,
        committed_at: Some(at + 1),
        job: "nightly".into(),
        subject: "nightly".into(),
        session_id,
        statement_no,
        target: "ranking".into(),
        rows: Some(1),
        transaction_id: statement_no,
        transaction_outcome: Some(Outcome::Committed),
        outcome_reason: None,
        columns: ["score".into()].into(),
        via: "direct",
        certainty: Certainty::Certain,
        reason: None,
    }
}

/// A transaction of one statement.
pub(crate) fn transaction(session_id: Uuid, transaction_id: u64, ended_at: i64) -> TransactionRow {
    TransactionRow {
        session_id,
        transaction_id,
        target: "ranking".into(),
        database: "ranking".into(),
        kind: TransactionKind::Transaction,
        first_statement: transaction_id,
        last_statement: transaction_id,
        outcome: Outcome::Committed,
        reason: None,
        ended_at,
        committed_at: Some(ended_at),
        gid: None,
        started_at: None,
    }
}

/// Writes plain rows.
pub(crate) fn write(lake: &Lake, rows: &Rows, flush: &FlushId) -> Result<Vec<FileEntry>, Error> {
    write_rows(lake, |table| rows.batch(table), flush)
}

fn flush(flush: u64) -> FlushId {
    FlushId { shard: 0, epoch: 1, flush, from: 0, watermark: 10 }
}

#[test]
fn rows_are_cut_by_target_and_hour_and_stay_sorted() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    let [one, two] = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let mut rows = Rows::default();
    for seq in (1..=3000).rev() {
        rows.frames.push(frame(two, seq, 5, 40));
        rows.frames.push(frame(one, seq, if seq <= 1000 { HOUR - 1 } else { HOUR }, 40));
    }
    rows.frames.push(FrameRow { target: "../x".into(), ..frame(two, 1, 7, 1).first }.into());
    let files = write(&lake, &rows, &flush(0)).unwrap();
    let found: Vec<_> =
        files.iter().map(|file| (file.target.as_str(), file.hour, file.rows, file.min_at, file.max_at)).collect();
    assert_eq!(found, [("../x", 0, 1, 7, 7), ("ranking", 0, 4000, 5, HOUR - 1), ("ranking", HOUR, 2000, HOUR, HOUR)]);
    assert_eq!(files[1].index.sessions, [one, two]);
    let mut total = 0;
    for file in &files {
        let batch = rows_of(folder.path(), &file.path);
        assert_eq!(batch.schema().fields(), Table::Frames.schema().fields());
        let sessions = texts("", &batch, "session_id").unwrap();
        let seqs = batch.column_by_name("seq").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
        let keys: Vec<_> = sessions.iter().flatten().zip(seqs.values()).collect();
        assert!(keys.is_sorted());
        total += batch.num_rows();
        let bytes = std::fs::read(folder.path().join("lake").join(&file.path)).unwrap();
        assert_eq!((hex::encode(Sha256::digest(&bytes)), bytes.len() as u64), (file.sha256.clone(), file.bytes));
    }
    assert_eq!(total, rows.frames.len());
}

#[test]
fn the_same_flush_again_lands_on_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    let rows = Rows { frames: [frame(Uuid::from_u128(1), 1, 0, 9)].into_iter().collect(), ..Rows::default() };
    let first = write(&lake, &rows, &flush(0)).unwrap();
    assert_eq!(first, write(&lake, &rows, &flush(0)).unwrap());
    assert_ne!(first[0].path, write(&lake, &rows, &flush(1)).unwrap()[0].path);
    assert_eq!(std::fs::read_dir(folder.path().join("lake/.staging")).unwrap().count(), 0, "nothing half-made stays");
}

#[test]
fn relations_are_indexed_with_their_own_times() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    let session = Uuid::from_u128(7);
    let touches = vec![
        touch(session, 1, "public.rankings", "update", 50),
        touch(session, 2, "public.films", "select", 10),
        touch(session, 3, "public.rankings", "update", 20),
        touch(session, 4, "public.rankings", "select", 90),
    ];
    let files = write(&lake, &Rows { touches, ..Rows::default() }, &flush(0)).unwrap();
    let spans: Vec<_> = files[0]
        .index
        .relations
        .iter()
        .map(|span| (span.relation.as_str(), span.operation.as_str(), span.min_at, span.max_at))
        .collect();
    let expected = [
        ("public.films", "select", 10, 10),
        ("public.rankings", "select", 90, 90),
        ("public.rankings", "update", 20, 50),
    ];
    assert_eq!(spans, expected);
    assert_eq!((files[0].min_at, files[0].max_at, &files[0].index.sessions[..]), (10, 90, &[session][..]));
}

#[test]
fn a_file_says_how_many_outcomes_are_elsewhere_and_which_gids_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    let session = Uuid::from_u128(7);
    let early = |number| TouchRow {
        transaction_outcome: None,
        committed_at: None,
        ..touch(session, number, "public.t", "update", 10)
    };
    let gid = |number, kind, outcome, at| TransactionRow {
        kind,
        outcome,
        gid: Some("g1".into()),
        ..transaction(session, number, at)
    };
    let rows = Rows {
        touches: vec![touch(session, 1, "public.t", "update", 10), early(2), early(3)],
        transactions: vec![
            gid(3, TransactionKind::Resolution, Outcome::Committed, 90),
            gid(2, TransactionKind::Transaction, Outcome::Prepared, 50),
            transaction(session, 1, 20),
        ],
        ..Rows::default()
    };
    let files = write(&lake, &rows, &flush(0)).unwrap();
    let found: Vec<_> = files.iter().map(|file| (file.table, file.rows, file.unsettled)).collect();
    assert_eq!(found, [(Table::Touches, 3, 2), (Table::Transactions, 3, 1)]);
    let spans: Vec<_> = files[1]
        .index
        .relations
        .iter()
        .map(|span| (span.relation.as_str(), span.operation.as_str(), span.min_at, span.max_at))
        .collect();
    assert_eq!(spans, [("g1", "resolution", 90, 90), ("g1", "transaction", 50, 50)]);
    assert_eq!((files[1].min_at, files[1].max_at, &files[1].index.sessions[..]), (20, 90, &[session][..]));
    let batch = rows_of(folder.path(), &files[1].path);
    let numbers = batch.column_by_name("transaction_id").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
    assert_eq!(numbers.values().to_vec(), [1, 2, 3]);
}

#[test]
fn files_have_the_measured_settings() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    let session = Uuid::from_u128(1);
    // Random enough not to shrink: 40 MiB in all, more than one row group's bytes.
    let mut state = 1u64;
    let mut noise = |length: usize| -> Bytes {
        let step = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..length).map(step).collect()
    };
    let long = |seq| FrameRow { frame: noise(32 * 1024), ..frame(session, seq, 1, 0).first }.into();
    let frames = (1..=1280).map(long).collect();
    let files = write(&lake, &Rows { frames, ..Rows::default() }, &flush(0)).unwrap();
    let file = std::fs::File::open(folder.path().join("lake").join(&files[0].path)).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let metadata = reader.metadata();
    assert!(metadata.num_row_groups() > 1, "row groups are bounded in bytes");
    for group in metadata.row_groups() {
        assert!(group.compressed_size() < 40 * 1024 * 1024);
        let sorting: Vec<_> = group.sorting_columns().unwrap().iter().map(|column| column.column_idx).collect();
        assert_eq!(sorting, [0, 1]);
        for column in group.columns() {
            assert!(matches!(column.compression(), Compression::ZSTD(_)));
            assert!(column.offset_index_offset().is_some());
            let name = column.column_path().string();
            let encodings: Vec<Encoding> = column.encodings().collect();
            let delta = encodings.contains(&Encoding::DELTA_BINARY_PACKED);
            let numbers = ["seq", "at", "omitted_frames", "omitted_bytes"];
            assert_eq!(delta, numbers.contains(&name.as_str()), "{name}: {encodings:?}");
            let dictionary = column.dictionary_page_offset().is_some();
            assert_eq!(dictionary, !delta && !["frame", "masked"].contains(&name.as_str()), "{name}");
            assert_eq!(column.bloom_filter_offset().is_some(), name == "session_id");
        }
    }
}

#[test]
fn a_lake_that_cannot_be_written_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    let rows = Rows { frames: [frame(Uuid::from_u128(1), 1, 0, 9)].into_iter().collect(), ..Rows::default() };
    // A file in the place of the table's folder: works for every user, root too.
    std::fs::write(folder.path().join("lake/frames"), b"").unwrap();
    let error = write(&lake, &rows, &flush(0)).unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("lake/frames"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path().join("lake/.staging")).unwrap().count(), 0);
    std::fs::remove_file(folder.path().join("lake/frames")).unwrap();
    assert_eq!(write(&lake, &rows, &flush(0)).unwrap().len(), 1);
}

#[test]
fn a_full_disk_is_recognised_whenever_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    // A few bytes reach the disk with the end of the file, many before.
    for frames in [1, 40_000] {
        let window = Window { table: Table::Frames, target: "ranking".to_owned(), hour: 0 };
        let durable = Arc::clone(lake.durable().unwrap());
        let mut writer = FileWriter::with(Staged::on_a_full_disk(), durable, window, "frames/x".to_owned(), 0).unwrap();
        let frames = (1..=frames).map(|seq| frame(Uuid::now_v7(), seq, 1, 500)).collect();
        let batch = Rows { frames, ..Rows::default() }.batch(Table::Frames);
        let error = writer.write(&batch).and_then(|()| writer.finish()).unwrap_err();
        assert!(matches!(&error, Error::Full { .. }) && error.is_transient(), "{error:?}");
        assert!(error.to_string().contains("no space is left"), "{error}");
    }
}

#[test]
fn a_lake_open_for_reading_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(lake(folder.path()));
    let reader = Lake::open_read_only(&LakeOptions {
        url: format!("file:{}", folder.path().join("lake").display()),
        catalog: format!("sqlite:{}", folder.path().join("catalog.db").display()),
    })
    .unwrap();
    let rows = Rows { frames: [frame(Uuid::from_u128(1), 1, 0, 9)].into_iter().collect(), ..Rows::default() };
    assert!(matches!(write(&reader, &rows, &flush(0)), Err(Error::ReadOnly)));
}
