//! Merging changes files, never rows.

use std::path::Path;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use hansard_record::Rows;
use hansard_schemas::lake::Table;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::catalog::{Commit, FileIndex, Snapshot};
use crate::layout::FlushId;
use crate::writer::tests::{frame, lake, rows_of, touch, transaction, write};

/// Flushes `parts`, one after the other, into an empty lake.
async fn record(lake: &Lake, parts: Vec<Rows>) {
    let hold = lake.catalog.take_shard(0, "test").await.unwrap();
    for (number, rows) in (0..).zip(parts) {
        let id = FlushId { shard: 0, epoch: hold.epoch.0, flush: number, from: number, watermark: number + 1 };
        let files = write(lake, &rows, &id).unwrap();
        let (sessions, ended) = (vec![], vec![]);
        let commit =
            Commit { shard: 0, epoch: hold.epoch, from: number, watermark: number + 1, files, sessions, ended };
        lake.catalog.commit(commit).await.unwrap();
    }
}

async fn run(lake: &Lake, options: &CompactionOptions, now: i64) -> Result<Report, Error> {
    compact(lake, options, now, &AtomicBool::new(false)).await
}

async fn snapshot(lake: &Lake, filter: FileFilter) -> Snapshot {
    lake.catalog.snapshot(&filter).await.unwrap()
}

/// All rows of a table, sorted as text: what a query would see.
async fn content(lake: &Lake, folder: &Path, table: Table) -> Vec<String> {
    let filter = FileFilter { table: Some(table), ..FileFilter::default() };
    let batches: Vec<RecordBatch> =
        snapshot(lake, filter).await.files.iter().map(|file| rows_of(folder, &file.path)).collect();
    let all = concat_batches(&table.schema(), &batches).unwrap();
    let mut lines: Vec<String> =
        arrow::util::pretty::pretty_format_batches(&[all]).unwrap().to_string().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn interleaved(parts: usize) -> Vec<Rows> {
    let part = |part: usize| {
        let mut rows = Rows::default();
        for session in 0..5u128 {
            let id = Uuid::from_u128(session * 7 + 1);
            for number in 0..300u64 {
                let seq = part as u64 * 300 + number + 1;
                rows.frames.push(frame(id, seq, i64::try_from(seq).unwrap(), 30));
            }
            let operation = if part.is_multiple_of(2) { "update" } else { "select" };
            let mut touch = touch(id, part as u64, &format!("public.t{}", session % 3), operation, part as i64);
            // One of each part ended after it.
            if session == 0 {
                (touch.transaction_outcome, touch.committed_at) = (None, None);
            }
            rows.touches.push(touch);
            rows.transactions.push(transaction(id, part as u64, part as i64 + 1));
        }
        rows
    };
    (0..parts).map(part).collect()
}

#[tokio::test]
async fn a_merge_keeps_every_row_and_sorts_them() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    record(&lake, interleaved(9)).await;
    let all = async || {
        let tables = [Table::Frames, Table::Touches, Table::Transactions];
        futures::future::join_all(tables.map(|table| content(&lake, folder.path(), table))).await
    };
    let before = all().await;
    let options = CompactionOptions { enough: 8, linger: Duration::ZERO };
    let report = run(&lake, &options, 0).await.unwrap();
    assert_eq!((report.replaced, report.created, report.rows), (27, 3, 9 * 5 * 302));
    assert_eq!(before, all().await);
    let files = snapshot(&lake, FileFilter::default()).await.files;
    assert_eq!(
        files.iter().map(|file| (file.table, file.level, file.unsettled)).collect::<Vec<_>>(),
        [(Table::Frames, 1, 0), (Table::Touches, 1, 9), (Table::Transactions, 1, 0)]
    );
    for file in &files {
        let batch = rows_of(folder.path(), &file.path);
        let keys: Vec<_> =
            file.table.sort_columns().iter().map(|name| batch.column_by_name(name).unwrap().clone()).collect();
        let fields = keys.iter().map(|key| arrow::row::SortField::new(key.data_type().clone())).collect();
        let keys = arrow::row::RowConverter::new(fields).unwrap().convert_columns(&keys).unwrap();
        assert!(keys.iter().is_sorted(), "{} is sorted", file.path);
    }
    // The index speaks of the new file as it did of the old ones.
    let relation = FileFilter {
        relations: Some(vec!["public.t0".to_owned()]),
        operations: Some(vec!["update".to_owned()]),
        table: Some(Table::Touches),
        at_to: Some(0),
        ..FileFilter::default()
    };
    assert_eq!(snapshot(&lake, relation.clone()).await.files.len(), 1);
    assert_eq!(
        snapshot(&lake, FileFilter { operations: Some(vec!["delete".to_owned()]), ..relation }).await.files.len(),
        0
    );
    let session = FileFilter { session_id: Some(Uuid::from_u128(8)), ..FileFilter::default() };
    assert_eq!(snapshot(&lake, session).await.files.len(), 3);
    // The former files are gone from the store too, after their linger.
    assert_eq!(report.deleted, 27);
    assert_eq!(count_files(folder.path()), 3);
}

#[tokio::test]
async fn replaced_files_stay_readable_for_their_linger() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    record(&lake, interleaved(8)).await;
    let reader = snapshot(&lake, FileFilter::default()).await;
    run(&lake, &CompactionOptions { enough: 8, linger: Duration::from_secs(3600) }, 0).await.unwrap();
    for file in &reader.files {
        assert_eq!(rows_of(folder.path(), &file.path).num_rows() as u64, file.rows);
    }
}

