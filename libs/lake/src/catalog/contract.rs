//! What every catalog must do, whatever it is made of: one suite, called with a fresh catalog each time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hansard_schemas::lake::Table;
use uuid::Uuid;

use super::*;

/// Runs the suite; `fresh` makes an empty catalog, alone in the world.
pub(super) async fn holds<C: Catalog, F: Future<Output = C>>(fresh: impl Fn() -> F) {
    taking_a_shard_ends_the_former_hold(fresh().await).await;
    a_zombie_is_fenced_whatever_happened_in_between(fresh().await).await;
    commits_continue_where_the_last_one_ended(fresh().await).await;
    a_refused_commit_changes_nothing(fresh().await).await;
    sessions_are_kept_until_they_end(fresh().await).await;
    filters_prune_without_losing_a_row(fresh().await).await;
    ends_lead_to_files_of_older_rows(fresh().await).await;
    compaction_swaps_all_or_nothing(fresh().await).await;
    replaced_files_linger(fresh().await).await;
    unknown_paths_are_told_from_known_ones(fresh().await).await;
    windows_below_gives_whole_windows(fresh().await).await;
    snapshots_are_whole_while_commits_run(Arc::new(fresh().await)).await;
}

fn file(path: &str) -> FileEntry {
    FileEntry {
        path: path.to_owned(),
        table: Table::Touches,
        target: "ranking".to_owned(),
        hour: 0,
        level: 0,
        rows: 3,
        unsettled: 1,
        bytes: 1000,
        sha256: "ab".repeat(32),
        min_at: 10,
        max_at: 20,
        index: FileIndex::default(),
    }
}

fn commit(hold: &ShardHold, from: u64, watermark: u64, files: Vec<FileEntry>) -> Commit {
    Commit { shard: hold.shard, epoch: hold.epoch, from, watermark, files, sessions: vec![], ended: vec![] }
}

fn paths(files: &[FileEntry]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}

async fn all(catalog: &impl Catalog) -> Snapshot {
    catalog.snapshot(&FileFilter::default()).await.unwrap()
}

async fn unknown_paths_are_told_from_known_ones(catalog: impl Catalog) {
    let hold = catalog.take_shard(0, "a").await.unwrap();
    catalog.commit(commit(&hold, 0, 7, vec![file("a"), file("b")])).await.unwrap();
    catalog.compact(Compaction { replaced: vec!["b".to_owned()], files: vec![] }).await.unwrap();
    let all = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(catalog.unknown(all).await.unwrap(), ["c"]);
}

async fn taking_a_shard_ends_the_former_hold(catalog: impl Catalog) {
    let first = catalog.take_shard(3, "a").await.unwrap();
    assert_eq!((first.shard, first.watermark, first.sessions.len()), (3, 0, 0));
    catalog.commit(commit(&first, 0, 7, vec![file("a")])).await.unwrap();
    let second = catalog.take_shard(3, "b").await.unwrap();
    assert!(second.epoch.0 > first.epoch.0);
    assert_eq!(second.watermark, 7);
    // Another shard has a life of its own.
    assert_eq!(catalog.take_shard(4, "a").await.unwrap().watermark, 0);
    catalog.commit(commit(&second, 7, 8, vec![])).await.unwrap();
}

async fn a_zombie_is_fenced_whatever_happened_in_between(catalog: impl Catalog) {
    let zombie = catalog.take_shard(0, "zombie").await.unwrap();
    let heir = catalog.take_shard(0, "heir").await.unwrap();
    let fenced = |result: Result<(), Error>| match result {
        Err(Error::Fenced { shard: 0, ours, current }) => assert_eq!((ours, current), (zombie.epoch, heir.epoch)),
        other => panic!("not fenced: {other:?}"),
    };
    fenced(catalog.commit(commit(&zombie, 0, 5, vec![file("z1")])).await);
    catalog.commit(commit(&heir, 0, 5, vec![file("h1")])).await.unwrap();
    fenced(catalog.commit(commit(&zombie, 0, 5, vec![file("z2")])).await);
    // Even where it would continue seamlessly.
    fenced(catalog.commit(commit(&zombie, 5, 9, vec![file("z3")])).await);
    let snapshot = all(&catalog).await;
    assert_eq!((paths(&snapshot.files), snapshot.watermarks), (vec!["h1"], vec![(0, 5)]));
    // A shard that was never taken has no epoch to show.
    let nobody = ShardHold { shard: 9, ..heir };
    assert!(matches!(catalog.commit(commit(&nobody, 0, 1, vec![])).await, Err(Error::Fenced { .. })));
}

