//! What holds for every control feed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hansard_event_log::{
    ControlLog, ControlRecord, Error, Followed, Follower, JetStreamControl, JetStreamControlOptions, JetStreamLog,
    LocalLog, MAX_VALUE, Revision,
};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::nats::NatsServer;
use crate::suite::{PLENTY, SHARDS, local};

const PATIENCE: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3600);

/// A feed, and another handle of it, as another proxy has one where there can be several.
pub(crate) struct Feeds {
    feeds: [Arc<dyn ControlLog>; 2],
    kind: Kind,
}

enum Kind {
    Embedded(Arc<LocalLog>, #[allow(dead_code)] TempDir),
    JetStream(NatsServer),
}

async fn stream(server: &NatsServer) -> Arc<dyn ControlLog> {
    let log = JetStreamLog::connect(server.options(SHARDS, PLENTY)).await.unwrap();
    JetStreamControl::open(log, JetStreamControlOptions { max_age: HOUR, replicas: 1 }).await.unwrap()
}

impl Feeds {
    pub(crate) async fn embedded() -> Feeds {
        let folder = tempfile::tempdir().unwrap();
        let log = local(folder.path(), PLENTY);
        let feed: Arc<dyn ControlLog> = log.control().unwrap();
        Feeds { feeds: [feed, log.control().unwrap()], kind: Kind::Embedded(log, folder) }
    }

    pub(crate) async fn jetstream() -> Feeds {
        let server = NatsServer::start().await;
        Feeds { feeds: [stream(&server).await, stream(&server).await], kind: Kind::JetStream(server) }
    }

    /// All processes end, by `kill -9` where there is one beside this, and begin anew.
    async fn restarted(self) -> Feeds {
        match self.kind {
            Kind::Embedded(log, folder) => {
                drop((self.feeds, log));
                let log = local(folder.path(), PLENTY);
                let feed: Arc<dyn ControlLog> = log.control().unwrap();
                Feeds { feeds: [feed, log.control().unwrap()], kind: Kind::Embedded(log, folder) }
            }
            Kind::JetStream(mut server) => {
                server.restart().await;
                Feeds { feeds: [stream(&server).await, stream(&server).await], kind: Kind::JetStream(server) }
            }
        }
    }
}

fn record(key: &str, value: &str, lives: Duration) -> ControlRecord {
    let expires = SystemTime::UNIX_EPOCH.elapsed().unwrap() + lives;
    ControlRecord {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        expires_at: u64::try_from(expires.as_nanos()).unwrap(),
    }
}

async fn next(follower: &mut Follower) -> Followed {
    timeout(PATIENCE, follower.next()).await.expect("something comes").expect("the follower is not cut off")
}

/// All that there is, by key.
async fn current(follower: &mut Follower) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Followed::Record(record, _) = next(follower).await {
        found.push((record.key, String::from_utf8(record.value).unwrap()));
    }
    found.sort();
    found
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) async fn a_follower_gets_all_that_there_is_and_then_what_comes(feeds: Feeds) {
    let [one, two] = &feeds.feeds;
    let mut empty = two.follow().await.unwrap();
    assert_eq!(next(&mut empty).await, Followed::Current);
    for (key, value) in [("lease.a", "1"), ("lease.b", "1"), ("lease.a", "2")] {
        one.put(record(key, value, HOUR)).await.unwrap();
    }
    let mut follower = two.follow().await.unwrap();
    assert_eq!(current(&mut follower).await, pairs(&[("lease.a", "2"), ("lease.b", "1")]));
    let put = one.put(record("lease.c", "1", HOUR)).await.unwrap();
    match next(&mut follower).await {
        Followed::Record(found, revision) => assert_eq!((found.key.as_str(), revision), ("lease.c", put)),
        Followed::Current => panic!("it was current before"),
    }
    for _ in 0..3 {
        assert!(matches!(next(&mut empty).await, Followed::Record(..)));
    }
}

pub(crate) async fn of_many_who_put_where_none_is_one_succeeds(feeds: Feeds) {
    for round in 0..10 {
        let key = format!("use.{round}");
        let tries = (0..8).map(|try_| {
            let feed = Arc::clone(&feeds.feeds[try_ % 2]);
            let record = record(&key, &try_.to_string(), HOUR);
            tokio::spawn(async move { feed.put_if(record, Revision::NONE).await.unwrap() })
        });
        let mut won = Vec::new();
        for one in futures::future::join_all(tries).await {
            won.extend(one.unwrap());
        }
        assert_eq!(won.len(), 1, "of {key}");
        let (found, revision) = feeds.feeds[1].get(&key).await.unwrap().unwrap();
        assert_eq!(revision, won[0]);
        // By the revision that is there, once; by an older one, never.
        let next = record(&found.key, "next", HOUR);
        let second = feeds.feeds[0].put_if(next.clone(), revision).await.unwrap().unwrap();
        assert!(second > revision);
        assert_eq!(feeds.feeds[1].put_if(next, revision).await.unwrap(), None);
    }
}

pub(crate) async fn what_has_expired_is_not_there(feeds: Feeds) {
    let [one, two] = &feeds.feeds;
    one.put(record("gone", "1", Duration::ZERO)).await.unwrap();
    one.put(record("stays", "1", HOUR)).await.unwrap();
    assert_eq!(two.get("gone").await.unwrap(), None);
    assert_eq!(current(&mut two.follow().await.unwrap()).await, pairs(&[("stays", "1")]));
    // Its place is free.
    assert!(two.put_if(record("gone", "2", HOUR), Revision::NONE).await.unwrap().is_some());
}

