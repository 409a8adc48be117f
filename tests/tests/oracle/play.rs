//! Plays a conversation's sessions, in the order of its steps, over sockets of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use hansard_tests::postgres::DATABASE;
use hansard_tests::wire::{Wire, copy_fail, sync, terminate};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinHandle;

use crate::conversation::{Conversation, End, Step};

/// Nothing takes as long: a lock is waited for half a second, a statement runs for five at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// A step whose answers do not come (it left the server waiting for more of a copy, say) is waited for no longer.
const QUIET: Duration = Duration::from_millis(60);

/// What has been heard of a session.
#[derive(Debug, Default)]
struct Heard {
    ready: AtomicUsize,
    bytes: AtomicUsize,
    ended: AtomicBool,
}

pub(crate) struct Session {
    write: OwnedWriteHalf,
    heard: Arc<Heard>,
    reader: JoinHandle<()>,
    /// ReadyForQuery messages that answer all that was sent.
    expected: usize,
}

impl Session {
    async fn open(proxy: SocketAddr, token: &str, name: &str) -> Result<Session> {
        Session::open_with(proxy, token, name, &[("database", DATABASE)]).await
    }

    /// With more start-up parameters.
    pub(crate) async fn open_with(
        proxy: SocketAddr,
        token: &str,
        name: &str,
        more: &[(&str, &str)],
    ) -> Result<Session> {
        let wire =
            Wire::session_with(proxy, &[&[("user", "app"), ("application_name", name)], more].concat(), token).await?;
        let (mut read, write) = wire.stream.into_split();
        let heard = Arc::new(Heard::default());
        let kept = heard.clone();
        let reader = tokio::spawn(async move {
            let mut inbox = Vec::new();
            while let Ok(length @ 1..) = read.read_buf(&mut inbox).await {
                kept.bytes.fetch_add(length, Ordering::Release);
                let mut at = 0;
                while let Some(header) = inbox.get(at..at + 5) {
                    let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize + 1;
                    if inbox.len() < at + length {
                        break;
                    }
                    if header[0] == b'Z' {
                        kept.ready.fetch_add(1, Ordering::Release);
                    }
                    at += length;
                }
                inbox.drain(..at);
            }
            kept.ended.store(true, Ordering::Release);
        });
        Ok(Session { write, heard, reader, expected: 0 })
    }

    /// What it sends to a side that is gone reaches nobody: the conversation goes on without it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.write.write_all(bytes).await;
    }

    /// One step, waited for as it says.
    pub(crate) async fn take(&mut self, step: &Step) {
        self.expected += step.ready;
        self.send(&step.messages.concat()).await;
        if step.waits {
            self.answered().await;
            self.expected = self.heard.ready.load(Ordering::Acquire);
        }
    }

    async fn answered(&self) {
        let (mut bytes, mut quiet) = (0, std::time::Instant::now());
        while self.heard.ready.load(Ordering::Acquire) < self.expected && !self.heard.ended.load(Ordering::Acquire) {
            let now = self.heard.bytes.load(Ordering::Acquire);
            if now != bytes {
                (bytes, quiet) = (now, std::time::Instant::now());
            } else if quiet.elapsed() > QUIET {
                return;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }

    pub(crate) async fn end(mut self, end: End) -> Result<()> {
        match end {
            End::Terminate => self.send(&[copy_fail(), sync(), terminate()].concat()).await,
            End::HalfClose => {
                let _ = self.write.shutdown().await;
            }
            End::Close => {
                self.reader.abort();
                return Ok(());
            }
            End::Cut => {
                self.send(b"Q\0\0\x01\0INSERT INTO public.ledger_1 (change) VALU").await;
                let _ = self.write.shutdown().await;
            }
        }
        self.reader.await.context("its reader")
    }
}

/// Plays it to its end; an error where something never comes. Who is patient waits for a session that is refused.
pub(crate) async fn play(conversation: &Conversation, proxy: SocketAddr, token: &str, patient: bool) -> Result<()> {
    let all = async {
        let mut cuts = StdRng::seed_from_u64(conversation.seed);
        let mut sessions = [None, None];
        for session in conversation.sessions() {
            let name = conversation.application_name(session);
            let mut opened = Session::open(proxy, token, &name).await;
            // PostgreSQL itself may have fallen over another conversation, and be on its way back.
            while opened.is_err() && patient {
                tokio::time::sleep(Duration::from_millis(200)).await;
                opened = Session::open(proxy, token, &name).await;
            }
            sessions[session] = Some(opened?);
        }
        for step in &conversation.steps {
            let session = sessions[step.session].as_mut().context("whoever has a step has a session")?;
            session.expected += step.ready;
            let bytes = step.messages.concat();
            let mut rest = &bytes[..];
            // Now and then cut where a message need not end.
            while !rest.is_empty() && cuts.random_bool(0.3) {
                let length = cuts.random_range(1..=rest.len());
                session.send(&rest[..length]).await;
                rest = &rest[length..];
                tokio::time::sleep(Duration::from_micros(cuts.random_range(1..2000))).await;
            }
            session.send(rest).await;
            if step.waits {
                session.answered().await;
                // Fewer or more answers than were expected say nothing about the next step.
                session.expected = session.heard.ready.load(Ordering::Acquire);
            }
        }
        let ends = sessions.into_iter().zip(conversation.ends).filter_map(|(session, end)| Some(session?.end(end)));
        futures::future::try_join_all(ends).await?;
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, all).await.context("it hangs")?
}