async fn commits_continue_where_the_last_one_ended(catalog: impl Catalog) {
    let hold = catalog.take_shard(0, "a").await.unwrap();
    catalog.commit(commit(&hold, 0, 10, vec![])).await.unwrap();
    for (from, watermark) in [(0, 10), (9, 12), (11, 12), (10, 9)] {
        let refused = catalog.commit(commit(&hold, from, watermark, vec![file("x")])).await;
        assert!(matches!(refused, Err(Error::Discontinuous { watermark: 10, .. })), "{from}..{watermark}: {refused:?}");
    }
    // Rows that need no new part of the log: sessions whose proxy is gone.
    catalog.commit(commit(&hold, 10, 10, vec![file("y")])).await.unwrap();
    let snapshot = all(&catalog).await;
    assert_eq!((paths(&snapshot.files), snapshot.watermarks), (vec!["y"], vec![(0, 10)]));
}

async fn a_refused_commit_changes_nothing(catalog: impl Catalog) {
    let hold = catalog.take_shard(0, "a").await.unwrap();
    catalog.commit(commit(&hold, 0, 1, vec![file("a")])).await.unwrap();
    let session = OpenSession { shard: 0, session_id: Uuid::now_v7(), state: vec![1] };
    let twice = Commit { sessions: vec![session], ..commit(&hold, 1, 2, vec![file("b"), file("a")]) };
    assert!(matches!(catalog.commit(twice).await, Err(Error::Conflict(path)) if path == "a"));
    let snapshot = all(&catalog).await;
    assert_eq!((paths(&snapshot.files), snapshot.watermarks, snapshot.sessions), (vec!["a"], vec![(0, 1)], vec![]));
}

async fn sessions_are_kept_until_they_end(catalog: impl Catalog) {
    let hold = catalog.take_shard(2, "a").await.unwrap();
    let [one, two] = [Uuid::now_v7(), Uuid::now_v7()];
    let state = |session_id, state: &[u8]| OpenSession { shard: 2, session_id, state: state.to_vec() };
    let first = Commit { sessions: vec![state(one, b"1"), state(two, b"")], ..commit(&hold, 0, 1, vec![]) };
    catalog.commit(first).await.unwrap();
    let second =
        Commit { sessions: vec![state(one, b"1b")], ended: vec![two, Uuid::now_v7()], ..commit(&hold, 1, 2, vec![]) };
    catalog.commit(second).await.unwrap();
    assert_eq!(all(&catalog).await.sessions, vec![state(one, b"1b")]);
    assert_eq!(catalog.take_shard(2, "b").await.unwrap().sessions, vec![state(one, b"1b")]);
    assert_eq!(catalog.take_shard(1, "b").await.unwrap().sessions, vec![]);
}

