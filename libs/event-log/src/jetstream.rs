//! The event log in a NATS JetStream stream.
//!
//! One message a block, under `hansard.v1.<target>.<shard>.<session id>`; a position is the sequence of the message before
//! it. How far a shard was trimmed is kept in a second, small stream, because a purge leaves no mark of its own.
//!
//! Invariants: a block counts as appended when the stream has acknowledged it, never before; a stream that lost its
//! tail, was made anew or was trimmed meanwhile is an error to its readers, never a silent skip; everything that
//! waits for a server has a time limit.

mod fetch;
pub(crate) mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{Context, ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use async_nats::jetstream::{self, ErrorCode};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use hansard_schemas::events::{Block, BlockExt, Message};
use tokio::time::timeout;

use crate::{Batch, Bounds, Error, EventLog, Position, Positioned, Shard, subject};

/// How long a request to the server may take.
pub(crate) const REQUEST: Duration = Duration::from_secs(5);

/// How long a publish may wait for its acknowledgement, before it is sent again.
const ACKNOWLEDGEMENT: Duration = Duration::from_millis(1500);

/// Publishes under way at once; more wait.
const IN_FLIGHT: usize = 1024;

/// The least `max_payload` of a server: a merged block that zstd could not make shorter, and its headers.
const LEAST_PAYLOAD: usize = 512 * 1024;

/// Longest wait in one request, so that a forgotten consumer is gone soon.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How to reach and shape the stream.
#[derive(Debug, Clone)]
pub struct JetStreamOptions {
    /// `nats://` or `tls://` addresses of the servers.
    pub servers: Vec<String>,
    /// NATS credentials file (`.creds`).
    pub credentials_file: Option<PathBuf>,
    /// Name of the stream; made where it does not exist.
    pub stream: String,
    /// Copies of the stream in the cluster.
    pub replicas: usize,
    /// Number of shards; fixed when the stream is made.
    pub shards: Shard,
    /// Most bytes that the stream may hold; above that, [`Error::Full`].
    pub max_bytes: u64,
}

impl Default for JetStreamOptions {
    fn default() -> Self {
        JetStreamOptions {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            credentials_file: None,
            stream: "HANSARD".to_owned(),
            replicas: 1,
            shards: 8,
            max_bytes: 16 << 30,
        }
    }
}

/// The event log in a JetStream stream.
#[derive(Debug)]
pub struct JetStreamLog {
    publisher: Context,
    stream: Stream<()>,
    marks: Stream<()>,
    name: String,
    shards: Shard,
    /// The position before the first message that this stream ever had.
    origin: u64,
}

impl JetStreamLog {
    /// Connects, and makes or updates the stream. Later breaks of the connection heal by themselves.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when no server answers or lets us in, [`Error::Incompatible`] when the stream is not
    /// ours, has another number of shards, or the server's limits are too low.
    pub async fn connect(options: JetStreamOptions) -> Result<Arc<JetStreamLog>, Error> {
        let servers = options.servers.join(", ");
        let mut connect = async_nats::ConnectOptions::new()
            .name("hansard")
            .connection_timeout(REQUEST)
            .request_timeout(Some(REQUEST))
            .max_reconnects(None)
            .reconnect_delay_callback(|tries| Duration::from_millis(50 << tries.min(6)).min(Duration::from_secs(2)));
        if let Some(file) = &options.credentials_file {
            connect = connect.credentials_file(file).await.map_err(|e| {
                Error::Unavailable(format!("cannot read the NATS credentials in {}: {e}", file.display()))
            })?;
        }
        let client = connect
            .connect(options.servers.clone())
            .await
            .map_err(|e| Error::Unavailable(format!("cannot connect to NATS at {servers}: {e}")))?;
        if client.max_payload() < LEAST_PAYLOAD {
            return Err(Error::Incompatible(format!(
                "the NATS server at {servers} takes messages of {} bytes at most; set its max_payload to {LEAST_PAYLOAD} or more",
                client.max_payload()
            )));
        }
        let api = ContextBuilder::new().timeout(REQUEST).build(client.clone());
        let publisher = ContextBuilder::new()
            .max_ack_inflight(IN_FLIGHT)
            .backpressure_on_inflight(true)
            .ack_timeout(ACKNOWLEDGEMENT)
            .timeout(ACKNOWLEDGEMENT)
            .build(client);
        let (stream, marks, origin) = stream::open(&api, &options).await?;
        let JetStreamOptions { stream: name, shards, .. } = options;
        Ok(Arc::new(JetStreamLog { publisher, stream, marks, name, shards, origin }))
    }

    /// Why the stream cannot be reached at present, in one line; None when the connection is up.
    pub fn trouble(&self) -> Option<String> {
        self.connected().err().map(|error| error.to_string())
    }

    /// The stream's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// For requests by which streams are made and found, and for publishing, each with a time limit.
    pub(crate) fn api(&self) -> Context {
        ContextBuilder::new().timeout(REQUEST).ack_timeout(REQUEST).build(self.publisher.client())
    }

    /// The longest message that the server takes, in bytes, with room for its headers.
    pub(crate) fn longest_message(&self) -> usize {
        self.publisher.client().max_payload().saturating_sub(1024)
    }

    /// Publishes an encoded block once and waits for the stream's acknowledgement. `message_id` lets the stream drop it
    /// when it has it already.
    pub(crate) async fn publish(&self, subject: String, message_id: &str, block: Bytes) -> Result<Position, Error> {
        self.connected()?;
        let length = block.len();
        let message = PublishMessage::build().message_id(message_id).expected_stream(&self.name).payload(block);
        let publish = async { self.publisher.send_publish(subject, message).await?.await };
        match publish.await {
            Ok(acknowledgement) => Ok(Position(acknowledgement.sequence)),
            Err(e) if e.kind() == PublishErrorKind::MaxPayloadExceeded => Err(Error::TooLong(length)),
            Err(e) => Err(refused(&e)),
        }
    }

    /// What is sent to a client without a connection waits in its buffers, unseen.
    pub(crate) fn connected(&self) -> Result<(), Error> {
        match self.publisher.client().connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(Error::Unavailable("not connected to NATS".to_owned())),
        }
    }

    /// The subjects of a shard, when it and the connection are there.
    fn filter(&self, shard: Shard) -> Result<String, Error> {
        if shard >= self.shards {
            let shards = self.shards;
            return Err(Error::Incompatible(format!(
                "shard {shard} was asked for; the stream has {shards}, counted from 0"
            )));
        }
        self.connected()?;
        Ok(format!("hansard.v1.*.{shard}.*"))
    }

    /// The position before which a shard was trimmed; 0 when it never was.
    async fn mark(&self, shard: Shard) -> Result<u64, Error> {
        match self.marks.get_last_raw_message_by_subject(&stream::mark_subject(&self.name, shard)).await {
            Ok(message) => {
                std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
                    Error::Incompatible(format!(
                        "the trim mark of shard {shard} in the stream {}_TRIMMED is not a number",
                        self.name
                    ))
                })
            }
            Err(e) if e.kind() == RawMessageErrorKind::NoMessageFound => Ok(0),
            Err(e) => Err(unavailable("read a trim mark", &e)),
        }
    }

    async fn last_sequence(&self) -> Result<u64, Error> {
        Ok(self.stream.get_info().await.map_err(|e| unavailable("ask for the stream", &e))?.state.last_sequence)
    }
}

