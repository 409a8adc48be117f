//! The contract, and what is SQLite's own: files, versions, several processes' connections.

use super::super::contract;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    contract::holds(|| {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let path = folder.path().join(format!("{number}.db"));
        async move { SqliteCatalog::open(&path).unwrap() }
    })
    .await;
}

#[tokio::test]
async fn what_was_committed_is_there_for_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let catalog = SqliteCatalog::open(&path).unwrap();
    let hold = catalog.take_shard(0, "a").await.unwrap();
    // Another writer and a reader, as other processes would open it.
    let other = SqliteCatalog::open(&path).unwrap();
    let reader = SqliteCatalog::open_read_only(&path).unwrap();
    let commit =
        Commit { shard: 0, epoch: hold.epoch, from: 0, watermark: 5, files: vec![], sessions: vec![], ended: vec![] };
    catalog.commit(commit.clone()).await.unwrap();
    assert_eq!(reader.snapshot(&FileFilter::default()).await.unwrap().watermarks, [(0, 5)]);
    other.take_shard(0, "b").await.unwrap();
    let late = Commit { from: 5, watermark: 6, ..commit };
    assert!(matches!(catalog.commit(late).await, Err(Error::Fenced { .. })));
    let refused = reader.take_shard(0, "c").await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
}

#[test]
fn databases_of_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let newer = folder.path().join("newer.db");
    SqliteCatalog::open(&newer).unwrap();
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
    for refused in [SqliteCatalog::open(&newer), SqliteCatalog::open_read_only(&newer)] {
        let line = refused.unwrap_err().to_string();
        assert!(line.contains("newer program"), "{line}");
    }
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let line = SqliteCatalog::open(&foreign).unwrap_err().to_string();
    assert!(line.contains("another program"), "{line}");
    let text = folder.path().join("text.db");
    std::fs::write(&text, "not a database, and longer than the hundred bytes of a header".repeat(20)).unwrap();
    assert!(matches!(SqliteCatalog::open(&text), Err(Error::Incompatible { .. })));
}

#[tokio::test]
async fn a_database_of_version_1_becomes_one_of_today_with_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    drop(SqliteCatalog::open(&path).unwrap());
    let old = Connection::open(&path).unwrap();
    old.execute_batch("ALTER TABLE files DROP COLUMN unsettled; DROP TABLE file_ends").unwrap();
    old.execute("INSERT INTO files VALUES (1, 'p', 'touches', 't', 0, 0, 3, 9, 'ab', 10, 20)", []).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let line = SqliteCatalog::open_read_only(&path).unwrap_err().to_string();
    assert!(line.contains("recorder once"), "{line}");
    let catalog = SqliteCatalog::open(&path).unwrap();
    let files = catalog.snapshot(&FileFilter::default()).await.unwrap().files;
    assert_eq!((files[0].rows, files[0].unsettled, files[0].max_at), (3, 0, 20));
    // Its rows may have been committed at any time.
    let ended = FileFilter { ended: Some((1_000, 2_000)), ..FileFilter::default() };
    let snapshot = catalog.snapshot(&ended).await.unwrap();
    assert_eq!((snapshot.files.len(), snapshot.began), (1, Some(10)));
    SqliteCatalog::open_read_only(&path).unwrap();
}

#[test]
fn reading_does_not_create_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    assert!(matches!(SqliteCatalog::open_read_only(&path), Err(Error::Unavailable { .. })));
    assert!(!path.exists());
}
