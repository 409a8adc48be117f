//! Random conversations, straight to the database and through Hansard: every byte of the answers is the same.
//!
//! A conversation is a list of valid messages made from a seed: both protocols, pipelines, portals with row limits, COPY
//! both ways, FunctionCall, LISTEN and NOTIFY, errors in the middle. It is cut at random places, with random pauses, apart
//! for each way. `HANSARD_DIFFERENTIAL=10000` plays more of them, `HANSARD_SEED=n` begins with the one that failed.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::print_stderr, reason = "what was left out is worth knowing")]

#[path = "differential/conversation.rs"]
mod conversation;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hansard_tests::hansard::{LOG_IN_AS_DIRECT, Settings};
use hansard_tests::postgres::{DATABASE, PASSWORD};
use hansard_tests::{Config, Postgres, tls};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use conversation::{Conversation, frame, startup};

/// Its password is asked for in clear: the same start-up direct and via Hansard.
const ROLE: &str = "app_clear";

const PATIENCE: Duration = Duration::from_secs(60);

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn random_conversations_are_answered_alike_to_the_byte() {
    alike(false).await;
}

/// From the job to Hansard, and from Hansard to the database.
#[tokio::test(flavor = "multi_thread")]
async fn random_conversations_over_tls_are_answered_alike_to_the_byte() {
    alike(true).await;
}