#[async_trait]
impl EventLog for JetStreamLog {
    fn shards(&self) -> Shard {
        self.shards
    }

    async fn append(&self, shard: Shard, block: Block) -> Result<Position, Error> {
        self.filter(shard)?;
        let named = |e: hansard_schemas::events::BlockError| Error::Incompatible(e.to_string());
        let subject = subject(&block.target, shard, &block.session().map_err(named)?);
        let message_id = block.message_id().map_err(named)?;
        self.publish(subject, &message_id, block.encode_to_vec().into()).await
    }

    async fn read(&self, shard: Shard, from: Position, max_bytes: usize) -> Result<Batch, Error> {
        let filter = self.filter(shard)?;
        let found = fetch::fetch(&self.publisher.client(), &self.name, &filter, from.0, max_bytes).await?;
        // After the messages: what was purged before they were read is behind the mark by now.
        let mark = self.mark(shard).await?;
        if from.0 < mark {
            return Err(Error::Trimmed { asked: from, first: Position(mark) });
        }
        if from.0 > 0 && from.0 < self.origin {
            return Err(Error::Trimmed { asked: from, first: Position(self.origin) });
        }
        if found.is_empty() && from.0 > 0 {
            let end = self.last_sequence().await?;
            if end < from.0 {
                return Err(Error::Rewound { asked: from, end: Position(end) });
            }
        }
        let mut next = from;
        let mut blocks = Vec::with_capacity(found.len());
        for (sequence, payload) in found {
            let at = std::mem::replace(&mut next, Position(sequence));
            let block = Block::decode(payload).map_err(|e| Error::Damaged { shard, at, reason: e.to_string() })?;
            blocks.push(Positioned { next, block });
        }
        Ok(Batch { blocks, next })
    }

