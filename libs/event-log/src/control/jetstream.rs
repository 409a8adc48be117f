//! The control feed in a NATS JetStream stream: `STREAM_CONTROL`, beside that of the blocks.
//!
//! One message a key, under `hansard.control.STREAM.KEY`; a revision is the message's sequence.
//!
//! Invariants: a record counts when the stream has acknowledged it; a stream that is full refuses, and never lets go of an
//! older record instead; everything that waits for a server has a time limit.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::context::{Context, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RawMessageErrorKind, RetentionPolicy, StorageType, Stream};
use async_trait::async_trait;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{ControlLog, ControlRecord, Followed, Follower, Revision, WAITING, check, check_key, file, is_expired};
use crate::Error;
use crate::jetstream::{JetStreamLog, REQUEST, refused, stream, unavailable};

/// Most bytes of all records.
const MAX_BYTES: i64 = 256 << 20;

/// Without a message for so long, a follower that is not current yet asks whether it is.
const QUIET: Duration = Duration::from_millis(500);

/// How long records are kept that nothing takes the place of.
#[derive(Debug, Clone, Copy)]
pub struct JetStreamControlOptions {
    /// Longer than any record matters.
    pub max_age: Duration,
    /// Copies of the stream in the cluster.
    pub replicas: usize,
}

/// See the module.
#[derive(Debug)]
pub struct JetStreamControl {
    log: Arc<JetStreamLog>,
    api: Context,
    stream: Stream<()>,
    name: String,
    prefix: String,
}

impl JetStreamControl {
    /// Opens the stream beside that of `log`, or makes it.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the server does not answer or does not make it.
    pub async fn open(
        log: Arc<JetStreamLog>,
        options: JetStreamControlOptions,
    ) -> Result<Arc<JetStreamControl>, Error> {
        let of = log.name();
        let (name, prefix) = (format!("{of}_CONTROL"), format!("hansard.control.{of}."));
        let wanted = Config {
            name: name.clone(),
            description: Some(format!("Hansard: leases and revocations, beside {of}")),
            subjects: vec![format!("{prefix}>")],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            max_messages_per_subject: 1,
            max_bytes: MAX_BYTES,
            max_age: options.max_age,
            num_replicas: options.replicas,
            ..Config::default()
        };
        let api = log.api();
        stream::open_one(&api, wanted).await?;
        let stream = api.get_stream_no_info(&name).await.map_err(|error| unavailable("use the stream", &error))?;
        Ok(Arc::new(JetStreamControl { log, api, stream, name, prefix }))
    }

    async fn publish(&self, record: &ControlRecord, expected: Option<Revision>) -> Result<Option<Revision>, Error> {
        check(record)?;
        self.log.connected()?;
        let mut message =
            PublishMessage::build().expected_stream(&self.name).payload(file::encode(record, Revision::NONE).into());
        if let Some(expected) = expected {
            message = message.expected_last_subject_sequence(expected.0);
        }
        let subject = format!("{}{}", self.prefix, record.key);
        let publish = async { self.api.send_publish(subject, message).await?.await };
        match publish.await {
            Ok(acknowledgement) => Ok(Some(Revision(acknowledgement.sequence))),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
            Err(error) => Err(refused(&error)),
        }
    }
}

#[async_trait]
impl ControlLog for JetStreamControl {
    async fn put(&self, record: ControlRecord) -> Result<Revision, Error> {
        Ok(self.publish(&record, None).await?.unwrap_or_default())
    }

    async fn put_if(&self, record: ControlRecord, expected: Revision) -> Result<Option<Revision>, Error> {
        let put = self.publish(&record, Some(expected)).await?;
        if put.is_some() || expected != Revision::NONE {
            return Ok(put);
        }
        // One that has expired is none, but the stream still has it.
        match self.find(&record.key).await? {
            Some((former, revision)) if is_expired(&former) => self.publish(&record, Some(revision)).await,
            _ => Ok(None),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<(ControlRecord, Revision)>, Error> {
        Ok(self.find(key).await?.filter(|(record, _)| !is_expired(record)))
    }

    async fn follow(&self) -> Result<Follower, Error> {
        self.log.connected()?;
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::LastPerSubject,
            filter_subject: format!("{}>", self.prefix),
            ..pull::OrderedConfig::default()
        };
        let made = timeout(REQUEST, self.stream.create_consumer(config)).await;
        let made = made.map_err(|_| Error::Unavailable("the stream of the control feed does not answer".to_owned()))?;
        let consumer = made.map_err(|error| unavailable("follow the control feed", &error))?;
        let mut left = consumer.cached_info().num_pending;
        let mut messages = consumer.messages().await.map_err(|error| unavailable("follow the control feed", &error))?;
        let (outbox, inbox) = mpsc::channel(WAITING);
        let (stream, prefix) = (self.stream.clone(), self.prefix.clone());
        tokio::spawn(async move {
            let mut current = false;
            loop {
                if !current && left == 0 {
                    current = true;
                    if outbox.send(Followed::Current).await.is_err() {
                        return;
                    }
                }
                let next = tokio::select! {
                    next = timeout(QUIET, messages.next()) => next,
                    () = outbox.closed() => return,
                };
                let message = match next {
                    Ok(Some(Ok(message))) => message,
                    // It is followed anew, with all that there is.
                    Ok(_) => return,
                    // What was announced may have been replaced, or have expired, before it was sent.
                    Err(_) if !current => {
                        match stream.get_info().await {
                            Ok(_) => left = 0,
                            Err(_) => return,
                        }
                        continue;
                    }
                    Err(_) => continue,
                };
                let Ok(info) = message.info() else { return };
                if !current {
                    left = info.pending;
                }
                let key = message.subject.strip_prefix(&prefix).unwrap_or_default();
                let revision = Revision(info.stream_sequence);
                // What somebody else put there is none of ours.
                let Some((record, _)) = file::decode(&message.payload).filter(|(record, _)| record.key == key) else {
                    continue;
                };
                if !is_expired(&record) && outbox.send(Followed::Record(record, revision)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Follower { inbox })
    }

    fn trouble(&self) -> Option<String> {
        self.log.trouble()
    }
}

impl JetStreamControl {
    async fn find(&self, key: &str) -> Result<Option<(ControlRecord, Revision)>, Error> {
        check_key(key)?;
        self.log.connected()?;
        // By the stream's leader, and not directly by any copy: it knows the latest.
        match self.stream.get_last_raw_message_by_subject(&format!("{}{key}", self.prefix)).await {
            Ok(message) => {
                let found = file::decode(&message.payload).filter(|(record, _)| record.key == key);
                let (record, _) = found.ok_or_else(|| {
                    Error::Incompatible(format!("the stream {} holds what no Hansard put there", self.name))
                })?;
                Ok(Some((record, Revision(message.sequence))))
            }
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unavailable("read the control feed", &error)),
        }
    }
}
