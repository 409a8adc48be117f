//! Files that a crash left in the lake's folder before the catalog knew them.
//!
//! Invariants: a file that the catalog knows, or may still come to know, is never deleted; nor is one that is older than
//! the catalog itself, which may be another catalog's. What is not deleted takes up room and does no harm.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hansard_schemas::lake::Table;

use crate::durable::Durable;
use crate::layout::{self, Origin};
use crate::{Error, Lake};

/// A merge that has not reached the catalog after so long was given up.
const GIVEN_UP: Duration = Duration::from_secs(24 * 3600);

/// Deletes what earlier holders of a shard left, and merges of long ago. Returns how many files that were.
///
/// To be called by the shard's holder at `epoch`, once it has committed: then a commit of an earlier epoch can't come
/// any more, and what it would have brought is in the lake by another name.
pub async fn delete(lake: &Lake, shard: u16, epoch: u64) -> Result<usize, Error> {
    let Some(born) = lake.born else { return Ok(0) };
    let durable = Arc::clone(lake.durable()?);
    let found = blocking(move || {
        let mut found = Vec::new();
        for table in Table::ALL {
            search(
                &durable,
                table.name(),
                &|origin, written| {
                    written > born
                        && match origin {
                            Origin::Flush { shard: of, epoch: at } => of == shard && u64::from(at) < epoch,
                            Origin::Merge => written.elapsed().is_ok_and(|age| age > GIVEN_UP),
                        }
                },
                &mut found,
            );
        }
        found
    })
    .await?;
    // Asked after the search: what is committed or merged away meanwhile is known, or gone.
    let unknown = if found.is_empty() { found } else { lake.catalog.unknown(found).await? };
    let durable = Arc::clone(lake.durable()?);
    blocking(move || {
        let mut deleted = 0;
        for path in &unknown {
            deleted += usize::from(durable.delete_if(path, |written| match layout::origin(path) {
                Some(Origin::Flush { .. }) => true,
                // Somebody may have made the same merge again since it was found.
                _ => written.elapsed().is_ok_and(|age| age > GIVEN_UP),
            })?);
        }
        Ok(deleted)
    })
    .await?
}

/// Finds files below a folder of the lake by who wrote them and when; what cannot be read is not found.
fn search(durable: &Durable, folder: &str, wanted: &dyn Fn(Origin, SystemTime) -> bool, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(durable.locate(folder)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let (Some(name), Ok(metadata)) = (name.to_str(), entry.metadata()) else { continue };
        let path = format!("{folder}/{name}");
        if metadata.is_dir() {
            search(durable, &path, wanted, found);
        } else if let (Some(origin), Ok(written)) = (layout::origin(name), metadata.modified())
            && wanted(origin, written)
        {
            found.push(path);
        }
    }
}

/// When the catalog's database was made; None where the file system does not say.
pub(crate) fn born(database: &Path) -> Option<SystemTime> {
    fs::metadata(database).and_then(|metadata| metadata.created()).ok()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let stopped = |stopped: tokio::task::JoinError| Error::Format {
        path: "the lake's folder".to_owned(),
        reason: format!("it was not searched to the end: {stopped}"),
    };
    tokio::task::spawn_blocking(work).await.map_err(stopped)
}

#[cfg(test)]
mod tests {
    use hansard_record::Rows;
    use uuid::Uuid;

    use super::*;
    use crate::catalog::{Commit, Compaction};
    use crate::layout::FlushId;
    use crate::writer::tests::{self, frame, lake};

    fn rows() -> Rows {
        Rows { frames: [frame(Uuid::from_u128(1), 1, 1, 8)].into_iter().collect(), ..Rows::default() }
    }

    fn files(folder: &Path) -> Vec<String> {
        let durable = Durable::open(&folder.join("lake")).unwrap();
        let mut found = Vec::new();
        search(&durable, "frames", &|_, _| true, &mut found);
        found.sort();
        found
    }

    fn age(folder: &Path, path: &str) {
        let file = fs::File::options().write(true).open(folder.join("lake").join(path)).unwrap();
        file.set_modified(SystemTime::now() - GIVEN_UP - Duration::from_secs(1)).unwrap();
    }

    #[tokio::test]
    async fn what_earlier_epochs_left_goes_and_all_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut lake = lake(folder.path());
        // As if the catalog had been there for long.
        lake.born = lake.born.map(|born| born - 2 * GIVEN_UP);
        let write = |lake: &Lake, shard, epoch, flush| {
            let id = FlushId { shard, epoch, flush, from: flush, watermark: flush + 1 };
            tests::write(lake, &rows(), &id).unwrap().remove(0)
        };
        let first = lake.catalog.take_shard(0, "a").await.unwrap();
        let (known, merged_away) = (write(&lake, 0, first.epoch.0, 0), write(&lake, 0, first.epoch.0, 1));
        for (from, file) in (0..).zip([&known, &merged_away]) {
            let files = vec![file.clone()];
            let (shard, epoch, sessions, ended) = (0, first.epoch, vec![], vec![]);
            let commit = Commit { shard, epoch, from, watermark: from + 1, files, sessions, ended };
            lake.catalog.commit(commit).await.unwrap();
        }
        let replaced = vec![merged_away.path.clone()];
        lake.catalog.compact(Compaction { replaced, files: vec![] }).await.unwrap();
        let orphan = write(&lake, 0, first.epoch.0, 2);
        let second = lake.catalog.take_shard(0, "b").await.unwrap();
        let (under_way, of_another) = (write(&lake, 0, second.epoch.0, 0), write(&lake, 1, 0, 0));
        let merge = |name: &str| {
            let path = known.path.replace(&known.path[known.path.rfind('/').unwrap() + 1..], name);
            fs::copy(folder.path().join("lake").join(&known.path), folder.path().join("lake").join(&path)).unwrap();
            path
        };
        let old = merge(&format!("{}-L1.parquet", layout_merge(1)));
        let young = merge(&format!("{}-L1.parquet", layout_merge(2)));
        let foreign = merge("somebody-elses.parquet");
        age(folder.path(), &old);
        age(folder.path(), &foreign);
        assert_eq!(delete(&lake, 0, second.epoch.0).await.unwrap(), 2);
        let mut left = vec![known.path, merged_away.path, under_way.path, of_another.path, young];
        left.sort();
        assert_eq!(files(folder.path()), left, "{} and {old} are gone", orphan.path);
        assert!(folder.path().join("lake").join(foreign).exists());
        assert_eq!(delete(&lake, 0, second.epoch.0).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn files_older_than_the_catalog_are_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        assert!(lake.born.is_some());
        let id = FlushId { shard: 0, epoch: 1, flush: 0, from: 0, watermark: 1 };
        let file = tests::write(&lake, &rows(), &id).unwrap().remove(0);
        age(folder.path(), &file.path);
        assert_eq!(delete(&lake, 0, 2).await.unwrap(), 0);
        assert_eq!(files(folder.path()), [file.path]);
    }

    fn layout_merge(number: u64) -> Uuid {
        let window = layout::Window { table: Table::Frames, target: "t".to_owned(), hour: 0 };
        layout::merged_file(&window, [number.to_string().as_str()])
    }
}