    async fn read_unmerged(&self, shard: Shard, from: Position, max_bytes: usize) -> Result<Batch, Error> {
        // Its blocks come as they are in the stream.
        self.read(shard, from, max_bytes).await
    }

    async fn wait(&self, shard: Shard, from: Position, patience: Duration) -> Result<bool, Error> {
        let patience = patience.min(LONGEST_WAIT);
        // A consumer for this one wait: it tells of the next message without sending it.
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.0 + 1 },
            ack_policy: AckPolicy::None,
            filter_subject: self.filter(shard)?,
            headers_only: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: LONGEST_WAIT,
            ..pull::Config::default()
        };
        let consumer = self.stream.create_consumer(config).await.map_err(|e| unavailable("follow the stream", &e))?;
        let found = if consumer.cached_info().num_pending > 0 {
            true
        } else {
            let pull = consumer.batch().max_messages(1).expires(patience).messages().await;
            let mut messages = pull.map_err(|e| unavailable("follow the stream", &e))?;
            matches!(timeout(patience + REQUEST, messages.next()).await, Ok(Some(Ok(_))))
        };
        // Where this fails, the server lets go of it by itself.
        let _ = self.stream.delete_consumer(&consumer.cached_info().name).await;
        Ok(found)
    }

    async fn bounds(&self, shard: Shard) -> Result<Bounds, Error> {
        let filter = self.filter(shard)?;
        let first = self.mark(shard).await?.max(self.origin);
        let end = match self.stream.get_last_raw_message_by_subject(&filter).await {
            Ok(message) => message.sequence,
            Err(e) if e.kind() == RawMessageErrorKind::NoMessageFound => first,
            Err(e) => return Err(unavailable("ask for the end of the stream", &e)),
        };
        Ok(Bounds { first: Position(first), end: Position(end.max(first)) })
    }

    async fn trim(&self, shard: Shard, up_to: Position) -> Result<(), Error> {
        let filter = self.filter(shard)?;
        let mark = up_to.0.min(self.last_sequence().await?);
        if mark > self.mark(shard).await? {
            // The mark first: who finds messages gone finds out why.
            let subject = stream::mark_subject(&self.name, shard);
            let message = PublishMessage::build().payload(mark.to_string().into());
            let publish = async { self.publisher.send_publish(subject, message).await?.await };
            publish.await.map_err(|e| refused(&e))?;
        }
        let purge = self.stream.purge().filter(filter).sequence(mark + 1);
        purge.await.map(|_| ()).map_err(|e| unavailable("trim the stream", &e))
    }
}

/// Why the stream did not take a message.
pub(crate) fn refused(error: &PublishError) -> Error {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>());
    let Some(refusal) = source else {
        return Error::Unavailable(match error.kind() {
            PublishErrorKind::StreamNotFound => "NATS is there, but the stream does not answer".to_owned(),
            PublishErrorKind::TimedOut => "the stream did not acknowledge in time".to_owned(),
            _ => format!("the stream did not take a message: {error}"),
        });
    };
    let text = refusal.to_string();
    let full = [
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::MEMORY_RESOURCES_EXCEEDED,
    ];
    let store = refusal.error_code() == ErrorCode::STREAM_STORE_FAILED;
    if full.contains(&refusal.error_code()) || store && (text.contains("maximum") || text.contains("no space")) {
        Error::Full(format!("the stream does not take more: {text}"))
    } else {
        Error::Unavailable(format!("the stream refused a message: {text}"))
    }
}

pub(crate) fn unavailable(what: &str, error: &dyn std::error::Error) -> Error {
    Error::Unavailable(format!("cannot {what}: {error}"))
}