async fn filters_prune_without_losing_a_row(catalog: impl Catalog) {
    let hold = catalog.take_shard(0, "a").await.unwrap();
    let [mine, other] = [Uuid::now_v7(), Uuid::now_v7()];
    let span = |relation: &str, operation: &str, min_at, max_at| RelationSpan {
        relation: relation.to_owned(),
        operation: operation.to_owned(),
        min_at,
        max_at,
    };
    let early = FileEntry {
        index: FileIndex {
            relations: vec![span("public.a", "update", 10, 12), span("public.b", "select", 10, 20)],
            sessions: vec![mine],
            ends: vec![],
        },
        ..file("touches/early")
    };
    let late = FileEntry {
        min_at: 21,
        max_at: 30,
        index: FileIndex {
            relations: vec![span("public.a", "select", 21, 30)],
            sessions: vec![mine, other],
            ends: vec![],
        },
        ..file("touches/late")
    };
    let frames = FileEntry {
        table: Table::Frames,
        target: "other".to_owned(),
        index: FileIndex { relations: vec![], sessions: vec![other], ends: vec![] },
        ..file("frames/1")
    };
    catalog.commit(commit(&hold, 0, 1, vec![early, late, frames])).await.unwrap();
    let any = FileFilter::default;
    let relation =
        |name: &str| FileFilter { table: Some(Table::Touches), relations: Some(vec![name.to_owned()]), ..any() };
    let sessions = |files: &[&str], others: &[Uuid]| {
        let of_files = files.iter().map(|path| (*path).to_owned()).collect();
        FileFilter { sessions: Some(Sessions { of_files, others: others.to_vec() }), ..any() }
    };
    let operations = |name: &str| Some(vec![name.to_owned()]);
    let cases: Vec<(FileFilter, Vec<&str>)> = vec![
        (any(), vec!["frames/1", "touches/early", "touches/late"]),
        (FileFilter { table: Some(Table::Frames), ..any() }, vec!["frames/1"]),
        (FileFilter { target: Some("ranking".to_owned()), ..any() }, vec!["touches/early", "touches/late"]),
        (FileFilter { at_from: Some(21), ..any() }, vec!["touches/late"]),
        (FileFilter { at_from: Some(20), at_to: Some(20), ..any() }, vec!["frames/1", "touches/early"]),
        (FileFilter { at_to: Some(9), ..any() }, vec![]),
        (FileFilter { session_id: Some(mine), ..any() }, vec!["touches/early", "touches/late"]),
        (FileFilter { session_id: Some(Uuid::nil()), ..any() }, vec![]),
        (sessions(&["touches/early"], &[]), vec!["touches/early", "touches/late"]),
        (sessions(&["frames/1", "gone"], &[]), vec!["frames/1", "touches/late"]),
        (sessions(&[], &[other]), vec!["frames/1", "touches/late"]),
        (sessions(&["touches/early"], &[other]), vec!["frames/1", "touches/early", "touches/late"]),
        (FileFilter { table: Some(Table::Frames), ..sessions(&["touches/early"], &[]) }, vec![]),
        (sessions(&[], &[]), vec![]),
        (relation("public.a"), vec!["touches/early", "touches/late"]),
        (FileFilter { operations: operations("update"), ..relation("public.a") }, vec!["touches/early"]),
        // The file reaches to 20, the relation in it only to 12.
        (FileFilter { at_from: Some(13), ..relation("public.a") }, vec!["touches/late"]),
        (FileFilter { operations: operations("select"), at_to: Some(20), ..relation("public.a") }, vec![]),
        (
            FileFilter { operations: Some(vec!["update".to_owned(), "select".to_owned()]), ..relation("public.a") },
            vec!["touches/early", "touches/late"],
        ),
        (relation("public.c"), vec![]),
        (relation("' OR 1=1 --"), vec![]),
        (FileFilter { relations: Some(vec!["public.b".to_owned()]), ..any() }, vec!["frames/1", "touches/early"]),
        (
            FileFilter { relations: Some(vec!["?.b".to_owned(), "public.b".to_owned()]), ..any() },
            vec!["frames/1", "touches/early"],
        ),
        (FileFilter { relations: Some(vec!["?.b".to_owned()]), ..any() }, vec!["frames/1"]),
    ];
    for (filter, expected) in cases {
        let snapshot = catalog.snapshot(&filter).await.unwrap();
        assert_eq!(paths(&snapshot.files), expected, "{filter:?}");
        assert_eq!(snapshot.watermarks, vec![(0, 1)], "the hot part does not depend on the filter");
    }
}

