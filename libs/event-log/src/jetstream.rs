//! The event log in a NATS JetStream stream.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hansard_schemas::events::Block;

use crate::{Batch, Bounds, Error, EventLog, Position, Shard};

/// How to reach and shape the stream.
#[derive(Debug, Clone)]
pub struct JetStreamOptions {
    /// `nats://` or `tls://` addresses of the servers.
    pub servers: Vec<String>,
    /// NATS credentials file (`.creds`).
    pub credentials_file: Option<PathBuf>,
    /// Name of the stream.
    pub stream: String,
    /// Copies of the stream in the cluster.
    pub replicas: usize,
    /// Number of shards; fixed when the stream is created.
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
pub struct JetStreamLog {}

impl JetStreamLog {
    /// Connects, and creates or updates the stream.
    pub async fn connect(_options: JetStreamOptions) -> Result<Arc<JetStreamLog>, Error> {
        Err(Error::Unavailable("not yet".into()))
    }
}

#[async_trait]
impl EventLog for JetStreamLog {
    fn shards(&self) -> Shard {
        0
    }
    async fn append(&self, _shard: Shard, _block: Block) -> Result<Position, Error> {
        Err(Error::Unavailable("not yet".into()))
    }
    async fn read(&self, _shard: Shard, _from: Position, _max_bytes: usize) -> Result<Batch, Error> {
        Err(Error::Unavailable("not yet".into()))
    }
    async fn wait(&self, _shard: Shard, _from: Position, _patience: Duration) -> Result<bool, Error> {
        Err(Error::Unavailable("not yet".into()))
    }
    async fn bounds(&self, _shard: Shard) -> Result<Bounds, Error> {
        Err(Error::Unavailable("not yet".into()))
    }
    async fn trim(&self, _shard: Shard, _up_to: Position) -> Result<(), Error> {
        Err(Error::Unavailable("not yet".into()))
    }
}
