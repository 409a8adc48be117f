//! Values larger than any buffer pass in constant memory.

use hansard_schemas::events::{Direction, Part};

use crate::cluster::Cluster;
use crate::proxy::{Plan, RunningProxy, claims, token};
use crate::raw::{Raw, frame, query};
use crate::record;

/// Resident memory of this process, which the proxy runs in, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Streams a value of `size` bytes each way, without holding it in the test.
async fn pass(proxy: &RunningProxy, size: usize) -> u64 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let before = resident();
    let mut peak = before;
    let mut raw = Raw::session(proxy.address, &token(&claims())).await;
    raw.send(&query("SET client_min_messages = error")).await;
    raw.until(b'Z').await;
    // To the database: one Bind with the value as its parameter. (A literal of this size is beyond the server's own
    // scanner.)
    let head = [&b"\0\0\0\0\0\x01"[..], &u32::try_from(size).unwrap().to_be_bytes()].concat();
    let tail = [&b"\0\0"[..], &frame(b'E', b"\0\0\0\0\0"), &frame(b'S', b"")].concat();
    let length = u32::try_from(4 + head.len() + size + 2).unwrap();
    raw.send(&frame(b'P', b"\0SELECT length($1::text)\0\0\0")).await;
    raw.send(&[&b"B"[..], &length.to_be_bytes(), &head].concat()).await;
    let chunk = vec![b'v'; 256 * 1024];
    let mut left = size;
    while left > 0 {
        let now = left.min(chunk.len());
        raw.stream.write_all(&chunk[..now]).await.unwrap();
        left -= now;
        peak = peak.max(resident());
    }
    raw.send(&tail).await;
    let messages = raw.until(b'Z').await;
    let row = &messages.iter().find(|(tag, _)| *tag == b'D').unwrap_or_else(|| panic!("{messages:?}")).1;
    assert_eq!(&row[6..], size.to_string().as_bytes());
    // And back: one DataRow.
    raw.send(&query(&format!("SELECT repeat('v', {size})"))).await;
    raw.until(b'T').await;
    let mut buffer = vec![0; 256 * 1024];
    let mut got = std::mem::take(&mut raw.inbox).len();
    // The row's header, the row, CommandComplete and ReadyForQuery.
    let all = 5 + 2 + 4 + size + 14 + 6;
    while got < all {
        let read = raw.stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "closed after {got} of {all} bytes");
        got += read;
        peak = peak.max(resident());
    }
    assert_eq!(got, all);
    raw.send(b"X\0\0\0\x04").await;
    assert!(raw.message().await.is_none());
    peak - before
}

async fn proxy() -> RunningProxy {
    let mut plan = Plan::new();
    plan.options.targets[0].upstream.user = "app_trust".to_owned();
    plan.options.targets[0].upstream.port = Cluster::get().port;
    plan.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_megabytes_each_way() {
    const SIZE: usize = 64 * 1024 * 1024;
    let proxy = proxy().await;
    let grown = pass(&proxy, SIZE).await;
    // Other tests may run in this process at the same time.
    assert!(grown < 48 * 1024 * 1024, "memory grew by {grown} bytes");
    let (log, _folder) = proxy.stop().await;
    let jobs = record::jobs(&log).await;
    assert_eq!(jobs[0].end(), Some("terminated by job"));
    for direction in [Direction::Frontend, Direction::Backend] {
        // The value is recorded in parts: a first one, many in the middle, a last one.
        let parts: Vec<_> =
            jobs[0].runs().filter(|run| run.direction() == direction && run.part() != Part::Whole).collect();
        assert_eq!(parts.first().unwrap().part(), Part::First);
        assert_eq!(parts.last().unwrap().part(), Part::Last);
        let bytes: usize = parts.iter().map(|run| run.frames.len()).sum();
        assert!((SIZE..SIZE + 100).contains(&bytes), "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes more than 2 GB of log; to be run alone, for it looks at the process's memory"]
async fn a_gigabyte_each_way() {
    let grown = pass(&proxy().await, 1_000_000_000).await;
    assert!(grown < 48 * 1024 * 1024, "memory grew by {grown} bytes");
}