#[tokio::test]
async fn an_hour_that_is_over_becomes_one_file_of_level_two() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    record(&lake, interleaved(3)).await;
    let options = CompactionOptions::default();
    assert_eq!(run(&lake, &options, HOUR / 2).await.unwrap(), Report::default());
    let before = content(&lake, folder.path(), Table::Frames).await;
    assert_eq!(run(&lake, &options, HOUR + SETTLED).await.unwrap().created, 3);
    assert!(snapshot(&lake, FileFilter::default()).await.files.iter().all(|file| file.level == 2));
    assert_eq!(before, content(&lake, folder.path(), Table::Frames).await);
    assert_eq!(run(&lake, &options, HOUR + SETTLED).await.unwrap(), Report::default());
}

#[tokio::test]
async fn a_merge_that_is_stopped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    record(&lake, interleaved(8)).await;
    let before = snapshot(&lake, FileFilter::default()).await.files;
    let stop = AtomicBool::new(true);
    assert_eq!(compact(&lake, &CompactionOptions::default(), 0, &stop).await.unwrap(), Report::default());
    assert_eq!(before, snapshot(&lake, FileFilter::default()).await.files);
    assert_eq!(count_files(folder.path()), before.len());
}

#[tokio::test]
async fn a_changed_file_is_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    record(&lake, interleaved(8)).await;
    let before = snapshot(&lake, FileFilter::default()).await.files;
    let victim = folder.path().join("lake").join(&before[0].path);
    let mut bytes = std::fs::read(&victim).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&victim, bytes).unwrap();
    let error = run(&lake, &CompactionOptions::default(), 0).await.unwrap_err();
    assert!(error.to_string().contains(&before[0].path) && error.to_string().contains("SHA-256"), "{error}");
    assert_eq!(before, snapshot(&lake, FileFilter::default()).await.files);
    assert_eq!(count_files(folder.path()), before.len(), "no file of the failed merge is left");
}

#[tokio::test]
async fn of_two_compactors_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path());
    record(&lake, interleaved(8)).await;
    let before = content(&lake, folder.path(), Table::Frames).await;
    let options = CompactionOptions { enough: 8, linger: Duration::ZERO };
    let (one, two) = tokio::join!(run(&lake, &options, 0), run(&lake, &options, 0));
    // One may have deleted an input before the other opened it: an error, with nothing changed.
    let created: usize = [one, two].into_iter().flatten().map(|report| report.created).sum();
    assert!(created <= 3);
    run(&lake, &options, 0).await.unwrap();
    assert_eq!(before, content(&lake, folder.path(), Table::Frames).await);
    assert_eq!(count_files(folder.path()), 3);
}

#[test]
fn late_rows_wait_for_more_of_them() {
    let options = CompactionOptions::default();
    let file = |level: u8, number: usize, bytes: u64| FileEntry {
        path: format!("{level}-{number:03}"),
        table: Table::Frames,
        target: "t".to_owned(),
        hour: 0,
        level,
        rows: 1,
        unsettled: 0,
        bytes,
        sha256: String::new(),
        min_at: 0,
        max_at: 0,
        index: FileIndex::default(),
    };
    let planned = |files: Vec<FileEntry>, now| {
        let shape = |merge: Merge| (merge.level, merge.inputs.iter().map(|file| file.level).collect::<Vec<_>>());
        plan(files, &options, now).into_iter().map(shape).collect::<Vec<_>>()
    };
    let over = HOUR + SETTLED;
    let late = |count| (0..count).map(|number| file(0, number, 1)).chain([file(2, 0, 9)]).collect::<Vec<_>>();
    assert_eq!(planned(late(2), over), []);
    assert_eq!(planned(late(2), HOUR + LATE), [(2, vec![0, 0, 2])]);
    assert_eq!(planned(late(8), over), [(2, [vec![0; 8], vec![2]].concat())]);
    // A large file is left alone, and one merge has a bound.
    assert_eq!(planned(vec![file(0, 0, 1), file(2, 0, LARGE)], HOUR + LATE), [(2, vec![0])]);
    assert_eq!(planned((0..100).map(|number| file(0, number, 1)).collect(), over), [(2, vec![0; MOST_INPUTS])]);
    assert_eq!(planned((0..3).map(|number| file(0, number, MOST_BYTES)).collect(), over), [(2, vec![0])]);
    // Small files of level 1 are merged among themselves before the hour is over.
    assert_eq!(planned((0..8).map(|number| file(1, number, 1)).collect(), 0), [(1, vec![1; 8])]);
}

fn count_files(folder: &Path) -> usize {
    fn count(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
    count(&folder.join("lake"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_split_of_rows_merges_to_the_same_rows(
        rows in prop::collection::vec((0u128..6, 1u64..2000, 0usize..8), 1..2500),
        options in Just(CompactionOptions { enough: 2, linger: Duration::ZERO }),
    ) {
        let mut parts = vec![Rows::default(); 8];
        let mut seen = std::collections::HashSet::new();
        for (session, seq, part) in rows {
            if seen.insert((session, seq)) {
                parts[part].frames.push(frame(Uuid::from_u128(session), seq, 1, 8));
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            record(&lake, parts).await;
            let before = content(&lake, folder.path(), Table::Frames).await;
            run(&lake, &options, 0).await.unwrap();
            let after = content(&lake, folder.path(), Table::Frames).await;
            assert_eq!(before, after);
        });
    }
}
