//! Paths in the lake: `<table>/v1/target=<t>/day=YYYY-MM-DD/hour=HH/<uuid>-L<level>.parquet`.
//!
//! Invariants: nothing else makes or reads a path; what comes from outside (a target's name) is one safe path
//! segment; a file's name follows from what it holds, so that a retried write lands on the same key, and from who
//! wrote it, so that no two writers ever do.

use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use hansard_schemas::lake::Table;

/// Nanoseconds of an hour.
pub const HOUR: i64 = 3_600_000_000_000;

/// Version of the layout, and of the tables' meaning, in every path.
const VERSION: &str = "v1";

/// All but letters, digits and what is harmless in every file system, URL and shell.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Longest path segment made of a target's name; common file systems end at 255.
const LONGEST: usize = 160;

/// The window that a file belongs to: files of different windows are never merged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// The table.
    pub table: Table,
    /// The target, as configured.
    pub target: String,
    /// Start of the hour, UTC nanoseconds.
    pub hour: i64,
}

/// What a flush is known by. The same flush, tried again, has the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushId {
    /// The shard.
    pub shard: u16,
    /// The holder's epoch.
    pub epoch: u64,
    /// Counts the flushes of this epoch.
    pub flush: u64,
    /// The watermark before.
    pub from: u64,
    /// The watermark after.
    pub watermark: u64,
}

/// Start of the hour that `at` lies in; both UTC nanoseconds.
pub fn hour_of(at: i64) -> i64 {
    at.div_euclid(HOUR).saturating_mul(HOUR)
}

/// Path of a file, relative to the lake's root.
pub fn path(window: &Window, id: Uuid, level: u8) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(window.hour)).expect("i64 nanoseconds are within its range");
    format!(
        "{}/{VERSION}/target={}/{}/{id}-L{level}.parquet",
        window.table.name(),
        segment(&window.target),
        time.strftime("day=%Y-%m-%d/hour=%H"),
    )
}

/// The key of a catalog's path in the object store.
pub fn key(path: &str) -> Result<Path, object_store::Error> {
    Ok(Path::parse(path)?)
}

/// Name of the file that a flush adds to a window.
///
/// A version 8 UUID: 16 bits shard, 32 bits epoch, the rest a hash of all that the flush is known by.
pub fn flush_file(flush: &FlushId, window: &Window) -> Uuid {
    let mut hash = Sha256::new();
    for number in [u64::from(flush.shard), flush.epoch, flush.flush, flush.from, flush.watermark] {
        hash.update(number.to_be_bytes());
    }
    hash_window(&mut hash, window);
    named(flush.shard, u32::try_from(flush.epoch).unwrap_or(u32::MAX), hash)
}

/// Name of the file that `replaced` are merged into: the same files have the same name, whoever merges them.
pub fn merged_file<'a>(window: &Window, replaced: impl IntoIterator<Item = &'a str>) -> Uuid {
    let mut hash = Sha256::new();
    hash_window(&mut hash, window);
    for path in replaced {
        hash.update(path.as_bytes());
        hash.update([0]);
    }
    named(u16::MAX, u32::MAX, hash)
}

/// Who wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A flush of that shard's holder.
    Flush {
        /// The shard.
        shard: u16,
        /// The holder's epoch.
        epoch: u32,
    },
    /// A merge.
    Merge,
}

/// Who wrote the file at that path; None for one that was not named here.
pub fn origin(path: &str) -> Option<Origin> {
    let name = path.rsplit('/').next()?.strip_suffix(".parquet")?;
    let (id, _level) = name.rsplit_once("-L")?;
    let id = Uuid::parse_str(id).ok().filter(|id| id.get_version_num() == 8)?;
    let [a, b, c, d, e, f, ..] = *id.as_bytes();
    Some(match (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])) {
        (u16::MAX, u32::MAX) => Origin::Merge,
        (shard, epoch) => Origin::Flush { shard, epoch },
    })
}