async fn ends_lead_to_files_of_older_rows(catalog: impl Catalog) {
    const MINUTE: i64 = 60_000_000_000;
    let hold = catalog.take_shard(0, "a").await.unwrap();
    let of = |table, path: &str, hour: i64, ends: &[(i64, i64)]| FileEntry {
        table,
        min_at: hour * 60 * MINUTE,
        max_at: (hour + 1) * 60 * MINUTE - 1,
        index: FileIndex {
            ends: ends
                .iter()
                .map(|(minute, started_at)| EndSpan { minute: *minute, started_at: *started_at })
                .collect(),
            ..FileIndex::default()
        },
        ..file(path)
    };
    let files = vec![
        of(Table::Touches, "touches/0", 0, &[(3, 2 * MINUTE)]),
        of(Table::Touches, "touches/1", 1, &[(70, 69 * MINUTE)]),
        of(Table::Touches, "touches/3", 3, &[]),
        of(Table::Transactions, "transactions/0", 0, &[(3, 2 * MINUTE)]),
        // One of its transactions began long before.
        of(Table::Transactions, "transactions/3", 3, &[(200, 65 * MINUTE), (210, 209 * MINUTE)]),
        of(Table::Transactions, "transactions/9", 9, &[(550, i64::MIN)]),
    ];
    catalog.commit(commit(&hold, 0, 1, files)).await.unwrap();
    let ended = async |from: i64, to: i64| {
        let filter = FileFilter {
            table: Some(Table::Touches),
            ended: Some((from * MINUTE, to * MINUTE)),
            at_to: Some(to * MINUTE),
            ..FileFilter::default()
        };
        let snapshot = catalog.snapshot(&filter).await.unwrap();
        let paths: Vec<String> = snapshot.files.into_iter().map(|file| file.path).collect();
        (paths.join(" "), snapshot.began.map(|began| began.div_euclid(MINUTE)))
    };
    assert_eq!(ended(2, 3).await, ("touches/0".to_owned(), Some(2)));
    assert_eq!(ended(3, 3).await, ("touches/0".to_owned(), Some(2)));
    assert_eq!(ended(80, 90).await, ("touches/1".to_owned(), Some(80)));
    assert_eq!(ended(200, 200).await, ("touches/1 touches/3".to_owned(), Some(65)));
    assert_eq!(ended(210, 210).await, ("touches/3".to_owned(), Some(209)));
    assert_eq!(ended(550, 551).await.0, "touches/0 touches/1 touches/3");
    let sessions = of(Table::Sessions, "sessions/0", 0, &[(90, 5 * MINUTE), (i64::MAX, 20 * MINUTE)]);
    catalog.commit(commit(&hold, 1, 2, vec![sessions, of(Table::Sessions, "sessions/whole", 0, &[])])).await.unwrap();
    let lost = async |from: i64, to: i64| {
        let lost = Some((from.saturating_mul(MINUTE), to.saturating_mul(MINUTE)));
        let filter = FileFilter { table: Some(Table::Sessions), lost, ..FileFilter::default() };
        paths(&catalog.snapshot(&filter).await.unwrap().files).join(" ")
    };
    for (from, to, found) in [(0, 4, false), (0, 5, true), (90, 91, true), (91, 92, true), (i64::MIN, i64::MAX, true)] {
        assert_eq!(lost(from, to).await == "sessions/0", found, "{from} {to}");
    }
    // It says nothing of transactions.
    assert_eq!(ended(90, 90).await.1, Some(90));
    let began = async |to: i64| {
        let filter =
            FileFilter { table: Some(Table::Transactions), began_to: Some(to * MINUTE), ..FileFilter::default() };
        paths(&catalog.snapshot(&filter).await.unwrap().files).join(" ")
    };
    assert_eq!(began(1).await, "transactions/9");
    assert_eq!(began(64).await, "transactions/0 transactions/9");
    assert_eq!(began(65).await, "transactions/0 transactions/3 transactions/9");
}

