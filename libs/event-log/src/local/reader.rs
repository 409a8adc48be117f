//! Reading a log folder that another process, or nobody, writes.
//!
//! Invariants: takes no lock and changes nothing but the request to trim; sees only whole records, up to those that
//! were written when it looked.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hansard_schemas::events::Block;

use super::folder;
use super::view::View;
use crate::{Batch, Bounds, Error, EventLog, Position, Shard, blocking};

/// How often the files are looked at by who waits: often at first, then less.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

/// Reads a log folder that another process writes.
#[derive(Debug)]
pub struct LocalLogReader {
    path: PathBuf,
    shards: Shard,
}

impl LocalLogReader {
    /// Opens an existing log folder for reading; takes no lock.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] where no log has been written yet, [`Error::Incompatible`] where something else lies.
    pub fn open(path: &Path) -> Result<LocalLogReader, Error> {
        match folder::read_meta(path)? {
            Some(shards) => Ok(LocalLogReader { path: path.to_owned(), shards }),
            None => Err(Error::Unavailable(format!(
                "there is no log in {} yet; the process that writes it creates it",
                path.display()
            ))),
        }
    }

    /// Whether a process has the folder open for writing now. In doubt, true.
    pub fn is_written(&self) -> bool {
        folder::is_locked(&self.path)
    }

    /// Reads the files as they are.
    async fn look(
        &self,
        shard: Shard,
        read: impl Fn(&View) -> Result<Batch, Error> + Send + 'static,
    ) -> Result<Batch, Error> {
        let dir = self.dir(shard)?;
        blocking(move || {
            let mut tries = 0;
            loop {
                match read(&View::of_files(shard, dir.clone())?) {
                    // The writer may take back a part of a record and write anew while it is being read.
                    Err(Error::Damaged { .. }) if tries < 3 => {
                        tries += 1;
                        std::thread::sleep(LOOKS.0);
                    }
                    other => return other,
                }
            }
        })
        .await
    }

    fn dir(&self, shard: Shard) -> Result<PathBuf, Error> {
        if shard < self.shards {
            return Ok(folder::shard_dir(&self.path, shard));
        }
        Err(super::no_such_shard(shard, self.shards))
    }
}

#[async_trait]
impl EventLog for LocalLogReader {
    fn shards(&self) -> Shard {
        self.shards
    }

    /// Always [`Error::Unavailable`]: only the process that holds the folder appends.
    async fn append(&self, _shard: Shard, _block: Block) -> Result<Position, Error> {
        Err(Error::Unavailable(format!("{} is open for reading only", self.path.display())))
    }

    async fn read(&self, shard: Shard, from: Position, max_bytes: usize) -> Result<Batch, Error> {
        self.look(shard, move |view| view.read(from.0, max_bytes)).await
    }

    async fn read_unmerged(&self, shard: Shard, from: Position, max_bytes: usize) -> Result<Batch, Error> {
        self.look(shard, move |view| view.read_unmerged(from.0, max_bytes)).await
    }

    async fn wait(&self, shard: Shard, from: Position, patience: Duration) -> Result<bool, Error> {
        let until = Instant::now() + patience;
        let mut pause = LOOKS.0;
        loop {
            let dir = self.dir(shard)?;
            // A part of a record is not yet something to read.
            let found = blocking(move || {
                let view = View::of_files(shard, dir)?;
                Ok(view.holds(from.0)? && !view.read(from.0, 1)?.blocks.is_empty())
            });
            if found.await? {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LOOKS.1);
        }
    }

    async fn bounds(&self, shard: Shard) -> Result<Bounds, Error> {
        let dir = self.dir(shard)?;
        blocking(move || Ok(View::of_files(shard, dir)?.bounds())).await
    }

    /// Asks the writer to trim; it does within a second, or when it runs again.
    async fn trim(&self, shard: Shard, up_to: Position) -> Result<(), Error> {
        let dir = self.dir(shard)?;
        blocking(move || {
            let up_to = up_to.0.min(View::of_files(shard, dir.clone())?.bounds().end.0);
            if up_to > folder::trim_request(&dir)? { folder::set_trim_request(&dir, up_to) } else { Ok(()) }
        })
        .await
    }
}