fn hash_window(hash: &mut Sha256, window: &Window) {
    hash.update(window.table.name().as_bytes());
    hash.update([0]);
    hash.update(window.target.as_bytes());
    hash.update([0]);
    hash.update(window.hour.to_be_bytes());
}

fn named(shard: u16, epoch: u32, hash: Sha256) -> Uuid {
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&shard.to_be_bytes());
    bytes[2..6].copy_from_slice(&epoch.to_be_bytes());
    bytes[6..].copy_from_slice(&digest[..10]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// A target's name as one path segment: percent-encoded, never empty, never `.` or `..`; a long one ends in a hash.
fn segment(target: &str) -> String {
    if target.is_empty() {
        // Cannot be a configured name: '%' in one would be encoded itself.
        return "%00".to_owned();
    }
    let encoded = utf8_percent_encode(target, ESCAPED).to_string();
    if encoded.len() <= LONGEST {
        return encoded;
    }
    let digest = hex::encode(Sha256::digest(target.as_bytes()));
    let mut end = LONGEST - 33;
    // A cut inside an escape would make it unreadable.
    while encoded.as_bytes()[end - 1] == b'%' || encoded.as_bytes()[end - 2] == b'%' {
        end -= 1;
    }
    format!("{}-{}", &encoded[..end], &digest[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(target: &str) -> Window {
        Window { table: Table::Frames, target: target.to_owned(), hour: hour_of(1_795_317_120_123_456_789) }
    }

    #[test]
    fn path_names_table_target_day_and_hour() {
        let path = path(&window("ranking"), Uuid::nil(), 0);
        assert_eq!(
            path,
            "frames/v1/target=ranking/day=2026-11-22/hour=03/00000000-0000-0000-0000-000000000000-L0.parquet"
        );
        assert_eq!(key(&path).unwrap().as_ref(), path);
    }

    #[test]
    fn hostile_target_names_stay_one_segment() {
        for target in ["../../etc", "..", ".", "", "a/b", "ä\0\n", "a\\b", "x=y", "%2e%2e", "#1"] {
            let path = path(&window(target), Uuid::nil(), 0);
            assert_eq!(path.split('/').count(), 6, "{path}");
            assert!(path.is_ascii() && !path.contains(['\\', '\0', '\n', '#']), "{path}");
            key(&path).unwrap();
        }
    }

    #[test]
    fn different_targets_never_share_a_folder() {
        let long = "ü".repeat(300);
        let names = ["", "%00", ".", "..", "%2E", "a b", "a%20b", &long, &format!("{long}1")];
        let segments: std::collections::HashSet<_> = names.iter().map(|name| segment(name)).collect();
        assert_eq!(segments.len(), names.len());
        assert!(segments.iter().all(|segment| segment.len() <= LONGEST));
    }

    #[test]
    fn hours_before_1970_round_down() {
        assert_eq!(hour_of(-1), -HOUR);
        assert_eq!(hour_of(HOUR), HOUR);
        assert_eq!(hour_of(HOUR - 1), 0);
    }

    #[test]
    fn names_follow_from_content_and_writer() {
        let flush = FlushId { shard: 3, epoch: 7, flush: 0, from: 10, watermark: 20 };
        let name = flush_file(&flush, &window("a"));
        assert_eq!(name, flush_file(&flush, &window("a")));
        assert_eq!(name.get_version_num(), 8);
        assert_eq!(origin(&path(&window("a"), name, 0)), Some(Origin::Flush { shard: 3, epoch: 7 }));
        assert_eq!(origin(&path(&window("a"), merged_file(&window("a"), ["b"]), 1)), Some(Origin::Merge));
        assert_eq!(origin(&path(&window("a"), Uuid::now_v7(), 0)), None);
        assert!(name.to_string().starts_with("00030000-0007-8"), "{name}");
        for other in [
            flush_file(&FlushId { epoch: 8, ..flush }, &window("a")),
            flush_file(&FlushId { flush: 1, ..flush }, &window("a")),
            flush_file(&FlushId { watermark: 21, ..flush }, &window("a")),
            flush_file(&flush, &window("b")),
        ] {
            assert_ne!(name, other);
        }
    }
}