pub(crate) async fn keys_and_values_are_bounded(feeds: Feeds) {
    let feed = &feeds.feeds[0];
    for key in ["", "a.", ".a", "a..b", "a b", "a*", ">", "größe", &"a".repeat(200)] {
        assert!(feed.put(record(key, "", HOUR)).await.is_err(), "{key}");
        assert!(feed.get(key).await.is_err(), "{key}");
    }
    assert!(feed.put(record("long", &"x".repeat(MAX_VALUE), HOUR)).await.is_ok());
    let error = feed.put(record("long", &"x".repeat(MAX_VALUE + 1), HOUR)).await.unwrap_err();
    assert!(matches!(error, Error::TooLong(_)), "{error}");
    assert!(!format!("{:?}", record("a", "s3cret", HOUR)).contains("s3cret"));
}

pub(crate) async fn what_was_acknowledged_is_there_after_a_restart(feeds: Feeds) {
    for number in 0..300 {
        feeds.feeds[0].put(record(&format!("k.{}", number % 20), &number.to_string(), HOUR)).await.unwrap();
    }
    let before = feeds.feeds[0].get("k.7").await.unwrap().unwrap();
    let feeds = feeds.restarted().await;
    let [one, two] = &feeds.feeds;
    assert_eq!(one.get("k.7").await.unwrap().unwrap(), before);
    let found = current(&mut two.follow().await.unwrap()).await;
    assert_eq!(found.len(), 20);
    assert!(found.iter().all(|(_, value)| value.parse::<u32>().unwrap() >= 280));
    let later = one.put(record("k.7", "later", HOUR)).await.unwrap();
    assert!(later > before.1, "revisions go on where they ended");
}

pub(crate) async fn who_cannot_keep_up_begins_anew(feeds: Feeds) {
    let mut slow = feeds.feeds[1].follow().await.unwrap();
    for number in 0..3_000 {
        feeds.feeds[0].put(record(&format!("k.{}", number % 3), &number.to_string(), HOUR)).await.unwrap();
    }
    // It gets the last ones, or is cut off and gets them by beginning anew.
    let mut last = std::collections::BTreeMap::new();
    loop {
        match timeout(Duration::from_secs(2), slow.next()).await {
            Ok(Some(Followed::Record(record, _))) => _ = last.insert(record.key, record.value),
            Ok(Some(Followed::Current)) => {}
            Ok(None) => slow = feeds.feeds[1].follow().await.unwrap(),
            Err(_) => break,
        }
    }
    let expected: Vec<Vec<u8>> = (2997..3000).map(|number: u32| number.to_string().into_bytes()).collect();
    assert_eq!(last.into_values().collect::<Vec<_>>(), expected);
}

macro_rules! contract {
    ($($kind:ident: $cases:tt),+) => {$( contract!(@ $kind $cases); )+};
    (@ $kind:ident [$($case:ident),+]) => {
        mod $kind {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(super::Feeds::$kind().await).await;
            }
        )+}
    };
}

macro_rules! every {
    ($($kind:ident),+) => { contract! {$($kind: [
        a_follower_gets_all_that_there_is_and_then_what_comes,
        of_many_who_put_where_none_is_one_succeeds,
        what_has_expired_is_not_there,
        keys_and_values_are_bounded,
        what_was_acknowledged_is_there_after_a_restart,
        who_cannot_keep_up_begins_anew
    ]),+} };
}

every!(embedded, jetstream);

const FOLDER: &str = "HANSARD_TEST_CONTROL_FOLDER";

/// Not a test by itself: what the test below starts as a process of its own, and kills.
#[test]
fn control_writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let feed = local(Path::new(&folder), PLENTY).control().unwrap();
        for number in 1_u64.. {
            feed.put(record(&format!("k.{}", number % 5), &number.to_string(), HOUR)).await.unwrap();
            println!("took {number}");
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_feed_survives_kill_9_of_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "control::control_writer", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let number = |line: &String| line.split_once("took ").map(|(_, number)| number.parse::<u64>().unwrap());
        let mut taken = lines.by_ref().find_map(|line| number(&line).filter(|number| *number > 50)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        taken = lines.filter_map(|line| number(&line)).last().unwrap_or(taken);
        let feed = local(folder.path(), PLENTY).control().unwrap();
        let (found, _) = feed.get(&format!("k.{}", taken % 5)).await.unwrap().unwrap();
        let found: u64 = String::from_utf8(found.value).unwrap().parse().unwrap();
        assert!(found >= taken, "{taken} was acknowledged, {found} is there");
    }
}

/// What was written is not what is read: that is said, and nothing is taken for a lease.
#[tokio::test]
async fn a_damaged_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let log = local(folder.path(), PLENTY);
    let feed = log.control().unwrap();
    for key in ["a", "b"] {
        feed.put(record(key, "some value", HOUR)).await.unwrap();
    }
    drop((feed, log));
    let file = folder.path().join("control");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let error = local(folder.path(), PLENTY).control().unwrap_err();
    assert!(matches!(error, Error::Incompatible(_)) && error.to_string().contains("damaged"), "{error}");
}