async fn alike(tls: bool) {
    let postgres = Postgres::start_on(None, &["autovacuum=off", "ssl=on"]).await.unwrap();
    let superuser = postgres.superuser(DATABASE).await.unwrap();
    superuser.batch_execute(conversation::SCHEMA).await.unwrap();
    drop(superuser);
    let superuser = postgres.superuser("postgres").await.unwrap();
    // Copies: what is in them has the same identifiers.
    for way in ["direct", "via"] {
        let copy = format!("CREATE DATABASE {way} TEMPLATE {DATABASE}");
        while superuser.batch_execute(&copy).await.is_err() {
            // The connection that made the template is on its way out.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // A password in clear goes only to whom is known.
    let tls = tls.then(|| format!("sslmode=verify-full&sslrootcert={}", postgres.certificate().display()));
    let more = LOG_IN_AS_DIRECT.to_owned();
    let config = Config::new(&postgres, &Settings { role: Some(ROLE), tls, more, ..Settings::default() }).unwrap();
    let mut hansard = config.start("up").unwrap();
    let token = config.token("differential").unwrap();
    let direct = SocketAddr::from(([127, 0, 0, 1], postgres.port()));
    let via = hansard.proxy().unwrap();

    let conversations = from_environment("HANSARD_DIFFERENTIAL").unwrap_or(250);
    let first = from_environment("HANSARD_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let mut fallen = 0;
    for seed in first..first + conversations {
        let conversation = Conversation::of(&mut StdRng::seed_from_u64(seed));
        let cuts = |way: u64| StdRng::seed_from_u64(seed.wrapping_mul(3).wrapping_add(way));
        let (to_database, to_hansard) = (connect(direct, None).await, connect(via, config.certificate()).await);
        let (direct, via) = tokio::join!(
            play(&conversation, to_database, "direct", PASSWORD, cuts(1), seed),
            play(&conversation, to_hansard, "via", &token, cuts(2), seed),
        );
        let Some(direct) = direct else {
            // PostgreSQL itself fell, and took Hansard's session along: there is nothing to compare.
            eprintln!("HANSARD_SEED={seed}: the database closes the direct connection in the middle");
            fallen += 1;
            let back = async {
                while postgres.superuser("postgres").await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(PATIENCE, back).await.expect("PostgreSQL is there again");
            continue;
        };
        let via = via.unwrap_or_else(|| panic!("HANSARD_SEED={seed}: closed via Hansard only: {conversation:?}"));
        same(&conversation, &direct, &via, seed);
    }
    assert!(fallen <= conversations.div_ceil(100), "{fallen} of {conversations} were not compared");
    assert!(hansard.stop().unwrap().success(), "{}", hansard.logged());
    let odd = config.sql("SELECT session_id, complete, gaps, close_reason FROM sessions WHERE job <> 'hansard' AND (NOT complete OR gaps IS NOT NULL OR close_reason <> 'terminated by job')").unwrap();
    assert!(odd.len() as u64 <= fallen, "{odd:?}");
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// With TLS where there is a folder with the other side's certificate.
async fn connect(address: SocketAddr, certificate: Option<PathBuf>) -> Box<dyn Stream> {
    if let Some(folder) = certificate {
        return Box::new(tls::connect(address, &folder).await.unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Box::new(stream)
}

/// Sends a conversation and returns all that is answered; `None` when the other side ends it before its end.
async fn play(
    conversation: &Conversation,
    stream: Box<dyn Stream>,
    database: &str,
    password: &str,
    mut cuts: StdRng,
    seed: u64,
) -> Option<Vec<u8>> {
    let (mut read, mut write) = tokio::io::split(stream);
    let (ready, closed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let listen = async {
        let (mut answers, mut cut) = (Vec::new(), 0);
        let mut chunk = vec![0; 16 * 1024];
        loop {
            // A side that falls may do so with a reset.
            let length = read.read(&mut chunk).await.unwrap_or(0);
            if length == 0 {
                closed.store(true, Ordering::Release);
                return answers;
            }
            answers.extend_from_slice(&chunk[..length]);
            while let Some(frame) = first_frame(&answers[cut..]) {
                cut += frame.len();
                if frame[0] == b'Z' {
                    ready.fetch_add(1, Ordering::Release);
                }
            }
        }
    };
    let speak = async {
        let opening = [("user", ROLE), ("database", database), ("application_name", "differential")];
        write.write_all(&startup(&opening)).await?;
        write.write_all(&frame(b'p', &[password.as_bytes(), b"\0"].concat())).await?;
        write.flush().await?;
        let mut expected = 1;
        for group in &conversation.groups {
            // Now and then the next begins before the former is answered.
            if group.waits {
                while ready.load(Ordering::Acquire) < expected {
                    if closed.load(Ordering::Acquire) {
                        return Err(std::io::ErrorKind::UnexpectedEof.into());
                    }
                    tokio::time::sleep(Duration::from_micros(300)).await;
                }
            }
            expected += group.ready;
            let bytes: Vec<u8> = group.messages.concat();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let length =
                    if cuts.random_bool(0.5) { rest.len() } else { cuts.random_range(1..=rest.len().min(9000)) };
                write.write_all(&rest[..length]).await?;
                write.flush().await?;
                rest = &rest[length..];
                if cuts.random_bool(0.2) {
                    tokio::time::sleep(Duration::from_micros(cuts.random_range(1..2000))).await;
                }
            }
        }
        write.write_all(&frame(b'X', b"")).await?;
        write.flush().await?;
        Ok::<usize, std::io::Error>(expected)
    };
    let both = async { tokio::join!(listen, speak) };
    match tokio::time::timeout(PATIENCE, both).await {
        Ok((answers, spoken)) => {
            let expected = spoken.ok()?;
            (ready.load(Ordering::Acquire) >= expected).then_some(answers)
        }
        Err(_) => panic!("HANSARD_SEED={seed}: {database} has not ended; the conversation: {conversation:?}"),
    }
}

/// The first whole frame.
fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().unwrap()) as usize + 1;
    bytes.get(..length)
}

/// Frames without what has to differ: the cancel key, and the sender of a notification where it is the session itself.
fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut frames, mut own) = (Vec::new(), Vec::new());
    while !bytes.is_empty() {
        let Some(frame) = first_frame(bytes) else {
            frames.push(bytes.to_vec());
            break;
        };
        bytes = &bytes[frame.len()..];
        let mut frame = frame.to_vec();
        match frame[0] {
            b'K' => {
                own = frame[5..9].to_vec();
                frame.truncate(5);
            }
            b'A' if frame[5..9] == own => frame[5..9].fill(0),
            _ => {}
        }
        frames.push(frame);
    }
    frames
}

#[track_caller]
fn same(conversation: &Conversation, direct: &[u8], via: &[u8], seed: u64) {
    let (direct, via) = (frames(direct), frames(via));
    for at in 0..direct.len().max(via.len()) {
        let shown =
            |frames: &[Vec<u8>]| frames.get(at).map(|frame| frame[..frame.len().min(200)].escape_ascii().to_string());
        assert!(
            direct.get(at) == via.get(at),
            "HANSARD_SEED={seed}: answer {at} is {:?} direct and {:?} via Hansard; the conversation: {conversation:?}",
            shown(&direct),
            shown(&via)
        );
    }
}
