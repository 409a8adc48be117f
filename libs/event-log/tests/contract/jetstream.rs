//! The JetStream log when its server is killed, loses its tail, or is not what it should be.

use std::sync::Arc;
use std::time::Duration;

use hansard_event_log::{Error, EventLog, JetStreamLog, JetStreamOptions, Position};

use crate::blocks::{Session, events, read_all};
use crate::nats::NatsServer;
use crate::suite::{PLENTY, SHARDS};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9_of_the_server() {
    let mut server = NatsServer::start().await;
    let log = JetStreamLog::connect(server.options(SHARDS, PLENTY)).await.unwrap();
    let (taken, mut progress) = tokio::sync::watch::channel(0);
    let appender = {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let mut session = Session::new(1, SHARDS);
            let mut written = Vec::new();
            for number in 1..=400 {
                let block = session.block(2, 700);
                for tries in 0.. {
                    match log.append(1, block.clone()).await {
                        Ok(_) => break,
                        Err(error) => assert!(matches!(error, Error::Unavailable(_)) && tries < 500, "{error}"),
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                written.push(block);
                taken.send_replace(number);
            }
            written
        })
    };
    for moment in [50, 130, 260] {
        progress.wait_for(|number| *number >= moment).await.unwrap();
        server.restart().await;
    }
    let written = appender.await.unwrap();
    // The same handle reads on, and so does a new one.
    let (read, _) = read_all(&*log, 1, Position::START, 50_000).await;
    assert_eq!(events(&read), events(&written));
    let log = JetStreamLog::connect(server.options(SHARDS, PLENTY)).await.unwrap();
    let (read, _) = read_all(&*log, 1, Position::START, 50_000).await;
    assert_eq!(events(&read), events(&written));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_tail_is_found_out() {
    let mut server = NatsServer::start().await;
    let log = JetStreamLog::connect(server.options(1, PLENTY)).await.unwrap();
    let mut session = Session::new(0, 1);
    log.append(0, session.block(1, 10)).await.unwrap();
    server.kill();
    let kept = tempfile::tempdir().unwrap();
    copy(&server.store(), kept.path());
    server.restart().await;
    let log = JetStreamLog::connect(server.options(1, PLENTY)).await.unwrap();
    let lost = log.append(0, session.block(1, 10)).await.unwrap();
    server.kill();
    std::fs::remove_dir_all(server.store()).unwrap();
    copy(kept.path(), &server.store());
    server.restart().await;
    let log = JetStreamLog::connect(server.options(1, PLENTY)).await.unwrap();
    let error = log.read(0, lost, 1).await.unwrap_err();
    assert!(matches!(error, Error::Rewound { asked, end } if asked == lost && end < lost), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_made_anew_is_not_taken_for_the_former_one() {
    let mut server = NatsServer::start().await;
    let log = JetStreamLog::connect(server.options(1, PLENTY)).await.unwrap();
    let read_up_to = log.append(0, Session::new(0, 1).block(1, 10)).await.unwrap();
    server.kill();
    std::fs::remove_dir_all(server.store()).unwrap();
    // Sequences begin anew each second of the clock.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    server.restart().await;
    let log = JetStreamLog::connect(server.options(1, PLENTY)).await.unwrap();
    let block = Session::new(0, 1).block(1, 10);
    log.append(0, block.clone()).await.unwrap();
    assert!(matches!(log.read(0, read_up_to, 1).await, Err(Error::Trimmed { .. })));
    assert_eq!(read_all(&*log, 0, Position::START, 1).await.0, [block]);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_brought_up_to_date_and_the_number_of_shards_is_not() {
    let server = NatsServer::start().await;
    let log = JetStreamLog::connect(server.options(2, 100_000)).await.unwrap();
    let mut session = Session::new(0, 2);
    let large = session.block(1, 150_000);
    assert!(matches!(log.append(0, large.clone()).await, Err(Error::Full(_))));
    let log = JetStreamLog::connect(server.options(2, 300_000)).await.unwrap();
    log.append(0, large).await.unwrap();
    let other = JetStreamLog::connect(server.options(3, 300_000)).await.unwrap_err();
    assert!(other.to_string().contains("was made with 2 shards, not 3"), "{other}");
    // A second stream cannot have the same subjects.
    let second = JetStreamOptions { stream: "OTHER".to_owned(), ..server.options(2, 300_000) };
    let error = JetStreamLog::connect(second).await.unwrap_err();
    assert!(error.to_string().contains("cannot make the stream OTHER"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_or_used_is_named() {
    let mut server = NatsServer::start().await;
    let options = server.options(1, PLENTY);
    let missing = JetStreamOptions { credentials_file: Some("/nowhere/x.creds".into()), ..options.clone() };
    let error = JetStreamLog::connect(missing).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/x.creds"), "{error}");
    let log = JetStreamLog::connect(options.clone()).await.unwrap();
    let mut long = Session::new(0, 1).block(1, 10);
    long.payload = vec![7; 2 << 20];
    assert!(matches!(log.append(0, long).await, Err(Error::TooLong(_))));
    server.kill();
    let error = JetStreamLog::connect(options.clone()).await.unwrap_err();
    assert!(error.to_string().contains(&options.servers[0]), "{error}");
    assert!(matches!(log.append(0, Session::new(0, 1).block(1, 10)).await, Err(Error::Unavailable(_))));
    assert!(matches!(log.read(0, Position::START, 1).await, Err(Error::Unavailable(_))));
}
