//! How sessions begin and end: start-up options, invalid frames, SIGTERM, kill -9.

use std::net::SocketAddr;
use std::time::Duration;

use hansard_tests::hansard::Settings;
use hansard_tests::postgres::{DATABASE, PASSWORD};
use hansard_tests::wire::{Wire, extended, field, frame, query, startup, sync};
use hansard_tests::{Nats, eventually};

use crate::scene::{PATIENCE, Scene, UPDATE, update};

/// A frame whose length is none.
const INVALID: &[u8] = b"Q\0\0\0\0";

fn slow(word: &str) -> String {
    format!("{UPDATE} FROM pg_sleep(0.7) /* {word} */")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_frame_behind_a_statement_does_not_undo_it() {
    let scene = Scene::start().await;
    for request in [query(slow("slow")), [extended(slow("slow")), sync()].concat()] {
        for bytes in [INVALID.to_vec(), frame(b'y', b"what")] {
            let name = scene.name();
            let mut wire = scene.session(&name).await;
            wire.send(&request).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            wire.send(&bytes).await.unwrap();
            let heard = wire.rest().await.unwrap();
            let told = scene.told(&name).await;
            let row = told.statement("slow");
            match told.updates {
                1 => assert!(row.says("committed") || row.may_have_updated(), "{row:?}"),
                _ => assert!(!row.says("committed"), "{row:?}"),
            }
            assert_eq!(told.updates, 1, "direct, it runs: {}", heard.escape_ascii());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_before_an_invalid_one_in_the_same_write_runs_as_it_does_direct() {
    let scene = Scene::start().await;
    let direct = SocketAddr::from(([127, 0, 0, 1], scene.postgres.port()));
    for request in [query(update("good")), [extended(update("good")), sync()].concat(), extended(update("good"))] {
        for invalid in [INVALID.to_vec(), b"Q\0\0\0\x03".to_vec(), frame(b'y', b"what")] {
            let bytes = [&request[..], &invalid].concat();
            let parameters = [("user", "app_clear"), ("database", DATABASE)];
            let mut wire = Wire::session_with(direct, &parameters, PASSWORD).await.unwrap();
            wire.send(&bytes).await.unwrap();
            wire.rest().await.unwrap();
            let backends = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app_clear'";
            while scene.superuser.query_one(backends, &[]).await.unwrap().get::<_, i64>(0) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let expected = scene.updates().await;

            let name = scene.name();
            let mut wire = scene.session(&name).await;
            wire.send(&bytes).await.unwrap();
            wire.rest().await.unwrap();
            let told = scene.told(&name).await;
            let what = bytes.escape_ascii();
            assert_eq!(told.updates, expected, "{what}");
            let said = told.rows.iter().any(|row| row.says("committed"));
            let may = told.rows.iter().any(|row| row.may_have_updated());
            assert!(if expected == 1 { said || may } else { !said }, "{what}: {:#?}", told.rows);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_gives_a_statement_and_a_transaction_their_grace() {
    for (way, begin) in [("a statement", None), ("a transaction", Some("BEGIN")), ("a pipeline", None)] {
        let mut scene = Scene::start().await;
        let name = scene.name();
        let mut wire = scene.session(&name).await;
        if let Some(begin) = begin {
            wire.query(begin).await.unwrap();
        }
        match way {
            "a pipeline" => {
                wire.send(&[query(slow("slow")), query(update("second"))].concat()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(300)).await;
                scene.hansard.signal("TERM").unwrap();
                wire.until(b'Z').await.unwrap();
            }
            _ => {
                wire.send(&query(slow("slow"))).await.unwrap();
                tokio::time::sleep(Duration::from_millis(300)).await;
                scene.hansard.signal("TERM").unwrap();
            }
        }
        let heard = wire.until(b'Z').await.unwrap();
        assert_eq!(heard.last().map(|(tag, _)| *tag), Some(b'Z'), "{way}: {heard:?}");
        if begin.is_some() {
            let heard = wire.query("COMMIT").await.unwrap();
            assert!(heard.iter().any(|(tag, body)| *tag == b'C' && body.starts_with(b"COMMIT")), "{way}: {heard:?}");
        }
        drop(wire);
        eventually("Hansard ends", PATIENCE, || scene.hansard.ended().ok_or_else(|| anyhow::anyhow!("it runs")))
            .unwrap();
        scene.hansard = scene.config.start("up").unwrap();
        let told = scene.told(&name).await;
        assert_eq!(told.updates, if way == "a pipeline" { 2 } else { 1 }, "{way}");
        assert!(told.statement("slow").says("committed"), "{way}: {:#?}", told.rows);
    }
}

/// Kills Hansard one second after a reply: the reply is in the record.
async fn a_reply_survives(settings: Settings) {
    let mut scene = Scene::with(settings).await;
    let name = scene.name();
    let mut wire = scene.session(&name).await;
    wire.query(&update("answered")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.hansard.kill().unwrap();
    scene.hansard = scene.config.start("up").unwrap();
    let told = scene.told(&name).await;
    told.updated_by(&["answered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_survives_kill_9_a_second_later_with_fsync_always() {
    a_reply_survives(Settings { recording: "fsync = \"always\"".to_owned(), ..Settings::default() }).await;
    a_reply_survives(Settings::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_survives_kill_9_a_second_later_with_a_stream() {
    let nats = Nats::start().unwrap();
    let event_log = nats.event_log();
    a_reply_survives(Settings { event_log, ..Settings::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_split_words_as_the_server_splits_them() {
    let scene = Scene::start().await;
    // Whatever the server takes for a blank; `isspace` of the C locale.
    for blank in ['\u{b}', '\u{c}', '\t', '\n', '\r', ' '] {
        for options in [
            format!("-c jit=off{blank}-c{blank}role=admin"),
            format!("-c{blank}role=admin"),
            format!("--role=admin{blank}"),
        ] {
            let mut wire = Wire::connect(scene.proxy()).await.unwrap();
            let parameters = [("user", "app"), ("database", DATABASE), ("options", &options)];
            wire.send(&startup(&parameters)).await.unwrap();
            let _ = wire.send(&frame(b'p', &[scene.token.as_bytes(), b"\0"].concat())).await;
            let messages = wire.until(b'Z').await.unwrap();
            let refused = messages.iter().any(|(tag, body)| *tag == b'E' && field(body, b'S') == "FATAL");
            assert!(refused, "{options:?} is accepted: {messages:?}");
        }
    }
    // And what is allowed stays allowed, however it is blanked.
    for options in ["-c jit=off", "-c jit=off\u{b}-c work_mem=8MB", "  --jit=off\t"] {
        let parameters = [("user", "app"), ("database", DATABASE), ("options", options)];
        let mut wire = Wire::session_with(scene.proxy(), &parameters, &scene.token).await.unwrap();
        let shown = wire.query("SHOW jit").await.unwrap();
        assert!(shown.iter().any(|(tag, body)| *tag == b'D' && body.ends_with(b"off")), "{options:?}: {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_up_packet_after_log_in_is_fatal_at_once() {
    let scene = Scene::start().await;
    let ssl = [&8_u32.to_be_bytes()[..], &80_877_103_u32.to_be_bytes()].concat();
    let gss = [&8_u32.to_be_bytes()[..], &80_877_104_u32.to_be_bytes()].concat();
    let cancel = [&16_u32.to_be_bytes()[..], &80_877_102_u32.to_be_bytes(), &[0; 8]].concat();
    for packet in [startup(&[("user", "app"), ("database", DATABASE)]), ssl, gss, cancel] {
        let mut wire = scene.session(&scene.name()).await;
        wire.query("SELECT 1").await.unwrap();
        wire.send(&packet).await.unwrap();
        let (sqlstate, message) = wire.fatal().await.unwrap();
        assert_eq!(sqlstate, "08P01", "{message}");
    }
}