async fn compaction_swaps_all_or_nothing(catalog: impl Catalog) {
    let hold = catalog.take_shard(0, "a").await.unwrap();
    catalog.commit(commit(&hold, 0, 1, vec![file("a"), file("b"), file("c")])).await.unwrap();
    let swap = |replaced: &[&str], path: &str| Compaction {
        replaced: replaced.iter().map(|path| (*path).to_owned()).collect(),
        files: vec![FileEntry { level: 1, ..file(path) }],
    };
    catalog.compact(swap(&["a", "b"], "ab")).await.unwrap();
    assert_eq!(paths(&all(&catalog).await.files), ["ab", "c"]);
    for (replaced, path) in [(["c", "a"], "ca"), (["c", "nowhere"], "cn")] {
        assert!(matches!(catalog.compact(swap(&replaced, path)).await, Err(Error::Conflict(_))));
    }
    assert!(matches!(catalog.compact(swap(&["c"], "ab")).await, Err(Error::Conflict(_))));
    assert_eq!(paths(&all(&catalog).await.files), ["ab", "c"]);
    assert_eq!(catalog.expired(Duration::ZERO).await.unwrap(), ["a", "b"]);
}

async fn replaced_files_linger(catalog: impl Catalog) {
    let hold = catalog.take_shard(0, "a").await.unwrap();
    catalog.commit(commit(&hold, 0, 1, vec![file("a"), file("b")])).await.unwrap();
    let replaced = vec!["a".to_owned(), "b".to_owned()];
    catalog.compact(Compaction { replaced, files: vec![file("ab")] }).await.unwrap();
    assert!(catalog.expired(Duration::from_secs(3600)).await.unwrap().is_empty());
    assert_eq!(catalog.expired(Duration::ZERO).await.unwrap(), ["a", "b"]);
    catalog.forget(&["a".to_owned()]).await.unwrap();
    assert_eq!(catalog.expired(Duration::ZERO).await.unwrap(), ["b"]);
}

async fn windows_below_gives_whole_windows(catalog: impl Catalog) {
    let hold = catalog.take_shard(0, "a").await.unwrap();
    let at = |hour, level, path| FileEntry { hour, level, ..file(path) };
    let files = vec![at(0, 2, "old"), at(1, 0, "new"), at(1, 2, "beside"), at(2, 1, "mid")];
    catalog.commit(commit(&hold, 0, 1, files)).await.unwrap();
    assert_eq!(paths(&catalog.windows_below(2).await.unwrap()), ["beside", "new", "mid"]);
    assert_eq!(paths(&catalog.windows_below(1).await.unwrap()), ["beside", "new"]);
}

async fn snapshots_are_whole_while_commits_run<C: Catalog>(catalog: Arc<C>) {
    let hold = catalog.take_shard(0, "a").await.unwrap();
    let writer = tokio::spawn({
        let catalog = Arc::clone(&catalog);
        async move {
            for number in 0..40 {
                let session = OpenSession { shard: 0, session_id: Uuid::from_u128(1), state: vec![number] };
                let from = u64::from(number);
                let two = vec![file(&format!("{number:02}a")), file(&format!("{number:02}b"))];
                catalog.commit(Commit { sessions: vec![session], ..commit(&hold, from, from + 1, two) }).await.unwrap();
            }
        }
    });
    loop {
        let done = writer.is_finished();
        let snapshot = all(&*catalog).await;
        let watermark = snapshot.watermarks[0].1;
        assert_eq!(snapshot.files.len() as u64, 2 * watermark, "files and watermark belong together");
        let state = snapshot.sessions.first().map_or(0, |session| u64::from(session.state[0]) + 1);
        assert_eq!(state, watermark, "states and watermark belong together");
        if done {
            assert_eq!(watermark, 40);
            break;
        }
    }
    writer.await.unwrap();
}
